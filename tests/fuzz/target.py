"""What happens to one stream: read, sought in, decoded, written with its sound; nothing is caught
that is not an error of the codec's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from bitstream import CodecError, StreamReader, SymbolDecoder, scan
from dsaecodec.codec import Decoder
from dsaecodec.codec.family import open_gop_decoder
from dsaecodec.codec.threads import Crew
from dsaecodec.errors import ModelError
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.video import VideoWriter

MODELS = ("natural", "balls", "sprites")
MOST_SYMBOL_PIXELS = 1 << 17  # of all frames; beyond, only the reading is tried
MOST_PICTURE_PIXELS = 1 << 15
CANNOT_BE_SOUGHT = "time "  # how a refusal of a time outside the stream begins


@dataclass(frozen=True)
class Depth:
    """How far a stream is followed.

    Attributes:
        symbols, pixels: decode these.
        file: write a video with the sound, too.
        signed_coders: coder bytes pass that decode to symbols but are not the shortest: the same
            symbols would have come of those that are.
    """

    symbols: bool = True
    pixels: bool = False
    file: bool = False
    signed_coders: bool = False


class Target:
    """Runs streams with the shipped models, each loaded once."""

    def __init__(self) -> None:
        self._models = {model.identity: model for model in map(self._load, MODELS)}
        self._crew = _Symbols(1, torch.device("cpu"))
        self._folder = Path(tempfile.mkdtemp(prefix="dsz-fuzz-"))

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
            if not depth.symbols or pixels > MOST_SYMBOL_PIXELS:
                return "read"
            with _finishing(depth.signed_coders):
                where = "symbols"
                self._symbols(data)
                if not (depth.pixels or depth.file) or pixels > MOST_PICTURE_PIXELS:
                    return "symbols"
                where = "pixels"
                self._pixels(data, summary.num_frames)
                if not depth.file:
                    return "pixels"
                where = "file"
                self._write(data)
            return "file"
        except CodecError as error:
            return f"{where}: {type(error).__name__}"

    def _load(self, name: str) -> LoadedModel:
        return load_model(name, "cpu")

    def _model(self, identity: bytes) -> LoadedModel:
        if identity not in self._models:
            raise ModelError(f"the stream needs the model {identity.hex()}, which is not here")
        return self._models[identity]

    def _given(self, name: str | None, device: str, identity: bytes) -> LoadedModel:
        return self._model(identity)

    def _seek(self, data: bytes, duration: int) -> None:
        """Seeks to the beginning, into the middle and to the end, and reads on."""
        for ticks in (0, duration // 2, duration):
            reader = StreamReader(BytesIO(data))
            try:
                reader.seek(Fraction(ticks, 90_000))
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

    def _pixels(self, data: bytes, num_frames: int) -> None:
        frames = list(self._decoder(data))
        assert len(frames) == num_frames
        header = StreamReader(BytesIO(data)).header
        assert all(frame.y.shape == (header.height, header.width) for frame in frames)

    def _write(self, data: bytes) -> None:
        """Writes what a user would: a file with the sound, from the middle as well."""
        decoder = self._decoder(data, with_sound=True)
        path = self._folder / "out.mkv"
        with VideoWriter(str(path), decoder.info, overwrite=True, sound=decoder.sound) as writer:
            for frame in decoder:
                writer.write(frame)
                writer.write_sound(decoder.take_sound())
            writer.write_sound(decoder.take_sound())

    def _decoder(self, data: bytes, **options: Any) -> Decoder:
        with patch("dsaecodec.codec.decoder.load_model", self._given):
            return Decoder(BytesIO(data), device="cpu", threads=1, **options)


class _Symbols(Crew):
    """Does none of the work beside symbols."""

    def submit(self, work: Any) -> Future[Any]:
        """Leaves the work undone: nobody asks for what it makes."""
        return Future()


@contextmanager
def _finishing(signed: bool) -> Iterator[None]:
    """Coders that do not ask whether their bytes are the shortest."""
    if not signed:
        yield
        return
    with patch.object(SymbolDecoder, "finish", lambda self: None):
        yield
