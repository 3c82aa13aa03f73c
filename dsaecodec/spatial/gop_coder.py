"""Symbols of one GOP through a coder: encoding and decoding share every line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dsaecodec.codec.segments import SegmentEncoder
from dsaecodec.codec.symbols import SYMBOL_LIMIT, Coder, Wish, choose_symbols, pass_symbols
from dsaecodec.spatial.kinematics import HALF, MEAN, Place
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.prior import Exchange

LIFTED_LIMIT = 8 * SYMBOL_LIMIT  # holds a mean and LARGEST_RATIO / RATIO_ONE halves


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

    def at(self, rows: Tensor) -> Wish:
        """Values and stiffness [N, C, P] of some positions, float64."""
        parts = (x.expand_as(self.values).flatten(2)[:, :, rows].double() for x in self)
        return Wish(*parts)


class FrameTargets(Protocol):
    """Targets of consecutive frames, asked for in order."""

    def frame(self, t: int) -> Target | None:
        """The target of one frame, [1, C, h, w]; None asks the coder for its symbols."""
        ...


class LazyTargets:
    """Targets that come some frames at a time: z_t of a whole GOP is large.

    Args:
        parts: targets of consecutive frames.
    """

    def __init__(self, parts: Iterator[Target]) -> None:
        self._parts = parts
        self._first = self._last = 0
        self._part: Target | None = None

    def frame(self, t: int) -> Target:
        """The target of one frame."""
        while self._part is None or t >= self._last:
            self._part = next(self._parts)
            self._first, self._last = self._last, self._last + len(self._part.values)
        return self._part.frame(t - self._first)


def fixed(symbols: Tensor) -> Target:
    """A target that is coded as it is."""
    return Target(symbols, torch.full((1, 1, 1, 1), math.inf))


def exchange_with(coder: Coder, target: Target | None) -> Exchange:
    """An exchange for the priors; without a target the coder is a decoder."""

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        return pass_symbols(coder, None if target is None else target.at(rows), mean, index)

    return exchange


def _exchange_lifted(coder: Coder, target: Target, ratio: Tensor, place: Place) -> Exchange:
    """The same for symbols of one frame that are coded lifted, of a target that is not."""

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        wish = target.at(rows)
        of_half = Wish(*(x[:, HALF] for x in wish))
        half = choose_symbols(of_half, mean[:, HALF], index[:, HALF])
        left = wish.values[:, MEAN].clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        left = left - place.expected_mean(half, ratio)
        values = torch.cat([left, wish.values[:, MEAN.stop :]], 1)
        return pass_symbols(coder, wish._replace(values=values), mean, index, LIFTED_LIMIT)

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
    place: Place,
    targets: FrameTargets | None,
    *,
    remember: bool = True,
    restart: int | None = None,
) -> Tensor:
    """Code z_t of consecutive frames from a restart of the prior.

    Args:
        model, coder, size, quality: as in `code_content`.
        place: of the frames in their GOP.
        targets: of the frames, or None to decode.
        remember: False holds the prior's state at zero, to measure what recurrence saves.
        restart: frames after which the prior begins anew, None for never.

    Returns:
        z symbols [T, C, h, w], int32.
    """
    setting = (model, coder, size, quality, place, targets)
    return torch.cat(list(iter_dynamics(*setting, remember=remember, restart=restart)))


def iter_dynamics(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    place: Place,
    targets: FrameTargets | None,
    *,
    remember: bool = True,
    restart: int | None = None,
) -> Iterator[Tensor]:
    """The same one frame after the other, [1, C, h, w] each."""
    prior = model.dynamics_prior
    start = state = prior.init_state(1, size)
    count = len(place.frames)
    for t in range(count):
        if t % (restart or count) == 0:
            state = start
            if isinstance(coder, SegmentEncoder):
                coder.restart()
        here = place.frame(t)
        target = None if targets is None else targets.frame(t)
        if prior.kinematic and target is not None:
            exchange = _exchange_lifted(coder, target, prior.ratio[quality], here)
        else:
            exchange = exchange_with(coder, target)
        z, state = prior.step(state if remember else start, quality, here, exchange)
        yield prior.unlifted(z, quality, here).to(torch.int32)
