"""q(f | x_1:T) and q(z_1:T | x_1:T, f), both posteriors of the paper. Only the encoder has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dsaecodec.vector.synthesis import BLOCK

FEATURES = 192
_PER_BLOCK = 16


class Posterior(nn.Module):
    """Latents of clips.

    Args:
        size: of pictures, pixels.
        f_channels, z_channels: of f and z_t.
        full: q(z_1:T | x_1:T, f), a bidirectional LSTM over the clip; False: the factorized
            q(z_t | x_t), each frame for itself.
        width: of the LSTMs, each direction.
    """

    def __init__(
        self, size: int, f_channels: int, z_channels: int, *, full: bool, width: int = 96
    ) -> None:
        super().__init__()
        self.full = full
        blocks = (size // BLOCK) ** 2
        self.local = nn.Parameter(torch.randn(blocks, 3 * BLOCK**2, _PER_BLOCK) / 14)
        self.frame = nn.Sequential(
            nn.GELU(),
            nn.Linear(blocks * _PER_BLOCK, FEATURES),
            nn.GELU(),
        )
        self.content = nn.LSTM(FEATURES, width, batch_first=True, bidirectional=True)
        self.f = nn.Sequential(nn.Linear(2 * width, 128), nn.GELU(), nn.Linear(128, f_channels))
        seen = FEATURES
        if full:
            self.motion = nn.LSTM(
                FEATURES + f_channels, width, batch_first=True, bidirectional=True
            )
            seen = 2 * width
        self.z = nn.Sequential(nn.Linear(seen, 128), nn.GELU(), nn.Linear(128, z_channels))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Blocks of frames [blocks, N, T, 192], code values / 64 → f [N, F], z [N, T, Z]."""
        shape = frames.shape[1:3]
        local = torch.bmm(frames.flatten(1, 2), self.local).transpose(0, 1)
        seen = self.frame(local.flatten(1)).unflatten(0, shape)
        f = self.f(self.content(seen)[0].mean(1))
        if not self.full:
            return f, self.z(seen)
        joint = torch.cat([seen, f[:, None].expand(-1, shape[1], -1)], 2)
        return f, self.z(self.motion(joint)[0])
