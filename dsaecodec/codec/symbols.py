"""Symbols through a coder, both ways: choosing, coding and digesting them, in any family.

A coder has `code(table_index, symbols) → symbols`; an encoder takes symbols, a decoder is given
None. Encoders pass targets, latents in units of their steps; symbols are chosen when the prior's
distribution at their place is known, so that rounding can weigh what a symbol costs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dsaecodec.finite import not_finite
from dsaecodec.likelihood import MEAN_UNITS, scale_of, split_mean, table_index

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


class Fleet:
    """Coders that go in step: each call has one symbol of each, in their order."""

    def __init__(self, coders: Sequence[Coder]) -> None:
        self._coders = coders

    def code(
        self, table_index: NDArray[np.uint16], symbols: NDArray[np.int32] | None
    ) -> NDArray[np.int32]:
        """Pass one symbol through each coder."""
        coded = [
            coder.code(table_index[i : i + 1], None if symbols is None else symbols[i : i + 1])
            for i, coder in enumerate(self._coders)
        ]
        return np.concatenate(coded)


class Wish(NamedTuple):
    """What an encoder wants to say at some places, in symbol units.

    Attributes:
        values: latents divided by their steps.
        stiffness: squared error that missing a value by one symbol costs, over λ, in bits; of the
            same shape. Infinite: always the nearest symbol.
    """

    values: Tensor
    stiffness: Tensor


def choose_symbols(wish: Wish, mean: Tensor, index: Tensor, limit: int = SYMBOL_LIMIT) -> Tensor:
    """Rate-distortion optimised rounding: pull values to the mean by what a bit is worth there.

    A Laplace prior of scale b charges log2(e)/b bits for each unit of distance from its mean μ, so
    stiffness · (s - value)² + |s - μ| · log2(e)/b is least at the value moved by
    log2(e) / (2 · b · stiffness) towards μ.
    """
    distance = wish.values - mean / MEAN_UNITS
    shift = LOG2_E / (2 * scale_of(index) * wish.stiffness)
    pulled = wish.values - torch.sign(distance) * torch.minimum(distance.abs(), shift)
    return torch.floor(pulled + 0.5).clamp(-limit, limit)


def pass_symbols(
    coder: Coder, wish: Wish | None, mean: Tensor, index: Tensor, limit: int = SYMBOL_LIMIT
) -> Tensor:
    """Code symbols of a prior's (mean, index); without a wish the coder is a decoder.

    Args:
        coder: encoder, decoder or counter.
        wish: what to say, float64.
        mean, index: integers, in coding order.
        limit: an encoder's largest symbol.

    Returns:
        The symbols, shaped as `mean`.
    """
    integer, fraction = split_mean(mean)
    table = table_index(fraction, index).flatten().numpy().astype(np.uint16)
    offset = None
    if wish is not None:
        symbols = choose_symbols(wish, mean, index, limit)
        try:
            with np.errstate(invalid="raise"):
                offset = (symbols - integer).flatten().numpy().astype(np.int32)
        except FloatingPointError:
            raise not_finite() from None
    coded = torch.from_numpy(coder.code(table, offset).astype(np.float64))
    return integer + coded.view_as(integer)


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
