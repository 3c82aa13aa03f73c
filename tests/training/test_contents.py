"""The stages of the planes and of the hyperprior see what the encoder makes of contents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bitstream import SymbolEncoder
from dsaecodec.draw import moving_layers
from dsaecodec.errors import UsageError
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.spatial.code_length import hyper_parameters
from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.gop_coder import code_content, code_motion, fixed, fixed_content
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.pictures import squared_error
from dsaecodec.spatial.synthesis import Yuv, pack_blocks, unpack
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.content_stages import HyperStage, PlanesStage
from dsaecodec.training.contents import LENGTHS, Example, encode_contents, errors, read_contents
from dsaecodec.training.shots import Shot
from dsaecodec.training.stages import HELD_OUT, Stage
from dsaecodec.training.symbols import Choice
from dsaecodec.training.team import Team
from dsaecodec.video import rgb_to_420

SIZE = (72, 96)
TEAM = Team(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model("natural", "cpu")


@pytest.fixture(scope="module")
def shot() -> Shot:
    frames = [rgb_to_420(picture) for picture in moving_layers(36, *SIZE, 5)]
    luma = torch.stack([torch.from_numpy(frame.y) for frame in frames])
    chroma = torch.stack([torch.from_numpy(np.stack([f.u, f.v])) for f in frames])
    return Shot("drawn", luma, chroma)


def encoded(loaded, shot, folder, *, quality=42, gop=32, lone=False) -> list[Example]:
    choice = Choice(0, shot, 0, quality, gop, lone, folder / "0.safetensors")
    save_file(encode_contents(loaded, shot, quality, gop, lone), choice.file)
    ((number, examples),) = read_contents([choice])
    assert number == 0
    return examples


@pytest.fixture(scope="module")
def examples(loaded, shot, tmp_path_factory) -> list[Example]:
    return encoded(loaded, shot, tmp_path_factory.mktemp("contents"))


@pytest.mark.parametrize("part", ["scaled", "motion"])
def test_contents_of_an_older_version_are_refused(loaded, shot, tmp_path, part):
    tensors = encode_contents(loaded, shot, 42, 8, True)
    file = tmp_path / "0000.safetensors"
    save_file({name: x for name, x in tensors.items() if not name.endswith(part)}, file)
    with pytest.raises(UsageError, match="older version"):
        read_contents([Choice(0, shot, 0, 42, 8, True, file)])


def test_contents_are_of_frames_in_order(shot, examples):
    """The first stands alone; at quality 42 the others lie 4, 8, 4 … apart."""
    places = []
    for one in examples:
        same = one.source.luma[0, :, : SIZE[0]].int() + 128 == shot.luma.int()
        (place,) = same.flatten(1).all(1).nonzero()
        places.append(int(place))
    lengths = np.diff(places).tolist()
    start = 42 % len(LENGTHS)
    assert places[0] == 0 and lengths == list((LENGTHS + LENGTHS)[start : start + len(lengths)])
    assert examples[0].prediction is None
    assert sum(one.prediction is not None for one in examples) >= 2


@torch.no_grad()
def test_errors_are_those_of_the_pictures_that_decoders_make(loaded, examples):
    """Predictions are rounded to whole grey levels, so about."""
    model = loaded.spatial
    for one in examples:
        f_hat = one.f.float() * model.f_steps(one.quality)
        prediction = one.prediction and Yuv(*(x.float() for x in one.prediction))
        picture = model.synthesize_content(f_hat, one.quality, prediction).picture
        source = Yuv(*(x.float() for x in one.source))
        expected = float(squared_error(source, picture)) / source.luma.numel()
        assert float(errors(model, [one])) == pytest.approx(expected, rel=1e-4)
        assert expected < 60


def test_one_alone_is_of_the_middle_frame(loaded, shot, tmp_path):
    (one,) = encoded(loaded, shot, tmp_path, gop=16, lone=True)
    assert one.prediction is None and one.quality > 42
    assert one.source.luma[0, 0, : SIZE[0]].int().add(128).equal(shot.luma[8].int())


@torch.no_grad()
def test_crops_are_parts_of_what_is_coded_and_of_pictures(loaded, examples):
    one = next(one for one in examples if one.prediction is not None)
    part = one.crop(1, 2, 3, 4)
    model = loaded.spatial

    def coded(example: Example) -> Yuv:
        f_hat = example.f.float() * model.f_steps(example.quality)
        return unpack(pack_blocks(model.content_synthesis.transform(f_hat)))

    for made, of in (
        (coded(part), coded(one)),
        (part.source, one.source),
        (part.prediction, one.prediction),
    ):
        for x, y, n in zip(made, of, (16, 8), strict=True):
            expected = y[..., n : 4 * n, 2 * n : 6 * n]
            assert torch.allclose(x.float(), expected.float(), atol=1e-3)


def test_several_at_once_have_the_errors_of_each(loaded, examples):
    crops = [one.crop(0, 0, 3, 3) for one in examples if one.prediction is not None]
    together = errors(loaded.spatial, crops)
    alone = torch.cat([errors(loaded.spatial, [one]) for one in crops])
    assert len(crops) >= 2 and torch.allclose(together, alone, rtol=1e-4)


def deepened(name: str) -> SpatialModel:
    """A model, with two blocks more in its filter that have learnt nothing yet."""
    plain = load_model(name, "cpu").spatial
    model = SpatialModel(replace(plain.config, depth=2))
    model.load_state_dict(model.widened(plain.state_dict()))
    return model


def parts_that_move(stage: Stage, model: SpatialModel, steps: int) -> set[str]:
    """Names of a model's parts, to the second level, that some steps have changed."""
    optimizer = torch.optim.AdamW(stage.groups(model), weight_decay=0.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(steps):
        optimizer.zero_grad()
        stage.terms(model, step, TEAM).loss.backward()
        optimizer.step()
        model.project_()
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    return {".".join(name.split(".")[:2]) for name in moved}


def test_steps_lower_the_error_and_leave_what_frames_are_made_of(examples):
    model = deepened("natural-6")
    config = TrainConfig.from_table({"planes": {"size": 64, "batch": 4}})
    stage = PlanesStage(config, [(number, examples) for number in range(HELD_OUT)])
    first = stage.judge(model).psnr_db
    parts = parts_that_move(stage, model, 12)
    assert stage.judge(model).psnr_db > first + 0.01
    assert parts == {"content_synthesis.deepening"}


def test_shots_that_judge_are_not_fitted(examples):
    coded = [(number, examples[:1]) for number in [*range(2 * HELD_OUT), *range(2 * HELD_OUT)]]
    stage = PlanesStage(TrainConfig(), coded)
    assert len(stage._judged) == 4 and len(stage._shots) == len(coded) - 4


def test_crops_fit_the_smallest_picture(loaded, examples):
    small = [one.crop(0, 0, 2, 3) for one in examples]
    stage = PlanesStage(TrainConfig(), [(0, small), (1, examples), (2, small)])
    assert stage.pixels == TrainConfig().planes.batch * 32 * 48
    terms = stage.terms(loaded.spatial, 0, TEAM)
    assert float(terms.distortion) > 0


def contextual(name: str) -> SpatialModel:
    """A model whose prior of f_hyper has a context of which it has learnt nothing yet."""
    plain = load_model(name, "cpu").spatial
    model = SpatialModel(replace(plain.config, contextual=1))
    model.load_state_dict(model.widened(plain.state_dict()))
    return model


@torch.no_grad()
def test_a_context_that_has_learnt_nothing_costs_what_none_does(loaded, examples):
    plain, model = load_model("natural-6", "cpu").spatial, contextual("natural-6")
    for one in examples:
        hyper = torch.floor(model.content_posterior.infer_hyper(one.scaled.float()) + 0.5)
        known = {"predicted": one.prediction is not None}
        costs = [
            hyper_parameters(m.content_prior, hyper, one.quality, **known).bits(hyper)
            for m in (plain, model)
        ]
        assert torch.allclose(*costs) and float(costs[0].sum()) > 10


@pytest.mark.parametrize("name", ["natural", "natural-8"])
@pytest.mark.parametrize("predicted", [False, True])
def test_bits_of_the_hyperprior_are_those_that_coders_take(examples, predicted, name):
    """f_motion is part of them where it has a prior of its own."""
    one = next(one for one in examples if (one.prediction is not None) == predicted)
    loaded = load_model(name, "cpu")
    model = loaded.spatial
    hyper = torch.floor(model.content_posterior.infer_hyper(one.scaled.float()) + 0.5)
    motion = torch.zeros(1, 2 * predicted, *one.f.shape[2:])
    if model.motion_prior is not None:
        motion = one.motion.double()
    content = ContentSymbols(hyper, one.f.float(), motion)
    sizes = []
    for f_hyper in (content.hyper, torch.zeros_like(hyper)):
        coder = SymbolEncoder(loaded.tables)
        targets = fixed_content(content._replace(hyper=f_hyper))
        code_content(model, coder, one.f.shape[2:], one.quality, targets)
        sizes.append(len(coder.finish()))
    still = SymbolEncoder(loaded.tables)
    if predicted and model.motion_prior is None:
        code_motion(model, still, one.f.shape[2:], one.quality, fixed(motion))
    expected = 8 * (sizes[0] - len(still.finish()))
    stage = HyperStage(TrainConfig(), [(0, [one])])
    bits = stage.judge(model).bits_content * one.num_pixels
    assert bits == pytest.approx(expected, rel=0.01, abs=48)
    assert abs(sizes[1] - sizes[0]) > 24  # what f_hyper says matters


def test_steps_lower_the_bits_and_move_the_hyperprior_alone(examples):
    model = contextual("natural-6")
    stage = HyperStage(TrainConfig(), [(number, examples) for number in range(HELD_OUT)])
    first = stage.judge(model).bits_content
    parts = parts_that_move(stage, model, 15)
    assert stage.judge(model).bits_content < 0.99 * first
    layers = "near blend say hyper_mean hyper_index lacking_mean lacking_index".split()
    layers += "expand upsample embed context mix head".split()
    assert parts >= {"content_posterior.hyper", *(f"content_prior.{name}" for name in layers)}
    assert all(name.startswith(("content_posterior.hyper", "content_prior")) for name in parts)


def test_the_prior_of_motion_learns_too(examples):
    plain = load_model("natural-7", "cpu").spatial
    model = SpatialModel(replace(plain.config, precise=1))
    model.load_state_dict(model.widened(plain.state_dict()))
    moved = [one._replace(motion=one.motion * 0 + 40) for one in examples]
    stage = HyperStage(TrainConfig(), [(number, moved) for number in range(HELD_OUT)])
    first = stage.judge(model).bits_content
    parts = parts_that_move(stage, model, 15)
    assert stage.judge(model).bits_content < 0.98 * first
    assert {f"motion_prior.{name}" for name in ("enter", "blend", "leave")} <= parts


def test_distributions_of_channels_move_fast():
    """Twenty times as fast as networks, those of predicted contents, too."""
    model = contextual("natural-6")
    named = dict(model.content_prior.named_parameters())
    (group,) = (g for g in HyperStage(TrainConfig(), []).groups(model) if g["ratio"] == 20)
    fast = {id(parameter) for parameter in group["params"]}
    kinds = [f"{kind}_{part}" for kind in ("hyper", "lacking") for part in ("mean", "index")]
    assert all(id(named[name]) in fast for name in kinds)
    assert all((id(p) in fast) == (name in kinds or "bias" in name) for name, p in named.items())
