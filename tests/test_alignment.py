"""Descent on motion: its derivatives against automatic ones, and what it brings."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dsaecodec.codec import Decoder, EncodeOptions, encode_video
from dsaecodec.codec.preset import PRESETS
from dsaecodec.codec.threads import Crew
from dsaecodec.draw import moving_layers
from dsaecodec.metrics import mse
from dsaecodec.model_io import load_model
from dsaecodec.spatial import alignment
from dsaecodec.spatial.alignment import EPSILON, LEAST_STIFFNESS, align, align_content
from dsaecodec.spatial.content_encoder import CONTENT_MOTION_STEPS
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.model import SpatialConfig, SpatialModel, encoder_lagrangian
from dsaecodec.spatial.motion import smooth
from dsaecodec.spatial.synthesis import Planes, Yuv, expand_planes, upsample_half_pel
from dsaecodec.video import VideoInfo, rgb_to_420


def planes_of(luma: torch.Tensor) -> Planes:
    chroma = torch.zeros(1, 2, luma.shape[2] // 2, luma.shape[3] // 2)
    features = torch.zeros(1, 8, luma.shape[2] // 8, luma.shape[3] // 8)
    picture = Yuv(luma, chroma)
    return Planes(picture, upsample_half_pel(luma), upsample_half_pel(chroma), features)


def waves(dy: float = 0.0, dx: float = 0.0) -> torch.Tensor:
    """A smooth picture of 64×96, moved by (dy, dx): pixel p shows what was at p + (dy, dx)."""
    y, x = np.mgrid[:64, :96].astype(np.float64)
    y, x = y + dy, x + dx
    picture = 40 * np.sin(0.31 * y + 0.12 * x) + 40 * np.cos(0.27 * x - 0.09 * y)
    return torch.tensor(picture, dtype=torch.float32)[None, None]


def test_price_has_the_slope_of_its_formula():
    symbols = torch.randn(5, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    begin = torch.randn(1, 5, 3, 4, dtype=torch.float64)
    innovation = symbols - torch.cat([begin, symbols[:-1]])
    terms = (innovation, innovation - smooth(innovation))
    prices = (1.6, 8.0)
    sums = (p / 2 * torch.sqrt(x**2 + EPSILON).sum() for p, x in zip(prices, terms, strict=True))
    price = sum(sums)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # borders are replicated
    (expected,) = torch.autograd.grad(price, symbols)
    slope, curvature = alignment._rate_terms(symbols.detach(), begin, prices)
    assert torch.allclose(slope[inner], expected[inner])
    assert bool((curvature > 0).all())


@pytest.mark.parametrize("shrink", [1, 2])
def test_error_has_the_slope_of_the_synthesis(shrink):
    torch.manual_seed(0)
    model = SpatialModel(SpatialConfig()).requires_grad_(False)  # its network adds nothing yet
    a, b = planes_of(waves()), planes_of(waves(1.0, 2.0))
    luma = waves(0.4, 0.7).expand(2, -1, -1, -1)
    symbols, unit = torch.randn(2, 5, 4, 6), model.z_steps(50)[:, :5].detach()
    symbols.requires_grad_()
    both = (expand_planes(a, 2), expand_planes(b, 2))
    dense = model.frame_synthesis.motion(*both, symbols * unit)
    missing = luma - model.frame_synthesis.predict(*both, dense)[0].luma
    error = shrink**2 * F.avg_pool2d(missing, shrink).square().sum()
    (expected,) = torch.autograd.grad(error, symbols)
    with torch.no_grad():
        if shrink == 1:
            seen = luma, (a.luma2, b.luma2)
        else:
            seen = F.avg_pool2d(luma, 2), tuple(alignment._halved(x.picture.luma) for x in (a, b))
        slope, _ = alignment._error_terms(*seen, dense, unit, shrink)
    # Both interpolate the same vectors, in one step of 16 and in steps of 2 and 8; means of moved
    # pixels are not quite moved means.
    assert float((slope - expected).norm() / expected.norm()) < 0.1 * shrink


def test_motion_of_a_shifted_picture_is_found():
    model = SpatialModel(SpatialConfig()).requires_grad_(False)
    frames = torch.cat([waves(0.25 * t, -0.5 * t) for t in range(1, 5)])
    planes = (planes_of(waves()), planes_of(waves(1.25, -2.5)))
    begin = torch.zeros(4, 5, 4, 6)
    place, parts = Place.whole(4, True), [slice(0, 3), slice(3, 4)]
    setting = (place, 80, encoder_lagrangian(80), 12, parts, Crew.alone())
    found, stiffness = align(model, frames, planes, begin, *setting)
    unit = model.z_steps(80)[:, :5]

    def error(symbols: torch.Tensor) -> float:
        both = tuple(expand_planes(plane, 4) for plane in planes)
        dense = model.frame_synthesis.motion(*both, symbols * unit)
        prediction, _ = model.frame_synthesis.predict(*both, dense)
        return float((frames - prediction.luma)[..., 16:-16, 16:-16].square().mean())

    assert error(found) < 0.05 * error(begin)
    assert stiffness.shape == found.shape and bool(
        (stiffness[:, :4, 1:-1, 1:-1] > 2 * LEAST_STIFFNESS).all()
    )


def test_the_prior_begins_with_the_motion_of_the_content():
    """Where pictures say nothing, motion tends to what costs least."""
    model = SpatialModel(SpatialConfig(kinematic=1)).requires_grad_(False)
    flat, begin = torch.zeros(4, 1, 64, 96), torch.zeros(4, 5, 4, 6)
    planes = (planes_of(flat[:1]), planes_of(flat[:1]))
    steady = 3 * torch.ones(1, 2, 4, 6)
    for known, expected in ((None, 0.0), (steady, 3.0)):
        place = Place.whole(4, True, known)
        setting = (place, 50, encoder_lagrangian(50), 100, [slice(0, 4)], Crew.alone())
        found, _ = align(model, flat, planes, begin, *setting)
        assert float((found[:, 2:4] - expected).abs().max()) < 0.5


def test_with_one_plane_only_the_mean_moves():
    model = SpatialModel(SpatialConfig()).requires_grad_(False)
    begin = torch.rand(3, 5, 4, 6)
    setting = (Place.whole(3, False), 50, encoder_lagrangian(50), 2, [slice(0, 3)], Crew.alone())
    planes = (None, planes_of(waves()))
    found, _ = align(model, waves(1, 1).expand(3, -1, -1, -1), planes, begin, *setting)
    assert found[:, 2:].equal(begin[:, 2:]) and not found[:, :2].equal(begin[:, :2])


@pytest.mark.parametrize("quality", [30, 60])
def test_descent_lowers_what_a_file_costs(quality, monkeypatch):
    """J = D / λ + R of decoded pixels and bytes."""
    frames = [rgb_to_420(rgb) for rgb in moving_layers(9, 96, 128, 3)]
    load_model(device="cpu")
    costs = []
    for steps in (0, 6):
        preset = replace(PRESETS["medium"], motion_steps=steps, halves=False)
        monkeypatch.setitem(PRESETS, "medium", preset)
        sink = io.BytesIO()
        options = EncodeOptions(quality, threads=1, device="cpu", gop=8)
        encode_video(iter(frames), VideoInfo(128, 96, Fraction(25)), sink, options)
        decoded = Decoder(io.BytesIO(sink.getvalue()), device="cpu")
        error = sum(
            mse(x.y, y.y) + (mse(x.u, y.u) + mse(x.v, y.v)) / 2
            for x, y in zip(frames, decoded, strict=True)
        )
        costs.append(error * 96 * 128 / encoder_lagrangian(quality) + 8 * len(sink.getvalue()))
    assert costs[1] < 0.97 * costs[0]


@pytest.mark.parametrize("precise", [0, 1])
def test_motion_of_a_content_descends_to_what_moved_it(precise):
    """From half a pixel beside it, at a price of bits that two contents more than pay."""
    model = SpatialModel(SpatialConfig(precise=precise)).requires_grad_(False)
    before, luma = planes_of(waves()), waves(1.0, -2.0)
    double = 2 * model.z_steps(80)[:, 2:4]
    truth = torch.tensor([1.0, -2.0]).view(1, 2, 1, 1) / double
    begin = (truth + torch.tensor([0.5, 0.5]).view(1, 2, 1, 1) / double).expand(1, 2, 4, 6)
    found, stiffness = align_content(
        model, luma, before, begin, 80, encoder_lagrangian(80), CONTENT_MOTION_STEPS[precise]
    )
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    off, was = ((x - truth)[inner].abs().mean() for x in (found, begin))
    assert float(off) < 0.35 * float(was)
    assert found.shape == stiffness.shape == begin.shape
    assert bool((stiffness > 2 * LEAST_STIFFNESS).all())
