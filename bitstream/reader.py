"""Reading a stream one GOP at a time, from a file or a pipe, from its beginning or from a time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor
from typing import BinaryIO

from bitstream.compact import read_compact
from bitstream.gop import Gop
from bitstream.gop_reader import GopReader, OnRecord
from bitstream.header import Header, unpack_header
from bitstream.index import GopIndex, read_index
from bitstream.limits import TICKS_PER_SECOND
from bitstream.record import RecordInfo, RecordType, read_record
from bitstream.seek import Landing, first_needed, look_up, walk, without_dynamics
from bitstream.signature import is_compact, read_signature, version_of
from bitstream.source import ByteSource
from bitstream.trailer import IndexBuilder


class StreamReader:
    """Checks and parses a stream; iterating yields its GOPs, once.

    Nothing of a record is believed before its CRC, and the index, the counts of the end record and
    the absence of bytes behind it are checked before the iteration ends. Holds one GOP in memory,
    and a few bytes for each one read.

    Args:
        source: any binary file object with `read(n)`; it need not seek.
        on_record: called with the `RecordInfo` of each record read, in order; not of those that a
            seek only looks at.

    Attributes:
        version: of the format.
        header: of the stream.
        compact: the stream has the compact form.
        next_frame: first frame of the next GOP to be yielded, counted from the stream's first; with
            it `frame_ticks` tells when that GOP's frames are shown.

    Raises:
        BitstreamError: here, while seeking or while iterating.
    """

    def __init__(self, source: BinaryIO, on_record: OnRecord | None = None) -> None:
        self._source = ByteSource(source)
        self._on_record = on_record or (lambda record: None)
        signature = read_signature(self._source)
        self.version = version_of(signature)
        self.compact = is_compact(signature)
        self.next_frame = 0
        self.header: Header
        self._begun = False
        self._ready: list[Gop] = []  # read but not yielded yet
        self._records: GopReader | None = None
        if self.compact:
            self.header, gop, parts = read_compact(self._source, signature)
            self._ready.append(gop)
            for part in parts:
                self._on_record(part)
        else:
            self.header = self._read_header(signature)
            self._records = self._gop_reader(IndexBuilder())
        self._gops = self._iter_gops()

    def __iter__(self) -> Iterator[Gop]:
        return self._gops

    @property
    def source(self) -> ByteSource:
        """What is read, at the next byte."""
        return self._source

    def seek(self, time: Fraction, *, back: int = 1) -> list[Gop]:
        """Lets the iteration begin with the GOP that shows the frame at a time.

        That is the last GOP that begins at or before it. A stream with an index in a source that
        can seek is searched there; any other is read, and checked, up to the GOP behind.

        Args:
            time: seconds from the first frame, 0 or more.
            back: most GOPs that the one found may need: more than one where contents are predicted,
                so that a GOP that is referred to needs what it refers to itself.

        Returns:
            These GOPs in their order, back to one that refers to no other, without the coder bytes
            of their dynamics.

        Raises:
            ValueError: the time is negative, or not before the stream's end.
            RuntimeError: not the first call, or the iteration has begun.
            BitstreamError: what was read is damaged or malformed.
        """
        if self._begun:
            raise RuntimeError("seek comes once, before the iteration")
        if time < 0:
            raise ValueError(f"time {float(time):.3f} s, expected 0 or more")
        self._begun = True
        ticks = floor(time * TICKS_PER_SECOND)
        index = None
        if self._records and self.version > 1 and self._source.can_jump():
            index = read_index(self._source, self.version)
        if index:
            landing = self._jump(index, ticks, back=back)
        else:
            landing = walk(self._next, self.header.fps, ticks, back=back)
        self.next_frame, self._ready = landing.first_frame, landing.gops
        return landing.earlier

    def _jump(self, index: GopIndex, ticks: int, *, back: int) -> Landing:
        """Finds a GOP through the index and reads it, and those before that it needs."""
        found = look_up(index, self._source, self.version, self.header.fps, ticks)
        begin = first_needed(index, self._source, self.version, found, back=back)
        self._source.jump(index.offsets[begin])
        self._records = self._gop_reader(index.before(begin))
        gops = []
        for place in range(begin, found + 1):
            gop = self._records.next()
            assert gop is not None, "the closing records lie behind all GOPs of the index"
            index.check(place, gop.num_frames, self._source.offset)
            gops.append(gop if place == found else without_dynamics(gop))
        return Landing(gops[:-1], gops[-1:], index.first_frames[found])

    def _gop_reader(self, before: IndexBuilder) -> GopReader:
        return GopReader(self._source, self.version, self.header, self._on_record, before)

    def _read_header(self, signature: bytes) -> Header:
        record = read_record(
            self._source, self.version, "stream", "the header record", prefix=signature
        )
        fields = record.fields(RecordType.HEADER, "stream")
        header = unpack_header(fields, self.version)
        fields.expect_end()
        size = len(signature) + record.size
        self._on_record(RecordInfo(record.kind, None, 0, size, size, 0))
        return header

    def _iter_gops(self) -> Iterator[Gop]:
        self._begun = True
        while (gop := self._next()) is not None:
            self.next_frame += gop.num_frames
            yield gop

    def _next(self) -> Gop | None:
        """The next GOP, None behind the last."""
        if self._ready:
            return self._ready.pop(0)
        return self._records.next() if self._records else None


def read_header(source: BinaryIO) -> Header:
    """Reads a stream's header, of the compact form after the CRC of the whole.

    Raises:
        BitstreamError: the header or, in the compact form, the stream is wrong.
    """
    return StreamReader(source).header
