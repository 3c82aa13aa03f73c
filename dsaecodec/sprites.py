"""The Sprites data set of Li & Mandt (2018), built from its source sheets.

The sheets (github.com/YingzhenLi/Sprites, drawn for the Liberated Pixel Cup) are not part of this
project: clone that repository and name its folder. A sheet is one attribute value in every pose,
cells of 64×64 pixels. A character is five sheets one over the other, shoes last, on black:

    FOLDER/body/0.png … 5.png   bottomwear/   topwear/   hair/   shoes/1.png
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsaecodec.draw.characters import (
    CYCLE,
    NUM_VALUES,
    Character,
    LabelledClip,
    random_clips,
    split_characters,
)
from dsaecodec.errors import InputVideoError
from dsaecodec.video.rgba import read_rgba

ACTIONS = ("walk", "spellcard", "slash")
"""Named as in the data set; directions are those of `dsaecodec.draw`: left, front, right."""

_LAYERS = ("body", "bottomwear", "topwear", "hair")  # in the order of a character's attributes
_SHOES = "shoes/1.png"
_CELL = 64
_SHEET = (21, 13)  # rows and columns of cells
_ROWS = ((9, 10, 11), (1, 2, 3), (13, 14, 15))  # of an action, by direction
_COLUMNS = (  # of an action's frames
    (8, 1, 2, 3, 4, 5, 6, 7),
    (0, 1, 2, 3, 4, 5, 4, 6),
    (0, 1, 2, 3, 4, 5, 4, 0),
)
_HINT = "give the folder of the sheets: git clone https://github.com/YingzhenLi/Sprites"


@dataclass(frozen=True)
class Sprites:
    """The data set, drawn as it is asked for.

    Attributes:
        layers: [4 attributes][6 values], poses as `_read_poses` gives them.
        shoes: the same, worn by all.
        train: the 1000 characters of the paper's training set, as numbers 0…1295.
        held_out: the 296 of its test set.
    """

    layers: tuple[tuple[NDArray[np.uint8], ...], ...]
    shoes: NDArray[np.uint8]
    train: list[int]
    held_out: list[int]

    def clip(
        self,
        character: Character | int,
        action: int,
        direction: int,
        num_frames: int = 8,
        phase: int = 0,
    ) -> NDArray[np.uint8]:
        """Draw a clip; 8 frames from phase 0 are the data set's own.

        Args:
            character: attributes, or the number body · 216 + bottom · 36 + top · 6 + hair.
            action: walk, spellcard, slash.
            direction: left, front, right.
            num_frames: length; actions repeat after 8 frames.
            phase: frame t shows pose (phase + t) % 8.

        Returns:
            uint8 [T, 64, 64, 3].
        """
        values = Character.from_index(character) if isinstance(character, int) else character
        sheets = [sheets[value] for sheets, value in zip(self.layers, values, strict=True)]
        canvas = np.zeros((CYCLE, 3, _CELL, _CELL), np.uint16)
        for sheet in (*sheets, self.shoes):
            poses = sheet[action, direction]
            canvas = _over(canvas, poses[:, :3], poses[:, 3:])
        order = (phase + np.arange(num_frames)) % CYCLE
        return canvas.astype(np.uint8).transpose(0, 2, 3, 1)[order]

    def random_clips(
        self,
        num_clips: int,
        num_frames: int,
        seed: int,
        *,
        held_out: bool,
        random_phase: bool = True,
    ) -> Iterator[LabelledClip]:
        """Random characters in random motion, see `dsaecodec.draw.random_characters`."""
        pool = self.held_out if held_out else self.train
        return random_clips(self.clip, pool, num_clips, num_frames, seed, random_phase)


def open_sprites(folder: str | Path) -> Sprites:
    """Read the source sheets.

    Raises:
        InputVideoError: a sheet is missing, damaged or not 832×1344 pixels.
    """
    root = Path(folder)
    names = [[f"{layer}/{value}.png" for value in range(NUM_VALUES)] for layer in _LAYERS]
    missing = [name for name in chain(*names, [_SHOES]) if not (root / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputVideoError(f"{root}: sprite sheet {missing[0]}{more} missing", hint=_HINT)
    layers = tuple(tuple(_read_poses(root / name) for name in group) for group in names)
    return Sprites(layers, _read_poses(root / _SHOES), *split_characters())


def _read_poses(path: Path) -> NDArray[np.uint8]:
    """The cells of a sheet that the data set uses: [3 actions, 3 directions, 8, RGBA, 64, 64]."""
    sheet = read_rgba(path)
    height, width = (cells * _CELL for cells in _SHEET)
    if sheet.shape[:2] != (height, width):
        found = f"{sheet.shape[1]}×{sheet.shape[0]}"
        raise InputVideoError(f"{path}: sprite sheet of {found} pixels, expected {width}×{height}")
    cells = sheet.reshape(_SHEET[0], _CELL, _SHEET[1], _CELL, 4).transpose(0, 2, 4, 1, 3)
    return cells[np.array(_ROWS)[:, :, None], np.array(_COLUMNS)[:, None, :]]


def _over(
    below: NDArray[np.uint16], colour: NDArray[np.uint8], alpha: NDArray[np.uint8]
) -> NDArray[np.uint16]:
    """Composite one layer, values 0…255, rounded to nearest as image libraries do."""
    total = colour * alpha.astype(np.uint16) + below * (255 - alpha)
    total += 128  # at most 65153: a division by 255 in 16 bits
    return (total + (total >> 8)) >> 8
