"""Three latent models of a 64×64 clip, equal but for what is sent.

    stochastic      f once a clip, z_t once a frame under an LSTM prior p(z_t | z_<t)
    deterministic   f alone; an LSTM that starts from f makes every z_t
    local           z_t alone, wider, under the same kind of prior

A frame is synthesized from a dynamics vector, which makes layers at 4×4 and up, and a content
vector, which scales and shifts them (FiLM) and mixes the last ones into colours; without f both are
z_t. Latents are rounded to steps that grow with the rate weight β; the networks are told β.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dsaecodec.likelihood import LEVELS_PER_OCTAVE, SCALE_LEVELS, SCALE_MIN

Variant = Literal["stochastic", "deterministic", "local"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

SIZE = 64
BETAS = (64.0, 22.6, 8.0, 2.83, 1.0)
"""Rate weights of the quality levels 0…4: squared error (of samples 0…1, summed) a bit is worth."""

_MIDDLE = 8.0
_FIRST_STEP = 0.1  # latents start ten steps wide: narrower ones round to zero and stay there
_TOKEN = 32  # numbers of an encoder's token
_KINDS = 24
_SEED = 48  # numbers a place of the 8×8 map that z_t makes
_WAVES = 14
_LAYERS = 24  # that f mixes
_PLANES = 12  # of a picture at half size: 3 colours of 2×2 pixels


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
        self.decoder = FrameDecoder(config.z_size, config.f_size or config.z_size, config)
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


class FrameEncoder(nn.Module):
    """A frame [N, 64, 64, 3] to features [N, K].

    Tokens of 4×4 pixels are merged by fours to a 4×4 map; beside it, where the tokens of each of
    some learned kinds are on average (a spatial softmax) says where things are.
    """

    places: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.patch = nn.Linear(48, _TOKEN)
        self.kinds = nn.Linear(_TOKEN, _KINDS)
        self.merge = nn.ModuleList([nn.Linear(4 * _TOKEN, 64), nn.Linear(4 * 64, 64)])
        self.out = nn.Linear(16 * 64 + 3 * _KINDS, features)
        self.register_buffer("places", _places(), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        x = _leaky(self.patch(2 * _patches(frames, 4) - 1))
        logits = self.kinds(x).flatten(1, 2)
        where = torch.softmax(logits, 1).transpose(1, 2) @ self.places
        kinds = [3 * where.flatten(1), logits.mean(1)]
        for merge in self.merge:
            x = _leaky(merge(_patches(x, 2)))
        features: Tensor = _leaky(self.out(torch.cat([x.flatten(1), *kinds], 1)))
        return features


class FrameDecoder(nn.Module):
    """Dynamics and modulation vectors to a frame.

    Every token of a 16×16 map knows its place; z_t gives all of them one vector, and each 2×2 of
    them one more. What follows sees one token at a time.
    """

    waves: Tensor

    def __init__(self, z_size: int, content_size: int, config: LatentConfig) -> None:
        super().__init__()
        width = config.width
        self.seed = nn.Sequential(
            nn.Linear(z_size + 1, config.seed_hidden),
            nn.SiLU(),
            nn.Linear(config.seed_hidden, 64 * _SEED + width),
        )
        self.place = nn.Linear(_WAVES, width)
        self.raise_seed = nn.Linear(_SEED, width, bias=False)
        self.mix = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, 4 * _LAYERS)])
        self.sizes = [2 * width, 2 * width, 2 * _LAYERS, _PLANES, _LAYERS * _PLANES]
        self.modulation = nn.Sequential(
            nn.Linear(content_size + 1, 72), nn.SiLU(), nn.Linear(72, sum(self.sizes))
        )
        self.register_buffer("waves", _waves(), persistent=False)

    def forward(self, z: Tensor, content: Tensor, rate: Tensor) -> Tensor:
        """A frame [64, 64, 3] of each row.

        Args:
            z: [N, Z].
            content: [N, M] from `modulation`.
            rate: [N, 1].
        """
        first, second, third, bias, mixing = torch.split(content, self.sizes, 1)
        seeds = self.seed(torch.cat([z, rate], 1))
        seed, everywhere = torch.split(seeds, [64 * _SEED, self.place.out_features], 1)
        local = self.raise_seed(seed.reshape(-1, 8, 1, 8, 1, _SEED))
        local = local.expand(-1, 8, 2, 8, 2, -1).flatten(1, 4)
        x = _leaky(_film(local + self.place(self.waves) + everywhere[:, None], first))
        x = _leaky(_film(self.mix[0](x), second))
        x = _leaky(_film(self.mix[1](x).reshape(len(x), -1, _LAYERS), third))
        weights = mixing.reshape(-1, _LAYERS, _PLANES) / math.sqrt(_LAYERS)
        x = torch.baddbmm(bias[:, None], x, weights)  # [N, 1024, 12]
        x = 0.5 + x.reshape(-1, 16, 16, 2, 2, 2, 2, 3)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, SIZE, SIZE, 3)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def _film(x: Tensor, film: Tensor) -> Tensor:
    """Scale and shift channels: x [N, P, C], film [N, 2C]."""
    scale, shift = film[:, None].chunk(2, 2)
    return torch.addcmul(x + shift, x, scale)


def _patches(x: Tensor, side: int) -> Tensor:
    """[N, H, W, C] to [N, H / side, W / side, C·side²]."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // side, side, w // side, side, c)
    return x.transpose(2, 3).reshape(n, h // side, w // side, c * side * side)


def _places() -> Tensor:
    """(y, x) of every token in -1…1: [256, 2]."""
    at = (torch.arange(16) + 0.5) / 8 - 1
    return torch.cartesian_prod(at, at)


def _waves() -> Tensor:
    """What tells places apart: [256, W], coordinates and waves of three lengths along each."""
    places = _places()
    waves = [f(math.pi * k * places) for k in (0.5, 1, 2) for f in (torch.sin, torch.cos)]
    return torch.cat([places, *waves], 1)


def _index(octaves: Tensor, steps: Tensor) -> Tensor:
    """Scale index of a Laplace scale 2^octaves, in units of latents, for quantization steps."""
    index = LEVELS_PER_OCTAVE * (octaves - torch.log2(steps) - math.log2(SCALE_MIN))
    return index.clamp(-SCALE_LEVELS, 2 * SCALE_LEVELS)  # beyond it, only gradients go astray


def num_parameters(model: nn.Module) -> int:
    """How many numbers a model has."""
    return sum(p.numel() for p in model.parameters())
