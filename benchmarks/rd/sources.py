"""Where clips come from: the sets we draw, the paper's Sprites, folders of footage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.rd.clip import Clip, rgb_clip
from benchmarks.rd.point import Note
from dsaecodec.draw import bouncing_balls, moving_layers, random_characters
from dsaecodec.errors import CodecError, InputVideoError
from dsaecodec.sprites import open_sprites
from dsaecodec.video import Frame420, VideoInfo, open_video, rgb_to_420

SEED = 7
"""Of the drawn sets; weights that are trained on drawn clips use others."""

MAX_CLIP_BYTES = 2**30
"""A clip is held in memory, and once more by each codec; of a larger one the beginning is taken."""


@dataclass(frozen=True)
class Amount:
    """How much of a set to take.

    Attributes:
        small: clips of each set of 64×64 pictures.
        layers: drawn clips of ordinary video.
        frames: of a clip of footage, None for all.
    """

    small: int
    layers: int
    frames: int | None


QUICK = Amount(small=5, layers=2, frames=64)
FULL = Amount(small=48, layers=8, frames=None)


def drawn_clips(amount: Amount) -> Iterator[Clip]:
    """Pixel characters (held out, any phase), bouncing balls, moving layers."""
    for index, drawn in enumerate(random_characters(amount.small, 16, SEED, held_out=True)):
        yield rgb_clip(f"characters-{index:02}", "characters", drawn.frames, 12, drawn.labels)
    for index in range(amount.small):
        balls = bouncing_balls(32, SEED + index)
        yield rgb_clip(f"balls-{index:02}", "balls", balls.frames, 25, balls.labels)
    for index in range(amount.layers):
        yield layers_clip(33, 192, 320, index)


def layers_clip(num_frames: int, height: int, width: int, index: int = 0) -> Clip:
    """A drawn clip of ordinary video."""
    drawn = moving_layers(num_frames, height, width, SEED + index)
    info = VideoInfo(width, height, Fraction(25))
    frames = [rgb_to_420(rgb, info.matrix, info.full_range) for rgb in drawn]
    return Clip(f"layers-{index:02}", "layers", "yuv420", info, frames)


def sprites_clips(folder: Path, amount: Amount) -> Iterator[Clip]:
    """Held-out clips of the paper's Sprites: 8 frames aligned, and 16 frames from any phase.

    Args:
        folder: of the source sheets, see `dsaecodec.sprites`.
        amount: how many of each.

    Raises:
        InputVideoError: a sheet is missing.
    """
    sprites = open_sprites(folder)
    rng = np.random.default_rng(SEED)
    for index in range(amount.small):
        character = int(rng.choice(sprites.held_out))
        action, direction, phase = (int(rng.integers(n)) for n in (3, 3, 8))
        for group, length, start in (("sprites", 8, 0), ("sprites-any-phase", 16, phase)):
            frames = sprites.clip(character, action, direction, length, start)
            labels = {"action": 3 * action + direction}
            yield rgb_clip(f"{group}-{index:02}", group, frames, 12, labels)


def footage_clips(folders: list[Path], frames: int | None) -> Iterator[Clip | Note]:
    """Every video in the folders, as 4:2:0, a group a folder; a note for each that is unreadable.

    Raises:
        InputVideoError: a folder is missing or holds no video.
    """
    folders = list({folder.resolve(): folder for folder in folders}.values())
    names = [folder.resolve().name for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        if not folder.is_dir():
            raise InputVideoError(f"{folder}: not a folder of clips")
        group = name if names.count(name) == 1 else str(folder)
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not _hidden(path))
        if not paths:
            raise InputVideoError(f"{folder}: holds no clip")
        for path in paths:
            yield from _footage(path, group, frames)


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.suffix.lower() in {".csv", ".md", ".txt", ".json"}


def _footage(path: Path, group: str, limit: int | None) -> Iterator[Clip | Note]:
    frames: list[Frame420] = []
    cut = None
    try:
        with open_video(path) as video:
            info = video.info
            fits = MAX_CLIP_BYTES // (info.width * info.height * 3 // 2 + 1) + 1
            for frame in video:
                frames.append(frame)
                if len(frames) == limit:
                    break
                if len(frames) == fits:
                    cut = f"only the first {fits} frames: more do not fit in memory"
                    break
    except CodecError as error:
        yield Note(group, path.name, "", f"cannot be read: {error}")
        return
    if cut:
        yield Note(group, path.name, "", cut)
    plain = [frame._replace(ticks=None) for frame in frames]  # a classic stream has no times
    yield Clip(path.name, group, "yuv420", info, plain)
