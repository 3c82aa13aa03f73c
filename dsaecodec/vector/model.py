"""The vector model: p(f) Π_t p(z_t | z_<t) p(x_t | z_t, f), and q(f, z_1:T | x_1:T)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dsaecodec.exact import IntConv
from dsaecodec.likelihood import QUALITY_PER_OCTAVE, REFERENCE_QUALITY
from dsaecodec.vector.posterior import Posterior
from dsaecodec.vector.prior import ContentPrior, DynamicsPrior
from dsaecodec.vector.synthesis import Synthesis


@dataclass(frozen=True)
class VectorConfig:
    """Shape of a vector model.

    Attributes:
        size: height and width of its pictures, pixels.
        f_channels, z_channels: numbers of f and of z_t.
        rank: products of f and z_t in a block of 8×8 pixels.
        f_width, z_width: features of f and of z_t in the synthesis.
        hidden: width of the LSTM of the prior.
        full_posterior: 1: q(z_1:T | x_1:T, f); 0: q(z_t | x_t).
        recurrent: 1: p(z_t | z_<t); 0: a static prior p(z_t).
    """

    size: int = 64
    f_channels: int = 24
    z_channels: int = 8
    rank: int = 100
    f_width: int = 160
    z_width: int = 96
    hidden: int = 64
    full_posterior: int = 0
    recurrent: int = 1


class VectorModel(nn.Module):
    """All networks of the vector family."""

    def __init__(self, config: VectorConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.size, config.f_channels, config.z_channels)
        self.posterior = Posterior(*sizes, full=bool(config.full_posterior))
        self.content_prior = ContentPrior(config.f_channels)
        self.dynamics_prior = DynamicsPrior(
            config.z_channels, config.hidden, recurrent=bool(config.recurrent)
        )
        widths = (config.f_width, config.z_width)
        self.synthesis = Synthesis(*sizes, config.rank, *widths)

    def step(self, quality: Tensor) -> Tensor:
        """Quantization step of latents at qualities [N], [N, 1]; 1 at the reference quality."""
        return torch.exp2((REFERENCE_QUALITY - quality.float()) / QUALITY_PER_OCTAVE)[:, None]

    def synthesize(self, f: Tensor, z: Tensor, quality: int) -> Tensor:
        """Symbols f [N, F] and z [N, T, Z] → blocks [blocks, N, T, 192], see `Synthesis`."""
        step = float(self.step(torch.tensor([quality])))
        return self.synthesis(f * step, z * step)

    @torch.no_grad()
    def project_(self) -> None:
        """Keep every integer layer inside its exactness bound; call after each update."""
        for module in self.modules():
            if isinstance(module, IntConv):
                module.project_()
