"""Clocks of an output file: when each frame is shown, and for how long."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from dsaecodec.video.frame import TICKS_PER_SECOND, Frame420


class TimedFrame(NamedTuple):
    """A frame with its time and duration in units of the clock."""

    frame: Frame420
    time: int
    duration: int


class FrameClock:
    """Gives frames their times: by their ticks if the first one has any, evenly otherwise.

    A duration is known when the next frame comes, so one frame is held back. The last frame of a
    video with ticks lasts as long as its mean rate says, if that is near the durations before.

    Attributes:
        unit: seconds.
    """

    def __init__(self, first: Frame420, fps: Fraction) -> None:
        self._even = first.ticks is None
        self._fps = fps
        self.unit = 1 / fps if self._even else Fraction(1, TICKS_PER_SECOND)
        self._held: TimedFrame | None = None
        self._count = 0

    def push(self, frame: Frame420) -> TimedFrame | None:
        """Take a frame, return the one before.

        Raises:
            ValueError: its ticks are not later than those before, or only some frames have any.
        """
        if self._even is not (frame.ticks is None):
            raise ValueError(f"frame {self._count}: expected ticks in all frames or in none")
        time = self._count if frame.ticks is None else frame.ticks
        before = self._held
        if before is not None:
            if time <= before.time:
                raise ValueError(f"frame {self._count}: {time} ticks, expected > {before.time}")
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
