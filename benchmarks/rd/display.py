"""Progress of a run on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.rd.measure import Measured
from benchmarks.rd.run import Job, Outcome


class Display:
    """Progress of the points: how many, which, pictures a second, bitrate, time left."""

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def begin(self, what: str, total: int) -> None:
        """Start a bar."""
        for task in self._progress.tasks:
            self._progress.remove_task(task.id)
        self._progress.add_task(what, total=total, facts="")

    def step(self, job: Job, outcome: Outcome) -> None:
        """A job is done."""
        facts = f"{job.codec.label}, {job.clip.name}"
        if isinstance(outcome, Measured):
            point = outcome.point
            facts += f": {point.encode_fps:.3g} fps, {point.bpp:.4f} bpp"
        self.advance(facts)

    def advance(self, facts: str) -> None:
        """One more is done."""
        self._progress.update(self._progress.tasks[0].id, advance=1, facts=escape(facts))
