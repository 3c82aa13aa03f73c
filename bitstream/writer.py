"""Writing a stream in one pass."""

from __future__ import annotations

from typing import BinaryIO

from bitstream.compact import is_compactable, pack_compact
from bitstream.gop import Gop, Segment
from bitstream.header import Header, pack_header
from bitstream.limits import MAX_FRAMES
from bitstream.record import RecordType, pack_record
from bitstream.signature import pack_signature
from bitstream.varint import pack_varint

_REFS_PREVIOUS = 0x80


class StreamWriter:
    """Writes GOPs as they come, to a file or a pipe.

    The first GOP is held back until the second or `finish` arrives: alone and of one segment it
    becomes the compact form, otherwise the standard form begins. So the form follows from the GOPs,
    and the same input makes the same bytes.

    Args:
        sink: any binary file object with `write`; not closed.
        header: of the stream.
    """

    def __init__(self, sink: BinaryIO, header: Header) -> None:
        self._sink = sink
        self._header = header
        self._held: Gop | None = None
        self._finished = False
        self._num_gops = 0
        self._num_frames = 0
        self._bytes_written = 0

    @property
    def bytes_written(self) -> int:
        """Bytes given to the sink so far."""
        return self._bytes_written

    def write_gop(self, gop: Gop) -> None:
        """Appends a GOP.

        Raises:
            ValueError: the stream is finished or too long, or its first GOP refers to another.
        """
        if self._finished:
            raise ValueError("the stream is finished")
        if self._num_gops == 0 and gop.refs_previous:
            raise ValueError("the first GOP cannot refer to the previous one")
        if self._num_frames + gop.num_frames > MAX_FRAMES:
            raise ValueError(f"more than {MAX_FRAMES} frames")
        if self._num_gops == 0:
            self._held = gop
        else:
            self._release()
            self._write_records(gop)
        self._num_gops += 1
        self._num_frames += gop.num_frames

    def finish(self) -> None:
        """Ends the stream; without this call the bytes are a truncated stream.

        Raises:
            ValueError: no GOP was written, or the stream is finished already.
        """
        if self._finished or self._num_gops == 0:
            raise ValueError("the stream is finished" if self._finished else "no GOP was written")
        self._finished = True
        if self._held is not None and is_compactable([self._held]):
            self._write(pack_compact(self._header, self._held))
            self._held = None
            return
        self._release()
        counts = pack_varint(self._num_gops) + pack_varint(self._num_frames)
        self._write(pack_record(RecordType.END, counts))

    def _release(self) -> None:
        """Begins the standard form if it has not begun."""
        if self._held is None:
            return
        held, self._held = self._held, None
        signature = pack_signature()
        header = pack_record(RecordType.HEADER, pack_header(self._header), prefix=signature)
        self._write(signature + header)
        self._write_records(held)

    def _write_records(self, gop: Gop) -> None:
        self._write(pack_record(RecordType.CONTENT, pack_content(gop)))
        for segment in gop.segments:
            self._write(pack_record(RecordType.DYNAMICS, pack_dynamics(segment)))

    def _write(self, data: bytes) -> None:
        """Gives all of `data` to the sink; an unbuffered one may take it in pieces."""
        rest = memoryview(data)
        while rest:
            taken = self._sink.write(rest)
            rest = rest[len(rest) if taken is None else taken :]
        self._bytes_written += len(data)


def pack_content(gop: Gop) -> bytes:
    """The content record's payload."""
    flags = _REFS_PREVIOUS if gop.refs_previous else 0
    return bytes([gop.quality | flags, gop.num_frames - 1]) + gop.content


def pack_dynamics(segment: Segment) -> bytes:
    """A dynamics record's payload."""
    return bytes([segment.first, segment.num_frames - 1]) + segment.payload
