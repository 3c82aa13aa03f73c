"""YUV4MPEG2, the uncompressed format of pipes: one text line, then "FRAME" and planes per picture.

FFmpeg's own reader ends without a word where a file is cut inside a frame; this one says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from dsaecodec.errors import InputVideoError
from dsaecodec.video.frame import KNOWN_MATRICES, UNSPECIFIED

MAGIC = b"YUV4MPEG2"
MATRIX_FIELD = "XDSAMATRIX="
_LINE_LIMIT = 1024  # bytes; a header line is some 60 long
_SIZE_LIMIT = 65535  # pixels a side

# Chroma tag → pixel format as FFmpeg names it.
_FORMATS = {
    "420": "yuv420p",
    "420jpeg": "yuv420p",
    "420mpeg2": "yuv420p",
    "420paldv": "yuv420p",
    "411": "yuv411p",
    "422": "yuv422p",
    "444": "yuv444p",
    "mono": "gray",
}
_FORMATS |= {
    f"{c}p{bits}": f"yuv{c}p{bits}le" for c in (420, 422, 444) for bits in (9, 10, 12, 14, 16)
}
_FORMATS |= {f"mono{bits}": f"gray{bits}le" for bits in (9, 10, 12, 14, 16)}


@dataclass(frozen=True)
class Y4mHeader:
    """The stream's first line.

    Attributes:
        width, height: pixels.
        fps: frames per second.
        pixel_format: FFmpeg's name.
        full_range: whether luma spans 0…255.
        matrix: YUV matrix as an H.273 code, in a field of our own; 2 if not stated.
        sample_aspect: width of a pixel over its height; None if not stated.
        parity: "tff" or "bff" where each frame is interlaced so, "auto" otherwise.
    """

    width: int
    height: int
    fps: Fraction
    pixel_format: str
    full_range: bool
    matrix: int = UNSPECIFIED
    sample_aspect: Fraction | None = None
    parity: str = "auto"


def _stated_matrix(fields: list[str]) -> int:
    """The matrix that `Y4mWriter` notes down; other programs pass such fields over."""
    for field in fields:
        if field.startswith(MATRIX_FIELD) and field[len(MATRIX_FIELD) :].isdecimal():
            matrix = int(field[len(MATRIX_FIELD) :][:4])
            return matrix if matrix in KNOWN_MATRICES else UNSPECIFIED
    return UNSPECIFIED


def read_header(stream: BinaryIO, name: str) -> Y4mHeader:
    """Read the first line, whose magic has been read already.

    Args:
        stream: positioned after `MAGIC`.
        name: what to call the file in messages.

    Raises:
        InputVideoError: a field is missing or senseless.
    """
    fields = _read_line(stream, name).decode("latin-1").split()
    values = {field[0]: field[1:] for field in fields if field[0] in "WHFCAI"}
    chroma = values.get("C", "420")
    try:
        width, height = int(values["W"]), int(values["H"])
        rate, base = (int(part) for part in values.get("F", "0:0").split(":"))
        wide, high = (int(part) for part in values.get("A", "0:0").split(":"))
    except (KeyError, ValueError):
        raise InputVideoError(f"{name}: y4m header without a valid W, H, F or A field") from None
    if not (0 < width <= _SIZE_LIMIT and 0 < height <= _SIZE_LIMIT):
        raise InputVideoError(f"{name}: picture of {width}x{height}, expected 1…{_SIZE_LIMIT}")
    if chroma not in _FORMATS:
        raise InputVideoError(
            f"{name}: y4m chroma format {chroma!r} is unknown",
            hint="convert it: ffmpeg -i IN -pix_fmt yuv420p OUT.y4m",
        )
    return Y4mHeader(
        width=width,
        height=height,
        fps=Fraction(rate, base) if rate > 0 and base > 0 else Fraction(25),
        pixel_format=_FORMATS[chroma],
        full_range="XCOLORRANGE=FULL" in fields,
        matrix=_stated_matrix(fields),
        sample_aspect=Fraction(wide, high) if wide > 0 and high > 0 else None,
        parity={"t": "tff", "b": "bff"}.get(values.get("I", ""), "auto"),
    )


def iter_payloads(stream: BinaryIO, payload_bytes: int, name: str) -> Iterator[bytes]:
    """Yield the bytes of each picture, planes one after the other.

    Raises:
        InputVideoError: a frame is malformed or cut short.
    """
    index = 0
    while line := _read_line(stream, name):
        if line.split()[:1] != [b"FRAME"]:
            raise InputVideoError(f"{name}: frame {index} does not start with FRAME")
        payload = stream.read(payload_bytes)
        while len(payload) < payload_bytes and (more := stream.read(payload_bytes - len(payload))):
            payload += more
        if len(payload) < payload_bytes:
            raise InputVideoError(
                f"{name}: truncated: frame {index} has {len(payload)} of {payload_bytes} bytes",
                hint=f"use the {index} before: --frames {index}" if index else None,
            )
        yield payload
        index += 1


def count_frames(stream: BinaryIO, payload_bytes: int) -> int | None:
    """Number of frames left in a regular file from its size, None for a pipe."""
    if not stream.seekable():
        return None
    here = stream.tell()
    left = stream.seek(0, os.SEEK_END) - here
    stream.seek(here)
    return left // (payload_bytes + len(b"FRAME\n"))


def _read_line(stream: BinaryIO, name: str) -> bytes:
    """Read up to a newline; empty at the end of the stream."""
    line = stream.readline(_LINE_LIMIT)
    if line and not line.endswith(b"\n"):
        raise InputVideoError(f"{name}: truncated or malformed y4m: a header line does not end")
    return line
