"""Tables are checked when built, and distributions become them without loss of mass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from bitstream import FrequencyTables, quantize_pmf

TOTAL = 2**24


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=2, max_size=300).filter(any))
def test_quantized_distribution(weights: list[float]) -> None:
    pmf = np.array(weights)
    freqs = quantize_pmf(pmf)
    assert freqs.dtype == np.int64
    assert freqs.sum() == TOTAL
    assert freqs.min() >= 1
    ideal = 1 + pmf / pmf.max() / (pmf / pmf.max()).sum() * (TOTAL - len(pmf))
    assert np.abs(freqs - ideal).max() < 1.001


def test_quantization_breaks_ties_by_index() -> None:
    assert quantize_pmf(np.ones(3)).tolist() == [TOTAL // 3 + 1, TOTAL // 3, TOTAL // 3]
    assert quantize_pmf(np.array([1.0, 0.0])).tolist() == [TOTAL - 1, 1]


@pytest.mark.parametrize(
    "pmf", [[], [1.0], [0.0, 0.0], [1.0, -0.1], [np.nan, 1.0], [np.inf, 1.0], [[0.5, 0.5]]]
)
def test_what_is_no_distribution_is_refused(pmf: list[float]) -> None:
    with pytest.raises(ValueError, match="pmf"):
        quantize_pmf(np.array(pmf))


INT = np.dtype(np.int64)


@pytest.mark.parametrize(
    ("freqs", "half_widths", "message"),
    [
        ([TOTAL - 1, 1], np.empty(0, INT), "0 tables"),
        (np.empty(0, INT), [0], "0 frequencies, expected 2"),
        ([TOTAL - 1, 1], [1], "2 frequencies, expected 4"),
        ([TOTAL - 1, 1, 5], [0], "3 frequencies, expected 2"),
        ([TOTAL, 0], [0], "frequency outside"),
        ([TOTAL + 1, -1], [0], "frequency outside"),
        ([TOTAL - 2, 1], [0], "table 0: sum 16777215"),
        ([TOTAL - 1, 1, TOTAL - 1, 2], [0, 0], "table 1: sum 16777217"),
        ([TOTAL - 1, 1], [-1], "half width outside"),
        ([TOTAL - 1, 1], [4096], "half width outside"),
        ([TOTAL - 1, 1], [2**32], "half width outside"),
        ([TOTAL - 1.0, 1.0], [0], "expected .n. integers"),
        ([TOTAL - 1, 1], [0.0], "expected .n. integers"),
        ([[TOTAL - 1, 1]], [0], "expected .n. integers"),
        ([TOTAL - 1, 1] * 4097, [0] * 4097, "4097 tables"),
    ],
)
def test_tables_are_checked(freqs: ArrayLike, half_widths: ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrequencyTables(freqs, half_widths)


def test_tables_are_found_again() -> None:
    tables = FrequencyTables(
        np.array([TOTAL - 1, 1, 2, TOTAL - 5, 2, 1], np.int32), np.array([0, 1])
    )
    assert tables.num_tables == 2
    assert tables.table(0).tolist() == [TOTAL - 1, 1]
    assert tables.table(1).tolist() == [2, TOTAL - 5, 2, 1]
