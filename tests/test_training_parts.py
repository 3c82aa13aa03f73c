"""What training stands on: code lengths, transforms and motion mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dsaecodec import likelihood
from dsaecodec.likelihood import MEAN_UNITS, NUM_TABLES, SCALE_LEVELS
from dsaecodec.spatial.motion import estimate_chain
from dsaecodec.spatial.synthesis import (
    Yuv,
    dct_matrix,
    pack,
    pack_blocks,
    to_blocks,
    transform_matrix,
    unpack,
    upsample_half_pel,
)
from dsaecodec.tables import build_tables


@pytest.mark.parametrize("index", [0, 7, 20, SCALE_LEVELS - 1])
@pytest.mark.parametrize("fraction", range(MEAN_UNITS))
def test_training_rate_equals_the_tables(index, fraction):
    """The differentiable code length is that of the stored integers, but for rounding to 2^-24."""
    tables = build_tables()
    assert tables.num_tables == NUM_TABLES
    symbols = np.arange(-3, 4)
    table = np.full(symbols.shape, index * MEAN_UNITS + fraction)
    mean = torch.full((7,), float(fraction - 2))
    estimate = likelihood.bits(
        torch.from_numpy(symbols).double(), mean.double(), torch.full((7,), float(index)).double()
    ).numpy()
    exact = tables.cost_bits(table, symbols.astype(np.int32))
    likely = exact < 16
    assert likely.any() and np.allclose(estimate[likely], exact[likely], rtol=0.01, atol=0.01)


def test_split_mean_is_an_identity():
    mean = torch.arange(-40, 41).double()
    integer, fraction = likelihood.split_mean(mean)
    assert torch.equal(4 * integer + fraction - 2, mean)
    assert fraction.min() == 0 and fraction.max() == 3


def test_transforms_are_orthonormal_and_block_layouts_invert():
    for size in (8, 16):
        matrix = dct_matrix(size)
        assert torch.allclose(matrix @ matrix.T, torch.eye(size * size), atol=1e-5)
    assert transform_matrix(64, 16).shape == (96, 384)
    frame = Yuv(torch.randn(2, 1, 32, 48), torch.randn(2, 2, 16, 24))
    for packed in (pack(frame), pack_blocks(to_blocks(frame))):
        again = unpack(packed)
        assert torch.equal(again.luma, frame.luma) and torch.equal(again.chroma, frame.chroma)


def test_half_pel_interpolation_keeps_samples_and_flats():
    x = torch.randn(1, 2, 9, 11)
    up = upsample_half_pel(x)
    assert up.shape == (1, 2, 18, 22) and torch.equal(up[:, :, ::2, ::2], x)
    assert torch.allclose(upsample_half_pel(torch.full((1, 1, 5, 5), 3.0)), torch.tensor(3.0))


@pytest.mark.parametrize("dy, dx", [(0, 0), (3, -2), (-1.5, 5.25)])
def test_motion_search_finds_a_pan(dy, dx):
    """A smooth texture moving steadily: the vectors of the middle blocks are the true ones."""
    rows, cols = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")

    def view(t: float) -> torch.Tensor:
        y, x = rows + dy * t, cols + dx * t
        return 60 * torch.sin(y / 7) + 50 * torch.cos(x / 9) + 30 * torch.sin((x + y) / 5)

    frames = torch.stack([view(t) for t in (1, 2, 3)])[None]
    grids = estimate_chain(frames, view(0)[None, None], mu=1.0)
    for t in (1, 2, 3):
        middle = grids[0, t - 1, :, 2:-2, 2:-2]
        expected = torch.tensor([dy * t, dx * t])[:, None, None]
        assert (middle - expected).abs().mean() < 0.1
