"""Planning GOPs: every frame once, in order; contents and references where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from bitstream.limits import MAX_PREDICTED
from dsaecodec.codec.gop_plan import LONGEST_SHOT, plan_gops
from dsaecodec.video.frame import Frame420


def shot(num_frames: int, level: int) -> list[Frame420]:
    flat = np.full((32, 32), level, np.uint8)
    return [Frame420(flat + t % 3, flat[:16, :16], flat[:16, :16]) for t in range(num_frames)]


@pytest.mark.parametrize("lengths", [[1], [7], [8], [9], [30], [8, 8], [9, 3, 20], [1, 2]])
@pytest.mark.parametrize("gop", [1, 3, 8])
def test_plans_tile_the_frames(lengths, gop):
    shots = [shot(n, 20 + 90 * (i % 2)) for i, n in enumerate(lengths)]
    frames = [frame for one in shots for frame in one]
    plans = list(plan_gops(frames, gop))
    assert [id(f) for p in plans for f in p.frames] == [id(f) for f in frames]
    starts = np.cumsum([0, *lengths])[:-1]
    position = 0
    for plan in plans:
        assert 1 <= len(plan.frames) <= gop and 0 <= plan.anchor < len(plan.frames)
        assert plan.refs_previous is (position not in starts)
        inside = [s for s in starts if position < s < position + len(plan.frames)]
        assert not inside, "a GOP never spans a cut"
        if plan.refs_previous:
            assert plan.anchor == len(plan.frames) - 1
        position += len(plan.frames)


@pytest.mark.parametrize("gop", [8, 64, 128])
def test_long_shots_begin_anew(gop):
    """So that nobody needs the contents of a whole film."""
    plans = list(plan_gops(iter(shot(800, 40)), gop))
    since, longest = 0, 0
    for plan in plans:
        since = since + len(plan.frames) if plan.refs_previous else len(plan.frames)
        longest = max(longest, since)
    assert LONGEST_SHOT - gop < longest <= LONGEST_SHOT
    assert sum(len(plan.frames) for plan in plans) == 800
    assert sum(not plan.refs_previous for plan in plans) == 4
    assert LONGEST_SHOT <= MAX_PREDICTED + 1  # of GOPs of one frame all but the first


def test_no_frames_no_gops():
    assert list(plan_gops([], 8)) == []
