"""A .dsz stream to frames, one GOP at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import BinaryIO

from bitstream import Fault, Gop, SoundPacket, StreamReader, salvage
from dsaecodec.codec.concealment import MendedReader
from dsaecodec.codec.family import open_gop_decoder
from dsaecodec.codec.threads import Crew
from dsaecodec.codec.window import Window
from dsaecodec.errors import UsageError
from dsaecodec.latents import latents_of
from dsaecodec.limits import DEFAULT_LIMITS, Limits
from dsaecodec.model_io import load_model
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
        limits: what the stream may ask for, checked before anything is allocated for it.
        conceal: show a damaged stream as far as it goes, and make up the rest, see
            `codec.concealment`; the stream is then read whole.

    Attributes:
        info: of the frames. Their ticks, where they have any, count from the first one yielded.
        sound: the stream's sound track, None if there is none.
        faults: of the stream; always empty where they are not to be concealed.
        estimated: first and last of each run of frames that were made up so far, counted from the
            stream's first.

    Raises:
        BitstreamError: damaged, not a .dsz, or beyond the limits; also while iterating.
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
        limits: Limits = DEFAULT_LIMITS,
        conceal: bool = False,
    ) -> None:
        if num_frames is not None and num_frames < 1:
            raise UsageError(f"{num_frames} frames: expected 1 or more")
        opened = salvage(source.read()) if conceal else StreamReader(source)
        header = opened.header
        self._check = partial(limits.check, header, threads=threads)
        self._check()
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
        loaded = load_model(model, device, header.model)
        self.faults: list[Fault] = []
        self.estimated: list[tuple[int, int]] = []
        self.reader: StreamReader | MendedReader
        if isinstance(opened, StreamReader):
            self.reader = opened
        else:
            self.faults = opened.faults
            self.reader = MendedReader(opened, latents_of(loaded, header, threads))
        self._crew = Crew(threads, loaded.device, beside=not loaded.is_vector)
        self._gop_decoder = open_gop_decoder(loaded, header, self._crew)
        self.digest = self._gop_decoder.digest
        self.num_gops = 0
        self._window = Window(header, start, num_frames)
        self._packets: list[SoundPacket] = []
        self._before: list[Gop] = []
        if start is not None:
            try:
                self._before = self.reader.seek(start, back=loaded.reach)
            except ValueError as error:
                raise UsageError(f"nothing to decode: {error}") from error

    def __iter__(self) -> Iterator[Frame420]:
        with self._crew:
            yield from self._decode()

    def _decode(self) -> Iterator[Frame420]:
        earlier: Sequence[SoundPacket] = ()
        held = sum(gop.coder_bytes for gop in self._before)
        self._check(max(self.reader.next_frame, 1), coder_bytes=held)
        while self._before:
            gop = self._before.pop(0)
            earlier = gop.sound
            self._gop_decoder.read_content(gop)
        for gop in self.reader:
            self._check(self.reader.next_frame, gop.num_frames, coder_bytes=gop.coder_bytes)
            first_frame = self.reader.next_frame - gop.num_frames
            view = self._window.view(gop, first_frame, earlier)
            earlier = ()
            self._note_estimated(first_frame, view.frames)
            if self._with_sound:
                self._packets += view.sound
            self._gop_decoder.read_content(gop)
            for segment in gop.segments:
                last = segment.first + segment.num_frames
                wanted = range(max(segment.first, view.frames.start), min(last, view.frames.stop))
                if wanted:
                    for t, frame in self._gop_decoder.frames(segment, wanted):
                        yield frame._replace(ticks=view.ticks[t])
            self.num_gops += 1
            if self._window.closed:
                break

    def _note_estimated(self, first_frame: int, wanted: range) -> None:
        """Remember which frames of a GOP are made up."""
        if not isinstance(self.reader, MendedReader):
            return
        for gap in self.reader.estimated:
            part = range(max(gap.start, wanted.start), min(gap.stop, wanted.stop))
            if part:
                first, last = first_frame + part.start, first_frame + part.stop - 1
                if self.estimated and self.estimated[-1][1] + 1 == first:
                    first = self.estimated.pop()[0]
                self.estimated.append((first, last))

    def take_sound(self) -> list[SoundPacket]:
        """Packets read since the last call, those that are heard with the frames."""
        packets, self._packets = self._packets, []
        return packets


def verify_stream(
    source: BinaryIO,
    *,
    device: str = "auto",
    threads: int | None = None,
    model: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> VerifyReport:
    """Check all records, decode all symbols and frames, and digest both.

    Raises:
        BitstreamError, ModelError: as `Decoder`.
    """
    decoder = Decoder(source, device=device, threads=threads, model=model, limits=limits)
    pixels, num_frames = hashlib.sha256(), 0
    for frame in decoder:
        num_frames += 1
        for plane in frame.planes:
            pixels.update(plane.tobytes())
    return VerifyReport(
        num_frames, decoder.num_gops, decoder.digest.hexdigest(), pixels.hexdigest()
    )
