"""The exact symbol coder: integers to bytes and back, given the table of each.

Symbols are coded in calls. Within a call: table index ascending, raster order within a table, then
the excess of the escaped symbols in raster order. Encoder, decoder and counter share one interface,
so that a codec has one loop for all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bitstream.errors import MalformedError
from bitstream.escape import pack_escapes, read_escape
from bitstream.range_coder import (
    FAIR_BIT,
    RangeDecoder,
    RangeEncoder,
    pack_payload,
    unpack_payload,
)
from bitstream.tables import FrequencyTables

Indices = NDArray[np.integer[Any]]
Symbols = NDArray[np.int32]


class SymbolCoder(Protocol):
    """What a codec's loop codes symbols with, in either direction."""

    def code(self, table_index: Indices, symbols: Symbols | None) -> Symbols:
        """Codes one group of symbols.

        Args:
            table_index: any shape, the table of each symbol.
            symbols: same shape, magnitudes at most 2^30; None when decoding.

        Returns:
            The symbols, int32, same shape.

        Raises:
            ValueError: table indices or symbols that cannot be coded.
        """
        ...


class SymbolEncoder:
    """Encodes symbols; `finish` gives the bytes."""

    def __init__(self, tables: FrequencyTables) -> None:
        self._tables = tables
        self._range = RangeEncoder()

    def code(self, table_index: Indices, symbols: Symbols | None) -> Symbols:
        """Encodes one group of symbols and returns it, see `SymbolCoder.code`."""
        symbols = _same_shape(table_index, symbols)
        index, flat = self._tables.check_indices(table_index), symbols.reshape(-1)
        entries, escaped = self._tables.entries(index, flat)
        escapes = pack_escapes(flat[escaped], self._tables.half_widths[index[escaped]])
        order, runs = _runs(index)
        ordered = entries[order]
        for table, start, stop in runs:
            self._range.encode(ordered[start:stop], self._tables.model(table))
        if escapes.size:
            self._range.encode(escapes, FAIR_BIT)
        return symbols

    def finish(self) -> bytes:
        """The payload of all symbols so far."""
        return pack_payload(self._range)


class SymbolDecoder:
    """Decodes symbols.

    Args:
        payload: all bytes of a `SymbolEncoder`.
        tables: those it was made with.
        verify: encode again what is decoded, so that `finish` knows whether the payload is exactly
            what these symbols make; without it `finish` sees nothing.

    Raises:
        MalformedError: no encoder ends with these bytes.
    """

    def __init__(self, payload: bytes, tables: FrequencyTables, *, verify: bool = True) -> None:
        self._payload = payload
        self._tables = tables
        self._range = RangeDecoder(unpack_payload(payload))
        self._again = RangeEncoder() if verify else None

    def code(self, table_index: Indices, symbols: Symbols | None = None) -> Symbols:
        """Decodes one group of symbols, see `SymbolCoder.code`.

        Raises:
            MalformedError: the bytes cannot come from an encoder with these tables.
        """
        if symbols is not None:
            raise ValueError("a decoder takes no symbols")
        index = self._tables.check_indices(table_index)
        order, runs = _runs(index)
        ordered = np.empty(index.size, np.int32)
        for table, start, stop in runs:
            ordered[start:stop] = self._decode(self._tables.model(table), stop - start)
        half_widths = self._tables.half_widths[index]
        flat = np.empty_like(ordered)
        flat[order] = ordered
        flat -= half_widths
        for position in np.flatnonzero(flat > half_widths):
            flat[position] = read_escape(int(half_widths[position]), self._read_bits)
        return flat.reshape(np.shape(table_index))

    def finish(self) -> None:
        """Checks that the symbols decoded are all that the payload holds.

        Raises:
            MalformedError: they would have been encoded to other bytes.
        """
        if self._again is None:
            return
        expected = pack_payload(self._again)
        if expected != self._payload:
            raise MalformedError(
                f"coder bytes: {len(self._payload)} bytes, expected the {len(expected)} "
                "that its symbols make"
            )

    def _read_bits(self, count: int) -> Symbols:
        return self._decode(FAIR_BIT, count)

    def _decode(self, model: Any, count: int) -> Symbols:
        """Decodes `count` entries of one model."""
        try:
            entries: Symbols = self._range.decode(model, count)
        except AssertionError as error:  # how constriction reports a number outside every interval
            raise MalformedError("coder bytes: a number that stands for no symbol") from error
        if self._again is not None:
            self._again.encode(entries, model)
        return entries


class SymbolCounter:
    """Adds up the ideal code length of symbols and makes no bytes."""

    def __init__(self, tables: FrequencyTables) -> None:
        self._tables = tables
        self._bits = 0.0

    def code(self, table_index: Indices, symbols: Symbols | None) -> Symbols:
        """Counts one group of symbols and returns it, see `SymbolCoder.code`."""
        symbols = _same_shape(table_index, symbols)
        self._bits += float(self._tables.cost_bits(table_index, symbols).sum())
        return symbols

    @property
    def bits(self) -> float:
        """Bits so far: the sum of -log2 p, escapes included."""
        return self._bits


def _same_shape(table_index: Indices, symbols: Symbols | None) -> Symbols:
    """Checks symbols to encode or count."""
    if symbols is None:
        raise ValueError("no symbols, expected as many as table indices")
    symbols = np.asarray(symbols)
    if symbols.shape != np.shape(table_index):
        raise ValueError(f"symbols of shape {symbols.shape}, expected {np.shape(table_index)}")
    if symbols.dtype != np.int32:
        raise ValueError(f"symbols of type {symbols.dtype}, expected int32")
    return symbols


def _runs(
    index: NDArray[np.uint16],
) -> tuple[NDArray[np.intp], Iterator[tuple[int, int, int]]]:
    """The coding order of a call, and the run of each table in it.

    Args:
        index: [n] table of each symbol in raster order.

    Returns:
        [n] positions in coding order, and (table, start, stop) of each table in use, ascending.
    """
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index)
    tables = np.flatnonzero(counts)
    stops = np.cumsum(counts[tables])
    starts = stops - counts[tables]
    return order, zip(tables.tolist(), starts.tolist(), stops.tolist(), strict=True)
