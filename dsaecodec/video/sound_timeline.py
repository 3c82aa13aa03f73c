"""Decoded sound laid out on the picture's clock: 48 kHz, one or two channels, without holes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

RATE = 48_000
"""Samples a second of what comes out: Opus knows no other."""

LAYOUTS = {1: "mono", 2: "stereo"}
Samples = NDArray[np.float32]

JITTER = Fraction(1, 100)
"""Seconds by which timestamps may be off without meaning anything."""

_EXACT = Fraction(1, 1000)  # where packets were lost: nothing says that sound goes on unbroken
_LONGEST_OVERLAP = 1  # seconds; further back is no overlap, the clock was set anew
_LONGEST_GAP = 3600  # seconds; the same


class Timeline:
    """Turns frames of any format, with their times, into one run of samples.

    What lies before the picture's first frame is cut off, what is missing is silence, what
    comes twice is dropped.

    Args:
        channels: 1 or 2 of what comes out; more are mixed down, fewer are doubled.

    Attributes:
        start: sample, at 48 kHz from the picture's first frame, that the run begins with.
    """

    def __init__(self, channels: int) -> None:
        self._layout = LAYOUTS[channels]
        self._channels = channels
        self._format: tuple[object, ...] = ()
        self._rate = 0
        self._next: int | None = None  # sample expected, at the source's rate
        self._shift = Fraction(0)  # seconds that the source's clock was set back
        self.start: int | None = None

    def add(
        self, frame: av.AudioFrame, time: Fraction | None, *, exact: bool = False
    ) -> Iterator[Samples]:
        """Take a frame, give what is ready, float32 [channels, samples].

        Args:
            frame: decoded sound.
            time: seconds from the picture's first frame; None: right after the frame before.
            exact: whether something may be missing before, so that a small gap counts.
        """
        yield from self._adapt(frame)
        place = self._place(time, _EXACT if exact else JITTER)
        assert self._next is not None
        yield from self._silence(place)
        for samples in _arrays(self._mixer.resample(frame)):
            # What overlaps with what has been given, and what lies before the picture.
            cut = min(max(self._next - place, -place, 0), samples.shape[1])
            yield from self._convert(samples[:, cut:], place + cut)
            place += samples.shape[1]
        self._next = max(self._next, place)

    def finish(self) -> Iterator[Samples]:
        """Give the rest."""
        if self._rate:
            yield from _arrays(self._resampler.resample(None))
            self._rate = 0

    def _adapt(self, frame: av.AudioFrame) -> Iterator[Samples]:
        """Be ready for a frame's format, which may change in a broadcast."""
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if found == self._format:
            return
        self._format = found
        self._mixer = AudioResampler("fltp", self._layout, frame.sample_rate)
        if frame.sample_rate != self._rate:
            if self._next is not None:
                self._next = round(Fraction(self._next, self._rate) * frame.sample_rate)
            yield from self.finish()
            self._rate = frame.sample_rate
            self._resampler = AudioResampler("fltp", self._layout, RATE)

    def _place(self, time: Fraction | None, tolerance: Fraction) -> int:
        """Sample at the source's rate where a frame begins."""
        if self._next is None:
            self._next = round((time or 0) * self._rate)
            return self._next
        if time is None:
            return self._next
        gap = time + self._shift - Fraction(self._next, self._rate)
        if not -_LONGEST_OVERLAP <= gap <= _LONGEST_GAP:
            self._shift -= gap
            return self._next
        return self._next if abs(gap) <= tolerance else self._next + round(gap * self._rate)

    def _silence(self, end: int) -> Iterator[Samples]:
        """Fill up to a sample at the source's rate, a second at a time."""
        assert self._next is not None
        for at in range(max(self._next, 0), end, self._rate):
            block = min(end - at, self._rate)
            yield from self._convert(np.zeros((self._channels, block), np.float32), at)
        self._next = max(self._next, end)

    def _convert(self, samples: Samples, place: int) -> Iterator[Samples]:
        if not samples.shape[1]:
            return
        if self.start is None:
            self.start = round(Fraction(place, self._rate) * RATE)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout=self._layout
        )
        frame.sample_rate = self._rate
        yield from _arrays(self._resampler.resample(frame))


def _arrays(frames: list[av.AudioFrame]) -> Iterator[Samples]:
    for frame in frames:
        if frame is not None and frame.samples:
            yield np.asarray(frame.to_ndarray(), np.float32)
