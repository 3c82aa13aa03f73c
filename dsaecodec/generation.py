"""New streams from old ones: contents exchanged, latents drawn from the priors, gaps filled.

What the prior says of a symbol is a table of integer frequencies, and so is what is drawn from it:
one seed makes one file, on every machine that has the same version of NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

import bitstream
from bitstream import Colour, FrequencyTables, Gop, Header, Segment, SymbolEncoder
from bitstream.limits import MAX_GOP_FRAMES, TICKS_PER_SECOND
from dsaecodec.clip import Clip
from dsaecodec.clip_gop import ClipGop
from dsaecodec.codec.symbols import SYMBOL_LIMIT
from dsaecodec.codec.threads import limited_threads
from dsaecodec.errors import UsageError
from dsaecodec.latents import Content, LatentCodec, Symbols, open_latents
from dsaecodec.model_store import (
    describe_model,
    find_model,
    identity_of,
    list_models,
    read_model_file,
)

CANDIDATES = 64
"""Ways to fill a gap that are tried."""

DEFAULT_FPS = 25
_NO_SCENES = "knows textures and no scenes: no content can be drawn from it"
_GIVE_CONTENT = "--content A.dsz gives it one; models of the vector family draw their own"


class Drawer:
    """A coder that is asked for symbols and draws them from the prior's distributions.

    Args:
        tables: of the model.
        generator: None to take the likeliest symbol of each.

    Attributes:
        bits: code length of the symbols that were given to it.
    """

    def __init__(self, tables: FrequencyTables, generator: np.random.Generator | None) -> None:
        self._tables, self._generator = tables, generator
        self.bits = 0.0

    def code(self, table_index: NDArray[np.uint16], symbols: Symbols | None) -> Symbols:
        """Return the symbols, or draw some; none is an escape."""
        if symbols is not None:
            self.bits += float(self._tables.cost_bits(table_index, symbols).sum())
            return symbols
        drawn = np.array([self._draw(int(table)) for table in table_index.ravel()], np.int32)
        return drawn.reshape(table_index.shape)

    def _draw(self, table: int) -> int:
        inside = self._tables.table(table)[:-1]
        half_width = len(inside) // 2
        if self._generator is None:
            return int(inside.argmax()) - half_width
        at = self._generator.integers(int(inside.sum()))
        return int(np.searchsorted(inside.cumsum(), at, side="right")) - half_width


def swap(content: Clip, dynamics: Clip) -> bytes:
    """A stream of one clip's content and another one's dynamics, times and sound.

    GOPs are paired by their order; the content's begin again where there are too few. Contents that
    are predicted are inferred anew from their pictures, so that each stands alone; all others keep
    their coder bytes where both clips have one quality, and dynamics where their own content was
    such a one.

    Raises:
        UsageError: the clips differ in size, colour or model.
    """
    for name in ("width", "height", "model", "colour"):
        ours, other = (getattr(clip.header, name) for clip in (content, dynamics))
        if ours != other:
            ours, other = (x.hex() if isinstance(x, bytes) else x for x in (ours, other))
            raise UsageError(f"{name} of the content {ours}, of the dynamics {other}: expected one")
    gops = []
    for place, moving in enumerate(dynamics.gops):
        still = content.with_referred(place % len(content.gops))
        coded = content.latents.standing_content([gop.coded for gop in still], moving.quality)
        gop = replace(moving.coded, content=coded)
        if moving.predicted:  # its dynamics begin where its content's motion says
            segments = dynamics.latents.pack_dynamics(gop, _codable(moving.z_symbols))
            gop = replace(gop, segments=segments)
        gops.append(gop)
    return bitstream.join(dynamics.header, gops)


def sample(
    *,
    content: Clip | None = None,
    dynamics: Clip | None = None,
    num_frames: int | None = None,
    seed: int = 0,
    model: str | None = None,
    quality: int = 50,
) -> bytes:
    """A stream whose latents are drawn from the priors, but for those that are given.

    Args:
        content: a clip whose (first) content to use; None draws one.
        dynamics: a clip whose dynamics to use; None draws them.
        num_frames: of drawn dynamics; None: as many as `content` has, or 32.
        seed: another one draws another clip.
        model: name or path, where no clip is given; None for the first of the vector family.
        quality: where no clip is given: how finely latents are quantized.

    Raises:
        UsageError: content is to be drawn from a model that knows no whole pictures; an argument
            that what is given decides.
        ModelError: there is no such model.
    """
    generator = np.random.default_rng(seed)
    given = dynamics or content
    if dynamics is not None and num_frames is not None:
        raise UsageError("the dynamics that are given have their own number of frames")
    if given is not None and model is not None:
        raise UsageError(f"model {model}: a clip that is given has its own")
    if given is None:
        header = _header_of(model)
        latents = open_latents(header, model=model)
    else:
        header, quality, latents = given.header, given.gops[0].quality, given.latents
    if content is not None and dynamics is not None:
        return swap(content, dynamics)
    if content is None and not latents.loaded.is_vector:
        raise UsageError(f"the clips' model {_NO_SCENES}", hint=_GIVE_CONTENT)
    drawer = Drawer(latents.loaded.tables, generator)
    if content is not None:
        coded = content.gops[0].coded.content
        count = num_frames or content.num_frames
    else:
        with limited_threads(None):
            drawn = latents.code_content(drawer, quality, None)
        if dynamics is not None:
            still = _still(latents, drawn, quality)
            gops = [
                replace(gop.coded, content=latents.standing_content([still], gop.quality))
                for gop in dynamics.gops
            ]
            return bitstream.join(header, gops)
        coded = latents.encode_content(drawn, quality)
        count = num_frames or 32
    with limited_threads(None):
        z = latents.code_dynamics(drawer, quality, False, [None] * count)
    return bitstream.join(replace(header, sound=None), _gops(latents, quality, coded, z))


def predict(clip: Clip, num_frames: int, *, seed: int | None = None) -> bytes:
    """A stream that goes on where a clip ends.

    Args:
        clip: whose last GOP's dynamics are continued, with its content.
        num_frames: how many frames to add.
        seed: draws a continuation; None takes the likeliest symbol each time.

    Raises:
        UsageError: more frames than a GOP that refers to the one before can hold.
    """
    last = clip.gops[-1]
    if last.refs_previous and last.num_frames + num_frames > MAX_GOP_FRAMES:
        most = MAX_GOP_FRAMES - last.num_frames
        raise UsageError(f"{num_frames} frames to predict: at most {most} fit into the last GOP")
    latents = clip.latents
    known = last.coded.segments[-1]
    z = _codable(last.z_symbols)[known.first :]
    generator = None if seed is None else np.random.default_rng(seed)
    drawer = Drawer(latents.loaded.tables, generator)
    with limited_threads(None):
        longer = latents.code_dynamics(
            drawer,
            last.quality,
            last.refs_previous,
            [*z, *[None] * num_frames],
            first=known.first,
            num_frames=last.num_frames,
            f_motion=last.f_motion_symbols,
        )
    whole = np.concatenate([last.z_symbols[: known.first], longer])
    coded = _gops(latents, last.quality, last.coded.content, whole, last)
    coded[0] = replace(coded[0], sound=last.coded.sound)
    before = [gop.coded for gop in clip.gops[:-1]]
    return bitstream.join(clip.header, _timed([*before, *coded], clip))


def fill(clip: Clip, missing: range, *, seed: int = 0) -> bytes:
    """A stream in which the dynamics of some frames are guessed from those around them.

    Continuations of what comes before are drawn from the prior; the one under which what comes
    after has the shortest code is taken. Nothing after the gap: the likeliest continuation.

    Args:
        clip: of which the frames' dynamics are not looked at.
        missing: frames, counted from the clip's first; of one GOP, and not all of it.
        seed: of the drawing.

    Raises:
        UsageError: no such frames, or of several GOPs.
    """
    place = next(
        (
            i
            for i, gop in enumerate(clip.gops)
            if gop.first_frame <= missing.start and missing.stop <= gop.first_frame + gop.num_frames
        ),
        None,
    )
    if place is None or not missing or len(missing) == clip.gops[place].num_frames:
        raise UsageError(
            f"frames {missing.start}-{missing.stop - 1}: expected some, not all, frames of one GOP"
        )
    gop = clip.gops[place]
    start = missing.start - gop.first_frame
    gap = range(start, start + len(missing))
    latents = clip.latents
    symbols = _codable(gop.z_symbols)
    z = fill_frames(latents, gop.coded, symbols, gap, seed, f_motion=gop.f_motion_symbols)
    segments = latents.pack_dynamics(gop.coded, z)
    gops = [other.coded for other in clip.gops]
    gops[place] = replace(gop.coded, segments=segments)
    return bitstream.join(clip.header, gops)


def fill_frames(
    latents: LatentCodec,
    gop: Gop,
    z: Symbols,
    gap: range,
    seed: int = 0,
    *,
    f_motion: Symbols | None = None,
) -> Symbols:
    """Dynamics [T, …] of a GOP with those of a gap guessed, see `fill`.

    Args:
        latents: of the stream.
        gop: whose quality and reference the prior needs.
        z: symbols; those in the gap are not looked at.
        gap: frames of the GOP.
        seed: of the drawing.
        f_motion: of the GOP's content.
    """
    frames = [None if t in gap else z[t] for t in range(len(z))]
    drawers = [Drawer(latents.loaded.tables, None)]
    if gap.stop < len(z):
        seeds = ([seed, number] for number in range(1, CANDIDATES))
        tables = latents.loaded.tables
        drawers += [Drawer(tables, np.random.default_rng(numbers)) for numbers in seeds]
    with limited_threads(None):
        setting = (drawers, gop.quality, gop.refs_previous, frames)
        filled = latents.continue_dynamics(*setting, f_motion=f_motion)
    return min(zip(drawers, filled, strict=True), key=lambda pair: pair[0].bits)[1]


def _codable(z: Symbols) -> Symbols:
    """Symbols that can be coded again as they are.

    Raises:
        UsageError: some cannot; no encoder writes them.
    """
    if np.abs(z.astype(np.int64)).max(initial=0) > SYMBOL_LIMIT:
        raise UsageError(f"the dynamics have symbols beyond {SYMBOL_LIMIT}: no encoder wrote them")
    return z


def _still(latents: LatentCodec, content: Content, quality: int) -> Gop:
    """A GOP that is of use for its content alone."""
    return Gop(quality, False, 1, latents.encode_content(content, quality), (Segment(0, 1, b""),))


def _header_of(model: str | None) -> Header:
    """Header of a stream of a vector model."""
    if model is None:
        paths = [entry.path for entry in list_models() if entry.side and entry.usable]
        if not paths:
            raise UsageError("no model of the vector family is here", hint="--model PATH")
        path = paths[0]
    else:
        path = find_model(model)
    side = describe_model(path).side
    if not side:
        raise UsageError(f"model {path.stem} {_NO_SCENES}", hint=_GIVE_CONTENT)
    identity = identity_of(read_model_file(path))
    return Header(identity, side, side, Fraction(DEFAULT_FPS), Colour(0, True))


def _gops(
    latents: LatentCodec, quality: int, content: bytes, z: Symbols, like: ClipGop | None = None
) -> list[Gop]:
    """GOPs of one content and frames z [T, …], as few as the format allows.

    Args:
        latents, quality, content, z: of all.
        like: the GOP that the first is made from; one that refers to another can be but one.

    Raises:
        UsageError: several, where each would begin as the content says.
    """
    if latents.begins_with_content and len(z) > MAX_GOP_FRAMES:
        raise UsageError(
            f"{len(z)} frames: at most {MAX_GOP_FRAMES} follow from one content of this model"
        )
    made = []
    for first in range(0, len(z), MAX_GOP_FRAMES):
        part = z[first : first + MAX_GOP_FRAMES]
        coder = SymbolEncoder(latents.loaded.tables)
        refs = like is not None and like.refs_previous
        motion = None if like is None else like.f_motion_symbols
        with limited_threads(None):
            latents.code_dynamics(coder, quality, refs, list(part), f_motion=motion)
        segment = Segment(0, len(part), coder.finish())
        made.append(Gop(quality, refs, len(part), content, (segment,)))
    return made


def _timed(gops: Sequence[Gop], clip: Clip) -> list[Gop]:
    """The GOPs with the clip's times; frames that are new follow evenly."""
    if all(gop.coded.times is None for gop in clip.gops):
        return list(gops)
    ticks = [0]
    for known_gop in clip.gops:
        ticks[-1:] = bitstream.frame_ticks(known_gop.coded, known_gop.first_frame, clip.fps)
    step = max(1, round(TICKS_PER_SECOND / clip.fps))
    more = range(1, sum(gop.num_frames for gop in gops) - clip.num_frames + 1)
    known = [*ticks, *(ticks[-1] + i * step for i in more)]
    timed, first = [], 0
    for gop in gops:
        times = tuple(known[first : first + gop.num_frames + 1])
        timed.append(replace(gop, times=times))
        first += gop.num_frames
    return timed
