"""One GOP: frames to latents to coder bytes.

frames ─ ContentEncoder ─► f, planes ─ infer_motion ─► motion ─ code_dynamics ─► z
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor

from bitstream import Gop
from bitstream.limits import MAX_CODER_BYTES, MAX_QUALITY
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.preset import PRESETS, Preset
from dsaecodec.codec.segments import SegmentEncoder, make_segments
from dsaecodec.codec.symbols import Coder, Unheard
from dsaecodec.codec.threads import Crew
from dsaecodec.errors import InputVideoError
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.alignment import align
from dsaecodec.spatial.content_encoder import ContentEncoder
from dsaecodec.spatial.gop_coder import (
    LazyTargets,
    Target,
    code_dynamics,
    iter_dynamics,
)
from dsaecodec.spatial.inference import ClassicalMotion, Coded, Cost, Draft, Inference
from dsaecodec.spatial.model import (
    SIDE_CHANNELS,
    SpatialModel,
    encoder_lagrangian,
    motion_stiffness,
    smoothness,
)
from dsaecodec.spatial.motion import estimate_around
from dsaecodec.spatial.pictures import chunk_frames, floats, grid_size, squared_error, to_tensors
from dsaecodec.spatial.refine import Refiner
from dsaecodec.spatial.synthesis import Planes, Yuv, expand_planes

MIN_GOP = 4  # GOPs are not halved below this
DOUBTFUL_RATIO, SPLIT_RATIO = 2.0, 7.0  # of what dynamics cost in haste to the content
LONE_SPLIT_RATIO = 5.8
LEAST_GAIN = 0.05  # of a whole's bits, by halves
WORTH = 2.5  # λ: what bits save elsewhere, by a finer quality
SAMPLED = 4  # one in so many frames says how large errors are
FINER = 4  # of quality, for each doubling of the frames that lean on a content
SHORT = -8  # of quality, of a GOP between two contents that has fewer than 8 frames
HASTE_COSTS = 1.5  # times what dynamics cost once their motion is chosen and has descended


class SpatialGopEncoder:
    """Infers and codes the latents of one GOP after another, see `codec.family.GopEncoder`.

    Args:
        loaded: the model.
        height, width: of the frames.
        quality: 0…100; that of GOPs is around it, see `finer`.
        preset: how hard to try.
        crew: does the work; None: the calling thread alone.
        first_frame_only: infer every content from its GOP's first frame, to measure what the choice
            of another saves.
        restart: frames after which the prior of dynamics begins anew, None for never in a GOP.

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
        crew: Crew | None = None,
        first_frame_only: bool = False,
        restart: int | None = None,
    ) -> None:
        self.restart = restart
        self.first_frame_only = first_frame_only
        self.loaded, self.quality, self.preset = loaded, quality, preset
        self.crew = crew or Crew.alone()
        self.height, self.width = height, width
        self.size = grid_size(height, width)
        self.chunk = chunk_frames(height, width)
        self.cost_before = self.cost_after = 0.0
        self._previous: Planes | None = None
        self._surely_split: dict[int, bool] = {}  # the last plan of so many frames

    @property
    def lmbda(self) -> float:
        """λ of J = D + λ·R, see `encoder_lagrangian`."""
        return encoder_lagrangian(self.quality)

    @property
    def model(self) -> SpatialModel:
        """The model in use."""
        return self.loaded.spatial

    def contents(self, quality: int) -> ContentEncoder:
        """Codes contents."""
        return ContentEncoder(self.loaded, self.size, quality, self.crew)

    def encode(self, plan: GopPlan) -> list[Gop]:
        """Code the frames of a plan as one GOP or, where they move too much for that, as more.

        Halving a GOP doubles its content and brings frames nearer to it. What that is worth is
        looked at in haste: with motion as inferred. Dynamics cost their bits and the error beyond
        that of the content, over `WORTH` λ. If that is more than
        `SPLIT_RATIO` times the bits of the content the GOP is halved, if less than
        `DOUBTFUL_RATIO` it stays whole, and else halves are drafted, too, and kept if they save
        enough, bits and error together. A GOP alone between cuts has a ratio of its own, and no
        drafts: its halves have a content at each end, not one in the middle.
        """
        return self._encode(plan, ClassicalMotion()).gops

    def _encode(self, plan: GopPlan, known: ClassicalMotion, draft: Draft | None = None) -> Coded:
        splits = self.preset.halves and len(plan.frames) >= 2 * MIN_GOP
        if not draft and splits and plan.refs_previous and self._surely_split.get(len(plan.frames)):
            coded = self._encode_split(plan)
            if coded:
                return coded
        draft = draft or self._infer(plan, known)
        known_of_halves = draft.inference.classical.halves(draft.inference.plan)
        halves = self._better_halves(draft, known_of_halves) if splits else None
        if halves is None:
            draft = self._improve(draft)
            dynamics, cost = self._dynamics(draft)
            if max(map(len, [draft.content, *dynamics])) <= MAX_CODER_BYTES:
                self._surely_split[len(plan.frames)] = False
                return Coded([self._finish(draft, dynamics)], self._weighed(cost))
            if len(plan.frames) == 1:
                raise InputVideoError("a frame needs more bytes than the format allows")
        self._surely_split[len(plan.frames)] = not halves
        del draft  # it is large
        return self._encode_halves(plan, known_of_halves, halves or [])

    def _encode_halves(
        self,
        plan: GopPlan,
        known: Sequence[ClassicalMotion] = (ClassicalMotion(), ClassicalMotion()),
        drafts: Sequence[Draft] = (),
    ) -> Coded:
        """Code halves; a draft of one is used if what it refers to has stayed as it was."""
        coded = []
        for half, motion, draft in zip_longest(plan.halves(), known, drafts):
            stays = draft and draft.inference.previous is self._previous
            coded.append(self._encode(half, motion, draft if stays else None))
        return Coded(
            [gop for half in coded for gop in half.gops], sum(half.weighed for half in coded)
        )

    def _weighed(self, cost: Cost) -> float:
        return cost.bits + cost.excess / (WORTH * self.lmbda)

    def _better_halves(
        self, draft: Draft, known: Sequence[ClassicalMotion]
    ) -> Sequence[Draft] | None:
        """Drafts of halves, empty if there is no doubt; None if the whole is better."""
        draft = self._looked_at(draft)
        plan, cost, bits_of_content = draft.inference.plan, draft.cost, 8 * len(draft.content)
        assert cost is not None
        weighed = self._weighed(cost)
        if not plan.refs_previous:
            return () if weighed > LONE_SPLIT_RATIO * bits_of_content else None
        if weighed > SPLIT_RATIO * bits_of_content:
            return ()
        if weighed < DOUBTFUL_RATIO * bits_of_content:
            return None
        before, drafts, saved = self._previous, list[Draft](), self._lagrangian(draft)
        for half, motion in zip(plan.halves(), known, strict=True):
            drafts.append(self._looked_at(self._infer(half, motion)))
            saved -= self._lagrangian(drafts[-1])
            self._previous = drafts[-1].planes
        self._previous = before
        return drafts if saved > LEAST_GAIN * (cost.bits + bits_of_content) else None

    def _looked_at(self, draft: Draft) -> Draft:
        """A draft of which it is known what its dynamics cost in haste."""
        return draft if draft.cost else replace(draft, cost=self._dynamics(draft, hasty=True)[1])

    def _lagrangian(self, draft: Draft) -> float:
        """J of a draft in bits."""
        assert draft.cost is not None
        return 8 * len(draft.content) + draft.cost.bits + draft.cost.error / (WORTH * self.lmbda)

    def _encode_split(self, plan: GopPlan) -> Coded | None:
        """Halves of a plan of a length that was split before; nothing if a whole might be better.

        The whole's content is of the same frame as the last one here, and its dynamics cost no less
        than those of all parts, whose frames are nearer to a content: if these cost too much, so
        would those. But the whole's content takes more bits, for it is predicted from farther away
        and finer: a length that was split once stays split longer than a draft of the whole would.
        """
        before = self._previous, self.cost_before, self.cost_after
        coded = self._encode_halves(plan)
        if HASTE_COSTS * coded.weighed > SPLIT_RATIO * 8 * len(coded.gops[-1].content):
            return coded
        self._previous, self.cost_before, self.cost_after = before
        return None

    def _finish(self, draft: Draft, dynamics: list[bytes]) -> Gop:
        self._previous = draft.planes
        plan = draft.inference.plan
        count = len(plan.frames)
        segments = tuple(make_segments(count, self.restart, dynamics))
        quality = draft.inference.quality
        return Gop(quality, plan.refs_previous, count, draft.content, segments)

    def _infer(self, plan: GopPlan, known: ClassicalMotion) -> Draft:
        """Code the content of a GOP, and infer its dynamics, as its frames are at first sight."""
        if self.first_frame_only:
            plan = replace(plan, anchor=0)
        assert self._previous or not plan.refs_previous, "the first GOP has nothing to refer to"
        previous = self._previous if plan.refs_previous else None
        quality = min(max(self.quality + finer(plan), 0), MAX_QUALITY)
        frames = to_tensors(plan.frames, self.height, self.width)
        frames = Yuv(*(x.to(self.loaded.device) for x in frames))
        frame = floats(frames, slice(plan.anchor, plan.anchor + 1))
        classical = self._classical_motion(frames, frame, plan.anchor, previous, known)
        to_previous = classical.to_previous
        vectors = None if to_previous is None else to_previous[:, plan.anchor]
        coded = self.contents(quality).encode(frame, previous, vectors)
        motion = self.infer_motion(frames, quality, coded.planes, previous, classical)
        found = Inference(
            plan, quality, frames, coded.targets, coded.prediction, motion, classical, previous
        )
        return Draft(found, coded.payload, coded.planes)

    def _improve(self, draft: Draft) -> Draft:
        """A draft with the latents that the preset pays for."""
        if self.preset.motion_steps:
            draft = replace(draft, inference=self._aligned(draft))
        return self._refined(draft) if self.preset.rounds else draft

    def _aligned(self, draft: Draft) -> Inference:
        found = draft.inference
        parts, ends = self._parts(len(found.plan.frames)), (found.previous, draft.planes)
        motion = found.motion.values.to(self.loaded.device)
        setting = (found.quality, self.lmbda, self.preset.motion_steps, parts, self.crew)
        values, stiffness = align(
            self.model, found.frames.luma, ends, motion, found.place, *setting
        )
        stiffness[:, -1] = math.inf
        return replace(found, motion=Target(values.cpu(), stiffness.cpu()))

    def _refined(self, draft: Draft) -> Draft:
        refiner = Refiner(self, draft.inference)
        found = refiner.run(self.preset.rounds)
        self.cost_before += refiner.cost_before
        self.cost_after += refiner.cost_after
        coded = self.contents(found.quality).finish(found.content, found.prediction)
        return Draft(found, coded.payload, coded.planes)

    def _dynamics(self, draft: Draft, *, hasty: bool = False) -> tuple[list[bytes], Cost]:
        """Coder bytes of each segment, and what they cost."""
        coder = SegmentEncoder(self.loaded.tables)
        z = self.code_dynamics(draft.inference, draft.planes, coder, hasty=hasty)
        segments = coder.finish()
        error, own = self._errors(draft, z) if self.preset.halves else (0.0, 0.0)
        return segments, Cost(8 * sum(map(len, segments)), error, max(error - own, 0.0))

    def _errors(self, draft: Draft, z: Tensor) -> tuple[float, float]:
        """Squared error of all frames, by that of some, and if all had that of the content.

        Args:
            draft: the GOP.
            z: symbols of its dynamics, [T, C, h, w].
        """
        found, anchor = draft.inference, draft.inference.plan.anchor
        frame = floats(found.frames, slice(anchor, anchor + 1))
        own = float(squared_error(frame, draft.planes.picture))
        steps, ends = self.model.z_steps(found.quality), (draft.planes, found.previous)

        def error_of(part: slice) -> Tensor:
            pictures = self.model.synthesize(*ends, z[part].to(steps) * steps)
            return squared_error(floats(found.frames, part), pictures)

        some = [slice(t, t + 1) for t in range(0, len(z), SAMPLED)]
        works = [self.crew.submit(partial(error_of, part)) for part in some]
        error = sum(float(work.result()) for work in works) / len(some)
        return error * len(z), own * len(z)

    def _classical_motion(
        self, frames: Yuv, frame: Yuv, anchor: int, previous: Planes | None, known: ClassicalMotion
    ) -> ClassicalMotion:
        """Motion against the content's own frame and, if frames also use them, planes before."""

        def against(luma: Tensor, start: int, grids: Tensor | None) -> Tensor:
            return self._search(frames, luma, start) if grids is None else grids

        works = [self.crew.submit(partial(against, frame.luma, anchor, known.to_current))]
        if previous is not None:
            before = previous.picture.luma
            works.append(self.crew.submit(partial(against, before, 0, known.to_previous)))
        to_current, *to_previous = (work.result() for work in works)
        return ClassicalMotion(to_previous[0] if to_previous else None, to_current)

    def _search(self, frames: Yuv, luma: Tensor, start: int) -> Tensor:
        """Motion of all frames to a picture, [1, T, 2, h, w], outward from the one it is near."""
        return estimate_around(frames.luma.transpose(0, 1), luma, start, smoothness(self.quality))

    def infer_motion(
        self,
        frames: Yuv,
        quality: int,
        planes: Planes,
        previous: Planes | None,
        classical: ClassicalMotion,
    ) -> Target:
        """Target of motion and mixing of all frames, [T, 5, h, w], on the CPU.

        Args:
            frames: of the GOP.
            quality: of the GOP.
            planes, previous: of this GOP and, if frames also use it, the one before.
            classical: motion to both.
        """
        luma, to_current = frames.luma.transpose(0, 1), classical.to_current
        assert to_current is not None
        to_previous = to_current if previous is None else classical.to_previous
        assert to_previous is not None
        both = torch.cat([to_previous, to_current], 2)
        side = self.model.z_steps(quality)[:, :SIDE_CHANNELS]

        def judge(part: slice) -> tuple[Tensor, Tensor]:
            seen = luma[:, part]
            motion = self.model.judge_motion(seen, previous or planes, planes, both[:, part])
            stiffness = motion_stiffness(frames.luma[part].float())
            return motion / side, stiffness * side.square() / self.lmbda

        judged = [self.crew.submit(partial(judge, part)) for part in self._parts(luma.shape[1])]
        values, stiffness = zip(*(future.result() for future in judged), strict=True)
        return Target(torch.cat(values).cpu(), torch.cat(stiffness).cpu())

    def code_dynamics(
        self, found: Inference, planes: Planes, coder: Coder, *, hasty: bool = False
    ) -> Tensor:
        """Code z_t of all frames; its symbols, int32 [T, C, h, w].

        Motion is chosen first, in a pass of the prior over a GOP without residuals, or, hasty, just
        rounded; the residual is what the prediction by that motion lacks.
        """
        plan, motion = found.plan, found.motion
        place = found.place
        setting = (self.size, found.quality, place)
        parts = self._parts(len(plan.frames))
        channels = self.model.config.z_channels - SIDE_CHANNELS

        def without_residual() -> Iterator[Target]:
            for part in parts:
                values, stiffness = motion.part(part)
                rest = (len(values), channels, *self.size)
                values = torch.cat([values, torch.zeros(rest)], 1)
                yield Target(values, torch.cat([stiffness, torch.full(rest, math.inf)], 1))

        def chosen() -> Iterator[Tensor]:
            if hasty:
                yield from (torch.floor(motion.part(part).values + 0.5) for part in parts)
                return
            targets = LazyTargets(without_residual())
            symbols = iter_dynamics(self.model, Unheard(), *setting, targets, restart=self.restart)
            for part in parts:
                z = [next(symbols)[:, :SIDE_CHANNELS] for _ in range(part.start, part.stop)]
                yield torch.cat(z).float()

        stiffness = self.model.z_steps(found.quality).square().cpu() / self.lmbda
        stiffness[:, :SIDE_CHANNELS] = math.inf

        def whole() -> Iterator[Target]:
            for part, moved in zip(parts, self.crew.ahead(chosen()), strict=True):
                residual = self._residual(found, planes, moved, part)
                yield Target(torch.cat([moved, residual], 1), stiffness)

        targets = LazyTargets(self.crew.ahead(whole()))
        return code_dynamics(self.model, coder, *setting, targets, restart=self.restart)

    def _parts(self, num_frames: int) -> list[slice]:
        """Frames of a GOP that are worked on at once."""
        starts = range(0, num_frames, self.chunk)
        return [slice(t, min(t + self.chunk, num_frames)) for t in starts]

    def _residual(self, found: Inference, planes: Planes, motion: Tensor, part: slice) -> Tensor:
        """What the prediction of some frames lacks, in steps, [T, R, h, w] on the CPU.

        Args:
            found, planes: the GOP and its content.
            motion: symbols of motion and mixing of the frames, [T, 5, h, w].
            part: which frames.
        """
        model, steps = self.model, self.model.z_steps(found.quality)
        motion = motion.to(steps) * steps[:, :SIDE_CHANNELS]
        a, b = (expand_planes(p, len(motion)) for p in (found.previous or planes, planes))
        dense = model.frame_synthesis.motion(a, b, motion)
        prediction, _ = model.frame_synthesis.predict(a, b, dense)
        residual = model.dynamics_posterior.infer_residual(floats(found.frames, part), prediction)
        return (residual / steps[:, SIDE_CHANNELS:]).cpu()


def finer(plan: GopPlan) -> int:
    """How much finer than asked for a GOP is coded: the more frames lean on its content the finer.

    Its dynamics, whose steps follow, are still rounded for the quality that was asked for.
    """
    octaves = len(plan.frames).bit_length() - 4  # 0 for 8…15 frames, 1 for 16…31, …
    if not plan.refs_previous:
        return FINER * min(max(octaves, 0), 2)
    return SHORT if octaves < 0 else FINER * min(octaves, 1)
