"""When frames are shown: which GOPs must say so, and until when each one's sound reaches."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from bitstream.times import grid_ticks
from dsaecodec.video.frame import TICKS_PER_SECOND

TOLERANCE = TICKS_PER_SECOND // 1000
"""How far a frame may lie from the even grid without being given a time of its own: 1 ms."""


class Timekeeper:
    """Gives GOPs their times, where they are not even.

    Args:
        fps: rate of the even grid.
    """

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._count = 0
        self._last_shown = -1

    def times(self, ticks: Sequence[int | None], following: int | None, *, last: bool) -> list[int]:
        """When the frames of the next GOP are shown and its last one ends.

        Args:
            ticks: of the GOP's frames, None for those shown evenly.
            following: of the frame behind them.
            last: there is none.

        Returns:
            [num_frames + 1] ticks, strictly rising.
        """
        wanted = [self._known(tick, self._count + t) for t, tick in enumerate(ticks)]
        at_end = self._count + len(ticks)
        if last:  # it lasts as long as the rate says
            duration = grid_ticks(at_end, self._fps) - grid_ticks(at_end - 1, self._fps)
            wanted.append(wanted[-1] + max(1, duration))
        else:
            wanted.append(self._known(following, at_end))
        for t, tick in enumerate(wanted):
            before = wanted[t - 1] if t else self._last_shown
            wanted[t] = max(tick, before + 1)
        return wanted

    def advance(self, times: Sequence[int]) -> tuple[int, ...] | None:
        """Count a GOP's frames; returns its times if it must state them.

        Args:
            times: as `times` gave them.
        """
        num_frames = len(times) - 1
        grid = [grid_ticks(self._count + t, self._fps) for t in range(num_frames + 1)]
        near = all(abs(a - b) <= TOLERANCE for a, b in zip(times, grid, strict=True))
        self._count += num_frames
        if near and grid[0] > self._last_shown:
            self._last_shown = max(self._last_shown, grid[num_frames - 1])
            return None
        self._last_shown = times[num_frames - 1]
        return tuple(times)

    def _known(self, ticks: int | None, index: int) -> int:
        return grid_ticks(index, self._fps) if ticks is None else ticks
