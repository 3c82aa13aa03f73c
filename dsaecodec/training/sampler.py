"""Random crops of random shots, cut out of tensors that lie in the device's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.errors import ConfigError
from dsaecodec.spatial.synthesis import Yuv
from dsaecodec.training.chance import below
from dsaecodec.training.shots import Shot

GRID = 16
PHOTOS_ONLY = "pictures alone teach content only: --set clips.steps=0 --set priors.steps=0"


@dataclass(frozen=True)
class Crop:
    """Where a clip is cut out.

    Attributes:
        shot: which one, by number.
        begin, stride: frames begin, begin + stride, ….
        y, x: upper left corner, even.
        mirrored, upside_down: how it is turned.
    """

    shot: int
    begin: int = 0
    stride: int = 1
    y: int = 0
    x: int = 0
    mirrored: bool = False
    upside_down: bool = False


class ClipSampler:
    """Draws clips of one shape.

    Crops are no larger than the median shot; smaller shots are continued by their borders.

    Args:
        shots: what to draw from; those that are too short are left out.
        num_frames: frames a clip.
        size: largest height and width of a crop, a multiple of 16.

    Raises:
        ConfigError: every shot is too short.
    """

    def __init__(self, shots: Sequence[Shot], num_frames: int, size: int) -> None:
        self.num_frames = num_frames
        self.shots = [shot for shot in shots if len(shot) >= num_frames]
        if not self.shots:
            longest = max((len(shot) for shot in shots), default=0)
            raise ConfigError(
                f"no shot of {num_frames} frames to train on: the longest has {longest}",
                hint=f"--set clips.num_frames={longest} takes it" if longest >= 3 else PHOTOS_ONLY,
            )
        sides = torch.tensor([list(shot.luma.shape[1:]) for shot in self.shots])
        median = sides.median(0).values // GRID * GRID
        self.height, self.width = median.clamp(GRID, size).tolist()
        self._weights = torch.tensor([shot.luma.numel() ** 0.5 for shot in self.shots])

    def choose(self, count: int, generator: torch.Generator) -> list[Crop]:
        """`count` random crops; larger shots come more often, as the root of their size."""
        picks = torch.multinomial(self._weights, count, replacement=True, generator=generator)
        return [self._choose(pick, generator) for pick in picks.tolist()]

    def middle(self, shot: int) -> Crop:
        """The crop in the middle of a shot."""
        luma = self.shots[shot].luma
        begin = (luma.shape[0] - self.num_frames) // 2
        y, x = (
            max(have - want, 0) // 4 * 2
            for have, want in zip(luma.shape[1:], (self.height, self.width), strict=True)
        )
        return Crop(shot, begin, 1, y, x)

    def cut(self, crops: Sequence[Crop]) -> Yuv:
        """Clips: luma [N, T, H, W], chroma [N, T, 2, H/2, W/2], code values - 128."""
        pairs = [self._cut(crop) for crop in crops]
        luma, chroma = (torch.stack(planes).float() - 128 for planes in zip(*pairs, strict=True))
        return Yuv(luma, chroma)

    def _choose(self, pick: int, generator: torch.Generator) -> Crop:
        shot = self.shots[pick]
        # Now and then every other frame: faster motion than the footage holds.
        fits = len(shot) >= 2 * self.num_frames - 1 and self.num_frames > 1
        stride = 2 if fits and below(8, generator) == 0 else 1
        span = (self.num_frames - 1) * stride + 1
        height, width = shot.luma.shape[1:]
        return Crop(
            pick,
            below(len(shot) - span + 1, generator),
            stride,
            2 * below(max(height - self.height, 0) // 2 + 1, generator),
            2 * below(max(width - self.width, 0) // 2 + 1, generator),
            bool(below(2, generator)),
            bool(below(2, generator)),
        )

    def _cut(self, crop: Crop) -> tuple[Tensor, Tensor]:
        shot, y, x = self.shots[crop.shot], crop.y, crop.x
        end = crop.begin + (self.num_frames - 1) * crop.stride + 1
        luma = shot.luma[crop.begin : end : crop.stride, y : y + self.height, x : x + self.width]
        chroma = shot.chroma[crop.begin : end : crop.stride, :, y // 2 :, x // 2 :]
        chroma = chroma[..., : self.height // 2, : self.width // 2]
        sides = [side for side, turned in ((-1, crop.mirrored), (-2, crop.upside_down)) if turned]
        return (
            _fill(luma[:, None], self.height, self.width)[:, 0].flip(sides),
            _fill(chroma, self.height // 2, self.width // 2).flip(sides),
        )


def _fill(planes: Tensor, height: int, width: int) -> Tensor:
    """Continue [T, C, H, W] by its last row and column."""
    down, right = height - planes.shape[2], width - planes.shape[3]
    if down == right == 0:
        return planes
    return F.pad(planes.float(), (0, right, 0, down), mode="replicate").to(planes.dtype)
