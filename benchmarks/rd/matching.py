"""Pictures at equal rate: the clips that are shown, and where each codec meets our bytes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.rd.bd import compare_clips
from benchmarks.rd.clip import Clip
from benchmarks.rd.codec import Codec
from benchmarks.rd.crops import Crop, busiest
from benchmarks.rd.measure import Measured, as_rgb
from benchmarks.rd.names import ANCHOR, OURS
from benchmarks.rd.point import Point
from benchmarks.rd.run import Job

NEAR = 0.03
"""A codec whose bytes differ from the target by this share is not coded again."""


def shown_clips(points: Sequence[Point], ours: str, anchor: str) -> list[str]:
    """Of a group's clips those where we do best, in the middle, and worst against the anchor.

    By BD-rate, or by dB at equal bytes where curves do not overlap; the first clip of all where
    there is neither.
    """
    comparisons = compare_clips(points, anchor).get(ours, {})
    rates = {c: v.bd_rate_percent for c, v in comparisons.items() if v.bd_rate_percent is not None}
    gains = {
        c: -v.db_at_equal_bytes for c, v in comparisons.items() if v.db_at_equal_bytes is not None
    }
    ranked = sorted(rates or gains, key=lambda clip: ((rates or gains)[clip], clip))
    if not ranked:
        return sorted({point.clip for point in points})[:1]
    picks = (ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1])
    return list(dict.fromkeys(picks))


def target_bytes(points: Iterable[Point], clip: str, ours: str) -> int | None:
    """Bytes of our middle quality of a clip."""
    mine = sorted(p.bytes for p in points if p.clip == clip and p.codec == ours and not p.matched)
    return mine[len(mine) // 2] if mine else None


def matching_job(codec: Codec, clip: Clip, points: Iterable[Point], target: int) -> Job | None:
    """A job that should meet the target; None where a point does or the codec cannot.

    The quality is interpolated between measured points over the logarithm of bytes.
    """
    mine = sorted(
        (p for p in points if p.clip == clip.name and p.codec == codec.name), key=lambda p: p.bytes
    )
    if not mine or not mine[0].bytes <= target <= mine[-1].bytes:
        return None
    if any(abs(math.log(p.bytes / target)) < NEAR for p in mine):
        return None
    sizes, qualities = [math.log(p.bytes) for p in mine], [p.quality for p in mine]
    wanted = float(np.interp(math.log(target), sizes, qualities))
    quality = round(wanted / codec.step) * codec.step
    return Job(clip, codec, quality, matched=True) if quality not in qualities else None


@dataclass(frozen=True)
class Matching:
    """The clips that are shown, with the bytes their pictures should have.

    Attributes:
        clips: with the bytes to meet.
        codecs: that are shown, in order.
        jobs: what remains to be coded to meet them.
    """

    clips: tuple[tuple[Clip, int], ...]
    codecs: tuple[Codec, ...]
    jobs: tuple[Job, ...]

    def crops(self, measured: Sequence[Measured]) -> list[Crop]:
        """Of each clip the source, then each codec's point that is nearest in bytes."""
        found = []
        for clip, target in self.clips:
            nearest = (_nearest(measured, clip, codec, target) for codec in self.codecs)
            found += crops_of(clip, [one for one in nearest if one])
        return found


def plan_matches(
    clips: Sequence[Clip], codecs: Sequence[Codec], measured: Iterable[Measured]
) -> Matching:
    """Choose clips of each group and what to code for them."""
    groups: dict[str, list[Point]] = defaultdict(list)
    for one in measured:
        groups[one.point.group].append(one.point)
    chosen: list[tuple[Clip, int]] = []
    jobs: list[Job] = []
    for group, points in groups.items():
        names = shown_clips(points, OURS, ANCHOR)
        for clip in (clip for clip in clips if clip.group == group and clip.name in names):
            target = target_bytes(points, clip.name, OURS)
            if target is None:
                continue
            chosen.append((clip, target))
            found = (matching_job(codec, clip, points, target) for codec in codecs)
            jobs += [job for job in found if job]
    return Matching(tuple(chosen), tuple(codecs), tuple(jobs))


def _nearest(
    measured: Iterable[Measured], clip: Clip, codec: Codec, target: int
) -> Measured | None:
    key = (clip.group, clip.name, codec.name)
    mine = [m for m in measured if (m.point.group, m.point.clip, m.point.codec) == key]
    return min(mine, key=lambda m: abs(math.log(m.point.bytes / target)), default=None)


def crops_of(clip: Clip, chosen: Iterable[Measured]) -> list[Crop]:
    """The source's crop, then those of the points chosen."""
    source = as_rgb(clip)
    index, rows, columns = busiest(source)
    original = source[index][rows, columns]
    return [Crop(clip.group, clip.name, "original", 0, 0.0, 0.0, index, original)] + [
        Crop(clip.group, clip.name, p.codec, p.bytes, p.bpp, p.psnr_rgb, index, measured.crop)
        for measured in chosen
        for p in [measured.point]
    ]
