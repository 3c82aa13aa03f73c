"""Symbols outside their table: Exp-Golomb code of order 0 for the excess, then a sign bit.

A symbol v outside -M..M has the excess e = |v| - M - 1 >= 0. With e + 1 of k + 1 binary digits, the
code is k zeros, the digits from the most significant (which is 1) down, and the sign (1: negative).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bitstream.errors import MalformedError

MAX_MAGNITUDE = 1 << 30
_MAX_PREFIX = MAX_MAGNITUDE.bit_length() - 1


def pack_escapes(symbols: NDArray[np.int32], half_widths: NDArray[np.int32]) -> NDArray[np.int32]:
    """The bits of escaped symbols, one after the other.

    Args:
        symbols: [n] each outside its table, magnitude at most 2^30.
        half_widths: [n] M of each symbol's table.

    Returns:
        [bits] of 0 and 1.

    Raises:
        ValueError: a magnitude above 2^30.
    """
    if symbols.size and np.abs(symbols.astype(np.int64)).max() > MAX_MAGNITUDE:
        raise ValueError(f"symbol of magnitude above {MAX_MAGNITUDE}")
    codes = []
    for symbol, half_width in zip(symbols.tolist(), half_widths.tolist(), strict=True):
        digits = format(abs(symbol) - half_width, "b")
        codes.append("0" * (len(digits) - 1) + digits + ("1" if symbol < 0 else "0"))
    return (np.frombuffer("".join(codes).encode(), np.uint8) - ord("0")).astype(np.int32)


def read_escape(half_width: int, read_bits: Callable[[int], NDArray[np.int32]]) -> int:
    """Reads one escaped symbol.

    Args:
        half_width: M of its table.
        read_bits: returns the next bits, as many as asked for.

    Raises:
        MalformedError: a magnitude above 2^30.
    """
    prefix = 0
    while not read_bits(1)[0]:
        prefix += 1
        if prefix > _MAX_PREFIX:
            raise MalformedError(
                f"escape: prefix of {prefix} zeros, expected at most {_MAX_PREFIX}"
            )
    value = 1
    *digits, sign = read_bits(prefix + 1).tolist()
    for digit in digits:
        value = 2 * value + digit
    magnitude = value + half_width
    if magnitude > MAX_MAGNITUDE:
        raise MalformedError(f"escape: magnitude {magnitude}, expected at most {MAX_MAGNITUDE}")
    return -magnitude if sign else magnitude


def escape_bits(symbols: NDArray[np.int32], half_widths: NDArray[np.int32]) -> NDArray[np.float64]:
    """Length of each escaped symbol's code: 2*floor(log2(|v| - M)) + 2 bits."""
    excess = np.abs(symbols.astype(np.int64)) - half_widths
    _, exponent = np.frexp(excess.astype(np.float64))
    return 2.0 * exponent
