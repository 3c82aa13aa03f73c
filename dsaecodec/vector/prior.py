"""The priors p(f) and p(z_t | z_<t) of vectors: integer networks, as those of the spatial family.

A vector's numbers are coded one after the other, each given those before it. One routine serves
training, encoding and decoding: it hands (mean, index) to an `exchange`, which returns the symbols.
Where all symbols are known, the numbers of a vector are columns of one matrix product.

Means are in 1/4 symbol and scales are table indices, see `likelihood`. A symbol is worth another
part of a latent at each quality, while what latents do is the same at all: so networks see and say
latents, and integers that depend on the quality alone take symbols to latents and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dsaecodec.exact import (
    GATE_ONE,
    SIGNED_MAX,
    IntConv,
    clamp_ste,
    compand,
    shift_round,
)
from dsaecodec.likelihood import (
    MEAN_UNITS,
    QUALITY_PER_OCTAVE,
    SCALE_LEVELS,
    index_offset,
    split_mean,
)

Exchange = Callable[[Tensor, Tensor], Tensor]
"""(mean [N, 1], index [N, 1]) of the next number → its symbols [N, 1]."""

UNIT_QUALITY = 30  # at which a symbol is a latent's unit
SYMBOL_BITS = 10  # fractional bits of what a symbol is worth
SEEN_BITS = 4  # networks see latents in 1/16
SAID_BITS = 6  # and say them in 1/64,
SAID_LIMIT = 2**11 - 1  # no larger than this
WORTH_BITS = 8  # fractional bits of what a latent is worth
MEAN_BITS = MEAN_UNITS.bit_length() - 1
BASE_LIMIT = 2**22  # predictions are clamped here, so that hostile symbols cannot overflow
CELL_SHIFT = 3  # fractional bits of the cell beyond those of the hidden state


def seen(symbols: Tensor, quality: Tensor) -> Tensor:
    """Symbols [N, C] at qualities [N] as networks see them: latents on a logarithmic scale."""
    worth = _powers(-1, SYMBOL_BITS, symbols.dtype, symbols.device)[quality.long(), None]
    return compand(shift_round(symbols * worth, SYMBOL_BITS - SEEN_BITS))


def said(latents: Tensor, quality: Tensor) -> Tensor:
    """What networks say of latents [N, C], in 1/4 symbol at qualities [N]."""
    worth = _powers(1, WORTH_BITS, latents.dtype, latents.device)[quality.long(), None]
    limited = clamp_ste(latents, -SAID_LIMIT, SAID_LIMIT)
    return shift_round(limited * worth, SAID_BITS + WORTH_BITS - MEAN_BITS)


@lru_cache(maxsize=16)
def _powers(sign: int, bits: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """2^(sign · (q - 30) / 16), in 1 / 2^bits, at qualities 0…100: rounded from integer roots."""
    values = []
    for quality in range(101):
        doubled = 2 ** (sign * (quality - UNIT_QUALITY) + (bits + 1) * QUALITY_PER_OCTAVE)
        for _ in range(4):  # the 16th root, rounded down
            doubled = math.isqrt(doubled)
        values.append((doubled + 1) // 2)
    return torch.tensor(values, dtype=dtype, device=device)


class VectorCode(nn.Module):
    """What the numbers of a vector are like, each given a context and the numbers before it.

    Args:
        channels: numbers of a vector.
        context: integers -127…127 that are known beforehand.
        hidden: width.
    """

    def __init__(self, channels: int, context: int, hidden: int = 96) -> None:
        super().__init__()
        self.channels = channels
        self.mix = IntConv(context + 2 * channels + 1, hidden, a_max=SIGNED_MAX)
        self.head = IntConv(hidden, 2, act="none", gain=0.05)

    def parameters_at(
        self, context: Tensor, known: Tensor, quality: Tensor, numbers: range
    ) -> tuple[Tensor, Tensor]:
        """Correction of the mean, 1/4 symbol, and scale index of some numbers, [N, len(numbers)].

        Args:
            context: [N, context].
            known: [N, C], how far symbols lie from their base; those from a number on do not count
                for it.
            quality: [N], 0…100.
            numbers: which.
        """
        count, width = known.shape[0], len(numbers)
        quality = quality.to(known.dtype)
        eye = torch.eye(self.channels, dtype=known.dtype, device=known.device)
        before = torch.ones_like(eye).triu(1)[:, numbers.start : numbers.stop]
        place = eye[:, numbers.start : numbers.stop].expand(count, -1, -1)
        columns = torch.cat(
            [
                context[:, :, None].expand(-1, -1, width),
                seen(known, quality)[:, :, None] * before,
                SIGNED_MAX * place,
                quality[:, None, None].expand(-1, 1, width),
            ],
            1,
        )
        delta, index = self.head.matmul(self.mix.matmul(columns)).unbind(1)
        index = clamp_ste(index + index_offset(quality)[:, None], 0, SCALE_LEVELS - 1)
        return said(delta, quality), index

    def code(self, context: Tensor, base: Tensor, quality: Tensor, exchange: Exchange) -> Tensor:
        """Exchange the numbers of a vector in order, [N, C].

        Args:
            context: [N, context].
            base: integers [N, C] that their means start from, 1/4 symbol.
            quality: [N].
            exchange: called once a number.
        """
        nearest, _ = split_mean(base)
        symbols = torch.zeros_like(base)
        for c in range(self.channels):
            number = range(c, c + 1)
            delta, index = self.parameters_at(context, symbols - nearest, quality, number)
            symbols[:, c : c + 1] = exchange(base[:, c : c + 1] + delta, index)
        return symbols

    def parameters_of(
        self, context: Tensor, base: Tensor, quality: Tensor, symbols: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and index of all numbers at once, [N, C], where the symbols are known."""
        innovation = (symbols - split_mean(base)[0]).detach()
        delta, index = self.parameters_at(context, innovation, quality, range(self.channels))
        return base + delta, index


class ContentPrior(nn.Module):
    """p(f): each number given those before it.

    Args:
        channels: numbers of f.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.numbers = VectorCode(channels, 0)

    def code(self, quality: Tensor, exchange: Exchange) -> Tensor:
        """Exchange f, [N, C]."""
        context, base = self._nothing(quality)
        return self.numbers.code(context, base, quality, exchange)

    def parameters_of(self, symbols: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and index of known f, [N, C]."""
        context, base = self._nothing(quality)
        return self.numbers.parameters_of(context, base, quality, symbols)

    def _nothing(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        like = self.numbers.mix.weight
        return like.new_zeros(len(quality), 0), like.new_zeros(len(quality), self.channels)


class DynamicsState(NamedTuple):
    """What the prior of dynamics remembers."""

    z1: Tensor  # [N, C] symbols of frame t-1
    z2: Tensor  # [N, C] symbols of frame t-2
    hidden: Tensor  # [N, H], -127…127
    cell: Tensor  # [N, H], -1016…1016
    known: Tensor  # [N, 1] 127 after the first frame


class DynamicsPrior(nn.Module):
    """p(z_t | z_<t): an LSTM in fixed point, without f.

    The mean of a number is gated persistence, gated momentum, what two layers expect of the LSTM's
    state, and a correction that knows the numbers before,

        mean = (a · z_{t-1} + m · (z_{t-1} - z_{t-2})) / 64 + e + delta,      a, m in 0…64.

    Args:
        channels: numbers of z_t.
        hidden: width of the LSTM.
        recurrent: False makes a static prior: nothing is remembered.
    """

    def __init__(self, channels: int, hidden: int, *, recurrent: bool = True) -> None:
        super().__init__()
        self.channels, self.hidden, self.recurrent = channels, hidden, recurrent
        inputs = 2 * channels + hidden
        self.gates = IntConv(inputs, 3 * hidden, act="gate", a_max=SIGNED_MAX, gain=0.2)
        self.candidate = IntConv(inputs, hidden, act="signed", a_max=SIGNED_MAX)
        self.base = IntConv(hidden, 2 * channels, act="gate", a_max=SIGNED_MAX, gain=0.05)
        self.mix = IntConv(hidden, 2 * hidden, a_max=SIGNED_MAX)
        self.head = IntConv(2 * hidden, channels, act="none", gain=0.05)
        self.numbers = VectorCode(channels, hidden + 1)
        with torch.no_grad():
            self.gates.bias.fill_(GATE_ONE // 2)
            self.gates.bias[:hidden] = 0.9 * GATE_ONE  # what the cell keeps

    def init_state(self, count: int) -> DynamicsState:
        """The state at a restart: all zero."""
        like = self.gates.weight
        z = like.new_zeros(count, self.channels)
        h = like.new_zeros(count, self.hidden)
        return DynamicsState(z, z, h, h, like.new_zeros(count, 1))

    def code(self, state: DynamicsState, quality: Tensor, exchange: Exchange) -> Tensor:
        """Exchange z_t, [N, C]."""
        return self.numbers.code(*self._expected(state, quality), quality, exchange)

    def parameters_of(
        self, state: DynamicsState, symbols: Tensor, quality: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and index of a known z_t, [N, C]."""
        return self.numbers.parameters_of(*self._expected(state, quality), quality, symbols)

    def update(self, state: DynamicsState, z: Tensor, quality: Tensor) -> DynamicsState:
        """The state after z_t [N, C] at qualities [N]."""
        if not self.recurrent:
            return state
        quality = quality.to(z.dtype)
        changes = seen(z - state.z1, quality)
        inputs = torch.cat([seen(z, quality), changes, state.hidden], 1)[:, :, None]
        keep, write, show = self.gates.matmul(inputs)[:, :, 0].chunk(3, dim=1)
        candidate = self.candidate.matmul(inputs)[:, :, 0] * 2**CELL_SHIFT
        cell = shift_round(keep * state.cell + write * candidate, 6)
        limit = SIGNED_MAX * 2**CELL_SHIFT
        cell = clamp_ste(cell, -limit, limit)
        hidden = shift_round(show * cell, 6 + CELL_SHIFT)
        return DynamicsState(z, state.z1, hidden, cell, torch.full_like(state.known, SIGNED_MAX))

    def _expected(self, state: DynamicsState, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Context [N, H + 1] and base [N, C] of the next vector, see `VectorCode.code`."""
        hidden = state.hidden[:, :, None]
        persistence, momentum = self.base.matmul(hidden)[:, :, 0].chunk(2, dim=1)
        last = persistence * state.z1 + momentum * (state.z1 - state.z2)
        expected = self.head.matmul(self.mix.matmul(hidden))[:, :, 0]
        base = shift_round(last, 6 - MEAN_BITS) + said(expected, quality.to(last.dtype))
        base = base.clamp(-BASE_LIMIT, BASE_LIMIT)
        return torch.cat([state.hidden, state.known], 1), base
