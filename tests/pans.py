"""Clips whose every content is mostly in the one before."""

from __future__ import annotations

from numpy.typing import NDArray

from dsaecodec.draw import moving_layers


def pan(num_frames: int, height: int, width: int, seed: int, speed: int = 1) -> list[NDArray]:
    """One drawn picture, seen through a window that moves `speed` pixels a frame to the right."""
    wide = next(iter(moving_layers(1, height, width + speed * (num_frames - 1), seed)))
    return [wide[:, speed * t : speed * t + width] for t in range(num_frames)]
