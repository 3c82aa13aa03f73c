"""What a video is before its pictures are converted, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from bitstream.limits import MAX_ASPECT
from dsaecodec.video.decoding import Picture
from dsaecodec.video.demuxing import NOT_VIDEO_HINT
from dsaecodec.video.timing import Rate

_WIDEST = 100  # pixels are not a hundred times as wide as high, or the other way round


@dataclass(frozen=True)
class Source:
    """An open video.

    Attributes:
        name: what to call it in messages.
        pictures: to be iterated over once.
        rate: of the frames.
        timed: whether pictures have times of their own.
        rated: whether it states a rate.
        start: time of the first picture if that has none itself, seconds.
        num_frames: a hint.
        sample_aspect: width of a pixel over its height, before turning.
        parity: see `dsaecodec.video.interlace`.
        notes: sentences for the user.
        num_damaged: pictures skipped so far.
        problem: asked after the last picture: what is wrong with the source, if anything.
        hint: what to do where no picture can be read.
    """

    name: str
    pictures: Iterable[Picture]
    rate: Rate
    timed: bool = False
    rated: bool = True
    start: Fraction = Fraction(0)
    num_frames: int | None = None
    sample_aspect: Fraction = Fraction(1)
    parity: str = "auto"
    notes: list[str] = field(default_factory=list)
    num_damaged: Callable[[], int] = lambda: 0
    problem: Callable[[], str | None] = lambda: None
    hint: str = NOT_VIDEO_HINT


def sane_aspect(aspect: Fraction | None) -> Fraction:
    """A pixel's shape if it makes sense, 1 if not."""
    if not aspect or not Fraction(1, _WIDEST) <= aspect <= _WIDEST:
        return Fraction(1)
    if max(aspect.numerator, aspect.denominator) > MAX_ASPECT:
        return aspect.limit_denominator(MAX_ASPECT // _WIDEST)
    return aspect
