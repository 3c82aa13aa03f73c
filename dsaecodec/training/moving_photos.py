"""Clips made of photos: a blob cut out of one moves over another that pans, turns and zooms.

Endless motion without coding artefacts, of known smoothness; edges are covered and uncovered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.spatial.synthesis import Yuv

FASTEST = 6.0  # pixels a frame
EDGE = 1.5  # half width of the blob's edge, pixels


@dataclass(frozen=True)
class Path:
    """How a photo moves: at time t it is shifted, turned and scaled about the picture's middle.

    Attributes:
        velocity, acceleration: (y, x), pixels a frame and a frame squared.
        spin: radians a frame.
        zoom: relative growth a frame.
    """

    velocity: tuple[float, float]
    acceleration: tuple[float, float]
    spin: float
    zoom: float

    @classmethod
    def random(cls, generator: torch.Generator) -> Path:
        """A path; slow ones are as frequent as fast ones on a logarithmic scale."""
        u = torch.rand(7, generator=generator).tolist()
        speed, angle = FASTEST * 2.0 ** (-6 * u[0]), 2 * math.pi * u[1]
        turn = 2 * math.pi * u[2]
        pull = 0.06 * speed * u[3]
        return cls(
            (speed * math.sin(angle), speed * math.cos(angle)),
            (pull * math.sin(turn), pull * math.cos(turn)),
            0.02 * (u[4] - 0.5) * (u[6] < 0.5),
            0.01 * (u[5] - 0.5) * (u[6] < 0.7),
        )

    def matrix(self, t: float) -> Tensor:
        """[2, 3]: (y, x, 1) in the picture, from its middle, to (y, x) in the photo, in pixels."""
        scale, angle = math.exp(-self.zoom * t), -self.spin * t
        c, s = scale * math.cos(angle), scale * math.sin(angle)
        dy, dx = (
            v * t + 0.5 * a * t * t for v, a in zip(self.velocity, self.acceleration, strict=True)
        )
        return torch.tensor([[c, -s, -(c * dy - s * dx)], [s, c, -(s * dy + c * dx)]])


@dataclass(frozen=True)
class Scene:
    """What one clip shows.

    Attributes:
        back, front: how the two photos move.
        radius: of the blob, a share of the picture's height.
        center: of the blob at first, shares of height and width from the middle.
        lobes: 0 for a disc.
    """

    back: Path
    front: Path
    radius: float
    center: tuple[float, float]
    lobes: int

    @classmethod
    def random(cls, generator: torch.Generator) -> Scene:
        """A scene."""
        back, front = Path.random(generator), Path.random(generator)
        u = torch.rand(4, generator=generator).tolist()
        center = (0.7 * (u[1] - 0.5), 0.7 * (u[2] - 0.5))
        return cls(back, front, 0.12 + 0.25 * u[0], center, int(6 * u[3]))


def draw_scene(scene: Scene, back: Yuv, front: Yuv, num_frames: int) -> Yuv:
    """A clip of two photos.

    Args:
        scene: how they move.
        back, front: luma [1, 1, H, W], chroma [1, 2, H/2, W/2] of one size.
        num_frames: T.

    Returns:
        luma [T, H, W], chroma [T, 2, H/2, W/2], rounded, code values - 128.
    """
    size = (back.luma.shape[2], back.luma.shape[3])
    with torch.autocast(back.luma.device.type, enabled=False):  # positions need all their bits
        luma, chroma = (
            _draw_planes(scene, behind, before, num_frames, size)
            for behind, before in zip(back, front, strict=True)
        )
    return Yuv(luma[:, 0], chroma)


def _draw_planes(
    scene: Scene, back: Tensor, front: Tensor, num_frames: int, size: tuple[int, int]
) -> Tensor:
    """The same of one resolution: [1, C, h, w] each → [T, C, h, w]."""
    grid = _positions(back.shape[2], back.shape[3], size[0] // back.shape[2], back.device)
    times = [t - (num_frames - 1) / 2 for t in range(num_frames)]
    seen = []
    for path, photo in ((scene.back, back), (scene.front, front)):
        matrices = torch.stack([path.matrix(t) for t in times]).to(grid)
        places = torch.einsum("tij,hwj->thwi", matrices, grid)  # (y, x) in the photo
        normal = (places / (places.new_tensor(size) / 2)).flip(-1)
        photos = photo.expand(num_frames, -1, -1, -1)
        moved = F.grid_sample(photos, normal, "bicubic", "reflection", align_corners=False)
        seen.append((moved, places))
    (behind, _), (before, places) = seen
    share = _blob(scene, places, size)[:, None]
    return (behind + share * (before - behind)).round().clamp(-128, 127)


def _positions(height: int, width: int, step: int, device: torch.device) -> Tensor:
    """(y, x, 1) of samples, from the picture's middle, in pixels of luma: [h, w, 3]."""
    y = (torch.arange(height, device=device) - (height - 1) / 2) * step
    x = (torch.arange(width, device=device) - (width - 1) / 2) * step
    y, x = torch.broadcast_tensors(y[:, None], x[None])
    return torch.stack([y, x, torch.ones_like(x)], -1)


def _blob(scene: Scene, places: Tensor, size: tuple[int, int]) -> Tensor:
    """How much of the front photo shows, 0 to 1, at places [T, h, w, 2] in it: [T, h, w]."""
    y, x = (places[..., i] - scene.center[i] * size[i] for i in range(2))
    angle = torch.atan2(y, x)
    border = (
        scene.radius * size[0] * (1 + 0.25 * torch.cos(scene.lobes * angle) * bool(scene.lobes))
    )
    return ((border - torch.hypot(y, x)) / (2 * EDGE) + 0.5).clamp(0, 1)
