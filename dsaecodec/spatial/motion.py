"""Classical dense motion, the starting point of the posterior of z_t.

Regularised Lucas-Kanade on a grid of one vector per 16×16 block, bilinearly interpolated as the
synthesis does. In each block and pyramid level, with image gradients g, error e = x_t - plane(p+v)
and weights w = 1 / (1 + (e/σ)²), the Gauss-Newton step with a smoothness prior is

    (⟨w g gᵀ⟩ + μI) v_new = ⟨w g gᵀ⟩ v + ⟨w g e⟩ + μ v̄_new,       v̄ = mean of the 3×3 neighbours,

solved by a few Jacobi sweeps. Then each block keeps the best of the refined, the predicted, the
preceding, the zero and the smoothed vector, by squared error around it plus a price for straying
from its neighbours, and is refined once more. Frames are visited outward from the plane's own
time, each starting from its predecessor's motion, so that far displacements are reached in small
steps. The decoder never sees this: it is an encoder's way to find good symbols.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 16
LEVELS = (3, 2, 1)  # pyramid levels, coarse to fine: 1/8 … 1/2; full size comes last
ERROR_SIGMA = 15.0
SWEEPS = 4
STRAYING = 0.15


def sample(plane: Tensor, flow: Tensor, scale: int = 1) -> Tensor:
    """Bilinear plane(p + flow(p)).

    Args:
        plane: [N, C, scale·H, scale·W]; sample (scale·y, scale·x) belongs to pixel (y, x).
        flow: [N, 2, H, W], (dy, dx) in pixels of the H × W grid.

    Returns:
        [N, C, H, W]; positions outside take the border's value.
    """
    height, width = flow.shape[2:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)
    cols = torch.arange(width, device=flow.device, dtype=flow.dtype)
    dy, dx = (2 * scale / max(side - 1, 1) for side in plane.shape[2:])
    y, x = (rows * dy - 1)[:, None], (cols * dx - 1)[None, :]
    if flow.requires_grad:
        moved = torch.add(x, flow[:, 1], alpha=dx), torch.add(y, flow[:, 0], alpha=dy)
        grid = torch.stack(moved, dim=-1)
    else:  # the same at a quarter of the time
        grid = flow.new_empty(flow.shape[0], height, width, 2)
        torch.add(x, flow[:, 1], alpha=dx, out=grid[..., 0])
        torch.add(y, flow[:, 0], alpha=dy, out=grid[..., 1])
    return F.grid_sample(plane, grid, "bilinear", padding_mode="border", align_corners=True)


def smooth(grid: Tensor) -> Tensor:
    """Mean of the 3×3 neighbourhood with replicated borders, [N, C, h, w]."""
    return F.avg_pool2d(F.pad(grid, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def gradients(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences (d/dy, d/dx) of [N, 1, H, W]."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    dy = 0.5 * (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1])
    dx = 0.5 * (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2])
    return dy, dx


def _refine(current: Tensor, plane: Tensor, grid: Tensor, level: int, mu: float) -> Tensor:
    """One Gauss-Newton step at one pyramid level; grid [N, 2, h, w] in full-resolution pixels."""
    cell = BLOCK >> level
    v = grid * 2.0**-level
    flow = F.interpolate(v, scale_factor=cell, mode="bilinear", align_corners=False)
    warped = sample(plane, flow)
    error = current - warped
    gy, gx = gradients(warped)
    weight = 1 / (1 + (error / ERROR_SIGMA) ** 2)
    products = torch.cat([gy * gy, gy * gx, gx * gx, gy * error, gx * error], 1) * weight
    pooled = F.avg_pool2d(products, cell)
    gyy, gyx, gxx, ey, ex = smooth(pooled).chunk(5, dim=1)
    by = gyy * v[:, :1] + gyx * v[:, 1:] + ey
    bx = gyx * v[:, :1] + gxx * v[:, 1:] + ex
    determinant = (gyy + mu) * (gxx + mu) - gyx * gyx
    new = v
    for _ in range(SWEEPS):
        mean = smooth(new)
        ry, rx = by + mu * mean[:, :1], bx + mu * mean[:, 1:]
        new = torch.cat([(gxx + mu) * ry - gyx * rx, (gyy + mu) * rx - gyx * ry], 1) / determinant
    return (v + (new - v).clamp(-2, 2)) * 2.0**level


def _pyramid(image: Tensor) -> list[Tensor]:
    images = [image]
    for _ in range(max(LEVELS)):
        images.append(F.avg_pool2d(images[-1], 2))
    return images


def _select(
    current: Tensor, plane: Tensor, candidates: list[Tensor], level: int, mu: float
) -> Tensor:
    """The cheapest candidate of each block, judged at one pyramid level, [N, 2, h, w]."""
    cell, size = BLOCK >> level, candidates[0].shape[2:]
    expected = smooth(candidates[0])
    costs = []
    for grid in candidates:
        flow = F.interpolate(
            grid * 2.0**-level, scale_factor=cell, mode="bilinear", align_corners=False
        )
        error = (current - sample(plane, flow)).square()
        straying = (grid - expected).square().sum(1, keepdim=True).clamp(max=4)
        costs.append(smooth(F.avg_pool2d(error, cell)) + STRAYING * mu * straying)
    best = torch.stack(costs).argmin(0, keepdim=True).expand(-1, -1, 2, *size)
    return torch.stack(candidates).gather(0, best)[0]


@torch.no_grad()
def estimate_chain(frames: Tensor, plane: Tensor, mu: float = 12.0) -> Tensor:
    """Motion of consecutive frames against one plane, nearest frame first.

    Args:
        frames: luma [N, T, H, W], grey levels of any type; frame 0 is the one next to the plane in
            time.
        plane: luma [N, 1, H, W]; H and W are multiples of 16.
        mu: smoothness, in squared grey levels a pixel.

    Returns:
        [N, T, 2, H/16, W/16], (dy, dx) in pixels from frame to plane.
    """
    count, num_frames, height, width = frames.shape
    reference = _pyramid(plane)
    if num_frames == 0:
        return plane.new_zeros(count, 0, 2, height // BLOCK, width // BLOCK)
    previous = before = plane.new_zeros(count, 2, height // BLOCK, width // BLOCK)
    grids = []
    for t in range(num_frames):
        images = _pyramid(frames[:, t : t + 1].float())
        predicted = grid = previous + 0.5 * (previous - before)
        for level in LEVELS:
            if height >> level >= 4 and width >> level >= 4:
                grid = _refine(images[level], reference[level], grid, level, mu)
        candidates = [grid, predicted, previous, torch.zeros_like(grid), smooth(grid)]
        grid = _select(images[1], reference[1], candidates, 1, mu)
        grid = _refine(images[0], reference[0], grid, 0, mu)
        before, previous = previous, grid
        grids.append(grid)
    return torch.stack(grids, 1)


def estimate_around(frames: Tensor, plane: Tensor, anchor: int, mu: float) -> Tensor:
    """The same for frames on both sides of the plane's own time, from frame `anchor` outward."""
    if anchor == frames.shape[1] - 1:
        return estimate_chain(frames.flip(1), plane, mu).flip(1)
    after = estimate_chain(frames[:, anchor:], plane, mu)
    before = estimate_chain(frames[:, :anchor].flip(1), plane, mu)
    return torch.cat([before.flip(1), after], 1)
