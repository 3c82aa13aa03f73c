"""Training data that needs no file: the sets of `dsaecodec.draw`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dsaecodec.draw import bouncing_balls, moving_layers, random_characters
from dsaecodec.training.config import DataConfig
from dsaecodec.training.shots import Shot, rgb_shot, shot_of_rgb

LAYERS_SIZE = (144, 176)


def draw_shots(config: DataConfig, seed: int, *, rgb: bool = False) -> list[Shot]:
    """Draw the set that a configuration names, as 4:2:0 or as RGB."""
    clips = _draw(config.drawn, config.num_drawn, config.drawn_frames, seed)
    make = rgb_shot if rgb else shot_of_rgb
    return [make(f"{config.drawn} {i}", frames) for i, frames in enumerate(clips)]


def _draw(kind: str, count: int, num_frames: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    if kind == "characters":
        for clip in random_characters(count, num_frames, seed, held_out=False):
            yield clip.frames
        return
    for i in range(count):
        if kind == "balls":
            yield bouncing_balls(num_frames, seed * 10**6 + i).frames
        else:
            frames = moving_layers(num_frames, *LAYERS_SIZE, seed * 10**6 + i)
            yield np.stack(list(frames))
