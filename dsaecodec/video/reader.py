"""Reading a video as a stream of `Frame420`, a few frames in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from types import TracebackType
from typing import BinaryIO, Self

from bitstream.limits import MAX_PIXELS, MAX_SIDE
from dsaecodec.errors import InputVideoError
from dsaecodec.video.conversion import Converter, counted
from dsaecodec.video.decoding import Picture
from dsaecodec.video.frame import Frame420, VideoInfo
from dsaecodec.video.interlace import Deinterlacer
from dsaecodec.video.opening import open_source
from dsaecodec.video.source import Source
from dsaecodec.video.timing import InputClock, limited


class VideoReader:
    """Frames of an open video, read once, in order; a context manager.

    Attributes:
        info: size, rate and colour.
        start: time of the first frame on the container's clock, seconds.
    """

    def __init__(
        self,
        source: Source,
        first: Picture,
        pictures: Iterator[Picture],
        fps: Fraction | None,
        *,
        rgb: bool = False,
    ) -> None:
        self._source = source
        self._interlace = Deinterlacer(source.parity)
        self._interlace.found |= first.frame.interlaced_frame
        self._converter = Converter(first, rgb=rgb)
        self._resources = ExitStack()
        self._check_size()
        self.start = source.start if first.time is None else first.time
        self._timed = source.timed and fps is None
        self._fps = fps
        rate = source.rate if fps is None else source.rate._replace(fps=limited(fps))
        aspect = source.sample_aspect
        self.info = VideoInfo(
            width=self._converter.width,
            height=self._converter.height,
            fps=rate.fps,
            matrix=self._converter.matrix,
            full_range=self._converter.full_range,
            sample_aspect=1 / aspect if first.orientation.transpose else aspect,
            num_frames=source.num_frames,
        )
        self._clock: InputClock[Frame420] = InputClock(rate, self.start)
        self._frames = self._read(chain([first], pictures))

    @property
    def timed(self) -> bool:
        """Whether the file says when its frames are shown."""
        return self._source.timed

    @property
    def retimed(self) -> bool:
        """Whether its frames are shown at another rate than the file says."""
        return self._source.timed and self._fps is not None

    @property
    def notes(self) -> list[str]:
        """What is not as in the file, sentences for the user; complete when all frames are read."""
        notes = [*self._source.notes, *self._converter.notes]
        if self._interlace.found:
            notes.append("interlaced: deinterlaced")
        if self.retimed:
            notes.append(f"its own times are replaced by an even rate of {self._fps} a second")
        if self._fps is None and not self._source.rated:
            notes.append(f"no frame rate is stated: {self.info.fps} a second are assumed")
        damaged = self._source.num_damaged()
        if damaged:
            were = "was" if damaged == 1 else "were"
            notes.append(
                f"{counted(damaged, 'damaged frame')} in {self._source.name} {were} skipped"
            )
        return notes

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

    def keep(self, resources: ExitStack) -> Self:
        """Release these on closing."""
        self._resources = resources
        return self

    def _check_size(self) -> None:
        width, height = self._converter.width, self._converter.height
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise InputVideoError(
                f"{self._source.name}: pictures of {width}x{height}, expected at most {MAX_SIDE} "
                f"a side and {MAX_PIXELS} pixels",
                hint="reduce them first: ffmpeg -i IN -vf scale=4096:-2 OUT.mkv",
            )

    def _read(self, pictures: Iterator[Picture]) -> Iterator[Frame420]:
        count = 0
        for frame in self._timed_frames(pictures):
            yield frame
            count += 1
        problem = self._source.problem()
        if problem:
            raise InputVideoError(
                f"{self._source.name}: {problem}",
                hint=f"use the {count} before: --frames {count}",
            )

    def _timed_frames(self, pictures: Iterator[Picture]) -> Iterator[Frame420]:
        for picture in self._interlace.run(pictures):
            frame = self._converter.convert(picture)
            if not self._timed:
                yield frame
                continue
            for ready, ticks in self._clock.push(frame, picture.time):
                yield ready._replace(ticks=ticks)
        for ready, ticks in self._clock.finish():
            yield ready._replace(ticks=ticks)


def open_video(
    source: str | os.PathLike[str] | BinaryIO, *, fps: Fraction | None = None, rgb: bool = False
) -> VideoReader:
    """Open a video file, a folder or pattern of images, a binary stream, or y4m on stdin ("-").

    Pictures come as 8-bit 4:2:0, upright, progressive, all of the first one's size; the matrix and
    range are kept as tagged (BT.709 and limited where untagged, as players assume), HDR becomes
    SDR, transparent parts are over black. `VideoReader.notes` says what was changed.

    Frames have `ticks` where the source has timestamps: strictly increasing from 0, and those of
    an even rate where it runs at one. Damaged frames are skipped and leave a gap in the times.

    Args:
        source: path of a file or folder; a pattern such as "frame_%04d.png"; "-"; or a binary
            file object. What cannot seek must be y4m.
        fps: rate of images and raw streams, which have none (25 otherwise). The timestamps of
            any other file are replaced by this even rate.
        rgb: pictures come as RGB, see `Frame420`, whatever they are in the file.

    Raises:
        InputVideoError: it is missing, not a video, has no video stream or no frame. While
            iterating, after the last intact frame: it is truncated.
    """
    with ExitStack() as resources:
        opened = open_source(source, resources)
        pictures = iter(opened.pictures)
        first = next(pictures, None)
        if first is None:
            problem = opened.problem()
            found = problem or "has no frame that can be decoded"
            raise InputVideoError(f"{opened.name}: {found}", hint=None if problem else opened.hint)
        return VideoReader(opened, first, pictures, fps, rgb=rgb).keep(resources.pop_all())
