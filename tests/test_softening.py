"""Predictions that keep the share of each frequency that uncertain motion leaves."""

from __future__ import annotations

import math

import pytest
import torch

import dsaecodec
from dsaecodec.spatial import softening, synthesis
from dsaecodec.spatial.model import SpatialConfig, SpatialModel
from dsaecodec.spatial.softening import soften
from dsaecodec.spatial.synthesis import Planes, Yuv, upsample_half_pel
from tests.golden.make_golden import FOLDER


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


def test_what_moves_alike_is_trusted_however_far_it_moves():
    picture = Yuv(torch.randn(1, 1, 48, 64), torch.randn(1, 2, 24, 32))
    softened = soften(picture, torch.full((1, 2, 3, 4), 3000.7))
    assert torch.allclose(softened.luma, picture.luma, atol=1e-5)


def test_models_say_whether_predictions_are_softened():
    torch.manual_seed(0)
    models = [SpatialModel(SpatialConfig(predicted=1, softened=softened)) for softened in (0, 1)]
    models[1].load_state_dict(models[0].state_dict())
    luma, chroma = 40 * torch.randn(1, 1, 48, 64), 40 * torch.randn(1, 2, 24, 32)
    large = upsample_half_pel(luma), upsample_half_pel(chroma)
    before = Planes(Yuv(luma, chroma), *large, torch.zeros(1, 8, 6, 8))
    motion = torch.ones(1, 2, 3, 4)
    plain, softened = (model.predict_content(before, motion, 50) for model in models)
    assert torch.allclose(plain.luma, softened.luma, atol=1e-3)
    motion[..., 1] = 12
    plain, softened = (model.predict_content(before, motion, 50) for model in models)
    assert float(softened.luma.detach().square().sum()) < 0.9 * float(
        plain.luma.detach().square().sum()
    )


def test_the_golden_stream_of_softened_contents_has_uncertain_motion():
    gops = dsaecodec.open(FOLDER / "v2-softened-everything.dsz", device="cpu").gops
    assert any(gop.predicted and gop.f_motion_symbols.std() > 0 for gop in gops)


def test_what_decoding_caches_can_be_trained_with():
    synthesis.dct_matrix.cache_clear()
    softening._squared_frequencies.cache_clear()
    picture = Yuv(torch.randn(1, 1, 32, 32), torch.randn(1, 2, 16, 16))
    with torch.inference_mode():
        soften(picture, torch.randn(1, 2, 2, 2))
    vectors = torch.randn(1, 2, 2, 2, requires_grad=True)
    soften(picture, vectors).luma.square().sum().backward()
    assert bool((vectors.grad != 0).any())
