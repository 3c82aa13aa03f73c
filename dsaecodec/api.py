"""The Python interface: frames to bytes and back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from io import BytesIO
from itertools import chain
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

import bitstream
from dsaecodec.codec import Decoder, EncodeOptions, encode_video
from dsaecodec.errors import BitstreamError
from dsaecodec.video import Frame420, VideoInfo, frame_to_rgb, open_video, rgb_to_420

RgbFrame = NDArray[np.uint8]

_FPS_DENOMINATOR = 1001  # finds 30000/1001 again when it was rounded to a float


def encode(
    source: str | os.PathLike[str] | Iterable[RgbFrame],
    *,
    quality: int = 50,
    gop: int | None = None,
    fps: int | float | Fraction = 25,
    threads: int | None = None,
    device: str = "auto",
    model: str | None = None,
) -> bytes:
    """Encode a video.

    Args:
        source: path of a video, or RGB frames, uint8 [H, W, 3], all of one size.
        quality: 0…100, higher is better and larger.
        gop: frames that share one content latent; None lets the encoder choose.
        fps: frames per second of frames; a path's own rate is used.
        threads: CPU threads, None for all.
        device: "auto", "cpu" or "cuda", for everything but the entropy model.
        model: name or path of the weights, None for the default.

    Returns:
        The bytes of a .dsz file.

    Raises:
        CodecError: see `dsaecodec.errors`.
        ValueError: no frame, or frames that differ in size.
    """
    options = EncodeOptions(quality=quality, gop=gop, threads=threads, device=device, model=model)
    sink = BytesIO()
    if isinstance(source, (str, os.PathLike)):
        with open_video(source) as video:
            encode_video(video, video.info, sink, options)
    else:
        frames = iter(source)
        first = next(frames, None)
        if first is None:
            raise ValueError("no frame to encode")
        height, width = first.shape[:2]
        rate = Fraction(fps).limit_denominator(_FPS_DENOMINATOR)
        info = VideoInfo(width=width, height=height, fps=rate)
        encode_video(_converted(chain([first], frames), info), info, sink, options)
    return sink.getvalue()


def decode(
    source: bytes | str | os.PathLike[str],
    *,
    threads: int | None = None,
    device: str = "auto",
    model: str | None = None,
) -> Iterator[RgbFrame]:
    """Decode a .dsz stream.

    Args:
        source: the bytes, or the path of a file.
        threads: CPU threads, None for all.
        device: "auto", "cpu" or "cuda", for everything but the entropy model.
        model: name or path of the weights, None for those the stream names.

    Returns:
        An iterator of RGB frames, uint8 [H, W, 3]; frames are decoded as they are asked for.

    Raises:
        BitstreamError: a record is damaged, missing or malformed: raised here, before a frame is
            decoded; coder bytes that no encoder makes: raised while iterating.
        ModelError: the weights are missing or not the stream's.
    """
    with ExitStack() as resources:
        stream: BinaryIO = (
            BytesIO(source) if isinstance(source, bytes) else _open(source, resources)
        )
        bitstream.scan(stream)
        stream.seek(0)
        decoder = Decoder(stream, device=device, threads=threads, model=model)
        return _iter_rgb(decoder, resources.pop_all())


def _converted(frames: Iterable[RgbFrame], info: VideoInfo) -> Iterator[Frame420]:
    for index, rgb in enumerate(frames):
        if rgb.shape != (info.height, info.width, 3):
            expected = [info.height, info.width, 3]
            raise ValueError(f"frame {index} is {list(rgb.shape)}, expected {expected}")
        yield rgb_to_420(rgb, info.matrix, info.full_range)


def _iter_rgb(decoder: Decoder, resources: ExitStack) -> Iterator[RgbFrame]:
    with resources:
        for frame in decoder:
            yield frame_to_rgb(frame, decoder.info.matrix, decoder.info.full_range)


def _open(path: str | os.PathLike[str], resources: ExitStack) -> BinaryIO:
    try:
        return resources.enter_context(open(path, "rb"))
    except OSError as error:
        raise BitstreamError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error
