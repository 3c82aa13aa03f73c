"""A .dsz stream to frames, one GOP at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

from bitstream import (
    Gop,
    Segment,
    SoundPacket,
    StreamReader,
    SymbolDecoder,
)
from dsaecodec.codec.gop_coder import SymbolDigest, code_content, code_dynamics
from dsaecodec.codec.pictures import chunk_frames, grid_size, limited_threads, synthesize_frames
from dsaecodec.codec.window import View, Window
from dsaecodec.errors import UsageError
from dsaecodec.model_io import load_model
from dsaecodec.synthesis import Planes
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
        start: seconds; begin with the frame shown then. Of a seekable stream with an index only
            what is needed is read.
        num_frames: how many frames at most, None for all.
        with_sound: whether packets are kept for `take_sound`.

    Attributes:
        info: of the frames. Their ticks, where they have any, count from the first one yielded.
        sound: the stream's sound track, None if there is none.

    Raises:
        BitstreamError: damaged or not a .dsz; also while iterating.
        ModelError: the stream needs other weights.
        UsageError: there is nothing at `start`.
    """

    def __init__(
        self,
        source: BinaryIO,
        *,
        device: str = "auto",
        threads: int | None = None,
        model: str | None = None,
        start: Fraction | None = None,
        num_frames: int | None = None,
        with_sound: bool = False,
    ) -> None:
        if num_frames is not None and num_frames < 1:
            raise UsageError(f"{num_frames} frames: expected 1 or more")
        self.reader = StreamReader(source)
        header = self.reader.header
        self.info = VideoInfo(
            header.width,
            header.height,
            header.fps,
            header.colour.matrix,
            header.colour.full_range,
            header.sample_aspect,
        )
        self.sound = header.sound
        self._with_sound = with_sound
        self.threads = threads
        self.loaded = load_model(model, device, header.model)
        self.size = grid_size(header.height, header.width)
        self.digest = SymbolDigest()
        self.num_gops = 0
        self._window = Window(header, start, num_frames)
        self._packets: list[SoundPacket] = []
        self._before: Gop | None = None
        if start is not None:
            try:
                self._before = self.reader.seek(start)
            except ValueError as error:
                raise UsageError(f"nothing to decode: {error}") from error

    def __iter__(self) -> Iterator[Frame420]:
        previous: Planes | None = None
        earlier: Sequence[SoundPacket] = ()
        if self._before is not None:
            earlier = self._before.sound
            with limited_threads(self.threads):
                previous = self._content(self._before)
        for gop in self.reader:
            view = self._window.view(gop, self.reader.next_frame - gop.num_frames, earlier)
            earlier = ()
            if self._with_sound:
                self._packets += view.sound
            with limited_threads(self.threads):
                planes = self._content(gop)
            assert previous or not gop.refs_previous, "readers refuse such a first GOP"
            reference = previous if gop.refs_previous and previous else planes
            for segment in gop.segments:
                yield from self._segment(gop, segment, reference, planes, view)
            previous = planes
            self.num_gops += 1
            if self._window.closed:
                break

    def take_sound(self) -> list[SoundPacket]:
        """Packets read since the last call, those that are heard with the frames."""
        packets, self._packets = self._packets, []
        return packets

    def _content(self, gop: Gop) -> Planes:
        model = self.loaded.model
        coder = SymbolDecoder(gop.content, self.loaded.tables)
        hyper, f = code_content(model, coder, self.size, gop.quality, None)
        coder.finish()
        self.digest.update(hyper, f)
        f_hat = f.float().to(self.loaded.device) * model.f_steps(gop.quality)
        return model.synthesize_content(f_hat, gop.quality)

    def _segment(
        self, gop: Gop, segment: Segment, previous: Planes, current: Planes, view: View
    ) -> Iterator[Frame420]:
        """The frames of a segment that are wanted."""
        model, info, first = self.loaded.model, self.info, segment.first
        last = first + segment.num_frames
        wanted = range(max(first, view.frames.start), min(last, view.frames.stop))
        if not wanted:
            return
        coder = SymbolDecoder(segment.payload, self.loaded.tables)
        with limited_threads(self.threads):
            count, refs = segment.num_frames, gop.refs_previous
            z = code_dynamics(model, coder, self.size, gop.quality, refs, count, None)
            coder.finish()
            self.digest.update(z)
        chunk = chunk_frames(info.height, info.width)
        for begin in range(first, last, chunk):
            part = range(begin, min(begin + chunk, last))
            if not set(part) & set(wanted):
                continue
            with limited_threads(self.threads):
                z_hat = z[begin - first : part.stop - first].float().to(self.loaded.device)
                z_hat = z_hat * model.z_steps(gop.quality)
                size = (info.height, info.width)
                frames = list(synthesize_frames(model, previous, current, z_hat, *size))
            for t, frame in zip(part, frames, strict=True):
                if t in wanted:
                    yield frame._replace(ticks=view.ticks[t])
            del frames, frame  # not to be held while the next ones are made


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
