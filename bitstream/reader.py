"""Reading a stream one GOP at a time, from a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from bitstream.compact import read_compact
from bitstream.gop import Gop, Segment
from bitstream.header import Header, unpack_header
from bitstream.limits import MAX_FRAMES, MAX_GOP_FRAMES, MAX_QUALITY
from bitstream.record import Record, RecordInfo, RecordType, read_record
from bitstream.signature import is_compact, read_signature
from bitstream.source import ByteSource, legal_values


class StreamReader:
    """Checks and parses a stream; iterating yields its GOPs, once.

    Nothing of a record is believed before its CRC, and the counts of the end record and the absence
    of bytes behind it are checked before the iteration ends. Holds one GOP in memory.

    Args:
        source: any binary file object with `read(n)`; it need not seek.

    Attributes:
        header: of the stream.
        compact: the stream has the compact form.
        records: the records read so far, in order (about 200 bytes of memory each).

    Raises:
        BitstreamError: here or while iterating.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = ByteSource(source)
        signature = read_signature(self._source)
        self.header: Header
        self.compact = is_compact(signature)
        self.records: list[RecordInfo] = []
        if self.compact:
            self.header, gop, parts = read_compact(self._source, signature)
            self.records.extend(parts)
            self._gops: Iterator[Gop] = iter((gop,))
        else:
            self.header = self._read_header(signature)
            self._gops = self._iter_gops()

    def __iter__(self) -> Iterator[Gop]:
        return self._gops

    def _read_header(self, signature: bytes) -> Header:
        record = read_record(self._source, "stream", "the header record", prefix=signature)
        fields = _fields(record, RecordType.HEADER, "stream")
        header = unpack_header(fields)
        _expect_end(fields)
        size = len(signature) + record.size
        self.records.append(RecordInfo(record.kind, None, 0, size, size, 0))
        return header

    def _iter_gops(self) -> Iterator[Gop]:
        num_gops = num_frames = 0
        while True:
            place = f"GOP {num_gops}"
            expected = "a content record or the end record" if num_gops else "a content record"
            record = read_record(self._source, place, expected)
            if record.kind is RecordType.END and num_gops:
                break
            gop = self._read_gop(record, num_gops)
            num_gops += 1
            num_frames += gop.num_frames
            if num_frames > MAX_FRAMES:
                self._source.fail(
                    "total frames", record.offset, str(num_frames), f"at most {MAX_FRAMES}"
                )
            yield gop
        self._check_end(record, num_gops, num_frames)

    def _read_gop(self, record: Record, index: int) -> Gop:
        """Reads what follows a content record that is there already."""
        place = f"GOP {index}"
        fields = _fields(record, RecordType.CONTENT, place)
        start = fields.offset
        quality = fields.byte("quality")
        refs_previous, quality = quality > 0x7F, quality & 0x7F
        if quality > MAX_QUALITY:
            fields.fail("quality", start, str(quality), f"0..{MAX_QUALITY}")
        if refs_previous and index == 0:
            fields.fail("refs_previous", start, "set", "clear in the first GOP")
        num_frames = _frame_count(fields)
        content = self._coder_bytes(record, index)
        segments = []
        next_frame = 0
        while next_frame < num_frames:
            segments.append(self._read_segment(index, next_frame, num_frames))
            next_frame += segments[-1].num_frames
        with legal_values(place):
            return Gop(quality, refs_previous, num_frames, content, tuple(segments))

    def _read_segment(self, index: int, next_frame: int, num_frames: int) -> Segment:
        """Reads the dynamics record that must begin with frame `next_frame` of `num_frames`."""
        place = f"GOP {index}"
        wanted = f"a dynamics record from frame {next_frame} of {num_frames}"
        record = read_record(self._source, place, wanted)
        fields = _fields(record, RecordType.DYNAMICS, place)
        start = fields.offset
        first = fields.byte("first frame")
        if first != next_frame:
            fields.fail("first frame", start, str(first), str(next_frame))
        length = _frame_count(fields)
        if first + length > num_frames:
            fields.fail("frames", start + 1, str(length), f"at most {num_frames - first}")
        return Segment(first, length, self._coder_bytes(record, index))

    def _coder_bytes(self, record: Record, index: int) -> bytes:
        """Lists the record and returns its payload behind the two leading bytes."""
        payload = record.payload[2:]
        overhead = record.size - len(payload)
        self.records.append(
            RecordInfo(record.kind, index, record.offset, record.size, overhead, len(payload))
        )
        return payload

    def _check_end(self, record: Record, num_gops: int, num_frames: int) -> None:
        fields = _fields(record, RecordType.END, "stream")
        for name, count in (("GOPs", num_gops), ("frames", num_frames)):
            start = fields.offset
            stated = fields.varint(f"number of {name}", MAX_FRAMES)
            if stated != count:
                fields.fail(f"number of {name}", start, str(stated), f"{count} as read")
        _expect_end(fields)
        self.records.append(
            RecordInfo(record.kind, None, record.offset, record.size, record.size, 0)
        )
        if not self._source.at_end():
            self._source.place = "stream"
            self._source.fail("end", self._source.offset, "further bytes", "none")


def read_header(source: BinaryIO) -> Header:
    """Reads a stream's header, of the compact form after the CRC of the whole.

    Raises:
        BitstreamError: the header or, in the compact form, the stream is wrong.
    """
    return StreamReader(source).header


def _fields(record: Record, expected: RecordType, place: str) -> ByteSource:
    """The fields of a record, which must be of the expected type."""
    fields = record.fields(f"{place}: {record.kind.name.lower()} record")
    if record.kind is not expected:
        fields.fail("type", record.offset, record.kind.name.lower(), expected.name.lower())
    return fields


def _frame_count(fields: ByteSource) -> int:
    """Reads a number of frames, stored less one in a byte whose top bit is zero."""
    start = fields.offset
    stored = fields.byte("frames less one")
    if stored >= MAX_GOP_FRAMES:
        fields.fail("frames less one", start, str(stored), f"0..{MAX_GOP_FRAMES - 1}")
    return stored + 1


def _expect_end(fields: ByteSource) -> None:
    """Refuses bytes behind a record's last field."""
    if not fields.at_end():
        fields.fail("record", fields.offset, "further bytes", "its end")
