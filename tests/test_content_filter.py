"""The in-loop filter of contents, which may tell what is coded from what was predicted."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dsaecodec.model_io import load_model
from dsaecodec.spatial.model import SpatialConfig, SpatialModel
from dsaecodec.spatial.synthesis import Yuv, pack_blocks, unpack

STRENGTH = torch.tensor([0.7])


def picture(seed: int) -> Yuv:
    generator = torch.Generator().manual_seed(seed)
    return Yuv(
        30 * torch.randn(1, 1, 32, 48, generator=generator),
        10 * torch.randn(1, 2, 16, 24, generator=generator),
    )


def flat(yuv: Yuv) -> Tensor:
    return torch.cat([x.flatten() for x in yuv])


@pytest.fixture(scope="module")
def models() -> tuple[SpatialModel, SpatialModel]:
    """One that tells nothing, and the same, widened, before it has learnt to tell."""
    plain = load_model("natural-5", "cpu").spatial
    widened = SpatialModel(SpatialConfig(kinematic=1, predicted=1, softened=1, discerning=1))
    widened.load_state_dict(widened.widened(plain.state_dict()))
    return plain, widened


@torch.no_grad()
def test_a_widened_filter_works_on_contents_that_stand_alone_as_before(models):
    f_hat = models[0].content_posterior(picture(1))
    before, after = (model.content_synthesis(f_hat, STRENGTH) for model in models)
    assert torch.allclose(flat(before.picture), flat(after.picture), atol=1e-3)
    assert torch.allclose(before.features, after.features, atol=1e-3)


@torch.no_grad()
def test_it_works_half_as_hard_on_predicted_ones(models):
    prediction, f_hat = picture(2), 0.1 * models[0].content_posterior(picture(1))
    none = torch.zeros(1)
    bare, before = (models[0].content_synthesis(f_hat, s, prediction) for s in (none, STRENGTH))
    after = models[1].content_synthesis(f_hat, STRENGTH, prediction)
    work = flat(before.picture) - flat(bare.picture)
    assert float(work.abs().max()) > 1
    assert torch.allclose(flat(after.picture), flat(bare.picture) + work / 2, atol=1e-3)


@torch.no_grad()
def test_it_sees_what_is_coded_apart_from_what_was_predicted(models):
    """The same sum, of other parts: a filter that tells nothing makes the same picture of it."""
    latents = [0.5 * models[0].content_posterior(picture(seed)) for seed in (3, 4)]
    differences = []
    for model in (models[0], load_model("natural", "cpu").spatial):
        synthesis = model.content_synthesis
        a, b = (unpack(pack_blocks(synthesis.transform(f))) for f in latents)
        one = flat(synthesis(latents[0], STRENGTH, b).picture)
        other = flat(synthesis(latents[1], STRENGTH, a).picture)
        differences.append(float((one - other).abs().max()))
    assert differences[0] < 1e-3 < 0.1 < differences[1]
