"""Symbols of one GOP through a coder: encoding and decoding share every line.

A coder has `code(table_index, symbols) → symbols`; an encoder takes symbols, a decoder is given
None. Encoders pass targets, latents in units of their steps; symbols are chosen when the prior's
distribution at their place is known, so that rounding can weigh what a symbol costs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dsaecodec.likelihood import MEAN_UNITS, scale_of, split_mean, table_index
from dsaecodec.model import SpatialModel
from dsaecodec.prior import Exchange

SYMBOL_LIMIT = 2**20  # encoders keep symbols inside ±SYMBOL_LIMIT
LOG2_E = math.log2(math.e)


class Coder(Protocol):
    """What writes, reads or counts symbols."""

    def code(
        self, table_index: NDArray[np.uint16], symbols: NDArray[np.int32] | None
    ) -> NDArray[np.int32]:
        """Pass symbols through; `None` asks a decoder for them."""
        ...


class Unheard:
    """A coder that codes nothing, for trying symbols out."""

    def code(
        self, table_index: NDArray[np.uint16], symbols: NDArray[np.int32] | None
    ) -> NDArray[np.int32]:
        """Return the symbols."""
        assert symbols is not None
        return symbols


class Target(NamedTuple):
    """What an encoder wants to say, in symbol units.

    Attributes:
        values: latents divided by their steps, [N, C, h, w].
        stiffness: squared error that missing a value by one symbol costs, over λ, in bits;
            broadcast against `values`. Infinite: always the nearest symbol.
    """

    values: Tensor
    stiffness: Tensor

    def part(self, frames: slice) -> Target:
        """The target of some frames."""
        stiffness = self.stiffness if self.stiffness.shape[0] == 1 else self.stiffness[frames]
        return Target(self.values[frames], stiffness)

    def frame(self, t: int) -> Target:
        """The target of one frame."""
        return self.part(slice(t, t + 1))

    def at(self, rows: Tensor) -> Target:
        """Values and stiffness [N, C, P] of some positions, float64."""
        parts = (x.expand_as(self.values).flatten(2)[:, :, rows].double() for x in self)
        return Target(*parts)


class FrameTargets(Protocol):
    """Targets of consecutive frames, asked for in order."""

    def frame(self, t: int) -> Target:
        """The target of one frame, [1, C, h, w]."""
        ...


class LazyTargets:
    """Targets that are made some frames at a time: z_t of a whole GOP is large.

    Args:
        make: the target of some frames.
        chunk: how many.
    """

    def __init__(self, make: Callable[[slice], Target], chunk: int) -> None:
        self._make, self._chunk = make, chunk
        self._first = 0
        self._made: Target | None = None

    def frame(self, t: int) -> Target:
        """The target of one frame."""
        if self._made is None or not self._first <= t < self._first + self._chunk:
            self._first = t - t % self._chunk
            self._made = self._make(slice(self._first, self._first + self._chunk))
        return self._made.frame(t - self._first)


def fixed(symbols: Tensor) -> Target:
    """A target that is coded as it is."""
    return Target(symbols, torch.full((1, 1, 1, 1), math.inf))


def choose_symbols(target: Target, mean: Tensor, index: Tensor) -> Tensor:
    """Rate-distortion optimised rounding: pull values to the mean by what a bit is worth there.

    A Laplace prior of scale b charges log2(e)/b bits for each unit of distance from its mean μ, so
    stiffness · (s - value)² + |s - μ| · log2(e)/b is least at the value moved by
    log2(e) / (2 · b · stiffness) towards μ.
    """
    distance = target.values - mean / MEAN_UNITS
    shift = LOG2_E / (2 * scale_of(index) * target.stiffness)
    pulled = target.values - torch.sign(distance) * torch.minimum(distance.abs(), shift)
    return torch.floor(pulled + 0.5).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)


def exchange_with(coder: Coder, target: Target | None) -> Exchange:
    """An exchange for the priors; without a target the coder is a decoder."""

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        integer, fraction = split_mean(mean)
        table = table_index(fraction, index).flatten().numpy().astype(np.uint16)
        offset = None
        if target is not None:
            symbols = choose_symbols(target.at(rows), mean, index)
            offset = (symbols - integer).flatten().numpy().astype(np.int32)
        coded = torch.from_numpy(coder.code(table, offset).astype(np.float64))
        return integer + coded.view_as(integer)

    return exchange


def code_content(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    targets: tuple[Target, Target] | None,
) -> tuple[Tensor, Tensor]:
    """Code f_hyper and f of one GOP.

    Args:
        model: whose content prior is used.
        coder: encoder, decoder or counter.
        size: (h, w) of the grid of f.
        quality: 0…100.
        targets: of f_hyper [1, hyper, ⌈h/2⌉, ⌈w/2⌉] and of f [1, C, h, w], or None to decode.

    Returns:
        The integers of both, float64.
    """
    prior = model.content_prior
    shape = (1, prior.hyper_channels, (size[0] + 1) // 2, (size[1] + 1) // 2)
    mean, index = prior.hyper_parameters(torch.zeros(shape, dtype=torch.float64))
    of_hyper, of_f = targets or (None, None)
    everywhere = torch.arange(shape[2] * shape[3])
    exchange = exchange_with(coder, of_hyper)
    hyper = exchange(mean.flatten(2), index.flatten(2), everywhere).view(shape)
    return hyper, prior.code(hyper, size, quality, exchange_with(coder, of_f))


def code_dynamics(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    refs_previous: bool,
    num_frames: int,
    targets: FrameTargets | None,
    *,
    remember: bool = True,
) -> Tensor:
    """Code z_t of consecutive frames from a restart of the prior.

    Args:
        model, coder, size, quality: as in `code_content`.
        refs_previous: whether the GOP uses two planes.
        num_frames: frames of the segment.
        targets: of the frames, or None to decode.
        remember: False holds the prior's state at zero, to measure what recurrence saves.

    Returns:
        z symbols [T, C, h, w], int32.
    """
    prior = model.dynamics_prior
    start = state = prior.init_state(1, size)
    frames = []
    for t in range(num_frames):
        exchange = exchange_with(coder, None if targets is None else targets.frame(t))
        z, state = prior.step(state if remember else start, quality, refs_previous, exchange)
        frames.append(z.to(torch.int32))
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
