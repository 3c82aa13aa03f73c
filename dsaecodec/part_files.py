"""Outputs under way: temporary names, locked while somebody writes, removed once nobody does.

`.clip.9f3a01c2.part.mp4` lies beside the file that it becomes. Who writes it holds a lock on it,
which the system lets go of when the process ends, in whatever way. So what can be locked belongs
to nobody any more: the next run that writes into that folder removes it. Where files cannot be
locked they stay.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = re.compile(r"\.(?:.*\.)?[0-9a-f]{8}\.part(?:\..*)?", re.DOTALL)


@contextmanager
def held_file(target: Path) -> Iterator[Path]:
    """Make and lock the temporary file of an output; what is left of it afterwards is removed.

    Yields:
        Its path, with the suffix of the output, by which writers choose a format. It is in the
        same folder, so that renaming is atomic.

    Raises:
        OSError: it cannot be made.
    """
    stem, suffix = target.stem[:32], target.suffix[:16]
    with _held(target.parent, f".{stem}.", suffix, is_folder=False) as part:
        yield part


@contextmanager
def held_folder(place: Path) -> Iterator[Path]:
    """The same of a folder within `place`."""
    with _held(place, ".", "", is_folder=True) as part:
        yield part


@contextmanager
def held_inside(target: Path) -> Iterator[Path]:
    """A path for the output in such a folder; there is nothing yet."""
    with held_folder(target.parent) as folder:
        yield folder / target.name


def remove_stale(folder: Path) -> None:
    """Remove temporary files and folders of runs that were killed; those that live keep theirs."""
    with suppress(OSError), os.scandir(folder) as entries:
        found = [entry for entry in entries if _NAME.fullmatch(entry.name)]
        for entry in found:
            with suppress(OSError):
                _remove_unless_held(entry)


def is_part(name: object) -> bool:
    """Whether a path is that of an output under way, or in a folder that is."""
    return any(_NAME.fullmatch(part) for part in Path(str(name)).parts[-2:])


def write_through(part: Path) -> None:
    """Have the system write a file to its disk, so that no crash makes it shorter once renamed.

    Raises:
        OSError: it cannot be written.
    """
    file = os.open(part, os.O_RDWR)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # knows no such thing
            raise OSError(error.errno, error.strerror, str(part)) from error
    finally:
        os.close(file)


def _remove_unless_held(entry: os.DirEntry[str]) -> None:
    is_folder = entry.is_dir(follow_symlinks=False)
    if not is_folder and not entry.is_file(follow_symlinks=False):
        return
    lock = _open(entry.path, is_folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(entry.path, is_folder)
    finally:
        os.close(lock)


@contextmanager
def _held(place: Path, head: str, suffix: str, *, is_folder: bool) -> Iterator[Path]:
    remove_stale(place)
    part, lock = _make(place, head, suffix, is_folder)
    try:
        yield part
    finally:
        with suppress(OSError):
            _remove(part, is_folder)
        os.close(lock)


def _make(place: Path, head: str, suffix: str, is_folder: bool) -> tuple[Path, int]:
    while True:
        part = place / f"{head}{secrets.token_hex(4)}.part{suffix}"
        try:
            if is_folder:
                part.mkdir()
            else:
                part.touch(exist_ok=False)
            if (lock := _open_locked(part, is_folder)) is not None:
                return part, lock
        except FileExistsError:
            continue  # another's name: the next one
        except BaseException:  # a signal's, before whoever asked for the file could see to it
            with suppress(OSError):
                _remove(part, is_folder)
            raise


def _open_locked(part: Path, is_folder: bool) -> int | None:
    """Open and lock; None: another run took it for stale before it was locked."""
    with suppress(FileNotFoundError):
        lock = _open(part, is_folder)
        try:
            if _lock(lock) and os.path.samestat(os.stat(part), os.fstat(lock)):
                return lock
        except FileNotFoundError:
            pass
        os.close(lock)
    return None


def _open(path: str | Path, is_folder: bool) -> int:
    return os.open(path, os.O_RDONLY if is_folder else os.O_RDWR | os.O_NOFOLLOW)


def _lock(lock: int) -> bool:
    """Lock; False: another run did. A system without locks counts as having locked."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _remove(path: str | Path, is_folder: bool) -> None:
    if is_folder:
        shutil.rmtree(path)
    else:
        os.unlink(path)
