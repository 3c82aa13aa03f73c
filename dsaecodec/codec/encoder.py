"""A video to a .dsz stream, one GOP at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from bitstream import Colour, Header, StreamWriter
from dsaecodec.codec.gop_encoder import GopEncoder
from dsaecodec.codec.gop_plan import plan_gops
from dsaecodec.codec.pictures import limited_threads
from dsaecodec.errors import ConfigError, InputVideoError
from dsaecodec.model_io import load_model
from dsaecodec.video.frame import Frame420, VideoInfo

DEFAULT_GOP = 32
MAX_GOP = 128


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode.

    Attributes:
        quality: 0…100, higher is better.
        gop: most frames that share one content; None for the default.
        threads: CPU threads; None leaves the choice to torch.
        device: "auto", "cpu" or "cuda" for the float networks.
        model: name or path of the weights; None for the default.
    """

    quality: int = 50
    gop: int | None = None
    threads: int | None = None
    device: str = "auto"
    model: str | None = None


@dataclass
class Progress:
    """How far an encode is: frames and bytes written."""

    frames: int
    bytes: int


@dataclass(frozen=True)
class EncodeReport:
    """What an encode wrote."""

    frames: int
    gops: int
    bytes: int
    content_bytes: int
    dynamics_bytes: int
    overhead_bytes: int
    seconds: float


def encode_video(
    frames: Iterable[Frame420],
    info: VideoInfo,
    sink: BinaryIO,
    options: EncodeOptions,
    progress: Callable[[Progress], None] | None = None,
) -> EncodeReport:
    """Encode frames into `sink`, one GOP at a time.

    Raises:
        ConfigError: an option is out of range.
        InputVideoError: there are no frames, or they are too large for the format.
        ModelError: weights missing or unusable.
    """
    if not isinstance(options.quality, int) or not 0 <= options.quality <= 100:
        raise ConfigError(f"quality {options.quality}: expected 0…100")
    gop = DEFAULT_GOP if options.gop is None else options.gop
    if not 1 <= gop <= MAX_GOP:
        raise ConfigError(f"GOP of {gop} frames: expected 1…{MAX_GOP}")
    begin = time.monotonic()
    loaded = load_model(options.model, options.device)
    colour = Colour(info.matrix, info.full_range)
    try:
        header = Header(loaded.identity, info.width, info.height, info.fps, colour)
    except ValueError as error:
        raise InputVideoError(f"the video does not fit the format: {error}") from error
    writer = StreamWriter(sink, header)
    encoder = GopEncoder(loaded, info.height, info.width, options.quality)
    num_frames = num_gops = content_bytes = dynamics_bytes = 0
    plans = plan_gops(frames, gop)
    while (plan := next(plans, None)) is not None:
        with limited_threads(options.threads):
            gops = encoder.encode(plan)
        for coded in gops:
            writer.write_gop(coded)
            content_bytes += len(coded.content)
            dynamics_bytes += sum(len(s.payload) for s in coded.segments)
        num_gops, num_frames = num_gops + len(gops), num_frames + len(plan.frames)
        if progress:
            progress(Progress(num_frames, content_bytes + dynamics_bytes))
    if not num_frames:
        raise InputVideoError("no frames to encode")
    writer.finish()
    total = writer.bytes_written
    overhead = total - content_bytes - dynamics_bytes
    seconds = time.monotonic() - begin
    return EncodeReport(
        num_frames, num_gops, total, content_bytes, dynamics_bytes, overhead, seconds
    )
