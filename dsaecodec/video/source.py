"""What a video may come from, each made into an iterable of pictures and what is known of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.video.reformatter import ColorRange

from dsaecodec.errors import InputVideoError
from dsaecodec.video import images, y4m
from dsaecodec.video.decoding import Picture, StreamDecoder
from dsaecodec.video.demuxing import NOT_VIDEO_HINT, choose_video, open_container
from dsaecodec.video.pixels import unpack
from dsaecodec.video.timing import DEFAULT_FPS, Rate, StatedRate, limited, nominal_rate

_PIPE_HINT = "pipe y4m: ffmpeg -i IN -f yuv4mpegpipe - | dsaecodec encode - -o OUT.dsz"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*", re.DOTALL)
_LARGEST_ASPECT = 1 << 16
_WIDEST = 100  # pixels are not a hundred times as wide as high, or the other way round
_REORDERED = 16  # packets by which a codec may change the order of frames
_HEAD_BYTES = 1 << 18
# FFmpeg has these files' timestamps made up from a rate of 25.
_RAW = {"h264", "hevc", "vvc", "m4v", "mpegvideo", "mjpeg", "rawvideo", "obu", "h263", "h261"}


@dataclass(frozen=True)
class Source:
    """An open video.

    Attributes:
        name: what to call it in messages.
        pictures: to be iterated over once.
        rate: of the frames.
        timed: whether pictures have times of their own.
        rated: whether it states a rate.
        start: time of the first picture if that has none itself, seconds.
        num_frames: a hint.
        sample_aspect: width of a pixel over its height, before turning.
        parity: see `dsaecodec.video.interlace`.
        notes: sentences for the user.
        num_damaged: pictures skipped so far.
        problem: asked after the last picture: what is wrong with the source, if anything.
        hint: what to do where no picture can be read.
    """

    name: str
    pictures: Iterable[Picture]
    rate: Rate
    timed: bool = False
    rated: bool = True
    start: Fraction = Fraction(0)
    num_frames: int | None = None
    sample_aspect: Fraction = Fraction(1)
    parity: str = "auto"
    notes: list[str] = field(default_factory=list)
    num_damaged: Callable[[], int] = lambda: 0
    problem: Callable[[], str | None] = lambda: None
    hint: str = NOT_VIDEO_HINT


def open_source(source: str | os.PathLike[str] | BinaryIO, resources: ExitStack) -> Source:
    """Open whatever `source` names, see `dsaecodec.video.open_video`.

    Raises:
        InputVideoError: it is not there, or nothing that can be read as a video.
    """
    if isinstance(source, (str, os.PathLike)) and source != "-":
        name = os.fspath(source)
        if _ADDRESS.fullmatch(name):
            raise InputVideoError(
                f"{name}: is an address, expected a file", hint="download it first"
            )
        notes: list[str] = []
        if os.path.isdir(name):
            return _open_images(name, images.list_folder(name), notes)
        if images.is_pattern(name):
            return _open_images(name, images.list_pattern(name, notes), notes)
    stream, name = _open_stream(source, resources)
    seekable = stream.seekable()
    if stream.read(len(y4m.MAGIC)) == y4m.MAGIC:
        return _open_y4m(stream, name)
    if not seekable:
        raise InputVideoError(f"{name}: not y4m, and a pipe must be", hint=_PIPE_HINT)
    return _open_container(stream, name, resources)


def _open_stream(
    source: str | os.PathLike[str] | BinaryIO, resources: ExitStack
) -> tuple[BinaryIO, str]:
    """Return a stream to read from and its name for messages."""
    if not isinstance(source, (str, os.PathLike)):
        return source, str(getattr(source, "name", "input"))
    if source == "-":
        if sys.stdin.isatty():
            raise InputVideoError("standard input is a terminal, not a video", hint=_PIPE_HINT)
        return sys.stdin.buffer, "standard input"
    name = os.fspath(source)
    try:
        return resources.enter_context(open(name, "rb")), name
    except FileNotFoundError:
        raise InputVideoError(f"{name}: no such file") from None
    except OSError as error:
        raise InputVideoError(f"{name}: cannot be read: {error.strerror}") from None


def _open_images(name: str, files: list[Path], notes: list[str]) -> Source:
    decoder = images.ImageDecoder(files)
    return Source(
        name,
        decoder,
        Rate(DEFAULT_FPS, True),
        rated=False,
        num_frames=len(files),
        notes=notes,
        num_damaged=lambda: decoder.num_damaged,
    )


def _open_y4m(stream: BinaryIO, name: str) -> Source:
    header = y4m.read_header(stream, name)
    template = av.VideoFrame(header.width, header.height, header.pixel_format)
    payload_bytes = unpack(template, None)
    num_frames = y4m.count_frames(stream, payload_bytes)

    def pictures() -> Iterator[Picture]:
        for payload in y4m.iter_payloads(stream, payload_bytes, name):
            frame = av.VideoFrame(header.width, header.height, header.pixel_format)
            frame.color_range = ColorRange.JPEG if header.full_range else ColorRange.MPEG
            unpack(frame, payload)
            yield Picture(frame)

    return Source(
        name,
        pictures(),
        Rate(limited(header.fps), True),
        num_frames=num_frames,
        sample_aspect=_aspect(header.sample_aspect),
        parity=header.parity,
        hint="it has no frames",
    )


def _open_container(stream: BinaryIO, name: str, resources: ExitStack) -> Source:
    container = resources.enter_context(open_container(stream, name))
    notes: list[str] = []
    video = choose_video(container, name, notes)
    if video.metadata.get("alpha_mode") == "1":
        notes.append("alpha is dropped")
    decoder = StreamDecoder(container, video, stream, name)
    image = images.is_image(container)
    timed = not image and container.format.name not in _RAW
    stated = None if image else video.codec_context.framerate
    rate = _rate(video, decoder) if timed else Rate(limited(stated or DEFAULT_FPS), True)
    start = Fraction(video.start_time or 0) * (video.time_base or 0)
    pictures: Iterable[Picture] = decoder
    if image:
        stream.seek(0)
        head = stream.read(_HEAD_BYTES)
        pictures = (images.upright_image(picture, head) for picture in decoder)
    return Source(
        name,
        pictures,
        rate,
        timed,
        timed or bool(stated),
        start if timed else Fraction(0),
        _length(container, video, decoder, rate.fps) if timed else None,
        _aspect(video.sample_aspect_ratio),
        notes=notes,
        num_damaged=lambda: decoder.num_damaged,
        problem=decoder.missing,
    )


def _rate(video: av.VideoStream, decoder: StreamDecoder) -> Rate:
    """The rate by the first packets' times, with what the container says."""
    base = video.time_base or Fraction(1)
    shown = sorted(
        (packet.pts, packet.duration or 0)
        for packet in decoder.sample
        if packet.pts is not None and not packet.is_discard
    )
    end = None
    if decoder.complete and shown:
        end = (shown[-1][0] + shown[-1][1]) * base if shown[-1][1] else None
    elif len(shown) > 2 * _REORDERED:
        shown = shown[:-_REORDERED]
    stated = StatedRate(video.average_rate, (video.base_rate, video.guessed_rate), video.frames)
    return nominal_rate([pts * base for pts, _ in shown], stated, end)


def _length(
    container: av.container.InputContainer,
    video: av.VideoStream,
    decoder: StreamDecoder,
    fps: Fraction,
) -> int | None:
    if decoder.complete:
        return sum(not packet.is_discard for packet in decoder.sample)
    if video.frames:
        return video.frames
    return round(container.duration * fps / 10**6) if container.duration else None


def _aspect(aspect: Fraction | None) -> Fraction:
    """A pixel's shape if it makes sense, 1 if not."""
    if not aspect or not Fraction(1, _WIDEST) <= aspect <= _WIDEST:
        return Fraction(1)
    if max(aspect.numerator, aspect.denominator) > _LARGEST_ASPECT:
        return aspect.limit_denominator(_LARGEST_ASPECT // _WIDEST)
    return aspect
