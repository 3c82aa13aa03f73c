"""Output files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dsaecodec.errors import OutputError, UsageError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def staged(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success it becomes `path`, on any error it is gone.

    A path that exists and is no regular file (a device, a named pipe) is handed back as it is.

    Args:
        path: where the output shall appear.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the file exists, is a directory, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    check_writable(path, overwrite=overwrite)
    is_file = target.is_file() or not target.exists()
    # Same folder, so that the rename is atomic; same suffix, by which muxers choose the format.
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield part if is_file else target
        if is_file:
            os.replace(part, target)
    except OSError as error:
        if error.errno not in _DISK_FULL and error.filename not in (str(part), str(target)):
            raise  # not about this file
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        if is_file:
            with suppress(OSError):
                part.unlink()


def check_writable(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse an output path early, before any work is done for it.

    Raises:
        OutputError: see `staged`.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"{path}: is a directory, expected a file name")
    if not target.parent.is_dir():
        raise OutputError(f"{path}: no such folder: {Path(path).parent}")
    if target.is_file() and not overwrite:
        raise OutputError(f"{path}: exists already", hint="-y replaces it")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"{path}: cannot be written: no permission")


@contextmanager
def open_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that appears whole or not at all; "-" is standard output.

    Raises:
        UsageError: standard output is a terminal.
        OutputError: see `staged`.
    """
    if path == "-":
        yield binary_stdout()
        sys.stdout.buffer.flush()
        return
    with staged(path, overwrite=overwrite) as temporary, open(temporary, "wb") as file:
        yield file


def binary_stdout() -> BinaryIO:
    """Return standard output for bytes.

    Raises:
        UsageError: it is a terminal.
    """
    if sys.stdout.isatty():
        raise UsageError(
            "standard output is a terminal, not a place for binary data",
            hint="redirect it, or name a file with -o",
        )
    return sys.stdout.buffer
