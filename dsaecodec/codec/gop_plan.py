"""Cutting a sequence of frames into GOPs: where contents sit and which GOPs look back.

A shot begins with a GOP of one frame; each later GOP takes its content from its last frame and also
refers to the content before it, so that every frame lies between two contents. A shot that fits one
GOP has a single content, from its middle frame. A long shot begins anew now and then, for those who
do not decode it from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dsaecodec.video.frame import Frame420

CUT_DIFFERENCE = 24.0  # grey levels between thumbnails of neighbouring frames
CUT_RATIO = 3.0  # and this many times the difference one frame earlier
LONGEST_SHOT = 260  # frames, after which the next begins, cut or not
THUMBNAIL, SMALL_THUMBNAIL = 16, 4  # a pixel in so many, each way; the latter of small pictures


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

    def halves(self) -> tuple[GopPlan, GopPlan]:
        """Two GOPs of the same frames."""
        if not self.refs_previous:
            first, second = self.frames[:1], self.frames[1:]
            return GopPlan(first, 0, False), GopPlan(second, len(second) - 1, True)
        middle = (len(self.frames) + 1) // 2
        first, second = self.frames[:middle], self.frames[middle:]
        return GopPlan(first, middle - 1, True), GopPlan(second, len(second) - 1, True)


def plan_gops(frames: Iterable[Frame420], gop: int) -> Iterator[GopPlan]:
    """Cut frames into GOPs of at most `gop` frames, holding no more than that and one."""
    held: list[Frame420] = []
    fresh = True  # nothing of this shot has been planned yet
    planned = 0  # frames since it began
    for frame, cut in mark_cuts(frames):
        if cut and held:
            yield _rest(held, fresh)
            held = []
        fresh = fresh or cut
        held.append(frame)
        if fresh and len(held) > gop:
            yield GopPlan((held.pop(0),), 0, False)
            fresh, planned = False, 1
        if not fresh and len(held) == gop:
            yield GopPlan(tuple(held), gop - 1, True)
            held, planned = [], planned + gop
            fresh = planned + gop > LONGEST_SHOT
    if held:
        yield _rest(held, fresh)


def plan_lone_gops(frames: Iterable[Frame420], gop: int) -> Iterator[GopPlan]:
    """The same where no GOP refers to another: of as many frames as fit, from cut to cut."""
    held: list[Frame420] = []
    for frame, cut in mark_cuts(frames, SMALL_THUMBNAIL):
        if held and (cut or len(held) == gop):
            yield GopPlan(tuple(held), len(held) // 2, False)
            held = []
        held.append(frame)
    if held:
        yield GopPlan(tuple(held), len(held) // 2, False)


def _rest(held: list[Frame420], fresh: bool) -> GopPlan:
    """The last GOP of a shot: its only one, or what is left of it."""
    if fresh:
        return GopPlan(tuple(held), len(held) // 2, False)
    return GopPlan(tuple(held), len(held) - 1, True)


def mark_cuts(
    frames: Iterable[Frame420], stride: int = THUMBNAIL
) -> Iterator[tuple[Frame420, bool]]:
    """Yield (frame, whether a new shot begins with it); False for the very first.

    Args:
        frames: of the video.
        stride: between the pixels that are looked at.
    """
    previous: Frame420 | None = None
    before = 0.0
    for frame in frames:
        difference = _difference(previous, frame, stride) if previous else 0.0
        yield frame, difference > CUT_DIFFERENCE and difference > CUT_RATIO * before
        previous, before = frame, difference


def _difference(a: Frame420, b: Frame420, stride: int) -> float:
    """Mean absolute difference of luma thumbnails."""
    one, other = (frame.y[::stride, ::stride].astype(np.float32) for frame in (a, b))
    return float(np.abs(one - other).mean())
