"""Reading the index from the end of a stream that can be sought in."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from bitstream.errors import MalformedError
from bitstream.limits import MAX_GOP_FRAMES, MIN_INDEXED_GOPS
from bitstream.record import CRC_BYTES, RecordType, read_record
from bitstream.source import ByteSource
from bitstream.trailer import DISTANCE_BYTES, IndexBuilder, check_end


@dataclass(frozen=True)
class GopIndex:
    """Where the GOPs of a stream are.

    Attributes:
        offsets: first byte of each GOP, and of the index record: [num_gops + 1].
        first_frames: first frame of each GOP, and the number of frames: [num_gops + 1].
    """

    offsets: array[int]
    first_frames: array[int]

    @property
    def num_gops(self) -> int:
        """GOPs of the stream."""
        return len(self.offsets) - 1

    def before(self, gop: int) -> IndexBuilder:
        """The index of the GOPs before one."""
        builder = IndexBuilder()
        for i in range(gop):
            frames = self.first_frames[i + 1] - self.first_frames[i]
            builder.add(self.offsets[i + 1] - self.offsets[i], frames)
        return builder

    def check(self, gop: int, num_frames: int, end: int) -> None:
        """Compares a GOP that was read with what the index says of it.

        Args:
            gop: which one.
            num_frames: its frames.
            end: offset of the byte behind it.

        Raises:
            MalformedError: they differ.
        """
        listed = self.first_frames[gop + 1] - self.first_frames[gop]
        if (num_frames, end) != (listed, self.offsets[gop + 1]):
            raise MalformedError(
                f"GOP {gop} at byte {self.offsets[gop]}: found {num_frames} frames "
                f"up to byte {end}, expected {listed} up to byte {self.offsets[gop + 1]}"
            )


def read_index(source: ByteSource, version: int) -> GopIndex | None:
    """Reads and checks the index record and the end record.

    Args:
        source: one that can jump, at the first GOP; is left there.
        version: of the stream.

    Returns:
        The index, or None where the stream states that it has none.

    Raises:
        BitstreamError: the end of the stream is damaged or malformed.
    """
    first = source.offset
    start = _index_offset(source, first)
    index = None
    if start is not None:
        source.jump(start)
        record = read_record(source, version, "stream", "the index record")
        fields = record.fields(RecordType.INDEX, "stream")
        index = _read_entries(fields, first, start)
        record = read_record(source, version, "stream", "the end record")
        fields = record.fields(RecordType.END, "stream")
        check_end(fields, index.num_gops, index.first_frames[-1], source.offset - start)
        if not source.at_end():
            source.fail("end", source.offset, "further bytes", "none")
    source.jump(first)
    return index


def _index_offset(source: ByteSource, first: int) -> int | None:
    """Where the stream's last bytes say that the index record begins."""
    end = source.stream_bytes()
    at = end - DISTANCE_BYTES - CRC_BYTES
    if at < first:
        return None  # too short for an end record: found by whoever reads on
    source.jump(at)
    source.place = "stream"
    distance = int.from_bytes(source.take(DISTANCE_BYTES, "distance to the index"), "little")
    if distance > end - first:
        source.fail("distance to the index", at, str(distance), f"at most {end - first}")
    return end - distance if distance else None


def _read_entries(fields: ByteSource, first: int, start: int) -> GopIndex:
    """Reads an index record's payload.

    Args:
        fields: of the record.
        first: offset of the first GOP.
        start: offset of the index record, to which the GOPs must lead.
    """
    offsets, first_frames = array("Q", [first]), array("Q", [0])
    while not fields.at_end():
        at = fields.offset
        offset = offsets[-1] + fields.varint("bytes of a GOP", start)
        if offset > start:
            fields.fail("bytes of a GOP", at, f"its end at byte {offset}", f"at most {start}")
        at = fields.offset
        frames = fields.byte("frames less one") + 1
        if frames > MAX_GOP_FRAMES:
            fields.fail("frames less one", at, str(frames - 1), f"0..{MAX_GOP_FRAMES - 1}")
        offsets.append(offset)
        first_frames.append(first_frames[-1] + frames)
    if offsets[-1] != start:
        fields.fail("end of the GOPs", fields.offset, f"byte {offsets[-1]}", f"byte {start}")
    if len(offsets) <= MIN_INDEXED_GOPS:
        fields.fail("GOPs", fields.offset, str(len(offsets) - 1), f"at least {MIN_INDEXED_GOPS}")
    return GopIndex(offsets, first_frames)
