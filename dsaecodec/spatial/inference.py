"""What an encoder knows of a GOP: motion, targets of latents, its coded content, what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from bitstream import Gop
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.spatial.gop_coder import ContentTargets, Target
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.synthesis import Planes, Yuv


class ClassicalMotion(NamedTuple):
    """Motion of a GOP's frames against two planes, as far as it is known, see `motion`."""

    to_previous: Tensor | None = None  # [1, T, 2, h, w]
    to_current: Tensor | None = None

    def halves(self, plan: GopPlan) -> tuple[ClassicalMotion, ClassicalMotion]:
        """What is known of the halves of a plan: they keep the planes at its two ends."""
        if not plan.refs_previous or plan.anchor != len(plan.frames) - 1:
            return ClassicalMotion(), ClassicalMotion()
        assert self.to_previous is not None and self.to_current is not None
        middle = len(plan.halves()[0].frames)
        return (
            ClassicalMotion(to_previous=self.to_previous[:, :middle]),
            ClassicalMotion(to_current=self.to_current[:, middle:]),
        )


@dataclass(frozen=True)
class Inference:
    """What was inferred of a GOP, before rounding.

    Attributes:
        plan: the GOP.
        quality: that it is coded at.
        frames: its frames, on the device, int8 as of `to_tensors`.
        content: its targets.
        prediction: what content is added to, None if it stands alone.
        motion: target of the first `SIDE_CHANNELS` channels of z_t.
        classical: what it comes from.
        previous: planes that frames also use, None if they use their own alone.
    """

    plan: GopPlan
    quality: int
    frames: Yuv
    content: ContentTargets
    prediction: Yuv | None
    motion: Target
    classical: ClassicalMotion
    previous: Planes | None

    @property
    def place(self) -> Place:
        """Where the frames are."""
        known = self.content.motion
        motion = None if known is None else known.values
        return Place.whole(len(self.plan.frames), self.plan.refs_previous, motion)


class Cost(NamedTuple):
    """What a GOP's dynamics take and miss.

    Attributes:
        bits: of the coder.
        error: squared, of all frames, by that of some of them; 0 where nothing is halved.
        excess: of it, beyond that of the content.
    """

    bits: float
    error: float
    excess: float


@dataclass(frozen=True)
class Draft:
    """A GOP whose content is coded.

    Attributes:
        inference: what is coded, and the targets of its dynamics.
        content: coder bytes.
        planes: what they decode to.
        cost: of its dynamics in haste, once somebody has asked.
    """

    inference: Inference
    content: bytes
    planes: Planes
    cost: Cost | None = None


class Coded(NamedTuple):
    """The frames of a plan, coded.

    Attributes:
        gops: one or more.
        weighed: what their dynamics cost in bits, see `SpatialGopEncoder.encode`.
    """

    gops: list[Gop]
    weighed: float
