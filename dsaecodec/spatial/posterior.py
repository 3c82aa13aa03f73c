"""q(f | x) and q(z_t | x_t, f): what the encoder infers. The decoder holds none of this."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dsaecodec.spatial.synthesis import (
    NUM_COEFFICIENTS,
    Transform,
    Yuv,
    pack,
    to_blocks,
    transform_matrix,
    zero_init,
)


class ContentPosterior(nn.Module):
    """Content frame, or what a prediction lacks of it → f and, from its magnitudes, f_hyper."""

    def __init__(self, hyper_channels: int) -> None:
        super().__init__()
        self.transform = Transform(transform_matrix())
        self.branch = nn.Sequential(
            nn.Conv2d(24, 48, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 64, 4, stride=4),
            nn.ReLU(),
            zero_init(nn.Conv2d(64, NUM_COEFFICIENTS, 1)),
        )
        self.hyper = nn.Sequential(
            nn.Conv2d(NUM_COEFFICIENTS, 64, 1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, hyper_channels, 3, padding=1),
        )

    def forward(self, frame: Yuv, prediction: Yuv | None = None) -> Tensor:
        """[N, 384, H/16, W/16] coefficients, physical units."""
        if prediction is not None:
            frame = Yuv(frame.luma - prediction.luma, frame.chroma - prediction.chroma)
        return self.transform(to_blocks(frame)) + self.branch(pack(frame) / 32)

    def infer_hyper(self, f_scaled: Tensor) -> Tensor:
        """f in symbol units [N, 384, h, w] → f_hyper before rounding [N, hyper, ⌈h/2⌉, ⌈w/2⌉]."""
        height, width = f_scaled.shape[2:]
        padded = F.pad(torch.log1p(f_scaled.abs()), (0, width % 2, 0, height % 2))
        return self.hyper(padded)


class DynamicsPosterior(nn.Module):
    """(frame, planes, classical motion) → z_t (physical units)."""

    def __init__(self, residual_luma: int = 64, residual_chroma: int = 16) -> None:
        super().__init__()
        self.fix = nn.Sequential(
            nn.Conv2d(13, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            zero_init(nn.Conv2d(32, 5, 3, padding=1)),
        )
        self.transform = Transform(transform_matrix(residual_luma, residual_chroma))

    def infer_motion(self, luma: Tensor, warped: tuple[Tensor, Tensor], grids: Tensor) -> Tensor:
        """Motion latent from classical motion and how well it predicts.

        Args:
            luma: [N, 1, H, W].
            warped: the previous and the current plane, moved by `grids`, [N, 1, H, W] each.
            grids: [N, 4, h, w], (dy, dx) to the previous plane, then to the current, in pixels.

        Returns:
            [N, 5, h, w]: mean and half difference of both motions, mixing logit.
        """
        errors = torch.cat([luma - warped[0], luma - warped[1]], 1)
        energy = F.avg_pool2d(errors.square(), 16)  # [N, 2, h, w]
        log_energy = torch.log2(energy + 4)
        logit = 0.5 * (log_energy[:, 1:] - log_energy[:, :1])
        mean, half = (grids[:, :2] + grids[:, 2:]) / 2, (grids[:, :2] - grids[:, 2:]) / 2
        base = torch.cat([mean, half, logit], 1)
        local = base - F.avg_pool2d(F.pad(base, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        texture = F.avg_pool2d(luma.square(), 16) - F.avg_pool2d(luma, 16).square()
        inputs = torch.cat([base / 8, local, log_energy / 8, torch.log2(texture + 4) / 8], 1)
        return base + self.fix(inputs)

    def infer_residual(self, frame: Yuv, prediction: Yuv) -> Tensor:
        """What the prediction lacks, [N, R, h, w] coefficients."""
        difference = Yuv(frame.luma - prediction.luma, frame.chroma - prediction.chroma)
        return self.transform(to_blocks(difference))
