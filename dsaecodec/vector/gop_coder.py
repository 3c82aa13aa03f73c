"""Symbols of GOPs of vectors through a coder: encoding and decoding share every line.

Several GOPs of one quality go side by side, as a batch of size N: a coder is then called with the
next number of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from bitstream import Gop, MalformedError
from dsaecodec.codec.symbols import Coder, Wish, pass_symbols
from dsaecodec.vector.model import VectorModel
from dsaecodec.vector.prior import Exchange


def check_gop(model: VectorModel, gop: Gop) -> None:
    """Refuse what a GOP of this model cannot be.

    Raises:
        MalformedError: it refers to the one before; or it restarts, where frames follow from f.
    """
    if gop.refs_previous:
        raise MalformedError("a GOP of this model refers to the one before: it cannot")
    if model.config.dynamics == "deterministic" and len(gop.segments) > 1:
        raise MalformedError("a GOP of this model has a restart: it cannot")


def code_content(
    model: VectorModel, coder: Coder, quality: int, symbols: Tensor | None, count: int = 1
) -> Tensor:
    """Code f.

    Args:
        model: whose content prior is used.
        coder: encoder, decoder or counter.
        quality: 0…100.
        symbols: integers [N, F], or None to decode.
        count: N.

    Returns:
        The integers, float64 [N, F].
    """
    return model.content_prior.code(_tensor(quality, count), _exchange(coder, symbols))


def code_dynamics(
    model: VectorModel,
    coder: Coder,
    quality: int,
    symbols: Sequence[Tensor | None],
    count: int = 1,
) -> Tensor:
    """Code z_t of consecutive frames from a restart of the prior.

    Args:
        model, coder, quality, count: as in `code_content`.
        symbols: integers [N, Z] of each frame, or None to ask the coder for them.

    Returns:
        The integers, float64 [N, T, coded channels].
    """
    prior = model.dynamics_prior
    state, frames, qualities = prior.init_state(count), [], _tensor(quality, count)
    for given in symbols:
        z = prior.code(state, qualities, _exchange(coder, given))
        state = prior.update(state, z, qualities)
        frames.append(z)
    return torch.stack(frames, 1)


def _exchange(coder: Coder, symbols: Tensor | None) -> Exchange:
    """An exchange that codes one number after the other."""
    numbers = iter(() if symbols is None else symbols.double().unbind(1))

    def exchange(mean: Tensor, index: Tensor) -> Tensor:
        wish = None
        if symbols is not None:
            wish = Wish(next(numbers)[:, None], torch.full_like(mean, math.inf))
        return pass_symbols(coder, wish, mean, index)

    return exchange


def _tensor(quality: int, count: int) -> Tensor:
    return torch.full((count,), float(quality), dtype=torch.float64)
