"""Cutting a sequence of frames into GOPs: where contents sit and which GOPs look back.

A shot begins with a GOP of one frame; each later GOP takes its content from its last frame and also
refers to the content before it, so that every frame lies between two contents. A shot that fits one
GOP has a single content, from its middle frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dsaecodec.video.frame import Frame420

CUT_DIFFERENCE = 24.0  # grey levels between thumbnails of neighbouring frames
CUT_RATIO = 3.0  # and this many times the difference one frame earlier
THUMBNAIL = 16


@dataclass(frozen=True)
class GopPlan:
    """Frames that share one content.

    Attributes:
        frames: 1…128 consecutive frames.
        anchor: index of the frame the content is inferred from.
        refs_previous: whether frames also use the previous GOP's content.
    """

    frames: tuple[Frame420, ...]
    anchor: int
    refs_previous: bool


def split_shots(frames: Iterable[Frame420], limit: int) -> Iterator[tuple[list[Frame420], bool]]:
    """Yield (up to `limit` frames of one shot, whether the shot goes on after them)."""
    pending: list[Frame420] = []
    before = 0.0
    for frame in frames:
        if pending:
            difference = _difference(pending[-1], frame)
            cut = difference > CUT_DIFFERENCE and difference > CUT_RATIO * before
            before = difference
            if cut or len(pending) == limit:
                yield pending, not cut
                pending = []
        pending.append(frame)
    if pending:
        yield pending, False


def plan_gops(frames: Iterable[Frame420], gop: int) -> Iterator[GopPlan]:
    """Cut frames into GOPs of at most `gop` frames, holding no more than that many at a time."""
    fresh = True  # the next frame begins a shot
    held: list[Frame420] = []
    for chunk, goes_on in split_shots(frames, gop):
        held += chunk
        if fresh and not goes_on:
            yield GopPlan(tuple(held), len(held) // 2, False)
            held = []
            continue
        if fresh:
            yield GopPlan((held.pop(0),), 0, False)
            fresh = False
        while len(held) >= gop or (held and not goes_on):
            part, held = held[:gop], held[gop:]
            yield GopPlan(tuple(part), len(part) - 1, True)
        fresh = not goes_on


def _difference(a: Frame420, b: Frame420) -> float:
    """Mean absolute difference of luma thumbnails."""
    return float(np.abs(_thumbnail(a.y) - _thumbnail(b.y)).mean())


def _thumbnail(luma: np.ndarray) -> np.ndarray:
    return luma[::THUMBNAIL, ::THUMBNAIL].astype(np.float32)
