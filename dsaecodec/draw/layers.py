"""Drawn clips of ordinary video, for demonstrations and tests that may not need a data set.

Everything is a formula of time and a seed: a band-limited texture pans behind a few textured shapes
that move with momentum and bounce off the border. Motion is sub-pixel, edges are anti-aliased.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NUM_SHAPES = 3
_SHORTEST_WAVE = 6.0  # pixels; finer waves would alias once the texture moves by sub-pixels
_EDGE = 1.0  # half width of an edge's ramp, pixels
_LOBE_DEPTH = 0.18  # how far a lobe stands out, in radii


@dataclass(frozen=True)
class _Texture:
    """A sum of plane waves through a colour ramp, defined at every real position.

    Attributes:
        waves: [K, 4]: angular frequency down and across (radians a pixel), phase, amplitude.
        dark, light: RGB in 0…1, the ends of the ramp.
    """

    waves: Array
    dark: Array
    light: Array

    def at(self, y: Array, x: Array) -> Array:
        """Colour [H, W, 3] in 0…1 at positions y, x that broadcast to [H, W]."""
        total = np.zeros(np.broadcast_shapes(y.shape, x.shape))
        for frequency_y, frequency_x, phase, amplitude in self.waves:
            # sin(a + b) split, so that a grid given as [H, 1] and [1, W] costs two products a pixel
            down, across = frequency_y * y + phase, frequency_x * x
            total += amplitude * np.sin(down) * np.cos(across)
            total += amplitude * np.cos(down) * np.sin(across)
        mix = (0.5 + 0.5 * np.tanh(total))[..., None]
        return self.dark * (1 - mix) + self.light * mix


@dataclass(frozen=True)
class _Shape:
    """A textured blob: a disc whose radius is modulated by its number of lobes.

    Attributes:
        texture: what it is made of; moves and turns with it.
        start, velocity: [2], (y, x), in pixels and pixels a frame.
        radius: pixels.
        lobes: 0 draws a disc, 3 a rounded triangle, 5 a flower …
        spin: radians a frame.
    """

    texture: _Texture
    start: Array
    velocity: Array
    radius: float
    lobes: int
    spin: float

    def paint(self, canvas: Array, t: int) -> None:
        """Draw the shape of frame t over the canvas [H, W, 3]."""
        height, width = canvas.shape[:2]
        center_y = _bounce(self.start[0] + t * self.velocity[0], self.radius / 2, height)
        center_x = _bounce(self.start[1] + t * self.velocity[1], self.radius / 2, width)
        reach = (1 + _LOBE_DEPTH) * self.radius + _EDGE
        rows, columns = _near(center_y, reach, height), _near(center_x, reach, width)
        y = np.array(rows)[:, None] - center_y
        x = np.array(columns)[None, :] - center_x
        cos, sin = math.cos(self.spin * t), math.sin(self.spin * t)
        y, x = cos * y - sin * x, sin * y + cos * x
        distance = np.hypot(y, x)
        edge = self.radius * (1 + _LOBE_DEPTH * np.cos(self.lobes * np.arctan2(y, x)))
        cover = np.clip((edge - distance) / (2 * _EDGE) + 0.5, 0, 1)[..., None]
        shade = 1 - 0.45 * np.clip(distance / self.radius, 0, 1)[..., None] ** 3
        patch = canvas[rows.start : rows.stop, columns.start : columns.stop]
        patch += (self.texture.at(y, x) * shade - patch) * cover


def moving_layers(
    num_frames: int, height: int, width: int, seed: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """Draw a clip: a panning background and three shapes that move over it.

    Args:
        num_frames: length.
        height: pixels, at least 1.
        width: pixels, at least 1.
        seed: the same seed draws the same clip; a longer clip begins with the shorter one.

    Yields:
        RGB frames, uint8 [H, W, 3].
    """
    rng = np.random.default_rng(seed)
    size = float(min(height, width))
    hue = rng.uniform()
    background = _random_texture(rng, hue, longest_wave=0.9 * size, contrast=0.55)
    pan = _random_velocity(rng, 0.4, 1.4)
    sway = rng.uniform(0, 2 * math.pi)
    hues = [hue + (i + 1) / (_NUM_SHAPES + 1) for i in range(_NUM_SHAPES)]
    shapes = [_random_shape(rng, hue, height, width, i) for i, hue in enumerate(hues)]
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    for t in range(num_frames):
        drift = 3 * np.sin(0.05 * t + sway)  # a hand-held camera never pans at constant speed
        canvas = background.at(rows + pan[0] * t + drift, columns + pan[1] * t - drift)
        for shape in shapes:
            shape.paint(canvas, t)
        yield np.rint(255 * np.clip(canvas, 0, 1)).astype(np.uint8)


def _random_texture(
    rng: np.random.Generator, hue: float, longest_wave: float, contrast: float
) -> _Texture:
    """Waves of random direction, lengths spread evenly over octaves, amplitude falling with 1/f."""
    longest = max(longest_wave, 2 * _SHORTEST_WAVE)
    num_waves = 10
    lengths = np.exp(rng.uniform(math.log(_SHORTEST_WAVE), math.log(longest), num_waves))
    angles = rng.uniform(0, 2 * math.pi, num_waves)
    amplitudes = (lengths / longest) ** 0.7 * rng.uniform(0.6, 1.2, num_waves)
    waves = np.stack(
        [
            2 * math.pi / lengths * np.sin(angles),
            2 * math.pi / lengths * np.cos(angles),
            rng.uniform(0, 2 * math.pi, num_waves),
            amplitudes,
        ],
        axis=1,
    )
    return _Texture(
        waves,
        dark=_rgb(hue, 0.75, 0.5 - contrast / 2),
        light=_rgb(hue + 0.08, 0.35, 0.5 + contrast / 2),
    )


def _random_shape(
    rng: np.random.Generator, hue: float, height: int, width: int, index: int
) -> _Shape:
    radius = rng.uniform(0.12, 0.2) * min(height, width)
    return _Shape(
        texture=_random_texture(rng, hue, longest_wave=1.5 * radius, contrast=0.8),
        start=rng.uniform(0.2, 0.8, 2) * (height, width),
        velocity=_random_velocity(rng, 0.6, 2.2),
        radius=radius,
        lobes=(0, 3, 5)[index % 3],
        spin=rng.uniform(-0.06, 0.06),
    )


def _random_velocity(rng: np.random.Generator, slowest: float, fastest: float) -> Array:
    speed, angle = rng.uniform(slowest, fastest), rng.uniform(0, 2 * math.pi)
    return speed * np.array([math.sin(angle), math.cos(angle)])


def _near(center: float, reach: float, extent: int) -> range:
    """Pixels of 0…extent - 1 within reach of the center."""
    start = min(max(0, math.floor(center - reach)), extent)
    return range(start, min(extent, max(start, math.ceil(center + reach) + 1)))


def _bounce(position: float, margin: float, extent: int) -> float:
    """Fold a position that moves on for ever into [margin, extent - margin], as a ball bounces."""
    span = extent - 2 * margin
    if span <= 0:
        return extent / 2
    phase = (position - margin) % (2 * span)
    return margin + min(phase, 2 * span - phase)


def _rgb(hue: float, saturation: float, value: float) -> Array:
    """HSV to RGB in 0…1, hue in turns."""
    offsets = (hue % 1.0) * 6 + np.array([5.0, 3.0, 1.0])
    ramp = np.clip(np.minimum(offsets % 6, 4 - offsets % 6), 0, 1)
    return value - value * saturation * ramp
