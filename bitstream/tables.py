"""Tables of integer frequencies: the distributions that a symbol coder codes with."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitstream.escape import escape_bits

PRECISION = 24
TOTAL = 1 << PRECISION
"""Sum of the frequencies of a table."""

MAX_TABLES = 4096
MAX_HALF_WIDTH = 4095


class FrequencyTables:
    """K distributions over integers, table k covering -M_k..M_k and an escape for all others.

    Args:
        freqs: the tables one after the other, each of 2*M_k + 2 frequencies in the order of the
            symbols with the escape last; every one at least 1, each table's sum 2^24.
        half_widths: [K] M_k, 0..4095.

    Attributes:
        freqs: as given, int64.
        half_widths: as given, int32.
        starts: [K] where each table begins in `freqs`.

    Raises:
        ValueError: a rule above is broken.
    """

    def __init__(self, freqs: ArrayLike, half_widths: ArrayLike) -> None:
        self.freqs: NDArray[np.int64] = _integers(freqs, "freqs").astype(np.int64)
        half_widths = _integers(half_widths, "half_widths")
        if not 1 <= half_widths.size <= MAX_TABLES:
            raise ValueError(f"{half_widths.size} tables, expected 1..{MAX_TABLES}")
        if half_widths.min() < 0 or half_widths.max() > MAX_HALF_WIDTH:
            raise ValueError(f"half width outside 0..{MAX_HALF_WIDTH}")
        self.half_widths: NDArray[np.int32] = half_widths.astype(np.int32)
        sizes = 2 * self.half_widths.astype(np.int64) + 2
        ends: NDArray[np.int64] = np.cumsum(sizes)
        if self.freqs.size != ends[-1]:
            raise ValueError(f"{self.freqs.size} frequencies, expected {ends[-1]}")
        self.starts: NDArray[np.int64] = ends - sizes
        if self.freqs.min() < 1 or self.freqs.max() > TOTAL:
            raise ValueError(f"frequency outside 1..{TOTAL}")
        sums = np.add.reduceat(self.freqs, self.starts)
        if (sums != TOTAL).any():
            table = int(np.argmax(sums != TOTAL))
            raise ValueError(f"table {table}: sum {sums[table]}, expected {TOTAL}")
        self._models: dict[int, Any] = {}

    @property
    def num_tables(self) -> int:
        """Number of tables, K."""
        return self.half_widths.size

    def table(self, index: int) -> NDArray[np.int64]:
        """Frequencies of one table, the escape last: [2*M_k + 2]."""
        start = self.starts[index]
        return self.freqs[start : start + 2 * int(self.half_widths[index]) + 2]

    def model(self, index: int) -> Any:
        """The range coder's model of one table, built on first use."""
        if index not in self._models:
            from bitstream.range_coder import table_model  # tables alone do not need the coder

            self._models[index] = table_model(self.table(index))
        return self._models[index]

    def check_indices(self, table_index: NDArray[np.integer[Any]]) -> NDArray[np.uint16]:
        """Flattens table indices.

        Args:
            table_index: any shape, integers.

        Returns:
            [n] in raster order; 16 bits, for which NumPy's stable sort is a radix sort.

        Raises:
            ValueError: not integers, or outside 0..K-1.
        """
        flat = np.asarray(table_index).reshape(-1)
        if flat.dtype.kind not in "iu":
            raise ValueError(f"table indices of type {flat.dtype}, expected integers")
        if flat.size and (flat.min() < 0 or flat.max() >= self.num_tables):
            raise ValueError(f"table index outside 0..{self.num_tables - 1}")
        return flat.astype(np.uint16)

    def entries(
        self, table_index: NDArray[np.uint16], symbols: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Entry of each symbol in its table, and which symbols are escapes.

        Args:
            table_index: [n] as from `check_indices`.
            symbols: [n].

        Returns:
            [n] entries 0..2*M_k+1, and the ascending positions of those that are 2*M_k+1.
        """
        half = self.half_widths[table_index]
        escaped = np.flatnonzero((symbols > half) | (symbols < -half))
        entries = symbols + half
        entries[escaped] = 2 * half[escaped] + 1
        return entries, escaped

    def cost_bits(
        self, table_index: NDArray[np.integer[Any]], symbols: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Exact ideal code length of each symbol: -log2(freq / 2^24), and an escape's own bits.

        Args:
            table_index: any shape.
            symbols: same shape.

        Returns:
            Bits, same shape.
        """
        flat_index = self.check_indices(table_index)
        flat = np.asarray(symbols, np.int32).reshape(-1)
        entries, escaped = self.entries(flat_index, flat)
        bits: NDArray[np.float64] = self._entry_bits[self.starts[flat_index] + entries]
        bits[escaped] += escape_bits(flat[escaped], self.half_widths[flat_index[escaped]])
        return bits.reshape(np.shape(symbols))

    @cached_property
    def _entry_bits(self) -> NDArray[np.float64]:
        """Cost of every entry of every table."""
        return PRECISION - np.log2(self.freqs.astype(np.float64))


def _integers(values: ArrayLike, name: str) -> NDArray[Any]:
    """A one-dimensional integer array."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} of shape {array.shape}, type {array.dtype}: expected [n] integers"
        )
    return array
