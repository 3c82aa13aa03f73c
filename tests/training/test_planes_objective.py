"""The stage of the planes sees what decoders show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dsaecodec.draw import moving_layers
from dsaecodec.model_io import load_model
from dsaecodec.spatial.pictures import floats, squared_error, to_tensors
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.planes_objective import middle_errors, planes_terms
from dsaecodec.training.shots import Shot
from dsaecodec.training.stages import HELD_OUT, PlanesStage
from dsaecodec.training.symbols import Choice, CodedGop, encode_shot
from dsaecodec.video import rgb_to_420
from dsaecodec.video.frame import Frame420


@pytest.fixture(scope="module")
def shot() -> Shot:
    frames = [rgb_to_420(picture) for picture in moving_layers(36, 72, 96, 5)]
    luma = torch.stack([torch.from_numpy(frame.y) for frame in frames])
    chroma = torch.stack([torch.from_numpy(np.stack([f.u, f.v])) for f in frames])
    return Shot("drawn", luma, chroma)


@pytest.mark.parametrize("lone", [False, True])
@torch.no_grad()
def test_errors_are_those_of_decoded_frames(shot, lone):
    """Contents are rounded anew, so about."""
    loaded = load_model("natural", "cpu")
    model = loaded.spatial
    gops = encode_shot(loaded, shot, 40, 32, lone=lone)
    assert lone or sum(gop.content.predicted for gop in gops) >= 2
    frames = [
        Frame420(y.numpy(), *(x.numpy() for x in c))
        for y, c in zip(shot.luma, shot.chroma, strict=True)
    ]
    previous, first = None, 0
    for number, gop in enumerate(gops):
        planes = gop.content.planes(model, previous, gop.quality)
        before = previous if gop.refs_previous else None
        z_hat = gop.z.float() * model.z_steps(gop.quality)
        for t in {0, gop.num_frames // 2, gop.num_frames - 1}:
            source = floats(to_tensors([frames[first + t]], 72, 96), slice(None))
            decoded = model.synthesize(planes, before, z_hat[t : t + 1])
            expected = float(squared_error(source, decoded)) / (72 * 96)
            found = float(planes_terms(model, shot, gops, number, [t]).frames)
            assert found == pytest.approx(expected, rel=0.25)
        previous, first = planes, first + gop.num_frames


@torch.no_grad()
def test_gops_in_a_row_have_the_errors_of_each_alone(shot):
    loaded = load_model("natural", "cpu")
    gops = encode_shot(loaded, shot, 40, 32)
    model = loaded.spatial
    alone = [
        planes_terms(model, shot, gops, number, [gop.num_frames // 2]).frames
        for number, gop in enumerate(gops)
    ]
    assert len(gops) >= 3 and list(middle_errors(model, shot, gops)) == alone


def test_gradients_reach_the_filter_of_contents_through_frames(shot):
    loaded = load_model("natural", "cpu")
    loaded.spatial.requires_grad_(True)
    gops = encode_shot(loaded, shot, 40, 32)
    number = next(i for i, gop in enumerate(gops) if gop.content.predicted)
    planes_terms(loaded.spatial, shot, gops, number, [0]).frames.backward()
    for part in (loaded.spatial.content_synthesis.leave, loaded.spatial.frame_synthesis.leave):
        assert float(part.weight.grad.abs().max()) > 0


def test_shots_that_judge_are_not_fitted(tmp_path):
    gop = CodedGop(40, False, 16 * 16, None, torch.zeros(1, 1, 1, 1), 0)
    coded = [
        (Choice(number, None, 0, 40, 32, False, tmp_path / f"{number}"), [gop])
        for number in [*range(2 * HELD_OUT), *range(2 * HELD_OUT)]
    ]
    stage = PlanesStage(TrainConfig(), coded)
    assert {one.number for one, _ in stage._judged} == {0, HELD_OUT}
    assert not {one.number for one, _ in stage._fitted} & {0, HELD_OUT}
    assert len(stage._fitted) + len(stage._judged) == len(coded)
