"""The in-loop filter of contents: what it is told, and how deep it may go."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dsaecodec.model_io import load_model
from dsaecodec.spatial.model import SpatialConfig, SpatialModel
from dsaecodec.spatial.synthesis import Yuv, pack_blocks, unpack

STEP = torch.tensor([11.2])


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
    before, after = (model.content_synthesis(f_hat, STEP) for model in models)
    assert torch.allclose(flat(before.picture), flat(after.picture), atol=1e-3)
    assert torch.allclose(before.features, after.features, atol=1e-3)


@torch.no_grad()
def test_it_works_half_as_hard_on_predicted_ones(models):
    prediction, f_hat = picture(2), 0.1 * models[0].content_posterior(picture(1))
    none = torch.zeros(1)  # a step of nothing: no filter
    bare, before = (models[0].content_synthesis(f_hat, s, prediction) for s in (none, STEP))
    after = models[1].content_synthesis(f_hat, STEP, prediction)
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
        one = flat(synthesis(latents[0], STEP, b).picture)
        other = flat(synthesis(latents[1], STEP, a).picture)
        differences.append(float((one - other).abs().max()))
    assert differences[0] < 1e-3 < 0.1 < differences[1]


@pytest.fixture(scope="module")
def deeper() -> tuple[SpatialModel, SpatialModel]:
    """One that goes no deeper, and the same, widened, before it has learnt anything."""
    plain = load_model("natural-6", "cpu").spatial
    widened = SpatialModel(replace(plain.config, depth=3))
    widened.load_state_dict(widened.widened(plain.state_dict()))
    return plain, widened


@torch.no_grad()
@pytest.mark.parametrize("predicted", [False, True])
def test_a_deeper_filter_begins_as_it_was(deeper, predicted):
    f_hat = deeper[0].content_posterior(picture(1))
    prediction = picture(2) if predicted else None
    before, after = (model.synthesize_content(f_hat, 40, prediction) for model in deeper)
    for x, y in zip((*before.picture, *before[1:]), (*after.picture, *after[1:]), strict=True):
        assert torch.allclose(x, y, atol=1e-3)


@torch.no_grad()
def test_features_do_not_depend_on_how_deep_it_goes():
    """Networks that make frames of them were trained with those of a shallow one."""
    model = load_model("natural", "cpu").spatial
    f_hat = model.content_posterior(picture(1))
    before = model.synthesize_content(f_hat, 40)
    deep = model.content_synthesis.deepening
    model.content_synthesis.deepening = None
    after = model.synthesize_content(f_hat, 40)
    model.content_synthesis.deepening = deep
    assert before.features.equal(after.features)
    assert float((flat(before.picture) - flat(after.picture)).abs().max()) > 0.1


@torch.no_grad()
@pytest.mark.parametrize("changed", ["step", "predicted"])
def test_it_knows_steps_and_what_is_predicted(changed):
    """Apart from its strength, which steps above 32 do not change."""
    model = load_model("natural", "cpu").spatial
    hidden = torch.rand(1, 64, 8, 12, generator=torch.Generator().manual_seed(1))
    f_hat = model.content_posterior(picture(1))
    one = {"step": torch.tensor([40.0]), "predicted": torch.zeros(1)}
    other = one | {changed: one[changed] + 1}
    before, after = (model.content_synthesis.deepening(hidden, f_hat, **x) for x in (one, other))
    assert float((before - after).abs().max()) > 1e-3


@torch.no_grad()
def test_it_adds_nothing_where_nothing_is_coded():
    """Within a block of what is coded, and its neighbours, it does."""
    deepening = load_model("natural", "cpu").spatial.content_synthesis.deepening
    hidden = torch.rand(1, 64, 32, 32, generator=torch.Generator().manual_seed(1))
    f_hat = torch.zeros(1, 384, 8, 8)
    f_hat[:, 5, 1, 1] = 40.0
    step, predicted = torch.tensor([40.0]), torch.ones(1)
    added = deepening(hidden, f_hat, step, predicted).abs().amax((0, 1))
    assert float(added[16:, 16:].max()) == 0 < 0.01 < float(added[4:8, 4:8].min())


@torch.no_grad()
def test_contents_in_one_batch_may_have_steps_of_their_own():
    synthesis = load_model("natural", "cpu").spatial.content_synthesis
    f_hat = torch.cat(
        [load_model("natural", "cpu").spatial.content_posterior(picture(n)) for n in (1, 2)]
    )
    steps = torch.tensor([4.0, 20.0])
    together = synthesis.picture(f_hat, steps)[0].luma
    for i in range(2):
        alone = synthesis.picture(f_hat[i : i + 1], steps[i : i + 1])[0].luma
        assert torch.allclose(together[i : i + 1], alone, atol=1e-3)
