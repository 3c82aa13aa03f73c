"""Frames ⇄ tensors, and the latent grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.synthesis import Planes, Yuv, expand_planes
from dsaecodec.video.frame import Frame420

CHUNK_PIXELS = 2**18  # in a batch of frames; the tensors of larger ones leave the caches
BLOCK = 16


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Size of the latent grid of a frame."""
    return -(-height // BLOCK), -(-width // BLOCK)


def to_tensors(frames: Iterable[Frame420], height: int, width: int) -> Yuv:
    """Frames → padded code values - 128: luma [T, 1, H', W'], chroma [T, 2, H'/2, W'/2].

    They are int8, a quarter of what floats take: networks are given a few at a time, see `floats`.
    """
    rows, cols = (BLOCK * n for n in grid_size(height, width))

    def pad(planes: list[np.ndarray], scale: int) -> Tensor:
        x = torch.from_numpy(np.stack(planes) ^ 0x80).view(torch.int8)  # v - 128
        down, right = rows // scale - x.shape[-2], cols // scale - x.shape[-1]
        return F.pad(x[:, None], (0, right, 0, down), mode="replicate")

    frames = list(frames)
    luma = pad([f.y for f in frames], 1)
    chroma = torch.cat([pad([f.u for f in frames], 2), pad([f.v for f in frames], 2)], 1)
    return Yuv(luma, chroma)


def floats(frames: Yuv, part: Tensor | slice) -> Yuv:
    """Some of the frames of `to_tensors`, float32."""
    return Yuv(frames.luma[part].float(), frames.chroma[part].float())


def to_frames(pictures: Yuv, height: int, width: int) -> Iterator[Frame420]:
    """Inverse of `to_tensors`: round, clamp, crop."""

    def to_bytes(x: Tensor) -> np.ndarray:
        return (x.float() + 128).round().clamp(0, 255).to(torch.uint8).cpu().numpy()

    luma, chroma = to_bytes(pictures.luma), to_bytes(pictures.chroma)
    half = slice(0, (height + 1) // 2), slice(0, (width + 1) // 2)
    for y, c in zip(luma, chroma, strict=True):
        u, v = c[(0, *half)], c[(1, *half)]
        planes = [np.ascontiguousarray(plane) for plane in (y[0, :height, :width], u, v)]
        yield Frame420(planes[0], planes[1], planes[2])


def synthesize_frames(
    model: SpatialModel, previous: Planes, current: Planes, z_hat: Tensor, height: int, width: int
) -> Iterator[Frame420]:
    """Frames of dequantized dynamics z_hat [T, C, h, w] that use the planes of two contents."""
    a, b = (expand_planes(planes, len(z_hat)) for planes in (previous, current))
    return to_frames(model.synthesize(b, a, z_hat), height, width)


def chunk_frames(height: int, width: int) -> int:
    """Frames to synthesize at once."""
    return max(1, CHUNK_PIXELS // (height * width))


def squared_error(x: Yuv, y: Yuv) -> Tensor:
    """D of all frames: the mean errors of the planes, times luma samples."""
    error = F.mse_loss(x.luma, y.luma) + F.mse_loss(x.chroma, y.chroma)
    return error * x.luma.numel()
