"""Packets to pictures: what is damaged is skipped and counted, what is cut off is noticed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import av

from dsaecodec.errors import InputVideoError
from dsaecodec.video.matroska import missing_bytes
from dsaecodec.video.orientation import UPRIGHT, Orientation

_SAMPLE_PACKETS, _SAMPLE_BYTES = 256, 1 << 22
_MOST_FAILURES = 8  # of the demuxer in a row, after which the rest is given up
# Made to be cut anywhere: what is missing at the end is one damaged frame, not a damaged file.
_UNENDING = {"mpegts", "mpeg", "h264", "hevc", "mpegvideo", "m4v", "obu", "mjpeg", "vvc"}

# Without times of display: FFmpeg numbers the packets, whatever the order of the pictures is.
_NUMBERED = {"avi"}

# A packet is a picture, so a picture that does not come out is lost; some decoders say nothing.
_ONE_TO_ONE = {"h264", "hevc", "vp9", "libdav1d", "mpeg4", "prores", "ffv1", "png", "mjpeg"}


class Picture(NamedTuple):
    """A decoded frame and what its container says about it.

    Attributes:
        frame: of any pixel format.
        time: when it is shown, seconds on the container's clock; None if unknown.
        orientation: how it must be turned.
    """

    frame: av.VideoFrame
    time: Fraction | None = None
    orientation: Orientation = UPRIGHT


class StreamDecoder:
    """Iterates over the pictures of one stream.

    The first packets are read at once, so that their times can be looked at.

    Args:
        container: the file; only `video` is read.
        video: the stream.
        stream: the bytes under it.
        name: what to call the file in messages.

    Attributes:
        sample: the first packets.
        complete: whether these are all.
        num_damaged: packets and frames skipped so far; what decoders drop without a word is added
            at the end.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        video: av.VideoStream,
        stream: BinaryIO,
        name: str,
    ) -> None:
        self._container, self._video, self._name = container, video, name
        self._bytes = stream
        # Errors must come with their own packet, so no threads that each decode another frame.
        video.thread_type = "SLICE"
        self._unending = container.format.name in _UNENDING
        self._cut_short = False
        self._numbers: deque[int | None] | None = (
            deque() if container.format.name in _NUMBERED else None
        )
        self.num_damaged = 0
        self._interlaced = False  # a packet may then be half a picture
        self._num_packets = self._num_frames = 0
        self.sample: list[av.Packet] = []
        self._packets = self._read()
        size = 0
        self.complete = True
        for packet in self._packets:
            self.sample.append(packet)
            size += packet.size
            if len(self.sample) >= _SAMPLE_PACKETS or size >= _SAMPLE_BYTES:
                self.complete = False
                break

    def __iter__(self) -> Iterator[Picture]:
        queue, self.sample = self.sample, []
        queue.reverse()
        while queue:
            yield from self._decode(queue.pop())
        for packet in self._packets:
            yield from self._decode(packet)
        yield from self._decode(None)
        if self._video.codec_context.name in _ONE_TO_ONE and not self._interlaced:
            self.num_damaged = max(self.num_damaged, self._num_packets - self._num_frames)

    def missing(self) -> str | None:
        """After the last picture: what the file lacks at its end, in words; None if nothing."""
        stream = self._bytes
        here = stream.tell()
        size = stream.seek(0, os.SEEK_END)
        lacking = missing_bytes(stream)
        stream.seek(here)
        entries = self._video.index_entries
        if len(entries) and not self._unending:
            last = entries[len(entries) - 1]
            lacking = lacking or max(0, last.pos + last.size - size)
        if lacking:
            return f"truncated: the last {lacking} bytes are missing"
        return "truncated: the last frame is incomplete" if self._cut_short else None

    def _read(self) -> Iterator[av.Packet]:
        """Packets with data; after an error in the file, whatever comes next."""
        failures = 0
        while failures < _MOST_FAILURES:
            try:
                for packet in self._container.demux(self._video):
                    if packet.size:  # empty ones stand for a repeated frame, or for the end
                        failures = 0
                        yield packet
            except av.FFmpegError:
                failures += 1
                self.num_damaged += 1
            except OSError as error:
                reason = error.strerror or error
                raise InputVideoError(f"{self._name}: cannot be read: {reason}") from error
            else:
                return

    def _decode(self, packet: av.Packet | None) -> Iterator[Picture]:
        if packet is not None:
            self._num_packets += not packet.is_discard
        if packet is not None and not self._unending:
            self.num_damaged += self._cut_short  # and the file goes on
            self._cut_short = packet.is_corrupt
            if self._cut_short:
                return
        if self._numbers is not None and packet is not None:
            self._numbers.append(packet.pts)
        try:
            frames = self._video.codec_context.decode(packet)
        except EOFError:
            return
        except av.FFmpegError:
            self.num_damaged += 1
            if self._numbers:
                self._numbers.pop()
            return
        base = self._video.time_base
        for frame in frames:
            self._interlaced = self._interlaced or frame.interlaced_frame
            pts = frame.pts
            if self._numbers is not None:
                pts = self._numbers.popleft() if self._numbers else None
            if frame.is_corrupt:
                self.num_damaged += 1
                continue
            self._num_frames += 1
            time = None if pts is None or not base else pts * base
            yield Picture(frame, time, Orientation.of(frame))
