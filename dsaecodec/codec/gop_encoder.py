"""One GOP: frames to symbols to coder bytes."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from bitstream import Gop, Segment, SymbolEncoder
from dsaecodec.codec.gop_coder import Target, Unheard, code_content, code_dynamics, fixed
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.pictures import chunk_frames, grid_size, to_tensors
from dsaecodec.errors import InputVideoError
from dsaecodec.model import SIDE_CHANNELS, SpatialModel, lagrangian, motion_stiffness, smoothness
from dsaecodec.model_io import LoadedModel
from dsaecodec.synthesis import Planes, Yuv, expand_planes

MIN_GOP = 8  # GOPs are not halved below this
MAX_CODER_BYTES = 2**26 - 2
SPLIT_RATIO = 1.6
CONTENT_REACH = 32.0  # frames' worth of squared error that a content coefficient is charged with


class GopEncoder:
    """Infers and codes the latents of one GOP after another.

    Args:
        loaded: the model.
        height, width: of the frames.
        quality: 0…100.
        first_frame_only: infer every content from its GOP's first frame, to measure what the choice
            of another saves.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        height: int,
        width: int,
        quality: int,
        *,
        first_frame_only: bool = False,
    ) -> None:
        self.first_frame_only = first_frame_only
        self.loaded, self.quality = loaded, quality
        self.height, self.width = height, width
        self.size = grid_size(height, width)
        self.previous: Planes | None = None

    @property
    def model(self) -> SpatialModel:
        """The model in use."""
        return self.loaded.model

    def encode(self, plan: GopPlan) -> list[Gop]:
        """Code the frames of a plan as one GOP or, where they move too much for that, as more.

        Halving a GOP doubles its content and brings frames nearer to it. That pays once dynamics
        cost more than `SPLIT_RATIO` times the content.
        """
        before = self.previous
        content, dynamics = self._payloads(plan)
        too_large = max(len(content), len(dynamics)) > MAX_CODER_BYTES
        worth_it = len(dynamics) > SPLIT_RATIO * len(content)
        if not too_large and not (worth_it and len(plan.frames) >= 2 * MIN_GOP):
            return [self._gop(plan, content, dynamics)]
        if len(plan.frames) == 1:
            raise InputVideoError("a frame needs more bytes than the format allows")
        self.previous = before
        return [coded for half in plan.halves() for coded in self.encode(half)]

    def encode_whole(self, plan: GopPlan) -> Gop:
        """Code one GOP; frames that look back use the content of the call before."""
        return self._gop(plan, *self._payloads(plan))

    def _gop(self, plan: GopPlan, content: bytes, dynamics: bytes) -> Gop:
        count = len(plan.frames)
        segment = Segment(0, count, dynamics)
        return Gop(self.quality, plan.refs_previous, count, content, (segment,))

    def _payloads(self, plan: GopPlan) -> tuple[bytes, bytes]:
        """Coder bytes of content and dynamics."""
        if self.first_frame_only:
            plan = replace(plan, anchor=0)
        frames = to_tensors(plan.frames, self.height, self.width)
        frames = Yuv(*(x.to(self.loaded.device) for x in frames))
        coder = SymbolEncoder(self.loaded.tables)
        targets, steps = self.infer_content(frames, plan.anchor)
        _, f = code_content(self.model, coder, self.size, self.quality, targets)
        f_hat = f.float().to(self.loaded.device) * steps
        planes = self.model.synthesize_content(f_hat, self.quality)
        content = coder.finish()
        previous = planes
        if plan.refs_previous:
            assert self.previous is not None, "the first GOP has nothing to refer to"
            previous = self.previous
        z_targets = self.infer_dynamics(frames, previous, planes, plan)
        coder = SymbolEncoder(self.loaded.tables)
        count = len(plan.frames)
        refs = plan.refs_previous
        code_dynamics(self.model, coder, self.size, self.quality, refs, count, z_targets)
        self.previous = planes
        return content, coder.finish()

    def infer_content(self, frames: Yuv, anchor: int) -> tuple[tuple[Target, Target], Tensor]:
        """Targets of f_hyper and f on the CPU, and the steps of f."""
        one = Yuv(frames.luma[anchor : anchor + 1], frames.chroma[anchor : anchor + 1])
        steps = self.model.f_steps(self.quality)
        scaled = self.model.content_posterior(one) / steps
        hyper = self.model.content_posterior.infer_hyper(scaled)
        stiffness = CONTENT_REACH * steps.square() / lagrangian(self.quality)
        return (fixed(hyper.cpu()), Target(scaled.cpu(), stiffness.cpu())), steps

    def infer_dynamics(
        self, frames: Yuv, previous: Planes, current: Planes, plan: GopPlan
    ) -> Target:
        """Target of z_t of all frames on the CPU.

        Motion is chosen first, in a pass of the prior over a GOP without residuals; the residual is
        what the prediction by that motion lacks.
        """
        model, steps = self.model, self.model.z_steps(self.quality)
        side = steps[:, :SIDE_CHANNELS]
        per_bit = 1 / lagrangian(self.quality)
        luma = frames.luma.transpose(0, 1)
        mu = smoothness(self.quality)
        chunk = chunk_frames(self.height, self.width)
        motion = model.infer_motion(luma, previous, current, plan.anchor, mu, chunk)
        parts = [motion_stiffness(part) for part in frames.luma.split(chunk)]
        stiffness = torch.cat(parts) * side.square() * per_bit
        motion = self._choose_motion(Target(motion / side, stiffness), plan).to(steps)
        residuals = []
        for t in range(0, luma.shape[1], chunk):
            part = Yuv(frames.luma[t : t + chunk], frames.chroma[t : t + chunk])
            times = part.luma.shape[0]
            a, b = expand_planes(previous, times), expand_planes(current, times)
            dense = model.frame_synthesis.motion(a, b, motion[t : t + chunk] * side)
            prediction, _ = model.frame_synthesis.predict(a, b, dense)
            residuals.append(model.dynamics_posterior.infer_residual(part, prediction))
        values = torch.cat([motion, torch.cat(residuals) / steps[:, SIDE_CHANNELS:]], 1)
        stiffness = steps.square() * per_bit
        stiffness[:, :SIDE_CHANNELS] = math.inf
        return Target(values.cpu(), stiffness.cpu())

    def _choose_motion(self, target: Target, plan: GopPlan) -> Tensor:
        """Symbols of motion and mixing, [T, 5, h, w]."""
        count, _, *size = target.values.shape
        rest = (count, self.model.config.z_channels - SIDE_CHANNELS, *size)
        values = torch.cat([target.values.cpu(), torch.zeros(rest)], 1)
        stiffness = torch.cat([target.stiffness.cpu(), torch.full(rest, math.inf)], 1)
        setting = (self.size, self.quality, plan.refs_previous, count)
        z = code_dynamics(self.model, Unheard(), *setting, Target(values, stiffness))
        return z[:, :SIDE_CHANNELS]
