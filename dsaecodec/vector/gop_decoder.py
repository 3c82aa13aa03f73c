"""One GOP of the vector family: coder bytes to latents to frames."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bitstream import Gop, Segment, SymbolDecoder
from dsaecodec.codec.symbols import SymbolDigest
from dsaecodec.codec.threads import Crew, limited_threads
from dsaecodec.model_io import LoadedModel
from dsaecodec.vector.gop_coder import check_gop, code_content, code_dynamics
from dsaecodec.vector.pictures import frames_of
from dsaecodec.video.frame import Frame420


class VectorGopDecoder:
    """See `codec.family.GopDecoder`.

    Args:
        loaded: the model.
        crew: says how many threads compute.
    """

    def __init__(self, loaded: LoadedModel, crew: Crew) -> None:
        self.digest = SymbolDigest()
        self._loaded, self._model, self._threads = loaded, loaded.vector, crew.threads
        self._f = torch.zeros(0)
        self._gop: Gop | None = None

    def read_content(self, gop: Gop) -> None:
        """See `GopDecoder`."""
        check_gop(self._model, gop)
        self._gop = gop
        with limited_threads(self._threads):
            coder = SymbolDecoder(gop.content, self._loaded.tables)
            self._f = code_content(self._model, coder, gop.quality, None)
            coder.finish()
        self.digest.update(self._f)

    def frames(self, segment: Segment, wanted: range) -> Iterator[tuple[int, Frame420]]:
        """See `GopDecoder`."""
        gop = self._gop
        assert gop is not None, "content comes first"
        with limited_threads(self._threads):
            coder = SymbolDecoder(segment.payload, self._loaded.tables)
            z = code_dynamics(self._model, coder, gop.quality, [None] * segment.num_frames)
            coder.finish()
            self.digest.update(z)
            pictures = list(self._synthesize(z, gop.quality))
        for t, frame in enumerate(pictures, segment.first):
            if t in wanted:
                yield t, frame

    def _synthesize(self, z: Tensor, quality: int) -> Iterator[Frame420]:
        """Frames of symbols z [1, T, Z] of the GOP."""
        f, z = (x.float().to(self._loaded.device) for x in (self._f, z))
        return frames_of(self._model.synthesize(f, z, quality), self._model.config.size)
