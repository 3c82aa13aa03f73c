"""Rates: how bytes of a stream are counted, and how a frame rate is written."""

from __future__ import annotations

from fractions import Fraction

_MAX_FPS = 10_000
_MAX_DENOMINATOR = 1001  # finds 30000/1001 again when it was rounded


def bits_per_pixel(num_bytes: int, num_frames: int, height: int, width: int) -> float:
    """Rate 8 · bytes / (T · H · W), at display size; 8 times the bytes of the whole file."""
    return 8 * num_bytes / (num_frames * height * width)


def kilobits_per_second(num_bytes: int, seconds: Fraction | float) -> float:
    """Bitrate of bytes that play for so long; 1 kb is 1000 bits."""
    return float(8 * num_bytes / seconds / 1000)


def parse_fps(text: str) -> Fraction:
    """Read a frame rate: 25, 12.5, 30000/1001, or a rounded one of television, 29.97, 23.976.

    Television's rates are multiples of 6 slowed down by 1000/1001: a decimal that is one of them
    when rounded to as many places is taken for it.

    Raises:
        ValueError: no number, or outside 0…10000, 0 excluded.
    """
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text!r}, expected frames a second: 25, 29.97 or 30000/1001") from None
    if not 0 < rate <= _MAX_FPS:
        raise ValueError(f"{text}, expected more than 0 and at most {_MAX_FPS} frames a second")
    whole, _, decimals = text.strip().partition(".")
    if decimals.isdecimal() and whole.isdecimal():
        slowed = Fraction(6000, 1001) * round(rate * Fraction(1001, 6000))
        if round(slowed, len(decimals)) == rate:
            return slowed
    return rate if "/" in text else rate.limit_denominator(_MAX_DENOMINATOR)
