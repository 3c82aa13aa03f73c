"""When frames are shown: the rate a file really runs at, and strictly increasing ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Generic, NamedTuple, TypeVar

from dsaecodec.video.frame import TICKS_PER_SECOND

DEFAULT_FPS = Fraction(25)

_TOLERANCE = Fraction(101, 100_000)  # seconds: containers of 1 ms rounding are even
_CLOSE = Fraction(1, 200)  # a standard rate is tried when it is so near the mean
_MOST_GAPS = Fraction(1, 10)  # of the frames; with more missing, a rate is not the video's
_SLOWEST, _FASTEST = Fraction(1, 10_000), Fraction(10_000)
_LARGEST = 1 << 30  # numerators and denominators
_STANDARD = (
    [Fraction(n) for n in range(1, 301)]
    + [Fraction(1000 * n, 1001) for n in (15, 24, 30, 48, 60, 90, 120, 240)]
    + [Fraction(n, 2) for n in (15, 25, 75, 125)]
)

_LONGEST_WAIT = 8  # frames without a usable time held back for the next that has one
_CLOCK_SET_BACK, _CLOCK_SET_AHEAD = -1, 3600  # seconds between frames; beyond, the clock was set


class Rate(NamedTuple):
    """A video's frame rate; `even` if its frames are shown at whole multiples of 1 / fps."""

    fps: Fraction
    even: bool


class StatedRate(NamedTuple):
    """What a container says.

    Attributes:
        average: frames per second, None if unknown.
        others: its guesses.
        num_frames: 0 if unknown.
    """

    average: Fraction | None
    others: tuple[Fraction | None, ...] = ()
    num_frames: int = 0


def nominal_rate(times: Sequence[Fraction], stated: StatedRate, end: Fraction | None) -> Rate:
    """The rate a file runs at, checked by the times of its first frames.

    A rate that these follow to 1 ms, with few gaps, is preferred: a standard one before the
    container's own mean, which is off by what rounding, gaps and a last frame's odd duration make.
    Otherwise the mean.

    Args:
        times: of the first frames in order of display, seconds.
        stated: what the container says.
        end: when the last frame's time is up, if `times` are all frames.
    """
    span = times[-1] - times[0] if times else Fraction(0)
    mean = _sane((len(times) - 1) / span) if span > 0 else None
    if end is not None and times and end > times[0]:
        mean = _sane(len(times) / (end - times[0]))
    average = mean if end is not None and mean else _sane(stated.average) or mean
    if average is None:
        average = next(filter(None, map(_sane, stated.others)), DEFAULT_FPS)
    if not span:
        return Rate(average, True)
    for fps in _candidates(average, (len(times) - 1) / span, stated):
        if _fits(times, fps):
            off = abs(fps / average - 1)
            # A mean over the whole file is nearer the truth where a standard rate drifts away.
            drifts = stated.num_frames * off > Fraction(3, 2) and _fits(times, average)
            if drifts or off > _MOST_GAPS:
                return Rate(average, drifts)
            return Rate(fps, True)
    return Rate(average, False)


def limited(rate: Fraction) -> Fraction:
    """The nearest rate that a stream's header can hold."""
    if max(rate.numerator, rate.denominator) <= _LARGEST:
        return rate
    return rate.limit_denominator(1_000_000 if rate < 1000 else 1000)


def _candidates(average: Fraction, mean: Fraction, stated: StatedRate) -> Iterator[Fraction]:
    """Rates to try: standard ones near what is stated, what is stated, and by the times alone."""
    said = [rate for rate in map(_sane, (stated.average, *stated.others)) if rate]
    for rate in said:
        yield from _standard_near(rate)
    yield from said
    yield from _standard_near(mean)
    yield average
    yield limited(mean)


def _standard_near(rate: Fraction) -> list[Fraction]:
    near = [fps for fps in _STANDARD if abs(fps / rate - 1) < _CLOSE]
    return sorted(near, key=lambda fps: abs(fps - rate))


def _fits(times: Sequence[Fraction], fps: Fraction) -> bool:
    """Whether frames are shown at multiples of 1 / fps, nearly all multiples."""
    last = -1
    for time in times:
        index = round((time - times[0]) * fps)
        if index <= last or abs(time - times[0] - index / fps) > _TOLERANCE:
            return False
        last = index
    return last + 1 - len(times) <= _MOST_GAPS * len(times)


def _sane(rate: Fraction | None) -> Fraction | None:
    return limited(rate) if rate and _SLOWEST <= rate <= _FASTEST else None


T = TypeVar("T")


class InputClock(Generic[T]):
    """Gives items their ticks: from the first one, strictly increasing, without nonsense.

    An item without a time, or with one not later than those before, waits for the next good time
    and is placed evenly before it. Where the clock jumps back by more than a second, or ahead by
    more than an hour, it was set anew: the frames go on at their rate. Times within 1 ms of an
    even rate's are that rate's, so that a container's rounding does not stay in the stream.

    Args:
        rate: of the video.
        start: time of the first item, seconds.
    """

    def __init__(self, rate: Rate, start: Fraction) -> None:
        self._rate = rate
        self._period = 1 / rate.fps
        self._shift = -start
        self._last = -self._period  # time of the item given last
        self._ticks = -1
        self._waiting: list[T] = []

    def push(self, item: T, time: Fraction | None) -> Iterator[tuple[T, int]]:
        """Take an item and its time in seconds, give those that are ready with their ticks."""
        if time is None and self._ticks < 0:
            time = -self._shift
        expected = self._last + (len(self._waiting) + 1) * self._period
        if time is not None:
            gap = time + self._shift - self._last
            overdue = gap <= 0 and len(self._waiting) >= _LONGEST_WAIT
            if overdue or not _CLOCK_SET_BACK <= gap <= _CLOCK_SET_AHEAD:
                self._shift = expected - time
        elif len(self._waiting) >= _LONGEST_WAIT:
            time = expected - self._shift
        if time is None or time + self._shift <= self._last:
            self._waiting.append(item)
            return
        now = time + self._shift
        step = (now - self._last) / (len(self._waiting) + 1)
        yield from self._give(step)
        yield item, self._tick(now)

    def finish(self) -> Iterator[tuple[T, int]]:
        """Give the rest."""
        yield from self._give(self._period)

    def _give(self, step: Fraction) -> Iterator[tuple[T, int]]:
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            yield item, self._tick(self._last + step)

    def _tick(self, time: Fraction) -> int:
        self._last = time
        if self._rate.even:
            even = round(time * self._rate.fps) * self._period
            time = even if abs(time - even) <= _TOLERANCE else time
        self._ticks = max(self._ticks + 1, round(time * TICKS_PER_SECOND))
        return self._ticks
