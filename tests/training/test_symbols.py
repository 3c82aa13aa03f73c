"""Which shots are coded for the last stage, and which of them judge it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from dsaecodec.draw import moving_layers
from dsaecodec.model_io import load_model
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.shots import Shot
from dsaecodec.training.stages import HELD_OUT, PriorStage
from dsaecodec.training.symbols import choose, encode_shot
from dsaecodec.video import rgb_to_420


def test_of_few_shots_each_comes_as_often_and_at_other_qualities(tmp_path):
    shots = [Shot(f"{i}", torch.zeros(2, 16, 16), torch.zeros(2, 2, 8, 8)) for i in range(3)]
    chosen = [one for one in choose(shots, 7, 1, tmp_path / "symbols") if not one.lone]
    assert sorted(Counter(one.number for one in chosen).values()) == [2, 2, 3]
    assert all(one.shot is shots[one.number] for one in chosen)
    assert len({(one.number, one.quality) for one in chosen}) == 7
    assert len({one.file for one in chosen}) == 7
    assert len({(one.number, one.way) for one in chosen}) == 7


def test_shots_are_turned():
    generator = torch.Generator().manual_seed(0)
    luma, chroma = (torch.rand(shape, generator=generator) for shape in ((3, 4, 6), (3, 2, 2, 3)))
    shot = Shot("", luma, chroma)
    assert torch.equal(shot.turned(0).luma, luma)
    turned = shot.turned(1 + 4)
    assert torch.equal(turned.luma[0, :, 0], luma[2, :, 5])
    assert torch.equal(turned.chroma[0, :, :, 0], chroma[2, :, :, 2])
    assert torch.equal(shot.turned(2).chroma[1, :, 0], chroma[1, :, 1])
    assert torch.equal(turned.turned(5).luma, luma)


def test_shots_that_judge_are_not_fitted():
    class Gop:
        num_pixels = 1

    coded = [(number, [Gop()]) for number in [*range(2 * HELD_OUT), *range(2 * HELD_OUT)]]
    stage = PriorStage(TrainConfig(), coded)
    judged = {id(gop) for gop in stage._judged}
    held = {number for number, gops in coded if id(gops[0]) in judged}
    assert held == {0, HELD_OUT} and len(judged) == 4
    assert all(id(gop) not in judged for gops in stage._shots for gop in gops)
    assert len(stage._shots) == len(coded) - 4


def test_symbols_of_gops_cost_what_their_bytes_say():
    """GOPs have qualities of their own, around the one that is asked for."""
    frames = [rgb_to_420(picture) for picture in moving_layers(36, 64, 96, 5)]
    luma = torch.stack([torch.from_numpy(frame.y) for frame in frames])
    chroma = torch.stack([torch.from_numpy(np.stack([f.u, f.v])) for f in frames])
    loaded = load_model("natural", "cpu")
    coded = encode_shot(loaded, Shot("drawn", luma, chroma), 40, 32)
    assert sum(gop.num_frames for gop in coded) == 36
    assert {gop.quality for gop in coded} > {40}
    with torch.no_grad():
        for gop in coded:
            bits = float(sum(gop.bits(loaded.spatial)))
            assert bits == pytest.approx(8 * gop.num_bytes, rel=0.1, abs=64)
