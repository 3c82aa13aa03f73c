"""What a damaged stream lacks, made up from what is left: `decode --conceal`.

    GOPs with holes ─ neighbour's content, prior's dynamics ─► whole GOPs ─► decoder

Made-up symbols are coded like any others, so a decoder sees a stream without damage, and records
that are intact are passed on as they are: their frames have the pixels they always had.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

import numpy as np

from bitstream import (
    BitstreamError,
    Gop,
    HoledGop,
    MalformedError,
    Salvage,
    Segment,
    SymbolDecoder,
    SymbolEncoder,
)
from bitstream.limits import MAX_PREDICTED, TICKS_PER_SECOND
from bitstream.seek import walk, without_dynamics
from dsaecodec.codec.symbols import Coder
from dsaecodec.codec.threads import limited_threads
from dsaecodec.generation import fill_frames
from dsaecodec.latents import Content, LatentCodec, Symbols
from dsaecodec.spatial.kinematics import HALF, MEAN
from dsaecodec.spatial.model import SIDE_CHANNELS

LEANING = 4.0  # logit of a frame that lies at one of its two contents
_TRIED = 8  # qualities that a lost content record may have had


@dataclass(frozen=True)
class Mended:
    """A GOP to decode in a damaged one's place.

    Attributes:
        gop: whole.
        first_frame: counted from the stream's first.
        estimated: frames of the GOP that are not what was encoded, as far as known.
    """

    gop: Gop
    first_frame: int
    estimated: tuple[range, ...]


class MendedReader:
    """The whole GOPs of a damaged stream, in the place of a `StreamReader`.

    Args:
        left: what is left of the stream.
        latents: of the stream.

    Attributes:
        next_frame: as of `StreamReader`.
        estimated: frames of the last GOP that are not what was encoded, counted in it.
    """

    def __init__(self, left: Salvage, latents: LatentCodec) -> None:
        self._gops, self._header, self._latents = left.gops, left.header, latents
        self.next_frame = 0
        self.estimated: tuple[range, ...] = ()
        self._mended = self._mend()
        self._ready: list[Mended] = []
        self._predicted = 0  # contents in a row up to here
        # GOPs that those to come may need
        self._referred: deque[Gop] = deque(maxlen=latents.loaded.reach)

    def __iter__(self) -> Iterator[Gop]:
        while (mended := self._next()) is not None:
            self.next_frame = mended.first_frame + mended.gop.num_frames
            self.estimated = mended.estimated
            yield mended.gop

    def seek(self, time: Fraction, *, back: int = 1) -> list[Gop]:
        """As of `StreamReader`; GOPs before are mended too."""
        if time < 0:
            raise ValueError(f"time {float(time):.3f} s, expected 0 or more")
        passed: list[Mended] = []

        def next_gop() -> Gop | None:
            mended = self._next()
            passed[:-2] = []
            if mended is None:
                return None
            passed.append(mended)
            return mended.gop

        ticks = floor(time * TICKS_PER_SECOND)
        landing = walk(next_gop, self._header.fps, ticks, back=back)
        self._ready = passed[-len(landing.gops) :]
        return landing.earlier

    def _next(self) -> Mended | None:
        return self._ready.pop(0) if self._ready else next(self._mended, None)

    def _mend(self) -> Iterator[Mended]:
        first_frame, hurt_before = 0, False
        for place, holed in enumerate(self._gops):
            self._drop_unreadable(holed)
            hurt = holed.content is None
            mended = self._with_content(place)
            gaps = mended.gaps
            gop = self._with_dynamics(mended)
            if not gop.refs_previous:
                self._referred.clear()
            self._referred.append(without_dynamics(gop))
            predicted = self._content(mended).predicted
            self._predicted = self._predicted + 1 if predicted else 0
            leans = gop.refs_previous and hurt_before
            lost = (range(gop.num_frames),) if hurt or leans else tuple(gaps)
            hurt_before = hurt or (leans and predicted)
            yield Mended(gop, first_frame, lost)
            first_frame += gop.num_frames

    def _content(self, holed: HoledGop) -> Content:
        """Symbols of a content that there is."""
        assert holed.content is not None and holed.quality is not None
        refs = bool(holed.refs_previous)
        return self._latents.content(
            Gop(holed.quality, refs, 1, holed.content, (Segment(0, 1, b""),))
        )

    def _drop_unreadable(self, holed: HoledGop) -> None:
        """Take coder bytes that no encoder makes for lost."""
        if holed.content is None or holed.quality is None:
            return
        try:
            content = self._content(holed)
        except BitstreamError:
            holed.content = None
            return
        legal = holed.refs_previous and self._predicted < MAX_PREDICTED
        if content.predicted and not legal:  # what was between it and its source is lost
            holed.content = None
            return
        holed.segments = [s for s in holed.segments if self._reads(holed, s) is not None]

    def _reads(self, holed: HoledGop, segment: Segment) -> Symbols | None:
        """Symbols of a segment under a GOP's quality and reference, None if it has none."""
        assert holed.quality is not None
        decoder = SymbolDecoder(segment.payload, self._latents.loaded.tables)
        try:
            with limited_threads(self._latents.threads):
                frames = [None] * segment.num_frames
                z = self._through(decoder, holed, segment.first, frames)
            decoder.finish()
        except BitstreamError:
            return None
        return z

    def _through(
        self, coder: Coder, holed: HoledGop, first: int, frames: Sequence[Symbols | None]
    ) -> Symbols:
        """Dynamics of consecutive frames of a GOP through a coder."""
        assert holed.quality is not None
        setting = (coder, holed.quality, bool(holed.refs_previous), frames)
        motion = None if holed.content is None else self._content(holed).f_motion
        return self._latents.code_dynamics(
            *setting, first=first, num_frames=holed.num_frames, f_motion=motion
        )

    def _with_content(self, place: int) -> HoledGop:
        """A GOP that has a content: its own, or that of the one before, or else behind."""
        holed = self._gops[place]
        if holed.content is not None:
            return holed
        givers = list(self._referred) or self._standing_behind(place)
        if not givers:
            raise MalformedError(
                "stream: no content record that needs no other is intact: there is nothing to show "
                "frames from"
            )
        quality = self._guess_setting(holed, givers[-1].quality, place)
        holed.content = self._latents.standing_content(givers, quality)
        return holed

    def _standing_behind(self, place: int) -> list[Gop]:
        """The next GOP, if any, whose content is intact and needs no other."""
        for holed in self._gops[place + 1 :]:
            self._drop_unreadable(holed)
            if holed.content is not None and not self._content(holed).predicted:
                assert holed.quality is not None
                return [Gop(holed.quality, False, 1, holed.content, (Segment(0, 1, b""),))]
        return []

    def _guess_setting(self, holed: HoledGop, likely: int, place: int) -> int:
        """Find under which quality and reference the dynamics of a GOP without content read.

        They are given up if under none; so they are where the content that is lost was predicted,
        as they begin where its motion says.

        Args:
            holed: the GOP, whose quality and reference are set.
            likely: quality to try first.
            place: of the GOP.
        """
        near = [gop.quality for gop in self._gops[max(place - 4, 0) : place + 5]]
        qualities = dict.fromkeys(q for q in (likely, *near) if q is not None)
        choices = (True, False) if place and not self._latents.loaded.is_vector else (False,)
        for quality in list(qualities)[:_TRIED]:
            for refs in choices:
                holed.quality, holed.refs_previous = quality, refs
                if holed.segments and all(
                    self._reads(holed, s) is not None for s in holed.segments
                ):
                    return quality
        holed.quality, holed.refs_previous, holed.segments = likely, False, []
        return likely

    def _with_dynamics(self, holed: HoledGop) -> Gop:
        """A GOP whose gaps are filled with segments of their own."""
        assert holed.content is not None and holed.quality is not None
        gaps = holed.gaps
        if gaps and self._latents.begins_with_content and holed.num_frames != len(gaps[0]):
            holed.segments, gaps = [], [range(holed.num_frames)]
        segments = list(holed.segments)
        if gaps:
            z = np.zeros((holed.num_frames, *self._latents.z_shape), np.int32)
            for segment in holed.segments:
                symbols = self._reads(holed, segment)
                assert symbols is not None
                z[segment.first : segment.first + segment.num_frames] = symbols
            for gap in gaps:
                filled = self._filled(holed, z, gap)
                z[gap.start : gap.stop] = filled
                coder = SymbolEncoder(self._latents.loaded.tables)
                with limited_threads(self._latents.threads):
                    self._through(coder, holed, gap.start, list(filled))
                segments.append(Segment(gap.start, len(gap), coder.finish()))
        segments.sort(key=lambda segment: segment.first)
        return replace(holed, segments=segments).whole()

    def _filled(self, holed: HoledGop, z: Symbols, gap: range) -> Symbols:
        """Symbols of a gap."""
        assert holed.quality is not None and holed.content is not None
        before = [s for s in holed.segments if s.first + s.num_frames == gap.start]
        behind = [s for s in holed.segments if s.first == gap.stop]
        if not self._latents.loaded.is_vector:
            return self._between(holed, z, gap)
        # from the restart before the gap to the end of the segment behind it
        start = before[0].first if before else gap.start
        stop = behind[0].first + behind[0].num_frames if behind else gap.stop
        inner = range(gap.start - start, gap.stop - start)
        frames = Gop(holed.quality, False, stop - start, b"", (Segment(0, stop - start, b""),))
        filled = fill_frames(self._latents, frames, z[start:stop], inner)
        return filled[inner.start : inner.stop]

    def _between(self, holed: HoledGop, z: Symbols, gap: range) -> Symbols:
        """Motion on a straight line between what is known on both sides, without residual.

        At the ends of a GOP between two contents the motion is known: none against the content that
        was taken there.
        """
        before = z[gap.start - 1] if gap.start else None
        behind = z[gap.stop] if gap.stop < holed.num_frames else None
        ends = self._ends(holed, before if before is not None else behind)
        left = ends[0] if before is None else before
        right = ends[1] if behind is None else behind
        last = len(gap) + (1 if behind is not None else 0)
        steps = []
        for t in range(1, len(gap) + 1):
            blend = (2 * ((last - t) * left + t * right) + last) // (2 * last)
            steps.append(blend)
        filled = np.stack(steps).astype(np.int32)
        filled[:, SIDE_CHANNELS:] = 0
        return filled

    def _ends(self, holed: HoledGop, near: Symbols | None) -> tuple[Symbols, Symbols]:
        """What z is before a GOP's first frame and at its last, given a frame near."""
        if near is None:
            near = np.zeros(self._latents.z_shape, np.int32)
            content = self._content(holed)
            if content.predicted:
                near[HALF] = self._latents.half_motion(content.f_motion)
        if not holed.refs_previous:
            return near, near
        assert holed.quality is not None
        steps = self._latents.z_steps(holed.quality)
        half = near[HALF] * steps[HALF]  # half the way from one content to the other
        ends = []
        for sign in (-1, 1):
            end = near.copy()
            end[MEAN] = np.floor(sign * half / steps[MEAN] + 0.5)
            end[4] = np.floor(-sign * LEANING / steps[4] + 0.5)
            ends.append(end)
        return ends[0], ends[1]
