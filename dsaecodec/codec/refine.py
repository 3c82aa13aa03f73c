"""Gradient descent on a GOP's latents: what `--preset slow` does. The decoder never knows.

One-shot inference chooses content from one frame and motion by matching; what the stream pays for
is

    J = D / λ + R,      D = mse_Y + (mse_U + mse_V) / 2 of all frames,  R in bits a pixel and frame,

so f and the motion of z_t are moved down its gradient, through rounding (straight-through), the
synthesis and the code length under the exact priors. The residual follows from them in closed form
at every step. What the priors say is taken as constant between their refreshments: their integers
barely change with a symbol, and their gradient would cost more than all the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.code_length import Parameters, content_parameters, dynamics_parameters
from dsaecodec.codec.gop_coder import LOG2_E, Target
from dsaecodec.exact import round_ste
from dsaecodec.likelihood import MEAN_UNITS, scale_of
from dsaecodec.model import SIDE_CHANNELS, SpatialModel, lagrangian
from dsaecodec.synthesis import Planes, Yuv, expand_planes


@dataclass(frozen=True)
class Schedule:
    rounds: int = 6
    batch: int = 8
    damp_f: float = 0.5
    damp_motion: float = 0.5
    reach: float = 1.0
    anchor_weight: float = 0.5
    logit: float = 50.0
    limit: float = 1.0


def rounded(values: Tensor, said: Parameters | None, stiffness: Tensor) -> Tensor:
    if said is None:
        return torch.floor(values + 0.5)
    distance = values - said.mean / MEAN_UNITS
    shift = LOG2_E / (2 * scale_of(said.index) * stiffness)
    moved = torch.sign(distance) * torch.minimum(distance.abs(), shift)
    return torch.floor(values - moved + 0.5)


class Refiner:
    def __init__(self, model, quality, frames, anchor, previous, hyper, f, motion, schedule):
        self.model, self.quality, self.frames, self.anchor = model, quality, frames, anchor
        self.previous, self.hyper, self.schedule = previous, hyper, schedule
        self.f, self.motion = f, motion
        self.f_steps, self.z_steps = model.f_steps(quality), model.z_steps(quality)
        self.lmbda = lagrangian(quality)
        self.side, self.rest = self.z_steps[:, :SIDE_CHANNELS], self.z_steps[:, SIDE_CHANNELS:]
        self.count = frames.luma.shape[0]

    def run(self):
        s = self.schedule
        f, m = self.f.values, self.motion.values
        said_f = said_z = None
        best = None
        curve_f = s.reach * self.f.stiffness * self.count / 32
        curve_m = self.motion.stiffness.clamp(max=s.logit)
        curve_m = torch.where(
            torch.isinf(self.motion.stiffness),
            torch.full_like(curve_m, s.logit),
            self.motion.stiffness,
        )
        log = []
        for r in range(s.rounds + 1):
            # the symbols these values become
            q_f = rounded(f, said_f, self.f.stiffness)
            part = None if said_z is None else Parameters(said_z.mean[:, :5], said_z.index[:, :5])
            q_m = rounded(m, part, self.motion.stiffness)
            said_f = content_parameters(
                self.model.content_prior, self.hyper.double(), q_f.double(), self.quality
            )
            said_f = Parameters(said_f.mean.float(), said_f.index.float())
            z = self.symbols(q_f, q_m, said_z)
            said_z = dynamics_parameters(
                self.model.dynamics_prior, z[None].double(), self.quality, self.previous is not None
            )
            said_z = Parameters(said_z.mean.float(), said_z.index.float())
            cost, g_f, g_m = self.gradient(q_f, q_m, said_f, said_z)
            log.append(cost / self.count / self.frames.luma[0].numel())
            if best is None or cost < best[0]:
                best = cost, f, m
            f = f + s.damp_f * (q_f - g_f / (2 * curve_f) - f)
            dm = (-g_m / (2 * curve_m)).clamp(-s.limit, s.limit)
            m = m + s.damp_motion * (q_m + dm - m)
        print("   ", self.quality, self.count, " ".join(f"{x:.5f}" for x in log), flush=True)
        return self.f._replace(values=best[1]), self.motion._replace(values=best[2])

    def symbols(self, q_f, q_m, said_z):
        planes = self.model.synthesize_content(q_f * self.f_steps, self.quality)
        parts = []
        for chosen in torch.arange(self.count).split(self.schedule.batch):
            frames, prediction, _ = self.predict(planes, q_m[chosen], chosen)
            parts.append(self.residual(frames, prediction, chosen, said_z))
        return torch.cat([q_m, torch.cat(parts)], 1)

    def predict(self, planes, m, chosen):
        model, count = self.model, len(chosen)
        previous = planes if self.previous is None else self.previous
        frames = Yuv(self.frames.luma[chosen], self.frames.chroma[chosen])
        a, b = expand_planes(previous, count), expand_planes(planes, count)
        syn = model.frame_synthesis
        return frames, *syn.predict(a, b, syn.motion(a, b, m * self.side))

    def residual(self, frames, prediction, chosen, said_z):
        values = self.model.dynamics_posterior.infer_residual(frames, prediction) / self.rest
        with torch.no_grad():
            part = (
                None
                if said_z is None
                else Parameters(said_z.mean[chosen, 5:], said_z.index[chosen, 5:])
            )
            symbols = rounded(values, part, self.rest.square() / self.lmbda)
            idle = 0 if part is None else torch.floor(part.mean / MEAN_UNITS + 0.5)
        return symbols + (values - values.detach()) * (symbols != idle)

    def gradient(self, q_f, q_m, said_f, said_z):
        q_f, q_m = q_f.clone().requires_grad_(), q_m.clone().requires_grad_()
        pixels = self.frames.luma[0].numel()
        with torch.enable_grad():
            planes = self.model.synthesize_content(q_f * self.f_steps, self.quality)
            one = slice(self.anchor, self.anchor + 1)
            still = Yuv(self.frames.luma[one], self.frames.chroma[one])
            loss = (
                self.schedule.anchor_weight
                * self.count
                * pixels
                * _mse(still, planes.picture)
                / self.lmbda
            )
            total = float(loss) + float(said_f.bits(q_f.detach()).sum())
            leaves = [x.detach().requires_grad_() for x in flatten(planes)]
            loss.backward(retain_graph=True)
            g_planes = [torch.zeros_like(x) for x in leaves]
            for chosen in torch.arange(self.count).split(self.schedule.batch):
                mine = unflatten(leaves)
                frames, prediction, difference = self.predict(mine, q_m[chosen], chosen)
                r = self.residual(frames, prediction, chosen, said_z)
                decoded = self.model.frame_synthesis.finish(prediction, difference, r * self.rest)
                d = _mse(frames, decoded) * len(chosen) * pixels / self.lmbda
                p1 = Parameters(said_z.mean[chosen, 5:], said_z.index[chosen, 5:])
                p0 = Parameters(said_z.mean[chosen, :5], said_z.index[chosen, :5])
                part = d + p1.bits(r).sum()
                total += float(part) + float(p0.bits(q_m.detach()[chosen]).sum())
                part.backward()
            torch.autograd.backward(
                [x for x, y in zip(flatten(planes), leaves) if y.grad is not None],
                [y.grad for y in leaves if y.grad is not None],
            )
        return total, q_f.grad, q_m.grad


def flatten(p):
    return [p.picture.luma, p.picture.chroma, p.luma2, p.chroma2, p.features]


def unflatten(x):
    return Planes(Yuv(x[0], x[1]), x[2], x[3], x[4])


def _mse(x: Yuv, y: Yuv) -> Tensor:
    return F.mse_loss(x.luma, y.luma) + F.mse_loss(x.chroma, y.chroma)
