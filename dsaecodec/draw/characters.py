"""Labelled pixel characters: what a clip shows and how it moves, apart by construction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsaecodec.draw.body import draw_body, draw_sword
from dsaecodec.draw.clothes import draw_bottom, draw_top
from dsaecodec.draw.hair import draw_hair
from dsaecodec.draw.pixel_art import show
from dsaecodec.draw.skeleton import pose

ATTRIBUTES = ("body", "bottom", "top", "hair")
ACTIONS = ("walk", "wave", "slash")
DIRECTIONS = ("left", "front", "right")
CYCLE = 8
NUM_VALUES = 6
NUM_CHARACTERS = NUM_VALUES ** len(ATTRIBUTES)
_NUM_TRAIN = 1000
_PAINTERS = {
    "body": draw_body,
    "bottom": draw_bottom,
    "top": draw_top,
    "hair": draw_hair,
    "sword": lambda _, pose: draw_sword(pose),
}


class Character(NamedTuple):
    """The look of a character: four attributes of six values each."""

    body: int
    bottom: int
    top: int
    hair: int

    @classmethod
    def from_index(cls, n: int) -> Character:
        """Character n = body · 216 + bottom · 36 + top · 6 + hair."""
        return cls(n // 216, n // 36 % 6, n // 6 % 6, n % 6)


@dataclass(frozen=True)
class LabelledClip:
    """Frames uint8 [T, 64, 64, 3] and what they show."""

    frames: NDArray[np.uint8]
    labels: dict[str, int]


def split_characters() -> tuple[list[int], list[int]]:
    """1000 training and 296 held-out characters."""
    order = np.random.RandomState(423).permutation(NUM_CHARACTERS)
    return order[:_NUM_TRAIN].tolist(), order[_NUM_TRAIN:].tolist()


def draw_character(
    character: Character, action: int, direction: int, num_frames: int, phase: int = 0
) -> NDArray[np.uint8]:
    """Draw a clip [T, 64, 64, 3]; frame t is pose (phase + t) % CYCLE."""
    layers = [_layers(a, v, action, direction) for a, v in zip(ATTRIBUTES, character, strict=True)]
    order = (phase + np.arange(num_frames)) % CYCLE
    keys = np.maximum.reduce([*layers, _layers("sword", 0, action, direction)])
    return show(keys)[order]


@cache
def _layers(attribute: str, value: int, action: int, direction: int) -> NDArray[np.uint16]:
    """An attribute value in every pose of a motion: keys [8, 64, 64], see `Layer`."""
    poses = [pose(action, direction, phase) for phase in range(CYCLE)]
    return np.stack([_PAINTERS[attribute](value, pose).keys for pose in poses])


def random_characters(
    num_clips: int, num_frames: int, seed: int, *, held_out: bool, random_phase: bool = True
) -> Iterator[LabelledClip]:
    """Clips of random characters in random motion."""
    pool = split_characters()[held_out]
    return random_clips(draw_character, pool, num_clips, num_frames, seed, random_phase)


def random_clips(
    draw: Callable[[Character, int, int, int, int], NDArray[np.uint8]],
    pool: Sequence[int],
    num_clips: int,
    num_frames: int,
    seed: int,
    random_phase: bool,
) -> Iterator[LabelledClip]:
    """Characters of a pool in random motion, drawn by a function such as `draw_character`."""
    rng = np.random.default_rng(seed)
    for _ in range(num_clips):
        character = Character.from_index(pool[int(rng.integers(len(pool)))])
        action, direction, phase = rng.integers((len(ACTIONS), len(DIRECTIONS), CYCLE)).tolist()
        phase = phase if random_phase else 0
        frames = draw(character, action, direction, num_frames, phase)
        motion = {"action": action, "direction": direction, "phase": phase}
        yield LabelledClip(frames, character._asdict() | motion)
