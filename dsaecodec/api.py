"""The Python interface: frames to bytes and back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from fractions import Fraction
from functools import partial
from io import BytesIO
from itertools import chain
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

import bitstream
from dsaecodec.codec import Decoder, EncodeOptions, EncodeReport, encode_video
from dsaecodec.errors import BitstreamError
from dsaecodec.input_file import open_input
from dsaecodec.limits import DEFAULT_LIMITS, Limits
from dsaecodec.model_choice import choose_model
from dsaecodec.model_store import VECTOR, find_model, read_form
from dsaecodec.rate import parse_fps
from dsaecodec.rate_control import SizeLimit, check_readable_again, encode_to_size
from dsaecodec.video import Frame420, VideoInfo, frame_to_rgb, open_video, rgb_to_420, rgb_to_planes
from dsaecodec.video.frame import RGB
from dsaecodec.video.sound import open_sound

RgbFrame = NDArray[np.uint8]

DEFAULT_FPS = 25


def encode(
    source: str | os.PathLike[str] | Iterable[RgbFrame],
    *,
    quality: float = 50,
    target_size: int | None = None,
    bitrate: int | None = None,
    preset: str = "medium",
    gop: int | None = None,
    resilient: int | None = None,
    fps: int | float | Fraction | None = None,
    audio: str = "opus:32k",
    threads: int | None = None,
    device: str = "auto",
    model: str | None = None,
) -> bytes:
    """Encode a video.

    Args:
        source: path of a video, or RGB frames, uint8 [H, W, 3], all of one size.
        quality: 0…100, higher is better and larger.
        target_size: most bytes, instead of a quality: the video is encoded several times, and
            frames are all held meanwhile.
        bitrate: most bits a second, likewise.
        preset: "fast", "medium" or "slow": how much work goes into a better file.
        gop: most frames that share one content latent; None lets the encoder choose.
        resilient: a dynamics record for so many frames each, see `decode(conceal=True)`.
        fps: frames per second; None: a path's own, 25 for frames. Rounded rates of television
            are known: 29.97 is 30000/1001.
        audio: of a path: "opus:32k" codes its sound with Opus at so many bits a second, "copy"
            keeps it as it is coded, "none" leaves it out.
        threads: CPU threads, None for all.
        device: "auto", "cpu" or "cuda", for everything but the entropy model.
        model: name or path of the weights; None: of frames the default, of a path what costs
            least, see `model_choice`.

    Returns:
        The bytes of a .dsz file.

    Raises:
        CodecError: see `dsaecodec.errors`.
        ValueError: no frame, frames that differ in size, or a senseless rate.
    """
    limit = SizeLimit(target_size, bitrate)
    options = EncodeOptions(
        quality=quality,
        preset=preset,
        gop=gop,
        threads=threads,
        device=device,
        model=model,
        resilient=resilient,
    )
    rate = None if fps is None else _exact_rate(fps)
    if isinstance(source, (str, os.PathLike)):
        if limit:
            check_readable_again(source)
        choice = choose_model(options.model, source, options.quality, options.device)
        options = replace(options, model=choice.model)
        once = partial(_encode_path, source, rate, audio, choice.rgb, options)
    else:
        once = partial(_encode_frames, list(source) if limit else source, rate, options)
    sink = BytesIO()
    if limit:
        encode_to_size(once, limit, sink)
    else:
        once(quality, sink)
    return sink.getvalue()


def _encode_frames(
    source: Iterable[RgbFrame],
    fps: Fraction | None,
    options: EncodeOptions,
    quality: float,
    sink: BinaryIO,
) -> EncodeReport:
    rgb = options.model is not None and read_form(find_model(options.model)) == VECTOR
    frames = iter(source)
    first = next(frames, None)
    if first is None:
        raise ValueError("no frame to encode")
    height, width = first.shape[:2]
    info = VideoInfo(width, height, fps or Fraction(DEFAULT_FPS))
    if rgb:
        info = replace(info, matrix=RGB, full_range=True)
    options = replace(options, quality=quality)
    return encode_video(_converted(chain([first], frames), info), info, sink, options)


def _encode_path(
    path: str | os.PathLike[str],
    fps: Fraction | None,
    audio: str,
    rgb: bool,
    options: EncodeOptions,
    quality: float,
    sink: BinaryIO,
) -> EncodeReport:
    with open_video(path, fps=fps, rgb=rgb) as video:
        sound = None
        if os.path.isfile(path) and not video.retimed:
            sound = open_sound(path, audio, video.start)
        with sound or nullcontext():
            options = replace(options, quality=quality)
            return encode_video(video, video.info, sink, options, sound=sound)


def decode(
    source: bytes | str | os.PathLike[str],
    *,
    start: int | float | Fraction | None = None,
    num_frames: int | None = None,
    conceal: bool = False,
    threads: int | None = None,
    device: str = "auto",
    model: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[RgbFrame]:
    """Decode a .dsz stream, or a part of it.

    Args:
        source: the bytes, or the path of a file.
        start: seconds: begin with the frame that is shown then; None: with the first.
        num_frames: how many frames, None for all.
        conceal: of a damaged stream, show what is left and estimate what is not.
        threads: CPU threads, None for all.
        device: "auto", "cpu" or "cuda", for everything but the entropy model.
        model: name or path of the weights, None for those the stream names.
        limits: what the stream may ask for; `LimitError` if it asks for more.

    Returns:
        An iterator of RGB frames, uint8 [H, W, 3]; frames are decoded as they are asked for.

    Raises:
        BitstreamError: a record is damaged, missing or malformed: raised here, before a frame is
            decoded, but of a part as it is read; coder bytes that no encoder makes: raised while
            iterating.
        ModelError: the weights are missing or not the stream's.
        UsageError: `start` is beyond the end.
    """
    with ExitStack() as resources:
        stream: BinaryIO = (
            BytesIO(source) if isinstance(source, bytes) else _open(source, resources)
        )
        if start is None and num_frames is None and not conceal:
            limits.check_summary(bitstream.scan(stream), threads)
            stream.seek(0)
        decoder = Decoder(
            stream,
            device=device,
            threads=threads,
            model=model,
            start=None if start is None else _exact(start),
            num_frames=num_frames,
            limits=limits,
            conceal=conceal,
        )
        return _iter_rgb(decoder, resources.pop_all())


def _exact(number: int | float | Fraction) -> Fraction:
    """A float as its shortest decimals: 0.12 is 3/25, not a little less."""
    return Fraction(repr(float(number))) if isinstance(number, float) else Fraction(number)


def _exact_rate(fps: int | float | Fraction) -> Fraction:
    """A rate as the format states it; a float is read as its shortest decimals."""
    return parse_fps(repr(float(fps)) if isinstance(fps, float) else str(fps))


def _converted(frames: Iterable[RgbFrame], info: VideoInfo) -> Iterator[Frame420]:
    for index, rgb in enumerate(frames):
        if rgb.shape != (info.height, info.width, 3):
            expected = [info.height, info.width, 3]
            raise ValueError(f"frame {index} is {list(rgb.shape)}, expected {expected}")
        as_rgb = info.matrix == RGB
        yield rgb_to_planes(rgb) if as_rgb else rgb_to_420(rgb, info.matrix, info.full_range)


def _iter_rgb(decoder: Decoder, resources: ExitStack) -> Iterator[RgbFrame]:
    with resources:
        for frame in decoder:
            yield frame_to_rgb(frame, decoder.info.matrix, decoder.info.full_range)


def _open(path: str | os.PathLike[str], resources: ExitStack) -> BinaryIO:
    return resources.enter_context(open_input(path, BitstreamError, os.fspath(path)))
