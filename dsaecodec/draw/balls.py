"""Bouncing balls with exact physics: discs in a box, elastic, computed event by event.

Between two events every ball moves along a straight line, so the time of the next event is the root
of a linear (wall) or quadratic (pair) equation. Nothing is stepped through time and nothing drifts:
a clip's positions are exact up to rounding, however long it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_RADII = (0.09, 0.15)  # of the box, for up to three balls; more balls are smaller
_CROWD = 3
_SPEED = 0.055  # root mean square, boxes a frame
_TRIES = 200  # random places for a ball before all are placed anew


@dataclass(frozen=True)
class BallsClip:
    """A clip and the truth behind it.

    The box is the picture, 0…size both ways: the center of pixel (i, j) is at (i + 0.5, j + 0.5).

    Attributes:
        frames: uint8 [T, size, size, 3].
        positions: [T, N, 2], (y, x) of the centers in pixels.
        velocities: [T, N, 2], pixels a frame.
        radii: [N], pixels; masses are proportional to their squares.
        labels: "balls", how many there are.
    """

    frames: NDArray[np.uint8]
    positions: Array
    velocities: Array
    radii: Array
    labels: dict[str, int]


def bouncing_balls(num_frames: int, seed: int, num_balls: int = 3, size: int = 64) -> BallsClip:
    """Draw balls of different size and colour that bounce off each other and off the border.

    Args:
        num_frames: length.
        seed: the same seed draws the same clip; a longer clip begins with the shorter one.
        num_balls: at least 1.
        size: height and width, pixels.
    """
    rng = np.random.default_rng([seed, num_balls, size])
    largest = size * min(1.0, math.sqrt(_CROWD / num_balls))
    radii = largest * rng.uniform(*_RADII, num_balls)
    box = _Box(radii, _place(rng, radii, size), _random_velocities(rng, radii, size), size)
    colours = _colours(rng, num_balls)
    positions, velocities = np.empty((2, num_frames, num_balls, 2))
    for t in range(num_frames):
        if t > 0:
            box.advance(1.0)
        positions[t], velocities[t] = box.positions, box.velocities
    frames = np.empty((num_frames, size, size, 3), np.uint8)
    for t in range(num_frames):
        frames[t] = _paint(positions[t], radii, colours, size)
    return BallsClip(frames, positions, velocities, radii, {"balls": num_balls})


class _Box:
    """Balls in a box, moved from event to event."""

    def __init__(self, radii: Array, positions: Array, velocities: Array, size: float) -> None:
        self.radii = radii
        self.positions = positions
        self.velocities = velocities
        self._low = radii[:, None]
        self._high = size - radii[:, None]
        self._first, self._second = np.triu_indices(len(radii), 1)
        self._reach2 = (radii[self._first] + radii[self._second]) ** 2

    def advance(self, duration: float) -> None:
        """Move on by a time in frames, through every collision in it."""
        while True:
            walls, pairs = self._until_walls(), self._until_pairs()
            wall, pair = walls.min(), pairs.min(initial=math.inf)
            step = min(wall, pair)
            if step > duration:
                self.positions = self.positions + duration * self.velocities
                return
            self.positions = self.positions + step * self.velocities
            duration -= step
            self.velocities = self.velocities.copy()
            if wall <= pair:
                self.velocities[np.unravel_index(walls.argmin(), walls.shape)] *= -1
            else:
                self._collide(int(pairs.argmin()))

    def _until_walls(self) -> Array:
        """[N, 2]: time until a ball touches the wall it moves towards."""
        v = self.velocities
        gap = np.where(v > 0, self._high - self.positions, self.positions - self._low)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(v == 0, math.inf, np.maximum(gap, 0) / np.abs(v))

    def _until_pairs(self) -> Array:
        """[N(N-1)/2]: time until two balls that near each other touch, or infinity."""
        r = self.positions[self._second] - self.positions[self._first]
        v = self.velocities[self._second] - self.velocities[self._first]
        # |r + v t|² = reach²: a t² + 2 b t + c = 0; the earlier root, without cancellation
        a, b, c = (v * v).sum(1), (r * v).sum(1), (r * r).sum(1) - self._reach2
        root = b * b - a * c
        meets = (b < 0) & (root > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            time = np.maximum(c, 0) / (np.sqrt(np.maximum(root, 0)) - b)
        return np.where(meets, time, math.inf)

    def _collide(self, pair: int) -> None:
        """Exchange momentum along the line of centers; masses are the squared radii."""
        i, j = self._first[pair], self._second[pair]
        normal = self.positions[j] - self.positions[i]
        normal /= math.hypot(*normal)
        mass_i, mass_j = self.radii[i] ** 2, self.radii[j] ** 2
        closing = normal @ (self.velocities[j] - self.velocities[i])
        impulse = 2 * mass_i * mass_j / (mass_i + mass_j) * closing * normal
        self.velocities[i] += impulse / mass_i
        self.velocities[j] -= impulse / mass_j


def _place(rng: np.random.Generator, radii: Array, size: float) -> Array:
    """Random centers [N, 2] at which no ball touches another or a wall."""
    while True:
        placed: list[Array] = []
        for i, radius in enumerate(radii):
            for _ in range(_TRIES):
                center = rng.uniform(radius, size - radius, 2)
                gaps = [math.dist(center, placed[j]) - radius - radii[j] for j in range(i)]
                if min(gaps, default=1.0) > 0:
                    placed.append(center)
                    break
        if len(placed) == len(radii):
            return np.array(placed)


def _random_velocities(rng: np.random.Generator, radii: Array, size: float) -> Array:
    """[N, 2] of random direction, scaled to the same mean energy for every clip."""
    velocities = rng.standard_normal((len(radii), 2))
    mean_square = (radii[:, None] ** 2 * velocities**2).sum() / (radii**2).sum()
    return velocities * (_SPEED * size / math.sqrt(mean_square))


def _colours(rng: np.random.Generator, num_balls: int) -> Array:
    """[N, 3] in 0…255, hues evenly apart from a random start."""
    turns = rng.uniform() + np.arange(num_balls) / num_balls
    ramp = 0.5 + 0.5 * np.cos(2 * math.pi * (turns[:, None] - np.array([0, 1 / 3, 2 / 3])))
    return 255 * (0.2 + 0.8 * ramp)


def _paint(positions: Array, radii: Array, colours: Array, size: int) -> NDArray[np.uint8]:
    """One frame: a pixel's share of a ball is its anti-aliased cover, on black."""
    centers = np.arange(size) + 0.5
    canvas = np.zeros((size, size, 3))
    for (y, x), radius, colour in zip(positions, radii, colours, strict=True):
        distance = np.hypot(centers[:, None] - y, centers - x)
        cover = np.clip(radius - distance + 0.5, 0, 1)[..., None]
        canvas += (colour - canvas) * cover
    return np.rint(canvas).astype(np.uint8)
