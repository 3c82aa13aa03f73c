"""q(f | x_1:T) and q(z_1:T | x_1:T, f), both posteriors of the paper. Only the encoder has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dsaecodec.vector.synthesis import BLOCK, to_pictures
from dsaecodec.vector.things import COLOURS, Places

FEATURES = 192
_PER_BLOCK = 16


class Posterior(nn.Module):
    """Latents of clips.

    Args:
        size: of pictures, pixels.
        f_channels, z_channels: of f and z_t.
        full: q(z_1:T | x_1:T, f), a bidirectional LSTM over the clip; False: the factorized
            q(z_t | x_t), each frame for itself.
        begins: f says how the clip begins, as deterministic dynamics need it: its LSTM is told the
            places of things and read at the first frame, not as a mean over all.
        things: z_t are places, see `things.Places`, corrected by the network.
        width: of the LSTMs, each direction.
    """

    def __init__(
        self,
        size: int,
        f_channels: int,
        z_channels: int,
        *,
        full: bool,
        begins: bool = False,
        things: bool = False,
        width: int = 96,
    ) -> None:
        super().__init__()
        self.size, self.full, self.begins, self.things = size, full, begins, things
        blocks = (size // BLOCK) ** 2
        self.local = nn.Parameter(torch.randn(blocks, 3 * BLOCK**2, _PER_BLOCK) / 14)
        self.frame = nn.Sequential(
            nn.GELU(),
            nn.Linear(blocks * _PER_BLOCK, FEATURES),
            nn.GELU(),
        )
        if things:
            self.places = Places(z_channels // 2)
        described = FEATURES + (2 * COLOURS + begins * z_channels) * things
        self.content = nn.LSTM(described, width, batch_first=True, bidirectional=True)
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
        described, places = seen, None
        if self.things:
            pictures = to_pictures(frames, self.size).flatten(0, 1)
            places, colours = (x.unflatten(0, shape) for x in self.places(pictures))
            known = [seen, colours, places / self.size] if self.begins else [seen, colours]
            described = torch.cat(known, 2)
        content = self.content(described)[0]
        f = self.f(content[:, 0] if self.begins else content.mean(1))
        if self.full:
            joint = torch.cat([seen, f[:, None].expand(-1, shape[1], -1)], 2)
            seen = self.motion(joint)[0]
        z = self.z(seen)
        return f, z if places is None else z + places
