"""BD-rate against an independent integral, and what happens where it does not exist."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

from benchmarks.rd.bd import compare, compare_clips, curves, interval, rising, summarize
from benchmarks.rd.point import Point

ANCHOR = [(0.02, 26.0), (0.05, 29.5), (0.11, 32.0), (0.25, 35.5), (0.6, 39.0)]
TEST = [(0.03, 27.0), (0.06, 31.5), (0.1, 33.0), (0.2, 36.0)]


def point(codec: str, clip: str, bpp: float, db: float, **more: object) -> Point:
    row = dict(
        group="set", clip=clip, codec=codec, quality=bpp, frames=4, height=8, width=8,
        bytes=round(bpp * 32), bpp=bpp, psnr_rgb=db, psnr_yuv=db + 1, ms_ssim=None,
        encode_fps=1.0, decode_fps=1.0,
    )  # fmt: skip
    return Point(**{**row, **more})  # type: ignore[arg-type]


def table(codec: str, clip: str, curve: list[tuple[float, float]]) -> list[Point]:
    return [point(codec, clip, *pair) for pair in curve]


@pytest.mark.parametrize(
    ("method", "interpolator"), [("pchip", PchipInterpolator), ("akima", Akima1DInterpolator)]
)
def test_bd_rate_is_the_mean_difference_of_log_rate(method: str, interpolator: type) -> None:
    found = compare(ANCHOR, TEST, method)  # type: ignore[arg-type]
    low, high = 27.0, 36.0
    db = np.linspace(low, high, 200_001)
    logs = []
    for curve in (ANCHOR, TEST):
        rates, dbs = zip(*curve, strict=True)
        logs.append(interpolator(dbs, np.log(rates))(db))
    mean = trapezoid(logs[1] - logs[0], db) / (high - low)
    assert found.bd_rate_percent == pytest.approx(100 * (math.exp(mean) - 1), abs=1e-4)
    assert found.overlap == pytest.approx((high - low) / (39.0 - 26.0))


def test_twice_the_rate_is_plus_hundred_per_cent() -> None:
    double = [(2 * rate, db) for rate, db in ANCHOR]
    assert compare(ANCHOR, double).bd_rate_percent == pytest.approx(100)
    assert compare(double, ANCHOR).bd_rate_percent == pytest.approx(-50)
    assert compare(ANCHOR, ANCHOR).bd_rate_percent == pytest.approx(0)


def test_curves_that_share_no_quality_are_compared_at_equal_bytes() -> None:
    worse = [(rate, db - 20) for rate, db in ANCHOR]
    found = compare(ANCHOR, worse)
    assert found.bd_rate_percent is None and found.overlap == 0
    assert found.db_at_equal_bytes == pytest.approx(-20)
    apart = [(rate * 1e3, db - 20) for rate, db in ANCHOR]
    assert compare(ANCHOR, apart).db_at_equal_bytes is None


def test_a_sliver_of_overlap_is_none() -> None:
    above = [(rate, db + 12.6) for rate, db in ANCHOR]
    found = compare(ANCHOR, above)
    assert 0 < found.overlap < 0.05 and found.bd_rate_percent is None
    assert found.db_at_equal_bytes == pytest.approx(12.6)


def test_one_point_has_no_bd_rate_but_a_distance() -> None:
    found = compare(ANCHOR, [(0.11, 33.0)])
    assert found.bd_rate_percent is None
    assert found.db_at_equal_bytes == pytest.approx(1.0)
    assert compare(ANCHOR, []).db_at_equal_bytes is None
    assert compare([(0.11, 33.0)], ANCHOR).db_at_equal_bytes is None


def test_points_that_cost_more_for_less_are_left_out() -> None:
    assert rising([(3, 30), (1, 25), (2, 31), (2, 28), (4, 31), (5, 33)]) == [
        (1, 25), (2, 31), (5, 33)
    ]  # fmt: skip


def test_summary_averages_over_clips_and_counts_the_missing() -> None:
    points = []
    for clip, factor in (("a", 2.0), ("b", 1.5), ("c", 1.2), ("e", 1.3)):
        points += table("anchor", clip, ANCHOR)
        points += table("mine", clip, [(factor * rate, db) for rate, db in ANCHOR])
    points += table("anchor", "d", ANCHOR) + table("mine", "d", [(0.1, 60.0)])
    points += table("best", "a", [(rate / 2, db) for rate, db in ANCHOR])
    best, mine = summarize(points, "anchor")
    assert (best.codec, best.clips, best.missing, best.low) == ("best", 1, 4, None)
    assert best.mean == pytest.approx(-50)
    assert (mine.clips, mine.missing) == (4, 1)
    assert mine.mean == pytest.approx((100 + 50 + 20 + 30) / 4)
    assert mine.low is not None and mine.high is not None
    assert 19.9 < mine.low < mine.mean < mine.high < 100.1


def test_matched_points_and_other_metrics() -> None:
    points = table("anchor", "a", ANCHOR) + table("mine", "a", ANCHOR)
    spoiled = [*points, point("mine", "a", 0.07, 60.0, matched=True)]
    assert compare_clips(spoiled, "anchor") == compare_clips(points, "anchor")
    assert curves(points, "psnr_yuv")["mine"]["a"][0] == (0.02, 27.0)
    assert curves(points, "ms_ssim") == {}
    similar = curves([point("mine", "a", 0.1, 30.0, ms_ssim=0.99)], "ms_ssim")
    assert similar["mine"]["a"][0][1] == pytest.approx(20)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        low, high = interval(list(rng.normal(5, 2, 40)), seed)
        hits += low <= 5 <= high
    assert 0.88 < hits / 200 < 0.99
