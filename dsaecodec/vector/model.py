"""The vector model: p(f) Π_t p(z_t | z_<t) p(x_t | z_t, f), and q(f, z_1:T | x_1:T)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dsaecodec.exact import IntConv
from dsaecodec.likelihood import QUALITY_PER_OCTAVE
from dsaecodec.vector.posterior import Posterior
from dsaecodec.vector.prior import UNIT_QUALITY, ContentPrior, DynamicsPrior
from dsaecodec.vector.synthesis import BLOCK, DETAILS, BlockProducts, features
from dsaecodec.vector.things import Things

PRODUCTS = ("blocks", "things")
SPREAD = 32.0  # how much wider than usual latents begin,
F_SPREAD = 4.0  # and the f of first pictures about so wide
MOST_WEIGHTS = 2**26  # of the products of blocks: a small file must not ask for all memory
DYNAMICS = ("stochastic", "static", "deterministic", "none")


class DeterministicDynamics(nn.Module):
    """z_t of an LSTM whose first state is a function of f, fed its own output.

    Args:
        f_channels, z_channels: of f and z_t.
        hidden: width.
    """

    def __init__(self, f_channels: int, z_channels: int, hidden: int) -> None:
        super().__init__()
        self.start = features(f_channels, 2 * hidden, 2 * hidden)
        self.cell = nn.LSTMCell(z_channels, hidden)
        self.out = nn.Linear(hidden, z_channels)

    def forward(self, f: Tensor, num_frames: int) -> Tensor:
        """f [N, F] → z [N, T, Z]."""
        hidden, cell = self.start(f / F_SPREAD).chunk(2, dim=1)
        hidden = hidden.tanh()
        frames = [self.out(hidden)]
        for _ in range(num_frames - 1):
            hidden, cell = self.cell(frames[-1], (hidden, cell))
            frames.append(self.out(hidden))
        return SPREAD * torch.stack(frames, 1)


@dataclass(frozen=True)
class VectorConfig:
    """Shape of a vector model.

    Attributes:
        size: height and width of its pictures, pixels.
        f_channels, z_channels: numbers of f and of z_t.
        products: what pictures are made of: "blocks", where things take one of a number of poses,
            see `BlockProducts`; "things", where they move, see `Things`.
        rank: products of a block of the highest detail.
        detail: of each block, see `BlockProducts`.
        f_width, z_width: features of f and of z_t in the synthesis; `Things` has none of z_t.
        hidden: width of the LSTM of the prior.
        full_posterior: 1: q(z_1:T | x_1:T, f); 0: q(z_t | x_t).
        dynamics: "stochastic": p(z_t | z_<t), the model of the paper. What it is measured against:
            "static": p(z_t); "deterministic": an LSTM that f starts makes z_t, and nothing is sent
            for a frame; "none": all frames are alike.
    """

    size: int = 64
    f_channels: int = 24
    z_channels: int = 8
    products: str = "blocks"
    rank: int = 100
    detail: str = ""
    f_width: int = 160
    z_width: int = 96
    hidden: int = 64
    full_posterior: int = 0
    dynamics: str = "stochastic"

    @property
    def fault(self) -> str:
        """What makes no sense in it; empty: nothing."""
        if self.size % BLOCK:
            return f"size = {self.size}: expected a multiple of {BLOCK}"
        blocks = (self.size // BLOCK) ** 2
        if self.detail and (len(self.detail) != blocks or not set(self.detail) <= set(DETAILS)):
            return (
                f"detail = {self.detail!r}: expected a digit 0 to 3 for each block of "
                "8x8 pixels, or nothing"
            )
        width = 3 * BLOCK**2 + self.f_width + self.z_width
        if blocks * self.rank * width > MOST_WEIGHTS:
            return f"{blocks} blocks of {self.rank} products of width {width} are too large"
        if self.products == "things" and self.z_channels % 2:
            return f"z_channels = {self.z_channels}: expected two for each thing"
        return ""

    @property
    def coded_channels(self) -> int:
        """Numbers of z_t that a stream holds."""
        return self.z_channels if self.dynamics in ("stochastic", "static") else 0


class VectorModel(nn.Module):
    """All networks of the vector family."""

    def __init__(self, config: VectorConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.size, config.f_channels, config.z_channels)
        has_things = config.products == "things"
        self.posterior = Posterior(
            *sizes,
            full=bool(config.full_posterior),
            begins=config.dynamics == "deterministic",
            things=has_things,
        )
        self.content_prior = ContentPrior(config.f_channels)
        self.dynamics_prior = DynamicsPrior(
            config.coded_channels, config.hidden, recurrent=config.dynamics == "stochastic"
        )
        if config.dynamics == "deterministic":
            self.dynamics = DeterministicDynamics(
                config.f_channels, config.z_channels, config.hidden
            )
        self.synthesis: BlockProducts | Things
        if has_things:
            self.synthesis = Things(*sizes, config.f_width)
        else:
            shape = (*sizes, config.rank, config.f_width, config.z_width)
            self.synthesis = BlockProducts(*shape, config.detail)

    def step(self, quality: Tensor) -> Tensor:
        """Quantization step of latents at qualities [N], [N, 1]; halved every 16."""
        return torch.exp2((UNIT_QUALITY - quality.float()) / QUALITY_PER_OCTAVE)[:, None]

    def synthesize(self, f: Tensor, z: Tensor, quality: int) -> Tensor:
        """Symbols f [N, F] and z [N, T, Z] → blocks [blocks, N, T, 192], see `synthesis`."""
        step = self.step(torch.tensor([quality], device=f.device))
        return self.decode(f * step, z * step[:, None])

    def decode(self, f: Tensor, z: Tensor) -> Tensor:
        """Latents f [N, F] and z [N, T, coded channels] → blocks [blocks, N, T, 192]."""
        if self.config.dynamics == "deterministic":
            z = self.dynamics(f, z.shape[1])
        elif self.config.dynamics == "none":
            z = f.new_zeros(*z.shape[:2], self.config.z_channels)
        return self.synthesis(f, z)

    def infer(self, blocks: Tensor) -> tuple[Tensor, Tensor]:
        """Blocks [blocks, N, T, 192] → f [N, F], z [N, T, coded channels]."""
        f, z = self.posterior(blocks)
        return f, z[:, :, : self.config.coded_channels]

    @torch.no_grad()
    def project_(self) -> None:
        """Keep every integer layer inside its exactness bound; call after each update."""
        for module in self.modules():
            if isinstance(module, IntConv):
                module.project_()
