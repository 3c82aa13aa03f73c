"""Latents of the vector family as arrays, see `dsaecodec.latents`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitstream import Gop, Header
from dsaecodec.codec.symbols import Coder, Fleet
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
from dsaecodec.vector.gop_coder import check_gop, code_content, code_dynamics
from dsaecodec.vector.pictures import frames_of
from dsaecodec.video import Frame420, frame_to_rgb
from dsaecodec.video.frame import RGB

_NOTHING = (0,)


class VectorLatents(LatentCodec):
    """f [F], z_t [Z]; there is no f_hyper, and no f_motion."""

    def __init__(self, loaded: LoadedModel, header: Header, threads: int | None) -> None:
        super().__init__(loaded, header, threads)
        self._model = loaded.vector
        self._frames = lru_cache(KEPT)(self._synthesize)

    @property
    def f_shapes(self) -> tuple[Shape, Shape]:
        """See `LatentCodec`."""
        return (self._model.config.f_channels,), _NOTHING

    @property
    def z_shape(self) -> Shape:
        """See `LatentCodec`."""
        return (self._model.config.coded_channels,)

    @property
    def begins_with_content(self) -> bool:
        """See `LatentCodec`; so it is with deterministic dynamics."""
        return self._model.config.dynamics == "deterministic"

    def code_content(self, coder: Coder, quality: int, symbols: Content | None) -> Content:
        """See `LatentCodec`."""
        given = None if symbols is None else torch.tensor(symbols.f)[None]
        f = code_content(self._model, coder, quality, given)
        nothing = np.zeros(_NOTHING, np.int32)
        return Content(f[0].numpy().astype(np.int32), nothing, nothing)

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
        given = [None if z is None else torch.tensor(z)[None] for z in frames]
        z: Symbols = code_dynamics(self._model, coder, quality, given)[0].numpy().astype(np.int32)
        return z

    def continue_dynamics(
        self,
        coders: Sequence[Coder],
        quality: int,
        refs_previous: bool,
        frames: Sequence[Symbols | None],
        *,
        f_motion: Symbols | None = None,
    ) -> list[Symbols]:
        """See `LatentCodec`; all in one batch."""
        count = len(coders)
        given = [None if z is None else torch.tensor(z).expand(count, -1) for z in frames]
        z = code_dynamics(self._model, Fleet(coders), quality, given, count)
        return list(z.numpy().astype(np.int32))

    def price_content(self, costs: Sequence[Bits]) -> ContentBits:
        """See `LatentCodec`."""
        return ContentBits(self.frame_bits(costs), np.zeros(_NOTHING), np.zeros(_NOTHING))

    def frame_bits(self, costs: Sequence[Bits]) -> Bits:
        """See `LatentCodec`."""
        return np.concatenate([np.zeros(0), *(cost.ravel() for cost in costs)])

    def f_steps(self, quality: int) -> Floats:
        """Quantization step of all numbers of f, [1]."""
        return read_only(np.array([self._step(quality)], np.float32))

    def z_steps(self, quality: int) -> Floats:
        """Quantization step of all numbers of z_t, [1]."""
        return self.f_steps(quality)

    def frame(self, gops: Sequence[Gop], t: int) -> NDArray[np.uint8]:
        """See `LatentCodec`."""
        return frame_to_rgb(self._frames(gops[-1])[t], RGB)

    def _step(self, quality: int) -> float:
        return float(self._model.step(torch.tensor([quality])))

    def _synthesize(self, gop: Gop) -> tuple[Frame420, ...]:
        """All pictures of a GOP, in the batches of a decoder, for the same pixels."""
        check_gop(self._model, gop)
        f, z = self.content(gop).f, self.dynamics(gop).z
        pictures: list[Frame420] = []
        with limited_threads(self.threads):
            for segment in gop.segments:
                part = z[segment.first : segment.first + segment.num_frames]
                blocks = self._model.synthesize(self._tensor(f), self._tensor(part), gop.quality)
                pictures += frames_of(blocks, self._model.config.size)
        return tuple(pictures)

    def _tensor(self, symbols: Symbols) -> Tensor:
        return torch.from_numpy(symbols.astype(np.float32))[None].to(self.loaded.device)
