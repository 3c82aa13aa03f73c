"""One GOP of the spatial family: coder bytes to latents to frames.

Symbols are decoded one after the other; planes and frames are synthesized beside that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial

import torch
from torch import Tensor

from bitstream import Gop, Header, Segment, SymbolDecoder
from dsaecodec.codec.symbols import SymbolDigest
from dsaecodec.codec.threads import Crew, limited_threads
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.gop_coder import code_content, count_predicted, iter_dynamics, source_of
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.pictures import chunk_frames, grid_size, synthesize_frames
from dsaecodec.spatial.synthesis import Planes
from dsaecodec.video.frame import Frame420

FuturePlanes = Future[Planes]


class SpatialGopDecoder:
    """See `codec.family.GopDecoder`.

    Args:
        loaded: the model.
        header: of the stream.
        crew: does the work.
    """

    def __init__(self, loaded: LoadedModel, header: Header, crew: Crew) -> None:
        self.digest = SymbolDigest()
        self._loaded, self._model, self._crew = loaded, loaded.spatial, crew
        self._height, self._width = header.height, header.width
        self._size = grid_size(header.height, header.width)
        self._gop: Gop | None = None
        self._motion: Tensor | None = None  # of its content
        self._predicted = 0  # contents in a row up to this one
        self._current: FuturePlanes | None = None
        self._previous: FuturePlanes | None = None

    def read_content(self, gop: Gop) -> None:
        """See `GopDecoder`."""
        if self._previous is not None:  # contents alone, as behind a seek, are not read ahead of
            self._previous.result()  # their planes
        self._previous, self._gop = self._current, gop
        with limited_threads(self._crew.threads_beside):
            coder = SymbolDecoder(gop.content, self._loaded.tables)
            content = code_content(self._model, coder, self._size, gop.quality, None)
            coder.finish()
        self.digest.update(content.motion, content.hyper, content.f)
        self._motion = content.motion
        before = source_of(content, gop, self._previous)
        self._predicted = count_predicted(content, self._predicted)
        self._current = self._crew.submit(partial(self._planes, content, before, gop.quality))

    def frames(self, segment: Segment, wanted: range) -> Iterator[tuple[int, Frame420]]:
        """See `GopDecoder`."""
        gop, current = self._gop, self._current
        assert gop is not None and current is not None, "content comes first"
        previous = self._previous if gop.refs_previous else current
        assert previous is not None, "readers refuse such a first GOP"
        coder = SymbolDecoder(segment.payload, self._loaded.tables)
        shown = (segment.first, segment.num_frames, gop.num_frames)
        setting = (self._size, gop.quality, Place.of(*shown, gop.refs_previous, self._motion))
        symbols = iter_dynamics(self._model, coder, *setting, None)
        chunk = chunk_frames(self._height, self._width)
        last = segment.first + segment.num_frames
        coming: list[tuple[range, Future[list[Frame420]]]] = []
        for begin in range(segment.first, last, chunk):
            part = range(begin, min(begin + chunk, last))
            with limited_threads(self._crew.threads_beside):
                z = [next(symbols) for _ in part]
            self.digest.update(*z)
            if set(part) & set(wanted):
                work = partial(self._synthesize, previous, current, z, gop.quality)
                coming.append((part, self._crew.submit(work)))
        coder.finish()
        coming.reverse()
        while coming:  # frames are not to be held once they are shown
            part, made = coming.pop()
            for t, frame in zip(part, made.result(), strict=True):
                if t in wanted:
                    yield t, frame

    def _planes(self, content: ContentSymbols, before: FuturePlanes | None, quality: int) -> Planes:
        planes = None if before is None else before.result()
        return content.planes(self._model, planes, quality)

    def _synthesize(
        self, previous: FuturePlanes, current: FuturePlanes, z: Sequence[Tensor], quality: int
    ) -> list[Frame420]:
        z_hat = torch.cat(list(z)).float().to(self._loaded.device) * self._model.z_steps(quality)
        planes, size = (previous.result(), current.result()), (self._height, self._width)
        return list(synthesize_frames(self._model, *planes, z_hat, *size))
