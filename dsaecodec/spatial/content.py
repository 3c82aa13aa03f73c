"""The content of one GOP: its symbols, what they cost and the planes they make.

A content stands alone, or f is what that of the GOP before lacks once it is moved by f_motion:

    planes of the GOP before ─ f_motion ─► prediction ─ + f_hat, filter ─► planes
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from dsaecodec.spatial.code_length import (
    Parameters,
    content_motion_parameters,
    content_parameters,
    hyper_parameters,
)
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.synthesis import Planes


class ContentSymbols(NamedTuple):
    """Integers of a content.

    Attributes:
        hyper: f_hyper [1, hyper, ⌈h/2⌉, ⌈w/2⌉].
        f: [1, C, h, w].
        motion: f_motion [1, 2, h, w] of a content that is predicted from the one before; else
            [1, 0, h, w].
    """

    hyper: Tensor
    f: Tensor
    motion: Tensor

    @property
    def predicted(self) -> bool:
        """Whether f is what a prediction lacks."""
        return self.motion.shape[1] > 0

    def said(self, model: SpatialModel, quality: int) -> Iterator[tuple[Parameters, Tensor]]:
        """What the priors say of all symbols, and these: one tensor after the other."""
        prior, predicted = model.content_prior, self.predicted
        yield hyper_parameters(prior, self.hyper, quality, predicted=predicted), self.hyper
        f = content_parameters(prior, self.hyper, self.f, quality, predicted=predicted)
        yield f, self.f
        if predicted:
            fineness, symbols = model.spoken_motion(self.motion)
            yield content_motion_parameters(model, symbols, quality, fineness), symbols

    def bits(self, model: SpatialModel, quality: int) -> Tensor:
        """Code length in all, with gradients for the priors."""
        parts = [said.bits(symbols).sum() for said, symbols in self.said(model, quality)]
        return torch.stack(parts).sum()

    def planes(self, model: SpatialModel, before: Planes | None, quality: int) -> Planes:
        """Planes; `before` are those of the GOP before, which a predicted content needs."""
        steps, prediction = model.f_steps(quality), None
        if self.predicted:
            assert before is not None, "decoders refuse such a stream"
            prediction = model.predict_content(before, self.motion.to(steps), quality)
        return model.synthesize_content(self.f.to(steps) * steps, quality, prediction)
