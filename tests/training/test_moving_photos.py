"""Clips made of photos: they move as their paths say, in luma and chroma alike."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor

from dsaecodec.spatial.synthesis import Yuv
from dsaecodec.training.chance import generator_of
from dsaecodec.training.moving_photos import FASTEST, Path, Scene, draw_scene

H, W = 64, 96
STILL = Path((0, 0), (0, 0), 0, 0)
NOTHING, EVERYTHING = -1.0, 99.0  # radius of the blob


def photo(seed: int) -> Yuv:
    g = generator_of(seed)
    luma = torch.randint(-128, 128, (1, 1, H, W), generator=g).float()
    return Yuv(luma, torch.randint(-128, 128, (1, 2, H // 2, W // 2), generator=g).float())


def flat(value: float) -> Yuv:
    return Yuv(
        torch.full((1, 1, H, W), float(value)), torch.full((1, 2, H // 2, W // 2), float(value))
    )


BACK, FRONT = photo(1), photo(2)


def middle_of(mask: Tensor) -> complex:
    """Centre of mass [h, w] from the picture's middle, y + ix, samples."""
    y, x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in mask.shape)
    mass = mask.double()
    y_mean, x_mean = (mass * y[:, None]).sum(), (mass * x).sum()
    return complex(float(y_mean / mass.sum()), float(x_mean / mass.sum()))


@pytest.mark.parametrize(("radius", "seen"), [(NOTHING, BACK), (EVERYTHING, FRONT)])
def test_without_motion_every_frame_is_the_photo(radius: float, seen: Yuv) -> None:
    clip = draw_scene(Scene(STILL, STILL, radius, (0, 0), 0), BACK, FRONT, 4)
    assert clip.luma.shape == (4, H, W) and clip.chroma.shape == (4, 2, H // 2, W // 2)
    assert clip.luma.equal(seen.luma[0].expand(4, -1, -1))
    assert clip.chroma.equal(seen.chroma.expand(4, -1, -1, -1))


def test_without_motion_the_blob_stays() -> None:
    clip = draw_scene(Scene(STILL, STILL, 0.3, (0.1, 0), 3), BACK, FRONT, 3)
    assert clip.luma.equal(clip.luma[:1].expand(3, -1, -1))
    assert not clip.luma[0].equal(BACK.luma[0, 0]) and not clip.luma[0].equal(FRONT.luma[0, 0])


@pytest.mark.parametrize(("radius", "seen"), [(NOTHING, BACK), (EVERYTHING, FRONT)])
@pytest.mark.parametrize(("dy", "dx"), [(2, 0), (0, -4), (-2, 4)])
def test_a_pan_is_a_shift(radius: float, seen: Yuv, dy: int, dx: int) -> None:
    """By whole pixels of chroma: what was at (y, x) is at (y + dy, x + dx) a frame later."""
    path = Path((dy, dx), (0, 0), 0, 0)
    clip = draw_scene(Scene(path, path, radius, (0, 0), 0), BACK, FRONT, 5)
    inside = slice(10, -10)
    for t in range(5):
        shift = (t - 2) * dy, (t - 2) * dx
        expected = seen.luma[0, 0].roll(shift, (0, 1))
        assert clip.luma[t, inside, inside].equal(expected[inside, inside])
        expected = seen.chroma[0].roll((shift[0] // 2, shift[1] // 2), (1, 2))
        assert clip.chroma[t, :, inside, inside].equal(expected[:, inside, inside])


@pytest.mark.parametrize(
    "path",
    [
        Path((1.5, -0.75), (0, 0), 0, 0),
        Path((0, 1), (0.1, -0.2), 0, 0),
        Path((0, 0), (0, 0), 0.1, 0),
        Path((0, 0), (0, 0), 0, 0.05),
        Path((0.5, 1), (0.1, 0), -0.08, -0.03),
    ],
)
def test_the_blob_moves_as_its_path_says(path: Path) -> None:
    """Its place is p · exp((zoom + i·spin)·t) + velocity·t + ½·acceleration·t², in both planes."""
    center, radius, num_frames = (0.1, -0.15), 0.2, 7
    clip = draw_scene(Scene(STILL, path, radius, center, 0), flat(0), flat(100), num_frames)
    for t in range(num_frames):
        s = t - 3.0
        begun = complex(center[0] * H, center[1] * W)
        moved = complex(*path.velocity) * s + 0.5 * complex(*path.acceleration) * s * s
        expected = begun * cmath.exp((path.zoom + 1j * path.spin) * s) + moved
        assert abs(middle_of(clip.luma[t]) - expected) < 0.1
        assert abs(2 * middle_of(clip.chroma[t, 0]) - expected) < 0.2
        area = math.pi * (radius * H * math.exp(path.zoom * s)) ** 2
        assert float(clip.luma[t].sum()) / 100 == pytest.approx(area, rel=0.02)
        assert clip.chroma[t, 0].equal(clip.chroma[t, 1])


def test_the_blob_covers_and_uncovers() -> None:
    """Behind it lies the back photo, untouched; on it the front photo."""
    path = Path((0, 6), (0, 0), 0, 0)
    clip = draw_scene(Scene(STILL, path, 0.2, (0, 0), 0), BACK, flat(100), 7)
    is_back = clip.luma == BACK.luma[0]
    row = H // 2
    left, right = W // 2 - 18, W // 2 + 18
    assert clip.luma[0, row, left] == 100 and bool(is_back[-1, row, left])
    assert clip.luma[-1, row, right] == 100 and bool(is_back[0, row, right])
    assert bool(is_back[:, :10].all()) and bool(is_back[:, -10:].all())


def test_lobes_change_the_outline() -> None:
    areas = []
    for lobes in (0, 3):
        scene = Scene(STILL, STILL, 0.3, (0, 0), lobes)
        areas.append(float(draw_scene(scene, flat(0), flat(100), 1).luma.sum()) / 100)
    disc = math.pi * (0.3 * H) ** 2
    assert areas == pytest.approx([disc, disc * (1 + 0.25**2 / 2)], rel=0.01)


def test_random_scenes_stay_within_the_codes_and_move() -> None:
    """Interpolation overshoots where samples are extreme."""
    extreme = [Yuv(*(torch.where(x > 0, 127.0, -128.0) for x in p)) for p in (BACK, FRONT)]
    for seed in range(8):
        scene = Scene.random(generator_of(seed))
        assert scene == Scene.random(generator_of(seed)) != Scene.random(generator_of(seed + 1))
        clip = draw_scene(scene, *extreme, 5)
        for planes in clip:
            assert planes.min() >= -128 and planes.max() <= 127
            assert planes.equal(planes.round()) and bool(planes.isfinite().all())
            assert not planes[0].equal(planes[-1])


def test_random_paths_are_as_often_slow_as_fast() -> None:
    generator = generator_of(0)
    speeds = [math.hypot(*Path.random(generator).velocity) for _ in range(2000)]
    assert max(speeds) <= FASTEST and min(speeds) >= FASTEST / 64
    slow = sum(speed < FASTEST / 8 for speed in speeds) / len(speeds)
    assert slow == pytest.approx(0.5, abs=0.05)


def test_positions_keep_their_bits_where_networks_are_narrow() -> None:
    scene = Scene.random(generator_of(3))
    wide = draw_scene(scene, BACK, FRONT, 4)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = draw_scene(scene, BACK, FRONT, 4)
    assert narrow.luma.equal(wide.luma) and narrow.chroma.equal(wide.chroma)
