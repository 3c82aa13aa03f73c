"""What training data is in memory: shots of 8-bit pictures, 4:2:0 or RGB."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dsaecodec.video.frame import Frame420

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
MIN_SIDE = 16


@dataclass(frozen=True)
class Shot:
    """A clip without cuts, or a photo (T = 1), of even height and width, uint8.

    Attributes:
        name: where it comes from, for messages.
        luma: [T, H, W]; of RGB, green.
        chroma: [T, 2, H/2, W/2]; of RGB [T, 2, H, W], blue and red.
        loops: after the last frame comes the first.
    """

    name: str
    luma: Tensor
    chroma: Tensor
    loops: bool = False

    @property
    def is_rgb(self) -> bool:
        """Whether its pictures are RGB."""
        return self.chroma.shape[2] == self.luma.shape[1]

    def __len__(self) -> int:
        return int(self.luma.shape[0])

    @property
    def num_bytes(self) -> int:
        """Memory that the samples take."""
        return self.luma.numel() + self.chroma.numel()

    def frames(self) -> Iterator[Frame420]:
        """Its pictures, which are 4:2:0."""
        for y, (u, v) in zip(self.luma.cpu().numpy(), self.chroma.cpu().numpy(), strict=True):
            yield Frame420(y, u, v)

    def still(self, num_frames: int) -> Shot:
        """The first frame, so many times; takes no memory."""
        luma = self.luma[:1].expand(num_frames, -1, -1)
        return Shot(self.name, luma, self.chroma[:1].expand(num_frames, -1, -1, -1))

    def middle(self, side: int) -> Shot:
        """The middle, at most `side` pixels, an even number, high and wide."""
        y, x = (max(n - side, 0) // 4 * 2 for n in self.luma.shape[1:])
        luma = self.luma[:, y : y + side, x : x + side]
        n = 1 if self.is_rgb else 2
        chroma = self.chroma[..., y // n : (y + side) // n, x // n : (x + side) // n]
        return replace(self, luma=luma, chroma=chroma)

    def turned(self, way: int) -> Shot:
        """The same, mirrored if bit 0 of `way` is set, upside down for bit 1, reversed for 2."""
        flips = [dim for bit, dim in enumerate((-1, -2, 0)) if way >> bit & 1]
        return replace(self, luma=self.luma.flip(flips), chroma=self.chroma.flip(flips))

    def to(self, device: torch.device | str) -> Shot:
        """The same shot in the memory of a device."""
        return replace(self, luma=self.luma.to(device), chroma=self.chroma.to(device))


def fingerprint(shots: Sequence[Shot]) -> str:
    """Tells sets of shots apart: a digest of all shapes and of some samples of every frame."""
    digest = hashlib.sha256()
    for shot in shots:
        digest.update(repr((tuple(shot.luma.shape), tuple(shot.chroma.shape))).encode())
        height, width = shot.luma.shape[1:]
        rows, columns = slice(height // 16, None, 8), slice(width // 16, None, 8)
        digest.update(shot.luma[:, rows, columns].numpy().tobytes())
    return digest.hexdigest()[:32]


def shot_of_planes(name: str, frames: Sequence[Planes], max_side: int) -> Shot:
    """A shot of pictures y, u, v of one size.

    Args:
        name: of the shot.
        frames: one or more pictures.
        max_side: see `reduced`.

    Raises:
        ValueError: see `reduced`.
    """
    planes = [reduced(frame, max_side) for frame in frames]
    luma = np.stack([y for y, _, _ in planes])
    chroma = np.stack([np.stack([u, v]) for _, u, v in planes])
    return Shot(name, torch.from_numpy(luma), torch.from_numpy(chroma))


def reduced(planes: Planes, max_side: int) -> Planes:
    """A picture of even size, no larger than `max_side`: means of n×n samples, n as small as fits.

    What is left of rows and columns at the lower and right border is cut off.

    Raises:
        ValueError: less than 16 pixels are left of a side.
    """
    height, width = planes[0].shape
    n = -(-max(height, width) // max_side)
    half = 2 if planes[1].shape != planes[0].shape else 1
    rows, columns = (side // (2 * n) * 2 // half for side in (height, width))  # of chroma
    if half * min(rows, columns) < MIN_SIDE:
        less = f", {half * columns}×{half * rows} when reduced," if n > 1 else ""
        raise ValueError(f"pictures of {width}×{height} pixels{less} are too small")
    y, u, v = planes
    return (
        _means(y[: half * rows * n, : half * columns * n], n),
        _means(u[: rows * n, : columns * n], n),
        _means(v[: rows * n, : columns * n], n),
    )


def rgb_shot(name: str, frames: NDArray[np.uint8], *, loops: bool = False) -> Shot:
    """A shot of RGB pictures [T, H, W, 3] as they are."""
    planes = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
    return Shot(name, planes[:, 1].contiguous(), planes[:, [2, 0]].contiguous(), loops)


def shot_of_rgb(name: str, frames: NDArray[np.uint8], max_side: int = 2**16) -> Shot:
    """A shot of RGB pictures [T, H, W, 3], in BT.709 of limited range, chroma by 2×2 means."""
    return shot_of_planes(name, [_planes_of_rgb(rgb) for rgb in frames], max_side)


def _planes_of_rgb(rgb: NDArray[np.uint8]) -> Planes:
    r, g, b = (rgb[..., i].astype(np.float32) for i in range(3))
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    u, v = (b - y) / 1.8556, (r - y) / 1.5748
    height, width = (size // 2 * 2 for size in y.shape)

    def half(c: NDArray[np.float32]) -> NDArray[np.uint8]:
        blocks = c[:height, :width].reshape(height // 2, 2, width // 2, 2)
        return np.round(blocks.mean((1, 3)) * (224 / 255) + 128).astype(np.uint8)

    return np.round(y * (219 / 255) + 16).astype(np.uint8), half(u), half(v)


def _means(plane: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Means of n×n samples."""
    if n == 1:
        return plane
    samples = torch.from_numpy(plane)[None].float()
    return F.avg_pool2d(samples, n)[0].round().to(torch.uint8).numpy()
