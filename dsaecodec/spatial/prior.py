"""The priors p(f) and p(z_t | z_<t): integer networks that state every symbol's mean and scale.

Both walk the latent grid in four steps, the (even, even), (odd, odd), (even, odd) and (odd, even)
positions; what earlier steps revealed is the spatial context of later ones, and a step's symbols
are coded in parallel. One routine serves training, encoding and decoding: it hands (mean, index) of
each step to an `exchange`, which returns the symbols (given, encoded or decoded).

Means are in 1/4 symbol and scales are table indices, see `likelihood`. Networks see and say
float32; symbols, which may be any integer, and what is added to them are float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitstream.limits import MAX_QUALITY
from dsaecodec.exact import (
    GATE_ONE,
    SIGNED_MAX,
    IntConv,
    Lattice,
    clamp_ste,
    compand,
    patches,
    round_ste,
    shift_round,
)
from dsaecodec.likelihood import MEAN_UNITS, SCALE_LEVELS, index_offset
from dsaecodec.spatial.kinematics import HALF, RATIO_ONE, Place

Exchange = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(mean [N, C, P], index [N, C, P], positions [P]) → symbols [N, C, P]."""

BASE_LIMIT = 2**20  # predictions are clamped here, so that hostile symbols cannot overflow


@lru_cache(maxsize=64)
def lattices(height: int, width: int, device: torch.device) -> tuple[Lattice, ...]:
    """The four context steps of a height × width grid (empty ones left out)."""
    grid = torch.arange(height * width, device=device).view(height, width)
    corners = ((0, 0), (1, 1), (0, 1), (1, 0))
    steps = (Lattice(top, left, grid[top::2, left::2].flatten()) for top, left in corners)
    return tuple(step for step in steps if step.positions.numel())


def _constant(like: Tensor, values: tuple[int, ...], positions: int) -> Tensor:
    """Constant integer input channels [N, len(values), positions]."""
    column = torch.tensor(values, dtype=like.dtype, device=like.device)
    return column[None, :, None].expand(like.shape[0], -1, positions)


def rounded_mean(total: Tensor, count: Tensor) -> Tensor:
    """⌊total / count + 1/2⌋ of integers of any type, 0 of none, int64."""
    total, count = total.long(), count.long().clamp(min=1)
    return torch.div(2 * total + count, 2 * count, rounding_mode="floor")


def _finish(head: Tensor, base: Tensor, quality: int) -> tuple[Tensor, Tensor]:
    """Split a head's output [N, 2C, P] into integer mean and clamped scale index."""
    delta, index = head.chunk(2, dim=1)
    base = base.clamp(-BASE_LIMIT, BASE_LIMIT)
    return base * MEAN_UNITS + delta, clamp_ste(index + index_offset(quality), 0, SCALE_LEVELS - 1)


class ContentPrior(nn.Module):
    """p(f | f_hyper) and p(f_hyper): hyperprior with four-step spatial context.

    Args:
        channels: channels of f, at 1/16 of the frame.
        hyper_channels: channels of f_hyper, at 1/32.
        dc: channels predicted from the mean of their decoded neighbours, in contents that stand
            alone.
        predicts: whether it also knows contents that are what a prediction lacks.
        contextual: whether f_hyper, too, is coded in four steps with spatial context, and by
            quality; else its channels have one distribution each.
    """

    def __init__(
        self,
        channels: int,
        hyper_channels: int,
        dc: tuple[int, ...],
        *,
        predicts: bool = False,
        contextual: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.hyper_channels, self.dc = channels, hyper_channels, dc
        self.predicts = predicts
        self.hyper_mean = nn.Parameter(torch.zeros(hyper_channels))
        self.hyper_index = nn.Parameter(torch.full((hyper_channels,), 12.0))
        self.expand = IntConv(hyper_channels, 48, 3, a_max=SIGNED_MAX)
        self.upsample = IntConv(48, 4 * 48)
        self.embed = IntConv(channels, 48, act="signed", a_max=SIGNED_MAX)
        self.context = IntConv(48, 64, 3, a_max=SIGNED_MAX)
        self.mix = IntConv(48 + 64 + 1 + predicts, 96)
        self.head = IntConv(96, 2 * channels, act="none", gain=0.05)
        if predicts:
            self.lacking_mean = nn.Parameter(torch.zeros(hyper_channels))
            self.lacking_index = nn.Parameter(torch.full((hyper_channels,), 12.0))
        self.contextual = contextual
        if contextual:
            self.near = IntConv(hyper_channels, 32, 3, a_max=SIGNED_MAX)
            self.blend = IntConv(32 + 1 + predicts, 48)
            self.say = IntConv(48, 2 * hyper_channels, act="none", gain=0.0)

    def code_hyper(
        self, like: Tensor, quality: int, exchange: Exchange, *, predicted: bool = False
    ) -> Tensor:
        """Exchange all symbols of f_hyper, [N, hyper, h, w].

        Args:
            like: of that shape and type, a floating one.
            quality: 0…100.
            exchange: called once a context step, or once.
            predicted: whether f is what a prediction lacks.

        Returns:
            The symbols.
        """
        count, _, height, width = like.shape
        pair = (self.hyper_mean, self.hyper_index)
        if predicted:
            pair = (self.lacking_mean, self.lacking_index)
        mean, index = (round_ste(x).to(like.dtype)[None, :, None] for x in pair)
        if not self.contextual:
            rows = torch.arange(height * width, device=like.device)
            index = clamp_ste(index, 0, SCALE_LEVELS - 1)
            mean, index = (x.expand(count, -1, len(rows)) for x in (mean, index))
            return exchange(mean, index, rows).unflatten(2, (height, width))
        symbols = torch.zeros_like(like).flatten(2)
        for step in lattices(height, width, like.device):
            rows = step.positions
            seen = clamp_ste(symbols * 8, -SIGNED_MAX, SIGNED_MAX).unflatten(2, (height, width))
            context = self.near.matmul(patches(seen, step))
            constant = _constant(context, self._told(quality, predicted), len(rows))
            hidden = self.blend.matmul(torch.cat([context, constant], 1))
            delta, change = self.say.matmul(hidden).chunk(2, dim=1)
            said = clamp_ste(index + change, 0, SCALE_LEVELS - 1)
            symbols = symbols.index_copy(2, rows, exchange(mean + delta, said, rows))
        return symbols.unflatten(2, (height, width))

    def _told(self, quality: int, predicted: bool) -> tuple[int, ...]:
        return (quality, GATE_ONE * predicted) if self.predicts else (quality,)

    def decode_hyper(self, f_hyper: Tensor, height: int, width: int) -> Tensor:
        """Hyper symbols [N, hyper, h/2, w/2] → features [N, 48, height·width], 0…255."""
        features = self.expand(clamp_ste(f_hyper * 8, -SIGNED_MAX, SIGNED_MAX))
        features = F.pixel_shuffle(self.upsample(features), 2)
        return features[:, :, :height, :width].flatten(2)

    def code(
        self,
        f_hyper: Tensor,
        size: tuple[int, int],
        quality: int,
        exchange: Exchange,
        *,
        predicted: bool = False,
    ) -> Tensor:
        """Exchange all symbols of f, [N, C, h, w], given the hyper symbols.

        Args:
            f_hyper: integers [N, hyper, ceil(h/2), ceil(w/2)].
            size: (h, w) of the grid of f.
            quality: 0…100.
            exchange: called once a context step.
            predicted: whether f is what a prediction lacks.
        """
        height, width = size
        said = self._told(quality, predicted)
        hyper = self.decode_hyper(f_hyper, height, width)
        count = hyper.shape[0]
        symbols = f_hyper.new_zeros(count, self.channels, height * width)
        embedded = hyper.new_zeros(count, 48, height * width)
        known = hyper.new_zeros(count, 1, height * width)
        for step in lattices(height, width, hyper.device):
            rows = step.positions
            context = self.context.matmul(patches(embedded.unflatten(2, size), step))
            constant = _constant(hyper, said, len(rows))
            hidden = self.mix.matmul(torch.cat([hyper[:, :, rows], context, constant], 1))
            if predicted:
                base = symbols.new_zeros(count, self.channels, len(rows))
            else:
                base = self._dc_base(symbols, known, size, step)
            mean, index = _finish(self.head.matmul(hidden), base, quality)
            values = exchange(mean, index, rows)
            symbols = symbols.index_copy(2, rows, values)
            embedded = embedded.index_copy(2, rows, self.embed.matmul(compand(values)))
            known = known.index_fill(2, rows, 1.0)
        return symbols.unflatten(2, size)

    def _dc_base(
        self, symbols: Tensor, known: Tensor, size: tuple[int, int], step: Lattice
    ) -> Tensor:
        """Rounded mean of the decoded neighbours for DC channels, 0 elsewhere: [N, C, P]."""
        dc = torch.tensor(self.dc, device=symbols.device)
        stack = torch.cat([symbols[:, dc].clamp(-BASE_LIMIT, BASE_LIMIT), known], 1)
        near = patches(stack.unflatten(2, size), step).unflatten(1, (-1, 9)).sum(2)
        mean = rounded_mean(near[:, :-1], near[:, -1:])
        base = symbols.new_zeros(symbols.shape[0], self.channels, near.shape[2])
        return base.index_copy(1, dc, mean.to(symbols.dtype))


class DynamicsState(NamedTuple):
    """What the dynamics prior remembers: symbols of the last two frames and a hidden state."""

    z1: Tensor  # [N, C, P] symbols of frame t-1
    z2: Tensor  # [N, C, P] symbols of frame t-2
    hidden: Tensor  # [N, 32, h, w], -127…127


class DynamicsPrior(nn.Module):
    """p(z_t | z_<t): a convolutional recurrent cell in fixed point.

    The mean of a symbol is gated persistence plus gated momentum plus a learned correction,

        mean = (a · z_{t-1} + m · (z_{t-1} - z_{t-2})) / 64 + delta,      a, m in 0…64,

    with a, m, delta and the scale from the hidden state and the spatial context; the context sees
    innovations z_t - (a · z_{t-1} + …)/64 of the positions already coded.

    A kinematic prior codes motion as `kinematics.Place.lifted` has it, is told how far each frame
    is from both contents, and moves the means of motion and mixing by what innovations of known
    neighbours are on average, gated by the hidden state.

    Args:
        channels: channels of z_t.
        motion: how many of them, first, are motion; another one, for mixing, follows.
        kinematic: whether it is such a prior.
        parts: symbols of f_motion to a step of half the motion.

    Attributes:
        ratio: of a kinematic prior: steps of half the difference of two motions over those of their
            mean, in 1/64, at each quality, [101, 2].
    """

    HIDDEN = 32
    ratio: Tensor

    def __init__(
        self, channels: int, motion: int, *, kinematic: bool = False, parts: int = 1
    ) -> None:
        super().__init__()
        self.channels, self.kinematic, self.side = channels, kinematic, motion + 1
        self.parts = parts
        hidden = self.HIDDEN
        self.temporal = IntConv(hidden, 48, 3, a_max=SIGNED_MAX)
        self.gates = IntConv(48, 2 * channels, act="gate", gain=0.05)
        self.embed = IntConv(channels, 32, act="signed", a_max=SIGNED_MAX)
        self.context = IntConv(32, 48, 3, a_max=SIGNED_MAX)
        self.mix = IntConv(48 + 48 + (4 if kinematic else 2), 96)
        self.head = IntConv(96, 2 * channels, act="none", gain=0.05)
        self.observe = IntConv(2 * channels, 32, act="signed", a_max=SIGNED_MAX)
        self.candidate = IntConv(32 + hidden, hidden, 3, act="signed", a_max=SIGNED_MAX)
        self.keep = IntConv(32 + hidden, hidden, 3, act="gate", a_max=SIGNED_MAX, gain=0.1)
        with torch.no_grad():
            self.gates.bias[:motion] = GATE_ONE
            self.gates.bias[motion:channels] = GATE_ONE // 4
            self.keep.bias.fill_(GATE_ONE // 2)
        if kinematic:
            self.near = IntConv(48, self.side, act="gate", gain=0.05)
            self.near.bias.data.fill_(GATE_ONE // 3)
            self.register_buffer("ratio", torch.full((MAX_QUALITY + 1, 2), float(RATIO_ONE)))

    def init_state(
        self,
        count: int,
        size: tuple[int, int],
        dtype: torch.dtype = torch.float64,
        motion: Tensor | None = None,
    ) -> DynamicsState:
        """The state at a restart: all zero, or steady motion.

        Args:
            count: of clips.
            size: (h, w) of the grid.
            dtype: of symbols; float32 is exact for those of sane streams alone.
            motion: f_motion of a content that is predicted, [N, 2, h, w]; `half_of` it is what half
                the difference of both motions is in each frame if things move steadily.
        """
        weight = self.temporal.weight
        zeros = weight.new_zeros(count, self.channels, size[0] * size[1], dtype=dtype)
        start = DynamicsState(zeros, zeros, weight.new_zeros(count, self.HIDDEN, *size))
        if motion is None:
            return start
        steady = self.only_half(zeros, self.half_of(motion).to(dtype).flatten(2))
        return self.update(start, steady.unflatten(2, size))._replace(z2=steady)

    def step(
        self, state: DynamicsState, quality: int, place: Place, exchange: Exchange
    ) -> tuple[Tensor, DynamicsState]:
        """Exchange the symbols of one frame.

        Returns:
            z_t [N, C, h, w], lifted if the prior is kinematic, and the next state.
        """
        symbols = self.code(state, quality, place, exchange)
        return symbols, self.update(state, symbols)

    def code(self, state: DynamicsState, quality: int, place: Place, exchange: Exchange) -> Tensor:
        """Exchange z_t [N, C, h, w], as of `step`, given the state before it."""
        size = (state.hidden.shape[2], state.hidden.shape[3])
        temporal = self.temporal(state.hidden).flatten(2)
        persistence, momentum = self.gates.matmul(temporal).chunk(2, dim=1)
        velocity = state.z1 - state.z2
        base = shift_round(persistence * state.z1 + momentum * velocity, 6)
        base = base.clamp(-BASE_LIMIT, BASE_LIMIT)
        neighbours = _Neighbours(self, temporal, base, size) if self.kinematic else None
        constants = self._constants(temporal, quality, place)
        symbols = torch.zeros_like(state.z1)
        embedded = temporal.new_zeros(temporal.shape[0], 32, temporal.shape[2])
        for step in lattices(*size, base.device):
            rows = step.positions
            context = self.context.matmul(patches(embedded.unflatten(2, size), step))
            constant = constants.expand(-1, -1, len(rows))
            hidden = self.mix.matmul(torch.cat([temporal[:, :, rows], context, constant], 1))
            expected = base[:, :, rows]
            if neighbours:
                expected = neighbours.moved(expected, step)
            mean, index = _finish(self.head.matmul(hidden), expected, quality)
            values = exchange(mean, index, rows)
            symbols = symbols.index_copy(2, rows, values)
            innovation = values - base[:, :, rows].detach()
            embedded = embedded.index_copy(2, rows, self.embed.matmul(compand(innovation)))
            if neighbours:
                neighbours.reveal(innovation, rows)
        return symbols.unflatten(2, size)

    def half_of(self, motion: Tensor) -> Tensor:
        """Symbols of half the motion, ⌊f_motion / parts + 1/2⌋, of f_motion's."""
        return torch.div(2 * motion.double() + self.parts, 2 * self.parts, rounding_mode="floor")

    @staticmethod
    def only_half(like: Tensor, half: Tensor) -> Tensor:
        """Symbols [N, C, P], like those given, of which all but half the motion are zero."""
        symbols = torch.zeros_like(like)
        symbols[:, HALF] = half
        return symbols

    def _constants(self, like: Tensor, quality: int, place: Place) -> Tensor:
        """Inputs that are the same everywhere in a frame, [N, 2 or 4, 1]."""
        said = _constant(like, (quality, GATE_ONE * place.refs_previous), 1)
        if not self.kinematic:
            return said
        return torch.cat([said, place.distances().to(like)[:, :, None]], 1)

    def lifted(self, z: Tensor, quality: int, place: Place) -> Tensor:
        """Symbols [N, C, h, w] as `step` has them."""
        return place.lifted(z, self.ratio[quality]) if self.kinematic else z

    def unlifted(self, z: Tensor, quality: int, place: Place) -> Tensor:
        """Inverse of `lifted`."""
        return place.unlifted(z, self.ratio[quality]) if self.kinematic else z

    def update(self, state: DynamicsState, z: Tensor) -> DynamicsState:
        """The state after z_t [N, C, h, w]."""
        z = z.flatten(2)
        seen = self.observe.matmul(torch.cat([compand(z), compand(z - state.z1)], 1))
        size = (state.hidden.shape[2], state.hidden.shape[3])
        joint = patches(torch.cat([seen.unflatten(2, size), state.hidden], 1))
        keep = self.keep.matmul(joint).unflatten(2, size)
        candidate = self.candidate.matmul(joint).unflatten(2, size)
        hidden = shift_round(keep * state.hidden + (GATE_ONE - keep) * candidate, 6)
        return DynamicsState(z, state.z1, hidden)


class _Neighbours:
    """Innovations of motion and mixing that are known around positions.

    Args:
        prior: a kinematic one.
        temporal: what its gate sees, [N, 48, P].
        like: symbols, [N, C, P].
        size: (h, w) of the grid.
    """

    def __init__(
        self, prior: DynamicsPrior, temporal: Tensor, like: Tensor, size: tuple[int, int]
    ) -> None:
        self._gate, self._side, self._size = prior.near.matmul(temporal), prior.side, size
        self._known = like.new_zeros(like.shape[0], prior.side + 1, like.shape[2])

    def moved(self, base: Tensor, step: Lattice) -> Tensor:
        """The base at a step's positions [N, C, P], moved by the gated mean of their 3×3."""
        near = patches(self._known.unflatten(2, self._size), step).unflatten(1, (-1, 9)).sum(2)
        mean = rounded_mean(near[:, :-1], near[:, -1:]).to(base.dtype)
        change = shift_round(self._gate[:, :, step.positions] * mean, 6)
        return torch.cat([base[:, : self._side] + change, base[:, self._side :]], 1)

    def reveal(self, innovation: Tensor, rows: Tensor) -> None:
        """Innovations [N, C, P] of positions are known from now on."""
        seen = innovation[:, : self._side].clamp(-BASE_LIMIT, BASE_LIMIT)
        self._known = self._known.index_copy(
            2, rows, torch.cat([seen, torch.ones_like(seen[:, :1])], 1)
        )
