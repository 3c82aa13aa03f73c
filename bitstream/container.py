"""Whole streams in memory: split and join, and the specification's overhead formula."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from bitstream.compact import is_compactable, is_small, rate_code
from bitstream.gop import Gop
from bitstream.header import Header
from bitstream.reader import StreamReader
from bitstream.varint import varint_bytes
from bitstream.writer import StreamWriter


def split(data: bytes) -> tuple[Header, list[Gop]]:
    """Parses a whole stream.

    Raises:
        BitstreamError: the bytes are not a stream.
    """
    reader = StreamReader(BytesIO(data))
    return reader.header, list(reader)


def join(header: Header, gops: Sequence[Gop]) -> bytes:
    """The stream of these GOPs, the bytes that `StreamWriter` writes.

    Raises:
        ValueError: no GOP, too many frames, or a first GOP that refers to another.
    """
    sink = BytesIO()
    writer = StreamWriter(sink, header)
    for gop in gops:
        writer.write_gop(gop)
    writer.finish()
    return sink.getvalue()


def overhead_bytes(header: Header, gops: Sequence[Gop]) -> int:
    """Bytes of `join(header, gops)` that no symbol coder made.

    The formula of docs/bitstream.md, section Overhead, computed without writing anything.
    """
    size = varint_bytes(header.width) + varint_bytes(header.height)
    rate = varint_bytes(header.fps.numerator) + varint_bytes(header.fps.denominator)
    if is_compactable(gops):
        total = 14 + varint_bytes(len(gops[0].content))
        total += 0 if is_small(header) else 1 + size
        total += rate if rate_code(header.fps) == 15 else 0
        return total
    total = 4 + _record_bytes(6 + size + rate)
    for gop in gops:
        for payload in (gop.content, *(segment.payload for segment in gop.segments)):
            total += _record_bytes(2 + len(payload)) - len(payload)
    num_frames = sum(gop.num_frames for gop in gops)
    return total + _record_bytes(varint_bytes(len(gops)) + varint_bytes(num_frames))


def _record_bytes(payload_bytes: int) -> int:
    """Size of a record: tag, payload, CRC."""
    return varint_bytes(8 * payload_bytes) + payload_bytes + 4
