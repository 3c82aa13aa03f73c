"""The frequency tables of `likelihood`'s distributions, built once when weights are exported.

Readers never build them: the integers travel inside the weights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bitstream import FrequencyTables, quantize_pmf
from dsaecodec.likelihood import LEVELS_PER_OCTAVE, MEAN_UNITS, SCALE_LEVELS, SCALE_MIN

MAX_HALF_WIDTH = 1023


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


def _laplace_pmf(b: float, centre: float, half_width: int) -> NDArray[np.float64]:
    """Masses of -half_width…half_width and, last, of all that lies outside."""
    edges = (np.arange(-half_width, half_width + 2) - 0.5 - centre) / b
    lower = np.where(edges < 0, 0.5 * np.exp(np.minimum(edges, 0)), 0)
    upper = np.where(edges >= 0, 0.5 * np.exp(-np.maximum(edges, 0)), 0)
    cdf = np.where(edges < 0, lower, 1 - upper)
    inside = np.diff(cdf)
    return np.append(inside, max(1.0 - inside.sum(), 0.0))
