"""What a stream says about itself once, and the fields of the header record."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from bitstream.limits import (
    MATRICES,
    MAX_ASPECT,
    MAX_PIXELS,
    MAX_RATE,
    MAX_SIDE,
    RGB_VERSION,
    VERSION,
)
from bitstream.sound import SoundTrack, pack_track, unpack_track
from bitstream.source import ByteSource, legal_values
from bitstream.varint import pack_varint

PIXEL_FORMAT_420_8BIT = 0
PIXEL_FORMAT_444_8BIT = 1
_FULL_RANGE = 0x80
_SQUARE = Fraction(1)
_HAS_ASPECT = 0x01
_HAS_SOUND = 0x02


@dataclass(frozen=True)
class Colour:
    """How the planes become RGB, and with it their sampling.

    Attributes:
        matrix: matrix coefficients, a code of ITU-T H.273 (1 BT.709, 2 unspecified, 5 and 6 BT.601,
            9 BT.2020): the planes are 4:2:0; 0: they are green, blue and red, none subsampled.
        full_range: samples span 0..255 rather than 16..235; those of RGB always do.
    """

    matrix: int
    full_range: bool

    def __post_init__(self) -> None:
        if self.matrix not in MATRICES:
            raise ValueError(f"matrix coefficients {self.matrix}, expected {sorted(MATRICES)}")
        if self.is_rgb and not self.full_range:
            raise ValueError("RGB of limited range, expected full range")

    @property
    def is_rgb(self) -> bool:
        """Whether the planes are RGB, 4:4:4."""
        return self.matrix == 0


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first GOP.

    Attributes:
        model: first 4 bytes of the SHA-256 that identifies the weights.
        width: of the displayed picture, 1..16384 pixels.
        height: of the displayed picture, 1..16384 pixels.
        fps: frames a second, numerator and denominator 1..2^31.
        colour: how the planes become RGB.
        sample_aspect: width of a pixel over its height, numerator and denominator 1..2^16.
        sound: the sound track, or None.
    """

    model: bytes
    width: int
    height: int
    fps: Fraction
    colour: Colour
    sample_aspect: Fraction = _SQUARE
    sound: SoundTrack | None = None

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
        _check_fraction("frame rate", self.fps, MAX_RATE)
        _check_fraction("sample aspect", self.sample_aspect, MAX_ASPECT)


def version_for(header: Header) -> int:
    """The lowest format version that can say it."""
    return RGB_VERSION if header.colour.is_rgb else VERSION


def pixel_format_of(colour: Colour) -> int:
    """Code of the planes' sampling and depth."""
    return PIXEL_FORMAT_444_8BIT if colour.is_rgb else PIXEL_FORMAT_420_8BIT


def pack_header(header: Header) -> bytes:
    """The header record's payload."""
    square, sound = header.sample_aspect == _SQUARE, header.sound
    flags = (0 if square else _HAS_ASPECT) | (_HAS_SOUND if sound else 0)
    return b"".join(
        (
            header.model,
            pack_varint(header.width),
            pack_varint(header.height),
            _pack_fraction(header.fps),
            pack_colour(header.colour),
            bytes([pixel_format_of(header.colour), flags]),
            b"" if square else _pack_fraction(header.sample_aspect),
            pack_track(sound) if sound else b"",
        )
    )


def unpack_header(source: ByteSource, version: int) -> Header:
    """Reads the fields of the header record's payload.

    Raises:
        MalformedError: an illegal value.
    """
    model = source.take(4, "model identity")
    width = source.varint("width", MAX_SIDE)
    height = source.varint("height", MAX_SIDE)
    fps = unpack_rate(source)
    colour = unpack_colour(source, version)
    start = source.offset
    pixel_format = source.byte("pixel format")
    if pixel_format != pixel_format_of(colour):
        expected = "1 (4:4:4, 8 bits)" if colour.is_rgb else "0 (4:2:0, 8 bits)"
        source.fail("pixel format", start, str(pixel_format), expected)
    aspect, sound = (_SQUARE, None) if version == 1 else _unpack_options(source)
    with legal_values(source.place):
        return Header(model, width, height, fps, colour, aspect, sound)


def _unpack_options(source: ByteSource) -> tuple[Fraction, SoundTrack | None]:
    """Reads the flags and the fields that they announce."""
    start = source.offset
    flags = source.byte("flags")
    if flags & ~(_HAS_ASPECT | _HAS_SOUND):
        source.fail("flags", start, f"{flags:#04x}", "bits 2-7 zero")
    aspect = _SQUARE
    if flags & _HAS_ASPECT:
        start = source.offset
        aspect = _unpack_fraction(source, "sample aspect", MAX_ASPECT)
        if aspect == _SQUARE:
            source.fail("sample aspect", start, "1/1", "bit 0 of the flags clear")
    return aspect, unpack_track(source) if flags & _HAS_SOUND else None


def pack_colour(colour: Colour) -> bytes:
    """The colour byte: matrix in the low seven bits, full range in the top bit."""
    return bytes([colour.matrix | (_FULL_RANGE if colour.full_range else 0)])


def unpack_colour(source: ByteSource, version: int) -> Colour:
    """Reads the colour byte of a version."""
    start = source.offset
    byte = source.byte("colour")
    with legal_values(source.place):
        colour = Colour(byte & ~_FULL_RANGE, bool(byte & _FULL_RANGE))
    if colour.is_rgb != (version == RGB_VERSION):
        expected = "RGB" if version == RGB_VERSION else "no RGB"
        source.fail("colour", start, f"{byte:#04x}", f"{expected} in version {version}")
    return colour


def unpack_rate(source: ByteSource) -> Fraction:
    """Reads a frame rate, two varints in lowest terms."""
    return _unpack_fraction(source, "frame rate", MAX_RATE)


def _unpack_fraction(source: ByteSource, what: str, maximum: int) -> Fraction:
    """Reads a positive fraction, two varints in lowest terms."""
    start = source.offset
    numerator = source.varint(f"{what} numerator", maximum)
    denominator = source.varint(f"{what} denominator", maximum)
    if gcd(numerator, denominator) != 1:
        source.fail(what, start, f"{numerator}/{denominator}", "a fraction in lowest terms")
    if denominator == 0 or numerator == 0:
        source.fail(what, start, f"{numerator}/{denominator}", "a positive fraction")
    return Fraction(numerator, denominator)


def _pack_fraction(value: Fraction) -> bytes:
    return pack_varint(value.numerator) + pack_varint(value.denominator)


def _check_fraction(what: str, value: Fraction, maximum: int) -> None:
    """Refuses a fraction that no two varints of 1..`maximum` hold."""
    for name, part in (("numerator", value.numerator), ("denominator", value.denominator)):
        if not 1 <= part <= maximum:
            raise ValueError(f"{what} {name} {part}, expected 1..{maximum}")
