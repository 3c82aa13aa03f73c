"""Telling players the shape of a Matroska file's pixels, which PyAV cannot tell FFmpeg's muxer.

FFmpeg leaves a gap behind the file's directory. What lies between that and the end of the tracks'
description is moved into it, by as much as the description grows; all else stays where it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import BinaryIO

from dsaecodec.video.ebml import Element, pack, pack_list, unpack_head, unpack_list

_HEAD_BYTES = 1 << 20  # the description of the tracks ends within
_SEEK_HEAD, _VOID, _INFO, _TRACKS = 0x114D9B74, 0xEC, 0x1549A966, 0x1654AE6B
_SEEK, _SEEK_ID, _SEEK_POSITION, _CRC = 0x4DBB, 0x53AB, 0x53AC, 0xBF
_TRACK_ENTRY, _VIDEO = 0xAE, 0xE0
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_MOVED = {identifier.to_bytes(4, "big") for identifier in (_INFO, _TRACKS)}
_RATIO = 3  # a display unit; pixels are the default
_VOID_LENGTH_BYTES = 8


def set_display_size(stream: BinaryIO, width: int, height: int, *, is_ratio: bool) -> None:
    """Say how wide and high the picture is to be shown.

    Args:
        stream: a whole Matroska file as FFmpeg writes it, open for reading and writing.
        width: of the picture as shown.
        height: the same.
        is_ratio: whether only their ratio is meant; WebM knows no other unit than pixels.

    Raises:
        ValueError: the file is laid out otherwise than FFmpeg does it. It is left as it was.
    """
    stream.seek(0)
    data = stream.read(_HEAD_BYTES)
    _, _, segment = unpack_head(data, 0)
    _, begin, _ = unpack_head(data, segment)
    at, parts, bodies = begin, [], []
    for expected in (_SEEK_HEAD, _VOID, _INFO, _TRACKS):
        identifier, body, end = unpack_head(data, at)
        if identifier != expected or end > len(data):
            raise ValueError("a Matroska file not laid out as FFmpeg does it")
        parts.append(data[at:end])
        bodies.append(data[body:end])
        at = end
    tracks = pack(_TRACKS, _with_display(bodies[3], width, height, is_ratio))
    growth = len(tracks) - len(parts[3])
    directory = pack(_SEEK_HEAD, _with_positions(bodies[0], -growth))
    gap = len(parts[0]) + len(parts[1]) - len(directory) - growth
    stream.seek(begin)
    stream.write(directory + _void(gap) + parts[2] + tracks)


def _with_display(tracks: bytes, width: int, height: int, is_ratio: bool) -> bytes:
    """The description of tracks with a display size in that of the picture."""
    replaced = (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)
    size = [
        Element(_DISPLAY_WIDTH, width.to_bytes(4, "big")),
        Element(_DISPLAY_HEIGHT, height.to_bytes(4, "big")),
    ]
    if is_ratio:
        size.append(Element(_DISPLAY_UNIT, bytes([_RATIO])))

    def video(body: bytes) -> bytes:
        kept = [element for element in unpack_list(body) if element.identifier not in replaced]
        return pack_list(kept + size)

    return _edited(tracks, _TRACK_ENTRY, lambda entry: _edited(entry, _VIDEO, video))


def _with_positions(directory: bytes, shift: int) -> bytes:
    """The directory with what is moved found where it will be."""

    def seek(body: bytes) -> bytes:
        fields = dict(unpack_list(body))
        if fields[_SEEK_ID] in _MOVED:
            old = fields[_SEEK_POSITION]
            moved = int.from_bytes(old, "big") + shift
            fields[_SEEK_POSITION] = moved.to_bytes(len(old), "big")
        return pack_list([Element(*field) for field in fields.items()])

    return _edited(directory, _SEEK, seek)


def _edited(body: bytes, identifier: int, edit: Callable[[bytes], bytes]) -> bytes:
    """A list of elements with the bodies of some edited, and its checksum if it has one."""
    elements = [
        element._replace(body=edit(element.body)) if element.identifier == identifier else element
        for element in unpack_list(body)
    ]
    if elements and elements[0].identifier == _CRC:
        checksum = zlib.crc32(pack_list(elements[1:]))
        elements[0] = Element(_CRC, checksum.to_bytes(4, "little"))
    return pack_list(elements)


def _void(num_bytes: int) -> bytes:
    """An element without meaning, of a length."""
    body = num_bytes - 1 - _VOID_LENGTH_BYTES
    if body < 0:
        raise ValueError("no room in the Matroska file's head")
    return bytes([_VOID]) + (1 << 56 | body).to_bytes(_VOID_LENGTH_BYTES, "big") + bytes(body)
