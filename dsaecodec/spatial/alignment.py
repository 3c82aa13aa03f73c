"""Motion latents that predict well: Gauss-Newton descent before rounding.

Classical motion asks each plane alone where a frame's pixels come from. What a stream pays for is
the error of their blend, as the synthesis makes it, and the bits of motion. So with symbols s_t,
innovations i_t = s_t - s_{t-1} and their spatial mean ī over 3×3 neighbours, it descends

    J(s) = Σ (x_t - prediction(s_t))² / λ + 1/2 · Σ (p √(i_t² + ε) + p' √((i_t - ī_t)² + ε)),

the second term standing for the prior, which knows persistence and looks at neighbours. Each step
solves a 5×5 system a block, from products of image gradients gathered around it and the square
roots' majorizers (iteratively reweighted least squares). Weights of a bilinear interpolation sum to
one, so the sum of a row of the whole Hessian on its diagonal is an upper bound: steps do not
overshoot, and momentum (Nesterov 1983) makes up for their caution. What the synthesis' network adds
to motion is taken as given in each step. Where the prior is kinematic, s_t are lifted symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.codec.threads import Crew
from dsaecodec.finite import check_finite
from dsaecodec.spatial.kinematics import HALF, MEAN, RATIO_ONE, Place
from dsaecodec.spatial.model import SIDE_CHANNELS, SpatialModel
from dsaecodec.spatial.motion import BLOCK, sample, smooth
from dsaecodec.spatial.synthesis import Motion, Planes, expand_planes

ROUNDING_SHARE = 2.0  # of the stiffness that descent finds: frames to come lean on what is rounded
LEAST_STIFFNESS = 0.05  # bits a squared symbol
PRICES = (2.8, 2.8)  # p and p', bits a symbol of innovation
CONTENT_PRICES = (1.6, 8.0)  # of precise f_motion: finer steps, a prior that knows neighbours
EPSILON = 0.05  # squared symbols
LONGEST_STEP = 0.8  # symbols
MOMENTUM = 0.7
COARSE = 0.5  # share of the steps, the first, that see pictures of half the size
DAMPING = 0.5  # of the Hessian's diagonal, bits a squared symbol
PAIRS = [(i, j) for i in range(SIDE_CHANNELS) for j in range(i, SIDE_CHANNELS)]
OWN = [k for k, (i, j) in enumerate(PAIRS) if i == j]


def align(
    model: SpatialModel,
    luma: Tensor,
    planes: tuple[Planes | None, Planes],
    motion: Tensor,
    place: Place,
    quality: int,
    lmbda: float,
    steps: int,
    parts: Sequence[slice],
    crew: Crew,
) -> tuple[Tensor, Tensor]:
    """Motion latents after some steps of descent, and how much each matters.

    Args:
        model: whose synthesis predicts.
        luma: frames of a GOP [T, 1, H, W], code values - 128, of any type.
        planes: of the previous GOP, None where frames use their own alone, and of this one.
        motion: in symbols, [T, 5, h, w]; of frames with one plane only the mean motion moves.
        place: of the frames.
        quality: of the symbols, 0…100.
        lmbda: squared grey levels a bit.
        steps: how many.
        parts: frames that are worked on at once.
        crew: does the work.

    Returns:
        Symbols before rounding, [T, 5, h, w], and the squared error over λ, in bits, that missing
        each by one is charged, of the same shape.
    """
    previous, current = planes
    unit = model.z_steps(quality)[:, :SIDE_CHANNELS].detach()
    free = torch.ones_like(unit) if previous else _mean_alone(unit)
    basis = _basis(model, place, quality).to(unit)
    start = _steady(model, place, motion)

    pair = (previous or current, current)
    small = tuple(_halved(plane.picture.luma) for plane in pair)
    large = tuple(plane.luma2 for plane in pair)

    def part_of_step(symbols: Tensor, part: slice, coarse: bool) -> tuple[Tensor, Tensor]:
        a, b = (expand_planes(plane, len(symbols)) for plane in pair)
        dense = model.frame_synthesis.motion(a, b, symbols * unit)
        check_finite(*dense)
        frames = luma[part].float()
        if coarse:
            return _error_terms(F.avg_pool2d(frames, 2), small, dense, unit, 2)
        return _error_terms(frames, large, dense, unit, 1)

    def terms(symbols: Tensor, coarse: bool) -> tuple[Tensor, Tensor]:
        works = [crew.submit(partial(part_of_step, symbols[part], part, coarse)) for part in parts]
        slope, curvature = zip(*(work.result() for work in works), strict=True)
        return torch.cat(slope), torch.cat(curvature)

    return _descend(terms, motion, start, basis, free, lmbda, steps, PRICES)


def align_content(
    model: SpatialModel,
    luma: Tensor,
    before: Planes,
    motion: Tensor,
    quality: int,
    lmbda: float,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """The same for f_motion, by which a content is predicted from the one before.

    It descends on what the prediction misses before it is softened, see `softening`: softening
    follows from the very vectors. Both contents' motions are one here, the whole of it, so it
    goes where their mean is elsewhere.

    Args:
        model, quality, lmbda, steps: as in `align`.
        luma: of the frame that the content is inferred from, [1, 1, H, W], code values - 128.
        before: planes of the content before.
        motion: in steps of half the motion of z_t, [1, 2, h, w].

    Returns:
        As `align`, [1, 2, h, w] both, in such steps.
    """
    unit = torch.ones_like(model.z_steps(quality)[:, :SIDE_CHANNELS])
    unit[:, MEAN] = 2 * model.z_steps(quality)[:, HALF].detach()
    small, large = _halved(before.picture.luma), before.luma2
    half_size = F.avg_pool2d(luma, 2)

    def terms(symbols: Tensor, coarse: bool) -> tuple[Tensor, Tensor]:
        flow = _fine(symbols[:, MEAN] * unit[:, MEAN], 2)
        check_finite(flow)
        dense = Motion(flow, flow, torch.zeros_like(flow[:, :1]))
        if coarse:
            return _error_terms(half_size, (small, small), dense, unit, 2)
        return _error_terms(luma, (large, large), dense, unit, 1)

    motion = F.pad(motion, (0, 0, 0, 0, 0, SIDE_CHANNELS - motion.shape[1]))
    basis = torch.eye(SIDE_CHANNELS).to(unit)[None]
    start, free = torch.zeros_like(motion), _mean_alone(unit)
    prices = PRICES if model.motion_prior is None else CONTENT_PRICES
    setting = (lmbda, steps, prices)
    motion, stiffness = _descend(terms, motion, start, basis, free, *setting)
    return motion[:, MEAN], stiffness[:, MEAN]


def _descend(
    terms: Callable[[Tensor, bool], tuple[Tensor, Tensor]],
    motion: Tensor,
    start: Tensor,
    basis: Tensor,
    free: Tensor,
    lmbda: float,
    steps: int,
    prices: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Some steps from `motion`, [T, 5, h, w].

    Args:
        terms: gradient and upper Hessian of squared error by symbols, see `_error_terms`; also
            told whether pictures of half the size will do.
        motion: where to begin.
        start: what the first frame's motion is compared to.
        basis: symbols from lifted ones, [T, 5, 5].
        free: 1 for channels that move, else 0, [1, 5, 1, 1].
        lmbda, steps: as in `align`.
        prices: of innovations, and of what they are more than those around.
    """
    motion = _mapped(torch.linalg.inv(basis), motion)
    before, curvature = motion, torch.empty(0)
    for step in range(steps):
        before, motion = motion, motion + MOMENTUM * (motion - before)
        slope, curvature = (x / lmbda for x in terms(_mapped(basis, motion), step < steps * COARSE))
        rate_slope, rate_curvature = _rate_terms(motion, start, prices)
        diagonal = torch.diag_embed((rate_curvature + DAMPING).permute(0, 2, 3, 1))
        slope = _mapped(basis.mT, slope)
        downhill = (-(slope + rate_slope) * free).permute(0, 2, 3, 1)
        hessian = basis.mT[:, None, None] @ _matrices(curvature) @ basis[:, None, None]
        move = torch.linalg.solve_ex(hessian + diagonal, downhill[..., None])[0][..., 0]
        move = move.permute(0, 3, 1, 2) * free
        motion = motion + move.clamp(-LONGEST_STEP, LONGEST_STEP)
    check_finite(motion)
    stiffness = ROUNDING_SHARE * curvature[:, OWN] / 2 + LEAST_STIFFNESS
    return _mapped(basis, motion), stiffness


def _steady(model: SpatialModel, place: Place, like: Tensor) -> Tensor:
    """What the prior begins with, [1, 5, h, w]."""
    start = torch.zeros_like(like[:1])
    if place.motion is not None:
        start[:, HALF] = model.dynamics_prior.half_of(place.motion).to(start)
    return start


def _basis(model: SpatialModel, place: Place, quality: int) -> Tensor:
    """Symbols of a GOP's frames from lifted ones, without rounding: [T, 5, 5]."""
    num_frames = place.num_frames
    basis = torch.eye(SIDE_CHANNELS).repeat(num_frames, 1, 1)
    prior = model.dynamics_prior
    if prior.kinematic:
        slopes = place.slopes().float() / num_frames
        ratio = prior.ratio[quality] / RATIO_ONE
        for mean, half, one in zip(range(5)[MEAN], range(5)[HALF], ratio, strict=True):
            basis[:, mean, half] = slopes * one
    return basis


def _mapped(basis: Tensor, symbols: Tensor) -> Tensor:
    """A matrix a frame, [T, 5, 5], times its vectors [T, 5, h, w]."""
    return torch.einsum("tij,tjhw->tihw", basis, symbols)


def _mean_alone(unit: Tensor) -> Tensor:
    free = torch.zeros_like(unit)
    free[:, :2] = 1
    return free


def _halved(luma: Tensor) -> Tensor:
    """Means of 2×2 pixels from every place: what `sample` takes for a picture of half the size."""
    return F.avg_pool2d(F.pad(luma, (0, 1, 0, 1), mode="replicate"), 2, stride=1)


def _error_terms(
    luma: Tensor, planes: tuple[Tensor, ...], dense: Motion, unit: Tensor, shrink: int
) -> tuple[Tensor, Tensor]:
    """Gradient [N, 5, h, w] of squared error by symbols, and upper Hessian [N, 15, h, w].

    Args:
        luma: of frames, [N, 1, H/shrink, W/shrink].
        planes: the luma of both, twice that size, [1, 1, …].
        dense: motion.
        unit: steps of the symbols.
        shrink: how much smaller pictures are than frames, 1 or 2: the error is that of means then.
    """
    pixels = 8 // shrink
    one, of_one = _sample_and_slope(planes[0], _fine(dense.to_previous, pixels) / shrink)
    other, of_other = one, of_one
    if dense.to_current is not dense.to_previous or planes[1] is not planes[0]:
        other, of_other = _sample_and_slope(planes[1], _fine(dense.to_current, pixels) / shrink)
    weight = torch.sigmoid(_fine(dense.logit, pixels))
    difference = one - other
    error = luma - other - weight * difference
    by_one, by_other = weight * of_one / shrink, (1 - weight) * of_other / shrink
    effects = (by_one, by_other, weight * (1 - weight) * difference)
    first, second, third = (_gathered(error * effect, 4 // shrink) for effect in effects)
    slope = torch.cat([first + second, first - second, third], 1)
    stride = 2 // shrink  # needs no more
    first, second, third = (effect[:, :, ::stride, ::stride] for effect in effects)
    few = torch.cat([first + second, first - second, third], 1)
    products = torch.cat([few[:, i : i + 1] * few[:, i:] for i in range(SIDE_CHANNELS)], 1)
    upper = _under_tents(BLOCK**2 * F.avg_pool2d(products, BLOCK // 2))
    scale = torch.stack([unit[:, i] * unit[:, j] for i, j in PAIRS], 1)
    return -2 * slope * unit, 2 * upper * scale


def _fine(x: Tensor, scale: int) -> Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def _gathered(x: Tensor, cell: int) -> Tensor:
    """Sums under each vector's tent of interpolation, its adjoint: [N, C, H/16, W/16].

    Cells of 4×4 pixels are summed first: a tent is as good as flat across them.

    Args:
        x: of frames or smaller pictures.
        cell: samples of x to a side of such a cell.
    """
    cells = 16 * F.avg_pool2d(x, cell)
    height, width = (side // (BLOCK // 4) for side in cells.shape[2:])
    vectors = x.new_zeros(*x.shape[:2], height, width, requires_grad=True)
    with torch.enable_grad():
        (gathered,) = torch.autograd.grad(_fine(vectors, BLOCK // 4), vectors, cells)
    return gathered


def _sample_and_slope(plane: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """A plane moved by dense motion, [N, 1, H, W], and its derivatives, [N, 2, H, W].

    Args:
        plane: of twice the size, [1, 1, 2H, 2W].
        flow: [N, 2, H, W].
    """
    flow = flow.detach().requires_grad_()
    with torch.enable_grad():
        moved = sample(plane.expand(len(flow), -1, -1, -1), flow, 2)
        (slope,) = torch.autograd.grad(moved.sum(), flow)
    return moved.detach(), slope


def _under_tents(x: Tensor) -> Tensor:
    """About the same of sums over blocks: a tent is two blocks wide."""
    taps = torch.tensor([1, 6, 1], dtype=x.dtype, device=x.device) / 8
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])


def _matrices(upper: Tensor) -> Tensor:
    """[N, 15, h, w] → symmetric [N, h, w, 5, 5]."""
    order = torch.empty(SIDE_CHANNELS, SIDE_CHANNELS, dtype=torch.long)
    for k, (i, j) in enumerate(PAIRS):
        order[i, j] = order[j, i] = k
    return upper.permute(0, 2, 3, 1)[..., order.to(upper.device)]


def _rate_terms(
    symbols: Tensor, start: Tensor, prices: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Gradient and upper diagonal Hessian of the price of symbols [T, 5, h, w], in bits.

    Args:
        start: what the first are compared to, [1, 5, h, w].
        prices: as in `_descend`.
    """
    innovation = torch.diff(symbols, dim=0, prepend=start)
    local = innovation - smooth(innovation)
    weight, weight_local = (
        price / 2 / torch.sqrt(x.square() + EPSILON)
        for price, x in zip(prices, (innovation, local), strict=True)
    )
    pull = weight_local * local
    slope = weight * innovation + pull - smooth(pull)
    curvature = 2 * (weight + weight_local)
    slope = slope - F.pad(slope[1:], (0, 0, 0, 0, 0, 0, 0, 1))
    return slope, curvature + F.pad(curvature[1:], (0, 0, 0, 0, 0, 0, 0, 1))
