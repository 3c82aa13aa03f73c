"""The records of the standard form, one GOP after the other."""

from __future__ import annotations

from collections.abc import Callable

from bitstream.gop import Gop, Segment
from bitstream.header import Header
from bitstream.limits import MAX_GOP_FRAMES, MAX_QUALITY
from bitstream.order import GopOrder
from bitstream.record import Record, RecordInfo, RecordType, next_type, read_record
from bitstream.sound import SoundPacket
from bitstream.sound_record import unpack_sound
from bitstream.source import ByteSource, legal_values
from bitstream.times import unpack_times
from bitstream.trailer import IndexBuilder, check_end

OnRecord = Callable[[RecordInfo], object]


class GopReader:
    """Reads what follows the header record.

    Args:
        source: at the first record of a GOP.
        version: of the stream.
        header: of the stream.
        on_record: called with each record read, in order.
        index: of the GOPs before; the whole index and the end record are checked against what it
            grows to.
    """

    def __init__(
        self,
        source: ByteSource,
        version: int,
        header: Header,
        on_record: OnRecord,
        index: IndexBuilder,
    ) -> None:
        self._source = source
        self._version = version
        self._header = header
        self._on_record = on_record
        self._index = index
        self._order = GopOrder(header, index.num_gops, index.num_frames)
        self._ended = False

    def next(self) -> Gop | None:
        """The next GOP, or None once the end of the stream has been read and checked.

        Raises:
            BitstreamError: truncated, damaged or malformed.
        """
        if self._ended:
            return None
        num_gops = self._index.num_gops
        closing = "the index record" if self._is_indexed else "the end record"
        record = self._read(f"a content record or {closing}" if num_gops else "a content record")
        if num_gops and record.kind in (RecordType.INDEX, RecordType.END):
            self._read_trailer(record)
            self._ended = True
            return None
        gop = self._read_gop(record)
        with legal_values(f"{self._place} at byte {record.offset}"):
            self._order.accept(gop)
            self._index.add(self._source.offset - record.offset, gop.num_frames)
        return gop

    @property
    def _is_indexed(self) -> bool:
        """Whether a stream that ends here has an index."""
        return self._version > 1 and self._index.required

    @property
    def _place(self) -> str:
        return f"GOP {self._index.num_gops}"

    def _read(self, expected: str) -> Record:
        return read_record(self._source, self._version, self._place, expected)

    def _read_gop(self, record: Record) -> Gop:
        """Reads what follows a GOP's first record, which is there already."""
        times = None
        if record.kind is RecordType.TIMES:
            fields = record.fields(RecordType.TIMES, self._place)
            times = unpack_times(fields, self._header.fps)
            self._list(record, 0)
            record = self._read("a content record behind the times")
        fields = record.fields(RecordType.CONTENT, self._place)
        start = fields.offset
        quality = fields.byte("quality")
        refs_previous, quality = quality > 0x7F, quality & 0x7F
        if quality > MAX_QUALITY:
            fields.fail("quality", start, str(quality), f"0..{MAX_QUALITY}")
        if refs_previous and self._index.num_gops == 0:
            fields.fail("refs_previous", start, "set", "clear in the first GOP")
        num_frames = frame_count(fields)
        content = self._coder_bytes(record)
        segments = self._read_segments(num_frames)
        sound = self._read_sound()
        with legal_values(f"{self._place} at byte {record.offset}"):
            return Gop(quality, refs_previous, num_frames, content, segments, times, sound)

    def _read_segments(self, num_frames: int) -> tuple[Segment, ...]:
        """Reads the dynamics records of a GOP."""
        segments: list[Segment] = []
        next_frame = 0
        while next_frame < num_frames:
            record = self._read(f"a dynamics record from frame {next_frame} of {num_frames}")
            fields = record.fields(RecordType.DYNAMICS, self._place)
            start = fields.offset
            first = fields.byte("first frame")
            if first != next_frame:
                fields.fail("first frame", start, str(first), str(next_frame))
            length = frame_count(fields)
            if first + length > num_frames:
                fields.fail("frames", start + 1, str(length), f"at most {num_frames - first}")
            segments.append(Segment(first, length, self._coder_bytes(record)))
            next_frame += length
        return tuple(segments)

    def _read_sound(self) -> tuple[SoundPacket, ...]:
        """Reads the sound records of a GOP.

        Only with a sound track is the next record looked at: without one a GOP in a pipe is
        complete before the next begins.
        """
        packets: list[SoundPacket] = []
        while self._header.sound and next_type(self._source) == RecordType.SOUND:
            record = self._read("a sound record")
            fields = record.fields(RecordType.SOUND, self._place)
            found = unpack_sound(fields, len(packets))
            packets += found
            self._list(record, sum(len(packet.data) for packet in found))
        return tuple(packets)

    def _read_trailer(self, record: Record) -> None:
        """Reads what follows the last GOP; its first record is there already."""
        start, index = record.offset, self._index
        if self._is_indexed:
            index.check(record.fields(RecordType.INDEX, "stream"))
            self._list(record, 0, closing=True)
            record = self._read("the end record")
        fields = record.fields(RecordType.END, "stream")
        distance = self._source.offset - start if record.offset > start else 0
        stated = None if self._version == 1 else distance
        check_end(fields, index.num_gops, index.num_frames, stated)
        self._list(record, 0, closing=True)
        if not self._source.at_end():
            self._source.place = "stream"
            self._source.fail("end", self._source.offset, "further bytes", "none")

    def _coder_bytes(self, record: Record) -> bytes:
        """Lists the record and returns its payload behind the two leading bytes."""
        payload = record.payload[2:]
        self._list(record, len(payload))
        return payload

    def _list(self, record: Record, payload_bytes: int, *, closing: bool = False) -> None:
        self._on_record(record.info(None if closing else self._index.num_gops, payload_bytes))


def frame_count(fields: ByteSource) -> int:
    """Reads a number of frames, stored less one in a byte whose top bit is zero."""
    start = fields.offset
    stored = fields.byte("frames less one")
    if stored >= MAX_GOP_FRAMES:
        fields.fail("frames less one", start, str(stored), f"0..{MAX_GOP_FRAMES - 1}")
    return stored + 1
