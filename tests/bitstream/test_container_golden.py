"""The specification's examples: packed to the byte, and refused after any small damage."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from bitstream import (
    BitstreamError,
    Colour,
    Gop,
    Header,
    NotDszError,
    Segment,
    TruncatedError,
    UnsupportedVersionError,
    join,
    split,
)

SPECIFICATION = Path(__file__).parents[2] / "docs" / "bitstream.md"
MODEL = bytes.fromhex("9f3a01c2")


def example(dump: str) -> bytes:
    """The bytes of an annotated hexdump: spaces, pairs of digits, a remark."""
    pairs = r"^ {4,}((?:[0-9a-f]{2} {1,2})*[0-9a-f]{2})(?: {3,}.*)?$"
    return bytes.fromhex(" ".join(re.findall(pairs, dump, flags=re.MULTILINE)))


SECTION = SPECIFICATION.read_text(encoding="utf-8").split("## Examples")[1]
STANDARD, COMPACT = (example(dump) for dump in SECTION.split("Compact form:"))
CONTENT = (
    (
        STANDARD,
        Header(MODEL, 640, 360, Fraction(30000, 1001), Colour(1, False)),
        [
            Gop(40, False, 2, b"\xc0\xff\xee", (Segment(0, 2, b"\x51\x0a"),)),
            Gop(40, True, 3, b"\xca\xfe", (Segment(0, 2, b"\x77"), Segment(2, 1, b""))),
        ],
    ),
    (
        COMPACT,
        Header(MODEL, 64, 64, Fraction(12), Colour(1, False)),
        [Gop(50, False, 8, b"\xc0\xff\xee", (Segment(0, 8, b"\x51\x0a"),))],
    ),
)
both = pytest.mark.parametrize("data", [STANDARD, COMPACT], ids=["standard", "compact"])


@pytest.mark.parametrize(("data", "header", "gops"), CONTENT, ids=["standard", "compact"])
def test_example_packs_to_the_byte(data: bytes, header: Header, gops: list[Gop]) -> None:
    assert join(header, gops).hex(" ") == data.hex(" ")
    assert split(data) == (header, gops)


@both
def test_every_prefix_is_refused(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            split(data[:size])


def test_every_prefix_of_the_standard_form_is_called_truncated() -> None:
    for size in range(len(STANDARD)):
        with pytest.raises(TruncatedError):
            split(STANDARD[:size])


@both
def test_every_flipped_bit_is_refused(data: bytes) -> None:
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            split(bytes(damaged))


@both
def test_every_changed_byte_is_refused(data: bytes) -> None:
    for position in range(len(data)):
        for change in (0x55, 0xAA, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= change
            with pytest.raises(BitstreamError):
                split(bytes(damaged))


@both
def test_further_bytes_are_refused(data: bytes) -> None:
    for extra in (b"\0", b"DSZ", data):
        with pytest.raises(BitstreamError):
            split(data + extra)


@both
def test_every_missing_or_doubled_byte_is_refused(data: bytes) -> None:
    for position in range(len(data)):
        for damaged in (
            data[:position] + data[position + 1 :],
            data[:position] + data[position : position + 1] + data[position:],
        ):
            with pytest.raises(BitstreamError):
                split(damaged)


def test_lost_or_repeated_records_are_refused() -> None:
    bounds = [0, 24, 34, 43, 52, 60, 67, 74]
    records = [STANDARD[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    for index in range(len(records)):
        for kept in (
            records[:index] + records[index + 1 :],
            records[: index + 1] + records[index:],
        ):
            with pytest.raises(BitstreamError):
                split(b"".join(kept))


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(NotDszError, match="found b'RIF'"):
        split(b"RIFF" + COMPACT)
    with pytest.raises(UnsupportedVersionError, match="found version 2, expected 1"):
        split(STANDARD[:3] + b"\x02" + STANDARD[4:])
    damaged = bytearray(STANDARD)
    damaged[47] ^= 1
    with pytest.raises(
        BitstreamError, match=r"GOP 1: content record at byte 43: CRC dac8f4f2, exp"
    ):
        split(bytes(damaged))
