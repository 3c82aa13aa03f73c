"""What of an elementary stream counts: all but what no decoder needs for its pictures.

H.264 and H.265 (Annex B) count without SEI messages: x264 and x265 write their banner, 700 and
2400 bytes of text, into one. AV1 (low-overhead format) counts without metadata and padding OBUs;
its temporal delimiters, 2 bytes a frame, count, as the start codes of Annex B do: both formats
demand them. VP9 and MPEG-2 packets count as they are.

Parsed are the units only. Their payloads, emulation prevention bytes included, stay untouched, so
a decoder is given exactly what is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

Stream = Literal["h264", "h265", "av1", "vp9", "mpeg2"]

_START = b"\0\0\1"
_SEI = {"h264": frozenset({6}), "h265": frozenset({39, 40})}
_OBU_METADATA, _OBU_PADDING = 5, 15
_USER_DATA_UNREGISTERED = 5
_UUID_BYTES = 16


def counted(packets: Iterable[bytes], stream: Stream) -> tuple[bytes, ...]:
    """The packets of an encoder without what does not count; a packet of nothing else goes.

    Raises:
        ValueError: a packet is malformed.
    """
    kept = (b"".join(_kept_units(packet, stream)) for packet in packets)
    return tuple(packet for packet in kept if packet)


def _kept_units(packet: bytes, stream: Stream) -> Iterator[bytes]:
    if stream in ("h264", "h265"):
        yield from (u for u in nal_units(packet) if nal_type(u, stream) not in _SEI[stream])
    elif stream == "av1":
        yield from (u for kind, u in obus(packet) if kind not in (_OBU_METADATA, _OBU_PADDING))
    else:
        yield packet


def nal_units(packet: bytes) -> Iterator[bytes]:
    """NAL units of a byte stream (Annex B of H.264 and H.265), each with its start code.

    Joined they are the packet again: a start code of four bytes keeps its zero, other zeros between
    units end the unit before them.

    Raises:
        ValueError: it does not begin with a start code.
    """
    starts = [match.start() for match in re.finditer(re.escape(_START), packet)]
    if not starts or packet[: starts[0]].strip(b"\0"):
        raise ValueError(f"no start code before {packet[:8].hex()}")
    # The byte before a start code belongs to it if it is zero: a NAL unit never ends with a zero.
    inner = [start - (packet[start - 1] == 0) for start in starts[1:]]
    for begin, end in zip([0, *inner], [*inner, len(packet)], strict=True):
        yield packet[begin:end]


def nal_type(unit: bytes, stream: Stream) -> int:
    """nal_unit_type of a unit with its start code.

    Raises:
        ValueError: its header is cut, or its forbidden bit is set.
    """
    body = _body(unit)
    if len(body) < _header_bytes(stream):
        raise ValueError(f"a NAL unit of {stream} without a header")
    if body[0] & 0x80:
        raise ValueError(f"NAL unit header {body[0]:02x}: the forbidden bit is set")
    return body[0] & 31 if stream == "h264" else body[0] >> 1 & 63


def obus(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """Open bitstream units of AV1 (section 5.3), type and bytes with the header.

    Raises:
        ValueError: a unit is cut, its size malformed, or its forbidden bit set.
    """
    at = 0
    while at < len(packet):
        header = packet[at]
        if header & 0x80:
            raise ValueError(f"OBU header {header:02x} at byte {at}: the forbidden bit is set")
        begin = at + (2 if header & 4 else 1)  # obu_extension_flag
        if begin > len(packet):
            raise ValueError(f"OBU at byte {at}: its header is cut")
        end = len(packet)  # without obu_has_size_field it takes the rest
        if header & 2:
            size, begin = _leb128(packet, begin)
            end = begin + size
        if end > len(packet):
            raise ValueError(f"OBU at byte {at}: {end - at} bytes, {len(packet) - at} are there")
        yield header >> 3 & 15, packet[at:end]
        at = end


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned integer of 7 bits a byte, lowest first (AV1, 4.10.5), and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * index
        if not byte & 128:
            if value >= 1 << 32:
                raise ValueError(f"OBU size {value} at byte {at}: above 2^32 - 1")
            return value, at + index + 1
    raise ValueError(f"OBU size at byte {at}: no end")


def banner(packets: Iterable[bytes], stream: Stream) -> str:
    """Text that an encoder of H.264 or H.265 signs its stream with; "" where there is none.

    Raises:
        ValueError: a packet is malformed.
    """
    for packet in packets:
        for unit in nal_units(packet):
            if nal_type(unit, stream) in _SEI[stream]:
                payload = _body(unit)[_header_bytes(stream) :].rstrip(b"\0")
                for kind, message in _sei_messages(payload.replace(b"\0\0\3", b"\0\0")):
                    if kind == _USER_DATA_UNREGISTERED:
                        return message[_UUID_BYTES:].rstrip(b"\0").decode("ascii", "replace")
    return ""


def _sei_messages(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of the messages of an SEI unit (H.264, 7.3.2.3)."""
    at = 0
    while len(payload) - at > 1:  # one byte: the trailing bits
        fields = []
        for _ in range(2):
            ones = re.compile(b"\xff*").match(payload, at)
            assert ones is not None  # it matches nothing, too
            at = ones.end() + 1
            if at > len(payload):
                raise ValueError("an SEI message's header is cut")
            fields.append(255 * len(ones[0]) + payload[at - 1])
        kind, size = fields
        if at + size > len(payload):
            raise ValueError(f"SEI message: {size} bytes, {len(payload) - at} are there")
        yield kind, payload[at : at + size]
        at += size


def _body(unit: bytes) -> bytes:
    return unit[unit.index(_START) + len(_START) :]


def _header_bytes(stream: Stream) -> int:
    return 1 if stream == "h264" else 2
