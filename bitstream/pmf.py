"""From probabilities to the integer frequencies that decide symbols."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bitstream.tables import TOTAL


def quantize_pmf(pmf: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rounds a distribution to positive integers that sum to 2^24, by largest remainders.

    Every entry first receives 1; the rest is shared in proportion, and what rounding down leaves
    goes to the largest remainders, the lower index first among equals.

    Args:
        pmf: [n] probabilities >= 0 of the symbols in order, the escape last; scaled to sum 1 here.

    Returns:
        [n] frequencies.

    Raises:
        ValueError: not a distribution, or too many entries.
    """
    pmf = np.asarray(pmf, np.float64)
    if pmf.ndim != 1 or not 2 <= pmf.size < TOTAL:
        raise ValueError(f"pmf of shape {pmf.shape}, expected [n] with n >= 2")
    if not np.isfinite(pmf).all() or (pmf < 0).any() or not pmf.any():
        raise ValueError("pmf with a negative or non-finite entry, or no positive one")
    shared = TOTAL - pmf.size
    shares = pmf / pmf.max()
    shares *= shared / math.fsum(shares)
    freqs: NDArray[np.int64] = np.floor(shares).astype(np.int64)
    missing = shared - int(freqs.sum())
    order = np.argsort(freqs - shares, kind="stable")
    freqs[order[:missing]] += 1
    freqs += 1
    assert int(freqs.sum()) == TOTAL, "rounding moved more than one unit an entry"
    return freqs
