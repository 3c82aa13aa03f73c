"""Distortion of decoded frames.

PSNR has two conventions, and a figure must name its own:

- RGB PSNR: one mean squared error over the three channels of a frame.
- YUV 6:1:1 PSNR: (6 · PSNR_Y + PSNR_U + PSNR_V) / 8 of a frame's planes, as JVET reports it.

A video's PSNR here is the mean of its frames' PSNRs, not the PSNR of the mean error.

MS-SSIM (Wang, Simoncelli, Bovik, Asilomar 2003) is that of the package pytorch-msssim, whose
figures learned codecs publish: of each RGB channel, then the mean of the three.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # metrics need no video library
    from dsaecodec.video.frame import Frame420

MAX_PSNR_DB = 100.0
"""PSNR of identical pictures, and the most reported: an infinite one would spoil every mean."""

MS_SSIM_ABOVE = 160
"""MS-SSIM needs both sides longer than this: its window of 11 pixels slides at 1/16 of the size."""


def mse(reference: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Mean squared error of two arrays of equal shape.

    Raises:
        ValueError: shapes differ; broadcasting would hide a mistake.
    """
    if reference.shape != decoded.shape:
        raise ValueError(f"decoded is {list(decoded.shape)}, reference {list(reference.shape)}")
    difference = reference.astype(np.int32) - decoded
    return float(np.mean(np.square(difference), dtype=np.float64))


def psnr_db(mse: float, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio 10 · log10(peak² / mse), at most `MAX_PSNR_DB`."""
    if mse <= 0:
        return MAX_PSNR_DB
    return min(MAX_PSNR_DB, 10 * math.log10(peak**2 / mse))


def rgb_psnr_db(reference: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """RGB PSNR of one frame, two arrays uint8 [H, W, 3]."""
    return psnr_db(mse(reference, decoded))


def yuv611_psnr_db(reference: Frame420, decoded: Frame420) -> float:
    """YUV 6:1:1 PSNR of one frame."""
    y, u, v = (psnr_db(mse(a, b)) for a, b in zip(reference.planes, decoded.planes, strict=True))
    return (6 * y + u + v) / 8


def ms_ssim(reference: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
    """MS-SSIM of one frame over five scales, 0…1 where 1 is identical; None if it is too small.

    Halving a side of odd length pads it with zeros, as pytorch-msssim does; others repeat the edge.

    Args:
        reference: uint8 [H, W, 3].
        decoded: the same shape.

    Raises:
        ValueError: shapes differ.
    """
    if reference.shape != decoded.shape:
        raise ValueError(f"decoded is {list(decoded.shape)}, reference {list(reference.shape)}")
    if min(reference.shape[:2]) <= MS_SSIM_ABOVE:
        return None
    import pytorch_msssim  # PyTorch takes seconds to load, and PSNR needs none of it
    import torch

    x, y = (torch.tensor(a).permute(2, 0, 1)[None].float() for a in (reference, decoded))
    with torch.no_grad():
        return float(pytorch_msssim.ms_ssim(x, y, data_range=255))


def mean_rgb_psnr_db(
    reference: Iterable[NDArray[np.uint8]], decoded: Iterable[NDArray[np.uint8]]
) -> float:
    """Mean over frames of the RGB PSNR.

    Raises:
        ValueError: no frame, or the numbers of frames differ.
    """
    return _mean([rgb_psnr_db(a, b) for a, b in zip(reference, decoded, strict=True)])


def mean_yuv611_psnr_db(reference: Iterable[Frame420], decoded: Iterable[Frame420]) -> float:
    """Mean over frames of the YUV 6:1:1 PSNR.

    Raises:
        ValueError: no frame, or the numbers of frames differ.
    """
    return _mean([yuv611_psnr_db(a, b) for a, b in zip(reference, decoded, strict=True)])


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("no frame to compare")
    return math.fsum(values) / len(values)
