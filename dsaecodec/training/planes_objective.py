"""What the stage of the planes minimises: errors of pictures, as decoders make them.

The stage of the clips sees latents under noise, in GOPs of one length. Here the encoder has said
how a shot is cut into GOPs, how it moves, and what frames still lack. Contents follow from the
planes that the filter makes as it is now, in a closed loop: what one lacks depends on the others,

    content before ─ f_motion ─► prediction ─ x - prediction, rounded ─► f ─► content ─► …
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion import BLOCK
from dsaecodec.spatial.pictures import squared_error
from dsaecodec.spatial.synthesis import Planes, Yuv
from dsaecodec.training.shots import Shot
from dsaecodec.training.symbols import CodedGop

DEAD_ZONE = 0.08  # symbols of f that the encoder's rounding weighs down


class Errors(NamedTuple):
    """Squared errors in a GOP, Y + U + V a pixel of luma, and the planes that made them.

    Attributes:
        content: of the content.
        frames: mean of some of its frames.
        planes: of the content.
    """

    content: Tensor
    frames: Tensor
    planes: Planes


def planes_terms(
    model: SpatialModel, shot: Shot, gops: Sequence[CodedGop], number: int, times: Sequence[int]
) -> Errors:
    """Errors of one GOP.

    Args:
        model: whose networks of synthesis are trained; what comes before the GOP moves none.
        shot: pictures.
        gops: of the shot, in order.
        number: which GOP.
        times: of frames, in the GOP.
    """
    begin = number
    while gops[begin].content.predicted or (begin == number and gops[begin].refs_previous):
        begin -= 1
    first, previous = sum(gop.num_frames for gop in gops[:begin]), None
    with torch.no_grad():
        for gop in gops[begin:number]:
            previous = _content(model, shot, gop, first, previous)[1]
            first += gop.num_frames
    return _errors(model, shot, gops[number], first, previous, times)


@torch.no_grad()
def middle_errors(model: SpatialModel, shot: Shot, gops: Sequence[CodedGop]) -> Iterator[Tensor]:
    """Errors of the frame in the middle of each GOP of a shot."""
    first, previous = 0, None
    for gop in gops:
        errors = _errors(model, shot, gop, first, previous, [gop.num_frames // 2])
        first, previous = first + gop.num_frames, errors.planes
        yield errors.frames


def _errors(
    model: SpatialModel,
    shot: Shot,
    gop: CodedGop,
    first: int,
    previous: Planes | None,
    times: Sequence[int],
) -> Errors:
    """Errors of a GOP that begins with frame `first`, given the planes of the one before."""
    frame, current = _content(model, shot, gop, first, previous)
    before, steps = previous if gop.refs_previous else None, model.z_steps(gop.quality)
    errors = []
    for t in times:
        decoded = model.synthesize(current, before, gop.z[t : t + 1].to(steps) * steps)
        errors.append(squared_error(_frame(shot, first + t, steps), decoded))
    pixels = gop.num_pixels / gop.num_frames
    of_content = squared_error(frame, current.picture)
    return Errors(of_content / pixels, torch.stack(errors).mean() / pixels, current)


def _content(
    model: SpatialModel, shot: Shot, gop: CodedGop, first: int, previous: Planes | None
) -> tuple[Yuv, Planes]:
    """The frame that a GOP's content is of, and the content's planes."""
    anchor = gop.num_frames - 1 if gop.refs_previous else gop.num_frames // 2
    steps = model.f_steps(gop.quality)
    frame = _frame(shot, first + anchor, steps)
    prediction = None
    if gop.content.predicted:
        assert previous is not None
        motion = gop.content.motion.to(steps)
        prediction = model.predict_content(previous, motion, gop.quality)
    scaled = model.content_posterior(frame, prediction) / steps
    f_hat = _rounded(scaled) * steps
    return frame, model.synthesize_content(f_hat, gop.quality, prediction)


def _frame(shot: Shot, t: int, like: Tensor) -> Yuv:
    """A frame, padded to the grid as decoders have it, luma [1, 1, H, W], on a tensor's device."""
    height, width = shot.luma.shape[1:]
    rows, columns = (-side % BLOCK for side in (height, width))
    luma, chroma = (x[t : t + 1].to(like) - 128 for x in (shot.luma[:, None], shot.chroma))
    return Yuv(
        F.pad(luma, (0, columns, 0, rows), mode="replicate"),
        F.pad(chroma, (0, columns // 2, 0, rows // 2), mode="replicate"),
    )


def _rounded(x: Tensor) -> Tensor:
    """As an encoder rounds that weighs bits, about."""
    x = x.detach()
    return x.sign() * torch.floor((x.abs() - DEAD_ZONE).clamp(min=0) + 0.5)
