"""One clip through one codec: bytes, distortion, time, and the picture to show."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.rd.clip import Clip, RgbFrame
from benchmarks.rd.codec import CannotCode, Codec
from benchmarks.rd.colour import rgb_to_yuv444
from benchmarks.rd.crops import busiest
from benchmarks.rd.point import Point
from dsaecodec.metrics import ms_ssim, mse, psnr_db, rgb_psnr_db, yuv611_psnr_db
from dsaecodec.video import Frame420, frame_to_rgb


@dataclass(frozen=True)
class Measured:
    """A point and the part of its decoded picture that is shown, uint8 [h, w, 3]."""

    point: Point
    crop: NDArray[np.uint8]


def measure(codec: Codec, clip: Clip, quality: float, *, matched: bool = False) -> Measured:
    """Encode and decode a clip, and compare.

    Raises:
        CannotCode: the codec cannot code this clip or is not at hand.
    """
    reason = codec.unsuitable(clip)
    if reason:
        raise CannotCode(reason)
    settings = codec.settings(clip, quality)
    begin = time.perf_counter()
    coded = codec.encode(clip, quality)
    encoded = time.perf_counter()
    decoded = codec.decode(coded, clip)
    end = time.perf_counter()
    if len(decoded) != len(clip.frames):
        raise CannotCode(f"{len(decoded)} frames come back of {len(clip.frames)}")
    source, result = as_rgb(clip), as_rgb(clip, decoded)
    similarity = [ms_ssim(a, b) for a, b in zip(source, result, strict=True)]
    details = {name: round(value) for name, value in codec.account(coded, clip).items()}
    point = Point(
        group=clip.group,
        clip=clip.name,
        codec=codec.name,
        quality=quality,
        frames=len(decoded),
        height=clip.info.height,
        width=clip.info.width,
        bytes=coded.num_bytes,
        bpp=8 * coded.num_bytes / clip.num_pixels,
        psnr_rgb=_mean([rgb_psnr_db(a, b) for a, b in zip(source, result, strict=True)]),
        psnr_yuv=_mean([yuv_psnr_db(a, b) for a, b in zip(clip.frames, decoded, strict=True)]),
        ms_ssim=None if None in similarity else _mean([s for s in similarity if s is not None]),
        encode_fps=len(decoded) / (encoded - begin),
        decode_fps=len(decoded) / (end - encoded),
        matched=matched,
        fingerprint=clip.fingerprint[:16],
        settings=settings,
        **details,
    )
    index, rows, columns = busiest(source)
    return Measured(point, np.ascontiguousarray(result[index][rows, columns]))


def as_rgb(clip: Clip, frames: list[Frame420] | list[RgbFrame] | None = None) -> list[RgbFrame]:
    """Frames of a clip, its own by default, as RGB by its matrix and range."""
    matrix, full_range = clip.info.matrix, clip.info.full_range
    return [
        frame_to_rgb(frame, matrix, full_range) if isinstance(frame, Frame420) else frame
        for frame in (clip.frames if frames is None else frames)
    ]


def yuv_psnr_db(reference: Frame420 | RgbFrame, decoded: Frame420 | RgbFrame) -> float:
    """YUV 6:1:1 PSNR of a frame; of RGB frames that of their 4:4:4 planes, BT.709 full range."""
    if isinstance(reference, Frame420) and isinstance(decoded, Frame420):
        return yuv611_psnr_db(reference, decoded)
    pairs = zip(rgb_to_yuv444(reference), rgb_to_yuv444(decoded), strict=True)
    y, u, v = (psnr_db(mse(a, b)) for a, b in pairs)
    return (6 * y + u + v) / 8


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
