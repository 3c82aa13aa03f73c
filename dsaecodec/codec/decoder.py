"""A .dsz stream to frames, one GOP at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from bitstream import Gop, MalformedError, Segment, StreamReader, SymbolDecoder
from dsaecodec.codec.gop_coder import SymbolDigest, code_content, code_dynamics
from dsaecodec.codec.pictures import chunk_frames, grid_size, limited_threads, to_frames
from dsaecodec.errors import ModelError
from dsaecodec.model_io import load_model
from dsaecodec.synthesis import Planes, expand_planes
from dsaecodec.video.frame import Frame420, VideoInfo


@dataclass(frozen=True)
class VerifyReport:
    """What a whole decode found: digests of all symbols and of all pixels."""

    frames: int
    gops: int
    symbols: str
    pixels: str


class Decoder:
    """Frames of a stream, one GOP at a time.

    Args:
        source: a .dsz stream, seekable or not.
        device, threads, model: as in `EncodeOptions`.

    Raises:
        BitstreamError: damaged or not a .dsz; also while iterating.
        ModelError: the stream needs other weights.
    """

    def __init__(
        self,
        source: BinaryIO,
        *,
        device: str = "auto",
        threads: int | None = None,
        model: str | None = None,
    ) -> None:
        self.reader = StreamReader(source)
        header = self.reader.header
        colour = header.colour
        self.info = VideoInfo(
            header.width, header.height, header.fps, colour.matrix, colour.full_range
        )
        self.threads = threads
        self.loaded = load_model(model, device, header.model)
        if self.loaded.identity != header.model:
            raise ModelError(
                f"the stream was made with model {header.model.hex()}, "
                f"this one is {self.loaded.identity.hex()}",
                hint="name the right weights with --model",
            )
        self.size = grid_size(header.height, header.width)
        self.digest = SymbolDigest()
        self.num_gops = 0

    def __iter__(self) -> Iterator[Frame420]:
        previous: Planes | None = None
        for gop in self.reader:
            with limited_threads(self.threads):
                planes = self._content(gop)
            reference = planes
            if gop.refs_previous:
                if previous is None:
                    raise MalformedError(f"GOP {self.num_gops}: refers to a content before it")
                reference = previous
            for segment in gop.segments:
                yield from self._segment(gop, segment, reference, planes)
            previous = planes
            self.num_gops += 1

    def _content(self, gop: Gop) -> Planes:
        model = self.loaded.model
        coder = SymbolDecoder(gop.content, self.loaded.tables)
        hyper, f = code_content(model, coder, self.size, gop.quality, None)
        coder.finish()
        self.digest.update(hyper, f)
        f_hat = f.float().to(self.loaded.device) * model.f_steps(gop.quality)
        return model.synthesize_content(f_hat, gop.quality)

    def _segment(
        self, gop: Gop, segment: Segment, previous: Planes, current: Planes
    ) -> Iterator[Frame420]:
        model, info = self.loaded.model, self.info
        coder = SymbolDecoder(segment.payload, self.loaded.tables)
        with limited_threads(self.threads):
            count, refs = segment.num_frames, gop.refs_previous
            z = code_dynamics(model, coder, self.size, gop.quality, refs, count, None)
            coder.finish()
            self.digest.update(z)
        chunk = chunk_frames(info.height, info.width)
        for t in range(0, count, chunk):
            with limited_threads(self.threads):
                z_hat = z[t : t + chunk].float().to(self.loaded.device)
                z_hat = z_hat * model.z_steps(gop.quality)
                times = z_hat.shape[0]
                a, b = expand_planes(previous, times), expand_planes(current, times)
                pictures = model.synthesize(b, a, z_hat)
                frames = list(to_frames(pictures, info.height, info.width))
            yield from frames
            del frames  # not to be held while the next ones are made


def verify_stream(
    source: BinaryIO,
    *,
    device: str = "auto",
    threads: int | None = None,
    model: str | None = None,
) -> VerifyReport:
    """Check all records, decode all symbols and frames, and digest both.

    Raises:
        BitstreamError, ModelError: as `Decoder`.
    """
    decoder = Decoder(source, device=device, threads=threads, model=model)
    pixels, num_frames = hashlib.sha256(), 0
    for frame in decoder:
        num_frames += 1
        for plane in frame.planes:
            pixels.update(plane.tobytes())
    return VerifyReport(
        num_frames, decoder.num_gops, decoder.digest.hexdigest(), pixels.hexdigest()
    )
