"""What a frame is and what is known about a video; no file format, no library but NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

TICKS_PER_SECOND = 90_000
"""Unit of timestamps, the one of MPEG systems: whole in nearly every container's clock."""

# Matrix coefficients, ITU-T H.273 table 4; of RGB the planes are green, blue and red.
RGB, BT709, UNSPECIFIED, BT470BG, SMPTE170M, BT2020 = 0, 1, 2, 5, 6, 9
_AS_SEEN = {BT470BG: SMPTE170M, UNSPECIFIED: BT709}  # BT.601 has two codes
KNOWN_MATRICES = frozenset({BT709, BT470BG, SMPTE170M, BT2020})


class Frame420(NamedTuple):
    """One picture in 8-bit YUV 4:2:0; or in RGB, whose planes are all of full size.

    Attributes:
        y: luma, uint8 [H, W]; of RGB, green.
        u: blue-difference chroma, uint8 [ceil(H / 2), ceil(W / 2)]; of RGB, blue.
        v: red-difference chroma, the same shape; of RGB, red.
        ticks: when it is shown, in 1/90000 s from the first frame; None: evenly, by the rate.
    """

    y: Plane
    u: Plane
    v: Plane
    ticks: int | None = None

    @property
    def planes(self) -> tuple[Plane, Plane, Plane]:
        """The samples alone."""
        return self.y, self.u, self.v


@dataclass(frozen=True)
class VideoInfo:
    """What holds for every frame of a video.

    Attributes:
        width: display width in pixels.
        height: display height in pixels.
        fps: frames per second, a mean where the file's rate varies.
        matrix: YUV matrix as an H.273 code: 1 (BT.709), 5, 6 (BT.601), 9 (BT.2020) or 2: the file
            does not say, and RGB is made as of BT.709. 0: the frames are RGB, of full range.
        full_range: True where luma spans 0…255, False for 16…235.
        sample_aspect: width of a pixel over its height as shown.
        num_frames: length if the file states it. A hint, for progress only.
    """

    width: int
    height: int
    fps: Fraction
    matrix: int = BT709
    full_range: bool = False
    sample_aspect: Fraction = Fraction(1)
    num_frames: int | None = None


def same_matrix(one: int, other: int) -> bool:
    """Whether two matrix codes mean the same equations."""
    return _AS_SEEN.get(one, one) == _AS_SEEN.get(other, other)


def plane_shapes(height: int, width: int, matrix: int = BT709) -> tuple[tuple[int, int], ...]:
    """Shapes [rows, columns] of the three planes of a picture of that size and matrix."""
    if matrix == RGB:
        return ((height, width),) * 3
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return (height, width), chroma, chroma


def check_frame(frame: Frame420, height: int, width: int, matrix: int = BT709) -> None:
    """Refuse planes that are not uint8 of the video's size and of the matrix's sampling.

    Raises:
        ValueError: shape or type differs.
    """
    for name, plane, shape in zip(
        "yuv", frame.planes, plane_shapes(height, width, matrix), strict=True
    ):
        if plane.shape != shape or plane.dtype != np.uint8:
            raise ValueError(
                f"plane {name}: {plane.dtype} {list(plane.shape)}, expected uint8 {list(shape)}"
            )
