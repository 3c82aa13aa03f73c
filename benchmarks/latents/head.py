"""What a payload begins with: quality level and number of frames, one byte for short clips.

That byte is 51 · level + T - 1 for up to 50 frames; for more it is 51 · level + 50, and T follows
in three bytes.
"""

from __future__ import annotations

from bitstream import MalformedError

NUM_LEVELS = 5
MOST_FRAMES = 2**24 - 1

_LENGTHS = 51
_LENGTH_BYTES = 3


def pack_head(level: int, num_frames: int) -> bytes:
    """The first bytes of a payload.

    Raises:
        ValueError: no such level, or too few or many frames.
    """
    if not 0 <= level < NUM_LEVELS or not 1 <= num_frames <= MOST_FRAMES:
        raise ValueError(f"level {level}, {num_frames} frames")
    if num_frames < _LENGTHS:
        return bytes([_LENGTHS * level + num_frames - 1])
    return bytes([_LENGTHS * (level + 1) - 1]) + num_frames.to_bytes(_LENGTH_BYTES, "big")


def read_head(data: bytes) -> tuple[int, int, int]:
    """Level, number of frames, and where the coder's bytes begin.

    Raises:
        MalformedError: `pack_head` makes no such bytes.
    """
    if not data or data[0] >= _LENGTHS * NUM_LEVELS:
        raise MalformedError("payload: its first byte names no level and length")
    level, last = divmod(data[0], _LENGTHS)
    if last < _LENGTHS - 1:
        return level, last + 1, 1
    num_frames = int.from_bytes(data[1 : 1 + _LENGTH_BYTES], "big")
    if len(data) < 1 + _LENGTH_BYTES or num_frames < _LENGTHS:
        raise MalformedError("payload: its length is cut or not in its shortest form")
    return level, num_frames, 1 + _LENGTH_BYTES
