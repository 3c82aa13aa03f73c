"""Latents of the spatial family as arrays, see `dsaecodec.latents`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitstream import Gop, Header
from dsaecodec.codec.symbols import Coder
from dsaecodec.codec.threads import limited_threads
from dsaecodec.latents import KEPT, Bits, Floats, LatentCodec, Shape, Symbols, read_only
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.gop_coder import Target, code_content, code_dynamics, fixed
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.pictures import chunk_frames, grid_size, synthesize_frames
from dsaecodec.spatial.prior import lattices
from dsaecodec.spatial.synthesis import Planes
from dsaecodec.video import Frame420, frame_to_rgb


class SpatialLatents(LatentCodec):
    """f [C, h, w], f_hyper [hyper, ⌈h/2⌉, ⌈w/2⌉], z_t [C, h, w] on the latent grid."""

    def __init__(self, loaded: LoadedModel, header: Header, threads: int | None) -> None:
        super().__init__(loaded, header, threads)
        self._model = loaded.spatial
        self._size = grid_size(header.height, header.width)
        self._planes = lru_cache(KEPT)(self._synthesize_planes)
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

    def code_content(
        self, coder: Coder, quality: int, symbols: tuple[Symbols, Symbols] | None
    ) -> tuple[Symbols, Symbols]:
        """See `LatentCodec`."""
        targets = None
        if symbols is not None:
            f, f_hyper = (fixed(torch.from_numpy(part)[None]) for part in symbols)
            targets = (f_hyper, f)
        tensors = code_content(self._model, coder, self._size, quality, targets)
        f_hyper_out, f_out = (tensor[0].numpy().astype(np.int32) for tensor in tensors)
        return f_out, f_hyper_out

    def code_dynamics(
        self,
        coder: Coder,
        quality: int,
        refs_previous: bool,
        frames: Sequence[Symbols | None],
        *,
        first: int = 0,
        num_frames: int | None = None,
    ) -> Symbols:
        """See `LatentCodec`."""
        place = Place.of(first, len(frames), num_frames or len(frames), refs_previous)
        setting = (self._size, quality, place)
        z: Symbols = code_dynamics(self._model, coder, *setting, _Frames(frames)).numpy()
        return z

    def content_bits(self, costs: Sequence[Bits]) -> tuple[Bits, Bits]:
        """See `LatentCodec`."""
        f_shape, hyper_shape = self.f_shapes
        return _in_raster(costs[1:], f_shape), costs[0].reshape(hyper_shape)

    def frame_bits(self, costs: Sequence[Bits]) -> Bits:
        """See `LatentCodec`."""
        return _in_raster(costs, self.z_shape)

    def f_steps(self, quality: int) -> Floats:
        """Quantization steps of f, [C, 1, 1]."""
        return read_only(self._model.f_steps(quality)[0].cpu().numpy())

    def z_steps(self, quality: int) -> Floats:
        """Quantization steps of z_t, [C, 1, 1]."""
        return read_only(self._model.z_steps(quality)[0].cpu().numpy())

    def frame(self, before: Gop | None, gop: Gop, t: int) -> NDArray[np.uint8]:
        """See `LatentCodec`."""
        # the batches of a decoder, for the same pixels
        segment = next(s for s in gop.segments if t < s.first + s.num_frames)
        step = chunk_frames(self.header.height, self.header.width)
        start = t - (t - segment.first) % step
        stop = min(start + step, segment.first + segment.num_frames)
        picture = self._batch(before, gop, start, stop)[t - start]
        colour = self.header.colour
        return frame_to_rgb(picture, colour.matrix, colour.full_range)

    def _f_hat(self, gop: Gop) -> Tensor:
        """[1, C, h, w] on the device."""
        symbols = torch.from_numpy(self.content(gop).f.astype(np.float32))[None]
        return symbols.to(self.loaded.device) * self._model.f_steps(gop.quality)

    def _z_hat(self, gop: Gop, times: slice) -> Tensor:
        """[T, C, h, w] on the device."""
        symbols = torch.from_numpy(self.dynamics(gop).z[times].astype(np.float32))
        return symbols.to(self.loaded.device) * self._model.z_steps(gop.quality)

    def _synthesize_planes(self, gop: Gop) -> Planes:
        """Planes of a GOP's content."""
        f_hat = self._f_hat(gop)
        with limited_threads(self.threads):
            return self._model.synthesize_content(f_hat, gop.quality)

    def _synthesize_batch(
        self, before: Gop | None, gop: Gop, start: int, stop: int
    ) -> tuple[Frame420, ...]:
        """Pictures start…stop - 1 of a GOP."""
        current = self._planes(gop)
        previous = current if before is None else self._planes(before)
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


def _in_raster(costs: Sequence[Bits], shape: Shape) -> Bits:
    """Bits of the context steps of one latent [C, h, w], put where their symbols are."""
    channels, height, width = shape
    bits = np.empty((channels, height * width))
    steps = lattices(height, width, torch.device("cpu"))
    for step, cost in zip(steps, costs, strict=True):
        bits[:, step.positions.numpy()] = cost.reshape(channels, -1)
    return bits.reshape(shape)
