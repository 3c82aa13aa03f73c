"""PSNR against its textbook definition and closed forms, MS-SSIM against its paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d

from dsaecodec import metrics
from dsaecodec.draw import moving_layers
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


def wang_ms_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """MS-SSIM of one channel by the equations of Wang, Simoncelli and Bovik, 2003, in float64."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def local(image: np.ndarray) -> np.ndarray:
        return convolve2d(convolve2d(image, window[:, None], "valid"), window[None, :], "valid")

    def halved(image: np.ndarray) -> np.ndarray:
        odd = [(side % 2, side % 2) for side in image.shape]  # pytorch-msssim's own border
        image = np.pad(image, odd)
        rows, columns = (side // 2 * 2 for side in image.shape)
        return image[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean((1, 3))

    product = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            x, y = halved(x), halved(y)
        mean_x, mean_y = local(x), local(y)
        variance_x, variance_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
        covariance = local(x * y) - mean_x * mean_y
        term = (2 * covariance + c2) / (variance_x + variance_y + c2)
        if scale == 4:  # luminance is compared at the coarsest scale only
            term = term * (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        product *= term.mean() ** weight
    return float(product)


@pytest.mark.parametrize("height, width", [(176, 192), (163, 201)])
@pytest.mark.parametrize("noise", [2, 40])
def test_ms_ssim_equals_the_published_equations(height: int, width: int, noise: int) -> None:
    (a,) = moving_layers(1, height, width, seed=3)
    rng = np.random.default_rng(4)
    b = np.clip(a * 0.9 + 8 + rng.normal(0, noise, a.shape), 0, 255).astype(np.uint8)
    expected = np.mean([wang_ms_ssim(*np.float64((a[..., c], b[..., c]))) for c in range(3)])
    assert metrics.ms_ssim(a, b) == pytest.approx(expected, abs=2e-5)
    assert 0.3 < expected < 0.999


def test_ms_ssim_needs_more_than_160_pixels() -> None:
    rng = np.random.default_rng(5)
    large = rng.integers(0, 256, (161, 161, 3), dtype=np.uint8)
    assert metrics.ms_ssim(large, large) == pytest.approx(1.0, abs=1e-6)
    for small in (large[:160], large[:, :160], large[:1, :1]):
        assert metrics.ms_ssim(small, small) is None
    with pytest.raises(ValueError, match="reference"):
        metrics.ms_ssim(large, large[:160])
