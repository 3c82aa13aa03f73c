"""Train a small latent model: `python -m benchmarks.latents.train --set balls --variant local …`.

A run is a function of its configuration: it saves itself every half minute, stops after `--minutes`
and goes on with `--resume` as though it had never stopped. It leaves `log.csv` and, once all steps
are done, `weights.safetensors`.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.latents.clips import SETS, Clips, Frames, SetName, open_clips
from benchmarks.latents.model import BETAS, CONFIGS, VARIANTS, LatentModel, Variant
from benchmarks.latents.objective import Terms, measure, random_betas
from benchmarks.latents.store import write_weights

_SAVE_SECONDS = 30.0
_LOG_STEPS = 20
_SHORT = 4  # frames
_COLUMNS = ("step", "seconds", "kind", "beta", "loss", "bits_f", "bits_z", "psnr_db")


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        set: what it is trained on.
        variant: of the model.
        steps: updates.
        batch: clips a step.
        shown: frames a clip whose error is computed; the latents of all are inferred and coded.
        learning_rate: the highest.
        short: share of the steps that see short clips: pictures are learned before motion.
        validate: steps between points of the validation curve.
        seed: of everything random.
    """

    set: SetName
    variant: Variant
    steps: int = 5000
    batch: int = 8
    shown: int = 6
    learning_rate: float = 3e-3
    short: float = 0.5
    validate: int = 250
    seed: int = 1


def rate_weight(config: TrainConfig, step: int) -> float:
    """How much of β counts: little until latents mean something, all from 0.8 of the run on."""
    done = step / config.steps
    return math.pow(0.02, 1 - min(max((done - 0.4) / 0.4, 0.0), 1.0))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Warm-up, then a cosine from half of the run on."""
    decay = min(max(2 * step / config.steps - 1, 0.0), 1.0)
    factor = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * decay))
    return config.learning_rate * factor * min(1.0, (step + 1) / 50)


class Trainer:
    """The loop: data, optimizer, checkpoints, log."""

    def __init__(self, config: TrainConfig, clips: Clips, out: Path) -> None:
        self.config, self.clips, self.out = config, clips, out
        self.step, self.seconds = 0, 0.0
        torch.manual_seed(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.model = LatentModel(CONFIGS[config.variant])
        self.optimizer = torch.optim.Adam(self.model.parameters(), betas=(0.9, 0.98))

    def train_step(self) -> list[float]:
        """One update; β (0: all), loss, bits of f and z, and PSNR, means of the batch."""
        config = self.config
        frames = as_tensor(self._draw())
        beta = random_betas(len(frames), self.generator)
        count = config.batch * config.shown // len(frames)
        shown = torch.randperm(frames.shape[1], generator=self.generator)[:count]
        terms = measure(self.model, frames, beta, shown, self.generator)
        loss = objective(terms, rate_weight(config, self.step) * beta, frames)
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError(f"step {self.step}: the loss is {float(loss)}")
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return [0.0, float(loss.detach()), *_means(terms)]

    def _draw(self) -> Frames:
        """The clips of a step: first many short ones, then few long ones, as many frames."""
        config, rng = self.config, np.random.default_rng([self.config.seed, self.step])
        shortest, longest = self.clips.lengths
        if self.step < config.short * config.steps:
            count = config.batch * longest // (2 * _SHORT)
            return self.clips.draw(count, _SHORT, rng)
        return self.clips.draw(config.batch, int(rng.integers(shortest, longest + 1)), rng)

    def validate(self, frames: Tensor) -> list[list[float]]:
        """The same at every level, of rounded latents, without the networks learning."""
        rows = []
        with torch.no_grad():
            for level in BETAS:
                beta = torch.full((len(frames),), level)
                terms = measure(self.model, frames, beta, torch.arange(frames.shape[1]), None)
                rows.append([level, float(objective(terms, beta, frames)), *_means(terms)])
        return rows

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "config": asdict(self.config),
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }
        temporary = self.out / "checkpoint.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.out / "checkpoint.pt")

    def resume(self) -> None:
        """Continue from the checkpoint in the output folder; the log loses what came after it.

        Raises:
            ValueError: the checkpoint belongs to another configuration.
        """
        state = torch.load(self.out / "checkpoint.pt", weights_only=True)
        if state["config"] != asdict(self.config):
            raise ValueError(f"checkpoint of another configuration: {state['config']}")
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        log = self.out / "log.csv"
        with open(log, newline="") as file:
            head, *rows = csv.reader(file)
        with open(log, "w", newline="") as file:
            kept = [row for row in rows if int(row[0]) <= self.step]
            csv.writer(file, lineterminator="\n").writerows([head, *kept])

    def run(self, minutes: float = math.inf) -> bool:
        """Train until all steps are done or the time is up; whether all are done."""
        config, begin, before = self.config, time.monotonic(), self.seconds
        watched = as_tensor(self.clips.validation(16))
        saved = begin
        with open(self.out / "log.csv", "a" if self.step else "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if self.step == 0:
                writer.writerow(_COLUMNS)
            while self.step < config.steps:
                row = self.train_step()
                now = time.monotonic()
                self.seconds = before + now - begin
                at = (self.step, f"{self.seconds:.1f}")
                if self.step % _LOG_STEPS == 0:
                    writer.writerow([*at, "train", *_short(row)])
                if self.step % config.validate == 0 or self.step == config.steps:
                    rows = self.validate(watched)
                    writer.writerows([*at, "valid", *_short(row)] for row in rows)
                file.flush()
                if now - saved > _SAVE_SECONDS or now - begin > 60 * minutes:
                    self.save()
                    saved = now
                if now - begin > 60 * minutes:
                    return self.step == config.steps
        self.save()
        return True

    def export(self) -> Path:
        """Write the weights and say what they are."""
        path = self.out / "weights.safetensors"
        about = {name: str(value) for name, value in asdict(self.config).items()}
        write_weights(self.model, path, about | {"seconds": f"{self.seconds:.0f}"})
        return path


def objective(terms: Terms, beta: Tensor, frames: Tensor) -> Tensor:
    """Mean over clips of squared error + β · bits, a sample, with all β made alike in weight."""
    cost = terms.squared_error + beta * (terms.bits_f + terms.bits_z)
    return 100 * cost.mean() / frames[0].numel()


def as_tensor(frames: Frames) -> Tensor:
    """uint8 frames of any shape as floats in 0…1."""
    return torch.from_numpy(np.ascontiguousarray(frames)).float() / 255


def _means(terms: Terms) -> list[float]:
    values = (terms.bits_f, terms.bits_z, terms.psnr_db)
    return [float(value.detach().mean()) for value in values]


def _short(row: list[float]) -> list[str]:
    return [f"{value:.5g}" for value in row]


def main() -> None:
    """Command line of the trainer."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--variant", choices=VARIANTS, required=True)
    for option in fields(TrainConfig)[2:]:
        name = "--" + option.name.replace("_", "-")
        parser.add_argument(name, type=type(option.default), default=option.default)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="continue from OUT/checkpoint.pt")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(**{f.name: getattr(args, f.name) for f in fields(TrainConfig)})
    trainer = Trainer(config, open_clips(config.set), args.out)
    if args.resume:
        trainer.resume()
    if trainer.run(args.minutes):
        print(trainer.export())


if __name__ == "__main__":
    main()
