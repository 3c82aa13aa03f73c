"""Symbols of one GOP through a coder: encoding and decoding share every line.

A coder has `code(table_index, symbols) → symbols`; an encoder takes symbols, a decoder is given None.
Encoders pass targets, latents in units of their steps; symbols are chosen when the prior's
distribution at their place is known, so that rounding can weigh what a symbol costs.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dsaecodec.likelihood import MEAN_UNITS, scale_of, split_mean, table_index
from dsaecodec.model import SpatialModel
from dsaecodec.prior import Exchange

SYMBOL_LIMIT = 2**20  # encoders keep symbols inside ±SYMBOL_LIMIT
RATE_WEIGHT = 0.108  # λ·log2(e) / (2·step²) with λ = 0.15·step²: half a bit's worth in distortion
MAX_SHRINK = 0.3


class Coder(Protocol):
    """What writes, reads or counts symbols."""

    def code(
        self, table_index: NDArray[np.uint16], symbols: NDArray[np.int32] | None
    ) -> NDArray[np.int32]:
        """Pass symbols through; `None` asks a decoder for them."""
        ...


def choose_symbols(target: Tensor, mean: Tensor, index: Tensor) -> Tensor:
    """Rate-distortion optimised rounding: pull targets to the mean by what a bit is worth there.

    A Laplace prior of scale b charges log2(e)/b bits for each unit of distance from its mean.
    """
    centre = mean / MEAN_UNITS
    distance = target - centre
    shrink = (RATE_WEIGHT / scale_of(index)).clamp(max=MAX_SHRINK)
    pulled = target - torch.sign(distance) * torch.minimum(distance.abs(), shrink)
    return torch.floor(pulled + 0.5).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)


def exchange_with(coder: Coder, target: Tensor | None, exact: bool = False) -> Exchange:
    """An exchange for the priors: target [1, C, P] in symbol units when encoding, else None.

    With `exact` the target is symbols already, and passes as it is.
    """

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        integer, fraction = split_mean(mean)
        table = table_index(fraction, index).flatten().numpy().astype(np.uint16)
        offset = None
        if target is not None:
            symbols = target[:, :, rows].to(mean.dtype)
            if not exact:
                symbols = choose_symbols(symbols, mean, index)
            offset = (symbols - integer).flatten().numpy().astype(np.int32)
        coded = torch.from_numpy(coder.code(table, offset).astype(np.float64))
        return integer + coded.view_as(integer)

    return exchange


def code_content(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    targets: tuple[Tensor, Tensor] | None,
    *,
    exact: bool = False,
) -> tuple[Tensor, Tensor]:
    """Code f_hyper and f of one GOP.

    Args:
        model: whose content prior is used.
        coder: encoder, decoder or counter.
        size: (h, w) of the grid of f.
        quality: 0…100.
        targets: (f_hyper [1, hyper, ⌈h/2⌉, ⌈w/2⌉], f [1, C, h, w]) in symbol units, or None.
        exact: the targets are symbols, to be coded as they are.

    Returns:
        The integers of both, float64.
    """
    prior = model.content_prior
    shape = (1, prior.hyper_channels, (size[0] + 1) // 2, (size[1] + 1) // 2)
    mean, index = prior.hyper_parameters(torch.zeros(shape, dtype=torch.float64))
    target = None if targets is None else targets[0].flatten(2)
    everywhere = torch.arange(shape[2] * shape[3])
    exchange = exchange_with(coder, target, exact)
    hyper = exchange(mean.flatten(2), index.flatten(2), everywhere).view(shape)
    target = None if targets is None else targets[1].flatten(2)
    return hyper, prior.code(hyper, size, quality, exchange_with(coder, target, exact))


def code_dynamics(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    refs_previous: bool,
    num_frames: int,
    targets: Tensor | None,
    *,
    remember: bool = True,
    exact: bool = False,
) -> Tensor:
    """Code z_t of consecutive frames from a restart of the prior.

    Args:
        model, coder, size, quality: as in `code_content`.
        refs_previous: whether the GOP uses two planes.
        num_frames: frames of the segment.
        targets: [T, C, h, w] in symbol units, or None.
        remember: False holds the prior's state at zero, to measure what recurrence saves.
        exact: the targets are symbols, to be coded as they are.

    Returns:
        z symbols [T, C, h, w], float64 integers.
    """
    prior = model.dynamics_prior
    start = state = prior.init_state(1, size)
    frames = []
    for t in range(num_frames):
        target = None if targets is None else targets[t : t + 1].flatten(2)
        exchange = exchange_with(coder, target, exact)
        z, state = prior.step(state if remember else start, quality, refs_previous, exchange)
        frames.append(z)
    return torch.cat(frames)


class SymbolDigest:
    """SHA-256 over all symbols, as little-endian int32 in coding order of the latents."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def update(self, *symbols: Tensor) -> None:
        """Add integer tensors."""
        for tensor in symbols:
            self._sha.update(tensor.numpy().astype("<i4").tobytes())

    def hexdigest(self) -> str:
        """The digest so far."""
        return self._sha.hexdigest()
