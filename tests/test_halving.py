"""Where it is in doubt whether to halve a GOP, drafts of its halves decide."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import pytest

from bitstream import Gop
from dsaecodec.codec.gop_plan import plan_gops
from dsaecodec.codec.preset import PRESETS, Preset
from dsaecodec.codec.threads import limited_threads
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.spatial import gop_encoder
from dsaecodec.spatial.gop_encoder import SpatialGopEncoder
from dsaecodec.video import rgb_to_420
from tests.pans import pan

MEDIUM = PRESETS["medium"]


@lru_cache(maxsize=1)
def natural() -> LoadedModel:
    return load_model("natural", "cpu")


def coded(frames: int, preset: Preset = MEDIUM, gop: int = 16) -> list[Gop]:
    """GOPs of a picture that moves, of 48×64 pixels."""
    encoder = SpatialGopEncoder(natural(), 48, 64, 40, preset=preset)
    pictures = [rgb_to_420(rgb) for rgb in pan(frames, 48, 64, 5)]
    with limited_threads(None):
        return [gop for plan in plan_gops(pictures, gop) for gop in encoder.encode(plan)]


def lengths(gops: list[Gop]) -> list[int]:
    return [gop.num_frames for gop in gops]


@pytest.fixture
def doubt(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Everything is in doubt, and lone GOPs stay whole."""
    monkeypatch.setattr(gop_encoder, "DOUBTFUL_RATIO", 0.0)
    monkeypatch.setattr(gop_encoder, "SPLIT_RATIO", math.inf)
    monkeypatch.setattr(gop_encoder, "LONE_SPLIT_RATIO", math.inf)
    return monkeypatch


@pytest.mark.parametrize(("worth", "whole"), [(math.inf, True), (1e-12, False)])
def test_what_frames_of_a_lone_gop_miss_counts(monkeypatch, worth, whole):
    """Where it is worth nothing only its bits do."""
    monkeypatch.setattr(gop_encoder, "LONE_SPLIT_RATIO", 1e4)
    monkeypatch.setattr(gop_encoder, "WORTH", worth)
    assert (lengths(coded(17, gop=32)) == [17]) == whole


def test_drafts_that_never_win_leave_no_trace(doubt):
    doubt.setattr(gop_encoder, "LEAST_GAIN", math.inf)
    assert coded(33) == coded(33, replace(MEDIUM, halves=False))


def test_drafts_that_always_win_halve_down_to_the_least(doubt):
    doubt.setattr(gop_encoder, "LEAST_GAIN", -math.inf)
    assert lengths(coded(17)) == [1, 4, 4, 4, 4]


@pytest.mark.parametrize("preset", ["medium", "slow"])
def test_drafts_that_are_kept_are_what_would_be_coded(doubt, preset):
    """Halving without a look at the halves makes the same bytes."""
    doubt.setattr(gop_encoder, "MIN_GOP", 8)
    chosen = replace(PRESETS[preset], rounds=min(PRESETS[preset].rounds, 1))
    doubt.setattr(gop_encoder, "LEAST_GAIN", -math.inf)
    drafted = coded(17, chosen)
    doubt.setattr(gop_encoder, "SPLIT_RATIO", 0.0)
    assert lengths(drafted) == [1, 8, 8]
    assert drafted == coded(17, chosen)
