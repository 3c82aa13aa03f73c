"""Segments of a vector model, lost and estimated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitstream
import dsaecodec
from bitstream import RecordType
from tests.test_conceal import records, without


@pytest.fixture
def vectors(models: Path) -> bytes:
    """Twelve frames of a small model in segments of four."""
    rng = np.random.default_rng(1)
    still = rng.integers(60, 180, (16, 16, 3))
    frames = [(still + 3 * t).astype(np.uint8) for t in range(12)]  # no cut
    return dsaecodec.encode(frames, model="small", quality=60, resilient=4)


def test_resilient_makes_segments(vectors):
    _, (gop,) = bitstream.split(vectors)
    assert [segment.num_frames for segment in gop.segments] == [4, 4, 4]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_lost_segment_costs_its_own_frames(vectors, place):
    lost = [r for r in records(vectors) if r.kind is RecordType.DYNAMICS][place]
    whole = list(dsaecodec.decode(vectors))
    frames = list(dsaecodec.decode(without(vectors, lost), conceal=True))
    assert len(frames) == 12
    same = [np.array_equal(a, b) for a, b in zip(frames, whole, strict=True)]
    kept = [t for t in range(12) if t // 4 != place]
    assert all(same[t] for t in kept)
