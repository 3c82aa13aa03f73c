"""The prior p(f_motion) of models whose contents are predicted by precise motion.

Vectors are coded from coarse to fine: those of every eighth block in both directions, then those
half-way between, down to all blocks (interpolative coding, as in Howard & Vitter 1992). So nearly
each lies between known ones, on a grid whose spacing halves:

    base  = mean of the known vectors among its 3×3, in the grid of the step
    mean  = base + what a small integer network says of how these differ from it
    scale = the same network

How fine vectors are is said once a content, see `FINENESSES`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dsaecodec.exact import GATE_ONE, SIGNED_MAX, IntConv, Lattice, clamp_ste, compand, patches
from dsaecodec.likelihood import MEAN_UNITS, SCALE_LEVELS
from dsaecodec.spatial.prior import BASE_LIMIT, Exchange, lattices, rounded_mean

SPACINGS = (8, 4, 2, 1)  # of the grids, in blocks
FINENESSES = (0, 1, 2)  # steps are those of half the motion of z_t over 2 to the power of one
FINEST = FINENESSES[-1]
PARTS = 2**FINEST  # symbols of f_motion to a step of half the motion of z_t
START_INDEX = 15.0  # of the scale, before training: two symbols


class Refinement(NamedTuple):
    """Blocks whose vectors are coded in parallel.

    Attributes:
        spacing: of the grid that they and their neighbours are of.
        lattice: where they are in it.
        positions: flat indices into the grid of all blocks [P].
    """

    spacing: int
    lattice: Lattice
    positions: Tensor


@lru_cache(maxsize=64)
def refinements(height: int, width: int, device: torch.device) -> tuple[Refinement, ...]:
    """The steps of a height × width grid, in coding order (empty ones left out)."""
    blocks, steps = torch.arange(height * width, device=device).view(height, width), []
    for spacing in SPACINGS:
        grid = blocks[::spacing, ::spacing]
        for lattice in lattices(*grid.shape, device):
            if spacing == SPACINGS[0] or lattice.top or lattice.left:  # others are known
                positions = grid.flatten()[lattice.positions]
                steps.append(Refinement(spacing, lattice, positions))
    return tuple(steps)


def fineness_of(motion: Tensor) -> int:
    """The coarsest that can say f_motion, integers in the finest steps."""
    return next(n for n in FINENESSES if not (motion % 2 ** (FINEST - n)).any())


class MotionPrior(nn.Module):
    """p(f_motion) given how fine it is.

    Args:
        width: of its network.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.enter = IntConv(3 * 9 + 3, width, a_max=SIGNED_MAX)
        self.blend = IntConv(width, width)
        self.leave = IntConv(width, 4, act="none", gain=0.0)
        with torch.no_grad():
            self.leave.bias[2:] = START_INDEX

    def code(self, like: Tensor, quality: int, fineness: int, exchange: Exchange) -> Tensor:
        """Exchange all symbols, [N, 2, h, w].

        Args:
            like: of that shape and type, a floating one.
            quality: 0…100.
            fineness: one of `FINENESSES`.
            exchange: called once a step, with symbols of that fineness.

        Returns:
            The symbols, as `exchange` has them.
        """
        count, _, height, width = like.shape
        known = torch.zeros_like(like[:, :1])
        symbols = torch.zeros_like(like)
        for spacing, lattice, positions in refinements(height, width, like.device):
            seen = torch.cat([symbols.clamp(-BASE_LIMIT, BASE_LIMIT), known], 1)
            near = patches(seen[:, :, ::spacing, ::spacing], lattice).unflatten(1, (3, 9))
            vectors, there = near[:, :2], near[:, 2]
            base = rounded_mean(vectors.sum(2), there.sum(1, keepdim=True)).to(like.dtype)
            differing = compand((vectors - base[:, :, None]) * there[:, None]).flatten(1, 2)
            told = (quality, GATE_ONE // 2 * fineness, GATE_ONE // 2 * (spacing.bit_length() - 1))
            constant = differing.new_tensor(told)[:, None].expand(count, -1, len(positions))
            inputs = torch.cat([differing, GATE_ONE * there.to(differing), constant], 1)
            said = self.leave.matmul(self.blend.matmul(self.enter.matmul(inputs)))
            delta, index = said.chunk(2, dim=1)
            mean, index = base * MEAN_UNITS + delta, clamp_ste(index, 0, SCALE_LEVELS - 1)
            symbols, known = symbols.flatten(2), known.flatten(2)
            symbols = symbols.index_copy(2, positions, exchange(mean, index, positions))
            known = known.index_fill(2, positions, 1.0)
            symbols, known = (x.unflatten(2, (height, width)) for x in (symbols, known))
        return symbols
