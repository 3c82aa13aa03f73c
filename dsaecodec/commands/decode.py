"""`dsaecodec decode`: a .dsz file to a video, whole or from a time on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import bitstream
from dsaecodec.commands.bounded import BoundedRequest
from dsaecodec.commands.console import print_json, say, say_notes, shown
from dsaecodec.commands.quick_import import quick_import
from dsaecodec.commands.streams import is_regular, open_stream
from dsaecodec.commands.targets import check_target, default_target

if TYPE_CHECKING:
    from dsaecodec.codec import Decoder


@dataclass(frozen=True)
class Request(BoundedRequest):
    """Arguments of `dsaecodec decode`, as its --help explains them."""

    source: str
    output: str | None
    start: Fraction | None
    frames: int | None
    conceal: bool
    threads: int | None
    device: str
    model: str | None
    overwrite: bool
    quiet: bool
    as_json: bool


def run(request: Request) -> int:
    """Decode; a damaged file is refused and a missing model named before PyTorch is loaded.

    Raises:
        CodecError: see `dsaecodec.errors`.
    """
    target = request.output
    if target is None:
        target = default_target(request.source, ".decoded.mp4")
    check_target(request.source, target, overwrite=request.overwrite, as_json=request.as_json)
    with open_stream(request.source) as stream:
        length = _check(stream, request)
        facts = _decode(stream, target, length, request)
    if request.as_json:
        print_json(facts)
    elif not request.quiet:
        say(f"{shown(target)}: {facts['frames']} frames, {facts['fps']:.1f} fps")
        say_notes(facts["notes"])
    return 0


def _check(stream: BinaryIO, request: Request) -> int | None:
    """Check what can be checked without decoding; returns the number of frames, if known.

    A whole file is read to its end first, so that damage is known before a frame is written. A
    part is not: it costs what it is long. A pipe is checked as it is read.
    """
    if not is_regular(stream):
        return request.frames
    length = request.frames
    if request.conceal:
        header = bitstream.read_header(stream)
    elif request.start is None and request.frames is None:
        with hinted(stream):
            summary = bitstream.scan(stream)
        header, length = summary.header, summary.num_frames
        request.limits.check_summary(summary, request.threads)
    else:
        header = bitstream.StreamReader(stream).header
        request.limits.check(header, threads=request.threads)
    stream.seek(0)
    from dsaecodec.model_store import find_model

    find_model(request.model, header.model)
    return length


@contextmanager
def hinted(stream: BinaryIO) -> Iterator[None]:
    """Say of an error of a stream what --conceal could do."""
    try:
        yield
    except bitstream.BitstreamError as error:
        stream.seek(0)
        try:
            hopeful = not bitstream.StreamReader(stream).compact
        except bitstream.BitstreamError:
            hopeful = False
        if hopeful and error.hint is None:
            error.hint = "decode --conceal shows what is left; verify lists all that is wrong"
        raise


def _losses(decoder: Decoder) -> list[str]:
    """What was wrong with the stream, and what was made of it."""
    notes = [str(fault) for fault in decoder.faults]
    if decoder.estimated:
        runs = ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in decoder.estimated)
        notes.append(f"estimated frames: {runs}")
    return notes


def _decode(stream: BinaryIO, target: str, length: int | None, request: Request) -> dict[str, Any]:
    with quick_import():
        from dsaecodec.codec import Decoder
        from dsaecodec.report import ProgressDisplay
        from dsaecodec.video import VideoWriter

    began = time.perf_counter()
    decoder = Decoder(
        stream,
        device=request.device,
        threads=request.threads,
        model=request.model,
        start=request.start,
        num_frames=request.frames,
        with_sound=True,
        limits=request.limits,
        conceal=request.conceal,
    )
    count = 0
    with (
        VideoWriter(
            target, decoder.info, overwrite=request.overwrite, sound=decoder.sound
        ) as writer,
        ProgressDisplay("decoding", quiet=request.quiet) as display,
    ):
        for count, frame in enumerate(decoder, start=1):
            writer.write(frame)
            writer.write_sound(decoder.take_sound())
            display.update(request.source, count, None, length, decoder.info.fps)
        writer.write_sound(decoder.take_sound())
    seconds = time.perf_counter() - began
    return {
        "input": request.source,
        "output": target,
        "frames": count,
        "seconds": seconds,
        "fps": count / max(seconds, 1e-9),
        "faults": [asdict(fault) for fault in decoder.faults],
        "estimated": decoder.estimated,
        "notes": [*_losses(decoder), *writer.notes],
    }
