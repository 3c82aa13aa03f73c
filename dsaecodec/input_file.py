"""Files that are read, whose failures are the input's and not ours, at whatever byte they come."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO, cast

from dsaecodec.errors import CodecError


def open_input(path: str | os.PathLike[str], error: type[CodecError], name: str = "") -> BinaryIO:
    """Open a file to read from.

    Args:
        path: of the file.
        error: what is raised, here and by every read, where the system refuses.
        name: of the file in messages; empty where whoever catches the error adds it.
    """
    try:
        raw = _InputFile(path)
    except OSError as found:
        raise _error(found, error, name) from found
    raw.error, raw.named = error, name
    return cast(BinaryIO, io.BufferedReader(raw))


class _InputFile(io.FileIO):
    error: type[CodecError]
    named: str

    def readinto(self, buffer: Any) -> Any:
        try:
            return super().readinto(buffer)
        except OSError as found:  # a drive that is gone, a network that is down
            raise _error(found, self.error, self.named) from found

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as found:
            raise _error(found, self.error, self.named) from found


def _error(found: OSError, error: type[CodecError], name: str) -> CodecError:
    missing = isinstance(found, FileNotFoundError)
    reason = "no such file" if missing else found.strerror
    before = "" if missing and name else "cannot be read: "
    return error(f"{name}: {before}{reason}" if name else f"{before}{reason}")
