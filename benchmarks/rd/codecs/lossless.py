"""Lossless WebP: what a clip of pixel art costs as one still picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError, features
from PIL import __version__ as pillow_version

from benchmarks.rd.clip import Clip, Frames
from benchmarks.rd.codec import CannotCode, Codec, Coded

WEBP_MAX_SIDE = 16_383


@dataclass(frozen=True)
class LosslessWebp(Codec):
    """All frames, one below the other, in one lossless WebP picture.

    A file counts whole: its 20 bytes of RIFF and chunk headers are part of the format.
    """

    name: str = "webp-lossless"
    label: str = "WebP lossless, frames stacked"
    qualities: tuple[float, ...] = (0.0,)
    all_qualities: tuple[float, ...] = (0.0,)
    threads: int = 1
    step: float = 1.0

    def unsuitable(self, clip: Clip) -> str | None:
        """Why it cannot code a clip, None where it can."""
        if clip.kind != "rgb":
            return "WebP lossless is for pixel art"
        height, width = len(clip.frames) * clip.info.height, clip.info.width
        if max(height, width) > WEBP_MAX_SIDE:
            return f"WebP holds {WEBP_MAX_SIDE} pixels a side, the stack is {height} high"
        return None

    def settings(self, clip: Clip, quality: float) -> str:
        """Call and versions.

        Raises:
            CannotCode: this Pillow has no WebP.
        """
        if not features.check("webp"):
            raise CannotCode("this Pillow has no WebP")
        versions = f"Pillow {pillow_version}, libwebp {features.version('webp')}"
        return f"save(WEBP, lossless=True, method=6, quality=100); {versions}"

    def encode(self, clip: Clip, quality: float) -> Coded:
        """Code all frames of a clip.

        Raises:
            CannotCode: it is no pixel art, or too large.
        """
        reason = self.unsuitable(clip)
        if reason:
            raise CannotCode(reason)
        stack = np.concatenate([np.asarray(frame) for frame in clip.frames])
        file = io.BytesIO()
        Image.fromarray(stack).save(file, "WEBP", lossless=True, method=6, quality=100)
        return Coded((file.getvalue(),))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """Frames of the picture.

        Raises:
            CannotCode: it is no picture, or not one of the clip's width.
        """
        try:
            with Image.open(io.BytesIO(b"".join(coded.packets))) as image:
                stack = np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise CannotCode(f"WebP does not decode: {error}") from error
        height, width = clip.info.height, clip.info.width
        if stack.shape[1] != width or len(stack) % height:
            raise CannotCode(f"WebP of {list(stack.shape)}, expected frames of {height}×{width}")
        return list(stack.reshape(-1, height, width, 3))


def lossless_codecs() -> list[Codec]:
    """Codecs that lose nothing: one point a clip."""
    return [LosslessWebp()]
