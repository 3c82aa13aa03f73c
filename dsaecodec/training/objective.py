"""What training minimises.

For a random quality q in each step, with λ(q) of `model.lagrangian`, it is

    E[ (D + 0.05 D_planes) / λ + R ],   D = mse_Y + (mse_U + mse_V) / 2,   R in bits a pixel,

R is the code length of the exact prior under additive uniform noise, D is of rounded latents with
straight-through gradients. All terms are means over clips.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec import likelihood
from dsaecodec.exact import round_ste
from dsaecodec.spatial.code_length import content_parameters, dynamics_parameters
from dsaecodec.spatial.model import SpatialModel, content_step, lagrangian, smoothness
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
        bits_content: bits a pixel of one content frame.
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
    model: SpatialModel, clip: Yuv, quality: int, anchor: int | None, noise: Noise
) -> Terms:
    """The second stage: everything.

    Args:
        model: what is trained.
        clip: luma [N, T+1, H, W], chroma [N, T+1, 2, H/2, W/2].
        quality: of the whole batch.
        anchor: None codes frames 1…T against the contents of frames 0 and T; a number codes all
            frames against the content of that frame alone.
        noise: of the N clips.
    """
    if anchor is None:
        ends = [frame_of(clip, 0), frame_of(clip, clip.luma.shape[1] - 1)]
        both = Yuv(*(torch.cat(parts) for parts in zip(*ends, strict=True)))
        planes, bits_f = _code_content(model, both, quality, noise)
        bits_f, plane_error = bits_f / 2, mse(both, planes.picture)
        previous, current = (_half(planes, part) for part in range(2))
        frames = Yuv(clip.luma[:, 1:], clip.chroma[:, 1:])
        anchor = frames.luma.shape[1] - 1
    else:
        single = frame_of(clip, anchor)
        current, bits_f = _code_content(model, single, quality, noise)
        plane_error = mse(single, current.picture)
        previous, frames = current, clip
    count, num_frames, height, width = frames.luma.shape
    flat = Yuv(frames.luma.flatten(0, 1)[:, None], frames.chroma.flatten(0, 1))
    decoded, prediction, bits_z = _code_dynamics(
        model, frames, flat, previous, current, anchor, quality, noise
    )
    distortion = mse(flat, decoded)
    pixels = count * height * width
    rate_f, rate_z = bits_f / pixels, bits_z / (pixels * num_frames)
    loss = (distortion + PLANES_WEIGHT * plane_error) / lagrangian(quality)
    return Terms(
        loss + rate_f / num_frames + rate_z,
        distortion,
        rate_f,
        rate_z,
        {"prediction": mse(flat, prediction), "planes": plane_error},
        {"source": flat, "decoded": decoded, "content": current.picture},
    )


def _code_content(
    model: SpatialModel, frame: Yuv, quality: int, noise: Noise
) -> tuple[Planes, Tensor]:
    """Content of frames [N, …]: decoded planes and bits in all."""
    steps = model.f_steps(quality)
    scaled = model.content_posterior(frame).float() / steps
    hyper = model.content_posterior.infer_hyper(scaled).float()
    mean, index = model.content_prior.hyper_parameters(hyper)
    bits = likelihood.bits(noise.add(hyper), mean, index).sum()
    said = content_parameters(model.content_prior, round_ste(hyper), _rounded(scaled), quality)
    bits = bits + said.bits(noise.add(scaled)).sum()
    return model.synthesize_content(round_ste(scaled) * steps, quality), bits


def _code_dynamics(
    model: SpatialModel,
    frames: Yuv,
    flat: Yuv,
    previous: Planes,
    current: Planes,
    anchor: int,
    quality: int,
    noise: Noise,
) -> tuple[Yuv, Yuv, Tensor]:
    """Frames [N, T, …] (`flat`: [N·T, …]) against planes: decoded, predicted, bits in all."""
    count, num_frames = frames.luma.shape[:2]
    motion = model.infer_motion(frames.luma, previous, current, anchor, smoothness(quality)).float()
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
    said = dynamics_parameters(model.dynamics_prior, symbols, quality, refs)
    return decoded, prediction, said.bits(noise.add_by_clip(scaled)).sum()


def _rounded(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5).detach()


def _half(planes: Planes, part: int) -> Planes:
    def chunk(x: Tensor) -> Tensor:
        return x.chunk(2)[part]

    return Planes(Yuv(*(chunk(x) for x in planes.picture)), *(chunk(x) for x in planes[1:]))
