"""Output files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dsaecodec.errors import OutputError, UsageError
from dsaecodec.output_folder import NumberedFolder
from dsaecodec.part_files import held_file, held_inside, is_part, write_through

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def staged(
    path: str | os.PathLike[str], *, overwrite: bool = False, alone: bool = False
) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success it becomes `path`, on any error it is gone.

    A path that exists and is no regular file (a device, a named pipe) is handed back as it is.
    Temporary files that killed runs left in the same folder are removed, see `part_files`.

    Args:
        path: where the output shall appear.
        overwrite: whether an existing file may be replaced.
        alone: whether the temporary name is in a folder of its own, for those whose writer makes
            files beside it.

    Raises:
        OutputError: the file exists, is a directory, or cannot be written.
    """
    _check_file(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    try:
        if is_special(path):
            yield Path(path)
            return
        with held_inside(target) if alone else held_file(target) as part:
            yield part
            write_through(part)
            _appear(part, target, overwrite=overwrite)
    except OSError as error:
        ours = error.filename in (str(path), str(target)) or is_part(error.filename)
        if error.errno not in DISK_FULL and not ours:
            raise  # not about this file
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _appear(part: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished file its name; one that has come meanwhile is not replaced unasked."""
    if not overwrite:
        try:
            os.link(part, target)
            return
        except FileExistsError:
            raise OutputError(f"{target}: exists already", hint="-y replaces it") from None
        except OSError:  # no hard links here
            if target.exists():
                raise OutputError(f"{target}: exists already", hint="-y replaces it") from None
    os.replace(part, target)


def check_writable(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse an output path early, before any work is done for it; a pattern of pictures too.

    Raises:
        UsageError: see `NumberedFolder.of`.
        OutputError: see `staged` and `NumberedFolder.check`.
    """
    folder = NumberedFolder.of(path)
    if folder is not None:
        folder.check(overwrite=overwrite)
    else:
        _check_file(path, overwrite=overwrite)


def _check_file(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise OutputError(f"{path}: cannot be written: no permission")
        return  # what is written into it needs nothing of its folder
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"{path}: is a directory, expected a file name")
    if not target.parent.is_dir():
        raise OutputError(f"{path}: no such folder: {Path(path).parent}")
    if target.is_file() and not overwrite:
        raise OutputError(f"{path}: exists already", hint="-y replaces it")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: cannot be written: no permission")


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a path is there and neither a regular file nor a folder: a pipe, a device.

    Raises:
        OutputError: no file can have that name.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:  # too long, links in a circle, a null byte
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{str(path)!r}: cannot be written: {reason}") from None
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def open_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that appears whole or not at all; "-" is standard output.

    Raises:
        UsageError: standard output is a terminal or closed.
        OutputError: see `staged`.
    """
    if path == "-":
        stream = binary_stdout()
        yield stream
        stream.flush()
        return
    with staged(path, overwrite=overwrite) as temporary, open(temporary, "wb") as file:
        yield file


def binary_stdout() -> BinaryIO:
    """Return standard output for bytes.

    Raises:
        UsageError: it is a terminal or closed.
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    if sys.stdout.isatty():
        raise UsageError(
            "standard output is a terminal, not a place for binary data",
            hint="redirect it, or name a file with -o",
        )
    return sys.stdout.buffer
