"""The part of a stream that is wanted: which frames, when they are shown, which sound."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from bitstream import Gop, Header, SoundPacket, frame_ticks
from dsaecodec.video.frame import TICKS_PER_SECOND


@dataclass(frozen=True)
class View:
    """What is wanted of one GOP.

    Attributes:
        frames: counted in the GOP.
        ticks: when each frame of the GOP is shown, from the first frame wanted at all; None for
            frames that are shown evenly.
        sound: packets, from the same time.
    """

    frames: range
    ticks: list[int | None]
    sound: list[SoundPacket]


class Window:
    """Frames from a time on, at most so many; asked of one GOP after another.

    Args:
        header: of the stream.
        start: seconds, None for the first frame.
        num_frames: None for all.
    """

    def __init__(self, header: Header, start: Fraction | None, num_frames: int | None) -> None:
        self._header = header
        self._start = None if start is None else floor(start * TICKS_PER_SECOND)
        self._left = num_frames
        self._origin: int | None = None  # when the first frame wanted is shown
        self._even = True  # that frame has no time of its own

    @property
    def closed(self) -> bool:
        """Whether no further frame is wanted."""
        return self._left == 0

    def view(self, gop: Gop, first_frame: int, earlier: Sequence[SoundPacket] = ()) -> View:
        """What is wanted of the next GOP.

        Args:
            gop: the GOP.
            first_frame: its first frame, counted from the stream's first.
            earlier: sound of a GOP before that may reach into it.
        """
        shown = frame_ticks(gop, first_frame, self._header.fps)
        begin = 0
        if self._origin is None:
            if self._start is not None:
                begin = max(0, bisect_right(shown[:-1], self._start) - 1)
            self._origin, self._even = shown[begin], gop.times is None
        stop = gop.num_frames
        if self._left is not None:
            stop = min(stop, begin + self._left)
            self._left -= stop - begin
        even = self._even and gop.times is None
        ticks = [None if even else tick - self._origin for tick in shown[:-1]]
        end = shown[stop] if self.closed else None
        return View(range(begin, stop), ticks, list(self._moved([*earlier, *gop.sound], end)))

    def _moved(self, packets: Iterable[SoundPacket], end: int | None) -> Iterable[SoundPacket]:
        """Packets that are heard in the window, as if it were the whole stream."""
        if self._header.sound is None:
            return
        assert self._origin is not None
        rate, cut = self._header.sound.sample_rate, bool(self._start)
        origin = self._origin * rate // TICKS_PER_SECOND
        for packet in packets:
            if cut and packet.end <= origin:
                continue
            if end is not None and packet.start * TICKS_PER_SECOND >= end * rate:
                break
            yield packet._replace(start=packet.start - origin)
