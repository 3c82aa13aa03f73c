"""What the models are trained on and watched with: drawn clips.

No clip here is one of the benchmark's: characters come from the training characters alone, the last
50 of which only validate, and balls from seeds that the benchmark does not reach.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from dsaecodec.draw import (
    ACTIONS,
    CYCLE,
    DIRECTIONS,
    Character,
    bouncing_balls,
    draw_character,
    split_characters,
)

SetName = Literal["characters", "balls"]
SETS: tuple[SetName, ...] = get_args(SetName)

Frames = NDArray[np.uint8]

FIRST_BALLS_SEED = 1_000_000
_FIRST_VALIDATION_SEED = 2_000_000
_NUM_VALIDATION_CHARACTERS = 50
_VALIDATION_SEED = 2_000_000
_BALLS_FRAMES = 40


class Clips(Protocol):
    """A source of clips.

    Attributes:
        lengths: the shortest and the longest clip to train on, frames.
    """

    lengths: tuple[int, int]

    def draw(self, count: int, num_frames: int, rng: np.random.Generator) -> Frames:
        """Training clips, uint8 [B, T, 64, 64, 3]."""
        ...

    def validation(self, count: int) -> Frames:
        """Clips that training never shows, of the benchmark's length."""
        ...


class CharacterClips:
    """Characters in any motion from any phase."""

    lengths = (8, 16)

    def __init__(self) -> None:
        known, _ = split_characters()
        self._train = known[:-_NUM_VALIDATION_CHARACTERS]
        self._valid = known[-_NUM_VALIDATION_CHARACTERS:]

    def draw(self, count: int, num_frames: int, rng: np.random.Generator) -> Frames:
        """See `Clips.draw`."""
        return _characters(self._train, count, num_frames, rng)

    def validation(self, count: int) -> Frames:
        """See `Clips.validation`."""
        return _characters(self._valid, count, 16, np.random.default_rng(_VALIDATION_SEED))


def _characters(pool: list[int], count: int, num_frames: int, rng: np.random.Generator) -> Frames:
    clips = []
    for _ in range(count):
        character = Character.from_index(pool[rng.integers(len(pool))])
        action, direction, phase = rng.integers((len(ACTIONS), len(DIRECTIONS), CYCLE)).tolist()
        clips.append(draw_character(character, action, direction, num_frames, phase))
    return np.stack(clips)


class BallsClips:
    """Three bouncing balls: parts of clips drawn once.

    The physics knows no left, up, sooner or red, so each clip stands for 96: mirrored, turned,
    played backwards, with its colour channels in another order.

    Args:
        num_clips: how many are drawn.
    """

    lengths = (16, 32)

    def __init__(self, num_clips: int = 1000) -> None:
        seeds = range(FIRST_BALLS_SEED, FIRST_BALLS_SEED + num_clips)
        self._clips = _balls(seeds, _BALLS_FRAMES)

    def draw(self, count: int, num_frames: int, rng: np.random.Generator) -> Frames:
        """See `Clips.draw`."""
        chosen = []
        for _ in range(count):
            begin = rng.integers(_BALLS_FRAMES - num_frames + 1)
            clip = self._clips[rng.integers(len(self._clips)), begin : begin + num_frames]
            chosen.append(_other_view(clip, rng))
        return np.stack(chosen)

    def validation(self, count: int) -> Frames:
        """See `Clips.validation`."""
        return _balls(range(_FIRST_VALIDATION_SEED, _FIRST_VALIDATION_SEED + count), 32)


def _balls(seeds: Iterable[int], num_frames: int) -> Frames:
    return np.stack([bouncing_balls(num_frames, seed).frames for seed in seeds])


def _other_view(clip: Frames, rng: np.random.Generator) -> Frames:
    """A clip [T, 64, 64, 3] that is as likely as this one."""
    if rng.integers(2):
        clip = clip[::-1]
    if rng.integers(2):
        clip = clip.transpose(0, 2, 1, 3)
    if rng.integers(2):
        clip = clip[:, ::-1]
    if rng.integers(2):
        clip = clip[:, :, ::-1]
    return clip[..., rng.permutation(3)]


def drawing_identity(clips: Clips) -> str:
    """8 hexadecimal digits that change when the drawing does: weights belong to one drawing."""
    return hashlib.sha256(clips.validation(4).tobytes()).hexdigest()[:8]


def open_clips(name: SetName) -> Clips:
    """The clips of a set."""
    return CharacterClips() if name == "characters" else BallsClips()
