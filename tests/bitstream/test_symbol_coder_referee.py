"""A coder in plain integers of any size, written from the specification, as referee."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitstream import FrequencyTables, SymbolDecoder, SymbolEncoder

TOTAL = 2**24
MASK = 2**64 - 1


class Referee:
    """The range coder of docs/bitstream.md; `low` is exact, with all its carries."""

    def __init__(self) -> None:
        self.low, self.range, self.num_words = 0, MASK, 0

    def encode(self, freqs: list[int], entry: int) -> None:
        scale = self.range >> 24
        self.low += scale * sum(freqs[:entry])
        self.range = scale * freqs[entry]
        if self.range < 2**32:
            self.low, self.range = self.low << 32, self.range << 32
            self.num_words += 1

    def finish(self) -> bytes:
        size = 4 * self.num_words + 8
        for num_bytes in range(size + 1):
            unit = 256 ** (size - num_bytes)
            multiple = -(-self.low // unit)
            if multiple * unit < self.low + self.range:
                return int(multiple).to_bytes(num_bytes, "big")
        raise AssertionError("an empty interval")


def referee_decode(payload: bytes, tables: list[list[int]]) -> list[int]:
    """The entries, one of each table given."""
    padded = payload + bytes(4 * len(tables) + 12)
    low, width, point, position = 0, MASK, int.from_bytes(padded[:8], "big"), 8
    entries = []
    for freqs in tables:
        sums = [0, *accumulate(freqs)]
        scale = width >> 24
        quantile = (point - low) % 2**64 // scale
        assert quantile < TOTAL
        entry = bisect_right(sums, quantile) - 1
        entries.append(entry)
        low, width = (low + scale * sums[entry]) & MASK, scale * freqs[entry]
        if width < 2**32:
            word = int.from_bytes(padded[position : position + 4], "big")
            low, width, point = low << 32 & MASK, width << 32, (point << 32 | word) & MASK
            position += 4
    return entries


def random_table(random: np.random.Generator) -> list[int]:
    """Positive frequencies from nearly flat to nearly certain, the certain entry anywhere."""
    size = 2 * int(random.choice([0, 1, 3, 20, 127])) + 2
    weights = random.random(size) ** random.choice([0.1, 1, 10, 60])
    freqs = np.floor(weights / weights.sum() * (TOTAL - size)).astype(np.int64) + 1
    freqs[random.integers(size)] += TOTAL - freqs.sum()
    return [int(freq) for freq in freqs]


def expected_entries(
    tables: list[list[int]], index: NDArray[np.int64], symbols: NDArray[np.int32]
) -> tuple[list[list[int]], list[int]]:
    """Table and entry of everything that one call codes, in the specified order."""
    plan, entries, excess = [], [], []
    for table, freqs in enumerate(tables):
        for symbol in symbols[index == table].tolist():
            half = len(freqs) // 2 - 1
            plan.append(freqs)
            entries.append(symbol + half if abs(symbol) <= half else len(freqs) - 1)
    for table, symbol in zip(index.tolist(), symbols.tolist(), strict=True):
        above = abs(symbol) - (len(tables[table]) // 2 - 1)
        if above > 0:
            digits = [int(digit) for digit in f"{above:b}"]
            excess += [0] * (len(digits) - 1) + digits + [int(symbol < 0)]
    return plan + [[TOTAL // 2] * 2] * len(excess), entries + excess


def check(random: np.random.Generator, num_tables: int, num_symbols: int, escapes: float) -> None:
    tables = [random_table(random) for _ in range(num_tables)]
    half_widths = np.array([len(freqs) // 2 - 1 for freqs in tables])
    stored = FrequencyTables(np.concatenate(tables), half_widths)
    encoder, referee = SymbolEncoder(stored), Referee()
    calls, plans, wanted = [], [], []
    for _ in range(2):
        index = random.integers(0, num_tables, num_symbols)
        entry = [random.choice(len(tables[k]), p=np.array(tables[k]) / TOTAL) for k in index]
        symbols = (np.array(entry, np.int64) - half_widths[index]).astype(np.int32)
        far = (symbols > half_widths[index]) | (random.random(num_symbols) < escapes)
        symbols[far] = random.integers(-3000, 3000, far.sum())
        encoder.code(index, symbols)
        plan, entries = expected_entries(tables, index, symbols)
        for freqs, one in zip(plan, entries, strict=True):
            referee.encode(freqs, one)
        calls.append((index, symbols))
        plans += plan
        wanted += entries
    payload = encoder.finish()
    assert payload == referee.finish()
    assert referee_decode(payload, plans) == wanted
    decoder = SymbolDecoder(payload, stored)
    for index, symbols in calls:
        np.testing.assert_array_equal(decoder.code(index, None), symbols)
    decoder.finish()


def test_many_tables() -> None:
    random = np.random.default_rng(0)
    for num_tables in (1, 2, 10, 40, 120):
        check(random, num_tables, 400, 0.02)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 30), st.sampled_from([0, 0.2]))
def test_short_messages(seed: int, num_tables: int, num_symbols: int, escapes: float) -> None:
    check(np.random.default_rng(seed), num_tables, num_symbols, escapes)


def test_carries_through_many_words() -> None:
    # The interval straddles the middle for long: words stay undecided until a symbol settles them.
    # Entry 1 of the first call leaves [1/2 - 2^-24, 1/2 + 2^-24) to be narrowed around 1/2.
    for length in range(1, 60):
        for last in (0, 1, 2, 3):
            freqs = [TOTAL // 2 - 1, 2, TOTAL // 2 - 2, 1]
            halves = [TOTAL // 2 - 1, 1, TOTAL // 2 - 1, 1]
            stored = FrequencyTables(np.array(freqs + halves), np.array([1, 1]))
            index = np.array([0] * length + [1])
            symbols = np.array([0] * length + [last - 1], np.int32)
            if last == 3:
                symbols[-1] = 2
            encoder, referee = SymbolEncoder(stored), Referee()
            encoder.code(index, symbols)
            for plan, entry in zip(*expected_entries([freqs, halves], index, symbols), strict=True):
                referee.encode(plan, entry)
            payload = encoder.finish()
            assert payload == referee.finish()
            decoder = SymbolDecoder(payload, stored)
            np.testing.assert_array_equal(decoder.code(index, None), symbols)
            decoder.finish()


def test_frequencies_of_the_model_are_those_stored() -> None:
    # The decoder's boundaries, probed: the first and last quantile of an entry decode to it.
    random = np.random.default_rng(4)
    for _ in range(100):
        freqs = random_table(random)
        half_width = len(freqs) // 2 - 1
        stored = FrequencyTables(np.array(freqs), np.array([half_width]))
        sums = [0, *accumulate(freqs)]
        scale = MASK >> 24
        for entry in {0, half_width, 2 * half_width}:
            for quantile in (sums[entry], sums[entry + 1] - 1):
                payload = (quantile * scale).to_bytes(8, "big").rstrip(b"\0")
                decoder = SymbolDecoder(payload, stored, verify=False)
                assert decoder.code(np.array([0]), None) == entry - half_width
