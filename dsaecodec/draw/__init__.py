"""Drawn clips: what demonstrations, tests and benchmarks show without a data set.

Everything is a formula of time and a seed; nothing here reads a file or needs more than NumPy.

    layers      textured shapes over a panning texture: ordinary video
    characters  labelled pixel characters: what a clip shows and how it moves, apart by construction
    balls       bouncing balls whose physics are exact
"""

from __future__ import annotations

from dsaecodec.draw.balls import BallsClip, bouncing_balls
from dsaecodec.draw.characters import (
    ACTIONS,
    ATTRIBUTES,
    CYCLE,
    DIRECTIONS,
    NUM_CHARACTERS,
    Character,
    LabelledClip,
    draw_character,
    random_characters,
    split_characters,
)
from dsaecodec.draw.layers import moving_layers

__all__ = [
    "ACTIONS",
    "ATTRIBUTES",
    "CYCLE",
    "DIRECTIONS",
    "NUM_CHARACTERS",
    "BallsClip",
    "Character",
    "LabelledClip",
    "bouncing_balls",
    "draw_character",
    "moving_layers",
    "random_characters",
    "split_characters",
]
