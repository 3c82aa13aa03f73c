"""Writing a stream in one pass."""

from __future__ import annotations

from typing import BinaryIO

from bitstream.compact import is_compactable, pack_compact
from bitstream.gop import Gop, Segment
from bitstream.header import Header, pack_header, version_for
from bitstream.order import GopOrder
from bitstream.record import RecordType, pack_record
from bitstream.signature import pack_signature
from bitstream.sound_record import pack_sound, sound_runs
from bitstream.times import pack_times
from bitstream.trailer import IndexBuilder, pack_end

_REFS_PREVIOUS = 0x80


class StreamWriter:
    """Writes GOPs as they come, to a file or a pipe, in the lowest version that can say it.

    The first GOP is held back until the second or `finish` arrives: where the compact form can
    hold the stream it becomes that, otherwise the standard form begins. So the form follows from
    what is written, and the same input makes the same bytes.

    Args:
        sink: any binary file object with `write`; not closed.
        header: of the stream.
    """

    def __init__(self, sink: BinaryIO, header: Header) -> None:
        self._sink = sink
        self._header = header
        self._held: Gop | None = None
        self._finished = False
        self._order = GopOrder(header)
        self._index = IndexBuilder()
        self._bytes_written = 0

    @property
    def bytes_written(self) -> int:
        """Bytes given to the sink so far."""
        return self._bytes_written

    def write_gop(self, gop: Gop) -> None:
        """Appends a GOP.

        Raises:
            ValueError: the stream is finished or too long, or the GOP cannot follow those before:
                a first one that refers to another, times or sound that do not go forward, or sound
                without a track in the header.
        """
        if self._finished:
            raise ValueError("the stream is finished")
        self._order.accept(gop)
        if self._order.num_gops == 1:
            self._held = gop
        else:
            self._release()
            self._write_records(gop)

    def finish(self) -> None:
        """Ends the stream; without this call the bytes are a truncated stream.

        Raises:
            ValueError: no GOP was written, or the stream is finished already.
        """
        if self._finished or self._order.num_gops == 0:
            raise ValueError("the stream is finished" if self._finished else "no GOP was written")
        self._finished = True
        if self._held is not None and is_compactable(self._header, [self._held]):
            self._write(pack_compact(self._header, self._held))
            self._held = None
            return
        self._release()
        counts, distance = (self._index.num_gops, self._index.num_frames), 0
        if self._index.required:
            index = pack_record(RecordType.INDEX, bytes(self._index.payload))
            end = pack_record(RecordType.END, pack_end(*counts, distance))
            distance = len(index) + len(end)  # a fixed width: the end record keeps its size
            self._write(index)
        self._write(pack_record(RecordType.END, pack_end(*counts, distance)))

    def _release(self) -> None:
        """Begins the standard form if it has not begun."""
        if self._held is None:
            return
        held, self._held = self._held, None
        signature = pack_signature(version_for(self._header))
        header = pack_record(RecordType.HEADER, pack_header(self._header), prefix=signature)
        self._write(signature + header)
        self._write_records(held)

    def _write_records(self, gop: Gop) -> None:
        records = [pack_record(RecordType.CONTENT, pack_content(gop))]
        if gop.times is not None:
            times = pack_times(gop.times, self._header.fps)
            records.insert(0, pack_record(RecordType.TIMES, times))
        for segment in gop.segments:
            records.append(pack_record(RecordType.DYNAMICS, pack_dynamics(segment)))
        for run in sound_runs(gop.sound):
            records.append(pack_record(RecordType.SOUND, pack_sound(run)))
        self._index.add(sum(map(len, records)), gop.num_frames)
        for record in records:
            self._write(record)

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
