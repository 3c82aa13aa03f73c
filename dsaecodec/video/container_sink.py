"""Writing a file by FFmpeg's encoders and muxers."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from bitstream.sound import SoundPacket
from dsaecodec.video.frame import BT470BG, BT709, BT2020, RGB, SMPTE170M, Frame420, VideoInfo
from dsaecodec.video.frame_times import FrameClock, TimedFrame
from dsaecodec.video.matroska_shape import set_display_size
from dsaecodec.video.pixels import pack
from dsaecodec.video.sound_mux import SoundMuxer

_UNSPECIFIED = 2
# Matrix → (primaries, transfer) that go with it, H.273. BT.2020 may be SDR, PQ or HLG: unknown.
_COLOUR = {
    BT709: (1, 1),
    BT470BG: (5, 6),
    SMPTE170M: (6, 6),
    BT2020: (9, _UNSPECIFIED),
    RGB: (1, 13),  # sRGB
}
# A stream that is late, sound that has ended, may hold back so much of the other: microseconds.
_MUXER_OPTIONS = {"max_interleave_delta": "1000000"}


@dataclass(frozen=True)
class Coding:
    """How a suffix's files are made.

    Attributes:
        muxer: FFmpeg's name of the container.
        encoder: FFmpeg's name of the video encoder.
        options: of the encoder.
        muxer_options: of the container.
        any_size: whether 4:2:0 of odd size can be coded.
    """

    muxer: str
    encoder: str
    options: dict[str, str]
    muxer_options: dict[str, str] = field(default_factory=dict)
    any_size: bool = True


_MATROSKA = ("matroska", "webm")
# A movie's own clock, 1/1000 s by default, is too coarse for where sound begins.
_MOVIE = {"movie_timescale": "90000"}
_H264 = {"crf": "10", "preset": "veryfast"}
_VP9 = {"crf": "8", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}

CODINGS = {
    ".mp4": Coding("mp4", "libx264", _H264, _MOVIE, any_size=False),
    ".mov": Coding("mov", "libx264", _H264, _MOVIE, any_size=False),
    ".mkv": Coding("matroska", "ffv1", {"level": "3"}),
    ".webm": Coding("webm", "libvpx-vp9", _VP9),
}


class ContainerSink:
    """A video file, with sound if there is any.

    The file is begun with the second frame: whether frames have times, and where the sound
    begins, must be known by then.

    Args:
        path: where to.
        info: of the video.
        coding: how.
        sound: what makes packets of the sound, None for none.
        notes: takes sentences for the user.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        coding: Coding,
        sound: SoundMuxer | None,
        notes: list[str],
    ) -> None:
        self._path, self._info, self._coding, self._sound = path, info, coding, sound
        self._format, self._notes = "bgr0" if info.matrix == RGB else "yuv420p", notes
        if not coding.any_size and (info.width % 2 or info.height % 2):
            self._format = "yuv444p"
            notes.append(
                f"H.264 has no 4:2:0 of odd size: {info.width}x{info.height} is written as 4:4:4, "
                "which some players refuse; .mkv, .webm and .y4m need not"
            )
        self._clock = FrameClock(info.fps)
        self._durations: dict[int, int] = {}
        self._early: list[SoundPacket] = []
        self._container: av.container.OutputContainer | None = None

    def write(self, frame: Frame420) -> None:
        """Append one frame."""
        before = self._clock.push(frame)
        if before is not None:
            self._encode(before)

    def write_sound(self, packets: Iterable[SoundPacket]) -> None:
        """Append sound packets."""
        if self._sound is None:
            return
        if self._container is None:
            self._early += packets
        else:
            self._mux(self._sound.packets(packets))

    def close(self) -> None:
        """Finish the file."""
        last = self._clock.last()
        if last is not None:
            self._encode(last)
        container = self._open()
        container.start_encoding()  # where no frame came, nothing has begun the file
        self._mux_video(self._video.encode(None))
        if self._sound is not None:
            self._mux(self._sound.finish())
        container.close()
        if self._coding.muxer in _MATROSKA and self._info.sample_aspect != 1:
            self._set_shape()

    def abandon(self) -> None:
        """Release the file without finishing it; harmless after `close`."""
        if self._container is not None:
            with suppress(av.FFmpegError, OSError):
                self._container.close()

    def _open(self) -> av.container.OutputContainer:
        if self._container is not None:
            return self._container
        container = av.open(
            str(self._path),
            "w",
            format=self._coding.muxer,
            container_options=_MUXER_OPTIONS | self._coding.muxer_options,
        )
        self._container = container
        self._video = self._add_video(container, self._clock.unit)
        if self._sound is not None:
            self._sound.add_to(container, self._early)
            self._mux(self._sound.packets(self._early))
            self._early = []
        return container

    def _add_video(self, container: av.container.OutputContainer, unit: Fraction) -> av.VideoStream:
        info = self._info
        stream = container.add_stream(self._coding.encoder, rate=info.fps, time_base=unit)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height = info.width, info.height
        context.pix_fmt = self._format
        context.sample_aspect_ratio = info.sample_aspect
        context.colorspace = info.matrix
        context.color_range = 2 if info.full_range else 1
        primaries, transfer = _COLOUR.get(info.matrix, (_UNSPECIFIED, _UNSPECIFIED))
        context.color_primaries, context.color_trc = primaries, transfer
        context.options = dict(self._coding.options)
        if self._coding.encoder == "ffv1" and min(info.height, info.width) < 32:
            # FFV1 cannot cut pictures of a few pixels into its default of four slices.
            context.options["slices"] = "1"
        return stream

    def _set_shape(self) -> None:
        shown = self._info.width * self._info.sample_aspect
        try:
            with open(self._path, "r+b") as stream:
                if self._coding.muxer == "webm":
                    width = max(1, round(shown))
                    set_display_size(stream, width, self._info.height, is_ratio=False)
                else:
                    ratio = shown / self._info.height
                    set_display_size(stream, ratio.numerator, ratio.denominator, is_ratio=True)
        except (ValueError, OSError):
            self._notes.append(f"pixels of shape {self._info.sample_aspect} are not marked as such")

    def _encode(self, timed: TimedFrame) -> None:
        self._open()
        packed = pack(timed.frame, self._format)
        packed.pts, packed.time_base = timed.time, self._clock.unit
        self._durations[timed.time] = timed.duration
        self._mux_video(self._video.encode(packed))

    def _mux_video(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, packet.duration)
        self._mux(packets)

    def _mux(self, packets: Iterable[av.Packet]) -> None:
        assert self._container is not None
        for packet in packets:
            self._container.mux_one(packet)
