"""What a stream says about itself once, and the fields of the header record."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from bitstream.limits import MATRICES, MAX_PIXELS, MAX_RATE, MAX_SIDE
from bitstream.source import ByteSource, legal_values
from bitstream.varint import pack_varint

PIXEL_FORMAT_420_8BIT = 0
_FULL_RANGE = 0x80


@dataclass(frozen=True)
class Colour:
    """How the planes become RGB.

    Attributes:
        matrix: matrix coefficients, a code of ITU-T H.273 (1 BT.709, 2 unspecified, 5 and 6 BT.601,
            9 BT.2020).
        full_range: samples span 0..255 rather than 16..235.
    """

    matrix: int
    full_range: bool

    def __post_init__(self) -> None:
        if self.matrix not in MATRICES:
            raise ValueError(f"matrix coefficients {self.matrix}, expected {sorted(MATRICES)}")


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first GOP.

    Attributes:
        model: first 4 bytes of the SHA-256 that identifies the weights.
        width: of the displayed picture, 1..16384 pixels.
        height: of the displayed picture, 1..16384 pixels.
        fps: frames a second, numerator and denominator 1..2^31.
        colour: how the planes become RGB.
    """

    model: bytes
    width: int
    height: int
    fps: Fraction
    colour: Colour

    def __post_init__(self) -> None:
        if len(self.model) != 4:
            raise ValueError(f"model identity of {len(self.model)} bytes, expected 4")
        for name, side in (("width", self.width), ("height", self.height)):
            if not 1 <= side <= MAX_SIDE:
                raise ValueError(f"{name} {side}, expected 1..{MAX_SIDE}")
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(
                f"{self.width}x{self.height} pixels, expected a product of at most {MAX_PIXELS}"
            )
        for name, part in (
            ("numerator", self.fps.numerator),
            ("denominator", self.fps.denominator),
        ):
            if not 1 <= part <= MAX_RATE:
                raise ValueError(f"frame rate {name} {part}, expected 1..{MAX_RATE}")


def pack_header(header: Header) -> bytes:
    """The header record's payload."""
    return b"".join(
        (
            header.model,
            pack_varint(header.width),
            pack_varint(header.height),
            pack_varint(header.fps.numerator),
            pack_varint(header.fps.denominator),
            pack_colour(header.colour),
            bytes([PIXEL_FORMAT_420_8BIT]),
        )
    )


def unpack_header(source: ByteSource) -> Header:
    """Reads the fields of the header record's payload.

    Raises:
        MalformedError: an illegal value.
    """
    model = source.take(4, "model identity")
    width = source.varint("width", MAX_SIDE)
    height = source.varint("height", MAX_SIDE)
    fps = unpack_rate(source)
    colour = unpack_colour(source)
    start = source.offset
    pixel_format = source.byte("pixel format")
    if pixel_format != PIXEL_FORMAT_420_8BIT:
        source.fail("pixel format", start, str(pixel_format), "0 (4:2:0, 8 bits)")
    with legal_values(source.place):
        return Header(model, width, height, fps, colour)


def pack_colour(colour: Colour) -> bytes:
    """The colour byte: matrix in the low seven bits, full range in the top bit."""
    return bytes([colour.matrix | (_FULL_RANGE if colour.full_range else 0)])


def unpack_colour(source: ByteSource) -> Colour:
    """Reads the colour byte."""
    byte = source.byte("colour")
    with legal_values(source.place):
        return Colour(byte & ~_FULL_RANGE, bool(byte & _FULL_RANGE))


def unpack_rate(source: ByteSource) -> Fraction:
    """Reads a frame rate, two varints in lowest terms."""
    start = source.offset
    numerator = source.varint("frame rate numerator", MAX_RATE)
    denominator = source.varint("frame rate denominator", MAX_RATE)
    if gcd(numerator, denominator) != 1:
        source.fail("frame rate", start, f"{numerator}/{denominator}", "a fraction in lowest terms")
    if denominator == 0 or numerator == 0:
        source.fail("frame rate", start, f"{numerator}/{denominator}", "a positive fraction")
    return Fraction(numerator, denominator)
