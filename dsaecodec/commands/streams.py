"""Opening .dsz streams for the commands that read one."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from dsaecodec.errors import BitstreamError, UsageError
from dsaecodec.input_file import open_input


@contextmanager
def open_stream(source: str) -> Iterator[BinaryIO]:
    """Open a .dsz file or, for "-", standard input; messages about its bytes then name it.

    Raises:
        BitstreamError: it cannot be read.
        UsageError: standard input is a terminal or closed.
    """
    try:
        if source == "-":
            yield _standard_input()
        else:
            with open_input(source, BitstreamError) as file:
                yield file
    except BitstreamError as error:
        name = "standard input" if source == "-" else source
        error.args = (f"{name}: {error}",)
        raise


def is_regular(stream: BinaryIO) -> bool:
    """Whether a stream is a plain file, which can be read twice."""
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        found = "closed" if sys.stdin is None else "a terminal"
        raise UsageError(f"standard input is {found}, not a .dsz stream")
    return sys.stdin.buffer
