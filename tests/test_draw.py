"""Drawn clips: repeatable, smooth in space and time, moving."""

from __future__ import annotations

import numpy as np
import pytest

from dsaecodec.draw import moving_layers


def test_a_seed_names_a_clip_and_a_longer_clip_begins_with_it() -> None:
    short = np.stack(list(moving_layers(4, 32, 48, seed=3)))
    longer = np.stack(list(moving_layers(9, 32, 48, seed=3)))
    np.testing.assert_array_equal(short, longer[:4])
    assert np.any(short != np.stack(list(moving_layers(4, 32, 48, seed=4))))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (7, 1), (33, 17)])
def test_any_size_is_drawn(height: int, width: int) -> None:
    frames = list(moving_layers(3, height, width))
    assert [frame.shape for frame in frames] == 3 * [(height, width, 3)]
    assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("seed", range(5))
def test_frames_move_and_hold_detail(seed: int) -> None:
    clip = np.stack(list(moving_layers(24, 96, 128, seed))).astype(float)
    steps = np.abs(np.diff(clip, axis=0)).mean(axis=(1, 2, 3))
    assert np.all(steps > 0.3)  # every frame differs
    assert np.all(steps < 25)  # and none jumps
    assert clip.std(axis=(1, 2)).min() > 5


@pytest.mark.parametrize("seed", range(3))
def test_textures_are_band_limited(seed: int) -> None:
    """Nothing but a shape's anti-aliased edge lies in the finest third of the spectrum."""
    luma = next(moving_layers(1, 128, 128, seed)).mean(axis=2)
    window = np.hanning(128)[:, None] * np.hanning(128)
    energy = np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
    frequency = np.abs(np.fft.fftfreq(128))
    fine = np.maximum(frequency[:, None], frequency) > 1 / 3
    assert energy[fine].sum() < 0.01 * energy.sum()


def test_background_moves_by_fractions_of_a_pixel() -> None:
    """No whole-pixel shift explains the motion of a corner that no shape covers."""
    first, second = (frame[:24, :24].astype(float) for frame in moving_layers(2, 240, 320, seed=1))
    errors = [
        np.abs(first[8 + dy : 16 + dy, 8 + dx : 16 + dx] - second[8:16, 8:16]).mean()
        for dy in range(-4, 5)
        for dx in range(-4, 5)
    ]
    assert 0.2 < min(errors) < np.median(errors) / 2
