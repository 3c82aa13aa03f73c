"""The stages of what makes pictures, on what the encoder chose: of contents, and of frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion import BLOCK
from dsaecodec.training.chance import generator_of
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.contents import Example, errors
from dsaecodec.training.objective import Terms
from dsaecodec.training.optimizer import parameter_groups
from dsaecodec.training.predictions import Between
from dsaecodec.training.stages import Found, Stage, held_out
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
        held = held_out(number for number, _ in coded)
        self._judged = [one for number, examples in coded if number in held for one in examples]
        fitted = [examples for number, examples in coded if number not in held]
        self._shots = fitted or [examples for _, examples in coded]
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
        psnr = _mean_psnr([errors(model, [one]) for one in self._judged])
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
        return _terms(found, "planes")

    def _crop(self, shot: float, part: float, y: float, x: float) -> Example:
        """One that four numbers in 0…1 choose."""
        examples = self._shots[int(shot * len(self._shots))]
        one = examples[int(part * len(examples))]
        (height, width), (rows, columns) = one.f.shape[2:], self._size
        top, left = int(y * (height - rows + 1)), int(x * (width - columns + 1))
        return one.crop(top, left, rows, columns)


class FramesStage(Stage):
    """What makes frames of planes, on GOPs as the encoder codes them.

    Args:
        config: the run.
        coded: shots' numbers and their GOPs, see `predictions.between`.
    """

    name, number = "frames", 4

    def __init__(self, config: TrainConfig, coded: Sequence[tuple[int, Sequence[Between]]]) -> None:
        super().__init__(config)
        self.steps = config.frames.steps
        held = held_out(number for number, _ in coded)
        self._judged = [gop for number, gops in coded if number in held for gop in gops]
        fitted = [gops for number, gops in coded if number not in held]
        self._shots = fitted or [gops for _, gops in coded]
        sizes = [gops[0].shot.luma[0].numel() for gops in self._shots]
        self._pixels = sum(sizes) // max(1, len(sizes))

    @property
    def pixels(self) -> int:
        """See `Stage`; a mean."""
        return self._config.frames.batch * self._pixels

    @torch.no_grad()
    def judge(self, model: SpatialModel) -> Found:
        """See `Stage`: PSNR by the geometric mean of errors, of the frame in the middle of GOPs."""
        psnr = _mean_psnr([gop.error(model, len(gop.z) // 2) for gop in self._judged])
        return Found(f"frames at {psnr:.3f} dB", psnr_db=psnr)

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """See `Stage`: all but the transform, whose inverse infers residuals."""
        parts = model.frame_synthesis.named_parameters()
        networks = [parameter for name, parameter in parts if "transform" not in name]
        return parameter_groups(model, self._config.frames.learning_rate, networks)

    def terms(self, model: SpatialModel, step: int, team: Team) -> Terms:
        """As in `PlanesStage`: mean logarithms, and shots count alike."""
        config = self._config.frames
        generator = generator_of(self._config.seed, self.number, step)
        picks = torch.rand(config.batch, 3, generator=generator)[team.share(config.batch)].tolist()
        return _terms(torch.cat([self._error(model, *pick) for pick in picks]), "prediction")

    def _error(self, model: SpatialModel, shot: float, part: float, t: float) -> Tensor:
        """That of a frame that three numbers in 0…1 choose."""
        gops = self._shots[int(shot * len(self._shots))]
        gop = gops[int(part * len(gops))]
        return gop.error(model, int(t * len(gop.z)))


def _mean_psnr(found: Sequence[Tensor]) -> float:
    """In dB, by the geometric mean of squared errors."""
    octaves = torch.cat(list(found)).log2().mean()
    return 10 * math.log10(255**2) - DB_AN_OCTAVE * float(octaves)


def _terms(found: Tensor, name: str) -> Terms:
    """Of squared errors, [N]; what the log calls their mean."""
    loss, error = torch.log2(found + LEAST).mean(), found.mean()
    nothing = torch.zeros_like(loss)
    return Terms(loss, error, nothing, nothing, {name: error})
