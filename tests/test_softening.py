"""Predictions that keep the share of each frequency that uncertain motion leaves."""

from __future__ import annotations

import math

import pytest
import torch

from dsaecodec.spatial.softening import soften
from dsaecodec.spatial.synthesis import Yuv


def waves(size: int, row: int, column: int, height: int, width: int) -> torch.Tensor:
    """A basis function of cosine transforms in every block, [height, width]."""
    y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    return torch.outer(torch.cos(math.pi * row * y / size), torch.cos(math.pi * column * x / size))


def shear(height: int, width: int, dy: float, dx: float) -> torch.Tensor:
    """Vectors [1, 2, h, w] that grow by (dy, dx) from block to block, to the right."""
    ramp = torch.arange(float(width // 16)).expand(height // 16, -1)
    return torch.stack([dy * ramp, dx * ramp])[None]


def test_steady_motion_is_trusted():
    picture = Yuv(torch.randn(1, 1, 48, 64), torch.randn(1, 2, 24, 32))
    softened = soften(picture, torch.tensor([3.25, -7.5]).view(1, 2, 1, 1).expand(1, 2, 3, 4))
    for one, same in zip(softened, picture, strict=True):
        assert torch.allclose(one, same, atol=1e-5)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 0), (0, 5), (2, 1), (7, 7)])
def test_share_of_a_wave_is_that_of_gaussian_errors(row, column):
    """Of 3×3 vectors six differ by (1.5, 2) from the one in the middle."""
    luma, chroma = waves(16, row, column, 48, 80), waves(8, row, column, 24, 40)
    picture = Yuv(luma[None, None], torch.stack([chroma, -chroma])[None])
    softened = soften(picture, shear(48, 80, 1.5, 2.0))
    variance = 6 / 9 * torch.tensor([1.5**2, 2.0**2]) / 12
    omega = math.pi / 16 * torch.tensor([row, column])
    share = float(torch.exp(-(omega**2 * variance).sum() / 2))
    for one, whole, cell in zip(softened, picture, (16, 8), strict=True):
        inner = (..., slice(cell, -cell), slice(cell, -cell))  # borders are replicated
        assert torch.allclose(one[inner], share * whole[inner], atol=1e-4)


def test_uncertain_rows_leave_columns_alone():
    luma = waves(16, 0, 6, 48, 80)[None, None]
    picture = Yuv(luma, torch.zeros(1, 2, 24, 40))
    assert torch.allclose(soften(picture, shear(48, 80, 9.0, 0.0)).luma, luma, atol=1e-4)
    softened = soften(picture, shear(48, 80, 0.0, 9.0)).luma
    assert float(softened.norm()) < 0.2 * float(luma.norm())


def test_clips_and_precision_do_not_mix():
    torch.manual_seed(0)
    pictures = Yuv(100 * torch.randn(2, 1, 32, 32), 100 * torch.randn(2, 2, 16, 16))
    vectors = 2 * torch.randn(2, 2, 2, 2)
    both = soften(pictures, vectors)
    with torch.autocast("cpu", torch.bfloat16):
        alone = [soften(Yuv(*(x[i : i + 1] for x in pictures)), vectors[i : i + 1]) for i in (0, 1)]
    for part, one, other in zip(both, *alone, strict=True):
        assert torch.allclose(part, torch.cat([one, other]), atol=1e-3)
