"""Pictures side by side: one frame, cut where the clip changes most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CROP = 144  # pixels a side, at most


@dataclass(frozen=True)
class Crop:
    """A part of a decoded frame.

    Attributes:
        group, clip: what was coded.
        codec: name, or "original" for the source, of which bytes, bpp and psnr_rgb are 0.
        bytes, bpp: of the whole clip.
        psnr_rgb: of the clip, dB.
        frame: index of the frame.
        picture: uint8 [h, w, 3].
    """

    group: str
    clip: str
    codec: str
    bytes: int
    bpp: float
    psnr_rgb: float
    frame: int
    picture: NDArray[np.uint8]


def busiest(frames: list[NDArray[np.uint8]], size: int = CROP) -> tuple[int, slice, slice]:
    """Frame and window to show: the middle frame, where the clip changes most over time.

    The choice depends on the source alone, so no codec can be favoured by it.

    Args:
        frames: RGB, uint8 [H, W, 3].
        size: side of the window, cut to the frame's.
    """
    height, width = frames[0].shape[:2]
    h, w = min(size, height), min(size, width)
    step = max(1, len(frames) // 16)
    luma = np.stack([frame.mean(axis=2) for frame in frames[::step]])
    change = luma.std(axis=0)
    total = np.pad(change.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    top, left = (int(i) for i in np.unravel_index(int(sums.argmax()), sums.shape))
    return len(frames) // 2, slice(top, top + h), slice(left, left + w)
