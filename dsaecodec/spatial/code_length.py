"""What the exact priors say about symbols that are all known: their distributions and code length.

Training charges noisy latents in the symbols' place; an encoder that refines its latents asks what
a change would cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dsaecodec import likelihood
from dsaecodec.likelihood import MEAN_UNITS
from dsaecodec.spatial.kinematics import AT_CONTENT, HALF, MEAN, Place
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion_prior import FINEST
from dsaecodec.spatial.prior import ContentPrior, DynamicsPrior, DynamicsState


@dataclass(frozen=True)
class Parameters:
    """A prior's integers for every symbol, of the symbols' shape.

    Attributes:
        mean: in 1/4 symbol.
        index: of the scale.
    """

    mean: Tensor
    index: Tensor

    def bits(self, values: Tensor) -> Tensor:
        """Code length of symbols, or of latents in their place, elementwise."""
        return likelihood.bits(values, self.mean, self.index)


class _Listener:
    """An exchange that hands out known symbols [N, C, h, w] and remembers what the prior said."""

    def __init__(self, symbols: Tensor) -> None:
        self._symbols = symbols.flatten(2)
        self._size = symbols.shape[2:]
        self._said: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        self._said.append((mean, index, rows))
        return self._symbols[:, :, rows]

    def parameters(self) -> Parameters:
        """Everything said, in raster order."""
        means, indices, rows = zip(*self._said, strict=True)
        raster = torch.argsort(torch.cat(rows))
        mean, index = (torch.cat(part, 2)[:, :, raster] for part in (means, indices))
        return Parameters(mean.unflatten(2, self._size), index.unflatten(2, self._size))


def hyper_parameters(
    prior: ContentPrior, hyper: Tensor, quality: int, *, predicted: bool = False
) -> Parameters:
    """p(f_hyper) at integers [N, hyper, h, w]."""
    listener = _Listener(hyper)
    prior.code_hyper(hyper, quality, listener, predicted=predicted)
    return listener.parameters()


def content_parameters(
    prior: ContentPrior, hyper: Tensor, symbols: Tensor, quality: int, *, predicted: bool = False
) -> Parameters:
    """p(f | f_hyper) at integers f [N, C, h, w], given integers f_hyper."""
    listener = _Listener(symbols)
    size = (symbols.shape[2], symbols.shape[3])
    prior.code(hyper, size, quality, listener, predicted=predicted)
    return listener.parameters()


def content_motion_parameters(
    model: SpatialModel, motion: Tensor, quality: int, fineness: int = FINEST
) -> Parameters:
    """p(f_motion) at integers [N, 2, h, w], symbols of the fineness, which old models ignore."""
    listener = _Listener(motion)
    if model.motion_prior is not None:
        model.motion_prior.code(motion, quality, fineness, listener)
        return listener.parameters()
    prior = model.dynamics_prior

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        return prior.only_half(mean, listener(mean[:, HALF], index[:, HALF], rows))

    state = prior.init_state(len(motion), (motion.shape[2], motion.shape[3]), motion.dtype)
    prior.code(state, quality, AT_CONTENT.repeated(len(motion)), exchange)
    return listener.parameters()


def dynamics_parameters(
    prior: DynamicsPrior,
    symbols: Tensor,
    quality: int,
    refs_previous: bool,
    motion: Tensor | None = None,
) -> Parameters:
    """p(z_t | z_<t) at integers z [N, T, C, h, w] from a restart, as [N·T, C, h, w]."""
    place = Place.whole(symbols.shape[1], refs_previous, motion)
    return next(iter_dynamics_parameters(prior, symbols, quality, place, symbols.shape[1]))


def iter_dynamics_parameters(
    prior: DynamicsPrior,
    symbols: Tensor,
    quality: int,
    whole: Place,
    chunk: int,
    restart: int | None = None,
) -> Iterator[Parameters]:
    """The same for `chunk` frames after the other, which takes less memory.

    All symbols are known here, so the recurrence runs first and the rest sees one batch. Means of
    motion that were said of lifted symbols are those of the symbols themselves here.

    Args:
        prior, quality, whole: of the GOPs.
        symbols: of all frames of GOPs, [N, T, C, h, w].
        chunk: frames at a time.
    """
    count, num_frames, _, height, width = symbols.shape
    dtype = symbols.dtype if symbols.is_floating_point() else torch.float64
    start = state = prior.init_state(count, (height, width), dtype, whole.motion)
    begin = 0
    for part in symbols.split(chunk, dim=1):
        frames = torch.arange(begin, begin + part.shape[1])
        place = whole._replace(frames=frames).repeated(count)
        coded = prior.lifted(part.flatten(0, 1).to(state.z1.dtype), quality, place)
        shift = part.flatten(0, 1)[:, MEAN].to(coded.dtype) - coded[:, MEAN]
        part = coded.unflatten(0, (count, -1))
        states: list[DynamicsState] = []
        for t in range(part.shape[1]):
            states.append(start if (begin + t) % (restart or num_frames) == 0 else state)
            state = prior.update(states[-1], part[:, t])
        begin += part.shape[1]
        batch = DynamicsState(
            *(torch.stack(tensors, 1).flatten(0, 1) for tensors in zip(*states, strict=True))
        )
        listener = _Listener(coded)
        prior.code(batch, quality, place, listener)
        said = listener.parameters()
        mean = torch.cat([said.mean[:, MEAN] + MEAN_UNITS * shift, said.mean[:, MEAN.stop :]], 1)
        yield Parameters(mean, said.index)
