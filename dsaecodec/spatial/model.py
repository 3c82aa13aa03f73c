"""The spatial family: one content latent a GOP, one dynamics latent a frame, as feature maps.

`SpatialModel` holds the parts (posterior, exact priors, synthesis) and what ties them to numbers:
the quantization steps of each quality. What a step costs or selects on the decoder's side is
integer arithmetic in `prior`; everything here in floating point only shapes pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitstream.limits import MAX_QUALITY
from dsaecodec.exact import IntConv
from dsaecodec.likelihood import QUALITY_PER_OCTAVE, REFERENCE_QUALITY
from dsaecodec.spatial.kinematics import HALF, LARGEST_RATIO, MEAN, RATIO_ONE
from dsaecodec.spatial.motion import gradients, sample
from dsaecodec.spatial.motion_prior import FINEST, PARTS, MotionPrior, fineness_of
from dsaecodec.spatial.posterior import ContentPosterior, DynamicsPosterior
from dsaecodec.spatial.prior import ContentPrior, DynamicsPrior
from dsaecodec.spatial.softening import soften
from dsaecodec.spatial.synthesis import (
    DC_CHANNELS,
    NUM_COEFFICIENTS,
    ContentSynthesis,
    FrameSynthesis,
    Planes,
    Yuv,
    expand_planes,
)

MOTION_CHANNELS = 4
SIDE_CHANNELS = MOTION_CHANNELS + 1  # motion and mixing logit
MIN_STIFFNESS = 128.0
CONTENT_REACH = 16.0
"""Frames' worth of squared error that encoders charge an error of f with: two GOPs lean on it."""


@dataclass(frozen=True)
class SpatialConfig:
    """Shape of a spatial model.

    Attributes:
        hyper_channels: channels of f_hyper.
        residual_luma: luma coefficients of a block that z_t carries.
        residual_chroma: coefficients of each chroma plane that z_t carries.
        kinematic: 1 if the prior of z_t knows motion at constant velocity, see `kinematics`.
        predicted: 1 if contents can be predicted from the one before.
        softened: 1 if such a prediction is weighed by how certain its motion is, see `softening`.
        discerning: 1 if the filter of contents tells what is coded from what was predicted, see
            `ContentSynthesis`.
        depth: blocks by which that filter goes deeper, see there.
        contextual: 1 if the prior of f_hyper has spatial context, see `ContentPrior`.
        precise: 1 if contents are predicted by precise motion, of a prior of its own, see
            `motion_prior`; of models with predicted contents alone.
    """

    hyper_channels: int = 16
    residual_luma: int = 64
    residual_chroma: int = 16
    kinematic: int = 0
    predicted: int = 0
    softened: int = 0
    discerning: int = 0
    depth: int = 0
    contextual: int = 0
    precise: int = 0

    @property
    def z_channels(self) -> int:
        """Channels of z_t."""
        return SIDE_CHANNELS + self.residual_luma + 2 * self.residual_chroma


def content_step(quality: float) -> float:
    """Nominal quantization step of f in grey levels: 2 at quality 100, doubling every 16 down."""
    return float(2.0 ** ((100 - quality) / QUALITY_PER_OCTAVE + 1))


def motion_step(quality: float) -> float:
    """Nominal step of motion in pixels: 1/4 at quality 50, finer above."""
    return float(2.0 ** (-2 + (REFERENCE_QUALITY - quality) / 33))


def lagrangian(quality: float) -> float:
    """λ of the training objective D + λ·R (squared grey levels a bit and pixel)."""
    return 0.6 * content_step(quality) ** 2


def encoder_lagrangian(quality: float) -> float:
    """λ of J = D + λ·R that encoders minimise, in the same unit.

    Half of that of training: what is saved by rounding to cheaper symbols costs more PSNR than a
    lower quality would.
    """
    return lagrangian(quality) / 2


def motion_stiffness(luma: Tensor) -> Tensor:
    """Squared error that a unit of error in each motion latent costs, to first order.

    Moving a block's prediction by δ changes its pixels by gᵀδ, g the image gradient; a vector
    reaches about two blocks' pixels. The half difference of two motions moves the planes apart and
    is felt half as much. The mixing logit is not weighed against its bits: that never paid.

    Args:
        luma: [T, 1, H, W].

    Returns:
        [T, 5, H/16, W/16], squared grey levels per squared pixel; infinite for the logit.
    """
    dy, dx = gradients(luma)
    energy = F.avg_pool2d(torch.cat([dy, dx], 1).square(), 16) * 512 + MIN_STIFFNESS
    mixing = torch.full_like(energy[:, :1], math.inf)
    return torch.cat([energy, 0.5 * energy, mixing], 1)


def smoothness(quality: int) -> float:
    """Smoothness of classical motion: grows as bits get scarce."""
    return float(12.0 * 2.0 ** ((50 - quality) / 30))


class SpatialModel(nn.Module):
    """Posterior, prior and synthesis of the spatial family."""

    def __init__(self, config: SpatialConfig) -> None:
        super().__init__()
        self.config = config
        residual = (config.residual_luma, config.residual_chroma)
        self.content_posterior = ContentPosterior(config.hyper_channels)
        self.dynamics_posterior = DynamicsPosterior(*residual)
        self.content_prior = ContentPrior(
            NUM_COEFFICIENTS,
            config.hyper_channels,
            DC_CHANNELS,
            predicts=bool(config.predicted),
            contextual=bool(config.contextual),
        )
        self.motion_prior = MotionPrior() if config.precise else None
        self.dynamics_prior = DynamicsPrior(
            config.z_channels,
            MOTION_CHANNELS,
            kinematic=bool(config.kinematic),
            parts=PARTS if config.precise else 1,
        )
        self.content_synthesis = ContentSynthesis(
            discerning=bool(config.discerning), depth=config.depth
        )
        self.frame_synthesis = FrameSynthesis(*residual)
        # log2 of each channel's step against the nominal one, at quality 50 and its slope
        self.f_step = nn.Parameter(torch.zeros(2, NUM_COEFFICIENTS))
        self.z_step = nn.Parameter(torch.zeros(2, config.z_channels))

    def f_steps(self, quality: int) -> Tensor:
        """Quantization steps of f, [1, 384, 1, 1]."""
        return _steps(self.f_step, quality) * content_step(quality)

    def z_steps(self, quality: int) -> Tensor:
        """Quantization steps of z_t, [1, C, 1, 1]: pixels, logits, then grey levels."""
        nominal = self.z_step.new_full((1, self.config.z_channels, 1, 1), 2 * content_step(quality))
        nominal[:, :MOTION_CHANNELS] = motion_step(quality)
        nominal[:, MOTION_CHANNELS] = 0.75
        return _steps(self.z_step, quality) * nominal

    def spoken_motion(self, motion: Tensor) -> tuple[int, Tensor]:
        """How fine f_motion is said to be, and the symbols that say it, of the same shape."""
        if self.motion_prior is None:
            return 0, motion
        fineness = fineness_of(motion)
        return fineness, motion / 2 ** (FINEST - fineness)

    def f_motion_steps(self, quality: int) -> Tensor:
        """Steps of f_motion in pixels, [1, 2, 1, 1]: of the whole way from content to content."""
        return 2 * self.z_steps(quality)[:, HALF] / self.dynamics_prior.parts

    def predict_content(self, before: Planes, motion: Tensor, quality: int) -> Yuv:
        """What a content is like, given the one before.

        Args:
            before: its planes.
            motion: f_motion, symbols of the motion to them, [N, 2, h, w].
            quality: of the content.

        Returns:
            The picture of the content before, moved, [N, 1, 16·h, 16·w] and [N, 2, 8·h, 8·w].
        """
        vectors = motion * self.f_motion_steps(quality)
        fine = F.interpolate(vectors, scale_factor=2, mode="bilinear", align_corners=False)
        moved = self.frame_synthesis.warp(before, fine)
        return soften(moved, vectors) if self.config.softened else moved

    def synthesize_content(
        self, f_hat: Tensor, quality: int, prediction: Yuv | None = None
    ) -> Planes:
        """Planes of dequantized content [N, 384, h, w], with a prediction if it has one."""
        step = f_hat.new_tensor([content_step(quality)])
        return self.content_synthesis(f_hat, step, prediction)

    def judge_motion(
        self, luma: Tensor, previous: Planes, current: Planes, grids: Tensor
    ) -> Tensor:
        """Motion latents of a GOP's frames from searched motion, before quantization.

        Args:
            luma: [N, T, H, W], code values - 128, of any type.
            previous, current: planes of the previous GOP (or again `current`) and of this one.
            grids: motion to both planes [N, T, 4, H/16, W/16].

        Returns:
            [N·T, 5, H/16, W/16] in pixels and logits.
        """
        num_frames, grids = luma.shape[1], grids.flatten(0, 1)
        frames = luma.flatten(0, 1)[:, None].float()
        warped = []
        with torch.no_grad():
            dense = F.interpolate(grids, scale_factor=16, mode="bilinear", align_corners=False)
            for planes, flow in zip((previous, current), dense.split(2, dim=1), strict=True):
                picture = expand_planes(planes, num_frames).picture
                warped.append(sample(picture.luma, flow))
        return self.dynamics_posterior.infer_motion(frames, (warped[0], warped[1]), grids)

    def synthesize(self, f_planes: Planes, f_prev_planes: Planes | None, z_hat: Tensor) -> Yuv:
        """Frames from planes and dequantized dynamics, one z a plane (see `expand_planes`)."""
        previous = f_planes if f_prev_planes is None else f_prev_planes
        return self.frame_synthesis(previous, f_planes, z_hat)

    def widened(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a model whose parts know less, for this one; what is new is mute."""
        state = self.state_dict()
        new = (
            "dynamics_prior.near.",
            "dynamics_prior.ratio",
            "content_prior.lacking_",
            "content_prior.near.",
            "content_prior.blend.",
            "content_prior.say.",
            "motion_prior.",
            "content_synthesis.deepening.",
        )
        fresh = {name: value for name, value in state.items() if name.startswith(new)}
        for name, value in fresh.items():
            fresh[name] = weights.get(name.replace("lacking_", "hyper_"), value)
        weights = fresh | weights
        sees_more = ("dynamics_prior.mix.weight", "content_prior.mix.weight")
        for name in (*sees_more, "content_synthesis.enter.weight"):
            if name in weights:
                columns = state[name].shape[1] - weights[name].shape[1]
                behind = (0, 0) * (weights[name].ndim - 2)
                weights[name] = F.pad(weights[name], (*behind, 0, max(columns, 0)))
        return weights

    @torch.no_grad()
    def project_(self) -> None:
        """Keep every integer layer inside its exactness bound; call after each update.

        A kinematic prior is told the steps of motion then, too.
        """
        for module in self.modules():
            if isinstance(module, IntConv):
                module.project_()
        if self.config.kinematic:
            at_reference, slope = self.z_step[:, HALF] - self.z_step[:, MEAN]  # nominal ones agree
            qualities = torch.arange(MAX_QUALITY + 1, device=slope.device)[:, None]
            octaves = at_reference + (qualities / REFERENCE_QUALITY - 1) * slope
            ratio = torch.round(RATIO_ONE * torch.exp2(octaves)).clamp(1, LARGEST_RATIO)
            self.dynamics_prior.ratio.copy_(ratio)


def _steps(log2_step: Tensor, quality: int) -> Tensor:
    slope = (quality - REFERENCE_QUALITY) / REFERENCE_QUALITY
    return torch.exp2(log2_step[0] + slope * log2_step[1])[None, :, None, None]
