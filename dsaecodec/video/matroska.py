"""Is a Matroska or WebM file complete? FFmpeg decodes a truncated one without a word.

The file is two EBML elements, a header and a segment, each an identifier, a length, a body; the
lengths say where it must end. EBML (RFC 8794): the first byte's leading zeros tell how many bytes
an identifier or a length has; a length whose bits are all ones is unknown (live streams).
"""

from __future__ import annotations

import os
from typing import BinaryIO

_HEADER, _SEGMENT = 0x1A45DFA3, 0x18538067


def missing_bytes(stream: BinaryIO) -> int:
    """Count the bytes a seekable Matroska file lacks, 0 for any other file; rewinds the stream."""
    size = stream.seek(0, os.SEEK_END)
    end = 0
    for expected in (_HEADER, _SEGMENT):
        stream.seek(end)
        if _read_number(stream, keep_marker=True) != expected:
            break
        length = _read_number(stream, keep_marker=False)
        if length is None:
            break
        end = stream.tell() + length
    stream.seek(0)
    return max(0, end - size)


def _read_number(stream: BinaryIO, *, keep_marker: bool) -> int | None:
    """Read an EBML variable-length number; None at the end, or for an unknown length."""
    first = stream.read(1)
    if not first or not first[0]:
        return None
    num_bytes = 9 - first[0].bit_length()
    number = int.from_bytes(first + stream.read(num_bytes - 1), "big")
    if keep_marker:
        return number
    marker = 1 << (7 * num_bytes)
    return None if number == 2 * marker - 1 else number - marker
