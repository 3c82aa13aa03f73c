"""The networks between pictures and vectors: matrix products over tokens, quick on a CPU."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 64

_TOKEN = 32  # numbers of an encoder's token
_KINDS = 24
_SEED = 48  # numbers a place of the 8×8 map that z_t makes
_WAVES = 14
_LAYERS = 24  # that f mixes
_PLANES = 12  # of a picture at half size: 3 colours of 2×2 pixels


class FrameEncoder(nn.Module):
    """A frame [N, 64, 64, 3] to features [N, K].

    Tokens of 4×4 pixels are merged by fours to a 4×4 map; beside it, where the tokens of each of
    some learned kinds are on average (a spatial softmax) says where things are.
    """

    places: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.patch = nn.Linear(48, _TOKEN)
        self.kinds = nn.Linear(_TOKEN, _KINDS)
        self.merge = nn.ModuleList([nn.Linear(4 * _TOKEN, 64), nn.Linear(4 * 64, 64)])
        self.out = nn.Linear(16 * 64 + 3 * _KINDS, features)
        self.register_buffer("places", _places(), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        x = _leaky(self.patch(2 * _patches(frames, 4) - 1))
        logits = self.kinds(x).flatten(1, 2)
        where = torch.softmax(logits, 1).transpose(1, 2) @ self.places
        kinds = [3 * where.flatten(1), logits.mean(1)]
        for merge in self.merge:
            x = _leaky(merge(_patches(x, 2)))
        features: Tensor = _leaky(self.out(torch.cat([x.flatten(1), *kinds], 1)))
        return features


class FrameDecoder(nn.Module):
    """Dynamics and modulation vectors to a frame.

    Every token of a 16×16 map knows its place; z_t gives all of them one vector, and each 2×2 of
    them one more. What follows sees one token at a time.

    Args:
        z_size: of the dynamics vector.
        content_size: of the vector that modulates.
        seed_hidden: between dynamics vector and first layers.
        width: of a token.
    """

    waves: Tensor

    def __init__(self, z_size: int, content_size: int, seed_hidden: int, width: int) -> None:
        super().__init__()
        self.seed = nn.Sequential(
            nn.Linear(z_size + 1, seed_hidden),
            nn.SiLU(),
            nn.Linear(seed_hidden, 64 * _SEED + width),
        )
        self.place = nn.Linear(_WAVES, width)
        self.raise_seed = nn.Linear(_SEED, width, bias=False)
        self.mix = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, 4 * _LAYERS)])
        self.sizes = [2 * width, 2 * width, 2 * _LAYERS, _PLANES, _LAYERS * _PLANES]
        self.modulation = nn.Sequential(
            nn.Linear(content_size + 1, 72), nn.SiLU(), nn.Linear(72, sum(self.sizes))
        )
        self.register_buffer("waves", _waves(), persistent=False)

    def forward(self, z: Tensor, content: Tensor, rate: Tensor) -> Tensor:
        """A frame [64, 64, 3] of each row.

        Args:
            z: [N, Z].
            content: [N, M] from `modulation`.
            rate: [N, 1].
        """
        first, second, third, bias, mixing = torch.split(content, self.sizes, 1)
        seeds = self.seed(torch.cat([z, rate], 1))
        seed, everywhere = torch.split(seeds, [64 * _SEED, self.place.out_features], 1)
        local = self.raise_seed(seed.reshape(-1, 8, 1, 8, 1, _SEED))
        local = local.expand(-1, 8, 2, 8, 2, -1).flatten(1, 4)
        x = _leaky(_film(local + self.place(self.waves) + everywhere[:, None], first))
        x = _leaky(_film(self.mix[0](x), second))
        x = _leaky(_film(self.mix[1](x).reshape(len(x), -1, _LAYERS), third))
        weights = mixing.reshape(-1, _LAYERS, _PLANES) / math.sqrt(_LAYERS)
        x = torch.baddbmm(bias[:, None], x, weights)  # [N, 1024, 12]
        x = 0.5 + x.reshape(-1, 16, 16, 2, 2, 2, 2, 3)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, SIZE, SIZE, 3)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def _film(x: Tensor, film: Tensor) -> Tensor:
    """Scale and shift channels: x [N, P, C], film [N, 2C]."""
    scale, shift = film[:, None].chunk(2, 2)
    return torch.addcmul(x + shift, x, scale)


def _patches(x: Tensor, side: int) -> Tensor:
    """[N, H, W, C] to [N, H / side, W / side, C·side²]."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // side, side, w // side, side, c)
    return x.transpose(2, 3).reshape(n, h // side, w // side, c * side * side)


def _places() -> Tensor:
    """(y, x) of every token in -1…1: [256, 2]."""
    at = (torch.arange(16) + 0.5) / 8 - 1
    return torch.cartesian_prod(at, at)


def _waves() -> Tensor:
    """What tells places apart: [256, W], coordinates and waves of three lengths along each."""
    places = _places()
    waves = [f(math.pi * k * places) for k in (0.5, 1, 2) for f in (torch.sin, torch.cos)]
    return torch.cat([places, *waves], 1)
