"""Streams packed by hand, without the package: what the tests compare it with."""

from __future__ import annotations

import zlib
from fractions import Fraction

from bitstream import Colour, Gop, Header, Segment, SoundPacket, SoundTrack

STARTS = {1: 2900, 5: 14000, 9: 27001}


def varint(value: int) -> bytes:
    if value < 128:
        return bytes([value])
    return bytes([value % 128 + 128]) + varint(value // 128)


def signed(value: int) -> bytes:
    return varint(2 * value if value >= 0 else -2 * value - 1)


def record(kind: int, payload: str | bytes, prefix: bytes = b"", tag: bytes | None = None) -> bytes:
    """A record of a payload in hexadecimal digits or bytes, with a CRC that holds."""
    data = bytes.fromhex(payload) if isinstance(payload, str) else payload
    tag = varint(len(data) * 8 + kind) if tag is None else tag
    return tag + data + zlib.crc32(prefix + tag + data).to_bytes(4, "little")


def stream(header: str, gops: list[list[bytes]], *, index: bytes | None = None) -> bytes:
    """A version 2 stream of ready records, closed as it must be unless an index is given.

    The header lacks nothing; each GOP has two frames.
    """
    signature = b"DSZ\x02"
    if index is None:
        index = b"".join(varint(sum(map(len, gop))) + b"\x01" for gop in gops)
        index = record(6, index) if len(gops) > 8 else b""
    distance = len(index) + len(record(3, varint(len(gops)) + varint(2 * len(gops)) + bytes(4)))
    last = (distance if index else 0).to_bytes(4, "little")
    end = record(3, varint(len(gops)) + varint(2 * len(gops)) + last)
    body = b"".join(b"".join(gop) for gop in gops)
    return signature + record(0, header, signature) + body + index + end


def everything() -> tuple[bytes, Header, list[Gop]]:
    """Ten GOPs of two frames with all that version 2 has: 60 fps, some with times, some with sound.

    Returns:
        The stream, and what is in it.
    """
    header = "61626364 8005 e802 3c01 8900 03 0302 03616163 c4d802 01 02a1a2"
    gops, records = [], []
    for i in range(10):
        times: tuple[int, ...] | None = None
        sound: tuple[SoundPacket, ...] = ()
        made = [record(1, bytes([50 + 128 * (i > 0), 1, i])), record(2, bytes([0, 1, 7]))]
        if i in STARTS:  # a frame of 1500 ticks, as 60 fps have, then one of 500 more or less
            start, longer = STARTS[i], 500 if i == 1 else -500
            times = (start, start + 1500, start + 3000 + longer)
            made.insert(0, record(5, varint(start) + signed(0) + signed(longer)))
        if i % 3 == 0:
            first = -1024 + 5000 * i
            sound = (
                SoundPacket(first, 1024, bytes([i])),
                SoundPacket(first + 1024, 1024, b"\xbb\xcc"),
                SoundPacket(first + 2050, 1000, b"\xdd"),
            )
            made.append(record(4, signed(first) + b"\x03\x80\x08" + bytes([i]) + b"\x04\xbb\xcc"))
            made.append(record(4, signed(first + 2050) + b"\x03\xe8\x07\xdd"))
        gops.append(Gop(50, i > 0, 2, bytes([i]), (Segment(0, 2, b"\x07"),), times, sound))
        records.append(made)
    track = SoundTrack("aac", 44100, 1, b"\xa1\xa2")
    what = Header(b"abcd", 640, 360, Fraction(60), Colour(9, True), Fraction(3, 2), track)
    return stream(header, records), what, gops
