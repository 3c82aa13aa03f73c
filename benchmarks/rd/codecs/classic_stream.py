"""FFmpeg's encoders and decoders through PyAV: planes to packets and back, without a container."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np

from benchmarks.rd.codec import CannotCode
from benchmarks.rd.codecs.classic_planes import PixelFormat
from benchmarks.rd.colour import Plane, Planes
from dsaecodec.video.pixels import rows

THREADS = Path("/proc/self/task")


def has_coder(name: str, mode: Literal["r", "w"]) -> bool:
    """Whether this FFmpeg has an encoder ("w") or a decoder ("r")."""
    try:
        av.Codec(name, mode)
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def encode_planes(
    encoder: str,
    options: Mapping[str, str],
    frames: Iterable[Planes],
    form: PixelFormat,
    fps: Fraction,
    threads: int,
) -> list[bytes]:
    """Packets of an elementary stream, as the encoder gives them.

    Args:
        encoder: FFmpeg's name.
        options: of FFmpeg, the encoder's own included.
        frames: planes of one size, at least one frame.
        form: what the planes are.
        fps: frame i is shown at i / fps.
        threads: across frames; slices, PyAV's default, would cost x264 several per cent of rate.

    Raises:
        CannotCode: FFmpeg lacks the encoder, or the encoder refuses.
    """
    os.environ.setdefault("SVT_LOG", "0")  # SVT-AV1 logs to stderr by itself: fatal errors only
    if not has_coder(encoder, "w"):
        raise CannotCode(f"this FFmpeg has no encoder {encoder}")
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.pix_fmt = form
    context.framerate, context.time_base = fps, 1 / fps
    context.thread_count, context.thread_type = threads, "FRAME"
    context.options = dict(options)
    try:
        return list(_encode(context, frames))
    except av.FFmpegError as error:
        size = f"{context.width}×{context.height} {form} at {fps} fps"
        raise CannotCode(f"{encoder} refuses {size}: {error.strerror}") from error


def _encode(context: av.VideoCodecContext, frames: Iterable[Planes]) -> Iterator[bytes]:
    for index, planes in enumerate(frames):
        height, width = planes[0].shape
        if index == 0:
            context.height, context.width = height, width
            _open(context)
        assert context.pix_fmt is not None  # set above
        frame = av.VideoFrame(width, height, context.pix_fmt)
        for plane, samples in zip(frame.planes, planes, strict=True):
            _fill(plane, samples)
        frame.pts, frame.time_base = index, context.time_base
        yield from map(bytes, context.encode(frame))
    yield from map(bytes, context.encode(None))


def _open(context: av.VideoCodecContext) -> None:
    """Open an encoder, and schedule all threads as the calling one was.

    Where root runs it SVT-AV1 puts the calling thread and its own in real time (SCHED_FIFO), and
    whatever is measured or started afterwards would be, too.
    """
    if not THREADS.is_dir():  # as on anything but Linux
        context.open()
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        context.open()
    finally:
        for thread in os.listdir(THREADS):
            with suppress(ProcessLookupError):  # it has ended
                if os.sched_getscheduler(int(thread)) != policy:
                    os.sched_setscheduler(int(thread), policy, parameters)


def _fill(plane: av.video.plane.VideoPlane, samples: Plane) -> None:
    buffer = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    buffer[:, : plane.width] = samples  # the buffer's rows are padded


def decode_packets(
    decoders: Iterable[str], packets: Iterable[bytes], form: PixelFormat, threads: int
) -> list[Planes]:
    """Planes of all frames in order of display.

    Args:
        decoders: FFmpeg's names; the first that is there decodes.
        packets: nothing else is given.
        form: what the planes must be.
        threads: of the decoder.

    Raises:
        CannotCode: FFmpeg lacks the decoder, or what comes back is broken or of another form.
    """
    name = next((name for name in decoders if has_coder(name, "r")), None)
    if name is None:
        raise CannotCode(f"this FFmpeg has no decoder {' or '.join(decoders)}")
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = threads
    found: list[Planes] = []
    try:
        for packet in [*map(av.Packet, packets), None]:
            for frame in context.decode(packet):
                if frame.format.name != form:
                    raise CannotCode(f"{name} returns {frame.format.name}, not {form}")
                y, u, v = (rows(plane, plane.width) for plane in frame.planes)
                found.append((y, u, v))
    except av.FFmpegError as error:
        raise CannotCode(f"{name} does not decode the stream: {error.strerror}") from error
    return found
