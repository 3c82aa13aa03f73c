"""PSNR against its textbook definition and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsaecodec import metrics
from dsaecodec.video import Frame420


def random_frame(rng: np.random.Generator, height: int = 10, width: int = 14) -> Frame420:
    half = (height + 1) // 2, (width + 1) // 2
    return Frame420(
        *(rng.integers(0, 256, s, dtype=np.uint8) for s in ((height, width), half, half))
    )


@given(st.floats(1e-3, 65025.0), st.sampled_from([1.0, 255.0, 1023.0]))
def test_psnr_equals_twenty_log_peak_over_rmse(mse: float, peak: float) -> None:
    expected = 20 * math.log10(peak) - 10 * math.log10(mse)
    assert metrics.psnr_db(mse, peak) == pytest.approx(min(expected, 100.0), abs=1e-9)


def test_known_points() -> None:
    assert metrics.psnr_db(255.0**2) == 0
    assert metrics.psnr_db(1.0) == pytest.approx(48.1308036087)
    zero, ten = np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 10, np.uint8)
    assert metrics.rgb_psnr_db(zero, ten) == pytest.approx(28.1308036087)
    assert metrics.rgb_psnr_db(ten, zero) == metrics.rgb_psnr_db(zero, ten)  # no wrap-around


def test_identical_frames_are_capped() -> None:
    frame = random_frame(np.random.default_rng(0))
    assert metrics.psnr_db(0.0) == metrics.MAX_PSNR_DB == 100.0
    assert metrics.yuv611_psnr_db(frame, frame) == 100.0


def test_rgb_psnr_equals_the_plain_formula() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    error = sum((int(x) - int(y)) ** 2 for x, y in zip(a.flat, b.flat, strict=True)) / a.size
    assert metrics.rgb_psnr_db(a, b) == pytest.approx(10 * math.log10(65025 / error))


def test_yuv611_weighs_luma_six_times() -> None:
    rng = np.random.default_rng(2)
    a, b = random_frame(rng), random_frame(rng)
    parts = [
        10 * np.log10(65025 / np.mean((np.float64(x) - np.float64(y)) ** 2))
        for x, y in zip(a.planes, b.planes, strict=True)
    ]
    assert metrics.yuv611_psnr_db(a, b) == pytest.approx(np.dot(parts, [0.75, 0.125, 0.125]))
    only_chroma = a._replace(u=b.u)
    assert metrics.yuv611_psnr_db(a, only_chroma) == pytest.approx((700 + parts[1]) / 8)


def test_the_mean_is_over_frames_not_over_errors() -> None:
    zero = np.zeros((4, 4, 3), np.uint8)
    references, decoded = [zero, zero], [zero + 1, zero + 16]
    each = [metrics.rgb_psnr_db(a, b) for a, b in zip(references, decoded, strict=True)]
    mean = metrics.mean_rgb_psnr_db(references, decoded)
    assert mean == pytest.approx(sum(each) / 2)
    assert mean > metrics.psnr_db((1 + 256) / 2)
    rng = np.random.default_rng(3)
    a, b = random_frame(rng), random_frame(rng)
    expected = (metrics.yuv611_psnr_db(a, b) + 100) / 2
    assert metrics.mean_yuv611_psnr_db([a, b], [b, b]) == pytest.approx(expected)


def test_mistakes_are_refused() -> None:
    zero = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="reference"):
        metrics.mse(zero, zero[:1])
    with pytest.raises(ValueError):
        metrics.mean_rgb_psnr_db([zero, zero], [zero])
    with pytest.raises(ValueError, match="no frame"):
        metrics.mean_rgb_psnr_db([], [])
