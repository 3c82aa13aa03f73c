"""The stages of a vector model: what a step of each computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dsaecodec import likelihood
from dsaecodec.errors import ConfigError
from dsaecodec.training.chance import Noise, below, generator_of
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.objective import Terms
from dsaecodec.training.optimizer import parameter_groups
from dsaecodec.training.shots import Shot
from dsaecodec.training.stages import Stage
from dsaecodec.training.team import Team
from dsaecodec.training.vector_objective import coding_terms, sequence_terms, sketch_terms
from dsaecodec.vector.model import VectorModel
from dsaecodec.vector.pictures import UNIT
from dsaecodec.vector.synthesis import detail_of, to_blocks

SKETCH_QUALITIES = (50, 76)  # drawn from these, the upper one excluded
QUALITIES = (20, 86)
CODED_QUALITIES = (5, 101)
ROUNDED_FROM = 0.7  # of the last stage: latents are rounded, as they will be, not noisy
MEASURED = 2048  # pictures that decide which blocks vary
FIRST_SPREAD = 32.0  # how much wider than usual latents begin: narrow ones are slow to tell apart


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

    def middle(self, num_frames: int, count: int) -> list[Tensor]:
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


class SketchStage(Stage):
    """Latents and pictures, without the real priors, which take half the time.

    Args:
        config: the run.
        shots: RGB clips.
    """

    name, number, decay = "sketch", 3, 1.0

    def __init__(self, config: TrainConfig, shots: Sequence[Shot]) -> None:
        super().__init__(config)
        self.steps = config.sketch.steps
        self._sampler = SequenceSampler(shots, config.sketch.num_frames, config.vector.size)

    @property
    def pixels(self) -> int:
        """See `Stage`."""
        config = self._config.sketch
        return config.batch * config.num_frames * self._config.vector.size**2

    def terms(self, model: VectorModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        config, seed = self._config.sketch, (self._config.seed, self.number, step)
        generator = generator_of(*seed)
        share = team.share(config.batch, "sketch")
        quality = torch.randint(*SKETCH_QUALITIES, (config.batch,), generator=generator)[share]
        clips = self._sampler.clips(config.batch, config.num_frames, generator)[share]
        noise = Noise([(*seed, i) for i in range(share.start, share.stop)], team.device)
        blocks = to_input(clips)
        # Free at first: what is the same in all frames then settles in f, what changes in z.
        bit = config.bit * min(1.0, 0.03 + 1.25 * step / self.steps)
        return sketch_terms(model, blocks, quality.to(blocks.device), noise, bit)


class SequenceStage(Stage):
    """Everything, on clips of random length.

    Args:
        config: the run.
        shots: RGB clips.
    """

    name, number, decay = "sequences", 4, 1.0

    def __init__(self, config: TrainConfig, shots: Sequence[Shot]) -> None:
        super().__init__(config)
        self.steps = config.sequences.steps
        self._sampler = SequenceSampler(shots, config.sequences.num_frames, config.vector.size)

    @property
    def pixels(self) -> int:
        """See `Stage`; a mean."""
        config = self._config.sequences
        return config.batch * config.num_frames * 3 // 4 * self._config.vector.size**2

    def groups(self, model: VectorModel) -> list[dict[str, Any]]:
        """See `Stage`."""
        return parameter_groups(model, self._config.sequences.learning_rate)

    def terms(self, model: VectorModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        config, seed = self._config.sequences, (self._config.seed, self.number, step)
        generator = generator_of(*seed)
        share = team.share(config.batch, "sequences")
        num_frames = _random_length(config.num_frames, generator)
        quality = torch.randint(*QUALITIES, (config.batch,), generator=generator)[share]
        clips = self._sampler.clips(config.batch, num_frames, generator)[share]
        progress = step / self.steps
        noise = None
        if progress < ROUNDED_FROM:
            seeds = [(*seed, i) for i in range(share.start, share.stop)]
            noise = Noise(seeds, team.device)
        blocks = to_input(clips)
        bit = config.bit * min(1.0, 0.1 + 3 * progress)  # rises, so that z does not collapse
        return sequence_terms(model, blocks, quality.to(blocks.device), noise, bit)


class CodingStage(Stage):
    """The priors alone, which learn longer than pictures do.

    Args:
        config: the run.
        shots: RGB clips.
    """

    name, number, decay = "coding", 5, 1.0

    def __init__(self, config: TrainConfig, shots: Sequence[Shot]) -> None:
        super().__init__(config)
        self.steps = config.coding.steps
        self._sampler = SequenceSampler(shots, config.coding.num_frames, config.vector.size)

    @property
    def pixels(self) -> int:
        """See `Stage`; a mean."""
        config = self._config.coding
        return config.batch * config.num_frames * 3 // 4 * self._config.vector.size**2

    def groups(self, model: VectorModel) -> list[dict[str, Any]]:
        """See `Stage`."""
        moving = [*model.content_prior.parameters(), *model.dynamics_prior.parameters()]
        return parameter_groups(model, self._config.coding.learning_rate, moving)

    def terms(self, model: VectorModel, step: int, team: Team) -> Terms:
        """See `Stage`."""
        config, seed = self._config.coding, (self._config.seed, self.number, step)
        generator = generator_of(*seed)
        share = team.share(config.batch, "coding")
        num_frames = _random_length(config.num_frames, generator)
        quality = torch.randint(*CODED_QUALITIES, (config.batch,), generator=generator)[share]
        clips = self._sampler.clips(config.batch, num_frames, generator)[share]
        blocks = to_input(clips)
        return coding_terms(model, blocks, quality.to(blocks.device))


def start_vectors(model: VectorModel, shots: Sequence[Shot]) -> None:
    """Begin with the mean picture, wide latents, and priors that expect them."""
    with torch.no_grad():
        for network in (model.posterior.f, model.posterior.z):
            last = network[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(FIRST_SPREAD)
        for prior in (model.content_prior, model.dynamics_prior):
            index = likelihood.LEVELS_PER_OCTAVE * math.log2(2 / likelihood.SCALE_MIN)
            prior.numbers.head.bias[1] = index
        sampler = SequenceSampler(shots, 1, model.config.size)
        blocks = to_input(sampler.clips(256, 1, generator_of(0)))
        model.synthesis.bias.copy_(blocks.mean((1, 2)))


def _random_length(longest: int, generator: torch.Generator) -> int:
    shortest = longest // 2
    return shortest + below(longest - shortest + 1, generator)


def measured_detail(shots: Sequence[Shot], size: int) -> str:
    """Detail of the blocks of RGB clips of a size, see `vector.synthesis.BlockProducts`."""
    sampler = SequenceSampler(shots, 1, size)
    pictures = torch.stack(sampler.clips(MEASURED, 1, generator_of(0)))
    blocks = to_blocks(pictures).flatten(1, 2).double()
    return detail_of(blocks.var(1).sum(1))
