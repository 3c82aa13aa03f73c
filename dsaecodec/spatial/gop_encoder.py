"""One GOP: frames to latents to coder bytes.

frames ─ infer_content ─► f ─ code_content ─► planes ─ infer_motion ─► motion ─ code_dynamics ─► z
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bitstream import Gop, Segment, SymbolEncoder
from bitstream.limits import MAX_CODER_BYTES
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.preset import PRESETS, Preset
from dsaecodec.codec.symbols import Coder, Unheard
from dsaecodec.errors import InputVideoError
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.gop_coder import (
    LazyTargets,
    Target,
    code_content,
    code_dynamics,
    fixed,
)
from dsaecodec.spatial.model import (
    CONTENT_REACH,
    SIDE_CHANNELS,
    SpatialModel,
    lagrangian,
    motion_stiffness,
    smoothness,
)
from dsaecodec.spatial.pictures import chunk_frames, floats, grid_size, to_tensors
from dsaecodec.spatial.refine import Refiner
from dsaecodec.spatial.synthesis import Planes, Yuv, expand_planes

MIN_GOP = 8  # GOPs are not halved below this
SPLIT_RATIO = 1.6


@dataclass(frozen=True)
class Inference:
    """What was inferred of a GOP, before rounding.

    Attributes:
        plan: the GOP.
        frames: its frames, on the device, int8 as of `to_tensors`.
        f_hyper, f: targets of content.
        motion: target of the first `SIDE_CHANNELS` channels of z_t.
        previous: planes that frames also use, None if they use their own alone.
    """

    plan: GopPlan
    frames: Yuv
    f_hyper: Target
    f: Target
    motion: Target
    previous: Planes | None


@dataclass(frozen=True)
class CodedGop:
    """Coder bytes of a GOP, its planes and what they came from."""

    inference: Inference
    planes: Planes
    content: bytes
    dynamics: bytes


class SpatialGopEncoder:
    """Infers and codes the latents of one GOP after another, see `codec.family.GopEncoder`.

    Args:
        loaded: the model.
        height, width: of the frames.
        quality: 0…100.
        preset: how hard to try.
        first_frame_only: infer every content from its GOP's first frame, to measure what the choice
            of another saves.

    Attributes:
        cost_before, cost_after: D / λ + R in bits of all GOPs before and after refinement; 0
            without it.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        height: int,
        width: int,
        quality: int,
        *,
        preset: Preset = PRESETS["medium"],
        first_frame_only: bool = False,
    ) -> None:
        self.first_frame_only = first_frame_only
        self.loaded, self.quality, self.preset = loaded, quality, preset
        self.height, self.width = height, width
        self.size = grid_size(height, width)
        self.chunk = chunk_frames(height, width)
        self.cost_before = self.cost_after = 0.0
        self._previous: Planes | None = None

    @property
    def model(self) -> SpatialModel:
        """The model in use."""
        return self.loaded.spatial

    def encode(self, plan: GopPlan) -> list[Gop]:
        """Code the frames of a plan as one GOP or, where they move too much for that, as more.

        Halving a GOP doubles its content and brings frames nearer to it. That pays once dynamics
        cost more than `SPLIT_RATIO` times the content.
        """
        coded = self._infer(plan)
        content, dynamics = len(coded.content), len(coded.dynamics)
        too_large = max(content, dynamics) > MAX_CODER_BYTES
        worth_it = self.preset.halves and dynamics > SPLIT_RATIO * content
        if too_large or (worth_it and len(plan.frames) >= 2 * MIN_GOP):
            if len(plan.frames) == 1:
                raise InputVideoError("a frame needs more bytes than the format allows")
            return [gop for half in plan.halves() for gop in self.encode(half)]
        if self.preset.rounds:
            coded = self._refine(coded)
        return [self._finish(coded)]

    def encode_whole(self, plan: GopPlan) -> Gop:
        """Code one GOP; frames that look back use the content of the call before."""
        return self._finish(self._infer(plan))

    def _finish(self, coded: CodedGop) -> Gop:
        self._previous = coded.planes
        plan = coded.inference.plan
        count = len(plan.frames)
        segment = Segment(0, count, coded.dynamics)
        return Gop(self.quality, plan.refs_previous, count, coded.content, (segment,))

    def _infer(self, plan: GopPlan) -> CodedGop:
        """Code a GOP as its frames are inferred at first sight."""
        if self.first_frame_only:
            plan = replace(plan, anchor=0)
        assert self._previous or not plan.refs_previous, "the first GOP has nothing to refer to"
        previous = self._previous if plan.refs_previous else None
        frames = to_tensors(plan.frames, self.height, self.width)
        frames = Yuv(*(x.to(self.loaded.device) for x in frames))
        f_hyper, f = self.infer_content(frames, plan.anchor)
        coder = SymbolEncoder(self.loaded.tables)
        planes = self.code_content(f_hyper, f, coder)[2]
        motion = self.infer_motion(frames, planes, previous, plan.anchor)
        found = Inference(plan, frames, f_hyper, f, motion, previous)
        return CodedGop(found, planes, coder.finish(), self._dynamics_bytes(found, planes))

    def _refine(self, coded: CodedGop) -> CodedGop:
        """Code a GOP again with refined latents."""
        refiner = Refiner(self, coded.inference)
        found = refiner.run(self.preset.rounds)
        self.cost_before += refiner.cost_before
        self.cost_after += refiner.cost_after
        coder = SymbolEncoder(self.loaded.tables)
        planes = self.code_content(found.f_hyper, found.f, coder)[2]
        return CodedGop(found, planes, coder.finish(), self._dynamics_bytes(found, planes))

    def _dynamics_bytes(self, found: Inference, planes: Planes) -> bytes:
        coder = SymbolEncoder(self.loaded.tables)
        self.code_dynamics(found, planes, coder)
        return coder.finish()

    def infer_content(self, frames: Yuv, anchor: int) -> tuple[Target, Target]:
        """Targets of f_hyper and f, on the CPU."""
        steps = self.model.f_steps(self.quality)
        scaled = self.model.content_posterior(floats(frames, slice(anchor, anchor + 1))) / steps
        hyper = self.model.content_posterior.infer_hyper(scaled)
        stiffness = CONTENT_REACH * steps.square() / lagrangian(self.quality)
        return fixed(hyper.cpu()), Target(scaled.cpu(), stiffness.cpu())

    def code_content(
        self, f_hyper: Target, f: Target, coder: Coder
    ) -> tuple[Tensor, Tensor, Planes]:
        """Code f_hyper and f: their symbols, and the planes they decode to."""
        symbols = code_content(self.model, coder, self.size, self.quality, (f_hyper, f))
        f_hat = symbols[1].float().to(self.loaded.device) * self.model.f_steps(self.quality)
        return *symbols, self.model.synthesize_content(f_hat, self.quality)

    def infer_motion(
        self, frames: Yuv, planes: Planes, previous: Planes | None, anchor: int
    ) -> Target:
        """Target of motion and mixing of all frames, [T, 5, h, w], on the CPU."""
        side = self.model.z_steps(self.quality)[:, :SIDE_CHANNELS]
        motion = self.model.infer_motion(
            frames.luma.transpose(0, 1),
            previous or planes,
            planes,
            anchor,
            smoothness(self.quality),
            self.chunk,
        )
        parts = [motion_stiffness(part.float()) for part in frames.luma.split(self.chunk)]
        stiffness = torch.cat(parts) * side.square() / lagrangian(self.quality)
        return Target((motion / side).cpu(), stiffness.cpu())

    def code_dynamics(self, found: Inference, planes: Planes, coder: Coder) -> Tensor:
        """Code z_t of all frames; its symbols, int32 [T, C, h, w].

        Motion is chosen first, in a pass of the prior over a GOP without residuals; the residual is
        what the prediction by that motion lacks.
        """
        plan, motion = found.plan, found.motion
        setting = (self.size, self.quality, plan.refs_previous, len(plan.frames))
        channels = self.model.config.z_channels - SIDE_CHANNELS

        def without_residual(part: slice) -> Target:
            values, stiffness = motion.part(part)
            rest = (len(values), channels, *self.size)
            values = torch.cat([values, torch.zeros(rest)], 1)
            return Target(values, torch.cat([stiffness, torch.full(rest, math.inf)], 1))

        targets = LazyTargets(without_residual, self.chunk)
        z = code_dynamics(self.model, Unheard(), *setting, targets)
        chosen = z[:, :SIDE_CHANNELS].float()
        del z
        stiffness = self.model.z_steps(self.quality).square().cpu() / lagrangian(self.quality)
        stiffness[:, :SIDE_CHANNELS] = math.inf

        def whole(part: slice) -> Target:
            residual = self._residual(found, planes, chosen[part], part)
            return Target(torch.cat([chosen[part], residual], 1), stiffness)

        return code_dynamics(self.model, coder, *setting, LazyTargets(whole, self.chunk))

    def _residual(self, found: Inference, planes: Planes, motion: Tensor, part: slice) -> Tensor:
        """What the prediction of some frames lacks, in steps, [T, R, h, w] on the CPU.

        Args:
            found, planes: the GOP and its content.
            motion: symbols of motion and mixing of the frames, [T, 5, h, w].
            part: which frames.
        """
        model, steps = self.model, self.model.z_steps(self.quality)
        motion = motion.to(steps) * steps[:, :SIDE_CHANNELS]
        a, b = (expand_planes(p, len(motion)) for p in (found.previous or planes, planes))
        dense = model.frame_synthesis.motion(a, b, motion)
        prediction, _ = model.frame_synthesis.predict(a, b, dense)
        residual = model.dynamics_posterior.infer_residual(floats(found.frames, part), prediction)
        return (residual / steps[:, SIDE_CHANNELS:]).cpu()
