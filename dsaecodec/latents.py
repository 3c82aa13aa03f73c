"""The latents of a stream's GOPs as arrays, both ways, and the pictures they make.

    coder bytes ─ content, dynamics ─► symbols, bits ─ × steps ─► f_hat, z_hat ─ frame ─► RGB
    coder bytes ◄── pack_content, pack_dynamics ── symbols

The last few GOPs are kept, so that memory does not follow the length of a clip.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bitstream import FrequencyTables, Gop, Header, Segment, SymbolDecoder, SymbolEncoder
from dsaecodec.codec.family import check_header
from dsaecodec.codec.symbols import SYMBOL_LIMIT, Coder
from dsaecodec.codec.threads import limited_threads
from dsaecodec.model_io import LoadedModel, load_model

KEPT = 2  # a GOP and the one whose content it refers to

Symbols = NDArray[np.int32]
Bits = NDArray[np.float64]
Floats = NDArray[np.float32]
Shape = tuple[int, ...]


class Content(NamedTuple):
    """Symbols of the content of one GOP.

    Attributes:
        f, f_hyper: in the shapes of `LatentCodec.f_shapes`.
        f_motion: motion to the content before where f is what that one lacks, moved by it;
            without an element where the content stands alone.
    """

    f: Symbols
    f_hyper: Symbols
    f_motion: Symbols

    @property
    def predicted(self) -> bool:
        """Whether the content needs the one before."""
        return self.f_motion.size > 0


class ContentBits(NamedTuple):
    """What each symbol of a content costs. What says how it is predicted is in none."""

    f: Bits
    f_hyper: Bits
    f_motion: Bits


class Dynamics(NamedTuple):
    """Dynamics of one GOP, all segments: symbols, and the bits of each."""

    z: Symbols  # [T, …]
    z_bits: Bits


class LatentCodec(ABC):
    """Reads and writes the latents of one stream's GOPs.

    Args:
        loaded: the stream's model.
        header: of the stream.
        threads: CPU threads, None for all.
    """

    def __init__(self, loaded: LoadedModel, header: Header, threads: int | None) -> None:
        self.loaded, self.header, self.threads = loaded, header, threads
        self._read_content = lru_cache(KEPT)(self._content)
        self.dynamics: Callable[[Gop], Dynamics] = lru_cache(KEPT)(self._dynamics)

    def content(self, gop: Gop) -> Content:
        """Symbols of a GOP's content."""
        return self._read_content(gop)[0]

    def content_bits(self, gop: Gop) -> ContentBits:
        """What they cost."""
        return self._read_content(gop)[1]

    @property
    @abstractmethod
    def f_shapes(self) -> tuple[Shape, Shape]:
        """Shapes of f and f_hyper."""

    @property
    @abstractmethod
    def z_shape(self) -> Shape:
        """Shape of z_t."""

    @property
    def begins_with_content(self) -> bool:
        """Whether a GOP's first frame is what its content says, wherever the clip was before."""
        return False

    @abstractmethod
    def code_content(self, coder: Coder, quality: int, symbols: Content | None) -> Content:
        """A content through a coder, which is asked for it where it is not given."""

    @abstractmethod
    def code_dynamics(
        self,
        coder: Coder,
        quality: int,
        refs_previous: bool,
        frames: Sequence[Symbols | None],
        *,
        first: int = 0,
        num_frames: int | None = None,
        f_motion: Symbols | None = None,
    ) -> Symbols:
        """z_t of frames through a coder, from a restart of the prior; see `code_content`.

        Args:
            coder, quality: as there.
            refs_previous: whether the GOP also uses the content before it.
            frames: consecutive ones of a GOP.
            first: index of the first of them in the GOP.
            num_frames: of the GOP, None if these are all.
            f_motion: of the GOP's content.
        """

    def continue_dynamics(
        self,
        coders: Sequence[Coder],
        quality: int,
        refs_previous: bool,
        frames: Sequence[Symbols | None],
        *,
        f_motion: Symbols | None = None,
    ) -> list[Symbols]:
        """The same, all of a GOP, through several coders, each of which fills what is missing."""
        setting = (quality, refs_previous, frames)
        return [self.code_dynamics(coder, *setting, f_motion=f_motion) for coder in coders]

    def half_motion(self, f_motion: Symbols) -> Symbols:
        """Half the motion that f_motion states, in steps of z_t."""
        return f_motion

    @abstractmethod
    def price_content(self, costs: Sequence[Bits]) -> ContentBits:
        """What a coder's calls of one content cost."""

    @abstractmethod
    def frame_bits(self, costs: Sequence[Bits]) -> Bits:
        """What a coder's calls of one z_t cost, in its shape."""

    @abstractmethod
    def f_steps(self, quality: int) -> Floats:
        """Quantization steps of f, of a shape that spreads over it."""

    @abstractmethod
    def z_steps(self, quality: int) -> Floats:
        """Quantization steps of z_t, of a shape that spreads over it."""

    @abstractmethod
    def frame(self, gops: Sequence[Gop], t: int) -> NDArray[np.uint8]:
        """A frame as RGB [H, W, 3].

        Args:
            gops: that of the frame, last, behind those that it and they refer to.
            t: counted in its GOP.
        """

    def standing_content(self, gops: Sequence[Gop], quality: int) -> bytes:
        """Coder bytes of the last GOP's content, at a quality, so that it needs no other.

        Args:
            gops: as of `frame`.
            quality: of the GOP it is for. With another than its own its symbols are rounded anew.
        """
        gop = gops[-1]
        if quality == gop.quality:
            return gop.content
        content = self.content(gop)
        ratio = self.f_steps(gop.quality) / self.f_steps(quality)
        f = np.floor(content.f * ratio + 0.5).clip(-SYMBOL_LIMIT, SYMBOL_LIMIT).astype(np.int32)
        return self.encode_content(content._replace(f=f), quality)

    def encode_content(self, content: Content, quality: int) -> bytes:
        """Coder bytes of a content."""
        coder = SymbolEncoder(self.loaded.tables)
        with limited_threads(self.threads):
            self.code_content(coder, quality, content)
        return coder.finish()

    def f_hat(self, gop: Gop) -> Floats:
        """Dequantized content: what a decoder synthesizes from."""
        return read_only(self.content(gop).f.astype(np.float32) * self.f_steps(gop.quality))

    def z_hat(self, gop: Gop) -> Floats:
        """Dequantized dynamics: what a decoder synthesizes from."""
        return read_only(self.dynamics(gop).z.astype(np.float32) * self.z_steps(gop.quality))

    def pack_content(self, gop: Gop, f: Any, f_hyper: Any) -> bytes:
        """Coder bytes of a GOP's content with other symbols; None keeps those there are.

        Raises:
            ValueError: symbols of another shape or type, or too large.
        """
        content = self.content(gop)
        if f is not None:
            content = content._replace(f=_checked("f_symbols", f, self.f_shapes[0]))
        if f_hyper is not None:
            hyper = _checked("f_hyper_symbols", f_hyper, self.f_shapes[1])
            content = content._replace(f_hyper=hyper)
        return self.encode_content(content, gop.quality)

    def pack_dynamics(self, gop: Gop, z: Any) -> tuple[Segment, ...]:
        """Segments of a GOP, as long as they were, with other symbols.

        Raises:
            ValueError: symbols of another shape or type, or too large.
        """
        z = _checked("z_symbols", z, (gop.num_frames, *self.z_shape))
        segments = []
        for segment in gop.segments:
            part = z[segment.first : segment.first + segment.num_frames]
            coder = SymbolEncoder(self.loaded.tables)
            with limited_threads(self.threads):
                self._code_segment(coder, gop, segment, list(part))
            segments.append(replace(segment, payload=coder.finish()))
        return tuple(segments)

    def _code_segment(
        self, coder: Coder, gop: Gop, segment: Segment, frames: Sequence[Symbols | None]
    ) -> Symbols:
        setting = (coder, gop.quality, gop.refs_previous, frames)
        motion = self.content(gop).f_motion
        return self.code_dynamics(
            *setting, first=segment.first, num_frames=gop.num_frames, f_motion=motion
        )

    def _content(self, gop: Gop) -> tuple[Content, ContentBits]:
        """Symbols and bits of a GOP's content."""
        decoder = SymbolDecoder(gop.content, self.loaded.tables)
        coder = _Pricing(decoder, self.loaded.tables)
        with limited_threads(self.threads):
            content = self.code_content(coder, gop.quality, None)
        decoder.finish()
        bits = self.price_content(coder.costs)
        return Content(*map(read_only, content)), ContentBits(*map(read_only, bits))

    def _dynamics(self, gop: Gop) -> Dynamics:
        """Symbols and bits of a GOP's dynamics."""
        symbols, bits = [], []
        for segment in gop.segments:
            decoder = SymbolDecoder(segment.payload, self.loaded.tables)
            coder = _Pricing(decoder, self.loaded.tables)
            frames = [None] * segment.num_frames
            with limited_threads(self.threads):
                z = self._code_segment(coder, gop, segment, frames)
            decoder.finish()
            calls = len(coder.costs) // segment.num_frames
            symbols.append(z)
            for t in range(segment.num_frames):
                bits.append(self.frame_bits(coder.costs[t * calls : (t + 1) * calls]))
        return Dynamics(read_only(np.concatenate(symbols)), read_only(np.stack(bits)))


def open_latents(
    header: Header, *, device: str = "auto", threads: int | None = None, model: str | None = None
) -> LatentCodec:
    """The latents of a stream, by the family of its model.

    Args:
        header: of the stream.
        device, threads, model: as in `EncodeOptions`.

    Raises:
        ModelError: the weights are missing or not the stream's.
        MalformedError: the model cannot make the stream's pictures.
    """
    loaded = load_model(model, device, header.model)
    check_header(loaded, header)
    return latents_of(loaded, header, threads)


def latents_of(loaded: LoadedModel, header: Header, threads: int | None) -> LatentCodec:
    """The same of weights that are loaded."""
    if loaded.is_vector:
        from dsaecodec.vector.latents import VectorLatents

        return VectorLatents(loaded, header, threads)
    from dsaecodec.spatial.latents import SpatialLatents

    return SpatialLatents(loaded, header, threads)


class _Pricing:
    """A coder that hands calls on and keeps what each of their symbols costs."""

    def __init__(self, coder: Coder, tables: FrequencyTables) -> None:
        self._coder, self._tables = coder, tables
        self.costs: list[Bits] = []

    def code(self, table_index: NDArray[np.uint16], symbols: Symbols | None) -> Symbols:
        """Code one call, see `Coder.code`."""
        coded = self._coder.code(table_index, symbols)
        self.costs.append(self._tables.cost_bits(table_index, coded))
        return coded


def _checked(name: str, symbols: Any, shape: Shape) -> Symbols:
    """Symbols to code, as a copy."""
    array = np.asarray(symbols)
    if array.shape != shape or array.dtype.kind not in "iu":
        found = f"{array.dtype} {list(array.shape)}"
        raise ValueError(f"{name}: {found}, expected integers {list(shape)}")
    lowest, highest = int(array.min(initial=0)), int(array.max(initial=0))
    if max(-lowest, highest) > SYMBOL_LIMIT:
        raise ValueError(f"{name}: {lowest}…{highest}, expected ±{SYMBOL_LIMIT} at most")
    return array.astype(np.int32)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, which nobody may write to: others share it."""
    array.flags.writeable = False
    return array
