"""Progress of a long command on standard error. The only module that imports rich."""

from __future__ import annotations

import time
from fractions import Fraction
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dsaecodec.rate import kilobits_per_second


class ProgressDisplay:
    """A bar with frames done, speed, bitrate and the time left; a context manager.

    Draws nothing unless standard error is a terminal, and leaves nothing behind.
    """

    def __init__(self, verb: str, num_frames: int | None, fps: Fraction, *, quiet: bool) -> None:
        """Prepare the display.

        Args:
            verb: what is being done, "encoding".
            num_frames: length of the video, None if unknown.
            fps: rate of the video, for the bitrate.
            quiet: draw nothing.
        """
        console = Console(stderr=True)
        self._fps = fps
        self._started = time.perf_counter()
        self._progress = Progress(
            TextColumn(verb),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("frames  {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(verb, total=num_frames, rate="")

    def update(self, num_frames: int, num_bytes: int | None = None) -> None:
        """Show how far the work is.

        Args:
            num_frames: frames done.
            num_bytes: bytes of their stream, if it is being written.
        """
        speed = num_frames / max(time.perf_counter() - self._started, 1e-9)
        rate = f"{speed:.1f} fps"
        if num_bytes is not None and num_frames:
            rate += f"  {kilobits_per_second(num_bytes, num_frames, self._fps):,.0f} kb/s"
        self._progress.update(self._task, completed=num_frames, rate=rate)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
