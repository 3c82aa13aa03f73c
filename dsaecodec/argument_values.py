"""What the values of command-line options look like."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dsaecodec.errors import UsageError
from dsaecodec.sound_request import opus_kbps

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kKmMgG]?)(?:(i)?[bB])?", re.ASCII)
_BITRATE = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)", re.ASCII)


def parse_clock(text: str) -> Fraction:
    """Seconds of a time written as 12.5, 1:02.5 or 0:01:02.

    Raises:
        ValueError: anything else, as 1:75.
    """
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}, expected a time: 12.5, 1:02.5 or 0:01:02")
    hours, minutes, seconds = match.groups()
    if (minutes and Fraction(seconds) >= 60) or (hours and int(minutes) >= 60):
        raise ValueError(f"{text!r}, expected less than 60 minutes and seconds behind a colon")
    return (int(hours or 0) * 60 + int(minutes or 0)) * 60 + Fraction(seconds)


def parse_minutes(text: str) -> float:
    """A positive number of minutes.

    Raises:
        ValueError: anything else.
    """
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not minutes > 0:  # NaN too
        raise ValueError(f"{text!r}, expected a number of minutes above 0")
    return minutes


def parse_frames(text: str) -> range:
    """Frames written as 4-9, both included, or as 4.

    Raises:
        ValueError: anything else.
    """
    first, dash, last = text.partition("-")
    if not first.isdecimal() or not (last if dash else first).isdecimal():
        raise ValueError(f"{text!r}, expected frames: 4-9, or 4")
    found = range(int(first), int(last if dash else first) + 1)
    if not found:
        raise ValueError(f"{text!r}, expected the lower number first")
    return found


def parse_size(text: str) -> int:
    """Bytes of a size written as 250000, 250k, 4M, 4MB or 4MiB.

    Raises:
        ValueError: anything else, or less than one byte.
    """
    match = _SIZE.fullmatch(text)
    factors = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
    binary = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
    size = 0
    if match:
        number, unit, is_binary = match.groups()
        size = int(Fraction(number) * (binary if is_binary else factors)[unit.lower()])
    if size < 1:
        raise ValueError(f"{text!r}, expected a size: 250000, 250k, 4M or 4MiB")
    return size


def parse_bitrate(text: str) -> int:
    """Bits a second of a rate written as 300000, 300k or 1.5M.

    Raises:
        ValueError: anything else, or less than one bit a second.
    """
    match = _BITRATE.fullmatch(text)
    factors = {"": 1, "k": 10**3, "m": 10**6}
    rate = int(Fraction(match[1]) * factors[match[2].lower()]) if match else 0
    if rate < 1:
        raise ValueError(f"{text!r}, expected bits a second: 300000, 300k or 1.5M")
    return rate


def parse_audio(text: str) -> str:
    """What to do with sound, as `dsaecodec.video.sound` takes it.

    Raises:
        ValueError: anything else.
    """
    try:
        opus_kbps(text)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return text


def checked(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser of values whose ValueError argparse shows as it is."""

    def parse_or_complain(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_or_complain


class Whole:
    """Parses a whole number within bounds; called with the text, as argparse does."""

    def __init__(self, lowest: int, highest: int | None = None) -> None:
        self._lowest, self._highest = lowest, highest

    def __call__(self, text: str) -> int:
        """The number.

        Raises:
            ArgumentTypeError: none, or out of bounds.
        """
        above = "or more" if self._highest is None else f"to {self._highest}"
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number") from None
        if value < self._lowest or (self._highest is not None and value > self._highest):
            raise argparse.ArgumentTypeError(f"{value}, expected {self._lowest} {above}")
        return value
