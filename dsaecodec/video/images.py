"""Images as a video: which files, in which order, and reading one of them."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import av

from dsaecodec.errors import InputVideoError
from dsaecodec.video.decoding import Picture
from dsaecodec.video.demuxing import open_container
from dsaecodec.video.orientation import Orientation

_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .webp .bmp .tif .tiff .ppm .pgm .pbm .pnm .pam .dpx .exr .jp2 "
    ".j2k .jxl .dds .avif .gif .qoi .sgi .rgb .pcx .ras .xbm .hdr .pfm .phm".split()
)
_PATTERN = re.compile(r"([^%]*)%(?:0([1-9]))?d([^%]*)")
_HINT = "give a folder of png, jpg, webp, bmp or tif files, or a pattern such as frame_%04d.png"


def list_folder(name: str) -> list[Path]:
    """The images of a folder, in the order a person would number them: 2 before 10.

    Raises:
        InputVideoError: there are none, or the folder cannot be read.
    """
    files = [
        path
        for path in _entries(name, name)
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not files:
        raise InputVideoError(f"{name}: is a folder without images", hint=_HINT)
    return sorted(files, key=_natural)


def is_pattern(name: str) -> bool:
    """Whether a name is a pattern such as frame_%04d.png and no file."""
    return bool(_PATTERN.fullmatch(os.path.basename(name))) and not os.path.exists(name)


def list_pattern(name: str, notes: list[str]) -> list[Path]:
    """The files that fit a pattern, by number.

    Args:
        name: with one %d, or %04d, in its last part.
        notes: is told where numbers are missing.

    Raises:
        InputVideoError: none fits, or the folder cannot be read.
    """
    folder, pattern = os.path.split(name)
    match = _PATTERN.fullmatch(pattern)
    assert match is not None
    head, width, tail = match[1], int(match[2] or 1), match[3]
    number = re.compile(f"{re.escape(head)}([0-9]{{{width},}}){re.escape(tail)}")
    found: dict[int, Path] = {}
    for path in _entries(folder or ".", name):
        digits = number.fullmatch(path.name)
        # 0001 and 1 are the same number, but only one of them is what %04d makes of it
        if digits and digits[1] == f"{int(digits[1]):0{width}d}":
            found[int(digits[1])] = path
    if not found:
        raise InputVideoError(f"{name}: no file has such a name", hint=_HINT)
    missing = max(found) - min(found) + 1 - len(found)
    if missing:
        notes.append(f"{missing} numbers between {min(found)} and {max(found)} have no file")
    return [found[key] for key in sorted(found)]


class ImageDecoder:
    """Iterates over the first pictures of image files; what is damaged is skipped.

    Attributes:
        num_damaged: files skipped so far.
    """

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self.num_damaged = 0

    def __iter__(self) -> Iterator[Picture]:
        for path in self._files:
            try:
                yield _read(path)
            except InputVideoError:
                self.num_damaged += 1


def upright_image(picture: Picture, head: bytes) -> Picture:
    """Turn a picture as its file's EXIF data say; a decoder tells no mirror images."""
    exif = Orientation.of_exif(head)
    return picture if exif is None else picture._replace(orientation=exif)


def _read(path: Path) -> Picture:
    name = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputVideoError(f"{name}: cannot be read: {error.strerror}") from error
    with open_container(io.BytesIO(data), name) as container:
        try:
            frame = next(container.decode(video=0), None)
        except (av.FFmpegError, IndexError, ValueError):
            frame = None
        if frame is None or frame.is_corrupt:
            raise InputVideoError(f"{name}: cannot be decoded")
        picture = Picture(frame, None, Orientation.of(frame))
        return upright_image(picture, data) if is_image(container) else picture


def is_image(container: av.container.InputContainer) -> bool:
    """Whether a container is a bare image file, or several one after the other."""
    return container.format.name.endswith("_pipe")


def _entries(folder: str, name: str) -> list[Path]:
    try:
        return list(Path(folder).iterdir())
    except OSError as error:
        raise InputVideoError(f"{name}: cannot be read: {error.strerror}") from None


def _natural(path: Path) -> list[tuple[bool, int | str]]:
    parts = re.split(r"([0-9]+)", path.name)
    keys: list[tuple[bool, int | str]] = [
        (False, int(part)) if part.isdigit() else (True, part.casefold()) for part in parts if part
    ]
    return [*keys, (True, path.name)]
