"""The latents of a stream's GOPs as arrays, both ways, and the pictures they make.

    coder bytes ─ content, dynamics ─► symbols, bits ─ × steps ─► f_hat, z_hat ─ frame ─► RGB
    coder bytes ◄── pack_content, pack_dynamics ── symbols

The last few GOPs are kept, so that memory does not follow the length of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitstream import FrequencyTables, Gop, Header, Segment, SymbolDecoder, SymbolEncoder
from dsaecodec.codec.gop_coder import SYMBOL_LIMIT, Coder, code_content, code_dynamics, fixed
from dsaecodec.codec.pictures import chunk_frames, grid_size, limited_threads, synthesize_frames
from dsaecodec.model_io import load_model
from dsaecodec.prior import lattice
from dsaecodec.synthesis import Planes
from dsaecodec.video import Frame420, frame_to_rgb

KEPT = 2  # a GOP and the one whose content it refers to

Symbols = NDArray[np.int32]
Bits = NDArray[np.float64]
Shape = tuple[int, ...]


class Content(NamedTuple):
    """Content of one GOP: symbols, and the bits of each."""

    f: Symbols  # [C, h, w]
    f_hyper: Symbols  # [hyper, ⌈h/2⌉, ⌈w/2⌉]
    f_bits: Bits
    f_hyper_bits: Bits


class Dynamics(NamedTuple):
    """Dynamics of one GOP, all segments: symbols, and the bits of each."""

    z: Symbols  # [T, C, h, w]
    z_bits: Bits


class LatentCodec:
    """Reads and writes the latents of one stream's GOPs.

    Args:
        header: of the stream.
        device, threads, model: as in `EncodeOptions`.

    Raises:
        ModelError: the weights are missing or not the stream's.
    """

    def __init__(
        self,
        header: Header,
        *,
        device: str = "auto",
        threads: int | None = None,
        model: str | None = None,
    ) -> None:
        self.loaded = load_model(model, device, header.model)
        self.header, self.threads = header, threads
        self.size = grid_size(header.height, header.width)
        self.content = lru_cache(KEPT)(self._content)
        self.dynamics = lru_cache(KEPT)(self._dynamics)
        self._planes = lru_cache(KEPT)(self._synthesize_planes)
        self._batch = lru_cache(1)(self._synthesize_batch)

    def f_hat(self, gop: Gop) -> NDArray[np.float32]:
        """Dequantized content [C, h, w]: what a decoder synthesizes planes from."""
        return _read_only(self._f_hat(gop)[0].cpu().numpy())

    def z_hat(self, gop: Gop) -> NDArray[np.float32]:
        """Dequantized dynamics [T, C, h, w]: what a decoder synthesizes frames from."""
        return _read_only(self._z_hat(gop, slice(None)).cpu().numpy())

    def f_steps(self, quality: int) -> NDArray[np.float32]:
        """Quantization steps of f, [C, 1, 1]."""
        return _read_only(self.loaded.model.f_steps(quality)[0].cpu().numpy())

    def z_steps(self, quality: int) -> NDArray[np.float32]:
        """Quantization steps of z_t, [C, 1, 1]."""
        return _read_only(self.loaded.model.z_steps(quality)[0].cpu().numpy())

    def frame(self, before: Gop | None, gop: Gop, t: int) -> NDArray[np.uint8]:
        """Frame t of a GOP as RGB [H, W, 3].

        Args:
            before: the GOP before, None where `gop` does not refer to it.
            gop: to decode.
            t: counted in the GOP.
        """
        # the batches of `codec.Decoder`, for the same pixels
        segment = next(s for s in gop.segments if t < s.first + s.num_frames)
        step = chunk_frames(self.header.height, self.header.width)
        start = t - (t - segment.first) % step
        stop = min(start + step, segment.first + segment.num_frames)
        picture = self._batch(before, gop, start, stop)[t - start]
        colour = self.header.colour
        return frame_to_rgb(picture, colour.matrix, colour.full_range)

    def pack_content(self, gop: Gop, f: Any, f_hyper: Any) -> bytes:
        """Coder bytes of a GOP's content with other symbols; None keeps those there are.

        Raises:
            ValueError: symbols of another shape or type, or too large.
        """
        config, (h, w) = self.loaded.model.config, self.size
        channels = self.loaded.model.content_prior.channels
        f = self.content(gop).f if f is None else f
        f_hyper = self.content(gop).f_hyper if f_hyper is None else f_hyper
        f = _checked("f_symbols", f, (channels, h, w))
        hyper_shape = (config.hyper_channels, (h + 1) // 2, (w + 1) // 2)
        f_hyper = _checked("f_hyper_symbols", f_hyper, hyper_shape)
        coder = SymbolEncoder(self.loaded.tables)
        targets = (fixed(torch.from_numpy(f_hyper)[None]), fixed(torch.from_numpy(f)[None]))
        with limited_threads(self.threads):
            code_content(self.loaded.model, coder, self.size, gop.quality, targets)
        return coder.finish()

    def pack_dynamics(self, gop: Gop, z: Any) -> tuple[Segment, ...]:
        """Segments of a GOP, as long as they were, with other symbols.

        Raises:
            ValueError: symbols of another shape or type, or too large.
        """
        channels = self.loaded.model.config.z_channels
        z = torch.from_numpy(_checked("z_symbols", z, (gop.num_frames, channels, *self.size)))
        segments = []
        for segment in gop.segments:
            part = z[segment.first : segment.first + segment.num_frames]
            coder = SymbolEncoder(self.loaded.tables)
            setting = (self.size, gop.quality, gop.refs_previous, segment.num_frames)
            with limited_threads(self.threads):
                code_dynamics(self.loaded.model, coder, *setting, fixed(part))
            segments.append(replace(segment, payload=coder.finish()))
        return tuple(segments)

    def _content(self, gop: Gop) -> Content:
        """Symbols and bits of a GOP's content."""
        decoder = SymbolDecoder(gop.content, self.loaded.tables)
        coder = _Pricing(decoder, self.loaded.tables)
        with limited_threads(self.threads):
            tensors = code_content(self.loaded.model, coder, self.size, gop.quality, None)
        decoder.finish()
        f_hyper, f = (tensor[0].numpy().astype(np.int32) for tensor in tensors)
        f_hyper_bits = coder.costs[0].reshape(f_hyper.shape)
        f_bits = _in_raster(coder.costs[1:], f.shape)
        parts = (f, f_hyper, f_bits, f_hyper_bits)
        return Content(*(_read_only(part) for part in parts))

    def _dynamics(self, gop: Gop) -> Dynamics:
        """Symbols and bits of a GOP's dynamics."""
        symbols, bits = [], []
        for segment in gop.segments:
            decoder = SymbolDecoder(segment.payload, self.loaded.tables)
            coder = _Pricing(decoder, self.loaded.tables)
            setting = (self.size, gop.quality, gop.refs_previous, segment.num_frames)
            with limited_threads(self.threads):
                z = code_dynamics(self.loaded.model, coder, *setting, None).numpy()
            decoder.finish()
            calls = len(coder.costs) // segment.num_frames
            symbols.append(z)
            for t in range(segment.num_frames):
                costs = coder.costs[t * calls : (t + 1) * calls]
                bits.append(_in_raster(costs, z.shape[1:]))
        return Dynamics(_read_only(np.concatenate(symbols)), _read_only(np.stack(bits)))

    def _f_hat(self, gop: Gop) -> Tensor:
        """[1, C, h, w] on the device."""
        symbols = torch.from_numpy(self.content(gop).f.astype(np.float32))[None]
        return symbols.to(self.loaded.device) * self.loaded.model.f_steps(gop.quality)

    def _z_hat(self, gop: Gop, times: slice) -> Tensor:
        """[T, C, h, w] on the device."""
        symbols = torch.from_numpy(self.dynamics(gop).z[times].astype(np.float32))
        return symbols.to(self.loaded.device) * self.loaded.model.z_steps(gop.quality)

    def _synthesize_planes(self, gop: Gop) -> Planes:
        """Planes of a GOP's content."""
        f_hat = self._f_hat(gop)
        with limited_threads(self.threads):
            return self.loaded.model.synthesize_content(f_hat, gop.quality)

    def _synthesize_batch(
        self, before: Gop | None, gop: Gop, start: int, stop: int
    ) -> tuple[Frame420, ...]:
        """Pictures start…stop - 1 of a GOP."""
        current = self._planes(gop)
        previous = current if before is None else self._planes(before)
        z_hat = self._z_hat(gop, slice(start, stop))
        with limited_threads(self.threads):
            model, size = self.loaded.model, (self.header.height, self.header.width)
            return tuple(synthesize_frames(model, previous, current, z_hat, *size))


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


def _in_raster(costs: Sequence[Bits], shape: Shape) -> Bits:
    """Bits of the context steps of one latent [C, h, w], put where their symbols are."""
    channels, height, width = shape
    bits = np.empty((channels, height * width))
    for rows, cost in zip(lattice(height, width), costs, strict=True):
        bits[:, rows.numpy()] = cost.reshape(channels, -1)
    return bits.reshape(shape)


def _checked(name: str, symbols: Any, shape: Shape) -> Symbols:
    """Symbols to code, as a copy."""
    array = np.asarray(symbols)
    if array.shape != shape or array.dtype.kind not in "iu":
        found = f"{array.dtype} {list(array.shape)}"
        raise ValueError(f"{name}: {found}, expected integers {list(shape)}")
    lowest, highest = int(array.min()), int(array.max())
    if max(-lowest, highest) > SYMBOL_LIMIT:
        raise ValueError(f"{name}: {lowest}…{highest}, expected ±{SYMBOL_LIMIT} at most")
    return array.astype(np.int32)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, which nobody may write to: others share it."""
    array.flags.writeable = False
    return array
