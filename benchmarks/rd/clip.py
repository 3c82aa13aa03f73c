"""What is coded: a clip in the form in which it is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dsaecodec.video.frame import Frame420, VideoInfo

RgbFrame = NDArray[np.uint8]
Frames = list[Frame420] | list[RgbFrame]
Kind = Literal["yuv420", "rgb"]


@dataclass(frozen=True)
class Clip:
    """A clip held in memory.

    Attributes:
        name: unique within its group.
        group: the set it belongs to; tables and curves are made a group.
        kind: "yuv420" for ordinary video, `frames` are `Frame420`; "rgb" for pixel art, `frames`
            are uint8 [H, W, 3], and codecs that work in YUV take 4:4:4 (BT.709, full range).
        info: size, rate, matrix and range.
        frames: T of them, at least one.
        labels: what a labelled generator says of it, e.g. {"action": 3}.
    """

    name: str
    group: str
    kind: Kind
    info: VideoInfo
    frames: Frames = field(repr=False)
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def num_pixels(self) -> int:
        """T · H · W."""
        return len(self.frames) * self.info.height * self.info.width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that a codec is given: results are cached under it."""
        info = self.info
        head = (self.kind, info.width, info.height, info.fps, info.matrix, info.full_range)
        digest = hashlib.sha256(repr(head).encode())
        for frame in self.frames:
            for plane in planes_of(frame):
                digest.update(np.ascontiguousarray(plane).tobytes())
        return digest.hexdigest()


def planes_of(frame: Frame420 | RgbFrame) -> Sequence[NDArray[np.uint8]]:
    """The arrays a frame consists of."""
    return frame.planes if isinstance(frame, Frame420) else (frame,)


def rgb_clip(
    name: str,
    group: str,
    frames: Sequence[RgbFrame] | NDArray[np.uint8],
    fps: int = 25,
    labels: dict[str, int] | None = None,
) -> Clip:
    """A clip of pixel art from RGB frames, uint8 [T, H, W, 3]."""
    height, width = frames[0].shape[:2]
    info = VideoInfo(width, height, Fraction(fps), full_range=True)
    return Clip(name, group, "rgb", info, list(frames), labels or {})
