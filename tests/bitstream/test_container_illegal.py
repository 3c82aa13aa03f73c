"""Every illegal value is refused by name, behind CRCs that hold: what version 1 has already."""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import Any

import pytest
from handmade import record

from bitstream import (
    Colour,
    Gop,
    Header,
    MalformedError,
    Segment,
    SoundPacket,
    SoundTrack,
    TruncatedError,
    split,
)

HEADER = "61626364 8005 e802 19 01 01 00"  # abcd, 640, 360, 25/1, BT.709, 4:2:0
CONTENT = "32 01 aabb"
DYNAMICS = "00 01 cc"
END = "01 02"
SIGNATURE = b"DSZ\x01"


def standard(header: str = HEADER, *records: tuple[int, str]) -> bytes:
    body = records or ((1, CONTENT), (2, DYNAMICS), (3, END))
    return SIGNATURE + record(0, header, SIGNATURE) + b"".join(record(*item) for item in body)


def compact(form: int, body: str) -> bytes:
    data = b"DSZ" + bytes([form]) + bytes.fromhex(body)
    return data + zlib.crc32(data).to_bytes(4, "little")


def test_legal_values_pass() -> None:
    header = Header(b"abcd", 640, 360, Fraction(25), Colour(1, False))
    gop = Gop(50, False, 2, b"\xaa\xbb", (Segment(0, 2, b"\xcc"),))
    assert split(standard()) == (header, [gop])
    assert split(compact(0x11, "61626364 32 01 01 8005 e802 02 aabb cc")) == (header, [gop])
    split(standard(HEADER.replace("8005 e802", "808001 8040")))  # 16384 x 8192
    split(standard(HEADER.replace("19 01 01", "8080808008 01 01")))  # 2^31 fps


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("8005", "00"), "width 0, expected 1..16384"),
        (HEADER.replace("8005", "818001"), "width at byte 9: found 16385"),
        (HEADER.replace("e802", "00"), "height 0, expected"),
        (HEADER.replace("e802", "818001"), "height at byte 11: found 16385"),
        (HEADER.replace("8005 e802", "808001 8140"), "16384x8193 pixels"),
        (
            HEADER.replace("8005", "808500"),
            "width at byte 9: found 3 bytes for 640, expected the sh",
        ),
        (HEADER.replace("8005", "80808000"), "width at byte 9: found an unfinished varint"),
        (HEADER.replace("19 01 01", "00 01 01"), "found 0/1, expected a positive fraction"),
        (HEADER.replace("19 01 01", "01 00 01"), "found 1/0, expected a positive fraction"),
        (HEADER.replace("19 01 01", "00 00 01"), "found 0/0, expected a fraction in lowest terms"),
        (HEADER.replace("19 01 01", "32 02 01"), "found 50/2, expected a fraction in lowest terms"),
        (HEADER.replace("19 01 01", "8180808008 01 01"), "frame rate numerator at byte 14: found"),
        (
            HEADER.replace("19 01 01", "19 8180808008 01"),
            "frame rate denominator at byte 15: found",
        ),
        (HEADER.replace("01 01 00", "01 00 00"), "RGB of limited range"),
        (HEADER.replace("01 01 00", "01 83 00"), "matrix coefficients 3, expected"),
        (HEADER.replace("01 01 00", "01 01 01"), "pixel format at byte 16: found 1, expected 0"),
        (HEADER + "00", "header record: record at byte 17: found further bytes"),
        (HEADER[:-3], "pixel format at byte 16: found 0 bytes before the end"),
    ],
)
def test_header_values(header: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(standard(header))


C, D, E = (1, CONTENT), (2, DYNAMICS), (3, END)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([(1, "65 01"), D, E], "GOP 0: content record: quality at byte 22: found 101, expected"),
        ([(1, "b2 01"), D, E], "refs_previous at byte 22: found set, expected clear in the first"),
        ([(1, "32 80"), D, E], "frames less one at byte 23: found 128, expected 0..127"),
        ([(1, "32"), D, E], "frames less one at byte 23: found 0 bytes before the end"),
        ([C, (2, "01 00"), E], "first frame at byte 31: found 1, expected 0"),
        ([C, (2, "00 02"), E], "frames at byte 32: found 3, expected at most 2"),
        ([C, (2, "00 80"), E], "frames less one at byte 32: found 128"),
        ([C, (2, "00 00"), (2, "00 00"), E], "first frame at byte 38: found 0, expected 1"),
        ([C, (2, "00 00"), E], "end record: type at byte 37: found end, expected dynamics"),
        ([C, C, E], "content record: type at byte 30: found content, expected dynamics"),
        ([D, E], "dynamics record: type at byte 21: found dynamics, expected content"),
        ([C, D, D, E], "GOP 1: dynamics record: type at byte 38: found dynamics, expected con"),
        ([E], "end record: type at byte 21: found end, expected content"),
        ([(3, "00 00")], "end record: type at byte 21: found end, expected content"),
        ([(0, HEADER), C, D, E], "header record: type at byte 21: found header, expected content"),
        ([C, D, (4, ""), E], "type-4 record at byte 38: reserved, expected a content record or"),
        ([C, D, (7, "00"), E], "type-7 record at byte 38: reserved"),
        ([C, D, (3, "02 02")], "number of GOPs at byte 39: found 2, expected 1 as read"),
        ([C, D, (3, "01 03")], "number of frames at byte 40: found 3, expected 2 as read"),
        ([C, D, (3, "01 02 00")], "end record: record at byte 41: found further bytes"),
        ([C, D, (3, "01 8200")], "number of frames at byte 40: found 2 bytes for 2"),
        ([C, D, E, E], "stream: end at byte 45: found further bytes, expected none"),
    ],
)
def test_record_values(records: list[tuple[int, str]], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(standard(HEADER, *records))


def test_first_record_must_be_the_header() -> None:
    with pytest.raises(MalformedError, match="found content, expected header"):
        split(SIGNATURE + record(1, CONTENT, SIGNATURE))


def test_tags() -> None:
    head = SIGNATURE + record(0, HEADER, SIGNATURE)
    with pytest.raises(MalformedError, match="record tag at byte 21: found 2 bytes for 33, expect"):
        split(head + record(1, CONTENT, tag=b"\xa1\x00"))
    with pytest.raises(MalformedError, match="record tag at byte 21: found 536870920, expected at"):
        split(head + bytes.fromhex("8880808002"))
    with pytest.raises(MalformedError, match="record tag at byte 21: found an unfinished varint"):
        split(head + b"\x80" * 9)
    with pytest.raises(TruncatedError, match="GOP 0: found the end at byte 21, expected a content"):
        split(head)


@pytest.mark.parametrize("form", [0x21, 0x41, 0x81, 0xE1])
def test_compact_bits_of_the_standard_form(form: int) -> None:
    with pytest.raises(MalformedError, match="expected bits 5-7 zero in the standard form"):
        split(b"DSZ" + bytes([form]) + standard()[4:])


@pytest.mark.parametrize(
    ("form", "body", "message"),
    [
        (0x31, "61626364 65 01 02 aabb cc", "quality 101, expected 0..100"),
        (0x31, "61626364 32 01 04 aabb cc", "content at byte 11: found 3 bytes before the end"),
        (0x31, "61626364 32 01 8200 aabb", "content length at byte 10: found 2 bytes for 2"),
        (0x31, "61626364 32 01 ffffff20 aabb", "content length at byte 10: found 692"),
        (0x11, "61626364 32 01 03 8005 e802 00", "matrix coefficients 3, expected"),
        (0x11, "61626364 32 01 01 00 e802 00", "width 0, expected"),
        (0x11, "61626364 32 01 01 40 40 00", "size at byte 10: found 64x64 in full"),
        (
            0xF1,
            "61626364 b2 81 19 01 00",
            "frame rate at byte 10: found 25 in full, expected code 0",
        ),
        (0xF1, "61626364 b2 81 02 04 00", "frame rate at byte 10: found 2/4, expected a fraction"),
        (0x11, "61626364 32 01 01", "width at byte 11: found 0 bytes before the end"),
    ],
)
def test_compact_values(form: int, body: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(compact(form, body))


def gop_with(**options: Any) -> Gop:
    return Gop(1, False, 1, b"", (Segment(0, 1, b""),), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Header(b"abc", 640, 360, Fraction(25), Colour(1, False)),
        lambda: Header(b"abcd", 0, 360, Fraction(25), Colour(1, False)),
        lambda: Header(b"abcd", 640, 16385, Fraction(25), Colour(1, False)),
        lambda: Header(b"abcd", 16384, 16384, Fraction(25), Colour(1, False)),
        lambda: Header(b"abcd", 640, 360, Fraction(-25), Colour(1, False)),
        lambda: Header(b"abcd", 640, 360, Fraction(2**31 + 1), Colour(1, False)),
        lambda: Header(b"abcd", 1, 1, Fraction(25), Colour(1, False), Fraction(-1)),
        lambda: Header(b"abcd", 1, 1, Fraction(25), Colour(1, False), Fraction(1, 2**16 + 1)),
        lambda: Header(b"abcd", 1, 1, Fraction(25), Colour(1, False), Fraction(2**16 + 1)),
        lambda: SoundTrack("", 48000, 2),
        lambda: SoundTrack("Opus", 48000, 2),
        lambda: SoundTrack("é", 48000, 2),
        lambda: SoundTrack("a" * 33, 48000, 2),
        lambda: SoundTrack("opus", 0, 2),
        lambda: SoundTrack("opus", 2**20 + 1, 2),
        lambda: SoundTrack("opus", 48000, 0),
        lambda: SoundTrack("opus", 48000, 256),
        lambda: SoundTrack("opus", 48000, 2, bytes(2**16 + 1)),
        lambda: gop_with(times=(0,)),
        lambda: gop_with(times=(0, 1, 2)),
        lambda: gop_with(times=(-1, 2)),
        lambda: gop_with(times=(2**53, 2**53 + 1)),
        lambda: gop_with(times=(0, 0)),
        lambda: gop_with(times=(0, 2**40 + 1)),
        lambda: gop_with(sound=(SoundPacket(-(2**53), 1, b"a"),)),
        lambda: gop_with(sound=(SoundPacket(2**53, 1, b"a"),)),
        lambda: gop_with(sound=(SoundPacket(0, 0, b"a"),)),
        lambda: gop_with(sound=(SoundPacket(0, 2**31 + 1, b"a"),)),
        lambda: gop_with(sound=(SoundPacket(0, 1, b""),)),
        lambda: gop_with(sound=(SoundPacket(0, 1, bytes(2**26 - 16)),)),
        lambda: gop_with(sound=(SoundPacket(5, 1, b"a"), SoundPacket(5, 1, b"a"))),
        lambda: Colour(0, False),
        lambda: Gop(101, False, 1, b"", (Segment(0, 1, b""),)),
        lambda: Gop(-1, False, 1, b"", (Segment(0, 1, b""),)),
        lambda: Gop(1, False, 0, b"", ()),
        lambda: Gop(1, False, 129, b"", (Segment(0, 129, b""),)),
        lambda: Gop(1, False, 2, b"", (Segment(0, 1, b""),)),
        lambda: Gop(1, False, 2, b"", (Segment(0, 1, b""), Segment(0, 1, b""))),
        lambda: Gop(1, False, 1, b"", (Segment(0, 1, b""), Segment(1, 0, b""))),
        lambda: Gop(1, False, 1, bytes(2**26 - 1), (Segment(0, 1, b""),)),
    ],
)
def test_illegal_values_cannot_be_built(make: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()  # type: ignore[operator]
