"""From what a user names to a source: file, folder, pattern, stream or standard input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import av
from av.video.reformatter import ColorRange

from dsaecodec.errors import InputVideoError
from dsaecodec.input_file import open_input
from dsaecodec.video import images, y4m
from dsaecodec.video.container_source import open_container_source
from dsaecodec.video.decoding import Picture
from dsaecodec.video.pixels import unpack
from dsaecodec.video.source import Source, sane_aspect
from dsaecodec.video.timing import DEFAULT_FPS, Rate, limited

_PIPE_HINT = "pipe y4m: ffmpeg -i IN -f yuv4mpegpipe - | dsaecodec encode - -o OUT.dsz"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*", re.DOTALL)


def open_source(source: str | os.PathLike[str] | BinaryIO, resources: ExitStack) -> Source:
    """Open whatever `source` names, see `dsaecodec.video.open_video`.

    Raises:
        InputVideoError: it is not there, or nothing that can be read as a video.
    """
    if isinstance(source, (str, os.PathLike)) and source != "-":
        name = os.fspath(source)
        if _ADDRESS.fullmatch(name):
            raise InputVideoError(
                f"{name}: is an address, expected a file", hint="download it first"
            )
        notes: list[str] = []
        if os.path.isdir(name):
            return _open_images(name, images.list_folder(name), notes)
        if images.is_pattern(name):
            return _open_images(name, images.list_pattern(name, notes), notes)
    stream, name = _open_stream(source, resources)
    seekable = stream.seekable()
    if stream.read(len(y4m.MAGIC)) == y4m.MAGIC:
        return _open_y4m(stream, name)
    if not seekable:
        raise InputVideoError(f"{name}: not y4m, and a pipe must be", hint=_PIPE_HINT)
    return open_container_source(stream, name, resources)


def _open_stream(
    source: str | os.PathLike[str] | BinaryIO, resources: ExitStack
) -> tuple[BinaryIO, str]:
    """Return a stream to read from and its name for messages."""
    if not isinstance(source, (str, os.PathLike)):
        return source, str(getattr(source, "name", "input"))
    if source == "-":
        if sys.stdin is None:
            raise InputVideoError("standard input is closed", hint=_PIPE_HINT)
        if sys.stdin.isatty():
            raise InputVideoError("standard input is a terminal, not a video", hint=_PIPE_HINT)
        return sys.stdin.buffer, "standard input"
    name = os.fspath(source)
    return resources.enter_context(open_input(name, InputVideoError, name)), name


def _open_images(name: str, files: list[Path], notes: list[str]) -> Source:
    decoder = images.ImageDecoder(files)
    return Source(
        name,
        decoder,
        Rate(DEFAULT_FPS, True),
        rated=False,
        num_frames=len(files),
        notes=notes,
        num_damaged=lambda: decoder.num_damaged,
    )


def _open_y4m(stream: BinaryIO, name: str) -> Source:
    header = y4m.read_header(stream, name)
    template = av.VideoFrame(header.width, header.height, header.pixel_format)
    payload_bytes = unpack(template, None)
    num_frames = y4m.count_frames(stream, payload_bytes)

    def pictures() -> Iterator[Picture]:
        for payload in y4m.iter_payloads(stream, payload_bytes, name):
            frame = av.VideoFrame(header.width, header.height, header.pixel_format)
            frame.color_range = ColorRange.JPEG if header.full_range else ColorRange.MPEG
            frame.colorspace = header.matrix
            unpack(frame, payload)
            yield Picture(frame)

    return Source(
        name,
        pictures(),
        Rate(limited(header.fps), True),
        num_frames=num_frames,
        sample_aspect=sane_aspect(header.sample_aspect),
        parity=header.parity,
        hint="it has no frames",
    )
