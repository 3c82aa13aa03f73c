"""Crops: where they lie, and that they are what lies there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dsaecodec.errors import ConfigError
from dsaecodec.training.chance import generator_of
from dsaecodec.training.sampler import ClipSampler, Crop
from dsaecodec.training.shots import Shot


def make_shot(num_frames: int, height: int, width: int, seed: int = 0) -> Shot:
    rng = np.random.default_rng(seed)
    luma = rng.integers(0, 256, (num_frames, height, width), np.uint8)
    chroma = rng.integers(0, 256, (num_frames, 2, height // 2, width // 2), np.uint8)
    return Shot(f"shot {seed}", torch.from_numpy(luma), torch.from_numpy(chroma))


def plain_cut(shot: Shot, crop: Crop, size: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A crop by NumPy, sample by sample."""
    num_frames, height, width = size
    times = crop.begin + crop.stride * np.arange(num_frames)
    found = []
    for planes, k in ((shot.luma[:, None].numpy(), 1), (shot.chroma.numpy(), 2)):
        rows = np.arange(height // k) + crop.y // k
        columns = np.arange(width // k) + crop.x // k
        rows = rows[::-1] if crop.upside_down else rows
        columns = columns[::-1] if crop.mirrored else columns
        rows = rows.clip(0, planes.shape[2] - 1)
        columns = columns.clip(0, planes.shape[3] - 1)
        found.append(planes[times][:, :, rows][..., columns].astype(np.float32) - 128)
    return found[0][:, 0], found[1]


SHOTS = [make_shot(9, 96, 80, 1), make_shot(4, 96, 80, 2), make_shot(12, 50, 140, 3)]


def test_crops_are_what_lies_there() -> None:
    """Cut at random, also of shots smaller than the crop; every corner and turn occurs."""
    sampler = ClipSampler(SHOTS, 4, 64)
    crops = sampler.choose(300, generator_of(1))
    clips = sampler.cut(crops)
    assert clips.luma.shape == (300, 4, 64, 64) and clips.chroma.shape == (300, 4, 2, 32, 32)
    assert clips.luma.dtype == torch.float32
    for i, crop in enumerate(crops):
        luma, chroma = plain_cut(sampler.shots[crop.shot], crop, (4, 64, 64))
        assert np.array_equal(clips.luma[i].numpy(), luma)
        assert np.array_equal(clips.chroma[i].numpy(), chroma)


def test_crops_lie_inside_and_everywhere() -> None:
    sampler = ClipSampler(SHOTS[:1], 3, 64)
    crops = sampler.choose(3000, generator_of(2))
    for crop in crops:
        assert crop.begin >= 0 and crop.begin + 2 * crop.stride < 9
        assert 0 <= crop.y <= 96 - 64 and 0 <= crop.x <= 80 - 64
        assert crop.y % 2 == crop.x % 2 == 0
    assert {crop.y for crop in crops} == set(range(0, 34, 2))
    assert {crop.x for crop in crops} == set(range(0, 18, 2))
    assert {crop.begin for crop in crops if crop.stride == 1} == set(range(7))
    assert {crop.begin for crop in crops if crop.stride == 2} == set(range(5))
    assert {(crop.mirrored, crop.upside_down) for crop in crops} == {
        (a, b) for a in (False, True) for b in (False, True)
    }


def test_every_other_frame_only_where_the_shot_is_long_enough() -> None:
    strides = [
        {
            crop.stride
            for crop in ClipSampler([make_shot(length, 32, 32)], frames, 32).choose(200, g)
        }
        for length, frames in ((7, 4), (6, 4), (9, 1))
        for g in [generator_of(3)]
    ]
    assert strides == [{1, 2}, {1}, {1}]


def test_small_shots_are_continued_by_their_borders() -> None:
    """Where most shots are large, a small one is filled."""
    sampler = ClipSampler(
        [make_shot(2, 64, 64, i) for i in range(3)] + [make_shot(2, 18, 20)], 2, 64
    )
    small = next(i for i, shot in enumerate(sampler.shots) if shot.luma.shape[1] == 18)
    luma = sampler.cut([Crop(small)]).luma[0]
    assert luma[:, :18, :20].equal(sampler.shots[small].luma.float() - 128)
    assert luma[:, 17:, :20].equal(luma[:, 17:18, :20].expand(-1, 47, -1))
    assert luma[:, :, 19:].equal(luma[:, :, 19:20].expand(-1, -1, 45))


def test_a_turn_flips_luma_and_chroma_together() -> None:
    sampler = ClipSampler(SHOTS[:1], 4, 64)
    plain = sampler.cut([Crop(0, 1, 1, 2, 4)])
    for mirrored, upside_down, sides in ((True, False, [-1]), (False, True, [-2])):
        turned = sampler.cut([Crop(0, 1, 1, 2, 4, mirrored, upside_down)])
        assert turned.luma.equal(plain.luma.flip(sides))
        assert turned.chroma.equal(plain.chroma.flip(sides))


def test_the_same_generator_chooses_the_same() -> None:
    sampler = ClipSampler(SHOTS, 4, 64)
    one, same, other = (sampler.choose(20, generator_of(n)) for n in (5, 5, 6))
    assert one == same != other


def test_larger_shots_come_more_often() -> None:
    sampler = ClipSampler([make_shot(4, 32, 32), make_shot(16, 64, 64)], 4, 32)
    picks = [crop.shot for crop in sampler.choose(4000, generator_of(4))]
    assert picks.count(1) / picks.count(0) == pytest.approx(4, rel=0.15)  # √16


@pytest.mark.parametrize(
    ("sides", "size", "expected"),
    [
        ([(96, 80), (96, 80), (400, 400)], 64, (64, 64)),
        ([(96, 80), (96, 80), (400, 400)], 192, (96, 80)),
        ([(50, 90)], 192, (48, 80)),
        ([(16, 16), (16, 300)], 192, (16, 16)),
    ],
)
def test_crops_are_no_larger_than_the_median_shot(
    sides: list[tuple[int, int]], size: int, expected: tuple[int, int]
) -> None:
    sampler = ClipSampler([make_shot(1, *side) for side in sides], 1, size)
    assert (sampler.height, sampler.width) == expected


def test_the_middle_is_in_the_middle() -> None:
    sampler = ClipSampler(SHOTS, 4, 64)
    assert sampler.middle(0) == Crop(0, 2, 1, 16, 8)
    assert sampler.middle(2) == Crop(2, 4, 1, 0, 38)


def test_short_shots_are_left_out() -> None:
    sampler = ClipSampler(SHOTS, 5, 64)
    assert [shot.name for shot in sampler.shots] == ["shot 1", "shot 3"]


@pytest.mark.parametrize(
    ("lengths", "hint"),
    [([5, 8], "clips.num_frames=8"), ([1, 2], "clips.steps=0"), ([1], "priors.steps=0")],
)
def test_only_short_shots_are_refused(lengths: list[int], hint: str) -> None:
    longest = max(lengths)
    with pytest.raises(ConfigError, match=f"no shot of 9 frames.* longest has {longest}") as caught:
        ClipSampler([make_shot(n, 16, 16) for n in lengths], 9, 64)
    assert hint in (caught.value.hint or "")
