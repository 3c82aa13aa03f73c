"""Curves compared: BD-rate with its overlap, dB at equal bytes, intervals over clips.

BD-rate (Bjøntegaard, VCEG-M33) is the mean difference of log rate between two curves over the
quality that both reach, in per cent of the anchor's rate. The integral is that of the package
`bjontegaard`: PCHIP is what JVET's spreadsheets compute, Akima lies closest to dense curves
(Herglotz et al., arXiv 2202.12565).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import bjontegaard
import numpy as np
from scipy.interpolate import PchipInterpolator

from benchmarks.rd.point import Point
from dsaecodec.metrics import MAX_PSNR_DB

Method = Literal["akima", "pchip"]
Metric = Literal["psnr_rgb", "psnr_yuv", "ms_ssim"]
Curve = Sequence[tuple[float, float]]
"""Points (rate, quality in dB), in any order."""

FEWEST_POINTS = 4
"""Fewer leave the shape of a curve to the interpolation."""

LEAST_OVERLAP = 0.05
"""A BD-rate over less of both curves' range of quality says nothing about them."""

FEWEST_CLIPS = 4
"""The bootstrap of fewer clips gives little but the least and the greatest of them."""

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Comparison:
    """A curve against an anchor's, of one clip.

    Attributes:
        bd_rate_percent: None where the ranges of quality share less than `LEAST_OVERLAP` or a
            curve has fewer than `FEWEST_POINTS` points.
        overlap: share of the union of both ranges of quality over which they were compared, 0…1.
        db_at_equal_bytes: mean of dB above the anchor at those of the curve's own points that lie
            within the anchor's range of rates, lossless ones left out; None where none does.
    """

    bd_rate_percent: float | None
    overlap: float
    db_at_equal_bytes: float | None


@dataclass(frozen=True)
class Summary:
    """A codec against the anchor over the clips of a group.

    Attributes:
        codec: its name.
        mean: mean over clips of the BD-rates, per cent; None where no clip has one.
        low, high: 95 % interval of that mean, by bootstrap over clips; None for fewer than
            `FEWEST_CLIPS`.
        overlap: mean over the same clips.
        clips: how many have a BD-rate.
        missing: how many do not, for want of overlap, of points, or of the coded clip.
        db_at_equal_bytes: mean over the clips that have it.
    """

    codec: str
    mean: float | None
    low: float | None
    high: float | None
    overlap: float
    clips: int
    missing: int
    db_at_equal_bytes: float | None


def compare(anchor: Curve, test: Curve, method: Method = "akima") -> Comparison:
    """Compare a curve with an anchor's."""
    anchor, test = rising(anchor), rising(test)
    if not anchor or not test:
        return Comparison(None, 0.0, None)
    low, high = _shared(anchor, test)
    union = max(anchor[-1][1], test[-1][1]) - min(anchor[0][1], test[0][1])
    overlap = max(0.0, high - low) / union if union else 0.0
    enough = min(len(anchor), len(test)) >= FEWEST_POINTS and overlap >= LEAST_OVERLAP
    rate = bd_rate_percent(anchor, test, method) if enough else None
    return Comparison(rate, overlap, _gain(anchor, test))


def bd_rate_percent(anchor: Curve, test: Curve, method: Method = "akima") -> float | None:
    """BD-rate of two curves of any number of points above one; None without overlap."""
    anchor, test = rising(anchor), rising(test)
    if min(len(anchor), len(test)) < 2:
        return None
    low, high = _shared(anchor, test)
    if low >= high:
        return None
    (rate_a, db_a), (rate_t, db_t) = (zip(*curve, strict=True) for curve in (anchor, test))
    return float(
        bjontegaard.bd_rate(
            rate_a, db_a, rate_t, db_t, method, require_matching_points=False, min_overlap=0
        )
    )


def _shared(anchor: Curve, test: Curve) -> tuple[float, float]:
    """The range of dB that both sorted curves reach; empty if the first is not below the second."""
    return max(anchor[0][1], test[0][1]), min(anchor[-1][1], test[-1][1])


def rising(curve: Curve) -> list[tuple[float, float]]:
    """The points of a curve by rate, without those that cost more bytes for no more dB.

    Such a point has no place on a function of rate.
    """
    found: list[tuple[float, float]] = []
    for rate, db in sorted(curve, key=lambda point: (point[0], -point[1])):
        if not found or db > found[-1][1]:
            found.append((rate, db))
    return found


def _gain(anchor: Curve, test: Curve) -> float | None:
    """Mean of dB above the anchor at equal rate."""
    if len(anchor) < 2:
        return None
    rates, dbs = zip(*anchor, strict=True)
    at = PchipInterpolator(np.log(rates), dbs)
    gains = [
        db - float(at(math.log(rate)))
        for rate, db in test
        if rates[0] <= rate <= rates[-1] and db < MAX_PSNR_DB  # lossless has no finite distance
    ]
    return float(np.mean(gains)) if gains else None


def curves(points: Iterable[Point], metric: Metric = "psnr_rgb") -> dict[str, dict[str, Curve]]:
    """codec → clip → points (bpp, dB), of one group; MS-SSIM as -10 · log10(1 - MS-SSIM)."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        value = getattr(point, metric)
        if value is None or point.matched:
            continue
        if metric == "ms_ssim":
            value = -10 * math.log10(max(1 - value, 1e-10))
        found[point.codec][point.clip].append((point.bpp, value))
    return {codec: dict(clips) for codec, clips in found.items()}


def compare_clips(
    points: Iterable[Point], anchor: str, metric: Metric = "psnr_rgb", method: Method = "akima"
) -> dict[str, dict[str, Comparison]]:
    """codec → clip → comparison with the anchor's curve of that clip, of one group."""
    found = curves(points, metric)
    base: Mapping[str, Curve] = found.pop(anchor, {})
    return {
        codec: {clip: compare(base[clip], clips[clip], method) for clip in base if clip in clips}
        for codec, clips in found.items()
    }


def summarize(
    points: Iterable[Point], anchor: str, metric: Metric = "psnr_rgb", method: Method = "akima"
) -> list[Summary]:
    """Every codec but the anchor, best first; those without a BD-rate last."""
    points = list(points)
    all_clips = {point.clip for point in points}
    found = []
    for codec, clips in compare_clips(points, anchor, metric, method).items():
        rated = [c for c in clips.values() if c.bd_rate_percent is not None]
        rates = [c.bd_rate_percent for c in rated if c.bd_rate_percent is not None]
        gains = [c.db_at_equal_bytes for c in clips.values() if c.db_at_equal_bytes is not None]
        low, high = interval(rates) if len(rates) >= FEWEST_CLIPS else (None, None)
        found.append(
            Summary(
                codec=codec,
                mean=float(np.mean(rates)) if rates else None,
                low=low,
                high=high,
                overlap=float(np.mean([c.overlap for c in rated])) if rated else 0.0,
                clips=len(rates),
                missing=len(all_clips) - len(rates),
                db_at_equal_bytes=float(np.mean(gains)) if gains else None,
            )
        )
    return sorted(found, key=lambda s: (s.mean is None, s.mean or 0.0, s.codec))


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of a mean: percentiles of the means of resamples (Efron's bootstrap)."""
    sample = np.asarray(values)
    picks = np.random.default_rng(seed).integers(0, len(sample), (_RESAMPLES, len(sample)))
    low, high = np.percentile(sample[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
