"""What training minimises.

For a random quality q in each step, with λ(q) of `model.lagrangian`, it is

    E[ (D + 0.05 D_planes) / λ + R ],   D = mse_Y + (mse_U + mse_V) / 2,   R in bits a pixel,

R is the code length of the exact prior under additive uniform noise, D is of rounded latents with
straight-through gradients. All terms are means over clips.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.exact import round_ste
from dsaecodec.spatial.code_length import (
    content_motion_parameters,
    content_parameters,
    dynamics_parameters,
    hyper_parameters,
)
from dsaecodec.spatial.model import SpatialModel, content_step, lagrangian, smoothness
from dsaecodec.spatial.motion import estimate_around
from dsaecodec.spatial.synthesis import Planes, Yuv, expand_planes
from dsaecodec.training.chance import Noise

CONTENT_LAMBDA = 0.15  # of the first stage: f alone, so finer than the λ of whole clips
PLANES_WEIGHT = 0.05  # of the planes' own error beside that of the frames made from them


@dataclass
class Terms:
    """What a step measured.

    Attributes:
        loss: what is minimised.
        distortion: D.
        bits_content: bits a pixel of a content frame, mean of those there are.
        bits_dynamics: bits a pixel and frame.
        extra: more, for the log.
        pictures: what was rebuilt, for looking at: named frames.
    """

    loss: Tensor
    distortion: Tensor
    bits_content: Tensor
    bits_dynamics: Tensor
    extra: dict[str, Tensor] = field(default_factory=dict)
    pictures: dict[str, Yuv] = field(default_factory=dict)


def mse(x: Yuv, y: Yuv) -> Tensor:
    """Weighted squared error of all samples: mse_Y + (mse_U + mse_V) / 2."""
    return F.mse_loss(x.luma, y.luma) + F.mse_loss(x.chroma, y.chroma)


def frame_of(clip: Yuv, t: int) -> Yuv:
    """Frame t of clips [N, T, …] as [N, 1 or 2, …]."""
    return Yuv(clip.luma[:, t : t + 1], clip.chroma[:, t])


def content_terms(model: SpatialModel, frame: Yuv, quality: int, noise: Noise) -> Terms:
    """The first stage: f alone, on frames luma [N, 1, H, W]."""
    planes, bits = _code_content(model, frame, quality, noise)
    distortion, rate = mse(frame, planes.picture), bits / frame.luma.numel()
    loss = distortion / (CONTENT_LAMBDA * content_step(quality) ** 2) + rate
    return Terms(loss, distortion, rate, torch.zeros_like(rate))


def clip_terms(
    model: SpatialModel,
    clip: Yuv,
    quality: int,
    anchor: int | None,
    noise: Noise,
    *,
    predicted: bool = False,
) -> Terms:
    """The second stage: everything.

    Args:
        model: what is trained.
        clip: luma [N, T+1, H, W], chroma [N, T+1, 2, H/2, W/2].
        quality: of the whole batch.
        anchor: None codes frames 1…T against the contents of frames 0 and T; a number codes all
            frames against the content of that frame alone.
        noise: of the N clips.
        predicted: whether the content of frame T is predicted from that of frame 0.
    """
    ends = [clip.luma.shape[1] - 1 if anchor is None else anchor]
    frames = clip
    if anchor is None:
        ends, frames = [0, *ends], Yuv(clip.luma[:, 1:], clip.chroma[:, 1:])
        anchor = frames.luma.shape[1] - 1
    sources = [frame_of(clip, t) for t in ends]
    mu, given, to_previous = smoothness(quality), None, None
    planes: list[Planes] = []
    bits: list[Tensor] = []
    for source in sources:
        if planes:
            to_previous = _search(frames, planes[0], 0, mu)
            if predicted:
                given = _Given(planes[0], to_previous[:, anchor])
        made, bits_of_it = _code_content(model, source, quality, noise, given)
        planes.append(made)
        bits.append(bits_of_it)
    previous, current = planes[0], planes[-1]
    plane_error = torch.stack(
        [mse(source, made.picture) for source, made in zip(sources, planes, strict=True)]
    ).mean()
    to_current = _search(frames, current, anchor, mu)
    grids = torch.cat([to_current if to_previous is None else to_previous, to_current], 2)
    count, num_frames, height, width = frames.luma.shape
    flat = Yuv(frames.luma.flatten(0, 1)[:, None], frames.chroma.flatten(0, 1))
    motion = None if given is None else given.symbols(model, quality)
    decoded, prediction, bits_z = _code_dynamics(
        model, frames, flat, previous, current, grids, motion, quality, noise
    )
    distortion = mse(flat, decoded)
    pixels = count * height * width
    rate_f, rate_z = torch.stack(bits).mean() / pixels, bits_z / (pixels * num_frames)
    loss = (distortion + PLANES_WEIGHT * plane_error) / lagrangian(quality)
    return Terms(
        loss + rate_f / num_frames + rate_z,
        distortion,
        rate_f,
        rate_z,
        {"prediction": mse(flat, prediction), "planes": plane_error},
        {"source": flat, "decoded": decoded, "content": current.picture},
    )


class _Given(NamedTuple):
    """What a content is predicted from: planes and the motion to them, [N, 2, h, w] pixels."""

    planes: Planes
    vectors: Tensor

    def symbols(self, model: SpatialModel, quality: int) -> Tensor:
        """f_motion before rounding."""
        return self.vectors / model.f_motion_steps(quality)


def _search(frames: Yuv, planes: Planes, start: int, mu: float) -> Tensor:
    """Motion of frames [N, T, …] to planes, [N, T, 2, h, w] pixels."""
    return estimate_around(frames.luma, planes.picture.luma.detach(), start, mu)


def _code_content(
    model: SpatialModel, frame: Yuv, quality: int, noise: Noise, given: _Given | None = None
) -> tuple[Planes, Tensor]:
    """Content of frames [N, …]: decoded planes and bits in all."""
    steps, prior = model.f_steps(quality), model.content_prior
    predicted, prediction, bits_motion = given is not None, None, steps.new_zeros(())
    if given is not None:
        motion = given.symbols(model, quality)
        prediction = model.predict_content(given.planes, round_ste(motion), quality)
        said = content_motion_parameters(model, _rounded(motion), quality)
        bits_motion = said.bits(noise.add(motion)).sum()
    scaled = model.content_posterior(frame, prediction).float() / steps
    hyper = model.content_posterior.infer_hyper(scaled).float()
    coarse = round_ste(hyper)
    said = hyper_parameters(prior, coarse, quality, predicted=predicted)
    bits = said.bits(noise.add(hyper)).sum() + bits_motion
    symbols = _rounded(scaled)
    said = content_parameters(prior, coarse, symbols, quality, predicted=predicted)
    bits = bits + said.bits(noise.add(scaled)).sum()
    return model.synthesize_content(round_ste(scaled) * steps, quality, prediction), bits


def _code_dynamics(
    model: SpatialModel,
    frames: Yuv,
    flat: Yuv,
    previous: Planes,
    current: Planes,
    grids: Tensor,
    content_motion: Tensor | None,
    quality: int,
    noise: Noise,
) -> tuple[Yuv, Yuv, Tensor]:
    """Frames [N, T, …] (`flat`: [N·T, …]) against planes: decoded, predicted, bits in all."""
    count, num_frames = frames.luma.shape[:2]
    motion = model.judge_motion(frames.luma, previous, current, grids).float()
    steps = model.z_steps(quality)
    motion_steps, residual_steps = steps[:, : motion.shape[1]], steps[:, motion.shape[1] :]
    motion_scaled = motion / motion_steps
    a, b = expand_planes(previous, num_frames), expand_planes(current, num_frames)
    synthesis = model.frame_synthesis
    dense = synthesis.motion(a, b, round_ste(motion_scaled) * motion_steps)
    prediction, difference = synthesis.predict(a, b, dense)
    residual = model.dynamics_posterior.infer_residual(flat, prediction).float() / residual_steps
    decoded = synthesis.finish(prediction, difference, round_ste(residual) * residual_steps)
    scaled = torch.cat([motion_scaled, residual], 1)
    symbols = _rounded(scaled).unflatten(0, (count, num_frames))
    refs = previous is not current
    start = None if content_motion is None else _rounded(content_motion)
    said = dynamics_parameters(model.dynamics_prior, symbols, quality, refs, start)
    return decoded, prediction, said.bits(noise.add_by_clip(scaled)).sum()


def _rounded(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5).detach()
