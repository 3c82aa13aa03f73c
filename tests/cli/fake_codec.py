"""A codec that stores planes and sound as they are, so that what lies around it can be tested.

Whoever wants it puts `module_of(engine)` where the command line imports the codec from. As a
program, `python -m tests.cli.fake_program`, it takes its faults from the environment:

    FAKE_KILLED=WIDTH   the process is killed in the middle of a video of that width
    FAKE_STALL=WIDTH    it hangs there
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bitstream import Colour, Gop, Header, Segment, SoundPacket, StreamReader, StreamWriter
from dsaecodec.errors import ModelError, UsageError
from dsaecodec.model_store import FOLDER
from dsaecodec.video import Frame420, VideoInfo
from dsaecodec.video.sound import SoundReader


@dataclass(frozen=True)
class EncodeOptions:
    quality: int = 50
    gop: int | None = None
    threads: int | None = None
    device: str = "auto"
    model: str | None = None
    preset: str = "medium"
    num_frames: int | None = None
    max_memory: int | None = None
    resilient: int | None = None


@dataclass
class Progress:
    frames: int
    bytes: int


@dataclass(frozen=True)
class EncodeReport:
    frames: int
    gops: int
    bytes: int
    content_bytes: int
    dynamics_bytes: int
    overhead_bytes: int
    quality: float
    plans: int
    duration: float
    seconds: float
    gain: float | None


@dataclass(frozen=True)
class VerifyReport:
    frames: int
    gops: int
    symbols: str
    pixels: str


class Engine:
    """The codec; remembers how it was called."""

    def __init__(self) -> None:
        self.options: EncodeOptions | None = None
        self.keywords: dict[str, object] = {}
        self.models: list[tuple[object, ...]] = []

    def encode_video(
        self,
        frames: Iterable[Frame420],
        info: VideoInfo,
        sink: BinaryIO,
        options: EncodeOptions,
        progress: Callable[[Progress], None] | None = None,
        sound: SoundReader | None = None,
    ) -> EncodeReport:
        self.options = options
        header = Header(
            b"fake",
            info.width,
            info.height,
            info.fps,
            Colour(info.matrix, info.full_range),
            info.sample_aspect,
            sound.track if sound else None,
        )
        writer = StreamWriter(sink, header)
        count = stored = 0
        for count, frame in enumerate(islice(frames, options.num_frames), start=1):
            payload = b"".join(plane.tobytes() for plane in frame.planes)
            packets = sound.packets_until(count / info.fps) if sound else []
            segments = (Segment(0, 1, payload),)
            writer.write_gop(Gop(options.quality, False, 1, b"", segments, sound=tuple(packets)))
            stored += len(payload)
            sink.flush()
            if progress:
                progress(Progress(count, writer.bytes_written))
            if count == 2:
                _fault(info.width)
        writer.finish()
        total = writer.bytes_written
        gain = 0.07 if options.preset == "slow" else None
        parts = (0, stored, total - stored)
        sizes = (total, *parts)
        return EncodeReport(
            count, count, *sizes, options.quality, count, float(count / info.fps), 0.5, gain
        )

    def decoder(self, source: BinaryIO, **keywords: object) -> FakeDecoder:
        self.keywords = keywords
        start, count = keywords.pop("start", None), keywords.pop("num_frames", None)
        if not keywords.get("conceal"):
            keywords.pop("conceal", None)
        keywords.pop("with_sound", None)
        return FakeDecoder(source, start, count)  # type: ignore[arg-type]

    def verify_stream(self, source: BinaryIO, **keywords: object) -> VerifyReport:
        digest = hashlib.sha256()
        frames = list(self.decoder(source, **keywords))
        for frame in frames:
            digest.update(b"".join(plane.tobytes() for plane in frame.planes))
        return VerifyReport(len(frames), len(frames), "5" * 64, digest.hexdigest())

    def find_model(self, name: str | None, identity: bytes | None = None) -> Path:
        self.models.append((name, identity))
        if name == "missing":
            raise ModelError("missing: no such model", hint="name another")
        return FOLDER / "natural.safetensors"


class FakeDecoder:
    def __init__(self, source: BinaryIO, start: Fraction | None, count: int | None) -> None:
        self._reader = StreamReader(source)
        self._start, self._count = start or Fraction(0), count
        self.faults: list[object] = []
        self.estimated: list[tuple[int, int]] = []
        header = self._reader.header
        self.sound = header.sound
        self._packets: list[SoundPacket] = []
        colour = header.colour
        self.info = VideoInfo(
            header.width,
            header.height,
            header.fps,
            colour.matrix,
            colour.full_range,
            header.sample_aspect,
        )

    def take_sound(self) -> list[SoundPacket]:
        packets, self._packets = self._packets, []
        return packets

    def __iter__(self) -> Iterator[Frame420]:
        height, width = self.info.height, self.info.width
        first, made = int(self._start * self.info.fps), 0
        for index, gop in enumerate(self._reader):
            if index < first:
                continue
            if made == self._count:
                return
            self._packets += gop.sound
            samples = np.frombuffer(gop.segments[0].payload, np.uint8)
            y, rest = samples[: height * width], samples[height * width :]
            u, v = rest.reshape(2, (height + 1) // 2, (width + 1) // 2)
            yield Frame420(y.reshape(height, width), u, v)
            made += 1
        if made == 0:
            raise UsageError("start beyond the end")


def module_of(engine: Engine) -> types.ModuleType:
    """What `import dsaecodec.codec` shall give."""
    module = types.ModuleType("dsaecodec.codec")
    module.__dict__.update(
        EncodeOptions=EncodeOptions,
        EncodeReport=EncodeReport,
        Progress=Progress,
        Decoder=engine.decoder,
        encode_video=engine.encode_video,
        verify_stream=engine.verify_stream,
    )
    return module


def _fault(width: int) -> None:
    if os.environ.get("FAKE_KILLED") == str(width):
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("FAKE_STALL") == str(width):
        time.sleep(60)
