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
    from collections.abc import Callable

    from dsaecodec.training.config import TrainConfig
    from dsaecodec.training.folder import RunFolder, RunInfo
    from dsaecodec.training.shots import Shot
    from dsaecodec.training.team import Team
    from dsaecodec.training.trainer import Outcome, Progress, Trainer

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
    import torch

    from dsaecodec.model_io import choose_device
    from dsaecodec.training.folder import RunFolder
    from dsaecodec.training.team import joined_team

    if request.threads:
        torch.set_num_threads(request.threads)
    with ExitStack() as resources:
        team = resources.enter_context(joined_team(choose_device(request.device)))
        folder = RunFolder(Path(request.output))
        silent = request.quiet or not team.leads
        show = resources.enter_context(_Display(silent)).show
        trainer = _prepare(request, folder, team, (lambda _: None) if silent else say, show)
        outcome = trainer.run(request.max_minutes)
    if team.leads:
        _report(request, folder, outcome)
    return 0


def _prepare(
    request: Request,
    folder: RunFolder,
    team: Team,
    notify: Callable[[str], None],
    show: Callable[[Progress], None],
) -> Trainer:
    from dsaecodec.model_io import read_weights
    from dsaecodec.model_store import find_model
    from dsaecodec.training.trainer import Trainer

    goes_on = request.resume and folder.holds_a_run
    start = find_model(request.init) if request.init and not goes_on else None
    info = folder.read_info() if goes_on else _describe(request, start)
    if goes_on:
        _check_same(request, info)
    shots, judged = _read_shots(info, notify)
    if team.leads and not goes_on:
        folder.begin(info)
    team.wait()
    trainer = Trainer(
        info,
        folder,
        shots,
        judged,
        team,
        weights=None if start is None else read_weights(start),
        jobs=_num_jobs(request.threads),
        notify=notify,
        show=show,
    )
    if goes_on:
        done = ", ".join(f"{name} {step}" for name, step in trainer.done.items())
        notify(f"going on with {folder.root}: steps done: {done}")
    return trainer


def _num_jobs(threads: int | None) -> int:
    import torch

    return threads or torch.get_num_threads()


def _describe(request: Request, start: Path | None) -> RunInfo:
    """What a new run is."""
    from dsaecodec.model_store import identity_of, read_model_file
    from dsaecodec.training.folder import RunInfo

    config = _load_config(request, fine_tune=start is not None)
    if not request.data and not config.data.drawn:
        raise UsageError(
            f"preset {request.preset} needs --data",
            hint="name folders of footage, or a set that is drawn: --set data.drawn=characters",
        )
    identity = "" if start is None else identity_of(read_model_file(start)).hex()
    return RunInfo(config, tuple(request.data), tuple(request.judged), identity)


def _load_config(request: Request, *, fine_tune: bool) -> TrainConfig:
    from dsaecodec.training.config import load_config

    if request.preset is None:
        raise UsageError("a new run needs --preset", hint="--preset natural, for footage")
    return load_config(request.preset, fine_tune=fine_tune, overrides=request.settings)


def _check_same(request: Request, info: RunInfo) -> None:
    """Refuse to go on with a run that is not the one asked for; what is left out is as it was.

    Raises:
        UsageError: the arguments name another configuration, or other data.
    """
    from dsaecodec.training.config import differences

    changed = []
    if request.preset is not None:
        config = _load_config(request, fine_tune=bool(info.init))
        changed += differences(info.config, config)
    elif request.settings:
        changed.append(f"--set {request.settings[0]} without --preset")
    for name, given, had in (
        ("--data", request.data, info.data),
        ("--judge", request.judged, info.judged),
    ):
        if given and tuple(given) != had:
            changed.append(f"{name}: {' '.join(had) or 'none'}, {' '.join(given)}")
    if changed:
        raise UsageError(
            f"{request.output}: holds a run of another configuration: {'; '.join(changed)}",
            hint="--resume and -o alone go on with it; or name another folder",
        )


def _read_shots(info: RunInfo, notify: Callable[[str], None]) -> tuple[list[Shot], list[Shot]]:
    """What is learnt from, and what judges."""
    from dsaecodec.training.drawn import draw_shots
    from dsaecodec.training.footage import read_footage

    config = info.config
    shots = draw_shots(config.data, config.seed) if config.data.drawn else []
    for paths in (info.data, info.judged):
        if not paths:
            continue
        found = read_footage([Path(path) for path in paths], config.data, config.seed)
        for line in found.skipped:
            notify(f"skipped: {line}")
        if found.left_out:
            notify(f"{found.left_out} shots left out to stay within data.max_gigabytes")
        if paths is info.judged:
            return shots, found.shots
        shots += found.shots
    clips = [i for i, shot in enumerate(shots) if len(shot) > 2]
    held = set(clips[config.data.held_out - 1 :: config.data.held_out] or clips[-1:])
    if len(clips) < 2:
        return shots, [shots[i] for i in held]  # too few to spare one
    rest = [shot for i, shot in enumerate(shots) if i not in held]
    return rest, [shots[i] for i in sorted(held)]


def _report(request: Request, folder: RunFolder, outcome: Outcome) -> None:
    if request.as_json:
        print_json({**asdict(outcome), "weights": str(folder.weights)})
        return
    if not outcome.finished and not request.quiet:
        say(f"stopped; dsaecodec train -o {folder.root} --resume goes on")
    if not request.quiet:
        print(f"{folder.weights}: model {outcome.identity}")
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
