"""What the stage of the planes minimises: errors of pictures, as decoders make them.

The stage of the clips sees latents under noise, in GOPs of one length. Here the encoder has said
how a shot is cut into GOPs, how it moves, and what frames still lack. Contents follow from the
planes that the filter makes as it is now, in a closed loop: what one lacks depends on the others,

    content before ─ f_motion ─► prediction ─ x - prediction, rounded ─► f ─► content ─► …
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.pictures import floats, squared_error, to_tensors
from dsaecodec.spatial.synthesis import Planes, Yuv
from dsaecodec.training.shots import Shot
from dsaecodec.training.symbols import CodedGop
from dsaecodec.video.frame import Frame420

DEAD_ZONE = 0.08  # symbols of f that the encoder's rounding weighs down


def planes_terms(
    model: SpatialModel, shot: Shot, gops: Sequence[CodedGop], number: int, times: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Squared errors, Y + U + V a pixel of luma, of the content of a GOP and of some of its frames.

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
    first = sum(gop.num_frames for gop in gops[:begin])
    previous: Planes | None = None
    with torch.no_grad():
        for gop in gops[begin:number]:
            previous = _content(model, shot, gop, first, previous)[1]
            first += gop.num_frames
    gop = gops[number]
    frame, current = _content(model, shot, gop, first, previous)
    before = previous if gop.refs_previous else None
    errors = [_frame_error(model, shot, gop, first, t, before, current) for t in times]
    pixels = gop.num_pixels / gop.num_frames
    return squared_error(frame, current.picture) / pixels, torch.stack(errors).mean() / pixels


def _content(
    model: SpatialModel, shot: Shot, gop: CodedGop, first: int, previous: Planes | None
) -> tuple[Yuv, Planes]:
    """The frame that a GOP's content is of, and the content's planes."""
    anchor = gop.num_frames - 1 if gop.refs_previous else gop.num_frames // 2
    steps = model.f_steps(gop.quality)
    frame = _frame(shot, first + anchor, steps.device)
    prediction = None
    if gop.content.predicted:
        assert previous is not None
        motion = gop.content.motion.to(steps)
        prediction = model.predict_content(previous, motion, gop.quality)
    scaled = model.content_posterior(frame, prediction) / steps
    f_hat = _rounded(scaled) * steps
    return frame, model.synthesize_content(f_hat, gop.quality, prediction)


def _frame_error(
    model: SpatialModel,
    shot: Shot,
    gop: CodedGop,
    first: int,
    t: int,
    previous: Planes | None,
    current: Planes,
) -> Tensor:
    steps = model.z_steps(gop.quality)
    frame = _frame(shot, first + t, steps.device)
    z_hat = gop.z[t : t + 1].to(steps) * steps
    return squared_error(frame, model.synthesize(current, previous, z_hat))


def _frame(shot: Shot, t: int, device: torch.device) -> Yuv:
    """A frame, padded to the grid, luma [1, 1, H, W]."""
    planes = (x.cpu().numpy() for x in (shot.luma[t], *shot.chroma[t]))
    padded = floats(to_tensors([Frame420(*planes)], *shot.luma.shape[1:]), slice(None))
    return Yuv(*(x.to(device) for x in padded))


def _rounded(x: Tensor) -> Tensor:
    """As an encoder rounds that weighs bits, about."""
    x = x.detach()
    return x.sign() * torch.floor((x.abs() - DEAD_ZONE).clamp(min=0) + 0.5)
