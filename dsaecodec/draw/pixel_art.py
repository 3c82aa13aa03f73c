"""Pixel art by formula: shapes with hard edges, an outline, and light from the upper left.

A layer holds one integer a pixel, `level · 512 + colour`: layers are put over one another by taking
the greatest, so that an arm can pass behind a body and before a coat, whoever draws first.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsaecodec.draw.skeleton import SIZE

Field = NDArray[np.floating[Any]]
"""[64, 64]: distance of every pixel from a shape's edge, negative inside."""

MATERIALS = {
    "ink": (30, 24, 36),
    "white": (236, 238, 244),
    "glow": (90, 240, 250),
    "fair": (246, 200, 160),
    "brown": (150, 92, 56),
    "green": (118, 190, 84),
    "red": (222, 84, 74),
    "bone": (232, 226, 204),
    "steel": (150, 164, 184),
    "leather": (140, 92, 52),
    "gold": (244, 196, 66),
    "denim": (58, 96, 190),
    "sand": (214, 184, 124),
    "rose": (216, 60, 110),
    "plum": (124, 66, 168),
    "lime": (176, 220, 60),
    "forest": (38, 110, 64),
    "iron": (104, 112, 128),
    "linen": (238, 234, 224),
    "crimson": (196, 40, 48),
    "orange": (250, 140, 40),
    "navy": (44, 62, 140),
    "silver": (188, 200, 214),
    "violet": (112, 70, 200),
    "teal": (36, 156, 150),
    "chestnut": (120, 70, 36),
    "blond": (250, 214, 96),
    "flame": (255, 112, 28),
    "indigo": (86, 72, 196),
    "snow": (226, 232, 246),
    "pink": (255, 132, 190),
}
"""RGB of what things are made of; each has four tones: outline, shade, plain, light."""

OUTLINE, SHADE, PLAIN, LIGHT = range(4)
_COLOURS = 512
_NUMBER = {name: 1 + index for index, name in enumerate(MATERIALS)}  # 0 is empty: black

_CENTERS = np.arange(SIZE) + 0.5
Y, X = _CENTERS[:, None], _CENTERS[None, :]


class Layer:
    """One attribute of a character in one pose.

    Attributes:
        keys: uint16 [64, 64], 0 where there is nothing.
    """

    def __init__(self) -> None:
        self.keys = np.zeros((SIZE, SIZE), np.uint16)

    def paint(
        self, distance: Field, level: int, material: str, where: NDArray[np.bool_] | None = None
    ) -> None:
        """Fill a shape, shaded; `where` restricts it to a pattern."""
        down, across = np.gradient(distance)
        light = -0.8 * down - 0.6 * across
        tone = np.full(distance.shape, PLAIN)
        tone[(light < -0.3) & (distance > -2.6)] = SHADE
        tone[(light > 0.55) & (distance > -2.4)] = LIGHT
        tone[distance > -1] = OUTLINE
        self._put(distance < 0 if where is None else (distance < 0) & where, level, material, tone)

    def dot(
        self, x: float, y: float, level: int, material: str, tone: int = PLAIN, size: int = 1
    ) -> None:
        """Set a pixel, or a column of them downwards."""
        column, row = int(x), int(y)
        mask = np.zeros(self.keys.shape, np.bool_)
        mask[row : row + size, column : column + 1] = True
        self._put(mask, level, material, np.full(mask.shape, tone))

    def _put(
        self, mask: NDArray[np.bool_], level: int, material: str, tone: NDArray[np.int_]
    ) -> None:
        mask = mask & (self.keys // _COLOURS <= level)
        keys = level * _COLOURS + 4 * _NUMBER[material] + tone
        self.keys[mask] = keys[mask]


def show(keys: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The colours [..., 3] of keys."""
    return _palette()[keys % _COLOURS]


@cache
def _palette() -> NDArray[np.uint8]:
    table = np.zeros((_COLOURS, 3), np.uint8)
    for name, colour in MATERIALS.items():
        plain = np.array(colour)
        tones = (plain * 3 // 8, plain * 3 // 4, plain, plain + (255 - plain) * 2 // 5)
        table[4 * _NUMBER[name] : 4 * _NUMBER[name] + 4] = tones
    return table


def disc(x: float, y: float, radius: float) -> Field:
    """A disc."""
    return _length(X - x, Y - y) - radius


def ellipse(x: float, y: float, across: float, down: float) -> Field:
    """An ellipse of two radii; the distance is a good guess near the edge."""
    return (_length((X - x) / across, (Y - y) / down) - 1) * min(across, down)


def limb(start: tuple[float, ...], end: tuple[float, ...], first: float, last: float) -> Field:
    """A line between two points with round ends, as wide as the two radii."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    square = dx * dx + dy * dy
    along = np.clip(((X - start[0]) * dx + (Y - start[1]) * dy) / max(square, 1e-9), 0, 1)
    radius = first + (last - first) * along
    return _length(X - start[0] - along * dx, Y - start[1] - along * dy) - radius


def cloth(top: tuple[float, ...], bottom: tuple[float, ...], first: float, last: float) -> Field:
    """An upright trapezoid with cut corners, from one (x, y) to the other, of two half widths."""
    along = np.clip((Y - top[1]) / max(bottom[1] - top[1], 1e-9), 0, 1)
    middle = top[0] + (bottom[0] - top[0]) * along
    beside = np.abs(X - middle) - (first + (last - first) * along)
    beyond = np.maximum(top[1] - Y, Y - bottom[1])
    return np.maximum(np.maximum(beside, beyond), beside + beyond + 1.2)


def _length(x: Field, y: Field) -> Field:
    return np.sqrt(x * x + y * y)  # np.hypot is not the same to the last bit everywhere
