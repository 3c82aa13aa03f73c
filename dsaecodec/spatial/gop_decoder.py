"""One GOP of the spatial family: coder bytes to latents to frames."""

from __future__ import annotations

from collections.abc import Iterator

from bitstream import Gop, Header, Segment, SymbolDecoder
from dsaecodec.codec.symbols import SymbolDigest
from dsaecodec.codec.threads import limited_threads
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.gop_coder import code_content, code_dynamics
from dsaecodec.spatial.pictures import chunk_frames, grid_size, synthesize_frames
from dsaecodec.spatial.synthesis import Planes
from dsaecodec.video.frame import Frame420


class SpatialGopDecoder:
    """See `codec.family.GopDecoder`.

    Args:
        loaded: the model.
        header: of the stream.
        threads: CPU threads, None for all.
    """

    def __init__(self, loaded: LoadedModel, header: Header, threads: int | None) -> None:
        self.digest = SymbolDigest()
        self._loaded, self._model, self._threads = loaded, loaded.spatial, threads
        self._height, self._width = header.height, header.width
        self._size = grid_size(header.height, header.width)
        self._gop: Gop | None = None
        self._current: Planes | None = None
        self._previous: Planes | None = None

    def read_content(self, gop: Gop) -> None:
        """See `GopDecoder`."""
        self._previous, self._gop = self._current, gop
        with limited_threads(self._threads):
            coder = SymbolDecoder(gop.content, self._loaded.tables)
            hyper, f = code_content(self._model, coder, self._size, gop.quality, None)
            coder.finish()
            self.digest.update(hyper, f)
            f_hat = f.float().to(self._loaded.device) * self._model.f_steps(gop.quality)
            self._current = self._model.synthesize_content(f_hat, gop.quality)

    def frames(self, segment: Segment, wanted: range) -> Iterator[tuple[int, Frame420]]:
        """See `GopDecoder`."""
        gop, model, current = self._gop, self._model, self._current
        assert gop is not None and current is not None, "content comes first"
        previous = self._previous if gop.refs_previous else current
        assert previous is not None, "readers refuse such a first GOP"
        first, last = segment.first, segment.first + segment.num_frames
        coder = SymbolDecoder(segment.payload, self._loaded.tables)
        setting = (self._size, gop.quality, gop.refs_previous, segment.num_frames)
        with limited_threads(self._threads):
            z = code_dynamics(model, coder, *setting, None)
            coder.finish()
            self.digest.update(z)
        chunk = chunk_frames(self._height, self._width)
        for begin in range(first, last, chunk):
            part = range(begin, min(begin + chunk, last))
            if not set(part) & set(wanted):
                continue
            with limited_threads(self._threads):
                z_hat = z[begin - first : part.stop - first].float().to(self._loaded.device)
                z_hat = z_hat * model.z_steps(gop.quality)
                made = synthesize_frames(model, previous, current, z_hat, self._height, self._width)
                frames = list(made)
            for t, frame in zip(part, frames, strict=True):
                if t in wanted:
                    yield t, frame
            del frames, frame  # not to be held while the next ones are made
