"""Whole streams in memory: split and join, and the specification's overhead formula."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO

from bitstream.compact import is_compactable, is_small, rate_code
from bitstream.gop import Gop
from bitstream.header import Header
from bitstream.limits import MIN_INDEXED_GOPS
from bitstream.reader import StreamReader
from bitstream.record import record_bytes
from bitstream.sound_record import sound_framing_bytes, sound_runs
from bitstream.times import time_steps
from bitstream.varint import varint_bytes, zigzag
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
        ValueError: no GOP, or GOPs that cannot follow each other.
    """
    sink = BytesIO()
    writer = StreamWriter(sink, header)
    for gop in gops:
        writer.write_gop(gop)
    writer.finish()
    return sink.getvalue()


def overhead_bytes(header: Header, gops: Sequence[Gop]) -> int:
    """Bytes of `join(header, gops)` that no symbol coder and no sound codec made.

    The formula of docs/bitstream.md, section Overhead, computed without writing anything.
    """
    size = varint_bytes(header.width) + varint_bytes(header.height)
    rate = _fraction_bytes(header.fps)
    if is_compactable(header, gops):
        total = 14 + varint_bytes(len(gops[0].content))
        total += 0 if is_small(header) else 1 + size
        total += rate if rate_code(header.fps) == 15 else 0
        return total
    total = 4 + record_bytes(7 + size + rate + _option_bytes(header))
    num_frames = index = 0
    for gop in gops:
        overhead, data = _gop_bytes(gop, header.fps)
        total += overhead
        index += varint_bytes(overhead + data) + 1
        num_frames += gop.num_frames
    if len(gops) >= MIN_INDEXED_GOPS:
        total += record_bytes(index)
    return total + record_bytes(varint_bytes(len(gops)) + varint_bytes(num_frames) + 4)


def _option_bytes(header: Header) -> int:
    """The header's fields behind its flags."""
    total = 0 if header.sample_aspect == 1 else _fraction_bytes(header.sample_aspect)
    if header.sound:
        setup = len(header.sound.extradata)
        total += 2 + len(header.sound.codec) + varint_bytes(header.sound.sample_rate)
        total += varint_bytes(setup) + setup
    return total


def _gop_bytes(gop: Gop, fps: Fraction) -> tuple[int, int]:
    """Of a GOP's records: overhead, and coder bytes with sound packets."""
    overhead = data = 0
    if gop.times is not None:
        steps = sum(varint_bytes(zigzag(step)) for step in time_steps(gop.times, fps))
        overhead += record_bytes(varint_bytes(gop.times[0]) + steps)
    parts = [(2, len(part)) for part in (gop.content, *(s.payload for s in gop.segments))]
    for run in sound_runs(gop.sound):
        parts.append((sound_framing_bytes(run), sum(len(packet.data) for packet in run)))
    for framing, num_bytes in parts:
        overhead += record_bytes(framing + num_bytes) - num_bytes
        data += num_bytes
    return overhead, data


def _fraction_bytes(value: Fraction) -> int:
    return varint_bytes(value.numerator) + varint_bytes(value.denominator)
