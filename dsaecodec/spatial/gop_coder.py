"""Symbols of one GOP through a coder: encoding and decoding share every line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from bitstream import Gop, MalformedError
from bitstream.limits import MAX_PREDICTED
from dsaecodec.codec.segments import SegmentEncoder
from dsaecodec.codec.symbols import SYMBOL_LIMIT, Coder, Wish, choose_symbols, pass_symbols
from dsaecodec.likelihood import MEAN_UNITS
from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.kinematics import AT_CONTENT, HALF, MEAN, Place
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion_prior import FINENESSES, FINEST
from dsaecodec.spatial.prior import Exchange

Before = TypeVar("Before")
ANY_OF_FOUR = 14  # scale index of an answer that may well be any
LIFTED_LIMIT = 8 * SYMBOL_LIMIT  # holds a mean and LARGEST_RATIO / RATIO_ONE halves


class Target(NamedTuple):
    """What an encoder wants to say, in symbol units.

    Attributes:
        values: latents divided by their steps, [N, C, h, w].
        stiffness: squared error that missing a value by one symbol costs, over λ, in bits;
            broadcast against `values`. Infinite: always the nearest symbol.
    """

    values: Tensor
    stiffness: Tensor

    def part(self, frames: slice) -> Target:
        """The target of some frames."""
        stiffness = self.stiffness if self.stiffness.shape[0] == 1 else self.stiffness[frames]
        return Target(self.values[frames], stiffness)

    def frame(self, t: int) -> Target:
        """The target of one frame."""
        return self.part(slice(t, t + 1))

    def at(self, rows: Tensor) -> Wish:
        """Values and stiffness [N, C, P] of some positions, float64."""
        parts = (x.expand_as(self.values).flatten(2)[:, :, rows].double() for x in self)
        return Wish(*parts)


class FrameTargets(Protocol):
    """Targets of consecutive frames, asked for in order."""

    def frame(self, t: int) -> Target | None:
        """The target of one frame, [1, C, h, w]; None asks the coder for its symbols."""
        ...


class LazyTargets:
    """Targets that come some frames at a time: z_t of a whole GOP is large.

    Args:
        parts: targets of consecutive frames.
    """

    def __init__(self, parts: Iterator[Target]) -> None:
        self._parts = parts
        self._first = self._last = 0
        self._part: Target | None = None

    def frame(self, t: int) -> Target:
        """The target of one frame."""
        while self._part is None or t >= self._last:
            self._part = next(self._parts)
            self._first, self._last = self._last, self._last + len(self._part.values)
        return self._part.frame(t - self._first)


def fixed(symbols: Tensor) -> Target:
    """A target that is coded as it is."""
    return Target(symbols, torch.full((1, 1, 1, 1), math.inf))


def fixed_content(content: ContentSymbols) -> ContentTargets:
    """Targets of a content that is coded as it is."""
    hyper, f, motion = map(fixed, content)
    return ContentTargets(hyper, f, motion if content.predicted else None)


def exchange_with(coder: Coder, target: Target | None) -> Exchange:
    """An exchange for the priors; without a target the coder is a decoder."""

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        return pass_symbols(coder, None if target is None else target.at(rows), mean, index)

    return exchange


def _exchange_lifted(coder: Coder, target: Target, ratio: Tensor, place: Place) -> Exchange:
    """The same for symbols of one frame that are coded lifted, of a target that is not."""

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        wish = target.at(rows)
        of_half = Wish(*(x[:, HALF] for x in wish))
        half = choose_symbols(of_half, mean[:, HALF], index[:, HALF])
        left = wish.values[:, MEAN].clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
        left = left - place.expected_mean(half, ratio)
        values = torch.cat([left, wish.values[:, MEAN.stop :]], 1)
        return pass_symbols(coder, wish._replace(values=values), mean, index, LIFTED_LIMIT)

    return exchange


class ContentTargets(NamedTuple):
    """What an encoder wants to say of a content; without motion it stands alone."""

    hyper: Target
    f: Target
    motion: Target | None = None


def code_content(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    targets: ContentTargets | None,
) -> ContentSymbols:
    """Code the content of one GOP: whether it is predicted, f_motion if it is, f_hyper and f.

    Args:
        model: whose priors are used.
        coder: encoder, decoder or counter.
        size: (h, w) of the grid of f.
        quality: 0…100.
        targets: None to decode.

    Raises:
        MalformedError: no encoder says what a decoder is given.
    """
    prior, motion = model.content_prior, torch.zeros(1, 0, *size, dtype=torch.float64)
    if prior.predicts:
        motion = _code_prediction(model, coder, size, quality, targets)
    predicted = motion.shape[1] > 0
    shape = (1, prior.hyper_channels, (size[0] + 1) // 2, (size[1] + 1) // 2)
    zeros = torch.zeros(shape, dtype=torch.float64)
    exchange = exchange_with(coder, targets and targets.hyper)
    hyper = prior.code_hyper(zeros, quality, exchange, predicted=predicted)
    exchange = exchange_with(coder, targets and targets.f)
    f = prior.code(hyper, size, quality, exchange, predicted=predicted)
    return ContentSymbols(hyper, f, motion)


def count_predicted(content: ContentSymbols, before: int) -> int:
    """How many contents in a row are predicted, up to one, given how many are before it.

    Raises:
        MalformedError: more than the format allows.
    """
    count = before + 1 if content.predicted else 0
    if count > MAX_PREDICTED:
        raise MalformedError(
            f"content: {count} in a row are predicted, expected at most {MAX_PREDICTED}"
        )
    return count


def source_of(content: ContentSymbols, gop: Gop, before: Before | None) -> Before | None:
    """What a content is predicted from: something of the GOP before, or nothing.

    Raises:
        MalformedError: there is no such GOP.
    """
    if not content.predicted:
        return None
    if before is None or not gop.refs_previous:
        raise MalformedError("content: predicted from the GOP before, which it does not refer to")
    return before


def _code_prediction(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    targets: ContentTargets | None,
) -> Tensor:
    """Code whether a content is predicted and, if so, how finely, and f_motion.

    Returns:
        f_motion, [1, 2, h, w], or [1, 0, h, w] of a content that stands alone.
    """
    answer = target = None
    if targets is not None:
        answer, target = 0, targets.motion
        if target is not None:
            fineness, values = model.spoken_motion(target.values)
            answer, target = 1 + fineness, target._replace(values=values)
    last = 1 if model.motion_prior is None else len(FINENESSES)
    answer = _code_answer(coder, last, answer)
    if answer == 0:
        return torch.zeros(1, 0, *size, dtype=torch.float64)
    motion = code_motion(model, coder, size, quality, target, answer - 1)
    said, _ = model.spoken_motion(motion)
    if said != answer - 1:
        raise MalformedError(f"content: f_motion of fineness {said}, expected {answer - 1} as said")
    return motion


def _code_answer(coder: Coder, last: int, answer: int | None) -> int:
    """Code one of 0…last, 1 or 3, for one to three bits; None asks the coder for it."""
    mean, index = torch.tensor([last * MEAN_UNITS / 2], dtype=torch.float64), torch.zeros(1)
    if last > 1:
        index += ANY_OF_FOUR
    wish = None if answer is None else Wish(torch.tensor([float(answer)]), torch.tensor([math.inf]))
    said = float(pass_symbols(coder, wish, mean, index))
    if said not in range(last + 1):
        raise MalformedError(
            f"content: how it is predicted: found {said:.0f}, expected 0 to {last}"
        )
    return int(said)


def code_motion(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    target: Target | None,
    fineness: int = FINEST,
) -> Tensor:
    """Code f_motion.

    Args:
        model, coder, size, quality: as in `code_content`.
        target: in steps of the fineness; None to decode.
        fineness: see `motion_prior.FINENESSES`; older models have one, and code half the motion of
            a frame that lies at the content.

    Returns:
        f_motion, [1, 2, h, w], in the finest steps.
    """
    prior, of_half = model.dynamics_prior, exchange_with(coder, target)
    if model.motion_prior is not None:
        like = torch.zeros(1, 2, *size, dtype=torch.float64)
        motion = model.motion_prior.code(like, quality, fineness, of_half)
        largest = float(motion.abs().max())
        if largest > SYMBOL_LIMIT:
            raise MalformedError(
                f"content: f_motion: found {largest:.0f}, expected at most {SYMBOL_LIMIT}"
            )
        return motion * 2 ** (FINEST - fineness)

    def exchange(mean: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        return prior.only_half(mean, of_half(mean[:, HALF], index[:, HALF], rows))

    return prior.code(prior.init_state(1, size), quality, AT_CONTENT, exchange)[:, HALF]


def code_dynamics(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    place: Place,
    targets: FrameTargets | None,
    *,
    remember: bool = True,
    restart: int | None = None,
) -> Tensor:
    """Code z_t of consecutive frames from a restart of the prior.

    Args:
        model, coder, size, quality: as in `code_content`.
        place: of the frames in their GOP.
        targets: of the frames, or None to decode.
        remember: False holds the prior's state where a GOP begins, to measure what recurrence
            saves.
        restart: frames after which the prior begins anew, None for never.

    Returns:
        z symbols [T, C, h, w], int32.
    """
    setting = (model, coder, size, quality, place, targets)
    return torch.cat(list(iter_dynamics(*setting, remember=remember, restart=restart)))


def iter_dynamics(
    model: SpatialModel,
    coder: Coder,
    size: tuple[int, int],
    quality: int,
    place: Place,
    targets: FrameTargets | None,
    *,
    remember: bool = True,
    restart: int | None = None,
) -> Iterator[Tensor]:
    """The same one frame after the other, [1, C, h, w] each."""
    prior = model.dynamics_prior
    start = state = prior.init_state(1, size, motion=place.motion)
    count = len(place.frames)
    for t in range(count):
        if t % (restart or count) == 0:
            state = start
            if isinstance(coder, SegmentEncoder):
                coder.restart()
        here = place.frame(t)
        target = None if targets is None else targets.frame(t)
        if prior.kinematic and target is not None:
            exchange = _exchange_lifted(coder, target, prior.ratio[quality], here)
        else:
            exchange = exchange_with(coder, target)
        z, state = prior.step(state if remember else start, quality, here, exchange)
        yield prior.unlifted(z, quality, here).to(torch.int32)
