"""Progress of a long command on standard error. The only module that imports rich."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from dsaecodec.rate import kilobits_per_second


@dataclass
class _File:
    """What is known of one file's progress."""

    line: TaskID
    began: float
    frames: int = 0
    bytes: int = 0
    seconds: Fraction = Fraction(0)
    fraction: float = 0.0


class ProgressDisplay:
    """A bar for each running file with frames done, speed, bitrate and the time left.

    Where there are several files, one more line counts them all. Draws nothing unless standard
    error is a terminal, and leaves nothing behind. A context manager; what is printed to standard
    error inside it appears above the bars.
    """

    def __init__(self, verb: str, *, quiet: bool, num_files: int = 1) -> None:
        """Prepare the display.

        Args:
            verb: what is being done, "encoding".
            quiet: draw nothing.
            num_files: how many files there are to do.
        """
        console = Console(stderr=True)
        self._verb = verb
        self._num_files = num_files
        self._began = time.perf_counter()
        self._files: dict[str, _File] = {}
        self._finished = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            _TimeLeft(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._total = self._add_line("total") if num_files > 1 else None

    def update(
        self,
        name: str,
        num_frames: int,
        num_bytes: int | None,
        length: int | None,
        fps: Fraction,
        note: str = "",
    ) -> None:
        """Show how far a file is; the first call for it adds its line.

        Args:
            name: of the file.
            num_frames: frames done.
            num_bytes: bytes of their stream, if one is written.
            length: frames in all, None if unknown.
            fps: rate of the video, for the bitrate.
            note: stands before the rest.
        """
        if name not in self._files:
            label = self._verb if self._num_files == 1 else name
            self._files[name] = _File(self._add_line(label), time.perf_counter())
        file = self._files[name]
        if num_frames < file.frames:
            file.began = time.perf_counter()  # begun again
        file.frames, file.bytes, file.seconds = num_frames, num_bytes or 0, num_frames / fps
        file.fraction = min(num_frames / length, 1.0) if length else 0.0
        count = f"{note}  {num_frames}/{length or '?'} frames".lstrip()
        facts = f"{count}  {_rates(num_frames, file.bytes, file.seconds, file.began)}"
        self._draw(file.line, file.fraction, facts, file.began, known=length is not None)
        self._update_total()

    def finish(self, name: str) -> None:
        """Count a file, encoded or not, and remove its line."""
        self._finished += 1
        if name in self._files:
            self._files[name].fraction = 0.0  # it counts as finished now
            self._progress.remove_task(self._files[name].line)
        self._update_total()

    def _update_total(self) -> None:
        if self._total is None:
            return
        files = self._files.values()
        done = (self._finished + sum(file.fraction for file in files)) / self._num_files
        frames, size = sum(file.frames for file in files), sum(file.bytes for file in files)
        seconds = sum((file.seconds for file in files), Fraction(0))
        facts = f"{self._finished}/{self._num_files} files  "
        facts += _rates(frames, size, seconds, self._began)
        self._draw(self._total, done, facts, self._began)

    def _add_line(self, label: str) -> TaskID:
        return self._progress.add_task(escape(label), total=1.0, facts="", ends=None)

    def _draw(
        self, line: TaskID, fraction: float, facts: str, began: float, *, known: bool = True
    ) -> None:
        now = time.perf_counter()
        ends = began + (now - began) / fraction if fraction else None
        total = 1.0 if known else None  # None: a bar that only moves
        self._progress.update(line, completed=fraction, total=total, facts=facts, ends=ends)

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


class StepDisplay:
    """A bar for a stage of steps; draws nothing unless standard error is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.draws = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[facts]}"),
            _TimeLeft(),
            console=console,
            transient=True,
            disable=not self.draws,
        )
        self._line = self._progress.add_task("", total=1.0, facts="", ends=None)

    def start(self) -> None:
        """Begin to draw; what is printed to standard error from now on appears above the bar."""
        self._progress.start()

    def stop(self) -> None:
        """Remove the bar."""
        self._progress.stop()

    def update(self, stage: str, step: int, steps: int, facts: str, seconds_left: float) -> None:
        """Show where a stage is."""
        ends = time.perf_counter() + seconds_left
        label = f"{stage} {step}/{steps}"
        self._progress.update(
            self._line, description=label, completed=step / steps, facts=facts, ends=ends
        )


class _TimeLeft(ProgressColumn):
    """Time until a line ends at its mean speed; rich's own needs more updates than GOPs give."""

    def render(self, task: Task) -> Text:
        """The time as h:mm:ss."""
        ends = task.fields["ends"]
        if ends is None:
            return Text("-:--:--", style="progress.remaining")
        left = max(0, round(ends - time.perf_counter()))
        minutes, seconds = divmod(left, 60)
        text = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        return Text(text, style="progress.remaining")


def _rates(num_frames: int, num_bytes: int, seconds: Fraction, began: float) -> str:
    """Speed of the work, and bitrate where a stream is written."""
    if not num_frames:
        return ""
    speed = f"{num_frames / max(time.perf_counter() - began, 1e-9):.1f} fps"
    return f"{speed}  {kilobits_per_second(num_bytes, seconds):,.0f} kb/s" if num_bytes else speed
