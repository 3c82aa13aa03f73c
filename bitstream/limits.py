"""The limits of format version 1, each stated in docs/bitstream.md."""

from __future__ import annotations

VERSION = 1

MAX_SIDE = 1 << 14
"""Largest width and largest height, pixels."""

MAX_PIXELS = 1 << 27
"""Largest width times height."""

MAX_RATE = 1 << 31
"""Largest numerator and largest denominator of the frame rate."""

MAX_QUALITY = 100

MAX_GOP_FRAMES = 128

MAX_FRAMES = 1 << 31
"""Most frames, and so most GOPs, of a stream."""

MAX_RECORD_BYTES = 1 << 26
"""Longest payload of a record."""

MAX_CODER_BYTES = MAX_RECORD_BYTES - 2
"""Longest output of one symbol coder: a record's payload less its two leading bytes."""

MATRICES = frozenset({1, 2, 5, 6, 9})
"""Legal matrix coefficients, codes of ITU-T H.273."""
