"""How good a vector model in training is: held-out clips at a few qualities, one really coded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from dsaecodec.model_io import load_model
from dsaecodec.training.judge import QUALITIES, Judgement
from dsaecodec.training.pictures import Picture
from dsaecodec.training.shots import Shot
from dsaecodec.training.vector_objective import code_clips, lagrangian
from dsaecodec.training.vector_stages import SequenceSampler, to_input
from dsaecodec.vector.model import VectorModel
from dsaecodec.vector.pictures import UNIT
from dsaecodec.vector.synthesis import to_pictures

NUM_CLIPS = 96


class VectorJudge:
    """Looks at the beginnings of some clips.

    Args:
        shots: held-out clips.
        num_frames: frames a clip.
        size: of their pictures.
        device: where to compute.
        bit: squared error that a bit a frame is worth at quality 50.

    Raises:
        ConfigError: none of them fits.
    """

    def __init__(
        self,
        shots: Sequence[Shot],
        num_frames: int,
        size: int,
        device: torch.device,
        bit: float,
    ) -> None:
        self._bit = bit
        sampler = SequenceSampler(shots, num_frames, size)
        self._blocks = to_input(sampler.beginnings(num_frames, NUM_CLIPS)).to(device)

    @torch.no_grad()
    def judge(self, model: VectorModel) -> list[Judgement]:
        """Judge at each quality; latents are rounded, nothing is random."""
        found = []
        blocks, num_clips, num_frames, samples = self._blocks.shape
        pixels = blocks * samples // 3
        for number in QUALITIES:
            quality = torch.full((num_clips,), number, device=self._blocks.device)
            coded = code_clips(model, self._blocks, quality, None)
            psnr = 10 * torch.log10(255**2 / coded.errors.clamp(min=1e-3)).mean()
            cost = coded.errors / lagrangian(quality) + self._bit * coded.bits_a_frame
            bits_f, bits_z = float(coded.bits_f.mean()), float(coded.bits_z.mean()) / num_frames
            rates = (bits_f / pixels, bits_z / pixels, float(coded.bits_a_frame.mean()) / pixels)
            found.append(Judgement(number, float(psnr), *rates, float(cost.mean())))
        return found

    @torch.no_grad()
    def pictures(self, model: VectorModel, quality: int = 45) -> dict[str, Picture]:
        """The fourth frame, or the last, of some clips: source and decoded."""
        some = self._blocks[:, :8]
        qualities = torch.full((some.shape[1],), quality, device=some.device)
        decoded = code_clips(model, some, qualities, None).decoded
        t = min(3, some.shape[2] - 1)
        sheets = {}
        for name, blocks in (("source", some), ("decoded", decoded)):
            pictures = (UNIT * to_pictures(blocks, model.config.size)).round().clamp(0, 255)
            row = torch.cat(list(pictures[:, t]), 2).permute(1, 2, 0)
            sheets[name] = row.to(torch.uint8).cpu().numpy()
        return sheets

    @torch.no_grad()
    def coded_excess(self, model: VectorModel, weights: Path) -> float | None:
        """How much larger files are than the training network's estimate of their latents.

        None where the coder's library is missing.
        """
        try:
            from bitstream import SymbolEncoder
            from dsaecodec.vector.gop_coder import code_content, code_dynamics
            from dsaecodec.vector.gop_encoder import infer_symbols

            loaded = load_model(str(weights), "cpu")
            few = self._blocks[:, :8].cpu()
            quality = 45
            f, z = infer_symbols(loaded.vector, few, quality)
            num_bytes = 0
            for clip in range(few.shape[1]):
                one = slice(clip, clip + 1)
                content, dynamics = (SymbolEncoder(loaded.tables) for _ in range(2))
                code_content(loaded.vector, content, quality, f[one])
                code_dynamics(loaded.vector, dynamics, quality, z[one].unbind(1))
                num_bytes += len(content.finish()) + len(dynamics.finish())
        except ImportError:
            return None
        qualities = torch.full((few.shape[1],), quality, device=self._blocks.device)
        coded = code_clips(model, self._blocks[:, :8], qualities, None)
        estimate = float((coded.bits_f + coded.bits_z).sum())
        excess = 8 * num_bytes - estimate
        coders = 2 * 32 * few.shape[1]  # bits that coders may add, see the specification
        return max(excess - coders, min(excess, 0.0)) / estimate
