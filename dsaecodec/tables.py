"""The frequency tables of a model, built once when weights are exported.

They begin as `likelihood`'s distributions. What symbols really do at a scale and fraction differs:
most of those that are all but certain are even rarer, others have longer tails; so tables are
fitted to a census of them. Readers never build any: the integers travel inside the weights.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream import FrequencyTables, quantize_pmf
from bitstream.tables import TOTAL
from dsaecodec.likelihood import LEVELS_PER_OCTAVE, MEAN_UNITS, SCALE_LEVELS, SCALE_MIN

MAX_HALF_WIDTH = 1023
BELIEF = 1000  # symbols that a table's distribution of before counts for in its fit


def build_tables() -> FrequencyTables:
    """The tables of all scales and fractions, that of (scale, fraction) at 4·scale + fraction."""
    freqs, half_widths = [], []
    for level in range(SCALE_LEVELS):
        b = SCALE_MIN * 2.0 ** (level / LEVELS_PER_OCTAVE)
        half_width = min(math.ceil(9 * b) + 1, MAX_HALF_WIDTH)
        for fraction in range(MEAN_UNITS):
            centre = (fraction - MEAN_UNITS // 2) / MEAN_UNITS
            freqs.append(quantize_pmf(_laplace_pmf(b, centre, half_width)))
            half_widths.append(half_width)
    return FrequencyTables(np.concatenate(freqs), np.array(half_widths))


class Census:
    """Counts what symbols are coded with which table, and fits the tables to that."""

    def __init__(self) -> None:
        self._tables = build_tables()
        self._counts = np.zeros(len(self._tables.freqs), np.int64)

    def add(self, table_index: NDArray[np.integer[Any]], symbols: NDArray[np.int32]) -> None:
        """Count symbols.

        Args:
            table_index: any shape.
            symbols: what these tables code; same shape.
        """
        index = self._tables.check_indices(table_index)
        entries, _ = self._tables.entries(index, symbols.reshape(-1))
        places = self._tables.starts[index] + entries
        self._counts += np.bincount(places, minlength=len(self._counts))

    def tables(self) -> FrequencyTables:
        """Tables of what was counted, in which those of before count for `BELIEF` symbols."""
        before, counts = self._tables.freqs / TOTAL, np.split(self._counts, self._tables.starts[1:])
        pmfs = np.split(before, self._tables.starts[1:])
        fitted = [quantize_pmf(n + BELIEF * p) for n, p in zip(counts, pmfs, strict=True)]
        return FrequencyTables(np.concatenate(fitted), self._tables.half_widths)


def _laplace_pmf(b: float, centre: float, half_width: int) -> NDArray[np.float64]:
    """Masses of -half_width…half_width and, last, of all that lies outside."""
    edges = (np.arange(-half_width, half_width + 2) - 0.5 - centre) / b
    lower = np.where(edges < 0, 0.5 * np.exp(np.minimum(edges, 0)), 0)
    upper = np.where(edges >= 0, 0.5 * np.exp(-np.maximum(edges, 0)), 0)
    cdf = np.where(edges < 0, lower, 1 - upper)
    inside = np.diff(cdf)
    return np.append(inside, max(1.0 - inside.sum(), 0.0))
