"""p(x_t | z_t, f): pictures that are sums of products of what f and z_t say."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 8  # pixels of a side
HIDDEN = 256
DETAILS = "0123"
LITTLE, MUCH = 0.003, 0.15  # of the largest variance of a block: where the next detail begins


def to_blocks(pictures: Tensor) -> Tensor:
    """[N, T, 3, H, W] → [blocks, N, T, 192]."""
    return F.pixel_unshuffle(pictures, BLOCK).flatten(3).permute(3, 0, 1, 2)


def to_pictures(blocks: Tensor, size: int) -> Tensor:
    """Inverse of `to_blocks` for square pictures."""
    side = size // BLOCK
    return F.pixel_shuffle(blocks.permute(1, 2, 3, 0).unflatten(3, (side, side)), BLOCK)


class BlockProducts(nn.Module):
    """Blocks that are sums of learned pictures, weighted by products.

    Of a block of 8×8 pixels

        x_b = Σ_r a_br(z_t) · v_br(f) · W_br + w_b,

    with a and v networks of three layers. At a given pose a character is nearly linear in its
    attributes, and at given attributes it depends on the pose in any way; so frames are nearly
    bilinear, and a sum of products says that with few weights.

    Args:
        size: of pictures, pixels.
        f_channels, z_channels: of f and z_t.
        rank: products of a block of the highest detail.
        f_width, z_width: features of f and of z_t that a and v are linear in.
        detail: of each block, a digit of `DETAILS`, see `products`; empty: the highest everywhere.
    """

    def __init__(
        self,
        size: int,
        f_channels: int,
        z_channels: int,
        rank: int,
        f_width: int,
        z_width: int,
        detail: str = "",
    ) -> None:
        super().__init__()
        blocks = (size // BLOCK) ** 2
        detail = detail or DETAILS[-1] * blocks
        order = [b for digit in reversed(DETAILS) for b in range(blocks) if detail[b] == digit]
        self._order, self._place = order, sorted(range(blocks), key=order.__getitem__)
        counts = [(detail.count(digit), products(rank, digit)) for digit in reversed(DETAILS)]
        self._groups = [(count, rank) for count, rank in counts if count and rank]
        total = sum(count * rank for count, rank in self._groups)
        self.of_f = features(f_channels, f_width, total)
        self.of_z = features(z_channels, z_width, total)
        last = self.of_f[-1]
        assert isinstance(last, nn.Linear)
        nn.init.ones_(last.bias)  # pictures of z alone, at first
        self.weights = nn.ParameterList(
            torch.randn(count, rank, 3 * BLOCK**2) * (0.1 / math.sqrt(rank))
            for count, rank in self._groups
        )
        self.bias = nn.Parameter(torch.zeros(blocks, 3 * BLOCK**2))

    def forward(self, f: Tensor, z: Tensor) -> Tensor:
        """f [N, F], z [N, T, Z] → blocks [blocks, N, T, 192], code values / 64."""
        sizes = [count * rank for count, rank in self._groups]
        content, pose = self.of_f(f).split(sizes, -1), self.of_z(z).split(sizes, -1)
        bias = self.bias[self._order, None]
        made, begin = [], 0
        for (count, rank), v, a, weight in zip(
            self._groups, content, pose, self.weights, strict=True
        ):
            v = v.unflatten(-1, (count, rank)).transpose(0, 1)[:, :, None]
            a = a.unflatten(-1, (count, rank)).permute(2, 0, 1, 3)
            product = (v * a).flatten(1, 2)  # [blocks, N·T, rank]
            made.append(torch.baddbmm(bias[begin : begin + count], product, weight))
            begin += count
        made.append(bias[begin:].expand(-1, z.shape[0] * z.shape[1], -1))
        return torch.cat(made)[self._place].unflatten(1, z.shape[:2])


def products(rank: int, digit: str) -> int:
    """Products of a block of a detail: none, or 4 times as many for each further digit."""
    return 0 if digit == DETAILS[0] else max(1, rank // 4 ** (len(DETAILS) - 1 - int(digit)))


def detail_of(energy: Tensor) -> str:
    """Detail of blocks, given the variance of each [blocks]: more for those that vary more.

    Blocks that never change have none: `BlockProducts` says their mean.
    """
    share = (energy / energy.max().clamp(min=1e-12)).tolist()
    return "".join(DETAILS[(s > 0) + (s > LITTLE) + (s > MUCH)] for s in share)


def features(channels: int, width: int, out: int) -> nn.Sequential:
    """Three layers: numbers → features → what is linear in them."""
    layers = [nn.Linear(channels, HIDDEN), nn.Linear(HIDDEN, width), nn.Linear(width, out)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
