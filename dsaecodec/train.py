"""Train a spatial model: `python -m dsaecodec.train --data FOLDER… -o DIR`.

Objective, for a random quality q each step (λ(q) in `model.lagrangian`):

    E[ D / λ + R ],   D = mse_Y + (mse_U + mse_V) / 2,   R in bits a pixel of all frames,

with the code length of the exact prior under additive uniform noise for R and rounded latents
(straight-through) for D. The first phase trains content alone; the second everything, on clips.
A run saves itself every minute, stops after `--max-minutes` and continues with `--resume`.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec import likelihood
from dsaecodec.code_length import content_parameters, dynamics_parameters
from dsaecodec.data import ClipSampler, load
from dsaecodec.exact import IntConv, round_ste
from dsaecodec.model import (
    SpatialConfig,
    SpatialModel,
    content_step,
    lagrangian,
    smoothness,
)
from dsaecodec.model_io import read_weights
from dsaecodec.synthesis import Planes, Yuv, expand_planes


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        steps_content: steps of the content phase.
        steps_clips: steps of the clip phase.
        batch_content: crops a step of the content phase.
        batch_clips: clips a step of the clip phase.
        size: crop height and width in pixels.
        num_frames: frames a clip, the previous GOP's content frame included.
        learning_rate: of the float networks; the others follow by fixed ratios.
        seed: of everything random.
    """

    steps_content: int = 3000
    steps_clips: int = 6000
    batch_content: int = 6
    batch_clips: int = 2
    size: int = 192
    num_frames: int = 10
    learning_rate: float = 5e-4
    seed: int = 1

    @property
    def steps(self) -> int:
        """All steps."""
        return self.steps_content + self.steps_clips


@dataclass
class Terms:
    """What a step measured; floats once logged."""

    distortion: Tensor
    bits_content: Tensor  # bits a pixel of one content frame
    bits_dynamics: Tensor  # bits a pixel and frame
    loss: Tensor
    extra: dict[str, float] = field(default_factory=dict)


def _rounded(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5).detach()


def _noisy(x: Tensor) -> Tensor:
    return x + torch.rand_like(x) - 0.5


def mse(x: Yuv, y: Yuv) -> Tensor:
    """Weighted squared error of all samples: mse_Y + (mse_U + mse_V) / 2."""
    return F.mse_loss(x.luma, y.luma) + F.mse_loss(x.chroma, y.chroma)


def content_terms(model: SpatialModel, frame: Yuv, quality: int) -> tuple[Planes, Tensor]:
    """Content of frames [N, …]: decoded planes and total bits."""
    steps = model.f_steps(quality)
    scaled = model.content_posterior(frame) / steps
    hyper = model.content_posterior.infer_hyper(scaled)
    mean, index = model.content_prior.hyper_parameters(hyper)
    bits = likelihood.bits(_noisy(hyper), mean, index).sum()
    said = content_parameters(model.content_prior, round_ste(hyper), _rounded(scaled), quality)
    bits = bits + said.bits(_noisy(scaled)).sum()
    return model.synthesize_content(round_ste(scaled) * steps, quality), bits


def step_content(model: SpatialModel, frame: Yuv, quality: int) -> Terms:
    """One step of the content phase on frames: luma [N, 1, H, W]."""
    planes, bits = content_terms(model, frame, quality)
    distortion = mse(frame, planes.picture)
    rate = bits / frame.luma.numel()
    lmbda = 0.15 * content_step(quality) ** 2
    zero = rate.detach() * 0
    return Terms(distortion, rate, zero, distortion / lmbda + rate)


def _frame(clip: Yuv, t: int) -> Yuv:
    return Yuv(clip.luma[:, t : t + 1], clip.chroma[:, t])


def _half(planes: Planes, part: int) -> Planes:
    def chunk(x: Tensor) -> Tensor:
        return x.chunk(2)[part]

    picture = Yuv(*(chunk(x) for x in planes.picture))
    return Planes(picture, *(chunk(x) for x in planes[1:]))


def step_clips(model: SpatialModel, clip: Yuv, quality: int, anchor: int | None) -> Terms:
    """One step of the clip phase.

    Args:
        clip: luma [N, T+1, H, W], chroma [N, T+1, 2, H/2, W/2].
        anchor: None codes frames 1…T against the contents of frames 0 and T; a number codes all
            frames against the content of that frame alone.
    """
    count, total, height, width = clip.luma.shape
    refs = anchor is None
    if refs:
        first, last = _frame(clip, 0), _frame(clip, total - 1)
        both = Yuv(torch.cat([first.luma, last.luma]), torch.cat([first.chroma, last.chroma]))
        planes, bits_f = content_terms(model, both, quality)
        previous, current = _half(planes, 0), _half(planes, 1)
        bits_f, plane_error = bits_f / 2, mse(both, planes.picture)
        frames, where = Yuv(clip.luma[:, 1:], clip.chroma[:, 1:]), total - 2
    else:
        assert anchor is not None
        single = _frame(clip, anchor)
        current, bits_f = content_terms(model, single, quality)
        previous, plane_error = current, mse(single, current.picture)
        frames, where = clip, anchor
    num_frames = frames.luma.shape[1]
    mu = smoothness(quality)
    z_motion = model.infer_motion(frames.luma, previous, current, where, mu)
    steps = model.z_steps(quality)
    motion_scaled = z_motion / steps[:, :5]
    z_motion_hat = round_ste(motion_scaled) * steps[:, :5]
    synthesis = model.frame_synthesis
    a, b = expand_planes(previous, num_frames), expand_planes(current, num_frames)
    flat = Yuv(
        frames.luma.reshape(count * num_frames, 1, height, width), frames.chroma.flatten(0, 1)
    )
    motion = synthesis.motion(a, b, z_motion_hat)
    prediction, difference = synthesis.predict(a, b, motion)
    residual = model.dynamics_posterior.infer_residual(flat, prediction)
    residual_scaled = residual / steps[:, 5:]
    decoded = synthesis.finish(prediction, difference, round_ste(residual_scaled) * steps[:, 5:])
    scaled = torch.cat([motion_scaled, residual_scaled], 1).unflatten(0, (count, num_frames))
    said = dynamics_parameters(model.dynamics_prior, _rounded(scaled), quality, refs)
    bits_z = said.bits(_noisy(scaled).flatten(0, 1)).sum()
    distortion = mse(flat, decoded)
    pixels = count * height * width
    rate_f, rate_z = bits_f / pixels, bits_z / (pixels * num_frames)
    rate = rate_f / num_frames + rate_z
    loss = (distortion + 0.05 * plane_error) / lagrangian(quality) + rate
    extra = {
        "prediction": float(mse(flat, prediction).detach()),
        "planes": float(plane_error.detach()),
    }
    return Terms(distortion, rate_f, rate_z, loss, extra)


def start_ahead(model: SpatialModel, sampler: ClipSampler, generator: torch.Generator) -> None:
    """Set the initial scales of the priors from data: step 0 is a transform codec.

    Scale indices of f follow the mean magnitude of its coefficients at quality 50; those of z_t
    start at plausible constants.
    """
    quality = 50
    with torch.no_grad():
        clip = sampler.draw(24, generator)
        scaled = model.content_posterior(_frame(clip, 0)) / model.f_steps(quality)
        magnitude = scaled.abs().mean((0, 2, 3)).clamp(min=0.02)
        index = likelihood.LEVELS_PER_OCTAVE * torch.log2(magnitude / likelihood.SCALE_MIN)
        model.content_prior.head.bias[scaled.shape[1] :] = index
        head = model.dynamics_prior.head.bias[model.config.z_channels :]
        head[:] = likelihood.LEVELS_PER_OCTAVE * math.log2(0.25 / likelihood.SCALE_MIN)
        head[:5] = likelihood.LEVELS_PER_OCTAVE * math.log2(0.7 / likelihood.SCALE_MIN)


def parameter_groups(model: SpatialModel, rate: float) -> list[dict[str, Any]]:
    """Learning rates: exact layers and transforms move less than free float networks."""
    exact = {id(p) for m in model.modules() if isinstance(m, IntConv) for p in m.parameters()}
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        ratio = 1.0
        if "transform" in name:
            ratio = 0.06
        elif id(parameter) in exact:
            ratio = 0.4 if parameter.ndim > 1 else 20.0
        elif "hyper_index" in name or "hyper_mean" in name:
            ratio = 20.0
        elif name.endswith("_step"):
            ratio = 2.0
        groups.setdefault(ratio, []).append(parameter)
    return [{"params": p, "lr": rate * r, "ratio": r} for r, p in groups.items()]


def schedule(config: TrainConfig, step: int) -> float:
    """Learning-rate factor: short warm-up in both phases, cosine to 2 % over the last 40 %."""
    begin = 0 if step < config.steps_content else config.steps_content
    warm = min(1.0, (step - begin + 1) / 100)
    progress = (step - 0.6 * config.steps) / (0.4 * config.steps)
    decay = 1.0 if progress < 0 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))
    return warm * decay


class Trainer:
    """The loop: data, optimizer, checkpoints, log."""

    def __init__(self, config: TrainConfig, data: list[Path], out: Path, device: str) -> None:
        self.config, self.out, self.device, self.step = config, out, device, 0
        torch.manual_seed(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        shots = load(data, out / "data.pt")
        self.content = ClipSampler(shots, 1, config.size, device)
        self.clips = ClipSampler(shots, config.num_frames, config.size, device)
        self.model = SpatialModel(SpatialConfig()).to(device)
        start_ahead(self.model, self.content, self.generator)
        groups = parameter_groups(self.model, config.learning_rate)
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)

    def train_step(self) -> Terms:
        """One update."""
        config, quality = self.config, int(torch.randint(5, 96, (1,), generator=self.generator))
        if self.step < config.steps_content:
            clip = self.content.draw(config.batch_content, self.generator)
            terms = step_content(self.model, _frame(clip, 0), quality)
        else:
            clip = self.clips.draw(config.batch_clips, self.generator)
            alone = int(torch.randint(6, (1,), generator=self.generator)) == 0
            anchor = config.num_frames // 2 if alone else None
            terms = step_clips(self.model, clip, quality, anchor)
        for group in self.optimizer.param_groups:
            factor = schedule(config, self.step)
            group["lr"] = config.learning_rate * group["ratio"] * factor
        self.optimizer.zero_grad(set_to_none=True)
        if not bool(torch.isfinite(terms.loss)):
            raise FloatingPointError(f"step {self.step}: the loss is {float(terms.loss)}")
        terms.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.model.project_()
        terms.extra["quality"] = quality
        self.step += 1
        return terms

    def save(self) -> None:
        """Write the checkpoint, atomically."""
        state = {
            "config": asdict(self.config),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }
        temporary = self.out / "checkpoint.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.out / "checkpoint.pt")

    def resume(self) -> None:
        """Continue from the checkpoint in the output folder.

        Raises:
            ValueError: the checkpoint belongs to another configuration.
        """
        state = torch.load(self.out / "checkpoint.pt", weights_only=True, map_location="cpu")
        if state["config"] != asdict(self.config):
            raise ValueError(f"checkpoint of another configuration: {state['config']}")
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
        torch.cuda.set_rng_state_all(state["cuda"])

    def run(self, max_minutes: float) -> None:
        """Train until all steps are done or the time is up."""
        begin = saved = time.monotonic()
        with open(self.out / "log.csv", "a", newline="") as file:
            writer = csv.writer(file)
            while self.step < self.config.steps:
                terms = self.train_step()
                now = time.monotonic()
                if self.step % 20 == 0:
                    values = (terms.distortion, terms.bits_content, terms.bits_dynamics, terms.loss)
                    numbers = [f"{float(v.detach()):.5g}" for v in values]
                    extra = [f"{k}={v:.4g}" for k, v in terms.extra.items()]
                    writer.writerow([self.step, f"{now - begin:.1f}", *numbers, *extra])
                    file.flush()
                if now - saved > 60 or now - begin > 60 * max_minutes:
                    self.save()
                    saved = now
                    if now - begin > 60 * max_minutes:
                        return
        self.save()


def main() -> None:
    """Command line of the trainer."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--max-minutes", type=float, default=math.inf)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--init", type=Path, help="checkpoint or model file to start from")
    for option in fields(TrainConfig):
        name = "--" + option.name.replace("_", "-")
        parser.add_argument(name, type=type(option.default), default=option.default)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(**{f.name: getattr(args, f.name) for f in fields(TrainConfig)})
    trainer = Trainer(config, args.data, args.out, args.device)
    if args.init:
        trainer.model.load_state_dict(read_weights(args.init))
    if args.resume:
        trainer.resume()
    trainer.run(args.max_minutes)


if __name__ == "__main__":
    main()
