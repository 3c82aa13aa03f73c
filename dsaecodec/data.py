"""Training data: folders of footage and photos, held in memory as 8-bit 4:2:0 tensors."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dsaecodec.synthesis import Yuv

VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".y4m"}
PHOTO_SUFFIXES = {".webp", ".png", ".jpg", ".jpeg"}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shot:
    """A clip (or photo, T = 1) with even height and width, uint8.

    Attributes:
        luma: [T, H, W].
        chroma: [T, 2, H/2, W/2].
    """

    luma: Tensor
    chroma: Tensor

    def __len__(self) -> int:
        return int(self.luma.shape[0])


def _planes_to_shot(frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Shot:
    height, width = (size // 2 * 2 for size in frames[0][0].shape)
    luma = np.stack([y[:height, :width] for y, _, _ in frames])
    half = slice(0, height // 2), slice(0, width // 2)
    chroma = np.stack([np.stack([u[half], v[half]]) for _, u, v in frames])
    return Shot(torch.from_numpy(luma), torch.from_numpy(chroma))


def _read_opencv(path: Path) -> Shot:
    """Read through OpenCV, for machines without PyAV: BT.709 limited from its BGR."""
    import cv2

    if path.suffix.lower() in PHOTO_SUFFIXES:
        pictures: list[np.ndarray] = [cv2.imread(str(path))]
    else:
        capture, pictures = cv2.VideoCapture(str(path)), []
        while True:
            found, picture = capture.read()
            if not found:
                break
            pictures.append(picture)
    return _planes_to_shot([_bgr_to_planes(p) for p in pictures])


def _bgr_to_planes(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    b, g, r = (bgr[..., i].astype(np.float32) for i in range(3))
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    u, v = (b - y) / 1.8556, (r - y) / 1.5748
    height, width = (size // 2 * 2 for size in y.shape)

    def half(c: np.ndarray) -> np.ndarray:
        blocks = c[:height, :width].reshape(height // 2, 2, width // 2, 2)
        return np.round(blocks.mean((1, 3)) * (224 / 255) + 128).astype(np.uint8)

    return np.round(y * (219 / 255) + 16).astype(np.uint8), half(u), half(v)


def read_shot(path: Path) -> Shot:
    """Read one clip or photo whole.

    Raises:
        Exception: whatever the decoding library raises on an unreadable file.
    """
    try:
        from dsaecodec.video import open_video
    except ImportError:
        return _read_opencv(path)
    with open_video(str(path)) as reader:
        return _planes_to_shot([(f.y, f.u, f.v) for f in reader])


def read_folder(folder: Path) -> Iterator[Shot]:
    """All clips and photos of a folder, sorted by name; unreadable ones are logged and skipped."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in VIDEO_SUFFIXES | PHOTO_SUFFIXES:
            try:
                yield read_shot(path)
            except Exception as error:  # any decoder failure: one bad file must not end a training
                log.warning("%s: skipped (%s)", path, error)


def load(folders: list[Path], cache: Path | None = None) -> list[Shot]:
    """Read folders into memory, through one tensor file where `cache` names it."""
    if cache is not None and cache.exists():
        stored = torch.load(cache, weights_only=True)
        return [Shot(luma, chroma) for luma, chroma in stored]
    shots = [shot for folder in folders for shot in read_folder(folder)]
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_suffix(".tmp")
        torch.save([(s.luma, s.chroma) for s in shots], temporary)
        os.replace(temporary, cache)
    return shots


class ClipSampler:
    """Random crops of random clips, drawn by one generator whose state can be saved.

    Args:
        shots: what to draw from; shots that are too short or small are left out.
        num_frames: frames a clip.
        size: height and width of a crop, a multiple of 16.
    """

    def __init__(self, shots: list[Shot], num_frames: int, size: int, device: str = "cpu") -> None:
        self.num_frames, self.size, self.device = num_frames, size, device
        self.shots = [s for s in shots if len(s) >= num_frames and min(s.luma.shape[1:]) >= size]
        if not self.shots:
            raise ValueError(f"no shot has {num_frames} frames of at least {size}×{size} pixels")
        self.weights = torch.tensor([float(s.luma.numel()) ** 0.5 for s in self.shots])

    def draw(self, count: int, generator: torch.Generator) -> Yuv:
        """`count` clips: luma [N, T, H, W], chroma [N, T, 2, H/2, W/2], code values - 128."""
        lumas, chromas = [], []
        picks = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        for pick in picks.tolist():
            shot = self.shots[pick]
            stride = self._stride(shot, generator)
            span = (self.num_frames - 1) * stride + 1
            t = _below(len(shot) - span + 1, generator)
            y = 2 * _below((shot.luma.shape[1] - self.size) // 2 + 1, generator)
            x = 2 * _below((shot.luma.shape[2] - self.size) // 2 + 1, generator)
            half = self.size // 2
            luma = shot.luma[t : t + span : stride, y : y + self.size, x : x + self.size]
            chroma = shot.chroma[t : t + span : stride, :, y // 2 : y // 2 + half]
            chroma = chroma[..., x // 2 : x // 2 + half]
            if _below(2, generator):
                luma, chroma = luma.flip(-1), chroma.flip(-1)
            if _below(2, generator):
                luma, chroma = luma.flip(0), chroma.flip(0)
            lumas.append(luma)
            chromas.append(chroma)
        luma, chroma = (
            torch.stack(list(x)).to(self.device).float() - 128 for x in (lumas, chromas)
        )
        return Yuv(luma, chroma)

    def _stride(self, shot: Shot, generator: torch.Generator) -> int:
        """Now and then skip every other frame: faster motion than the footage holds."""
        fits = len(shot) >= 2 * self.num_frames - 1
        return 2 if fits and _below(8, generator) == 0 else 1


def _below(limit: int, generator: torch.Generator) -> int:
    return int(torch.randint(limit, (1,), generator=generator))
