"""The specification's examples: packed to the byte, and refused after any small damage."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from handmade import everything

from bitstream import (
    BitstreamError,
    Colour,
    Gop,
    Header,
    NotDszError,
    RecordInfo,
    RecordType,
    Segment,
    SoundPacket,
    SoundTrack,
    StreamReader,
    TruncatedError,
    UnsupportedVersionError,
    join,
    scan,
    split,
)

SPECIFICATION = Path(__file__).parents[2] / "docs" / "bitstream.md"
MODEL = bytes.fromhex("9f3a01c2")


def example(dump: str) -> bytes:
    """The bytes of an annotated hexdump: spaces, pairs of digits, a remark."""
    pairs = r"^ {4,}((?:[0-9a-f]{2} {1,2})*[0-9a-f]{2})(?: {3,}.*)?$"
    return bytes.fromhex(" ".join(re.findall(pairs, dump, flags=re.MULTILINE)))


SECTION = SPECIFICATION.read_text(encoding="utf-8").split("## Examples")[1]
STANDARD, COMPACT, NINE, RGB = (
    example(dump) for dump in re.split("Compact form:|Index:|## Versions", SECTION)
)
INDEXED = NINE[:20] + 9 * NINE[20:39] + NINE[39:]

SMALL_GOP = Gop(50, False, 8, b"\xc0\xff\xee", (Segment(0, 8, b"\x51\x0a"),))
SMALL_HEADER = Header(MODEL, 64, 64, Fraction(12), Colour(1, False))
CONTENT = {
    "standard": (
        STANDARD,
        Header(
            MODEL,
            640,
            360,
            Fraction(30000, 1001),
            Colour(1, False),
            Fraction(16, 11),
            SoundTrack("opus", 48000, 2, b"\x0a\x0b"),
        ),
        [
            Gop(
                40,
                False,
                2,
                b"\xc0\xff\xee",
                (Segment(0, 2, b"\x51\x0a"),),
                None,
                (
                    SoundPacket(-312, 960, b"\xa1\xa2"),
                    SoundPacket(648, 960, b"\xa3"),
                    SoundPacket(1608, 480, b"\xa4"),
                ),
            ),
            Gop(
                40,
                True,
                3,
                b"\xca\xfe",
                (Segment(0, 2, b"\x77"), Segment(2, 1, b"")),
                (6006, 9009, 15015, 18018),
                (SoundPacket(2400, 960, b"\xa5"),),
            ),
        ],
    ),
    "compact": (COMPACT, SMALL_HEADER, [SMALL_GOP]),
    "index": (INDEXED, SMALL_HEADER, [SMALL_GOP] * 9),
    "compact RGB": (RGB, replace(SMALL_HEADER, colour=Colour(0, True)), [SMALL_GOP]),
}
VERSION_1 = {
    "version 1 standard": (
        example(
            """
    44 53 5a 01                                        DSZ, version 1
    78  9f 3a 01 c2  80 05  e8 02  b0 ea 01 e9 07      header, 15 bytes: model, 640, 360, 30000/1001
        01  00  30 8f cb 2d                            colour, pixel format, CRC
    29  28 01  c0 ff ee  b0 52 55 9d                   content, 5 bytes: quality 40, 2 frames
    22  00 01  51 0a  45 64 94 3f                      dynamics, 4 bytes: from frame 0, 2 frames
    21  a8 02  ca fe  f2 f4 c8 da                      content: quality 40, refs_previous, 3 frames
    1a  00 01  77  39 bd 9a c9                         dynamics: from frame 0, 2 frames
    12  02 00  8e cc d5 d2                             dynamics: from frame 2, 1 frame, no bytes
    13  02 05  36 52 7d a3                             end: 2 GOPs, 5 frames
"""
        ),
        Header(MODEL, 640, 360, Fraction(30000, 1001), Colour(1, False)),
        [
            Gop(40, False, 2, b"\xc0\xff\xee", (Segment(0, 2, b"\x51\x0a"),)),
            Gop(40, True, 3, b"\xca\xfe", (Segment(0, 2, b"\x77"), Segment(2, 1, b""))),
        ],
    ),
    "version 1 compact": (
        example(
            """
    44 53 5a b1  9f 3a 01 c2                           DSZ, compact, small, rate bits 10; model
    32 87                                              quality 50, bit 2 clear; 8 frames, bit 3 set
    03  c0 ff ee  51 0a  84 55 00 70                   content length, content, dynamics, CRC
"""
        ),
        SMALL_HEADER,
        [SMALL_GOP],
    ),
}
ALL = {**CONTENT, **VERSION_1, "everything": everything()}
every_stream = pytest.mark.parametrize("data", [item[0] for item in ALL.values()], ids=list(ALL))
every_standard_form = pytest.mark.parametrize(
    "data", [item[0] for name, item in ALL.items() if "compact" not in name]
)


@pytest.mark.parametrize(
    ("data", "header", "gops"), [*CONTENT.values(), everything()], ids=[*CONTENT, "everything"]
)
def test_example_packs_to_the_byte(data: bytes, header: Header, gops: list[Gop]) -> None:
    assert join(header, gops).hex(" ") == data.hex(" ")
    assert split(data) == (header, gops)


@pytest.mark.parametrize(("data", "header", "gops"), VERSION_1.values(), ids=list(VERSION_1))
def test_version_1_is_read(data: bytes, header: Header, gops: list[Gop]) -> None:
    assert split(data) == (header, gops)
    assert split(join(header, gops)) == (header, gops), "written anew, as version 2"
    assert StreamReader(io.BytesIO(data)).version == 1
    assert StreamReader(io.BytesIO(join(header, gops))).version == 2


def test_released_version_1_streams_are_read() -> None:
    paths = sorted((SPECIFICATION.parents[1] / "tests" / "golden").glob("v1-*.dsz"))
    assert paths
    for path in paths:
        data = path.read_bytes()
        header, gops = split(data)
        again = scan(io.BytesIO(join(header, gops)))
        summary = scan(io.BytesIO(data))
        assert (summary.version, summary.file_bytes) == (1, len(data))
        assert replace(summary, version=2, overhead_bytes=again.overhead_bytes) == again


@every_stream
def test_every_prefix_is_refused(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            split(data[:size])


@every_standard_form
def test_every_prefix_of_the_standard_form_is_called_truncated(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(TruncatedError):
            split(data[:size])


@every_stream
def test_every_flipped_bit_is_refused(data: bytes) -> None:
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            split(bytes(damaged))


@every_stream
def test_every_changed_byte_is_refused(data: bytes) -> None:
    for position in range(len(data)):
        for change in (0x03, 0x55, 0xAA, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= change
            with pytest.raises(BitstreamError):
                split(bytes(damaged))


@every_stream
def test_further_bytes_are_refused(data: bytes) -> None:
    for extra in (b"\0", b"DSZ", data):
        with pytest.raises(BitstreamError):
            split(data + extra)


@every_stream
def test_every_missing_or_doubled_byte_is_refused(data: bytes) -> None:
    for position in range(len(data)):
        for damaged in (
            data[:position] + data[position + 1 :],
            data[:position] + data[position : position + 1] + data[position:],
        ):
            if damaged != data:
                with pytest.raises(BitstreamError):
                    split(damaged)


@every_standard_form
def test_lost_repeated_or_exchanged_records_are_refused(data: bytes) -> None:
    infos: list[RecordInfo] = []
    scan(io.BytesIO(data), infos.append)
    records = [data[info.offset : info.offset + info.size] for info in infos]
    uncounted = () if len(split(data)[1]) > 8 else (RecordType.SOUND, RecordType.TIMES)
    for i in range(len(records)):
        if infos[i].kind in uncounted:  # without an index only their place is fixed
            continue
        for kept in (
            records[:i] + records[i + 1 :],
            records[: i + 1] + records[i:],
            records[:i] + records[i + 1 : i + 2] + records[i : i + 1] + records[i + 2 :],
        ):
            if kept != records:
                with pytest.raises(BitstreamError):
                    split(b"".join(kept))


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(NotDszError, match="found b'RIF'"):
        split(b"RIFF" + COMPACT)
    with pytest.raises(UnsupportedVersionError, match="found version 4, expected 1 to 3"):
        split(STANDARD[:3] + b"\x04" + STANDARD[4:])
    damaged = bytearray(STANDARD)
    damaged[STANDARD.index(b"\xca\xfe")] ^= 1
    with pytest.raises(
        BitstreamError, match=r"GOP 1: content record at byte 89: CRC dac8f4f2, exp"
    ):
        split(bytes(damaged))
