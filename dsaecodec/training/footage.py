"""Training data from files: video, pictures, folders of both, sheets of sprites, packed shots.

What cannot be read is skipped and reported: one bad file must not end a training.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dsaecodec.codec.gop_plan import mark_cuts
from dsaecodec.errors import CodecError, InputVideoError
from dsaecodec.training.config import DataConfig
from dsaecodec.training.packed import SUFFIX as PACKED_SUFFIX
from dsaecodec.training.packed import read_pack
from dsaecodec.training.shots import Planes, Shot, reduced, rgb_shot, shot_of_planes, shot_of_rgb
from dsaecodec.video.frame import Frame420

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mkv .mov .webm .avi .y4m .mpg .mpeg .ts .mts .m2ts .mxf .wmv .flv .ogv .3gp "
    ".gif".split()
)
PHOTO_SUFFIXES = frozenset(".webp .png .jpg .jpeg .bmp .tif .tiff .avif .ppm".split())
SHEET = "body/0.png"  # a folder that has it holds the source sheets of Sprites
RUN_FILES = {"run.json", "progress.png"}  # together they mark the folder of a run


@dataclass
class Footage:
    """What was read.

    Attributes:
        shots: clips and photos.
        skipped: a line for each file, or end of one, that could not be used.
        left_out: shots that were read and dropped for want of memory.
    """

    shots: list[Shot] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    left_out: int = 0


def read_footage(
    paths: Sequence[Path], config: DataConfig, seed: int = 1, *, rgb: bool = False
) -> Footage:
    """Read everything below some paths.

    Args:
        paths: files, folders (searched to the bottom), patterns such as "frame_%04d.png".
        config: how to cut, reduce and limit it.
        seed: of the sprites that are drawn.
        rgb: as RGB, not 4:2:0.

    Raises:
        InputVideoError: a path does not exist, or nothing in all of them can be used.
    """
    found = Footage()
    keeper = _Keeper(int(config.max_gigabytes * 1e9))
    for path in paths:
        for shot in _read_path(path, _How(config, seed, rgb), found.skipped):
            keeper.add(shot)
    found.shots, found.left_out = keeper.shots, keeper.seen - len(keeper.shots)
    if not found.shots:
        names = ", ".join(str(path) for path in paths)
        count = len(found.skipped)
        why = f"; {count} file{'s' * (count > 1)} cannot be read" if count else ""
        raise InputVideoError(
            f"{names}: no video and no picture to train on{why}",
            hint=found.skipped[0] if found.skipped else "name folders that hold some",
        )
    return found


class _Keeper:
    """Holds shots up to a number of bytes: of more, every second, fourth, …, and one at least."""

    def __init__(self, budget: int) -> None:
        self.shots: list[Shot] = []
        self.seen = 0
        self._budget, self._stride, self._bytes = budget, 1, 0

    def add(self, shot: Shot) -> None:
        if self.seen % self._stride == 0:
            self.shots.append(shot)
            self._bytes += shot.num_bytes
        self.seen += 1
        while self._bytes > self._budget and len(self.shots) > 1:
            self.shots = self.shots[::2]
            self._stride *= 2
            self._bytes = sum(kept.num_bytes for kept in self.shots)


class _How(NamedTuple):
    """How footage is read, see `read_footage`."""

    config: DataConfig
    seed: int
    rgb: bool


def _read_path(path: Path, how: _How, skipped: list[str]) -> Iterator[Shot]:
    if (path / SHEET).is_file():
        yield from _draw_sprites(path, how)
    elif path.is_dir():
        for file in sorted(_files_below(path, skipped)):
            yield from _read_file(file, how, skipped)
    elif path.suffix == PACKED_SUFFIX:
        yield from read_pack(path)
    elif path.exists() or "%" in path.name:
        yield from _read_file(path, how, skipped)
    else:
        raise InputVideoError(f"{path}: no such file or folder")


def _files_below(folder: Path, skipped: list[str]) -> Iterator[Path]:
    """Videos and pictures, through links to folders too; what is hidden stays so."""

    def note(error: OSError) -> None:
        skipped.append(_line(f"{error.filename}: {error.strerror}"))

    known, seen = VIDEO_SUFFIXES | PHOTO_SUFFIXES, set()
    for root, folders, names in os.walk(folder, onerror=note, followlinks=True):
        real = os.path.realpath(root)
        if set(names) >= RUN_FILES:  # a run's own picture is no footage
            names.remove("progress.png")
        folders[:] = [] if real in seen else [name for name in folders if name[0] != "."]
        files = [] if real in seen else [Path(root, name) for name in names if name[0] != "."]
        seen.add(real)
        for file in (file for file in files if file.suffix.lower() in known):
            if file.exists() and not file.is_file():  # a pipe would be waited for
                note(OSError(None, "is no file but a device or a pipe", str(file)))
            else:
                yield file


def _read_file(path: Path, how: _How, skipped: list[str]) -> Iterator[Shot]:
    """Shots of one file; what stops it is noted, and what came before stays."""
    count = 0
    try:
        for shot in _cut(path, _read_frames(path, how.rgb), how):
            count += len(shot)
            yield shot
    except Exception as error:  # whatever a decoder raises on a damaged file
        known = isinstance(error, CodecError | ValueError)
        text = str(error).removeprefix(f"{path}: ") if known else repr(error)
        after = f" after {count} frames" if count else ""
        skipped.append(_line(f"{path}{after}: {text}"))


def _line(text: str) -> str:
    """One line, whatever names files have."""
    return " ".join(text.split("\n"))


def _cut(path: Path, frames: Iterable[Frame420], how: _How) -> Iterator[Shot]:
    """Cut a video where its scenes change, and into segments."""
    held: list[Planes] = []
    begin = 0
    problem: Exception | None = None
    try:
        for frame, cut in mark_cuts(frames):
            if held and (cut or len(held) == how.config.segment):
                yield shot_of_planes(f"{path}@{begin}", held, how.config.max_side)
                begin, held = begin + len(held), []
            # now, not with the whole shot: many frames of full size may not fit into memory
            held.append(reduced(frame.planes, how.config.max_side))
    except Exception as error:  # cut short: what was read before it is sound
        problem = error
    if held:
        yield shot_of_planes(f"{path}@{begin}", held, how.config.max_side)
    if problem is not None:
        raise problem


def _read_frames(path: Path, rgb: bool) -> Iterator[Frame420]:
    """Frames through PyAV, or through OpenCV where PyAV is missing."""
    try:
        from dsaecodec.video import open_video
    except ImportError:
        yield from _read_opencv(path, rgb)
        return
    with open_video(str(path), rgb=rgb) as reader:
        yield from reader


def _read_opencv(path: Path, rgb: bool) -> Iterator[Frame420]:
    import cv2

    def frame_of(bgr: np.ndarray) -> Frame420:
        shot = (rgb_shot if rgb else shot_of_rgb)(path.name, bgr[None, ..., ::-1])
        return Frame420(shot.luma[0].numpy(), *shot.chroma[0].numpy())

    if path.suffix.lower() in PHOTO_SUFFIXES:
        picture = cv2.imread(str(path))
        if picture is None:
            raise ValueError("OpenCV cannot read it")
        yield frame_of(picture)
        return
    capture = cv2.VideoCapture(str(path))
    found, picture = capture.read()
    if not found:
        raise ValueError("OpenCV cannot read it")
    while found:
        yield frame_of(picture)
        found, picture = capture.read()


def _draw_sprites(folder: Path, how: _How) -> Iterator[Shot]:
    """The paper's training characters: random clips, or as RGB each one in each motion."""
    from dsaecodec.draw import DIRECTIONS
    from dsaecodec.sprites import ACTIONS, open_sprites

    sprites = open_sprites(folder)
    if how.rgb:
        for character in sprites.train:
            for action, direction in product(range(len(ACTIONS)), range(len(DIRECTIONS))):
                name = f"sprite {character} {ACTIONS[action]} {DIRECTIONS[direction]}"
                yield rgb_shot(name, sprites.clip(character, action, direction), loops=True)
        return
    config = how.config
    clips = sprites.random_clips(config.num_drawn, config.drawn_frames, how.seed, held_out=False)
    for i, clip in enumerate(clips):
        yield shot_of_rgb(f"sprite {i}", clip.frames)
