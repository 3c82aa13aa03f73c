"""The commands of the command line: each opens files, calls the codec and reports.

PyTorch and PyAV are imported inside the commands that need them, after everything that can be
refused without them has been.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import bitstream
from dsaecodec.errors import BitstreamError, UsageError
from dsaecodec.listing import describe, format_table
from dsaecodec.output import check_writable, open_output
from dsaecodec.rate import bits_per_pixel, kilobits_per_second


def encode(
    source: str,
    output: str | None,
    quality: int,
    gop: int | None,
    frames: int | None,
    threads: int | None,
    device: str,
    model: str | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Encode a video to a .dsz file; arguments as `dsaecodec encode --help` names them."""
    target = _target(source, output, ".dsz", overwrite, as_json)
    from dsaecodec.video import open_video

    with open_video(source) as video:
        from dsaecodec.codec import EncodeOptions, Progress, encode_video
        from dsaecodec.report import ProgressDisplay

        length = video.info.num_frames
        if frames is not None:
            length = min(frames, length or frames)
        info = replace(video.info, num_frames=length)
        options = EncodeOptions(
            quality=quality, gop=gop, threads=threads, device=device, model=model
        )
        with (
            open_output(target, overwrite=overwrite) as sink,
            ProgressDisplay("encoding", length, info.fps, quiet=quiet) as display,
        ):

            def show(progress: Progress) -> None:
                display.update(progress.frames, progress.bytes)

            done = encode_video(islice(video, frames), info, sink, options, show)
    facts = {
        "input": source,
        "output": target,
        **asdict(done),
        "bpp": bits_per_pixel(done.bytes, done.frames, info.height, info.width),
        "kbps": kilobits_per_second(done.bytes, done.frames, info.fps),
        "fps": done.frames / max(done.seconds, 1e-9),
    }
    if as_json:
        _print_json(facts)
    elif not quiet:
        _say(
            f"{_shown(target)}: {facts['frames']} frames, {facts['bytes']:,} bytes, "
            f"{facts['bpp']:.4f} bpp, {facts['kbps']:.1f} kb/s, {facts['fps']:.1f} fps"
        )


def decode(
    source: str,
    output: str | None,
    threads: int | None,
    device: str,
    model: str | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Decode a .dsz file to a video; arguments as `dsaecodec decode --help` names them."""
    target = _target(source, output, ".decoded.mp4", overwrite, as_json)
    with _open_stream(source) as (stream, summary):
        from dsaecodec.codec import Decoder
        from dsaecodec.report import ProgressDisplay
        from dsaecodec.video import VideoWriter

        started = time.perf_counter()
        decoder = Decoder(stream, device=device, threads=threads, model=model)
        length = summary.num_frames if summary else None
        count = 0
        with (
            VideoWriter(target, decoder.info, overwrite=overwrite) as writer,
            ProgressDisplay("decoding", length, decoder.info.fps, quiet=quiet) as display,
        ):
            for count, frame in enumerate(decoder, start=1):
                writer.write(frame)
                display.update(count)
        seconds = time.perf_counter() - started
    speed = count / max(seconds, 1e-9)
    if as_json:
        facts = {"input": source, "output": target, "frames": count, "seconds": seconds}
        _print_json(facts | {"fps": speed, "note": writer.note})
    elif not quiet:
        _say(f"{_shown(target)}: {count} frames, {speed:.1f} fps")
        if writer.note:
            _say(f"note: {writer.note}")


def info(source: str, as_json: bool) -> None:
    """Print what a stream holds."""
    with _named(source), _open(source) as stream:
        facts = describe(source, bitstream.scan(stream))
    if as_json:
        _print_json(facts)
    else:
        print(format_table(facts))


def verify(source: str, threads: int | None, device: str, model: str | None, as_json: bool) -> None:
    """Check all records, decode all symbols and pixels, print the SHA-256 of both."""
    with _open_stream(source) as (stream, _):
        from dsaecodec.codec import verify_stream

        found = verify_stream(stream, device=device, threads=threads, model=model)
    if as_json:
        _print_json({"file": source, **asdict(found)})
    else:
        print(f"{source}: ok, {found.frames} frames, {found.gops} GOPs")
        print(f"symbols  {found.symbols}\npixels   {found.pixels}")


def _target(source: str, output: str | None, suffix: str, overwrite: bool, as_json: bool) -> str:
    """Output path, by default beside the input; refused now rather than after the work."""
    if output is None:
        if source == "-":
            raise UsageError("standard input has no name to derive an output's from", hint="use -o")
        path = Path(source)
        output = str(path.parent / (path.stem + suffix))
    if output == "-":
        if as_json:
            raise UsageError("--json and the output both want standard output")
        return output
    if os.path.exists(source) and os.path.exists(output) and os.path.samefile(source, output):
        raise UsageError(f"{output}: is the input")
    check_writable(output, overwrite=overwrite)
    return output


@contextmanager
def _open_stream(source: str) -> Iterator[tuple[BinaryIO, bitstream.Summary | None]]:
    """Open a .dsz; a regular file is first checked from end to end, a pipe as it is read."""
    with _named(source), _open(source) as stream:
        summary = None
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            summary = bitstream.scan(stream)
            stream.seek(0)
        yield stream, summary


@contextmanager
def _open(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        if sys.stdin.isatty():
            raise UsageError("standard input is a terminal, not a .dsz stream")
        yield sys.stdin.buffer
        return
    try:
        file = open(source, "rb")  # noqa: SIM115 - closed below; its OSErrors alone are caught
    except OSError as error:
        raise BitstreamError(f"cannot be read: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Put the stream's name before messages about its bytes, which know only places."""
    try:
        yield
    except BitstreamError as error:
        name = "standard input" if source == "-" else source
        error.args = (f"{name}: {error}",)
        raise


def _shown(output: str) -> str:
    return "standard output" if output == "-" else output


def _print_json(facts: dict[str, Any]) -> None:
    print(json.dumps(facts, indent=2))


def _say(line: str) -> None:
    print(line, file=sys.stderr)
