"""Writing `Frame420` to a video file that appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av

from bitstream.sound import SoundPacket, SoundTrack
from dsaecodec.errors import OutputError, UsageError
from dsaecodec.output import binary_stdout, is_special, open_output, staged
from dsaecodec.output_folder import DEFAULT_NAME, NumberedFolder
from dsaecodec.video.container_sink import CODINGS, ContainerSink
from dsaecodec.video.frame import BT709, RGB, Frame420, VideoInfo, check_frame
from dsaecodec.video.frame_times import is_even
from dsaecodec.video.pixels import frame_to_rgb, rgb_to_420, rgb_to_444
from dsaecodec.video.png_folder import PngFolder
from dsaecodec.video.sound_mux import SoundMuxer
from dsaecodec.video.y4m_writer import Y4mWriter

SUFFIXES = (*CODINGS, ".y4m", ".png")
_MUST_SEEK = (".mp4", ".mov")


class _Sink(Protocol):
    def write(self, frame: Frame420) -> None: ...
    def close(self) -> None: ...


class VideoWriter:
    """Writes frames to a file whose suffix names the format; a context manager.

    | destination | pictures | sound |
    |---|---|---|
    | .mp4, .mov | H.264, crf 10: nearly lossless, plays everywhere | as it is, or Opus (PCM) |
    | .webm | VP9, crf 8 at its real-time speed: the same for browsers | as it is, or Opus |
    | .mkv | FFV1: exactly the planes given, RGB too | as it is |
    | .y4m, "-" for standard output, a pipe | uncompressed: exactly the YUV planes given | none |
    | folder/%05d.png, or "folder/" for the same | RGB pictures, numbered from 0 | none |

    Matrix, primaries, transfer and range are tagged where the format can; so is the shape of the
    pixels. Frames with ticks are shown at these times, those without evenly. RGB becomes YUV of
    BT.709 and limited range, of 4:4:4 in .y4m and of 4:2:0 in .mp4, .mov and .webm.

    The file, or the folder, appears on leaving the context without an error; until then, and
    after an error or Ctrl-C, nothing is there.

    Attributes:
        notes: sentences for the user where the file differs from the video given, or from what
            its suffix promises.
    """

    def __init__(
        self,
        destination: str | os.PathLike[str],
        info: VideoInfo,
        *,
        overwrite: bool = False,
        sound: SoundTrack | None = None,
    ) -> None:
        """Open the output.

        Raises:
            UsageError: unknown suffix, or standard output is a terminal.
            OutputError: the file exists and `overwrite` is False, or cannot be written.
        """
        self.notes: list[str] = []
        self._info, self._name = info, os.fspath(destination)
        self._count, self._even = 0, True
        self._container: ContainerSink | None = None
        self._convert: Callable[[Frame420], Frame420] = _as_it_is
        with ExitStack() as resources:
            self._resources = resources
            self._sink = self._open(overwrite, sound)
            self._resources = resources.pop_all()

    def write(self, frame: Frame420) -> None:
        """Append one frame.

        Raises:
            ValueError: its planes are not of the video's size, or its ticks do not increase.
            OutputError: the disk is full or the like. On standard output an OSError.
        """
        check_frame(frame, self._info.height, self._info.width, self._info.matrix)
        if (
            self._even
            and self._container is None
            and not is_even(frame, self._count, self._info.fps)
        ):
            self._even = False
            self.notes.append(
                f"{self._name}: cannot hold the varying times of its frames, which are written "
                f"as if even; {', '.join(CODINGS)} can"
            )
        with self._failing():
            self._sink.write(self._convert(frame)._replace(ticks=frame.ticks))
        self._count += 1

    def write_sound(self, packets: Iterable[SoundPacket]) -> None:
        """Append sound packets, from a GOP ahead of the frames to not long after them.

        Raises:
            OutputError: as `write`.
        """
        if self._container is not None:
            with self._failing():
                self._container.write_sound(packets)

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
        with self._resources, self._failing():  # renames the file, or removes it if closing fails
            self._sink.close()

    def _open(self, overwrite: bool, sound: SoundTrack | None) -> _Sink:
        enter = self._resources.enter_context
        folder = NumberedFolder.of(self._name)
        suffix = Path(self._name).suffix.lower()
        if self._name == "-" or (suffix not in SUFFIXES and is_special(self._name)):
            suffix = ".y4m"
        if sound is not None and (folder is not None or suffix == ".y4m"):
            where = "standard output" if self._name == "-" else self._name
            self.notes.append(f"{where}: cannot hold sound, which is left out")
        if folder is not None:
            return PngFolder(enter(folder.staged(overwrite=overwrite)), folder.name, self._info)
        if suffix == ".y4m":
            stream = binary_stdout()
            if self._name != "-":
                stream = enter(open_output(self._name, overwrite=overwrite))
            if self._info.matrix == RGB:
                return Y4mWriter(stream, self._as_yuv("4:4:4", rgb_to_444), "444")
            return Y4mWriter(stream, self._info)
        if suffix not in CODINGS:
            raise UsageError(
                f"{self._name}: unknown video suffix, expected one of {', '.join(SUFFIXES)}",
                hint=f"pictures go to a folder: {os.path.join(self._name, DEFAULT_NAME)}",
            )
        if suffix in _MUST_SEEK and is_special(self._name):
            raise OutputError(
                f"{self._name}: is a pipe or device, {suffix} expects a file",
                hint=".mkv, .webm and .y4m go into pipes",
            )
        path = enter(staged(self._name, overwrite=overwrite))
        muxer = SoundMuxer.of(sound, suffix, self.notes) if sound else None
        info = self._info
        if info.matrix == RGB and suffix != ".mkv":
            info = self._as_yuv("4:2:0", _rgb_to_420)
        self._container = ContainerSink(path, info, CODINGS[suffix], muxer, self.notes)
        self._resources.callback(self._container.abandon)
        return self._container

    def _as_yuv(self, sampling: str, convert: Callable[[Frame420], Frame420]) -> VideoInfo:
        """Has RGB frames converted for a file that holds none; what the file is to say of them."""
        self._convert = convert
        where = "standard output" if self._name == "-" else self._name
        self.notes.append(
            f"{where}: RGB is written as YUV {sampling}; .mkv and folders of .png hold it exactly"
        )
        return replace(self._info, matrix=BT709, full_range=False)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turn what the system or FFmpeg refuse into an OutputError.

        A reader that went away is a BrokenPipeError; standard output is the command line's to
        speak of.
        """
        try:
            yield
        except BrokenPipeError:
            raise
        except (av.FFmpegError, OSError, OverflowError) as error:
            if self._name == "-":
                raise
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"{self._name}: cannot be written: {reason}") from error


def _as_it_is(frame: Frame420) -> Frame420:
    return frame


def _rgb_to_420(frame: Frame420) -> Frame420:
    """RGB planes as YUV 4:2:0 of BT.709 and limited range."""
    return rgb_to_420(frame_to_rgb(frame, RGB))
