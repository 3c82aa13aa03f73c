"""A container as a source: its best stream, the rate it runs at, its length."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from fractions import Fraction
from typing import BinaryIO

import av

from dsaecodec.video import images
from dsaecodec.video.decoding import Picture, StreamDecoder
from dsaecodec.video.demuxing import choose_video, open_container
from dsaecodec.video.source import Source, sane_aspect
from dsaecodec.video.timing import DEFAULT_FPS, Rate, StatedRate, limited, nominal_rate

_LONGEST_GAP = 3600  # seconds between packets
_REORDERED = 16  # packets by which a codec may change the order of frames
_HEAD_BYTES = 1 << 18
# FFmpeg has these files' timestamps made up from a rate of 25.
_RAW = {"h264", "hevc", "vvc", "m4v", "mpegvideo", "mjpeg", "rawvideo", "obu", "h263", "h261"}


def open_container_source(stream: BinaryIO, name: str, resources: ExitStack) -> Source:
    """Open a seekable stream as whatever container it is.

    Raises:
        InputVideoError: see `dsaecodec.video.demuxing`.
    """
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
        head = _head(stream)
        pictures = (images.upright_image(picture, head) for picture in decoder)
    return Source(
        name,
        pictures,
        rate,
        timed,
        timed or bool(stated),
        start if timed else Fraction(0),
        _length(container, video, decoder, rate.fps) if timed else None,
        sane_aspect(video.sample_aspect_ratio),
        notes=notes,
        num_damaged=lambda: decoder.num_damaged,
        problem=decoder.missing,
    )


def _head(stream: BinaryIO) -> bytes:
    """The first bytes; FFmpeg, which reads the same stream, finds it where it was."""
    here = stream.tell()
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    stream.seek(here)
    return head


def _rate(video: av.VideoStream, decoder: StreamDecoder) -> Rate:
    """The rate by the first packets' times, with what the container says."""
    base = video.time_base or Fraction(1)
    shown: list[tuple[int, int]] = []
    last, unbroken = None, True
    for packet in decoder.sample:
        if packet.pts is None or packet.is_discard:
            continue
        if packet.dts is not None:
            if last is not None and not 0 <= (packet.dts - last) * base <= _LONGEST_GAP:
                unbroken = False  # the clock was set anew
                break
            last = packet.dts
        shown.append((packet.pts, packet.duration or 0))
    shown.sort()
    end = None
    if not unbroken or not decoder.complete:
        shown = shown[:-_REORDERED] if len(shown) > 2 * _REORDERED else shown
    elif shown and shown[-1][1]:
        end = (shown[-1][0] + shown[-1][1]) * base
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
