"""Transparent pictures: video has no alpha, so what is transparent is shown over black."""

from __future__ import annotations

import av
import numpy as np

from dsaecodec.video.frame import RGB, Frame420
from dsaecodec.video.pixels import matrix_of, rows, to_full_rgb, to_yuv


def has_alpha(frame: av.VideoFrame) -> bool:
    """Whether a frame's pixels may be transparent."""
    return frame.format.has_palette or any(c.is_alpha for c in frame.format.components)


def blend_over_black(
    frame: av.VideoFrame, matrix: int, full_range: bool, height: int, width: int
) -> tuple[Frame420, bool]:
    """Convert a frame that has alpha, see `to_420`; what is transparent shows black.

    Returns:
        The planes, and whether anything was transparent.
    """
    if matrix == RGB:
        return _blend_rgb(to_full_rgb(frame, "gbrap", matrix_of(frame), (height, width)))
    mixed = to_yuv(frame, "yuva420p", matrix, full_range, (height, width))
    y, u, v, alpha = (rows(plane, plane.width) for plane in mixed.planes)
    if alpha.min() == 255:
        return Frame420(y, u, v), False
    black = 0 if full_range else 16
    edges = [np.arange(0, size, 2) for size in alpha.shape]
    # Chroma is shown through the mean alpha of its 2×2 pixels.
    padded = np.pad(alpha, [(0, size % 2) for size in alpha.shape], mode="edge")
    sums = np.add.reduceat(np.add.reduceat(padded, edges[0], 0, np.uint32), edges[1], 1, np.uint32)
    y, u, v = (
        np.round(black + (plane.astype(np.float32) - black) * weight).astype(np.uint8)
        for plane, black, weight in (
            (y, black, alpha / np.float32(255)),
            (u, 128, sums / np.float32(4 * 255)),
            (v, 128, sums / np.float32(4 * 255)),
        )
    )
    return Frame420(y, u, v), True


def _blend_rgb(mixed: av.VideoFrame) -> tuple[Frame420, bool]:
    """The same of planes G, B, R, alpha."""
    y, u, v, alpha = (rows(plane, plane.width) for plane in mixed.planes)
    if alpha.min() == 255:
        return Frame420(y, u, v), False
    weight = alpha / np.float32(255)
    y, u, v = (np.round(plane * weight).astype(np.uint8) for plane in (y, u, v))
    return Frame420(y, u, v), True
