"""Opening a container by FFmpeg, and choosing the video in it.

A file must not make us open another: playlists are refused, and so is any name a file gives.
"""

from __future__ import annotations

from typing import BinaryIO, NoReturn

import av
from av.stream import Discard, Disposition

from dsaecodec.errors import InputVideoError

NOT_VIDEO_HINT = "give a video that ffmpeg can read (mp4, mkv, webm, y4m …) or a folder of images"

_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"[playlist]", b"v=0\no=", b"v=0\r\no=")
_PROBE_BYTES = 2048
_NOT_PICTURES = {"tty", "lrc"}  # text that FFmpeg would draw


def open_container(stream: BinaryIO, name: str) -> av.container.InputContainer:
    """Open a seekable stream with whatever demuxer fits.

    Raises:
        InputVideoError: it is empty, a playlist, text, or nothing that FFmpeg knows.
    """
    stream.seek(0)
    head = stream.read(_PROBE_BYTES)
    stream.seek(0)
    if not head:
        raise InputVideoError(f"{name}: is empty, expected a video")
    if head.startswith(_PLAYLISTS) or (head.lstrip().startswith(b"<?xml") and b"<MPD" in head):
        raise InputVideoError(
            f"{name}: is a playlist, which names other files; expected the video itself",
            hint="download or join what it names: ffmpeg -i LIST -c copy OUT.mkv",
        )
    try:
        container = av.open(
            _Nameless(stream),
            "r",
            io_open=_refuse,
            container_options={"protocol_whitelist": "none"},
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise _unreadable(name, error) from None
    if container.format.name in _NOT_PICTURES:
        container.close()
        raise InputVideoError(f"{name}: is text, not a video", hint=NOT_VIDEO_HINT)
    return container


def choose_video(
    container: av.container.InputContainer, name: str, notes: list[str]
) -> av.VideoStream:
    """The best stream of moving pictures; the others are not read.

    Raises:
        InputVideoError: there is none (a cover picture is none), or no decoder for it.
    """
    videos = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not videos:
        cover = ["a cover picture"] if container.streams.video else []
        rest = " and ".join((["sound"] if container.streams.audio else []) + cover)
        found = f"has no video stream, only {rest}" if rest else "has no video stream"
        raise InputVideoError(f"{name}: {found}", hint=NOT_VIDEO_HINT)
    usable = [stream for stream in videos if stream.codec_context is not None]
    if not usable:
        raise InputVideoError(
            f"{name}: its video is in a codec that this FFmpeg cannot decode",
            hint="convert it with another program first",
        )
    best = container.streams.best("video")
    chosen = next((stream for stream in usable if stream is best), usable[0])
    if len(videos) > 1:
        number = [stream.index for stream in videos].index(chosen.index) + 1
        which = "the first" if number == 1 else f"number {number}"
        notes.append(f"{len(videos)} video streams: {which} is used")
    for other in container.streams:
        if other.index != chosen.index:
            other.discard = Discard.all
    return chosen


class _Nameless:
    """A binary stream without its name: the bytes alone shall say what they are."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read, self.seek, self.tell = stream.read, stream.seek, stream.tell


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError(f"{url}: a file may not open another")


def _unreadable(name: str, error: Exception) -> InputVideoError:
    if isinstance(error, OSError) and not isinstance(error, (av.FFmpegError, PermissionError)):
        return InputVideoError(f"{name}: cannot be read: {error.strerror or error}")
    return InputVideoError(
        f"{name}: not a video, or cut short before its index", hint=NOT_VIDEO_HINT
    )
