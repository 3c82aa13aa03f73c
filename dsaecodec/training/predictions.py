"""Frames between contents as the encoder codes them, for the stage of the frames.

    planes of two contents, z_t ─► motion, refined ─► blend ─ + residual ─ filter ─► x_hat

What makes frames of planes is given the planes and symbols that the encoder chose. No frame leans
on another, so what it makes never comes back to it, as it does with contents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.pictures import floats, to_tensors
from dsaecodec.spatial.synthesis import Planes, Yuv, upsample_half_pel
from dsaecodec.training.shots import Shot
from dsaecodec.training.symbols import CodedGop

_KEPT = torch.float16


class KeptPlanes(NamedTuple):
    """What `Planes` can be made of again, float16."""

    luma: Tensor
    chroma: Tensor
    features: Tensor

    @classmethod
    def of(cls, planes: Planes) -> KeptPlanes:
        """What is kept of planes."""
        return cls(*(x.to(_KEPT) for x in (*planes.picture, planes.features)))

    def planes(self) -> Planes:
        """The planes again."""
        picture = Yuv(self.luma.float(), self.chroma.float())
        luma2, chroma2 = map(upsample_half_pel, picture)
        return Planes(picture, luma2, chroma2, self.features.float())


class Between(NamedTuple):
    """A GOP that was coded.

    Attributes:
        quality: 0…100.
        previous, current: what its frames are made of; the same where it has one content alone.
        z: symbols [T, C, h, w], int16.
        shot: that it is a part of, from frame `begin` on.
    """

    quality: int
    previous: KeptPlanes
    current: KeptPlanes
    z: Tensor
    shot: Shot
    begin: int

    def error(self, model: SpatialModel, t: int) -> Tensor:
        """Squared error of a frame, Y + U + V a pixel of luma, [1], with gradients."""
        z_hat = self.z[t : t + 1].to(model.z_step) * model.z_steps(self.quality)
        planes = self.current.planes(), self.previous.planes()
        made = model.synthesize(*planes, z_hat, self.quality)
        height, width = self.shot.luma.shape[1:]
        frame = floats(to_tensors([self.shot.frame(self.begin + t)], height, width), slice(None))
        pairs = zip(made, frame, strict=True)
        luma, chroma = ((a - b.to(a)).square().mean((1, 2, 3)) for a, b in pairs)
        return luma + chroma


@torch.no_grad()
def between(model: SpatialModel, shot: Shot, gops: Sequence[CodedGop]) -> Iterator[Between]:
    """GOPs of a shot, by their symbols.

    Args:
        model: that they were coded with.
        shot: pictures.
        gops: all of the shot, from its beginning.
    """
    planes: Planes | None = None
    before: KeptPlanes | None = None
    begin = 0
    for gop in gops:
        symbols = ContentSymbols(*(x.to(model.f_step.device) for x in gop.content))
        planes = symbols.planes(model, planes, gop.quality)
        current = KeptPlanes.of(planes)
        previous = before if before is not None and gop.refs_previous else current
        yield Between(gop.quality, previous, current, gop.z, shot, begin)
        begin, before = begin + gop.num_frames, current
