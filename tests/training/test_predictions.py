"""The stage of the frames sees GOPs as decoders make them."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch

from dsaecodec.codec.decoder import Decoder
from dsaecodec.codec.encoder import EncodeOptions, encode_video
from dsaecodec.draw import moving_layers
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.filter_stages import FramesStage
from dsaecodec.training.predictions import Between, between
from dsaecodec.training.shots import Shot
from dsaecodec.training.stages import HELD_OUT
from dsaecodec.training.symbols import encode_shot
from dsaecodec.training.team import Team
from dsaecodec.video import VideoInfo, rgb_to_420

SIZE = (72, 96)
QUALITY = 50
TEAM = Team(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model("natural-6", "cpu")


@pytest.fixture(scope="module")
def shot() -> Shot:
    frames = [rgb_to_420(picture) for picture in moving_layers(24, *SIZE, 5)]
    luma = torch.stack([torch.from_numpy(frame.y) for frame in frames])
    chroma = torch.stack([torch.from_numpy(np.stack([f.u, f.v])) for f in frames])
    return Shot("drawn", luma, chroma)


@pytest.fixture(scope="module")
def gops(loaded, shot) -> list[Between]:
    return list(between(loaded.spatial, shot, encode_shot(loaded, shot, QUALITY, 16)))


def test_errors_are_those_of_frames_that_decoders_show(loaded, shot, gops):
    """Which are rounded to whole grey levels, and have no padding."""
    sink, info = BytesIO(), VideoInfo(SIZE[1], SIZE[0], 25)
    options = EncodeOptions(quality=QUALITY, gop=16, model="natural-6", threads=1)
    encode_video(shot.frames(), info, sink, options)
    shown = list(Decoder(BytesIO(sink.getvalue()), threads=1))
    assert [gop.begin for gop in gops] == [0, *np.cumsum([len(gop.z) for gop in gops])[:-1]]
    assert any(gop.previous is not gop.current for gop in gops)
    with torch.no_grad():
        for gop in gops:
            for t in range(len(gop.z)):
                source, made = shot.frame(gop.begin + t), shown[gop.begin + t]
                planes = zip(source.planes, made.planes, strict=True)
                y, u, v = (np.mean((a.astype(float) - b) ** 2) for a, b in planes)
                expected = pytest.approx(y + (u + v) / 2, rel=0.25, abs=0.5)
                assert float(gop.error(loaded.spatial, t)) == expected


def informed(loaded: LoadedModel) -> SpatialModel:
    """A model whose synthesis of frames is told more, and has learnt nothing of it yet."""
    model = SpatialModel(replace(loaded.spatial.config, informed=1))
    model.load_state_dict(model.widened(loaded.spatial.state_dict()))
    return model


def test_steps_lower_the_error_and_leave_contents_alone(loaded, gops):
    model = informed(loaded)
    stage = FramesStage(TrainConfig(), [(number, gops) for number in range(HELD_OUT)])
    optimizer = torch.optim.AdamW(stage.groups(model), weight_decay=0.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = stage.judge(model).psnr_db
    for step in range(12):
        optimizer.zero_grad()
        stage.terms(model, step, TEAM).loss.backward()
        optimizer.step()
    assert stage.judge(model).psnr_db > first + 0.01
    moved = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    parts = {name for name in before if name.startswith("frame_synthesis.")}
    assert moved == {name for name in parts if "transform" not in name}


def test_shots_that_judge_are_not_fitted(gops):
    coded = [(number, gops[:1]) for number in [*range(2 * HELD_OUT), *range(2 * HELD_OUT)]]
    stage = FramesStage(TrainConfig(), coded)
    assert len(stage._judged) == 4 and len(stage._shots) == len(coded) - 4
    assert stage.pixels == TrainConfig().frames.batch * SIZE[0] * SIZE[1]
