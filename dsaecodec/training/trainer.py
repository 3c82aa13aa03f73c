"""The loop: stages of steps, with checkpoints, logs and looks at held-out clips.

    shots ─ sampler ─► clips ─ objective ─► terms ─ optimizer ─► weights ─► checkpoint, model file

A step is a function of weights, optimizer and its own number. So a run that was stopped, or killed
and thrown back to its last checkpoint, goes on as if it never had been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bitstream import FrequencyTables
from dsaecodec.errors import CodecError, ConfigError
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.content_stages import HyperStage, PlanesStage
from dsaecodec.training.contents import encode_contents, read_contents
from dsaecodec.training.folder import RunFolder, RunInfo
from dsaecodec.training.interrupts import held_interrupts
from dsaecodec.training.objective import Terms
from dsaecodec.training.onlooker import Onlooker
from dsaecodec.training.optimizer import schedule
from dsaecodec.training.shots import Shot
from dsaecodec.training.speed import full_float32, prepare_networks
from dsaecodec.training.stages import ClipStage, ContentStage, PriorStage, Stage, start_ahead
from dsaecodec.training.symbols import choose, encode_choice, encode_gops, read_gops
from dsaecodec.training.team import Team
from dsaecodec.training.vector_stages import CodingStage, SequenceStage, SketchStage, start_vectors
from dsaecodec.vector.model import VectorModel

SAVE_SECONDS = 40.0
LOG_STEPS = 20
GRADIENT_NORM = 1.0
NUM_LOGGED = 6  # loss, distortion, bits of f and of z, prediction, planes


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        stage: name of the running stage.
        step, steps: done and planned in this stage.
        steps_per_second, pixels_per_second: since the last report.
        terms: loss, distortion, bits of f and of z, prediction and planes: means of a few steps.
    """

    stage: str
    step: int
    steps: int
    steps_per_second: float
    pixels_per_second: float
    terms: Sequence[float]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: all steps are done.
        identity: of the model file, hex.
        steps: done in each stage.
    """

    finished: bool
    identity: str
    steps: dict[str, int]


class Trainer:
    """Trains one model.

    Args:
        info: what the run is.
        folder: where it is kept.
        shots: what it learns from.
        judged: what it is judged by.
        team: the processes that share the work.
        weights: of a model to start from, None for step 0.
        tables: of that model, kept unless the stage of the priors fits others.
        jobs: processes that encode for stages that learn from what they make.
        notify: is told what the user should know.
        show: is told where the run is, every few steps.
    """

    def __init__(
        self,
        info: RunInfo,
        folder: RunFolder,
        shots: Sequence[Shot],
        judged: Sequence[Shot],
        team: Team,
        *,
        weights: dict[str, Tensor] | None = None,
        tables: FrequencyTables | None = None,
        jobs: int = 1,
        notify: Callable[[str], None] = lambda line: None,
        show: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.info, self.config, self.folder, self.team = info, info.config, folder, team
        self._notify, self._show, self._jobs = notify, show, jobs
        self._shots = [shot.to(team.device) for shot in shots]
        self._clips = [shot for shot in shots if len(shot) > 1]
        self._judged = list(judged)
        self._stages = self.config.stages
        torch.manual_seed(self.config.seed)
        self.model = _make_model(self.config)
        if weights is None:
            _start_ahead(self.model, shots, self.config)
        else:
            self._load(weights)
        compiled = self.config.compile == "always" or (
            self.config.compile == "auto" and team.device.type == "cuda"
        )
        prepare_networks(self.model, team.device, compiled=compiled)
        self.done = dict.fromkeys(self._stages, 0)
        self._window: list[list[float]] = []
        self._seconds = 0.0
        self._first_tables = tables
        self._tables: FrequencyTables | None = None  # fitted in this run
        self._optimizer_state: dict[str, Any] | None = None
        self._resume()
        team.lead(self.model.state_dict().values())

    def run(self, max_minutes: float = math.inf) -> Outcome:
        """Train until all steps are done or the time is up.

        Raises:
            ConfigError: the data are not enough for a stage.
            CodecError: the loss is not finite.
            KeyboardInterrupt: Ctrl-C; the run is saved.
        """
        begin = time.monotonic()
        with full_float32(), held_interrupts() as interrupts:

            def stops() -> bool:
                late = time.monotonic() - begin > 60 * max_minutes
                return late or interrupts.received is not None

            finished = self._run_stages(stops)
            identity = self._save_weights()
            interrupts.deliver()
        return Outcome(finished, identity, dict(self.done))

    def _run_stages(self, stops: Callable[[], bool]) -> bool:
        place = self._place()
        onlooker = self._make_onlooker(place)
        if onlooker and place is None and self._stages:
            self._save_weights()
            onlooker.judge(self.model, self._stages[0], 0, 0.0)
        for name in self._stages:
            lacks_tables = name == PriorStage.name and self._tables is None
            if self.done[name] < self._steps_of(name) or lacks_tables:
                stage = self._make_stage(name, stops)
                if stage is None or not self._run_stage(stage, onlooker, stops):
                    return False
                if isinstance(stage, PriorStage) and not self._fit_tables(stage, stops):
                    return False
        return True

    def _fit_tables(self, stage: PriorStage, stops: Callable[[], bool]) -> bool:
        """Tables for what the fitted priors say; False if something stopped that."""
        if not self.team.leads:
            return True
        self._tables = tables = stage.fitted_tables(self.model, stops)
        state = self.folder.load_checkpoint(self.info)
        if tables is None or state is None:
            return False
        state["tables"] = _as_tensors(tables)
        self.folder.save_checkpoint(self.info, state)
        return True

    def _run_stage(
        self, stage: Stage, onlooker: Onlooker | None, stops: Callable[[], bool]
    ) -> bool:
        """Run a stage to its end, or until something stops it."""
        optimizer = torch.optim.AdamW(stage.groups(self.model), betas=(0.9, 0.98), weight_decay=0.0)
        if self._optimizer_state is not None:
            optimizer.load_state_dict(self._optimizer_state)
            self._optimizer_state = None
        began = saved = looked = shown = time.monotonic()
        before, shown_step = self._seconds, self.done[stage.name]
        while (step := self.done[stage.name]) < stage.steps:
            self._set_rates(optimizer, schedule(step, stage.steps, stage.decay))
            stop = self._step(stage, step, optimizer, stops())
            self.done[stage.name] = step = step + 1
            now = time.monotonic()
            self._seconds = before + now - began
            if step % LOG_STEPS == 0 or step == stage.steps:
                terms = self._take_window()
                if onlooker:
                    row = [f"{value:.5g}" for value in terms]
                    onlooker.logs.add([stage.name, step, f"{self._seconds:.1f}", *row])
                speed = (step - shown_step) / max(now - shown, 1e-9)
                self._show(
                    Progress(stage.name, step, stage.steps, speed, speed * stage.pixels, terms)
                )
                shown, shown_step = now, step
            if self.team.leads and (now - saved > SAVE_SECONDS or stop or step == stage.steps):
                self._save_checkpoint(stage.name, optimizer)
                saved = time.monotonic()
            ends = stop or step == stage.steps
            if onlooker and (now - looked > 60 * self.config.judge_minutes or ends):
                self._save_weights()
                onlooker.look(self.model, stage, step, self._seconds)
                looked = shown = time.monotonic()
                shown_step = step
            if stop:
                return step == stage.steps and stage.name == self._stages[-1]
        return True

    def _step(self, stage: Stage, step: int, optimizer: Any, stop: bool) -> bool:
        """One update; returns whether any process of the team wants to stop."""
        with self._precision():
            terms = stage.terms(self.model, step, self.team)
        optimizer.zero_grad(set_to_none=True)
        terms.loss.backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for parameter in parameters:
            if parameter.grad is None:  # all processes must exchange the same tensors
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        said = _vector(terms, stop)
        self.team.average_([*gradients, said])
        values = said.tolist()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM))
        if not math.isfinite(values[0] + norm):
            raise CodecError(
                f"{stage.name}, step {step}: the loss is {values[0]}, its gradient {norm}",
                hint="go on from the last checkpoint, or lower learning_rate",
            )
        optimizer.step()
        self.model.project_()
        self._window.append(values[:NUM_LOGGED])
        return values[NUM_LOGGED] > 0

    def _set_rates(self, optimizer: Any, factor: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("full_lr", group["lr"]) * factor

    def _take_window(self) -> list[float]:
        """Means of what the steps since the last call measured."""
        means = [sum(column) / len(column) for column in zip(*self._window, strict=True)]
        self._window = []
        return means

    def _precision(self) -> AbstractContextManager[Any]:
        kind, wanted = self.team.device.type, self.config.precision
        narrow = wanted == "bfloat16" or (wanted == "auto" and kind == "cuda")
        return torch.autocast(kind, torch.bfloat16, enabled=narrow)

    def _steps_of(self, name: str) -> int:
        steps: int = getattr(self.config, name).steps
        return steps

    def _make_stage(self, name: str, stops: Callable[[], bool]) -> Stage | None:
        if name == "sketch":
            return SketchStage(self.config, self._shots)
        if name == "sequences":
            return SequenceStage(self.config, self._shots)
        if name == "coding":
            return CodingStage(self.config, self._shots)
        if name == "content":
            return ContentStage(self.config, self._shots)
        if name == "clips":
            shortest = self.config.clips.num_frames
            short = sum(len(clip) < shortest for clip in self._clips)
            if short:
                self._notify(
                    f"of {len(self._clips)} clips {short} have fewer than {shortest} frames and "
                    "are left out of this stage; --set clips.num_frames=N takes shorter ones"
                )
            return ClipStage(self.config, self._shots)
        return self._make_encoded_stage(name, stops)

    def _make_encoded_stage(self, name: str, stops: Callable[[], bool]) -> Stage | None:
        """A stage that shots are encoded for, once they are; None if something stopped that."""
        config, folder, start = self.config, self.folder, self.folder.before(name)
        if self.team.leads and not start.exists():
            folder.save_weights(self.model, self.info, self.done, self._first_tables, start)
        self.team.wait()
        count = getattr(config, name).shots
        choice = choose(self._clips, count, config.seed, folder.symbols(name))
        self._notify(f"encoding {len(choice)} shots")
        kind = {stage.name: stage for stage in (PlanesStage, HyperStage)}.get(name)
        encode = encode_contents if kind else encode_gops
        if not encode_choice(choice, encode, start, self._jobs, self.team, stops):
            return None
        if kind:
            return kind(config, read_contents(choice))
        return PriorStage(config, read_gops(choice))

    def _make_onlooker(self, place: tuple[str, int] | None) -> Onlooker | None:
        """Of the process that writes files."""
        if not self.team.leads:
            return None
        logs = self.folder.open_logs(place, self._stages)
        onlooker = Onlooker(self.folder, logs, self._precision, self._notify)
        onlooker.prepare(self.config, self._judged, self.team.device)
        return onlooker

    def _load(self, weights: dict[str, Tensor]) -> None:
        try:
            if isinstance(self.model, SpatialModel):
                weights = self.model.widened(weights)
            self.model.load_state_dict(weights)
            self.model.project_()
        except RuntimeError as error:
            table = "vector" if self.config.is_vector else "model"
            raise ConfigError(
                f"the model to start from has another shape: {str(error).splitlines()[0]}",
                hint=f"--set {table}.… as it was trained with",
            ) from error

    def _place(self) -> tuple[str, int] | None:
        """Stage and step of the last thing done; None before the first."""
        begun = [name for name in self._stages if self.done[name]]
        return (begun[-1], self.done[begun[-1]]) if begun else None

    def _save_weights(self) -> str:
        if not self.team.leads:
            return ""
        tables = self._tables or self._first_tables
        return self.folder.save_weights(self.model, self.info, self.done, tables).hex()

    def _save_checkpoint(self, stage: str, optimizer: Any) -> None:
        self.folder.save_checkpoint(
            self.info,
            {
                "stage": stage,
                "done": self.done,
                "seconds": self._seconds,
                "window": self._window,
                "model": self.model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "first_tables": self._first_tables and _as_tensors(self._first_tables),
            },
        )

    def _resume(self) -> None:
        state = self.folder.load_checkpoint(self.info)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.done.update(state["done"])
        self._seconds, self._window = state["seconds"], state["window"]
        if state.get("first_tables"):
            self._first_tables = _from_tensors(state["first_tables"])
        if "tables" in state:
            self._tables = _from_tensors(state["tables"])
        if self.done[state["stage"]] < self._steps_of(state["stage"]):
            self._optimizer_state = state["optimizer"]


def _make_model(config: TrainConfig) -> Any:
    return VectorModel(config.vector) if config.is_vector else SpatialModel(config.model)


def _start_ahead(model: Any, shots: Sequence[Shot], config: TrainConfig) -> None:
    if config.is_vector:
        start_vectors(model, shots)
    else:
        start_ahead(model, shots, config)


def _as_tensors(tables: FrequencyTables) -> list[Tensor]:
    return [torch.from_numpy(part) for part in (tables.freqs, tables.half_widths)]


def _from_tensors(parts: list[Tensor]) -> FrequencyTables:
    return FrequencyTables(*(part.numpy() for part in parts))


def _vector(terms: Terms, stop: bool) -> Tensor:
    """What a step measured, and a flag, as one tensor that processes can average."""
    zero = torch.zeros_like(terms.loss)
    values = [terms.loss, terms.distortion, terms.bits_content, terms.bits_dynamics]
    values += [terms.extra.get(name, zero) for name in ("prediction", "planes")]
    return torch.stack([v.detach().float() for v in [*values, zero + float(stop)]])
