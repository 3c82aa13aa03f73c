"""What training minimizes: squared error plus β times the code length, for a random β a clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.latents.model import BETAS, LatentModel, Latents, Said
from dsaecodec.exact import round_ste
from dsaecodec.likelihood import MEAN_UNITS, bits


@dataclass(frozen=True)
class Terms:
    """What a batch costs.

    Attributes:
        squared_error: [B] of samples 0…1, summed over a clip.
        bits_f, bits_z: [B] a clip.
        psnr_db: [B], from the mean squared error of a clip.
    """

    squared_error: Tensor
    bits_f: Tensor
    bits_z: Tensor
    psnr_db: Tensor


def log_rate_of(beta: Tensor) -> Tensor:
    """What networks are told of a rate weight: ln(β / 8)."""
    return torch.log(beta / BETAS[len(BETAS) // 2])


def random_betas(count: int, generator: torch.Generator) -> Tensor:
    """Rate weights [B], log-uniform over the levels' range and a little beyond."""
    low, high = math.log(BETAS[-1]) - 0.2, math.log(BETAS[0]) + 0.2
    return torch.exp(low + (high - low) * torch.rand(count, generator=generator))


def measure(
    model: LatentModel,
    frames: Tensor,
    beta: Tensor,
    shown: Tensor,
    generator: torch.Generator | None,
) -> Terms:
    """Rate and distortion of clips.

    Args:
        model: any variant.
        frames: [B, T, 64, 64, 3] in 0…1.
        beta: [B].
        shown: [K] frames whose error stands for all.
        generator: of the noise that stands for rounding in the rate; None counts rounded symbols.
    """
    log_rate = log_rate_of(beta)
    latents = model.infer(frames, log_rate)
    count, num_frames = frames.shape[:2]
    f_hat, bits_f = None, frames.new_zeros(count)
    if latents.f is not None:
        f_hat = round_ste(latents.f) * model.f_steps(log_rate[:, None])
        bits_f = _code_length(latents.f, model.f_prior(log_rate), generator).sum(1)
    z_hat, bits_z = _dynamics(model, latents, f_hat, log_rate, num_frames, generator)
    decoded = model.synthesize(f_hat, z_hat[:, shown], log_rate)
    squares = (decoded - frames[:, shown]).square().flatten(1)
    squared_error = squares.mean(1) * frames[0].numel()
    psnr = -10 * torch.log10(squares.detach().mean(1).clamp(min=1e-10))
    return Terms(squared_error, bits_f, bits_z, psnr)


def _dynamics(
    model: LatentModel,
    latents: Latents,
    f_hat: Tensor | None,
    log_rate: Tensor,
    num_frames: int,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Values of z [B, T, Z] and what they cost [B]."""
    if latents.z is None:
        assert f_hat is not None, "the deterministic variant sends f"
        return model.unroll(f_hat, num_frames, log_rate), log_rate.new_zeros(len(log_rate))
    z_hat = round_ste(latents.z) * model.z_steps(log_rate[:, None, None])
    before = torch.cat([torch.zeros_like(z_hat[:, :1]), z_hat[:, :-1]], 1)
    said, _ = model.prior(before, log_rate, model.first(len(log_rate)))
    return z_hat, _code_length(latents.z, said, generator).sum((1, 2))


def _code_length(symbols: Tensor, said: Said, generator: torch.Generator | None) -> Tensor:
    """Bits of symbols, noisy or rounded."""
    if generator is None:
        values = torch.floor(symbols + 0.5)
    else:
        values = symbols + torch.rand(symbols.shape, generator=generator) - 0.5
    return bits(values, said.mean * MEAN_UNITS, said.index)
