"""Writing `Frame420` to a video file that appears whole or not at all."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av

from dsaecodec.errors import OutputError, UsageError
from dsaecodec.output import binary_stdout, open_output, staged
from dsaecodec.video.frame import (
    BT470BG,
    BT709,
    BT2020,
    SMPTE170M,
    Frame420,
    VideoInfo,
    check_frame,
)
from dsaecodec.video.pixels import pack
from dsaecodec.video.y4m import Y4mWriter

SUFFIXES = (".mp4", ".mkv", ".y4m")

_UNSPECIFIED = 2
# Matrix → (primaries, transfer) that go with it, H.273. BT.2020 may be SDR, PQ or HLG: unknown.
_COLOUR = {
    BT709: (1, 1),
    BT470BG: (5, 6),
    SMPTE170M: (6, 6),
    BT2020: (9, _UNSPECIFIED),
}
_H264_OPTIONS = {"crf": "10", "preset": "veryfast"}


class _Sink(Protocol):
    def write(self, frame: Frame420) -> None: ...
    def close(self) -> None: ...


class VideoWriter:
    """Writes frames to a file whose suffix names the format; a context manager.

    | suffix | coding |
    |---|---|
    | .mp4 | H.264, crf 10: nearly lossless, plays everywhere |
    | .mkv | FFV1: exactly the planes given |
    | .y4m, or "-" for standard output | uncompressed: exactly the planes given |

    The file appears on leaving the context without an error; until then, and after an error or
    Ctrl-C, nothing is there.

    Attributes:
        note: a sentence for the user where the file differs from what its suffix promises.
    """

    note: str | None = None

    def __init__(
        self, destination: str | os.PathLike[str], info: VideoInfo, *, overwrite: bool = False
    ) -> None:
        """Open the output.

        Raises:
            UsageError: unknown suffix, or standard output is a terminal.
            OutputError: the file exists and `overwrite` is False, or cannot be written.
        """
        self._info = info
        suffix = ".y4m" if destination == "-" else Path(destination).suffix.lower()
        if suffix not in SUFFIXES:
            raise UsageError(
                f"{destination}: unknown video suffix, expected one of {', '.join(SUFFIXES)}"
            )
        self._sink: _Sink
        with ExitStack() as resources:
            if suffix == ".y4m":
                stream = (
                    binary_stdout()
                    if destination == "-"
                    else resources.enter_context(open_output(destination, overwrite=overwrite))
                )
                self._sink = Y4mWriter(stream, info)
            else:
                path = resources.enter_context(staged(destination, overwrite=overwrite))
                self._sink = _ContainerSink(path, info, lossless=suffix == ".mkv")
                resources.callback(self._sink.abandon)
                self.note = self._sink.note
            self._resources = resources.pop_all()

    def write(self, frame: Frame420) -> None:
        """Append one frame.

        Raises:
            ValueError: its planes are not of the video's size.
            OutputError: the disk is full or the like.
        """
        check_frame(frame, self._info.height, self._info.width)
        self._sink.write(frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._resources.__exit__(kind, error, trace)  # removes the file
            return
        with self._resources:  # renames the file, or removes it if closing fails
            self._sink.close()


class _ContainerSink:
    """A file written by FFmpeg's encoders and muxers."""

    note: str | None = None

    def __init__(self, path: Path, info: VideoInfo, *, lossless: bool) -> None:
        self._format = "yuv420p"
        if not lossless and (info.width % 2 or info.height % 2):
            self._format = "yuv444p"
            self.note = (
                f"H.264 has no 4:2:0 of odd size: {info.width}x{info.height} is written as 4:4:4, "
                "which some players refuse; .mkv and .y4m keep the planes as they are"
            )
        self._count = 0
        self._tick = 1 / info.fps  # the stream's own time base changes with its header
        self._failure = f"{path.name}: cannot be written"
        try:
            self._container = av.open(str(path), "w")
            self._stream = (
                self._container.add_stream("ffv1", rate=info.fps, options=_ffv1_options(info))
                if lossless
                else self._container.add_stream("libx264", rate=info.fps, options=_H264_OPTIONS)
            )
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self._failure}: {error.strerror}") from error
        self._stream.width, self._stream.height = info.width, info.height
        self._stream.pix_fmt = self._format
        self._stream.time_base = self._tick
        context = self._stream.codec_context
        context.colorspace = info.matrix
        context.color_range = 2 if info.full_range else 1
        context.color_primaries, context.color_trc = _COLOUR.get(info.matrix, (2, 2))

    def write(self, frame: Frame420) -> None:
        packed = pack(frame, self._format)
        packed.pts, packed.time_base = self._count, self._tick
        self._count += 1
        self._mux(packed)

    def close(self) -> None:
        self._mux(None)
        try:
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self._failure}: {error.strerror}") from error

    def abandon(self) -> None:
        """Release the file without finishing it; harmless after `close`."""
        with suppress(av.FFmpegError, OSError):
            self._container.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self._failure}: {error.strerror}") from error


def _ffv1_options(info: VideoInfo) -> dict[str, str]:
    """The default, but FFV1 cannot cut pictures of a few pixels into its default of four slices."""
    return {"level": "3", "slices": "1"} if min(info.height, info.width) < 32 else {}
