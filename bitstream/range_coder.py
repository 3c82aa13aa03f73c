"""The range coder: the one importer of constriction.

Its models reproduce integer frequencies exactly, and its words become the fewest bytes that decode,
zeros behind them implied.
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from bitstream.errors import MalformedError

RangeEncoder: Any = constriction.stream.queue.RangeEncoder
RangeDecoder: Any = constriction.stream.queue.RangeDecoder

FAIR_BIT: Any = constriction.stream.model.Uniform(2)
"""The model of a bit that costs exactly one bit."""

_STATE_BYTES = 8


def table_model(freqs: NDArray[np.int64]) -> Any:
    """The model of a table of frequencies >= 1 that sum to 2^24.

    `Categorical` gives every entry 1 and distributes the rest in proportion to the weights. With
    weights freq - 1 that rest is their very sum, so the frequencies come out as they went in;
    with freq / 2^24 they would not.
    """
    weights = (freqs - 1).astype(np.float64)
    return constriction.stream.model.Categorical(weights, perfect=False)


def pack_payload(encoder: Any) -> bytes:
    """Ends a range coder in the fewest bytes.

    The coder's interval is [low, low + range) after some whole words; any number inside decodes. Of
    those with the fewest bytes the smallest is taken, and trailing zero bytes are dropped, so the
    payload is a function of the symbols: on average 0.3 bytes above their ideal length, 0.7 below
    the coder's own words.

    Args:
        encoder: a `RangeEncoder` after its last symbol.

    Returns:
        Bytes, big endian, of which the last is not zero.
    """
    num_words, (low, interval) = encoder.pos()
    size = 4 * num_words + _STATE_BYTES
    sealed = encoder.get_compressed().astype(">u4").tobytes().ljust(size, b"\0")
    # The sealed words lie inside the interval too; going back from them to its lower end undoes
    # whatever carry they hold.
    point = int.from_bytes(sealed, "big")
    base = point - (point - low) % (1 << 64) - low
    for num_bytes in range(_STATE_BYTES + 1):
        unit = 1 << 8 * (_STATE_BYTES - num_bytes)
        end = -(-low // unit) * unit
        if end < low + interval:
            break
    packed: bytes = (base + end).to_bytes(size, "big")
    return packed.rstrip(b"\0")


def unpack_payload(payload: bytes) -> NDArray[np.uint32]:
    """The words that a `RangeDecoder` reads.

    Raises:
        MalformedError: the last byte is zero.
    """
    if payload.endswith(b"\0"):
        raise MalformedError("coder bytes: last byte 0, expected none")
    padded = payload + bytes(-len(payload) % 4)
    return np.frombuffer(padded, ">u4").astype(np.uint32)
