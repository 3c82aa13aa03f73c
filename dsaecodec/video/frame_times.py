"""Clocks of an output file: when each frame is shown, and for how long."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import NamedTuple

from dsaecodec.video.frame import TICKS_PER_SECOND, Frame420

_MOST_UNITS = 2**31  # a second; what containers can say


class TimedFrame(NamedTuple):
    """A frame with its time and duration in units of the clock."""

    frame: Frame420
    time: int
    duration: int


class FrameClock:
    """Gives frames their times: their ticks where they have any, the even rate elsewhere.

    A duration is known when the next frame comes, so one frame is held back. The last frame of a
    video with ticks lasts as long as its mean rate says, if that is near the durations before.

    Attributes:
        unit: seconds; ticks and, if it can be, frames of the even rate are whole in it.
    """

    def __init__(self, fps: Fraction) -> None:
        self._even = True  # so far
        self._fps = fps
        units = lcm(TICKS_PER_SECOND, fps.numerator)
        self.unit = Fraction(1, units if units < _MOST_UNITS else TICKS_PER_SECOND)
        self._held: TimedFrame | None = None
        self._count = 0
        self._last_ticks = -1

    def push(self, frame: Frame420) -> TimedFrame | None:
        """Take a frame, return the one before.

        Raises:
            ValueError: its ticks are not later than those before.
        """
        before = self._held
        if frame.ticks is None:
            time = round(self._count / self._fps / self.unit)
        else:
            self._even = False
            if frame.ticks <= self._last_ticks:
                raise ValueError(
                    f"frame {self._count}: {frame.ticks} ticks, expected > {self._last_ticks}"
                )
            self._last_ticks = frame.ticks
            time = round(Fraction(frame.ticks, TICKS_PER_SECOND) / self.unit)
        if before is not None:
            time = max(time, before.time + 1)  # rates beyond what units can tell apart
            before = before._replace(duration=time - before.time)
        last = before.duration if before else max(1, round(1 / self._fps / self.unit))
        self._held = TimedFrame(frame, time, last)
        self._count += 1
        return before

    def last(self) -> TimedFrame | None:
        """Return the frame held back, None if there was none."""
        held, self._held = self._held, None
        if held is None or self._even:
            return held
        by_rate = round(self._count / self._fps / self.unit) - held.time
        near = held.duration <= 4 * by_rate and by_rate <= 4 * held.duration
        return held._replace(duration=by_rate) if by_rate > 0 and near else held


def is_even(frame: Frame420, index: int, fps: Fraction) -> bool:
    """Whether a frame is shown where an even rate would show it, within a tick."""
    return frame.ticks is None or abs(frame.ticks - index * TICKS_PER_SECOND / fps) <= 1
