"""The planes that a classic codec is given for a clip, and the clip's frames from those it returns.

Ordinary video is coded as it is, 4:2:0. Pixel art is coded 4:4:4, BT.709 full range; a codec that
knows 4:2:0 only gets the mean chroma of 2×2 pixels, and its chroma is repeated on return.

Where an encoder needs a larger picture, rows and columns are added below and to the right, copies
of the last, and cut off on return. Several refuse 4:2:0 of an odd size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from benchmarks.rd.clip import Clip, Frames
from benchmarks.rd.colour import Plane, Planes, rgb_to_yuv444, yuv444_to_rgb
from dsaecodec.video.frame import Frame420, VideoInfo, plane_shapes

PixelFormat = Literal["yuv420p", "yuv444p"]
Size = tuple[int, int]
"""Height and width of luma."""


def pixel_format(clip: Clip, knows_444: bool) -> PixelFormat:
    """The form in which a clip is coded."""
    return "yuv444p" if clip.kind == "rgb" and knows_444 else "yuv420p"


def smallest_size(info: VideoInfo, form: PixelFormat) -> Size:
    """The clip's size, made even for 4:2:0."""
    height, width = info.height, info.width
    return (height, width) if form == "yuv444p" else (height + height % 2, width + width % 2)


def planes_of_clip(clip: Clip, form: PixelFormat, size: Size) -> Iterator[Planes]:
    """Planes of each frame, enlarged to the size, which is even for 4:2:0."""
    chroma = size if form == "yuv444p" else (size[0] // 2, size[1] // 2)
    for frame in clip.frames:
        y, u, v = frame.planes if isinstance(frame, Frame420) else rgb_to_yuv444(frame)
        if clip.kind == "rgb" and form == "yuv420p":
            u, v = _halve(u), _halve(v)
        yield _enlarge(y, size), _enlarge(u, chroma), _enlarge(v, chroma)


def frames_of_planes(decoded: Sequence[Planes], clip: Clip, form: PixelFormat) -> Frames:
    """Frames of the clip's kind and size, of planes of at least that size."""
    luma, chroma, _ = plane_shapes(clip.info.height, clip.info.width)
    if clip.kind == "yuv420":
        return [Frame420(_cut(y, luma), _cut(u, chroma), _cut(v, chroma)) for y, u, v in decoded]
    if form == "yuv420p":
        decoded = [(y, _double(u), _double(v)) for y, u, v in decoded]
    return [yuv444_to_rgb([_cut(plane, luma) for plane in planes]) for planes in decoded]


def _enlarge(plane: Plane, shape: Size) -> Plane:
    missing = [(0, to - side) for to, side in zip(shape, plane.shape, strict=True)]
    return np.pad(plane, missing, mode="edge") if plane.shape != shape else plane


def _cut(plane: Plane, shape: Size) -> Plane:
    return np.ascontiguousarray(plane[: shape[0], : shape[1]])


def _halve(plane: Plane) -> Plane:
    """Mean of 2×2 pixels, the last row and column repeated where the size is odd."""
    even = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="edge").astype(np.uint16)
    rows = even[::2] + even[1::2]
    return ((rows[:, ::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)


def _double(plane: Plane) -> Plane:
    return plane.repeat(2, axis=0).repeat(2, axis=1)
