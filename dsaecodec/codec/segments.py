"""Restarts of the prior inside a GOP, `--resilient N`: a dynamics record for every N frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bitstream import FrequencyTables, Segment, SymbolEncoder


class SegmentEncoder:
    """A coder that begins anew at each restart of the prior.

    Args:
        tables: of the model.
    """

    def __init__(self, tables: FrequencyTables) -> None:
        self._tables = tables
        self._coders: list[SymbolEncoder] = []

    def restart(self) -> None:
        """What follows belongs to another segment."""
        self._coders.append(SymbolEncoder(self._tables))

    def code(
        self, table_index: NDArray[np.uint16], symbols: NDArray[np.int32] | None
    ) -> NDArray[np.int32]:
        """See `Coder`."""
        return self._coders[-1].code(table_index, symbols)

    def finish(self) -> list[bytes]:
        """Coder bytes of each segment."""
        return [coder.finish() for coder in self._coders]


def segment_lengths(num_frames: int, restart: int | None) -> list[int]:
    """Frames of each segment of a GOP; None: one for all."""
    step = restart or num_frames
    return [min(step, num_frames - first) for first in range(0, num_frames, step)]


def make_segments(num_frames: int, restart: int | None, payloads: list[bytes]) -> list[Segment]:
    """The dynamics records of a GOP, given the coder bytes of each."""
    segments: list[Segment] = []
    for length, payload in zip(segment_lengths(num_frames, restart), payloads, strict=True):
        first = segments[-1].first + segments[-1].num_frames if segments else 0
        segments.append(Segment(first, length, payload))
    return segments
