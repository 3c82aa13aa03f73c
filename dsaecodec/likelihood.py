"""Distribution of a latent symbol given the prior's integers, and its frequency tables.

A prior states, for each symbol, an integer mean (in 1/4 symbol) and a scale index. Their pair
selects one stored table: a Laplace distribution of scale b = 0.06 · 2^(index/3), shifted by the
fraction of the mean, integrated over unit intervals. What the mean's integer part leaves is coded
by that table.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

from dsaecodec.exact import clamp_ste

MEAN_UNITS = 4  # the mean is a multiple of 1/4 symbol
SCALE_LEVELS = 40
LEVELS_PER_OCTAVE = 3
SCALE_MIN = 0.06
NUM_TABLES = SCALE_LEVELS * MEAN_UNITS
QUALITY_PER_OCTAVE = 16  # quantization steps halve every 16 quality units
REFERENCE_QUALITY = 50

_Number = TypeVar("_Number", int, Tensor)


def index_offset(quality: _Number) -> _Number:
    """Scale-index shift of a quality: finer steps make the same latent span more symbols."""
    return (LEVELS_PER_OCTAVE * (quality - REFERENCE_QUALITY)) // QUALITY_PER_OCTAVE


def scale_of(index: Tensor) -> Tensor:
    """Laplace scale b, in symbols, of a scale index (also between indices, for gradients)."""
    return SCALE_MIN * torch.exp2(index / LEVELS_PER_OCTAVE)


def split_mean(mean: Tensor) -> tuple[Tensor, Tensor]:
    """Split an integer mean (units of 1/4) into the nearest integer and a fraction in 0…3.

    mean = 4 · integer + fraction - 2, so the distribution's centre is (fraction - 2) / 4 away.
    """
    integer = torch.floor((mean + MEAN_UNITS // 2) / MEAN_UNITS)
    return integer, mean + MEAN_UNITS // 2 - MEAN_UNITS * integer


def table_index(fraction: Tensor, index: Tensor) -> Tensor:
    """Number of the table of a mean's fraction and a scale index."""
    return index * MEAN_UNITS + fraction


def _log_interval(distance: Tensor, b: Tensor) -> Tensor:
    """ln of the Laplace mass of [d - 1/2, d + 1/2], d = |x - mean| ≥ 0, without cancellation."""
    half = 0.5 / b
    d = distance / b
    # outside the peak: e^-d · sinh(1/2b); around it: 1 - e^(-1/2b) · cosh(d)
    outside = -d + half + torch.log1p(-torch.exp(-2 * half)) - math.log(2.0)
    inner = torch.minimum(d, half)
    around = torch.log1p(-0.5 * (torch.exp(inner - half) + torch.exp(-inner - half)) + 1e-9)
    return torch.where(d > half, outside, around)


def bits(values: Tensor, mean: Tensor, index: Tensor) -> Tensor:
    """Code length in bits of (noisy or rounded) symbols under the prior's integers.

    Args:
        values: symbols, any shape.
        mean: integer means in 1/4 symbol, same shape.
        index: integer scale indices, same shape; clamped to the stored range.
    """
    b = scale_of(clamp_ste(index, 0, SCALE_LEVELS - 1))
    nats = -_log_interval((values - mean / MEAN_UNITS).abs(), b)
    return nats.clamp(max=40.0 * math.log(2.0)) / math.log(2.0)
