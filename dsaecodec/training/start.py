"""How a run begins, or goes on: its folder, its data, the weights it starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch

from dsaecodec.errors import ConfigError, ModelError, UsageError
from dsaecodec.model_io import load_model, read_detail
from dsaecodec.model_store import SUFFIX, find_model, identity_of, read_model_file
from dsaecodec.training.config import ENCODED, TrainConfig, differences, load_config
from dsaecodec.training.drawn import draw_shots
from dsaecodec.training.folder import RunFolder, RunInfo
from dsaecodec.training.footage import read_footage
from dsaecodec.training.sampler import ClipSampler
from dsaecodec.training.shots import Shot, fingerprint
from dsaecodec.training.team import Team
from dsaecodec.training.trainer import Progress, Trainer
from dsaecodec.training.vector_stages import SequenceSampler, measured_detail

MOST_JOBS = 8
"""Processes that encode for a stage: each holds a model and a shot."""


@dataclass(frozen=True)
class RunRequest:
    """What somebody wants trained.

    Attributes:
        folder: of the run.
        preset: name or path; None goes on with what the folder holds.
        settings: "key=value" each, over the preset.
        data: paths to learn from.
        judged: paths to be judged by; empty: some of the data are held out.
        init: name or path of a model to start from.
        resume: go on with the folder's run if it holds one.
        threads: of each process.
    """

    folder: Path
    preset: str | None = None
    settings: Sequence[str] = ()
    data: Sequence[str] = ()
    judged: Sequence[str] = ()
    init: str | None = None
    resume: bool = False
    threads: int | None = None


def start_run(
    request: RunRequest,
    team: Team,
    notify: Callable[[str], None] = lambda line: None,
    show: Callable[[Progress], None] = lambda progress: None,
) -> Trainer:
    """Make everything ready to train.

    Args:
        request: what is wanted.
        team: the processes that share the work.
        notify: is told what the user should know.
        show: is told where the run is.

    Raises:
        UsageError: the request makes no sense, or differs from the run that the folder holds.
        ConfigError: a setting is wrong, or the folder is damaged.
        OutputError: the folder cannot be made, or holds a run that is not to be resumed.
        InputVideoError: there is nothing to learn from.
        ModelError: there is no model to start from.
    """
    folder = RunFolder(request.folder)
    if not folder.root.resolve().name:
        raise UsageError(f"{folder.root}: is no folder for a run", hint="-o NAME")
    goes_on = request.resume and folder.holds_a_run
    start = _find_start(request.init) if request.init else None
    info = folder.read_info() if goes_on else _describe(request, start)
    if goes_on:
        _check_same(request, info, start)
        info = replace(
            info,
            data=tuple(request.data) or info.data,
            judged=tuple(request.judged) or info.judged,
        )
        if info.init and not folder.has_checkpoint:  # it came no further than its beginning
            start = start or find_model(None, bytes.fromhex(info.init))
    elif team.leads:
        folder.check_new()
    shots, judged = _read_shots(info, notify)
    info = _with_detail(_check_shots(request, info, shots), shots, start)
    if not team.agrees(info.to_json() + f"{goes_on}"):
        raise ConfigError(
            "the processes see different folders or data",
            hint="a run needs a folder, and data, that all of its machines see",
        )
    _check_enough(info.config, shots, team)
    begun = None if start is None else load_model(str(start), "cpu")
    trainer = Trainer(
        info,
        folder,
        shots,
        judged,
        team,
        weights=None if begun is None else begun.model.state_dict(),
        tables=None if begun is None else begun.tables,
        jobs=min(request.threads or torch.get_num_threads(), MOST_JOBS),
        notify=notify,
        show=show,
    )
    if team.leads:
        (folder.write_info if goes_on else folder.begin)(info)
    team.wait()
    if goes_on:
        done = ", ".join(f"{name} {step}" for name, step in trainer.done.items())
        notify(f"going on with {folder.root}, steps done: {done}")
    return trainer


def _find_start(name: str) -> Path:
    """The model to start from; a checkpoint, which PyTorch would unpickle, is not taken for one."""
    path = find_model(name)
    if path.suffix != SUFFIX:
        raise ModelError(
            f"{path}: is no model file", hint=f"the weights of a run are its NAME{SUFFIX}"
        )
    return path


def _describe(request: RunRequest, start: Path | None) -> RunInfo:
    """What a new run is."""
    config = _load_config(request, fine_tune=start is not None)
    if not request.data and not config.data.drawn:
        raise UsageError(
            f"preset {request.preset} needs --data",
            hint="name folders of footage, or a set that is drawn: --set data.drawn=characters",
        )
    identity = "" if start is None else identity_of(read_model_file(start)).hex()
    return RunInfo(config, tuple(request.data), tuple(request.judged), identity)


def _check_shots(request: RunRequest, info: RunInfo, shots: Sequence[Shot]) -> RunInfo:
    """Refuse to go on with other data than those the run began with, wherever they lie now."""
    found = fingerprint(shots)
    if info.fingerprint and info.fingerprint != found:
        raise UsageError(
            f"{request.folder}: {' '.join(info.data) or 'the drawn set'} is not what the run "
            "learnt from so far",
            hint="--data names the place where it lies now; or name another folder",
        )
    return replace(info, fingerprint=found)


def _with_detail(info: RunInfo, shots: Sequence[Shot], start: Path | None) -> RunInfo:
    """Let the model start from, or else the footage, say how much detail blocks have."""
    config = info.config
    vector = config.vector
    if not config.is_vector or vector.products != "blocks" or vector.detail:
        return info
    detail = read_detail(start) if start else ""
    detail = detail or measured_detail(shots, vector.size)
    return replace(info, config=replace(config, vector=replace(vector, detail=detail)))


def _check_enough(config: TrainConfig, shots: Sequence[Shot], team: Team) -> None:
    """Refuse what a later stage could not use, before the first one has begun.

    Raises:
        ConfigError: naming the setting that helps.
    """
    for name in config.stages:
        team.share(getattr(config, name).batch, name)
    if config.is_vector:
        longest = max((getattr(config, name).num_frames for name in config.stages), default=1)
        SequenceSampler(shots, longest, config.vector.size)
        return
    encoded = [name for name in config.stages if name in ENCODED]
    for name in encoded:
        if find_spec("constriction") is None:
            raise ConfigError(
                f"the stage of the {name} encodes, and the coder's library constriction is missing",
                hint=f"--set {name}.steps=0, and do that stage where it is installed",
            )
    if config.clips.steps and config.clips.synthetic < 1:
        ClipSampler(shots, config.clips.num_frames, config.clips.size)
    for name in encoded:
        if not any(len(shot) > 1 for shot in shots):
            raise ConfigError(
                f"no clip to encode for the stage of the {name}", hint=f"--set {name}.steps=0"
            )


def _load_config(request: RunRequest, *, fine_tune: bool) -> TrainConfig:
    if request.preset is None:
        raise UsageError("a new run needs --preset", hint="--preset natural, for footage")
    return load_config(request.preset, fine_tune=fine_tune, overrides=request.settings)


def _check_same(request: RunRequest, info: RunInfo, start: Path | None) -> None:
    """Refuse a run that is not the one asked for; what the request leaves out is as it was."""
    changed = []
    if request.preset is not None:
        config = _load_config(request, fine_tune=bool(info.init))
        if not config.vector.detail:  # the run has measured it
            vector = replace(config.vector, detail=info.config.vector.detail)
            config = replace(config, vector=vector)
        changed += differences(info.config, config)
    elif request.settings:
        changed.append(f"--set {request.settings[0]} without --preset")
    if start is not None and identity_of(read_model_file(start)).hex() != info.init:
        changed.append(f"--init: {info.init or 'none'}, {request.init}")
    if changed:
        raise UsageError(
            f"{request.folder}: holds a run of another configuration: {'; '.join(changed)}",
            hint="--resume and -o alone go on with it; or name another folder",
        )


def _read_shots(info: RunInfo, notify: Callable[[str], None]) -> tuple[list[Shot], list[Shot]]:
    """What is learnt from, and what judges."""
    config = info.config
    shots = draw_shots(config.data, config.seed, rgb=config.is_vector) if config.data.drawn else []
    if info.data:
        shots += _read(info.data, config, notify)
    if info.judged:
        return shots, _read(info.judged, config, notify)
    clips = [i for i, shot in enumerate(shots) if len(shot) > 2]
    every = config.data.held_out
    held = set(clips[every - 1 :: every] or clips[-1:])
    judged = [shots[i] for i in sorted(held)]
    if len(clips) < 2:
        notify("judged by what it is trained on: there is no clip to spare, see --judge")
        return shots, judged  # too few to spare one
    return [shot for i, shot in enumerate(shots) if i not in held], judged


def _read(paths: Sequence[str], config: TrainConfig, notify: Callable[[str], None]) -> list[Shot]:
    found = read_footage(
        [Path(path) for path in paths], config.data, config.seed, rgb=config.is_vector
    )
    for line in found.skipped:
        notify(f"skipped: {line}")
    if found.left_out:
        notify(f"{found.left_out} shots left out to stay within data.max_gigabytes")
    return found.shots
