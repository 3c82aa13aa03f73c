"""How good a model in training is: held-out clips at a few qualities, and one clip really coded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from dsaecodec.codec.preset import PRESETS
from dsaecodec.errors import ConfigError
from dsaecodec.model_io import load_model
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.synthesis import Yuv
from dsaecodec.training.chance import Noise
from dsaecodec.training.objective import Terms, clip_terms
from dsaecodec.training.pictures import Picture, to_rgb
from dsaecodec.training.sampler import ClipSampler
from dsaecodec.training.shots import Shot
from dsaecodec.training.symbols import encode_shot

QUALITIES = (20, 45, 70)
NUM_CLIPS = 6
LARGEST = 256  # pixels of a side
CODED_FRAMES = 9
COLLAPSED = 0.002
"""Bits a pixel of a content frame under which f says nothing, at any quality worth judging."""
EXCESS_RANGE = (-0.15, 0.03)
"""How far coded size may lie from the estimate. It is below where many symbols are far from their
means: an escape costs less than the tail that training charges."""


@dataclass(frozen=True)
class Judgement:
    """What held-out clips cost and look like at one quality, means of clips.

    Attributes:
        quality: 0…100.
        psnr_db: PSNR of (6·Y + U + V) / 8, of the mean squared error of a clip.
        bits_content: bits a pixel of one content frame.
        bits_dynamics: bits a pixel and frame.
        bpp: both, a pixel and frame.
        loss: the objective.
    """

    quality: int
    psnr_db: float
    bits_content: float
    bits_dynamics: float
    bpp: float
    loss: float


class Judge:
    """Looks at the middles of some clips.

    Args:
        shots: held-out clips; the evenly spaced ones of them that are long enough are used.
        num_frames: frames a clip.
        device: where to compute.
    """

    def __init__(self, shots: Sequence[Shot], num_frames: int, device: torch.device) -> None:
        clips = [shot for shot in shots if len(shot) >= 3]
        if not clips:
            raise ConfigError("no clip of three frames or more to judge by")
        clips = clips[:: -(-len(clips) // NUM_CLIPS)]
        self._clips: list[Yuv] = []
        for shot in clips:
            sampler = ClipSampler([shot.to(device)], min(num_frames, len(shot)), LARGEST)
            self._clips.append(sampler.cut([sampler.middle(0)]))
        self._coded = min(clips, key=lambda shot: shot.luma[0].numel())

    @torch.no_grad()
    def judge(self, model: SpatialModel) -> list[Judgement]:
        """Judge at each quality; latents are rounded, nothing is random."""
        return [self._judge(model, quality) for quality in QUALITIES]

    def _judge(self, model: SpatialModel, quality: int) -> Judgement:
        rows = []
        for clip in self._clips:
            terms = self._terms(model, clip, quality)
            num_frames = clip.luma.shape[1] - 1
            source, decoded = terms.pictures["source"], terms.pictures["decoded"]
            luma = F.mse_loss(source.luma, decoded.luma)
            chroma = F.mse_loss(source.chroma, decoded.chroma)
            error = float(6 * luma + 2 * chroma) / 8
            f, z = float(terms.bits_content), float(terms.bits_dynamics)
            psnr = 10 * math.log10(255**2 / max(error, 1e-9))
            rows.append((psnr, f, z, f / num_frames + z, float(terms.loss)))
        means = (sum(column) / len(rows) for column in zip(*rows, strict=True))
        return Judgement(quality, *means)

    @staticmethod
    def _terms(model: SpatialModel, clip: Yuv, quality: int) -> Terms:
        predicted = bool(model.config.predicted)
        return clip_terms(model, clip, quality, None, Noise(None), predicted=predicted)

    @torch.no_grad()
    def pictures(self, model: SpatialModel, quality: int = 45) -> dict[str, Picture]:
        """A frame of the first clip, half a GOP from its content: source, decoded, content."""
        frames = self._terms(model, self._clips[0], quality).pictures

        def middle(picture: Yuv) -> Picture:
            t = len(picture.luma) // 2
            return to_rgb(Yuv(picture.luma[t : t + 1], picture.chroma[t : t + 1]))

        return {name: middle(picture) for name, picture in frames.items()}

    @torch.no_grad()
    def coded_excess(self, model: SpatialModel, weights: Path) -> float | None:
        """How much larger a clip's payload is than the training network's estimate of it.

        None where the coder's library is missing.
        """
        shot = self._coded.middle(LARGEST)
        few = Shot(shot.name, shot.luma[:CODED_FRAMES].cpu(), shot.chroma[:CODED_FRAMES].cpu())
        try:
            gops = encode_shot(load_model(str(weights), "cpu"), few, 45, PRESETS["medium"].gop)
        except ImportError:
            return None
        estimate = sum(float(sum(gop.bits(model))) for gop in gops)
        coder_bits = 2 * 32 * len(gops)  # what the two coders of a GOP may add, see the spec
        coded = 8 * sum(gop.num_bytes for gop in gops)
        return max(coded - estimate - coder_bits, min(coded - estimate, 0.0)) / estimate


def warnings_of(judgements: Sequence[Judgement], excess: float | None) -> list[str]:
    """What is going wrong."""
    found = []
    best = judgements[-1]
    if best.bits_content < COLLAPSED:
        found.append(
            f"f has collapsed: {best.bits_content:.5f} bits a pixel of content at quality "
            f"{best.quality}; a lower learning rate or --init may help"
        )
    if excess is not None and not EXCESS_RANGE[0] <= excess <= EXCESS_RANGE[1]:
        found.append(f"coded size and estimate differ by {excess:+.1%}: report this as a fault")
    return found
