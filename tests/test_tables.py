"""Frequency tables: those one begins with, and those fitted to symbols."""

from __future__ import annotations

import numpy as np
import pytest

from dsaecodec.tables import BELIEF, Census, build_tables


def test_without_symbols_the_tables_stay_what_they_are():
    fitted, before = Census().tables(), build_tables()
    assert np.array_equal(fitted.half_widths, before.half_widths)
    # an entry of no more than 2^-24 is given one more, which the others lack
    assert np.abs(fitted.freqs - before.freqs).max() <= 2 * before.half_widths.max()


def test_fitted_tables_code_what_they_were_fitted_to_in_fewer_bits():
    generator, before = np.random.default_rng(3), build_tables()
    table = np.repeat(np.array([2, 42, 90], np.uint16), 200_000).reshape(3, -1)
    spread = np.array([[0.02], [0.25], [4.0]])
    symbols = np.rint(generator.standard_t(4, table.shape) * spread).astype(np.int32)
    census = Census()
    for row in range(3):
        census.add(table[row], symbols[row])
    fitted = census.tables()
    for row in range(3):
        counts = np.unique(symbols[row], return_counts=True)[1]
        entropy = -(counts * np.log2(counts / counts.sum())).sum()
        old, new = (t.cost_bits(table[row], symbols[row]).sum() for t in (before, fitted))
        assert entropy < new < 0.98 * old
        assert new < entropy + 3 * BELIEF  # what a belief in another distribution costs
    untouched = [k for k in range(before.num_tables) if k not in (2, 42, 90)]
    assert all(
        np.abs(fitted.table(k) - before.table(k)).max() <= 2 * before.half_widths[k] + 2
        for k in untouched
    )


def test_outliers_are_counted_as_escapes():
    census, before = Census(), build_tables()
    half = int(before.half_widths[0])
    far = np.full(10 * BELIEF, half + 5, np.int32)
    census.add(np.zeros(len(far), np.uint16), far)
    assert census.tables().table(0)[-1] / 2**24 == pytest.approx(10 / 11, rel=1e-3)
