"""What happens to one stream: read, sought in, decoded, written with its sound; nothing is caught
that is not an error of the codec's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import dsaecodec
from bitstream import CodecError, StreamReader, SymbolDecoder, scan
from dsaecodec.codec import Decoder
from dsaecodec.codec.family import open_gop_decoder
from dsaecodec.codec.threads import Crew
from dsaecodec.errors import ModelError
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.video import VideoWriter

MODELS = (
    "natural",
    "natural-1",
    "natural-2",
    "natural-3",
    "natural-4",
    "natural-5",
    "natural-6",
    "natural-7",
    "natural-8",
    "balls",
    "sprites",
)
MOST_PIXELS = 1 << 17  # of all frames; beyond, only the reading is tried
SUFFIXES = (".mkv", ".mp4", ".y4m")
CANNOT_BE_SOUGHT = "time "  # how a refusal of a time outside the stream begins


@dataclass(frozen=True)
class Depth:
    """How far a stream is followed.

    Attributes:
        symbols, pixels: decode these.
        file: look at it through the Python interface, and write a video with the sound, too.
        signed_coders: coder bytes pass that decode to symbols but are not the shortest: the same
            symbols would have come of those that are.
    """

    symbols: bool = True
    pixels: bool = False
    file: bool = False
    signed_coders: bool = False


class Target:
    """Runs streams with the shipped models, each loaded once.

    Args:
        folder: for the videos written.
    """

    def __init__(self, folder: Path) -> None:
        loaded = [load_model(name, "cpu") for name in MODELS]
        self._models = {model.identity: model for model in loaded}
        self._crew = _Symbols(1, torch.device("cpu"))
        self._folder = folder

    @property
    def identities(self) -> list[bytes]:
        """Identities of the models."""
        return list(self._models)

    def run(self, data: bytes, depth: Depth) -> str:
        """Follows one stream.

        Returns:
            "symbols", "pixels" or "file": decoded so far; "read": accepted and too large to decode
            here; or the class of the error that refused it, with where: "symbols: MalformedError".
        """
        where = "read"
        try:
            summary = scan(BytesIO(data))
            pixels = summary.header.width * summary.header.height * summary.num_frames
            where = "seek"
            self._seek(data, summary.duration_ticks)
            where = "model"
            self._model(summary.header.model)
            if not depth.symbols or pixels > MOST_PIXELS:
                return "read"
            with _finishing(depth.signed_coders):
                where = "symbols"
                self._symbols(data)
                if not depth.pixels:
                    return "symbols"
                where = "pixels"
                self._pixels(data, summary.num_frames, summary.duration_ticks)
                if not depth.file:
                    return "pixels"
                where = "arrays"
                self._arrays(data)
                where = "file"
                self._write(data)
            return "file"
        except CodecError as error:
            return f"{where}: {type(error).__name__}"

    def _model(self, identity: bytes) -> LoadedModel:
        if identity not in self._models:
            raise ModelError(f"the stream needs the model {identity.hex()}, which is not here")
        return self._models[identity]

    def _given(self, name: str | None, device: str, identity: bytes) -> LoadedModel:
        return self._model(identity)

    def _seek(self, data: bytes, duration: int) -> None:
        """Seeks to the beginning, into the middle and to the end, and reads on."""
        for ticks, back in ((0, 1), (duration // 2, 1), (duration, 1), (duration // 2, 261)):
            reader = StreamReader(BytesIO(data))
            try:
                reader.seek(Fraction(ticks, 90_000), back=back)
            except ValueError as error:
                assert str(error).startswith(CANNOT_BE_SOUGHT) and ticks == duration, error
                continue
            assert next(iter(reader)).num_frames

    def _symbols(self, data: bytes) -> None:
        reader = StreamReader(BytesIO(data))
        decoder = open_gop_decoder(self._model(reader.header.model), reader.header, self._crew)
        for gop in reader:
            decoder.read_content(gop)
            for segment in gop.segments:
                for _ in decoder.frames(segment, range(0)):
                    raise AssertionError("no frame was wanted")

    def _pixels(self, data: bytes, num_frames: int, duration: int) -> None:
        """Decodes all frames, and one from the middle."""
        frames = list(self._decoder(data))
        assert len(frames) == num_frames
        if duration:  # with very many frames a second the stream may end in its first tick
            middle = Fraction(duration // 2, 90_000)
            assert len(list(self._decoder(data, start=middle, num_frames=1))) == 1
        header = StreamReader(BytesIO(data)).header
        assert all(frame.y.shape == (header.height, header.width) for frame in frames)

    def _write(self, data: bytes) -> None:
        """Writes what a user would: a file with the sound."""
        decoder = self._decoder(data, with_sound=True)
        path = self._folder / f"out{SUFFIXES[len(data) % len(SUFFIXES)]}"
        with VideoWriter(str(path), decoder.info, overwrite=True, sound=decoder.sound) as writer:
            for frame in decoder:
                writer.write(frame)
                writer.write_sound(decoder.take_sound())
            writer.write_sound(decoder.take_sound())

    def _arrays(self, data: bytes) -> None:
        """What the Python interface shows of the last GOP."""
        with (
            patch("dsaecodec.latents.load_model", self._given),
            dsaecodec.open(data) as clip,
        ):
            gop = clip.gops[-1]
            assert np.isfinite(gop.f_bits).all() and np.isfinite(gop.z_bits).all()
            assert len(gop.z_symbols) == len(gop.z_hat) == gop.num_frames
            assert clip[-1].shape == (clip.height, clip.width, 3)

    def _decoder(self, data: bytes, **options: Any) -> Decoder:
        with patch("dsaecodec.codec.decoder.load_model", self._given):
            return Decoder(BytesIO(data), device="cpu", threads=1, **options)


class _Symbols(Crew):
    """Does none of the work beside symbols."""

    def submit(self, work: Any) -> Future[Any]:
        """Leaves the work undone: what it makes is of no use here."""
        done: Future[Any] = Future()
        done.set_result(None)
        return done


@contextmanager
def _finishing(signed: bool) -> Iterator[None]:
    """Coders that do not ask whether their bytes are the shortest."""
    if not signed:
        yield
        return
    with patch.object(SymbolDecoder, "finish", lambda self: None):
        yield
