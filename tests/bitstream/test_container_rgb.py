"""Streams of RGB, format version 3: byte for byte, and whatever mixes RGB with 4:2:0 is refused."""

from __future__ import annotations

import zlib
from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import pytest
from handmade import record, varint

from bitstream import (
    BitstreamError,
    Colour,
    Gop,
    Header,
    MalformedError,
    Segment,
    SoundPacket,
    SoundTrack,
    StreamReader,
    TruncatedError,
    join,
    overhead_bytes,
    read_header,
    scan,
    split,
)
from bitstream.seek import without_dynamics

RGB, YUV = Colour(0, True), Colour(1, False)
HEADER = Header(b"abcd", 3, 200, Fraction(25), RGB)
GOP = Gop(50, False, 2, b"\xaa\xbb", (Segment(0, 2, b"\xcc"),))
NEXT = Gop(50, True, 2, b"\xaa", (Segment(0, 1, b"\xcc"), Segment(1, 1, b"")))
SMALL = replace(HEADER, width=64, height=64)

PICTURE = "61626364 03 c801 19 01 80 01"  # abcd, 3x200, 25/1, RGB, 4:4:4


def standard(version: int, header: str) -> bytes:
    """A stream of `GOP` and `NEXT`."""
    signature = b"DSZ" + bytes([version])
    end = "02 04 00000000" if version > 1 else "02 04"
    parts = [(1, "32 01 aabb"), (2, "00 01 cc"), (1, "b2 01 aa"), (2, "00 00 cc"), (2, "01 00")]
    body = b"".join(record(*part) for part in (*parts, (3, end)))
    return signature + record(0, header, signature) + body


def compact(form: int, rest: str) -> bytes:
    """A stream of `GOP`: what follows the number of frames is given."""
    data = b"DSZ" + bytes([form]) + bytes.fromhex("61626364 32 01" + rest)
    return data + zlib.crc32(data).to_bytes(4, "little")


HAND_MADE = {
    "standard": (standard(3, PICTURE + "00"), HEADER, [GOP, NEXT]),
    "compact": (compact(0x13, "80 03 c801 02 aabb cc"), HEADER, [GOP]),
    "small": (compact(0x33, "02 aabb cc"), SMALL, [GOP]),
}


@pytest.mark.parametrize(("data", "header", "gops"), HAND_MADE.values(), ids=list(HAND_MADE))
def test_hand_made_streams(data: bytes, header: Header, gops: list[Gop]) -> None:
    assert join(header, gops).hex(" ") == data.hex(" ")
    assert split(data) == (header, gops)
    assert read_header(BytesIO(data)).colour.is_rgb
    assert scan(BytesIO(data)).version == 3


@pytest.mark.parametrize("data", [made[0] for made in HAND_MADE.values()], ids=list(HAND_MADE))
def test_every_prefix_and_every_flipped_bit_is_refused(data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            split(data[:size])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            split(bytes(damaged))


def test_every_prefix_of_the_standard_form_is_called_truncated() -> None:
    data = HAND_MADE["standard"][0]
    for size in range(len(data)):
        with pytest.raises(TruncatedError):
            split(data[:size])


def test_only_rgb_is_of_version_3() -> None:
    assert RGB.is_rgb and not any(Colour(code, True).is_rgb for code in (1, 2, 5, 6, 9))
    for gops in ([GOP], [GOP, NEXT]):
        for colour in (YUV, Colour(9, True)):
            assert join(replace(HEADER, colour=colour), gops)[3] & 0x0F == 2
        assert join(HEADER, gops)[3] & 0x0F == 3


def test_overhead_is_that_of_version_2() -> None:
    def both(header: Header, gops: list[Gop]) -> tuple[int, int]:
        """The formula's count, which must be the stream's, in RGB and in 4:2:0."""
        coded = sum(len(g.content) + sum(len(s.payload) for s in g.segments) for g in gops)
        counts = []
        for colour in (RGB, YUV):
            described = replace(header, colour=colour)
            counts.append(overhead_bytes(described, gops))
            assert counts[-1] == len(join(described, gops)) - coded
        return counts[0], counts[1]

    assert both(SMALL, [GOP]) == (15, 15)
    assert both(HEADER, [GOP]) == (19, 19)
    assert both(replace(SMALL, fps=Fraction(7)), [GOP]) == (17, 17)
    assert both(replace(HEADER, fps=Fraction(7, 2)), [GOP]) == (21, 21)
    for gops in ([GOP, NEXT], [GOP, NEXT] * 20):
        rgb, yuv = both(SMALL, gops)
        assert rgb == yuv


def test_all_that_version_2_has() -> None:
    track = SoundTrack("opus", 48000, 2, b"\x0a")
    header = replace(HEADER, fps=Fraction(24000, 1001), sample_aspect=Fraction(4, 3), sound=track)
    gops = [
        replace(GOP, times=(0, 3000, 9000), sound=(SoundPacket(-312, 960, b"ab"),)),
        replace(NEXT, times=(9000, 9001, 9002)),
    ]
    data = join(header, gops)
    assert data[3] == 3
    assert split(data) == (header, gops)
    assert len(data) - 5 - 2 == overhead_bytes(header, gops)


@pytest.mark.parametrize("header", [HEADER, replace(SMALL, fps=Fraction(30000, 1001))])
def test_many_gops_have_an_index_to_seek_by(header: Header) -> None:
    gops = [GOP] + [replace(NEXT, content=bytes([i])) for i in range(49)]
    data = join(header, gops)
    assert split(data) == (header, gops)
    for place in (0, 1, 24, 49):
        reader = StreamReader(BytesIO(data))
        before = reader.seek(2 * place / header.fps + Fraction(1, 1000))
        assert reader.next_frame == 2 * place
        assert before == [without_dynamics(gop) for gop in gops[max(place - 1, 0) : place]]
        assert list(reader) == gops[place:]


@pytest.mark.parametrize(
    ("version", "colour", "pixel_format", "message"),
    [
        (1, "80", "01", "colour at byte 14: found 0x80, expected no RGB in version 1"),
        (2, "80", "01", "colour at byte 14: found 0x80, expected no RGB in version 2"),
        (2, "80", "00", "colour at byte 14: found 0x80, expected no RGB in version 2"),
        (2, "01", "01", "pixel format at byte 15: found 1, expected 0"),
        (3, "80", "00", "pixel format at byte 15: found 0, expected 1"),
        (3, "80", "02", "pixel format at byte 15: found 2, expected 1"),
        (3, "01", "00", "colour at byte 14: found 0x01, expected RGB in version 3"),
        (3, "81", "01", "colour at byte 14: found 0x81, expected RGB in version 3"),
        (3, "89", "01", "colour at byte 14: found 0x89, expected RGB in version 3"),
        (1, "00", "00", "RGB of limited range, expected full range"),
        (2, "00", "00", "RGB of limited range, expected full range"),
        (3, "00", "01", "RGB of limited range, expected full range"),
        (3, "83", "01", "matrix coefficients 3, expected"),
    ],
)
def test_colour_pixel_format_and_version_belong_together(
    version: int, colour: str, pixel_format: str, message: str
) -> None:
    header = PICTURE.replace("80 01", f"{colour} {pixel_format}") + "00" * (version > 1)
    with pytest.raises(MalformedError, match=message):
        split(standard(version, header))


@pytest.mark.parametrize(
    ("form", "rest", "message"),
    [
        (0x11, "80 03 c801 02 aabb cc", "colour at byte 10: found 0x80, expected no RGB in ver"),
        (0x12, "80 03 c801 02 aabb cc", "colour at byte 10: found 0x80, expected no RGB in ver"),
        (0x13, "01 03 c801 02 aabb cc", "colour at byte 10: found 0x01, expected RGB in version 3"),
        (0x13, "00 03 c801 02 aabb cc", "RGB of limited range, expected full range"),
        (0x13, "80 40 40 02 aabb cc", "size at byte 10: found 64x64 in full, expected bit 5"),
        (0x13, "80 00 c801 02 aabb cc", "width 0, expected"),
    ],
)
def test_the_compact_form_is_as_strict(form: int, rest: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(compact(form, rest))


def test_the_small_bit_means_the_colour_of_its_version() -> None:
    same = "02 aabb cc"
    assert split(compact(0x32, same))[0] == replace(SMALL, colour=YUV)
    assert split(compact(0x33, same))[0] == SMALL
    # What has the other version's small colour is written in full.
    assert split(compact(0x12, "81 40 40" + same))[0].colour == Colour(1, True)


def test_the_next_version_is_not_guessed_at() -> None:
    for form in (0x04, 0x14, 0x34):
        with pytest.raises(BitstreamError, match="found version 4, expected 1 to 3"):
            split(compact(form, "02 aabb cc"))


def test_rgb_of_limited_range_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="limited range"):
        Colour(0, False)


def test_sizes_of_the_format_are_those_of_version_2() -> None:
    largest = replace(HEADER, width=16384, height=8192)
    assert split(join(largest, [GOP])) == (largest, [GOP])
    data = compact(0x13, "80" + (varint(16385) + varint(1)).hex() + "02 aabb cc")
    with pytest.raises(MalformedError, match="width at byte 11: found 16385"):
        split(data)
