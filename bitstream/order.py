"""What must hold from one GOP to the next, for the writer and the reader alike."""

from __future__ import annotations

from bitstream.gop import Gop
from bitstream.header import Header
from bitstream.limits import MAX_FRAMES
from bitstream.times import frame_ticks


class GopOrder:
    """Checks GOPs as they come, and counts them.

    Args:
        header: of the stream.
        num_gops: GOPs before the first that is checked.
        num_frames: their frames.

    Attributes:
        num_gops: GOPs so far.
        num_frames: frames so far.
    """

    def __init__(self, header: Header, num_gops: int = 0, num_frames: int = 0) -> None:
        self._header = header
        self.num_gops = num_gops
        self.num_frames = num_frames
        self._had_times: bool | None = None  # of the GOP before, None where there is none
        self._last_frame_ticks = 0
        self._last_sound: int | None = None

    def accept(self, gop: Gop) -> None:
        """Appends a GOP.

        Raises:
            ValueError: it cannot stand here; then nothing has changed.
        """
        if self.num_gops == 0 and gop.refs_previous:
            raise ValueError("the first GOP cannot refer to the previous one")
        if self.num_frames + gop.num_frames > MAX_FRAMES:
            raise ValueError(f"more than {MAX_FRAMES} frames")
        if gop.sound and self._header.sound is None:
            raise ValueError("sound packets, expected none without a sound track in the header")
        ticks = frame_ticks(gop, self.num_frames, self._header.fps)
        self._check_start(gop, ticks[0])
        if gop.sound and self._last_sound is not None and gop.sound[0].start <= self._last_sound:
            raise ValueError(
                f"sound from sample {gop.sound[0].start}, expected more than {self._last_sound}"
            )
        self._had_times = gop.times is not None
        self._last_frame_ticks = ticks[-2]
        self._last_sound = gop.sound[-1].start if gop.sound else self._last_sound
        self.num_gops += 1
        self.num_frames += gop.num_frames

    def _check_start(self, gop: Gop, start: int) -> None:
        """Checks that the GOP begins after the last frame before it has begun.

        Not on the grid alone: there, frames faster than ticks share them.
        """
        if self.num_gops == 0 and start != 0:
            raise ValueError(f"times of the first GOP from tick {start}, expected 0")
        if self._had_times is None or not (self._had_times or gop.times is not None):
            return
        if start <= self._last_frame_ticks:
            raise ValueError(
                f"first frame at tick {start}, expected more than {self._last_frame_ticks}"
            )
