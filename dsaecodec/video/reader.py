"""Reading a video as a stream of `Frame420`, a few frames in memory at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np
from av.video.reformatter import ColorRange

from dsaecodec.errors import InputVideoError
from dsaecodec.video import y4m
from dsaecodec.video.frame import Frame420, VideoInfo
from dsaecodec.video.matroska import missing_bytes
from dsaecodec.video.pixels import is_full_range, matrix_of, to_420, unpack

_NOT_VIDEO_HINT = "give a video that ffmpeg can read (mp4, mkv, webm, y4m …)"
_PIPE_HINT = "pipe y4m: ffmpeg -i IN -f yuv4mpegpipe - | dsaecodec encode - -o OUT.dsz"


class VideoReader:
    """Frames of an open video, read once, in order; a context manager.

    Attributes:
        info: size, rate and colour.
    """

    def __init__(self, info: VideoInfo, frames: Iterator[Frame420], resources: ExitStack) -> None:
        self.info = info
        self._frames = frames
        self._resources = resources

    def __iter__(self) -> Iterator[Frame420]:
        return self._frames

    def close(self) -> None:
        """Release the file."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_video(source: str | os.PathLike[str] | BinaryIO) -> VideoReader:
    """Open a video file, a binary stream, or y4m on standard input ("-").

    Pictures that are not 8-bit 4:2:0 are converted; the YUV matrix and range are kept as tagged
    (BT.709 and limited where untagged, as players assume). Rotation tags are applied.

    Args:
        source: path, "-", or binary file object. What cannot seek must be y4m.

    Raises:
        InputVideoError: it is missing, not a video, has no video stream or no frame. While
            iterating: it is truncated or cannot be decoded.
    """
    with ExitStack() as resources:
        stream, name = _open_stream(source, resources)
        seekable = stream.seekable()
        if stream.read(len(y4m.MAGIC)) == y4m.MAGIC:
            info, frames = _open_y4m(stream, name)
        elif seekable:
            stream.seek(0)
            info, frames = _open_container(stream, name, resources)
        else:
            raise InputVideoError(f"{name}: not y4m, and a pipe must be", hint=_PIPE_HINT)
        return VideoReader(info, frames, resources.pop_all())


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
    except IsADirectoryError:
        raise InputVideoError(f"{name}: is a directory, expected a video file") from None
    except OSError as error:
        raise InputVideoError(f"{name}: cannot be read: {error.strerror}") from None


def _open_y4m(stream: BinaryIO, name: str) -> tuple[VideoInfo, Iterator[Frame420]]:
    header = y4m.read_header(stream, name)
    template = av.VideoFrame(header.width, header.height, header.pixel_format)
    template.color_range = ColorRange.JPEG if header.full_range else ColorRange.MPEG
    payload_bytes = unpack(template, None)
    info = VideoInfo(
        width=header.width,
        height=header.height,
        fps=header.fps,
        matrix=matrix_of(template),
        full_range=is_full_range(template),
        num_frames=y4m.count_frames(stream, payload_bytes),
    )

    def frames() -> Iterator[Frame420]:
        for payload in y4m.iter_payloads(stream, payload_bytes, name):
            unpack(template, payload)
            yield to_420(template, info.matrix, info.full_range)

    return info, frames()


def _open_container(
    stream: BinaryIO, name: str, resources: ExitStack
) -> tuple[VideoInfo, Iterator[Frame420]]:
    missing = missing_bytes(stream)
    if missing:
        raise InputVideoError(f"{name}: truncated: the last {missing} bytes are missing")
    try:
        container = resources.enter_context(av.open(stream, "r"))
    except (av.FFmpegError, ValueError, OSError):
        raise InputVideoError(
            f"{name}: not a video, or cut short before its index", hint=_NOT_VIDEO_HINT
        ) from None
    video = container.streams.best("video")
    if not isinstance(video, av.VideoStream):
        raise InputVideoError(f"{name}: has no video stream", hint=_NOT_VIDEO_HINT)
    video.thread_type = "AUTO"
    decoded = _iter_decoded(container, video, name)
    first = next(decoded, None)
    if first is None:
        raise InputVideoError(f"{name}: has no frame that can be decoded", hint=_NOT_VIDEO_HINT)
    info = _describe(container, video, first)
    return info, _iter_converted(chain([first], decoded), info, name)


def _describe(
    container: av.container.InputContainer, video: av.VideoStream, first: av.VideoFrame
) -> VideoInfo:
    turned = first.rotation % 180 == 90
    fps = Fraction(video.average_rate or video.guessed_rate or 25)
    duration = container.duration  # microseconds
    return VideoInfo(
        width=first.height if turned else first.width,
        height=first.width if turned else first.height,
        fps=fps,
        matrix=matrix_of(first),
        full_range=is_full_range(first),
        num_frames=video.frames or (round(duration * fps / 10**6) if duration else None),
    )


def _iter_decoded(
    container: av.container.InputContainer, video: av.VideoStream, name: str
) -> Iterator[av.VideoFrame]:
    count, cut_short = 0, False
    try:
        for packet in container.demux(video):
            if packet.size:
                cut_short = packet.is_corrupt  # of the last packet: the file ends inside it
            for frame in packet.decode():
                yield frame
                count += 1
    except av.FFmpegError:
        raise InputVideoError(
            f"{name}: truncated or damaged: frame {count} cannot be decoded",
            hint="encode the intact part with --frames" if count else _NOT_VIDEO_HINT,
        ) from None
    if cut_short:
        raise InputVideoError(f"{name}: truncated: the last frame is incomplete")


def _iter_converted(
    decoded: Iterator[av.VideoFrame], info: VideoInfo, name: str
) -> Iterator[Frame420]:
    for index, frame in enumerate(decoded):
        planes = to_420(frame, info.matrix, info.full_range)
        quarters = frame.rotation // 90
        if quarters:
            y, u, v = (np.ascontiguousarray(np.rot90(p, quarters)) for p in planes.planes)
            planes = Frame420(y, u, v)
        if planes.y.shape != (info.height, info.width):
            height, width = planes.y.shape
            raise InputVideoError(
                f"{name}: frame {index} is {width}x{height}, expected {info.width}x{info.height}",
                hint="the size changes inside the file: convert it with ffmpeg -vf scale",
            )
        yield planes
