"""A folder of numbered files that appears whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dsaecodec.errors import OutputError, UsageError
from dsaecodec.part_files import held_folder, is_part, remove_stale

DEFAULT_NAME = "%05d.png"
_NAME = re.compile(r"(?P<head>[^%]*)%(0(?P<digits>[1-9]))?d(?P<tail>[^%]*)")


@dataclass(frozen=True)
class NumberedFolder:
    """Where numbered files go.

    Attributes:
        path: the folder.
        name: name of a file, with one %d or %05d for its number, which counts from 0.
    """

    path: Path
    name: str

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Self | None:
        """What an output path says: "out/%05d.png", or "out/" for the same; None: a plain file.

        Raises:
            UsageError: it is one .png file, or its number is not %d or of the kind %05d.
        """
        text = os.fspath(path)
        folder, name = os.path.split(text)
        if not name and folder:
            return cls(Path(folder), DEFAULT_NAME)
        if not name.lower().endswith(".png"):
            return None
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{text}: expected one number in the name of a picture, such as {DEFAULT_NAME}",
                hint=f"name a folder: {os.path.join(folder or 'frames', DEFAULT_NAME)}",
            )
        return cls(Path(folder or "."), name)

    def check(self, *, overwrite: bool) -> None:
        """Refuse the folder early, before any work is done for it.

        Raises:
            OutputError: there are pictures in it and `overwrite` is False; there is anything else
                in it, which is never replaced; it cannot be written.
        """
        place = self.path if os.path.lexists(self.path) else Path(os.path.abspath(self.path)).parent
        if not place.is_dir():
            found = "is not a folder" if place == self.path else f"no such folder: {place}"
            raise OutputError(f"{self.path}: {found}")
        if not os.access(place, os.W_OK | os.X_OK):
            raise OutputError(f"{self.path}: cannot be written: no permission")
        if place != self.path:
            return
        remove_stale(place)  # what a killed run left here is nobody's
        names = os.listdir(place)
        others = sorted(name for name in names if not self._names(name))
        if others:
            raise OutputError(
                f"{self.path}: holds {others[0]}, expected an empty folder or pictures {self.name}",
                hint="name a new folder",
            )
        if names and not overwrite:
            raise OutputError(f"{self.path}: exists already", hint="-y replaces its pictures")

    @contextmanager
    def staged(self, *, overwrite: bool = False) -> Iterator[Path]:
        """Give a temporary folder; on success its files are the folder's, on any error it is gone.

        A new folder appears by one rename. In one that is there, the files are moved in one by
        one after those of before are removed.

        Raises:
            OutputError: see `check`.
        """
        self.check(overwrite=overwrite)
        target = Path(os.path.realpath(self.path))
        there = target.is_dir()
        try:
            with held_folder(target if there else target.parent) as part:
                yield part
                if there:
                    self._replace(target, part)
                else:
                    part.rename(target)
        except OSError as error:
            name = str(error.filename)
            if not is_part(name) and not is_part(os.path.dirname(name)):
                raise  # not about this folder
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _replace(self, target: Path, part: Path) -> None:
        for name in os.listdir(target):
            if self._names(name):
                (target / name).unlink()
        for file in sorted(part.iterdir()):
            file.rename(target / file.name)

    def _names(self, name: str) -> bool:
        """Whether a file's name is one that numbering gives."""
        match = _NAME.fullmatch(self.name)
        assert match is not None
        digits = f"[0-9]{{{match['digits'] or 1},}}"
        return bool(
            re.fullmatch(re.escape(match["head"]) + digits + re.escape(match["tail"]), name)
        )
