"""p(x_t | z_t, f): from dequantized latents to frames.

    f_hat ─ transform ─ filter ─► planes (picture at double resolution, features)     once a GOP
    z_hat ─ motion ─ refine ─► warp two planes ─ blend ─ + residual ─ filter ─► x_hat  each frame

Frames are YUV 4:2:0 in code values minus 128: luma [N, 1, H, W], chroma [N, 2, H/2, W/2], H and W
multiples of 16. Transforms start as a 16×16 DCT of luma and 8×8 DCTs of chroma.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dsaecodec.spatial.motion import sample

HALF_PEL = (-1 / 64, 4 / 64, -11 / 64, 40 / 64, 40 / 64, -11 / 64, 4 / 64, -1 / 64)
FEATURES = 8
NUM_COEFFICIENTS = 384  # 256 of luma, 64 of each chroma plane
DC_CHANNELS = (0, 256, 320)
COARSE_STEP = 16.0  # of f, in grey levels, at which the filter of contents works as it is
STRONGEST = 2.0  # times that, at most; in proportion below


class Yuv(NamedTuple):
    """A batch of 4:2:0 frames, code values - 128."""

    luma: Tensor  # [N, 1, H, W]
    chroma: Tensor  # [N, 2, H/2, W/2]


class Planes(NamedTuple):
    """Decoded content: what frames are warped from."""

    picture: Yuv
    luma2: Tensor  # [N, 1, 2H, 2W], half-pel interpolated
    chroma2: Tensor  # [N, 2, H, W]
    features: Tensor  # [N, 8, H/8, W/8]


def dct_order(size: int) -> list[int]:
    """Raster indices of a block's coefficients by rising frequency."""
    return sorted(range(size * size), key=lambda i: (i // size + i % size, max(divmod(i, size))))


@lru_cache(maxsize=2)
@torch.inference_mode(False)  # training may use what decoding has cached
def dct_matrix(size: int) -> Tensor:
    """Orthonormal 2-D DCT-II of size × size blocks, rows ordered by frequency: [size², size²]."""
    k = np.arange(size)
    basis = np.cos(math.pi * (2 * k[None, :] + 1) * k[:, None] / (2 * size))
    basis *= math.sqrt(2 / size)
    basis[0] *= math.sqrt(0.5)
    full = np.kron(basis, basis)
    return torch.from_numpy(full[dct_order(size)].astype(np.float32))


def transform_matrix(luma: int = 256, chroma: int = 64) -> Tensor:
    """Lowest DCT coefficients of a block (16×16 luma, two 8×8 chroma): [luma + 2·chroma, 384]."""
    chroma_rows = dct_matrix(8)[:chroma]
    return torch.block_diag(dct_matrix(16)[:luma], chroma_rows, chroma_rows)


def to_blocks(frame: Yuv) -> Tensor:
    """Frames → one vector of samples a block: [N, 384, H/16, W/16]."""
    return torch.cat([F.pixel_unshuffle(frame.luma, 16), F.pixel_unshuffle(frame.chroma, 8)], 1)


def pack(frame: Yuv) -> Tensor:
    """Frames → [N, 24, H/4, W/4]: 4×4 luma and 2×2 chroma samples as channels."""
    return torch.cat([F.pixel_unshuffle(frame.luma, 4), F.pixel_unshuffle(frame.chroma, 2)], 1)


@lru_cache(maxsize=1)
def _block_order() -> Tensor:
    """Channels of `to_blocks` in the order of a packed block: its channel, then row and column."""
    luma = F.pixel_unshuffle(torch.arange(256.0).view(1, 1, 16, 16), 4)
    chroma = F.pixel_unshuffle(256 + torch.arange(128.0).view(1, 2, 8, 8), 2)
    return torch.cat([luma, chroma], 1).flatten().long()


def pack_blocks(blocks: Tensor) -> Tensor:
    """Blocks of `to_blocks` → frames as of `pack`."""
    return F.pixel_shuffle(blocks[:, _block_order().to(blocks.device)], 4)


def unpack(packed: Tensor) -> Yuv:
    """Inverse of `pack`."""
    return Yuv(F.pixel_shuffle(packed[:, :16], 4), F.pixel_shuffle(packed[:, 16:], 2))


def upsample_half_pel(x: Tensor) -> Tensor:
    """Double the resolution: sample 2i is sample i, 2i+1 the 8-tap half-pel: [N, C, 2H, 2W]."""
    taps = torch.tensor(HALF_PEL, dtype=x.dtype, device=x.device)
    channels = x.shape[1]

    def between(y: Tensor, vertical: bool) -> Tensor:
        padding = (0, 0, 3, 4) if vertical else (3, 4, 0, 0)
        shape = (1, 1, 8, 1) if vertical else (1, 1, 1, 8)
        kernel = taps.view(shape).expand(channels, -1, -1, -1)
        return F.conv2d(F.pad(y, padding, mode="replicate"), kernel, groups=channels)

    with torch.autocast(x.device.type, enabled=False):  # samples need more than 8 bits
        rows = torch.stack([x, between(x, True)], dim=3).flatten(2, 3)
        return torch.stack([rows, between(rows, False)], dim=4).flatten(3, 4)


def zero_init(conv: nn.Conv2d) -> nn.Conv2d:
    """Start a residual branch at nothing."""
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


class Transform(nn.Conv2d):
    """Linear map of a block's samples or coefficients.

    In float32 whatever the precision of the networks: coefficients span thousands of steps.

    Args:
        matrix: what it starts as, [out, in].
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__(matrix.shape[1], matrix.shape[0], 1, bias=False)
        with torch.no_grad():
            self.weight.copy_(matrix[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, h, w] → [N, out, h, w]."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class Separable(nn.Module):
    """Residual depthwise 3×3 + pointwise block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] → the same shape."""
        return x + F.relu(self.pointwise(self.depthwise(x)))


class Residual(nn.Module):
    """Residual block of two dense 3×3 convolutions, which starts as nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 3, padding=1)
        self.leave = zero_init(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] → the same shape."""
        return x + self.leave(F.relu(self.enter(x)))


class Deepening(nn.Module):
    """More of the filter of contents, which knows how coarse steps are; it starts as nothing.

    A content that is predicted has been filtered before, and will be again. So the filter adds
    something where something is coded: with e the mean energy of f_hat's 3×3 blocks around one, in
    squared steps, its share is e / (e + ease).

    Args:
        width: of the filter.
        blocks: how many.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.level = nn.Linear(2, width)
        nn.init.zeros_(self.level.weight)
        nn.init.zeros_(self.level.bias)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.leave = zero_init(nn.Conv2d(width, 24, 3, padding=1))
        self.log_ease = nn.Parameter(torch.zeros(1))

    def forward(self, hidden: Tensor, f_hat: Tensor, step: Tensor, predicted: Tensor) -> Tensor:
        """What to add to a packed picture, [N, 24, H/4, W/4].

        Args:
            hidden: what the filter knows, [N, width, H/4, W/4].
            f_hat: [N, 384, h, w], physical units.
            step: nominal step of f in grey levels, [N] or [1].
            predicted: 1 for contents that are, else 0, [N] or [1].
        """
        known = torch.stack([torch.log2(step) - 3, predicted], dim=1)
        hidden = hidden + self.level(known)[:, :, None, None]
        # dense convolutions take two thirds of the time that way
        hidden = self.blocks(hidden.contiguous(memory_format=torch.channels_last))
        energy = (f_hat / step[:, None, None, None]).square().sum(1, keepdim=True)
        energy = F.avg_pool2d(F.pad(energy, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        share = energy / (energy + torch.exp(self.log_ease))
        share = F.interpolate(share, scale_factor=4, mode="bilinear", align_corners=False)
        return share * self.leave(hidden)


class ContentSynthesis(nn.Module):
    """f_hat → planes: inverse transform, prediction, an in-loop filter, features, interpolation.

    Args:
        width, blocks: of the filter.
        discerning: whether the filter also sees what f_hat says, apart from what was predicted; it
            works half as hard on predicted contents then, for much of them has been filtered.
        depth: blocks by which the filter goes deeper than what features come from.
    """

    def __init__(
        self, width: int = 64, blocks: int = 3, *, discerning: bool = False, depth: int = 0
    ) -> None:
        super().__init__()
        self.discerning = discerning
        self.transform = Transform(transform_matrix().T)
        self.enter = nn.Conv2d(24 * (1 + discerning), width, 3, padding=1)
        self.blocks = nn.Sequential(*(Separable(width) for _ in range(blocks)))
        self.leave = zero_init(nn.Conv2d(width, 24, 3, padding=1))
        self.features = nn.Conv2d(width, FEATURES, 2, stride=2)
        self.deepening = Deepening(width, depth) if depth else None

    def forward(self, f_hat: Tensor, step: Tensor, prediction: Yuv | None = None) -> Planes:
        """Planes of a content.

        Args:
            f_hat: [N, 384, h, w], physical units.
            step: nominal step of f, [1], see `model.content_step`.
            prediction: what f_hat is added to; None: it stands alone.
        """
        picture, hidden = self.picture(f_hat, step, prediction)
        luma2, chroma2 = upsample_half_pel(picture.luma), upsample_half_pel(picture.chroma)
        return Planes(picture, luma2, chroma2, self.features(hidden))

    def picture(
        self, f_hat: Tensor, step: Tensor, prediction: Yuv | None = None
    ) -> tuple[Yuv, Tensor]:
        """The picture of a content, and what features come from, [N, width, H/4, W/4]."""
        said = packed = pack_blocks(self.transform(f_hat))
        strength = (step / COARSE_STEP).clamp(max=STRONGEST)
        if prediction is not None:
            packed = packed + pack(prediction)
            strength = strength / 2 if self.discerning else strength
        seen = torch.cat([packed, said], 1) if self.discerning else packed
        hidden = self.blocks(F.relu(self.enter(seen / 32)))
        fix = self.leave(hidden)
        if self.deepening is not None:
            predicted = torch.full_like(step, prediction is not None)
            fix = fix + self.deepening(hidden, f_hat, step, predicted)
        return unpack(packed + strength[:, None, None, None] * fix), hidden


class Motion(NamedTuple):
    """Dense motion of a frame: what `z_hat`'s motion channels mean."""

    to_previous: Tensor  # [N, 2, H/8, W/8] pixels, frame → plane of the previous GOP
    to_current: Tensor  # [N, 2, H/8, W/8] pixels, frame → plane of this GOP
    logit: Tensor  # [N, 1, H/8, W/8] weight of the previous plane before the sigmoid


class FrameSynthesis(nn.Module):
    """(planes, z_hat) → x_hat."""

    def __init__(self, residual_luma: int = 64, residual_chroma: int = 16) -> None:
        super().__init__()
        self.transform = Transform(transform_matrix(residual_luma, residual_chroma).T)
        self.refine_enter = nn.Conv2d(2 * FEATURES + 2 + 5, 32, 3, padding=1)
        self.refine_block = Separable(32)
        self.refine_leave = zero_init(nn.Conv2d(32, 5, 3, padding=1))
        self.enter = nn.Conv2d(24 + 16 + 24, 40, 1)
        self.blocks = nn.Sequential(Separable(40), Separable(40))
        self.leave = zero_init(nn.Conv2d(40, 24, 1))

    def motion(self, previous: Planes, current: Planes, z_motion: Tensor) -> Motion:
        """Motion at 1/8 from its latent [N, 5, h, w]: mean and half difference of the two, logit.

        The network compares what both planes say and corrects the motion at no cost in bits.
        """
        coarse = F.interpolate(z_motion, scale_factor=2, mode="bilinear", align_corners=False)
        mean, half, logit = coarse[:, :2], coarse[:, 2:4], coarse[:, 4:]
        flows = (mean + half, mean - half)
        seen = []
        for planes, flow in zip((previous, current), flows, strict=True):
            small = F.avg_pool2d(planes.picture.luma, 8) / 32
            seen.append(sample(torch.cat([planes.features, small], 1), flow / 8))
        inputs = torch.cat([*seen, mean / 8, half / 8, logit], 1)
        fix = self.refine_leave(self.refine_block(F.relu(self.refine_enter(inputs))))
        return Motion(flows[0] + fix[:, :2], flows[1] + fix[:, 2:4], logit + fix[:, 4:])

    @staticmethod
    def warp(planes: Planes, flow: Tensor) -> Yuv:
        """Motion-compensate one plane with motion at 1/8, [N, 2, H/8, W/8]."""
        fine = F.interpolate(flow, scale_factor=8, mode="bilinear", align_corners=False)
        half = F.interpolate(flow / 2, scale_factor=4, mode="bilinear", align_corners=False)
        return Yuv(sample(planes.luma2, fine, 2), sample(planes.chroma2, half, 2))

    def predict(self, previous: Planes, current: Planes, motion: Motion) -> tuple[Yuv, Tensor]:
        """Blend both warped planes; also their luma difference [N, 1, H, W]."""
        a = self.warp(previous, motion.to_previous)
        b = self.warp(current, motion.to_current)
        logit = F.interpolate(motion.logit, scale_factor=4, mode="bilinear", align_corners=False)
        weight = torch.sigmoid(logit)
        fine = F.interpolate(weight, scale_factor=2, mode="bilinear", align_corners=False)
        difference = a.luma - b.luma
        luma = torch.addcmul(b.luma, fine, difference)
        chroma = torch.addcmul(b.chroma, weight, a.chroma - b.chroma)
        return Yuv(luma, chroma), difference

    def finish(self, prediction: Yuv, difference: Tensor, residual_hat: Tensor) -> Yuv:
        """Add the residual [N, R, h, w] and filter."""
        packed = pack(prediction)
        residual = pack_blocks(self.transform(residual_hat))
        inputs = torch.cat([packed / 32, F.pixel_unshuffle(difference, 4) / 16, residual / 16], 1)
        fix = self.leave(self.blocks(F.relu(self.enter(inputs))))
        return unpack(packed + residual + fix)

    def forward(self, previous: Planes, current: Planes, z_hat: Tensor) -> Yuv:
        """Frames from z_hat [N, 5 + R, h, w] (motion, logit, residual), physical units."""
        motion = self.motion(previous, current, z_hat[:, :5])
        return self.finish(*self.predict(previous, current, motion), z_hat[:, 5:])


def expand_planes(planes: Planes, times: int) -> Planes:
    """Repeat each clip's planes for its frames: [N, …] → [N·times, …]."""

    def repeat(x: Tensor) -> Tensor:
        if x.shape[0] == 1:
            return x.expand(times, -1, -1, -1)
        return x.repeat_interleave(times, dim=0)

    picture = Yuv(repeat(planes.picture.luma), repeat(planes.picture.chroma))
    return Planes(picture, repeat(planes.luma2), repeat(planes.chroma2), repeat(planes.features))
