"""Three latent models of a 64×64 clip, equal but for what is sent.

    stochastic      f once a clip, z_t once a frame under an LSTM prior p(z_t | z_<t)
    deterministic   f alone; an LSTM that starts from f makes every z_t
    local           z_t alone, wider, under the same kind of prior

A frame is synthesized from a dynamics vector, which makes layers, and a content vector, which
scales and shifts them (FiLM) and mixes the last ones into colours; without f both are z_t. Latents
are rounded to steps that grow with the rate weight β; the networks are told β.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from benchmarks.latents.pictures import FrameDecoder, FrameEncoder
from dsaecodec.likelihood import LEVELS_PER_OCTAVE, SCALE_LEVELS, SCALE_MIN

Variant = Literal["stochastic", "deterministic", "local"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

BETAS = (64.0, 22.6, 8.0, 2.83, 1.0)
"""Rate weights of the quality levels 0…4: squared error (of samples 0…1, summed) a bit is worth."""

_FIRST_STEP = 0.1  # latents start six steps wide: narrower ones round to zero and stay there


@dataclass(frozen=True)
class LatentConfig:
    """Sizes of a model.

    Attributes:
        variant: what is sent.
        f_size: numbers of f, 0 for none.
        z_size: numbers of z_t.
        clip_hidden: of the recurrent network that f is inferred with.
        hidden: of the LSTM.
        features: of a frame, that latents are inferred from.
        seed_hidden: between dynamics vector and first layers.
        width: of a decoder's token.
    """

    variant: Variant
    f_size: int
    z_size: int
    clip_hidden: int
    hidden: int
    features: int = 80
    seed_hidden: int = 64
    width: int = 64


CONFIGS: dict[Variant, LatentConfig] = {
    "stochastic": LatentConfig("stochastic", f_size=32, z_size=8, clip_hidden=80, hidden=112),
    "deterministic": LatentConfig("deterministic", f_size=64, z_size=8, clip_hidden=80, hidden=96),
    "local": LatentConfig("local", f_size=0, z_size=24, clip_hidden=0, hidden=148),
}
"""Widths by which the variants have the same number of parameters."""

State = tuple[Tensor, Tensor]


@dataclass
class Latents:
    """Latents of a batch: f [B, F] and z [B, T, Z], None where the variant has none."""

    f: Tensor | None
    z: Tensor | None


@dataclass
class Said:
    """What a prior says of symbols: means in symbols, scales as indices of tables, unrounded."""

    mean: Tensor
    index: Tensor


class LatentModel(nn.Module):
    """One of the three; `log_rate` is everywhere ln(β / 8), [B]."""

    def __init__(self, config: LatentConfig) -> None:
        super().__init__()
        self.config = config
        sends_z = config.variant != "deterministic"
        self.encoder = FrameEncoder(config.features)
        content_size = config.f_size or config.z_size
        self.decoder = FrameDecoder(config.z_size, content_size, config.seed_hidden, config.width)
        if config.f_size:
            self.clip_encoder = nn.GRU(config.features, config.clip_hidden, batch_first=True)
            self.f_head = nn.Linear(2 * config.clip_hidden + 1, config.f_size)
            self.f_step = nn.Parameter(torch.full((config.f_size,), math.log(_FIRST_STEP)))
            self.f_mean = nn.Parameter(torch.zeros(config.f_size))
            self.f_scale = nn.Parameter(torch.zeros(2, config.f_size))
        if sends_z:
            self.z_head = nn.Sequential(
                nn.Linear(config.features + config.f_size + 1, 64),
                nn.SiLU(),
                nn.Linear(64, config.z_size),
            )
            self.z_step = nn.Parameter(torch.full((config.z_size,), math.log(_FIRST_STEP)))
            self.first_state = nn.Parameter(torch.zeros(2, config.hidden))
            self.prior_head = nn.Linear(config.hidden, 2 * config.z_size)
        else:
            self.start = nn.Sequential(
                nn.Linear(config.f_size + 1, 96), nn.SiLU(), nn.Linear(96, 2 * config.hidden)
            )
            self.z_out = nn.Linear(config.hidden, config.z_size)
        self.lstm = nn.LSTM(config.z_size * sends_z + 1, config.hidden, batch_first=True)

    def infer(self, frames: Tensor, log_rate: Tensor) -> Latents:
        """Infer latents in symbols, not yet rounded.

        Args:
            frames: [B, T, 64, 64, 3] in 0…1.
            log_rate: [B].
        """
        count, num_frames = frames.shape[:2]
        features = self.encoder(frames.flatten(0, 1)).unflatten(0, (count, num_frames))
        rate = log_rate[:, None]
        f, known = None, [features]
        if self.config.f_size:
            states, _ = self.clip_encoder(features)
            pooled = torch.cat([states.mean(1), states[:, -1], rate], 1)
            f = self.f_head(pooled)
            known.append(f[:, None].expand(-1, num_frames, -1))
            f = f / self.f_steps(rate)
        if self.config.variant == "deterministic":
            return Latents(f, None)
        known.append(rate[:, None].expand(-1, num_frames, 1))
        z = self.z_head(torch.cat(known, 2)) / self.z_steps(rate[:, None])
        return Latents(f, z)

    def f_steps(self, log_rate: Tensor) -> Tensor:
        """Quantization steps of f, [..., F] for rates [..., 1]."""
        return torch.exp(self.f_step + 0.5 * log_rate)

    def z_steps(self, log_rate: Tensor) -> Tensor:
        """Quantization steps of z_t, [..., Z] for rates [..., 1]."""
        return torch.exp(self.z_step + 0.5 * log_rate)

    def f_prior(self, log_rate: Tensor) -> Said:
        """The static prior of f: [B, F]."""
        rate = log_rate[:, None]
        steps = self.f_steps(rate)
        octaves = self.f_scale[0] + rate * self.f_scale[1]
        return Said(self.f_mean / steps, _index(octaves, steps))

    def first(self, count: int) -> State:
        """State of the prior before the first frame."""
        h, c = self.first_state[:, None, None].expand(-1, 1, count, -1)
        return h.contiguous(), c.contiguous()

    def prior(self, z_hat: Tensor, log_rate: Tensor, state: State) -> tuple[Said, State]:
        """p(z_t | z_<t) for frames in a row.

        Args:
            z_hat: [B, T, Z] values of the frames *before* each; zeros before the first.
            log_rate: [B].
            state: before these frames.

        Returns:
            What the prior says of every frame, and the state after them.
        """
        rate = log_rate[:, None, None].expand(-1, z_hat.shape[1], 1)
        states, state = self.lstm(torch.cat([z_hat, rate], 2), state)
        change, octaves = self.prior_head(states).chunk(2, 2)
        steps = self.z_steps(rate)
        return Said((z_hat + change) / steps, _index(octaves, steps)), state

    def unroll(self, f_hat: Tensor, num_frames: int, log_rate: Tensor) -> Tensor:
        """The deterministic dynamics: z [B, T, Z] from f alone."""
        rate = log_rate[:, None]
        h, c = self.start(torch.cat([f_hat, rate], 1)).chunk(2, 1)
        told = rate[:, None].expand(-1, num_frames, 1)
        states, _ = self.lstm(told, (torch.tanh(h)[None].contiguous(), c[None].contiguous()))
        z: Tensor = self.z_out(states)
        return z

    def synthesize(self, f_hat: Tensor | None, z_hat: Tensor, log_rate: Tensor) -> Tensor:
        """Frames [B, T, 64, 64, 3], in 0…1 or slightly outside, of values of latents.

        Args:
            f_hat: [B, F], None for the local variant.
            z_hat: [B, T, Z].
            log_rate: [B].
        """
        num_frames = z_hat.shape[1]
        z, rate = z_hat.flatten(0, 1), log_rate.repeat_interleave(num_frames)[:, None]
        if f_hat is None:
            content = self.decoder.modulation(torch.cat([z, rate], 1))
        else:
            content = self.decoder.modulation(torch.cat([f_hat, log_rate[:, None]], 1))
            content = content.repeat_interleave(num_frames, 0)
        frames: Tensor = self.decoder(z, content, rate)
        return torch.unflatten(frames, 0, (-1, num_frames))


def _index(octaves: Tensor, steps: Tensor) -> Tensor:
    """Scale index of a Laplace scale 2^octaves, in units of latents, for quantization steps."""
    index = LEVELS_PER_OCTAVE * (octaves - torch.log2(steps) - math.log2(SCALE_MIN))
    return index.clamp(-SCALE_LEVELS, 2 * SCALE_LEVELS)  # beyond it, only gradients go astray


def num_parameters(model: nn.Module) -> int:
    """How many numbers a model has."""
    return sum(p.numel() for p in model.parameters())
