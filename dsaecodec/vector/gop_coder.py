"""Symbols of one GOP of vectors through a coder: encoding and decoding share every line."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dsaecodec.codec.symbols import Coder, Wish, pass_symbols
from dsaecodec.vector.model import VectorModel
from dsaecodec.vector.prior import Exchange


def code_content(model: VectorModel, coder: Coder, quality: int, symbols: Tensor | None) -> Tensor:
    """Code f of one GOP.

    Args:
        model: whose content prior is used.
        coder: encoder, decoder or counter.
        quality: 0…100.
        symbols: integers [F], or None to decode.

    Returns:
        The integers, float64 [F].
    """
    return model.content_prior.code(_tensor(quality), _exchange(coder, symbols))[0]


def code_dynamics(
    model: VectorModel, coder: Coder, quality: int, symbols: Sequence[Tensor | None]
) -> Tensor:
    """Code z_t of consecutive frames from a restart of the prior.

    Args:
        model, coder, quality: as in `code_content`.
        symbols: integers [Z] of each frame, or None to ask the coder for them.

    Returns:
        The integers, float64 [T, Z].
    """
    prior = model.dynamics_prior
    state, frames = prior.init_state(1), []
    for given in symbols:
        exchange = _exchange(coder, given)
        z = prior.code(state, _tensor(quality), exchange)
        state = prior.update(state, z)
        frames.append(z)
    return torch.cat(frames)


def _exchange(coder: Coder, symbols: Tensor | None) -> Exchange:
    """An exchange that codes one number after the other."""
    numbers = iter(() if symbols is None else symbols.double())

    def exchange(mean: Tensor, index: Tensor) -> Tensor:
        wish = None
        if symbols is not None:
            wish = Wish(next(numbers).view(1, 1), mean.new_full((1, 1), math.inf))
        return pass_symbols(coder, wish, mean, index)

    return exchange


def _tensor(quality: int) -> Tensor:
    return torch.tensor([float(quality)], dtype=torch.float64)
