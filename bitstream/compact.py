"""The compact form: one GOP of one segment under a single CRC."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO

from bitstream.errors import MalformedError, TruncatedError
from bitstream.gop import Gop, Segment
from bitstream.header import (
    Colour,
    Header,
    pack_colour,
    unpack_colour,
    unpack_rate,
    version_for,
)
from bitstream.limits import MAX_CODER_BYTES, MAX_SIDE, RGB_VERSION
from bitstream.record import CRC_BYTES, RecordInfo, RecordType, check_crc, crc_bytes
from bitstream.signature import COMPACT, RATE_SHIFT, SMALL, VERSION_MASK, pack_signature
from bitstream.source import ByteSource, legal_values
from bitstream.varint import pack_varint

_NTSC = Fraction(1000, 1001)
RATES = tuple(
    Fraction(rate)
    for rate in (25, 30, 24, 24 * _NTSC, 30 * _NTSC, 50, 60 * _NTSC, 60, 48, 120, 12, 15, 10, 8, 20)
)
"""The frame rates of codes 0 to 14; code 15 announces a rate in full."""

_EXPLICIT_RATE = 15
_SMALL_SIDE = 64
_SMALL_COLOURS = {1: Colour(1, False), 2: Colour(1, False), RGB_VERSION: Colour(0, True)}
_MAX_COMPACT_BYTES = 2 * MAX_CODER_BYTES + 64
_MIN_COMPACT_BYTES = 11
_PLACE = "compact form"


def is_compactable(header: Header, gops: Sequence[Gop]) -> bool:
    """Whether the compact form can hold this header and these GOPs, all of a stream's."""
    if header.sound or header.sample_aspect != 1 or len(gops) != 1:
        return False
    return len(gops[0].segments) == 1 and gops[0].times is None


def rate_code(fps: Fraction) -> int:
    """Code of a frame rate, 15 for one that is written in full."""
    return RATES.index(fps) if fps in RATES else _EXPLICIT_RATE


def is_small(header: Header) -> bool:
    """Whether one bit stands for size and colour: 64x64 in RGB, or in BT.709 of limited range."""
    size = (header.width, header.height)
    colour = _SMALL_COLOURS[version_for(header)]
    return size == (_SMALL_SIDE, _SMALL_SIDE) and header.colour == colour


def pack_compact(header: Header, gop: Gop) -> bytes:
    """A whole stream of one GOP of one segment."""
    (segment,) = gop.segments
    code = rate_code(header.fps)
    small = is_small(header)
    flags = COMPACT | (SMALL if small else 0) | (code & 3) << RATE_SHIFT
    body = bytearray(pack_signature(version_for(header), flags))
    body += header.model
    body += bytes([gop.quality | (code >> 2 & 1) << 7, gop.num_frames - 1 | (code >> 3) << 7])
    if code == _EXPLICIT_RATE:
        body += pack_varint(header.fps.numerator) + pack_varint(header.fps.denominator)
    if not small:
        body += pack_colour(header.colour)
        body += pack_varint(header.width) + pack_varint(header.height)
    body += pack_varint(len(gop.content)) + gop.content + segment.payload
    return bytes(body) + crc_bytes(bytes(body))


def read_compact(
    source: ByteSource, signature: bytes
) -> tuple[Header, Gop, tuple[RecordInfo, ...]]:
    """Reads the rest of a compact stream, checks its CRC, then parses it.

    Args:
        source: behind the signature.
        signature: the four bytes before.

    Raises:
        BitstreamError: truncated, damaged or malformed.
    """
    source.place = _PLACE
    start = source.offset
    data = source.read_up_to(_MAX_COMPACT_BYTES)
    if not source.at_end():
        raise MalformedError(f"{_PLACE}: found more than {_MAX_COMPACT_BYTES} bytes")
    if len(data) < _MIN_COMPACT_BYTES:
        raise TruncatedError(
            f"{_PLACE}: found {len(data)} bytes from byte {start}, "
            f"expected at least {_MIN_COMPACT_BYTES}"
        )
    body, crc = data[:-CRC_BYTES], data[-CRC_BYTES:]
    check_crc(crc, signature + body, _PLACE)
    fields = ByteSource(BytesIO(body), offset=start, place=_PLACE, end_error=MalformedError)
    header, quality, num_frames = _read_header(fields, signature[-1])
    at = fields.offset
    length = fields.varint("content length", MAX_CODER_BYTES)
    content = fields.take(length, "content")
    end = fields.offset
    payload = body[end - start :]
    with legal_values(_PLACE):
        gop = Gop(quality, False, num_frames, content, (Segment(0, num_frames, payload),))
    parts = (
        RecordInfo(RecordType.HEADER, None, 0, at, at, 0),
        RecordInfo(RecordType.CONTENT, 0, at, end - at, end - at - length, length),
        RecordInfo(RecordType.DYNAMICS, 0, end, len(payload), 0, len(payload)),
        RecordInfo(RecordType.END, None, end + len(payload), CRC_BYTES, CRC_BYTES, 0),
    )
    return header, gop, parts


def _read_header(fields: ByteSource, form: int) -> tuple[Header, int, int]:
    """Reads all fields before the content's length: header, quality index, number of frames."""
    model = fields.take(4, "model identity")
    quality, frames = fields.take(2, "quality and number of frames")
    version = form & VERSION_MASK
    code = form >> RATE_SHIFT | quality >> 7 << 2 | frames >> 7 << 3
    start = fields.offset
    fps = unpack_rate(fields) if code == _EXPLICIT_RATE else RATES[code]
    if code != rate_code(fps):
        fields.fail("frame rate", start, f"{fps} in full", f"code {rate_code(fps)}")
    width, height, colour = _SMALL_SIDE, _SMALL_SIDE, _SMALL_COLOURS[version]
    start = fields.offset
    if not form & SMALL:
        colour = unpack_colour(fields, version)
        width, height = fields.varint("width", MAX_SIDE), fields.varint("height", MAX_SIDE)
    with legal_values(_PLACE):
        header = Header(model, width, height, fps, colour)
    if is_small(header) and not form & SMALL:
        fields.fail("size", start, "64x64 in full", "bit 5 of the form byte")
    return header, quality & 0x7F, (frames & 0x7F) + 1
