"""`dsaecodec train`: from footage, or drawn clips, to a model."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dsaecodec.commands.console import print_json, say
from dsaecodec.errors import UsageError

if TYPE_CHECKING:
    from dsaecodec.training.folder import RunFolder
    from dsaecodec.training.trainer import Outcome, Progress

PLAIN_SECONDS = 60.0  # between lines where nothing can be redrawn


@dataclass(frozen=True)
class Request:
    """Arguments of `dsaecodec train`, as its --help explains them."""

    preset: str | None
    data: list[str]
    judged: list[str]
    output: str
    init: str | None
    resume: bool
    max_minutes: float
    device: str
    threads: int | None
    settings: list[str]
    quiet: bool
    as_json: bool


def run(request: Request) -> int:
    """Train, and say what came of it."""
    from dsaecodec.model_io import choose_device
    from dsaecodec.training.start import RunRequest, start_run
    from dsaecodec.training.team import joined_team

    begin = time.monotonic()
    if not request.output:
        raise UsageError("-o names no folder", hint="-o NAME")
    wanted = RunRequest(
        Path(request.output),
        request.preset,
        request.settings,
        request.data,
        request.judged,
        request.init,
        request.resume,
        request.threads,
    )
    with ExitStack() as resources:
        device = choose_device(request.device)
        team = resources.enter_context(joined_team(device, request.threads))
        silent = request.quiet or not team.leads
        show = resources.enter_context(_Display(silent)).show
        trainer = start_run(wanted, team, (lambda _: None) if silent else say, show)
        spent = (time.monotonic() - begin) / 60  # on reading data, maybe
        outcome = trainer.run(request.max_minutes - spent)
    if team.leads:
        _report(request, trainer.folder, outcome)
    return 0


def _report(request: Request, folder: RunFolder, outcome: Outcome) -> None:
    if request.as_json:
        print_json({**asdict(outcome), "weights": str(folder.weights)})
    elif not request.quiet:
        print(f"{folder.weights}: model {outcome.identity}")
        if not outcome.finished:
            say(f"stopped; dsaecodec train -o {folder.root} --resume goes on")
        say(
            f"use it: export DSAECODEC_MODELS={folder.root.resolve()}; "
            f"dsaecodec encode clip.mp4 --model {folder.weights.stem}"
        )


class _Display:
    """Where a run is: a bar on a terminal, otherwise a line a minute."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._said = time.monotonic()

    def __enter__(self) -> _Display:
        self._bar = None
        if not self._silent:
            try:
                from dsaecodec.report import StepDisplay
            except ImportError:  # rich is not needed to train
                return self
            self._bar = StepDisplay()
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Show where the run is."""
        if self._silent:
            return
        loss, distortion, bits_f, bits_z = progress.terms[:4]
        facts = (
            f"{progress.steps_per_second:.2f} steps/s  "
            f"{progress.pixels_per_second / 1e6:.2f} Mpixel/s  loss {loss:.3f}  "
            f"D {distortion:.1f}  bits(f) {bits_f:.3f}  bits(z) {bits_z:.4f}"
        )
        left = (progress.steps - progress.step) / max(progress.steps_per_second, 1e-9)
        if self._bar is not None and self._bar.draws:
            self._bar.update(progress.stage, progress.step, progress.steps, facts, left)
        elif time.monotonic() - self._said > PLAIN_SECONDS:
            self._said = time.monotonic()
            say(
                f"{progress.stage} {progress.step}/{progress.steps}  {facts}  "
                f"{left / 60:.0f} min left in this stage"
            )
