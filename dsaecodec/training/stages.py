"""The stages of training: what a step of each computes, over which parameters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from bitstream import FrequencyTables
from dsaecodec import likelihood
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.synthesis import Yuv
from dsaecodec.tables import Census
from dsaecodec.training.chance import Noise, below, generator_of
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.moving_photos import Scene, draw_scene
from dsaecodec.training.objective import Terms, clip_terms, content_terms, frame_of
from dsaecodec.training.optimizer import DECAY, parameter_groups
from dsaecodec.training.sampler import ClipSampler
from dsaecodec.training.shots import Shot
from dsaecodec.training.symbols import QUALITIES, CodedGop
from dsaecodec.training.team import Team

HELD_OUT = 8  # one shot in so many judges a stage that shots are encoded for
ALONE = 6  # one step in so many codes clips that have no previous content
STANDING = 4  # of the others, one in so many has contents that stand alone
Coded = TypeVar("Coded")
_SCENE = 1  # tells the generator of a scene from that of the noise


class Found(NamedTuple):
    """What a stage finds of a model by what it holds out.

    Attributes:
        psnr_db, bits_content, bits_dynamics, bpp: as the log of judgements calls them; None: it
            does not say.
        said: the same for people.
    """

    said: str
    psnr_db: float | None = None
    bits_content: float | None = None
    bits_dynamics: float | None = None
    bpp: float | None = None


class Stage(ABC):
    """A number of like steps.

    Attributes:
        name: as the log calls it.
        steps: how many.
        number: which stage it is; seeds its random numbers.
        decay: the part of it over which the learning rate falls.
    """

    name: str
    steps: int
    number: int
    decay: float = DECAY

    def __init__(self, config: TrainConfig) -> None:
        self._config = config

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """What moves, for an optimizer: all parameters."""
        return parameter_groups(model, self._config.learning_rate)

    def judge(self, model: Any) -> Found | None:
        """How good a model is at what the stage is about; None: held-out clips say."""
        return None

    @abstractmethod
    def terms(self, model: Any, step: int, team: Team) -> Terms:
        """What a step measures on a process's share of the batch."""

    @property
    @abstractmethod
    def pixels(self) -> int:
        """Pixels of frames in a step, over all processes."""


class ContentStage(Stage):
    """f alone, on single pictures.

    Args:
        config: the run.
        shots: pictures and clips.
    """

    name, number = "content", 0

    def __init__(self, config: TrainConfig, shots: Sequence[Shot]) -> None:
        super().__init__(config)
        self.steps = config.content.steps
        self.sampler = ClipSampler(shots, 1, config.content.size)

    @property
    def pixels(self) -> int:
        """See `Stage`."""
        return self._config.content.batch * self.sampler.height * self.sampler.width

    def terms(self, model: SpatialModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        config, seed = self._config.content, (self._config.seed, self.number, step)
        generator = generator_of(*seed)
        quality = _draw_quality(generator)
        share = team.share(config.batch)
        crops = self.sampler.choose(config.batch, generator)[share]
        frame = frame_of(self.sampler.cut(crops), 0)
        return content_terms(model, frame, quality, _noise(seed, share, team))


class ClipStage(Stage):
    """Everything, on clips; some of them are made of moving photos.

    Args:
        config: the run.
        shots: clips and photos.
    """

    name, number = "clips", 1

    def __init__(self, config: TrainConfig, shots: Sequence[Shot]) -> None:
        super().__init__(config)
        self.steps = config.clips.steps
        if config.clips.synthetic == 1:  # all are made, so what there is need not move
            shots = [shot.still(config.clips.num_frames) for shot in shots]
        self.sampler = ClipSampler(shots, config.clips.num_frames, config.clips.size)
        largest = max(self.sampler.height, self.sampler.width)
        self._photos = ClipSampler(shots, 1, largest) if config.clips.synthetic else None
        if self._photos:  # one shape; smaller photos are continued
            self._photos.height, self._photos.width = self.sampler.height, self.sampler.width

    @property
    def pixels(self) -> int:
        """See `Stage`."""
        clip = self.sampler.num_frames * self.sampler.height * self.sampler.width
        return self._config.clips.batch * clip

    def terms(self, model: SpatialModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        config, seed = self._config.clips, (self._config.seed, self.number, step)
        generator = generator_of(*seed)
        quality = _draw_quality(generator)
        anchor = config.num_frames // 2 if below(ALONE, generator) == 0 else None
        share = team.share(config.batch)
        crops = self.sampler.choose(config.batch, generator)[share]
        made = torch.rand(config.batch, generator=generator)[share] < config.synthetic
        clip = self.sampler.cut(crops)
        for i, clip_number in enumerate(range(config.batch)[share]):
            if made[i]:
                luma, chroma = self._make_clip(generator_of(*seed, clip_number, _SCENE))
                clip.luma[i], clip.chroma[i] = luma, chroma
        predicted = bool(model.config.predicted) and below(STANDING, generator) > 0
        noise = _noise(seed, share, team)
        return clip_terms(model, clip, quality, anchor, noise, predicted=predicted)

    def _make_clip(self, generator: torch.Generator) -> Yuv:
        assert self._photos is not None
        pictures = self._photos.cut(self._photos.choose(2, generator))
        luma, chroma = pictures.luma, pictures.chroma[:, 0]
        back, front = (Yuv(luma[i : i + 1], chroma[i : i + 1]) for i in range(2))
        return draw_scene(Scene.random(generator), back, front, self.sampler.num_frames)


class PriorStage(Stage):
    """The priors alone, on symbols that the encoder chose.

    Args:
        config: the run.
        coded: shots' numbers and their GOPs, see `symbols.read_choice`.
    """

    name, number = "priors", 2

    def __init__(
        self, config: TrainConfig, coded: Sequence[tuple[int, Sequence[CodedGop]]]
    ) -> None:
        super().__init__(config)
        self.steps = config.priors.steps
        self._judged, self._shots = split(coded)
        means = [sum(gop.num_pixels for gop in gops) // len(gops) for _, gops in coded]
        self._pixels = sum(means) // max(1, len(means))

    @property
    def pixels(self) -> int:
        """See `Stage`; a mean."""
        return self._config.priors.batch * self._pixels

    @torch.no_grad()
    def judge(self, model: SpatialModel) -> Found:
        """See `Stage`: bits a pixel of content, of dynamics a pixel and frame, and of both.

        Geometric means, so that a halving counts alike at all rates. A clip whose latents are
        merely rounded would mislead here: the priors learn what the encoder chooses, and for that
        it weighs bits.
        """
        rows = []
        for gop in self._judged:
            bits_f, bits_z = gop.bits(model)
            rates = (bits_f * gop.num_frames, bits_z, bits_f + bits_z)
            rows.append(torch.log2(torch.stack(rates) / gop.num_pixels + 1e-9))
        f, z, bpp = torch.exp2(torch.stack(rows).mean(0)).tolist()
        return Found(f"GOPs at {bpp:.4f} bpp", bits_content=f, bits_dynamics=z, bpp=bpp)

    @torch.no_grad()
    def fitted_tables(
        self, model: SpatialModel, stops: Callable[[], bool]
    ) -> FrequencyTables | None:
        """Frequency tables fitted to the symbols that the priors are; None if stopped."""
        census = Census()
        for gop in (gop for gops in self._shots for gop in gops):
            if stops():
                return None
            for said, symbols in gop.said(model):
                integer, fraction = likelihood.split_mean(said.mean)
                index = likelihood.table_index(fraction, said.index)
                table, offset = (x.int().cpu().numpy() for x in (index, symbols - integer))
                census.add(table, offset)
        return census.tables()

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """See `Stage`."""
        parts = (model.content_prior, model.motion_prior, model.dynamics_prior)
        priors = [p for part in parts if part is not None for p in part.parameters()]
        return parameter_groups(model, self._config.priors.learning_rate, priors)

    def terms(self, model: SpatialModel, step: int, team: Team) -> Terms:
        """The loss is the mean logarithm of GOPs' bits: a halving counts alike at all rates.

        A shot of one long GOP counts as much as one of many short ones.
        """
        config = self._config.priors
        generator = generator_of(self._config.seed, self.number, step)
        picks = torch.rand(config.batch, 2, generator=generator)
        losses, rates_f, rates_z = [], [], []
        for shot, part in picks[team.share(config.batch)].tolist():
            gops = self._shots[int(shot * len(self._shots))]
            gop = gops[int(part * len(gops))]
            bits_f, bits_z = gop.bits(model)
            losses.append(torch.log2((bits_f + bits_z) / gop.num_pixels))
            rates_f.append(bits_f * gop.num_frames / gop.num_pixels)
            rates_z.append(bits_z / gop.num_pixels)
        loss, rate_f, rate_z = (torch.stack(x).mean() for x in (losses, rates_f, rates_z))
        return Terms(loss, torch.zeros_like(loss), rate_f, rate_z)


def start_ahead(model: SpatialModel, shots: Sequence[Shot], config: TrainConfig) -> None:
    """Set the initial scales of the priors from data: step 0 is a transform codec.

    Scale indices of f follow the mean magnitude of its coefficients at quality 50; those of z_t
    start at plausible constants.
    """
    quality, sampler = 50, ClipSampler(shots, 1, config.content.size)
    with torch.no_grad():
        crops = sampler.choose(24, generator_of(config.seed))
        scaled = model.content_posterior(frame_of(sampler.cut(crops), 0)) / model.f_steps(quality)
        magnitude = scaled.abs().mean((0, 2, 3)).clamp(min=0.02)
        index = likelihood.LEVELS_PER_OCTAVE * torch.log2(magnitude / likelihood.SCALE_MIN)
        model.content_prior.head.bias[scaled.shape[1] :] = index
        head = model.dynamics_prior.head.bias[model.config.z_channels :]
        head[:] = likelihood.LEVELS_PER_OCTAVE * math.log2(0.25 / likelihood.SCALE_MIN)
        head[:5] = likelihood.LEVELS_PER_OCTAVE * math.log2(0.7 / likelihood.SCALE_MIN)


def split(
    coded: Sequence[tuple[int, Sequence[Coded]]],
) -> tuple[list[Coded], list[Sequence[Coded]]]:
    """What judges, of what was coded of shots by their numbers; and the other shots, or all."""
    held = sorted({number for number, _ in coded})[::HELD_OUT]
    judged = [one for number, parts in coded if number in held for one in parts]
    fitted = [parts for number, parts in coded if number not in held]
    return judged, fitted or [parts for _, parts in coded]


def _draw_quality(generator: torch.Generator) -> int:
    return int(torch.randint(*QUALITIES, (1,), generator=generator))


def _noise(seed: tuple[int, ...], share: slice, team: Team) -> Noise:
    return Noise([(*seed, i) for i in range(share.start, share.stop)], team.device)
