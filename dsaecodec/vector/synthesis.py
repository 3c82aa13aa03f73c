"""p(x_t | z_t, f): pictures that are products of what f and z_t say."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 8  # pixels of a side
HIDDEN = 256


def to_blocks(pictures: Tensor) -> Tensor:
    """[N, T, 3, H, W] → [blocks, N, T, 192]."""
    return F.pixel_unshuffle(pictures, BLOCK).flatten(3).permute(3, 0, 1, 2)


def to_pictures(blocks: Tensor, size: int) -> Tensor:
    """Inverse of `to_blocks` for square pictures."""
    side = size // BLOCK
    return F.pixel_shuffle(blocks.permute(1, 2, 3, 0).unflatten(3, (side, side)), BLOCK)


class Synthesis(nn.Module):
    """Pictures that are sums of products.

    Of a block of 8×8 pixels

        x_b = Σ_r a_br(z_t) · v_br(f) · W_br + w_b,

    with a and v networks of three layers. At a given pose a character is nearly linear in its
    attributes, and at given attributes it depends on the pose in any way; so frames are nearly
    bilinear, and a sum of products says that with few weights.

    Args:
        size: of pictures, pixels.
        f_channels, z_channels: of f and z_t.
        rank: products in a block.
        f_width, z_width: features of f and of z_t that a and v are linear in.
    """

    def __init__(
        self,
        size: int,
        f_channels: int,
        z_channels: int,
        rank: int,
        f_width: int,
        z_width: int,
    ) -> None:
        super().__init__()
        self.size, self.rank = size, rank
        self.blocks = (size // BLOCK) ** 2
        self.of_f = _network(f_channels, f_width, self.blocks * rank)
        self.of_z = _network(z_channels, z_width, self.blocks * rank)
        last = self.of_f[-1]
        assert isinstance(last, nn.Linear)
        nn.init.ones_(last.bias)  # pictures of z alone, at first
        scale = 0.1 / math.sqrt(rank)
        self.weight = nn.Parameter(torch.randn(self.blocks, rank, 3 * BLOCK**2) * scale)
        self.bias = nn.Parameter(torch.zeros(self.blocks, 3 * BLOCK**2))

    def forward(self, f: Tensor, z: Tensor) -> Tensor:
        """f [N, F], z [N, T, Z] → blocks [blocks, N, T, 192], code values / 64."""
        shape = (self.blocks, self.rank)
        content = self.of_f(f).unflatten(-1, shape).transpose(0, 1)[:, :, None]
        pose = self.of_z(z).unflatten(-1, shape).permute(2, 0, 1, 3)
        product = (content * pose).flatten(1, 2)  # [blocks, N·T, rank]
        blocks = torch.baddbmm(self.bias[:, None], product, self.weight)
        return blocks.unflatten(1, z.shape[:2])


def _network(channels: int, width: int, out: int) -> nn.Sequential:
    layers = [nn.Linear(channels, HIDDEN), nn.Linear(HIDDEN, width), nn.Linear(width, out)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
