"""Symbols survive, in the order and the number of bytes that the specification states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitstream import (
    FrequencyTables,
    MalformedError,
    SymbolCounter,
    SymbolDecoder,
    SymbolEncoder,
    quantize_pmf,
)


def laplace_tables(num_tables: int, escape: float = 1e-4) -> FrequencyTables:
    """Tables of growing width, the first of half width 0."""
    freqs, half_widths = [], []
    for index in range(num_tables):
        half_width = min(index * index, 300)
        weights = np.exp(-np.abs(np.arange(-half_width, half_width + 1)) / (0.2 + index / 2))
        freqs.append(quantize_pmf(np.append(weights / weights.sum(), escape)))
        half_widths.append(half_width)
    return FrequencyTables(np.concatenate(freqs), np.array(half_widths))


TABLES = laplace_tables(24)


def draw_symbols(
    random: np.random.Generator, shape: tuple[int, ...], wild: float = 0.0
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Symbols about as wide as their tables, a share `wild` of them anything at all."""
    index = random.integers(0, TABLES.num_tables, shape).astype(np.uint8)
    symbols = np.rint(random.laplace(0, 0.2 + index / 2)).astype(np.int32)
    anything = random.integers(-(2**30), 2**30 + 1, shape) >> random.integers(0, 30, shape)
    return index, np.where(random.random(shape) < wild, anything, symbols).astype(np.int32)


Group = tuple[NDArray[np.integer[Any]], NDArray[np.int32]]


def encode(tables: FrequencyTables, *groups: Group) -> bytes:
    encoder = SymbolEncoder(tables)
    for index, symbols in groups:
        assert encoder.code(index, symbols) is symbols
    return encoder.finish()


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.lists(st.integers(0, 12), max_size=3).map(tuple), max_size=6),
    st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
def test_symbols_survive(seed: int, shapes: list[tuple[int, ...]], wild: float) -> None:
    random = np.random.default_rng(seed)
    groups = [draw_symbols(random, shape, wild) for shape in shapes]
    payload = encode(TABLES, *groups)
    decoder, counter = SymbolDecoder(payload, TABLES), SymbolCounter(TABLES)
    for index, symbols in groups:
        decoded = decoder.code(index, None)
        assert decoded.dtype == np.int32
        np.testing.assert_array_equal(decoded, symbols)
        counter.code(index, symbols)
    decoder.finish()
    assert counter.bits / 8 - 0.1 <= len(payload) + 8
    assert len(payload) <= 1.01 * counter.bits / 8 + 4


@pytest.mark.parametrize("wild", [0.0, 0.05])
def test_large_payload_stays_within_the_bound(wild: float) -> None:
    index, symbols = draw_symbols(np.random.default_rng(5), (40_000,), wild)
    payload = encode(TABLES, (index, symbols))
    bits = float(TABLES.cost_bits(index, symbols).sum())
    assert bits / 8 - 1 <= len(payload) <= 1.0005 * bits / 8 + 2


@pytest.mark.parametrize(("rare", "slack"), [(0.1, 1.001), (0.01, 1.003), (0.002, 1.01)])
def test_bound_holds_for_skewed_tables(rare: float, slack: float) -> None:
    # 0.57, 0.09 and 0.023 bits a symbol; far below that the 64-bit range loses more than a percent.
    tables = FrequencyTables(quantize_pmf(np.array([rare / 2, 1 - rare, rare / 2, 1e-6])), [1])
    random = np.random.default_rng(7)
    symbols = random.choice(
        np.array([-1, 0, 1], np.int32), 400_000, p=[rare / 2, 1 - rare, rare / 2]
    )
    index = np.zeros(symbols.shape, np.uint8)
    bits = float(tables.cost_bits(index, symbols).sum())
    assert len(encode(tables, (index, symbols))) <= slack * bits / 8 + 4


def test_cost_is_the_log_of_the_frequency_and_the_escape_code() -> None:
    index = np.array([0, 0, 2, 2, 2, 2, 5])
    symbols = np.array([0, -3, 4, 5, -6, 12, -25], np.int32)
    entries = [0, 1, 8, 9, 9, 9, 0]
    own_bits = [0, 2 + 2 * 1, 0, 2, 4, 8, 0]  # |v| - M of 3, 1, 2, 8
    expected = [
        24 - np.log2(TABLES.table(table)[entry]) + bits
        for table, entry, bits in zip(index, entries, own_bits, strict=True)
    ]
    np.testing.assert_allclose(TABLES.cost_bits(index, symbols), expected, rtol=1e-14)


def test_golden_payload() -> None:
    # Any change of these bytes is a new version of the format.
    freqs = [2**24 - 1, 1, 2**20, 2**24 - 3 * 2**20, 2**21 - 9, 9, *[2**22] * 2, *[2**21] * 4]
    tables = FrequencyTables(np.array(freqs), np.array([0, 1, 2]))
    index = np.array([[2, 1, 0, 2], [2, 2, 1, 0]])
    first = np.array([[-2, 1, 0, 2], [0, -1, 0, 0]], np.int32)
    second = np.array([[0, 7, -3, 10], [2**30, -(2**30), -1, 0]], np.int32)
    payload = encode(tables, (index, first), (index, second))
    assert payload.hex() == "e754fc216a8fffc1484218adc0000074bffffc5a0000074bffffd5"


def test_order_is_table_then_raster_then_escapes() -> None:
    index = np.array([[2, 1], [1, 2]])
    symbols = np.array([[1, -1], [0, 3]], np.int32)
    one_a_table = [(index[index == table], symbols[index == table]) for table in (1, 2)]
    assert encode(TABLES, (index, symbols)) == encode(TABLES, *one_a_table)
    escapes = np.array([[9, -1], [-50, 3]], np.int32)
    assert encode(TABLES, (index, escapes)) == encode(TABLES, (index.ravel(), escapes.ravel()))
    transposed = encode(TABLES, (index.T, escapes.T))
    assert encode(TABLES, (index, escapes)) != transposed


def test_groups_of_nothing_cost_nothing() -> None:
    empty = np.zeros((0, 3), np.int64)
    assert encode(TABLES, (empty, empty.astype(np.int32))) == b""
    decoder = SymbolDecoder(b"", TABLES)
    assert decoder.code(empty, None).shape == (0, 3)
    decoder.finish()


def test_likely_symbols_cost_next_to_nothing() -> None:
    index = np.zeros(1000, np.int64)
    assert len(encode(TABLES, (index, np.zeros(1000, np.int32)))) <= 1


def decodes_to(payload: bytes, index: NDArray[np.uint8], symbols: NDArray[np.int32]) -> bool:
    """Whether a payload is accepted and holds these symbols."""
    try:
        decoder = SymbolDecoder(payload, TABLES)
        decoded = decoder.code(index, None)
        decoder.finish()
    except MalformedError:
        return False
    return np.array_equal(decoded, symbols)


def test_payload_is_the_only_one_that_its_symbols_have() -> None:
    random = np.random.default_rng(3)
    for size in list(range(1, 40)) * 4:
        index, symbols = draw_symbols(random, (size,), 0.02)
        payload = encode(TABLES, (index, symbols))
        assert decodes_to(payload, index, symbols)
        assert not decodes_to(payload + b"\1", index, symbols)
        assert not decodes_to(payload + b"\0\0\0\1", index, symbols)
        if payload:
            assert not decodes_to(payload[:-1], index, symbols)
            assert not decodes_to(payload[:-1] + bytes([payload[-1] ^ 1]), index, symbols)


def test_finish_before_the_last_symbol_is_refused() -> None:
    index, symbols = draw_symbols(np.random.default_rng(9), (500,))
    decoder = SymbolDecoder(encode(TABLES, (index, symbols)), TABLES)
    decoder.code(index[:400], None)
    with pytest.raises(MalformedError, match="expected the"):
        decoder.finish()


def test_zero_byte_at_the_end_is_malformed() -> None:
    with pytest.raises(MalformedError, match="last byte 0"):
        SymbolDecoder(b"\x12\x00", TABLES)


def test_number_outside_every_interval_is_malformed() -> None:
    with pytest.raises(MalformedError, match="stands for no symbol"):
        SymbolDecoder(b"\xff" * 8, TABLES).code(np.array([3]), None)


def test_long_escape_prefix_is_malformed() -> None:
    only_escapes = FrequencyTables(np.array([1, 2**24 - 1]), np.array([0]))
    with pytest.raises(MalformedError, match="prefix of 31 zeros"):
        SymbolDecoder(b"\0\0\1\0\0\0\0\0\1", only_escapes).code(np.array([0]), None)


def test_noise_decodes_or_is_malformed() -> None:
    random = np.random.default_rng(6)
    refused = 0
    for size in range(1, 200):
        index, _ = draw_symbols(random, (50,))
        try:
            decoder = SymbolDecoder(random.bytes(size), TABLES)
            assert decoder.code(index, None).shape == (50,)
            decoder.finish()
        except MalformedError:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize(
    ("index", "symbols", "message"),
    [
        (np.array([24]), np.array([0], np.int32), "table index outside 0..23"),
        (np.array([-1]), np.array([0], np.int32), "table index outside"),
        (np.array([0.0]), np.array([0], np.int32), "expected integers"),
        (np.array([0]), np.array([0], np.int64), "expected int32"),
        (np.array([0]), np.array([[0]], np.int32), "symbols of shape"),
        (np.array([0]), np.array([2**30 + 1], np.int32), "magnitude above 1073741824"),
        (np.array([0]), np.array([-(2**31)], np.int32), "magnitude above"),
        (np.array([0]), None, "no symbols"),
    ],
)
def test_what_cannot_be_coded_is_refused(index, symbols, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        SymbolEncoder(TABLES).code(index, symbols)


def test_layout_of_the_arrays_does_not_matter() -> None:
    index, symbols = draw_symbols(np.random.default_rng(8), (6, 5, 4), 0.1)
    expected = encode(TABLES, (index, symbols))
    assert encode(TABLES, (np.asfortranarray(index), np.asfortranarray(symbols))) == expected
    assert encode(TABLES, (index.astype(np.int64), symbols)) == expected
    assert encode(TABLES, (index[::-1][::-1], symbols[::-1][::-1])) == expected
