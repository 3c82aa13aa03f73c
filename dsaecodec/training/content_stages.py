"""The stages that learn from contents alone, as the encoder makes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dsaecodec.exact import round_ste
from dsaecodec.spatial.code_length import (
    content_motion_parameters,
    content_parameters,
    hyper_parameters,
)
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion import BLOCK
from dsaecodec.training.chance import generator_of
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.contents import Example, errors
from dsaecodec.training.objective import Terms
from dsaecodec.training.optimizer import parameter_groups
from dsaecodec.training.stages import Found, Stage, split
from dsaecodec.training.team import Team

LEAST = 0.05  # squared error that is as good as none
DB_AN_OCTAVE = 10 * math.log10(2)


class PlanesStage(Stage):
    """The filter of contents alone, on contents as the encoder makes them.

    Args:
        config: the run.
        coded: shots' numbers and their contents, see `contents.read_contents`.
    """

    name, number = "planes", 3

    def __init__(self, config: TrainConfig, coded: Sequence[tuple[int, Sequence[Example]]]) -> None:
        super().__init__(config)
        self.steps = config.planes.steps
        self._judged, self._shots = split(coded)
        sizes = [one.f.shape[2:] for examples in self._shots for one in examples]
        wanted = config.planes.size // BLOCK
        self._size = [min(wanted, *side) for side in zip(*sizes, strict=True)]

    @property
    def pixels(self) -> int:
        """See `Stage`."""
        return self._config.planes.batch * math.prod(BLOCK * side for side in self._size)

    @torch.no_grad()
    def judge(self, model: SpatialModel) -> Found:
        """See `Stage`: PSNR by the geometric mean of errors, of contents held out."""
        octaves = torch.cat([errors(model, [one]).log2() for one in self._judged]).mean()
        psnr = 10 * math.log10(255**2) - DB_AN_OCTAVE * float(octaves)
        return Found(f"contents at {psnr:.3f} dB", psnr_db=psnr)

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """See `Stage`: all that makes pictures but the transform, whose inverse infers f.

        Where the filter goes deeper than features, which frames are made of, they stay as they are.
        """
        synthesis = model.content_synthesis
        moving = [synthesis.enter, synthesis.blocks, synthesis.leave]
        if synthesis.deepening is not None:
            moving = [synthesis.deepening]
        networks = [parameter for part in moving for parameter in part.parameters()]
        return parameter_groups(model, self._config.planes.learning_rate, networks)

    def terms(self, model: SpatialModel, step: int, team: Team) -> Terms:
        """The loss is the mean logarithm of errors: a halving counts alike at all qualities.

        A shot of one content counts as much as one of many.
        """
        config = self._config.planes
        generator = generator_of(self._config.seed, self.number, step)
        picks = torch.rand(config.batch, 4, generator=generator)
        crops = [self._crop(*pick) for pick in picks[team.share(config.batch)].tolist()]
        kinds = (
            [one for one in crops if (one.prediction is None) == lone] for lone in (True, False)
        )
        found = torch.cat([errors(model, kind) for kind in kinds if kind])
        loss, error = torch.log2(found + LEAST).mean(), found.mean()
        nothing = torch.zeros_like(loss)
        return Terms(loss, error, nothing, nothing, {"planes": error})

    def _crop(self, shot: float, part: float, y: float, x: float) -> Example:
        """One that four numbers in 0…1 choose."""
        one = _pick(self._shots, shot, part)
        (height, width), (rows, columns) = one.f.shape[2:], self._size
        top, left = int(y * (height - rows + 1)), int(x * (width - columns + 1))
        return one.crop(top, left, rows, columns)


class HyperStage(Stage):
    """The priors of contents alone: what infers f_hyper, what it costs, and what it says of f.

    Of a model that is precise the prior of f_motion learns, too.

    Args:
        config: the run.
        coded: as for `PlanesStage`.
    """

    name, number = "hyper", 4

    def __init__(self, config: TrainConfig, coded: Sequence[tuple[int, Sequence[Example]]]) -> None:
        super().__init__(config)
        self.steps = config.hyper.steps
        self._judged, self._shots = split(coded)
        sizes = [one.num_pixels for examples in self._shots for one in examples]
        self._pixels = sum(sizes) // max(1, len(sizes))

    @property
    def pixels(self) -> int:
        """See `Stage`; a mean."""
        return self._config.hyper.batch * self._pixels

    @torch.no_grad()
    def judge(self, model: SpatialModel) -> Found:
        """See `Stage`: bits a pixel of contents held out, a geometric mean."""
        octaves = torch.stack([_octaves(model, one) for one in self._judged]).mean()
        bpp = float(torch.exp2(octaves))
        return Found(f"contents at {bpp:.4f} bpp", bits_content=bpp)

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """See `Stage`."""
        parts = (model.content_posterior.hyper, model.content_prior, model.motion_prior)
        moving = [p for part in parts if part is not None for p in part.parameters()]
        return parameter_groups(model, self._config.hyper.learning_rate, moving)

    def terms(self, model: SpatialModel, step: int, team: Team) -> Terms:
        """The loss is the mean logarithm of bits a pixel: a halving counts alike at all rates."""
        config = self._config.hyper
        generator = generator_of(self._config.seed, self.number, step)
        picks = torch.rand(config.batch, 2, generator=generator)[team.share(config.batch)].tolist()
        octaves = torch.stack([_octaves(model, _pick(self._shots, *pick)) for pick in picks])
        nothing = torch.zeros_like(octaves[0])
        return Terms(octaves.mean(), nothing, torch.exp2(octaves).mean(), nothing)


def _pick(shots: Sequence[Sequence[Example]], shot: float, part: float) -> Example:
    """One that two numbers in 0…1 choose."""
    examples = shots[int(shot * len(shots))]
    return examples[int(part * len(examples))]


def _octaves(model: SpatialModel, one: Example) -> Tensor:
    """log2 of a content's bits a pixel, f_hyper's included, with gradients.

    So are f_motion's where its prior learns.
    """
    f, prior = one.f.to(model.f_step), model.content_prior
    hyper = round_ste(model.content_posterior.infer_hyper(one.scaled.to(f)).float())
    known = {"predicted": one.prediction is not None}
    bits = hyper_parameters(prior, hyper, one.quality, **known).bits(hyper).sum()
    bits = bits + content_parameters(prior, hyper, f, one.quality, **known).bits(f).sum()
    if model.motion_prior is not None and one.prediction is not None:
        fineness, motion = model.spoken_motion(one.motion.to(f))
        said = content_motion_parameters(model, motion, one.quality, fineness)
        bits = bits + said.bits(motion).sum()
    return torch.log2((bits + 1) / one.num_pixels)
