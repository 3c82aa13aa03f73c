"""The stages of a vector model: what a step of each computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dsaecodec import likelihood
from dsaecodec.errors import ConfigError
from dsaecodec.training.chance import Noise, below, generator_of
from dsaecodec.training.config import CodingConfig, SequencesConfig, SketchConfig, TrainConfig
from dsaecodec.training.objective import Terms
from dsaecodec.training.optimizer import parameter_groups
from dsaecodec.training.shots import Shot
from dsaecodec.training.stages import Stage
from dsaecodec.training.team import Team
from dsaecodec.training.vector_objective import coding_terms, sequence_terms, sketch_terms
from dsaecodec.vector.model import SPREAD, VectorModel
from dsaecodec.vector.pictures import UNIT
from dsaecodec.vector.synthesis import detail_of, to_blocks

ROUNDED_FROM = 0.7  # of the second stage: latents are rounded, as they will be, not noisy
MEASURED = 2048  # pictures that decide which blocks vary


class SequenceSampler:
    """Random clips of the shots that are RGB pictures of the model's size.

    Args:
        shots: what to draw from.
        num_frames: of the longest clips that will be asked for.
        size: of pictures.

    Raises:
        ConfigError: no shot fits.
    """

    def __init__(self, shots: Sequence[Shot], num_frames: int, size: int) -> None:
        fitting = [s for s in shots if s.is_rgb and s.luma.shape[1:] == (size, size)]
        if not fitting:
            found = sorted({f"{s.luma.shape[2]}x{s.luma.shape[1]}" for s in shots})[:3]
            raise ConfigError(
                f"no clip of {size}x{size} pixels to train on, but of {', '.join(found)}",
                hint="--set vector.size=N trains for pictures of N pixels a side",
            )
        self._shots = [s for s in fitting if s.loops or len(s) >= num_frames]
        if not self._shots:
            longest = max(map(len, fitting))
            raise ConfigError(
                f"no shot of {num_frames} frames to train on: the longest has {longest}",
                hint=f"--set coding.num_frames={longest}, and so for sequences and sketch",
            )
        self._stored: dict[int, Tensor] = {}

    def clips(self, count: int, num_frames: int, generator: torch.Generator) -> list[Tensor]:
        """Random clips, each uint8 [T, 3, H, W] of RGB."""
        picks = torch.randint(len(self._shots), (count,), generator=generator).tolist()
        return [self._cut(self._shots[pick], num_frames, generator) for pick in picks]

    def beginnings(self, num_frames: int, count: int) -> list[Tensor]:
        """The first frames of evenly spaced shots."""
        step = max(1, len(self._shots) // count)
        times = torch.arange(num_frames)
        return [self._frames(shot, times) for shot in self._shots[::step][:count]]

    def _cut(self, shot: Shot, num_frames: int, generator: torch.Generator) -> Tensor:
        starts = len(shot) if shot.loops else len(shot) - num_frames + 1
        return self._frames(shot, below(starts, generator) + torch.arange(num_frames))

    def _frames(self, shot: Shot, times: Tensor) -> Tensor:
        t = (times % len(shot)).to(shot.luma.device)
        chroma = shot.chroma[t]  # blue, red
        return torch.stack([chroma[:, 1], shot.luma[t], chroma[:, 0]], 1)


def to_input(clips: Sequence[Tensor]) -> Tensor:
    """Clips uint8 [T, 3, H, W] → blocks [blocks, N, T, 192], as the networks take them."""
    return to_blocks(torch.stack(list(clips))).float().contiguous() / UNIT


class Batch(NamedTuple):
    """What a step looks at: a process's share of it.

    Attributes:
        blocks: clips [blocks, N, T, 192].
        quality: of each [N].
        noise: of each.
    """

    blocks: Tensor
    quality: Tensor
    noise: Noise


class VectorStage(Stage):
    """A stage of a vector model: clips of a length, at qualities, drawn at random.

    Args:
        config: the run.
        shots: RGB clips.

    Attributes:
        qualities: drawn from these, the upper one excluded.
        varied: clips have from half the stage's frames on, to all of them.
    """

    decay = 1.0
    qualities: tuple[int, int]
    varied = True

    def __init__(self, config: TrainConfig, shots: Sequence[Shot]) -> None:
        super().__init__(config)
        self._own: SketchConfig | SequencesConfig | CodingConfig = getattr(config, self.name)
        self.steps = self._own.steps
        self._sampler = SequenceSampler(shots, self._own.num_frames, config.vector.size)

    @property
    def pixels(self) -> int:
        """See `Stage`; a mean."""
        frames = self._own.num_frames * 3 // 4 if self.varied else self._own.num_frames
        return self._own.batch * frames * self._config.vector.size**2

    def _draw(self, step: int, team: Team) -> Batch:
        seed, count = (self._config.seed, self.number, step), self._own.batch
        generator = generator_of(*seed)
        share = team.share(count, self.name)
        num_frames = self._own.num_frames
        if self.varied:
            shortest = num_frames // 2
            num_frames = shortest + below(num_frames - shortest + 1, generator)
        quality = torch.randint(*self.qualities, (count,), generator=generator)[share]
        blocks = to_input(self._sampler.clips(count, num_frames, generator)[share])
        noise = Noise([(*seed, i) for i in range(share.start, share.stop)], team.device)
        return Batch(blocks, quality.to(blocks.device), noise)


class SketchStage(VectorStage):
    """Latents and pictures, without the real priors, which take half the time."""

    name, number, qualities, varied = "sketch", 3, (50, 76), False

    def terms(self, model: VectorModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        batch = self._draw(step, team)
        # Free at first: what is the same in all frames then settles in f, what changes in z.
        bit = self._config.sketch.bit * min(1.0, 0.03 + 1.25 * step / self.steps)
        return sketch_terms(model, batch.blocks, batch.quality, batch.noise, bit)


class SequenceStage(VectorStage):
    """Everything."""

    name, number, qualities = "sequences", 4, (20, 86)

    def groups(self, model: VectorModel) -> list[dict[str, Any]]:
        """See `Stage`."""
        return parameter_groups(model, self._config.sequences.learning_rate)

    def terms(self, model: VectorModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        batch, progress = self._draw(step, team), step / self.steps
        noise = batch.noise if progress < ROUNDED_FROM else None
        # The rate's weight rises, so that z does not collapse.
        bit = self._config.sequences.bit * min(1.0, 0.1 + 3 * progress)
        return sequence_terms(model, batch.blocks, batch.quality, noise, bit)


class CodingStage(VectorStage):
    """The priors alone, which learn longer than pictures do."""

    name, number, qualities = "coding", 5, (5, 101)

    def groups(self, model: VectorModel) -> list[dict[str, Any]]:
        """See `Stage`."""
        moving = [*model.content_prior.parameters(), *model.dynamics_prior.parameters()]
        return parameter_groups(model, self._config.coding.learning_rate, moving)

    def terms(self, model: VectorModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        batch = self._draw(step, team)
        return coding_terms(model, batch.blocks, batch.quality)


def start_vectors(model: VectorModel, shots: Sequence[Shot]) -> None:
    """Begin with the mean picture, wide latents, and priors that expect them."""
    with torch.no_grad():
        wide = [model.posterior.f, model.posterior.z]
        for network in wide[:1] if model.posterior.things else wide:
            last = network[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(SPREAD)  # narrow latents are slow to tell apart
        for prior in (model.content_prior, model.dynamics_prior):
            index = likelihood.LEVELS_PER_OCTAVE * math.log2(2 / likelihood.SCALE_MIN)
            prior.numbers.head.bias[1] = index
        sampler = SequenceSampler(shots, 1, model.config.size)
        blocks = to_input(sampler.clips(256, 1, generator_of(0)))
        model.synthesis.bias.copy_(blocks.mean((1, 2)))


def measured_detail(shots: Sequence[Shot], size: int) -> str:
    """Detail of the blocks of RGB clips of a size, see `vector.synthesis.BlockProducts`."""
    sampler = SequenceSampler(shots, 1, size)
    pictures = torch.stack(sampler.clips(MEASURED, 1, generator_of(0)))
    blocks = to_blocks(pictures).flatten(1, 2).double()
    return detail_of(blocks.var(1).sum(1))
