"""Files of a wished size: the video is encoded at one quality after another until one fits.

Bytes grow smoothly with quality, doubling about every 22 units, so a few tries are enough. Between
whole numbers of quality GOPs alternate.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from numbers import Integral
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO

from dsaecodec.errors import ConfigError, UsageError
from dsaecodec.output import is_special

if TYPE_CHECKING:
    from dsaecodec.codec.encoder import EncodeReport

TRIES = 8
ENOUGH = 0.99  # of the wished size
AIM = 0.996
QUALITY_PER_DOUBLING = 22.0
FIRST_QUALITY = 50

EncodeOnce = Callable[[float, BinaryIO], "EncodeReport"]


@dataclass(frozen=True)
class SizeLimit:
    """How large a stream may be; one of the two says so.

    Attributes:
        target_size: bytes.
        bitrate: bits a second.

    Raises:
        ConfigError: less than 1, or both.
    """

    target_size: int | None = None
    bitrate: int | None = None

    def __post_init__(self) -> None:
        limits = {"size": self.target_size, "bitrate": self.bitrate}
        given = {name: value for name, value in limits.items() if value is not None}
        if len(given) > 1:
            raise ConfigError("a size and a bitrate: expected one of them")
        for name, value in given.items():
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} {value!r}: expected a whole number, 1 or more")

    def __bool__(self) -> bool:
        """Whether there is a limit."""
        return self.target_size is not None or self.bitrate is not None

    def bytes_for(self, duration: float) -> int:
        """Most bytes of a stream of so many seconds, 1 at least."""
        if self.target_size is not None:
            return self.target_size
        assert self.bitrate is not None
        return max(1, int(self.bitrate * duration / 8))


def check_readable_again(source: str | os.PathLike[str]) -> None:
    """Refuse a video that cannot be read as often as a wished size takes.

    Raises:
        UsageError: standard input ("-") or a pipe.
    """
    if os.fspath(source) == "-" or is_special(source):
        raise UsageError(
            "a wished size takes several readings of the video, which a pipe does not give",
            hint="name a file, or say how good it shall be: -q 50",
        )


def qualities_of_gops(quality: float) -> Iterator[int]:
    """Whole qualities whose mean is `quality`; 50.25 is 50, 50, 50 and 51 over and over."""
    whole = math.floor(quality)
    share, due = quality - whole, 0.0
    while True:
        due += share
        step = due >= 1 - 1e-9
        due -= step
        yield whole + step


class QualitySearch:
    """Which quality to try next, for the largest file of at most some bytes.

    Attributes:
        quality: the next to try; None: enough was tried.
        best: the quality of the largest file that fits, None if none did.
    """

    def __init__(self, start: float) -> None:
        self.quality: float | None = start
        self.best: float | None = None
        self._below: tuple[float, float] | None = None  # quality and log2 of bytes over the limit
        self._above: tuple[float, float] | None = None
        self._tried: list[tuple[float, float]] = []

    def tell(self, num_bytes: int, limit: int, steps: int) -> None:
        """What the try brought.

        Args:
            num_bytes: size of the file.
            limit: that it should have at most.
            steps: how many lie between two whole qualities.
        """
        assert self.quality is not None
        tried = (self.quality, math.log2(num_bytes / limit))
        self._tried.append(tried)
        if num_bytes <= limit:
            self._below = self._below if self._below and self._below > tried else tried
            self.best = self._below[0]
        else:
            self._above = self._above if self._above and self._above < tried else tried
        fits = num_bytes <= limit and num_bytes >= ENOUGH * limit
        done = (
            fits
            or len(self._tried) == TRIES
            or self.best == 100
            or (self.quality == 0 and self.best is None)
        )
        self.quality = None if done else self._next(1 / steps)

    def _next(self, finest: float) -> float | None:
        aim = math.log2(AIM)
        if self._below is None or self._above is None:
            return self._one_sided(aim)
        (low, size_low), (high, size_high) = self._below, self._above
        step = 1.0 if high - low > 1 else finest
        if high - low < step * 1.001:
            return None
        wanted = low + (high - low) * (aim - size_low) / (size_high - size_low)
        wanted = low + step * round((wanted - low) / step)
        return min(max(wanted, low + step), high - step)

    def _one_sided(self, aim: float) -> float:
        """Beyond all that was tried, as far as the last two tries suggest; the fourth at an end."""
        quality, size = self._tried[-1]
        per_doubling = QUALITY_PER_DOUBLING
        if len(self._tried) == 3:
            return 100.0 if size < aim else 0.0
        if len(self._tried) > 1:
            before, size_before = self._tried[-2]
            rise = (size - size_before) / (quality - before)
            per_doubling = min(1 / max(rise, 1e-9), 4 * per_doubling)
        way = per_doubling * (aim - size)
        way = math.copysign(max(abs(way), len(self._tried)), way)
        return round(min(max(quality + way, 0.0), 100.0))


def encode_to_size(encode_once: EncodeOnce, limit: SizeLimit, sink: BinaryIO) -> EncodeReport:
    """Encode as often as it takes for a file of a wished size, and write the best.

    Args:
        encode_once: encodes the video at a quality.
        limit: what the file may have.
        sink: what the file is written to.

    Returns:
        The report of what was written; its seconds are those of all tries.

    Raises:
        ConfigError: even quality 0 takes more.
    """
    begin, search = time.monotonic(), QualitySearch(FIRST_QUALITY)
    best: EncodeReport | None = None
    smallest = 0
    with TemporaryFile() as kept:
        while search.quality is not None:
            quality = search.quality
            with TemporaryFile() as trial:
                report = encode_once(quality, trial)
                search.tell(report.bytes, limit.bytes_for(report.duration), report.plans)
                if search.best == quality:
                    best = report
                    kept.seek(0)
                    kept.truncate()
                    _copy(trial, kept)
            smallest = min(smallest or report.bytes, report.bytes)
        if best is None:
            raise ConfigError(
                f"the video takes {smallest:,} bytes at the lowest quality, which is more than "
                f"{limit.bytes_for(report.duration):,}",
                hint="encode fewer frames, smaller pictures, or without sound",
            )
        _copy(kept, sink)
    return replace(best, seconds=time.monotonic() - begin)


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    source.seek(0)
    shutil.copyfileobj(source, target)
