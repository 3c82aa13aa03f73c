"""Latents of the spatial family as arrays, see `dsaecodec.latents`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitstream import Gop, Header
from dsaecodec.codec.symbols import SYMBOL_LIMIT, Coder
from dsaecodec.codec.threads import limited_threads
from dsaecodec.latents import (
    KEPT,
    Bits,
    Content,
    ContentBits,
    Floats,
    LatentCodec,
    Shape,
    Symbols,
    read_only,
)
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.gop_coder import (
    Target,
    code_content,
    code_dynamics,
    count_predicted,
    fixed,
    fixed_content,
    source_of,
)
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.motion_prior import refinements
from dsaecodec.spatial.pictures import chunk_frames, grid_size, synthesize_frames
from dsaecodec.spatial.prior import lattices
from dsaecodec.spatial.synthesis import Planes
from dsaecodec.video import Frame420, frame_to_rgb


class SpatialLatents(LatentCodec):
    """f [C, h, w], f_hyper [hyper, ⌈h/2⌉, ⌈w/2⌉], f_motion [2 or 0, h, w], z_t [C, h, w]."""

    def __init__(self, loaded: LoadedModel, header: Header, threads: int | None) -> None:
        super().__init__(loaded, header, threads)
        self._model = loaded.spatial
        self._size = grid_size(header.height, header.width)
        self._known: dict[tuple[Gop, ...], Planes] = {}  # of the last contents, see `_planes`
        self._batch = lru_cache(1)(self._synthesize_batch)

    @property
    def f_shapes(self) -> tuple[Shape, Shape]:
        """See `LatentCodec`."""
        h, w = self._size
        hyper = (self._model.config.hyper_channels, (h + 1) // 2, (w + 1) // 2)
        return (self._model.content_prior.channels, h, w), hyper

    @property
    def z_shape(self) -> Shape:
        """See `LatentCodec`."""
        return (self._model.config.z_channels, *self._size)

    def code_content(self, coder: Coder, quality: int, symbols: Content | None) -> Content:
        """See `LatentCodec`."""
        targets = None
        if symbols is not None:
            targets = fixed_content(_tensors(symbols))
        said = code_content(self._model, coder, self._size, quality, targets)
        parts = (said.f, said.hyper, said.motion)
        return Content(*(part[0].numpy().astype(np.int32) for part in parts))

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
        """See `LatentCodec`."""
        motion = None if f_motion is None else torch.tensor(f_motion)[None]
        place = Place.of(first, len(frames), num_frames or len(frames), refs_previous, motion)
        setting = (self._size, quality, place)
        z: Symbols = code_dynamics(self._model, coder, *setting, _Frames(frames)).numpy()
        return z

    def half_motion(self, f_motion: Symbols) -> Symbols:
        """See `LatentCodec`."""
        half = self._model.dynamics_prior.half_of(torch.tensor(f_motion))
        symbols: Symbols = half.numpy().astype(np.int32)
        return symbols

    def price_content(self, costs: Sequence[Bits]) -> ContentBits:
        """See `LatentCodec`."""
        f_shape, hyper_shape = self.f_shapes
        left = list(costs[self.loaded.predicts :])
        left, f = _split_last(left, f_shape)
        if self._model.content_prior.contextual:
            left, hyper = _split_last(left, hyper_shape)
        else:
            hyper = left.pop().reshape(hyper_shape)
        motion = np.zeros((0, *self._size))
        if left:
            positions = None
            if self._model.motion_prior is not None:
                steps = refinements(*self._size, torch.device("cpu"))
                positions = [step.positions for step in steps]
            motion = _in_raster(left, (2, *self._size), positions)
        return ContentBits(f, hyper, motion)

    def frame_bits(self, costs: Sequence[Bits]) -> Bits:
        """See `LatentCodec`."""
        return _in_raster(costs, self.z_shape)

    def f_steps(self, quality: int) -> Floats:
        """Quantization steps of f, [C, 1, 1]."""
        return read_only(self._model.f_steps(quality)[0].cpu().numpy())

    def z_steps(self, quality: int) -> Floats:
        """Quantization steps of z_t, [C, 1, 1]."""
        return read_only(self._model.z_steps(quality)[0].cpu().numpy())

    def frame(self, gops: Sequence[Gop], t: int) -> NDArray[np.uint8]:
        """See `LatentCodec`."""
        gop = gops[-1]
        # the batches of a decoder, for the same pixels
        segment = next(s for s in gop.segments if t < s.first + s.num_frames)
        step = chunk_frames(self.header.height, self.header.width)
        start = t - (t - segment.first) % step
        stop = min(start + step, segment.first + segment.num_frames)
        picture = self._batch(tuple(gops), start, stop)[t - start]
        colour = self.header.colour
        return frame_to_rgb(picture, colour.matrix, colour.full_range)

    def standing_content(self, gops: Sequence[Gop], quality: int) -> bytes:
        """See `LatentCodec`; a content that is predicted is inferred anew, from its picture."""
        if not self.content(gops[-1]).predicted:
            return super().standing_content(gops, quality)
        posterior, steps = self._model.content_posterior, self._model.f_steps(quality)
        picture = self._planes(tuple(gops)).picture
        with limited_threads(self.threads):
            scaled = posterior(picture) / steps
            symbols = torch.floor(scaled + 0.5)
            hyper = torch.floor(posterior.infer_hyper(scaled) + 0.5)
        parts = (part.nan_to_num(0).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT) for part in (symbols, hyper))
        f, f_hyper = (part[0].cpu().numpy().astype(np.int32) for part in parts)
        standing = Content(f, f_hyper, np.zeros((0, *self._size), np.int32))
        return self.encode_content(standing, quality)

    def _z_hat(self, gop: Gop, times: slice) -> Tensor:
        """[T, C, h, w] on the device."""
        symbols = torch.from_numpy(self.dynamics(gop).z[times].astype(np.float32))
        return symbols.to(self.loaded.device) * self._model.z_steps(gop.quality)

    def _planes(self, gops: tuple[Gop, ...]) -> Planes:
        """Planes of the last GOP's content; those of the last few made are kept."""
        begin, row = len(gops), 0
        planes = self._find(gops)
        while planes is None and begin:
            begin -= 1
            row = count_predicted(self._symbols(gops[begin]), row)
            if not row:
                break
            planes = self._find(gops[:begin])
        for end in range(begin, len(gops)):
            gop, symbols = gops[end], self._symbols(gops[end])
            before = source_of(symbols, gop, planes)
            with limited_threads(self.threads):
                planes = symbols.planes(self._model, before, gop.quality)
            self._known[gops[: end + 1] if symbols.predicted else (gop,)] = planes
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        assert planes is not None
        return planes

    def _find(self, gops: tuple[Gop, ...]) -> Planes | None:
        return self._known.get(gops) or self._known.get(gops[-1:])

    def _symbols(self, gop: Gop) -> ContentSymbols:
        return _tensors(self.content(gop))

    def _synthesize_batch(
        self, gops: tuple[Gop, ...], start: int, stop: int
    ) -> tuple[Frame420, ...]:
        """Pictures start…stop - 1 of the last GOP."""
        gop, current = gops[-1], self._planes(gops)
        previous = self._planes(gops[:-1]) if gop.refs_previous else current
        z_hat = self._z_hat(gop, slice(start, stop))
        with limited_threads(self.threads):
            size = (self.header.height, self.header.width)
            return tuple(synthesize_frames(self._model, previous, current, z_hat, *size))


class _Frames:
    """Targets of frames some of which are known, see `gop_coder.FrameTargets`."""

    def __init__(self, frames: Sequence[Symbols | None]) -> None:
        self._frames = frames

    def frame(self, t: int) -> Target | None:
        """The target of one frame."""
        symbols = self._frames[t]
        return None if symbols is None else fixed(torch.tensor(symbols)[None])


def _tensors(content: Content) -> ContentSymbols:
    parts = (content.f_hyper, content.f, content.f_motion)
    return ContentSymbols(*(torch.tensor(part)[None] for part in parts))


def _split_last(costs: list[Bits], shape: Shape) -> tuple[list[Bits], Bits]:
    """What comes before the context steps of the last latent, and this one in raster order."""
    steps = len(lattices(*shape[1:], torch.device("cpu")))
    return costs[:-steps], _in_raster(costs[-steps:], shape)


def _in_raster(
    costs: Sequence[Bits], shape: Shape, positions: Sequence[Tensor] | None = None
) -> Bits:
    """Bits of the steps of one latent [C, h, w], put where their symbols are.

    Args:
        costs: of each step.
        shape: of the latent.
        positions: where the steps are; None: those of the spatial context.
    """
    channels, height, width = shape
    bits = np.empty((channels, height * width))
    if positions is None:
        steps = lattices(height, width, torch.device("cpu"))
        positions = [step.positions for step in steps]
    for where, cost in zip(positions, costs, strict=True):
        bits[:, where.numpy()] = cost.reshape(channels, -1)
    return bits.reshape(shape)
