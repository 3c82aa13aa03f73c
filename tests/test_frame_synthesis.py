"""What makes frames of planes: what it is told, and how it chooses between planes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dsaecodec.model_io import load_model
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.synthesis import Planes, Yuv, expand_planes, upsample_half_pel

CHANNELS = 101


def planes(seed: int) -> Planes:
    generator = torch.Generator().manual_seed(seed)
    luma = 30 * torch.randn(1, 1, 32, 48, generator=generator)
    chroma = 10 * torch.randn(1, 2, 16, 24, generator=generator)
    features = torch.randn(1, 8, 4, 6, generator=generator)
    return Planes(Yuv(luma, chroma), upsample_half_pel(luma), upsample_half_pel(chroma), features)


def latents(count: int = 1) -> torch.Tensor:
    return torch.randn(count, CHANNELS, 2, 3, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def model() -> SpatialModel:
    """One that is told more, and has learnt nothing of it yet."""
    plain = load_model("natural-6", "cpu").spatial
    widened = SpatialModel(replace(plain.config, informed=1))
    widened.load_state_dict(widened.widened(plain.state_dict()))
    return widened.requires_grad_(False)


def wake(model: SpatialModel) -> None:
    """Let the network of motion say something, which in `natural-6` adds nothing."""
    torch.manual_seed(0)
    torch.nn.init.normal_(model.frame_synthesis.refine_leave.weight, std=0.1)


def test_it_begins_as_it_was(model):
    plain = load_model("natural-6", "cpu").spatial
    with torch.no_grad():
        before, after = (m.synthesize(planes(1), planes(2), latents(), 40) for m in (plain, model))
    for x, y in zip(before, after, strict=True):
        assert torch.allclose(x, y, atol=1e-4)


@pytest.mark.parametrize("level", ["refining", "filtering"])
def test_it_knows_how_coarse_steps_are(model, level):
    wake(model)
    before = model.synthesize(planes(1), planes(2), latents(), 40)
    torch.nn.init.constant_(getattr(model.frame_synthesis.informed, level).weight, 0.5)
    after, at_step_8 = (
        model.frame_synthesis(planes(2), planes(1), latents(), torch.tensor([step]))
        for step in (model.nominal_step(40), 8.0)
    )
    assert float((before.luma - after.luma).abs().max()) > 1e-2
    model.frame_synthesis.informed = None
    told_nothing = model.synthesize(planes(1), planes(2), latents(), 40)
    assert torch.allclose(at_step_8.luma, told_nothing.luma, atol=1e-3)  # log2(8) - 3 = 0


def test_a_whole_choice_takes_one_plane_for_the_other(model):
    """A share of one, where frames take all of one plane, makes them of the other."""
    synthesis = model.frame_synthesis
    a, b = (Yuv(*(x + n for x in planes(1).picture)) for n in (0.0, 8.0))
    difference = Yuv(b.luma - a.luma, b.chroma - a.chroma)
    torch.nn.init.ones_(synthesis.informed.choice.bias)
    residual, step = torch.zeros(1, CHANNELS - 5, 2, 3), model.nominal_step(40)
    chosen = synthesis.finish(a, difference, residual, step)
    synthesis.informed = None
    plain = synthesis.finish(a, difference, residual, step)
    for x, y, d in zip(chosen, plain, difference, strict=True):
        assert torch.allclose(x, y + d, atol=1e-3)


def test_frames_in_one_batch_may_have_steps_of_their_own(model):
    wake(model)
    for parameter in model.frame_synthesis.informed.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    pair = [expand_planes(one, 2) for one in (planes(2), planes(1))]
    steps = torch.tensor([4.0, 20.0])
    together = model.frame_synthesis(*pair, latents(2), steps).luma
    for i in range(2):
        one = (latents(2)[i : i + 1], steps[i : i + 1])
        alone = model.frame_synthesis(planes(2), planes(1), *one).luma
        assert torch.allclose(together[i : i + 1], alone, atol=1e-2)
