"""What closes a stream: the index of its GOPs, and the end record."""

from __future__ import annotations

from bitstream.limits import MAX_FRAMES, MAX_RECORD_BYTES, MIN_INDEXED_GOPS
from bitstream.source import ByteSource
from bitstream.varint import pack_varint

DISTANCE_BYTES = 4


class IndexBuilder:
    """Collects the index record's payload, a few bytes a GOP.

    Attributes:
        payload: so far.
        num_gops: GOPs so far.
        num_frames: frames so far.
    """

    def __init__(self) -> None:
        self.payload = bytearray()
        self.num_gops = 0
        self.num_frames = 0

    @property
    def required(self) -> bool:
        """Whether a stream of so many GOPs has an index."""
        return self.num_gops >= MIN_INDEXED_GOPS

    def add(self, num_bytes: int, num_frames: int) -> None:
        """Appends a GOP.

        Raises:
            ValueError: the index would be longer than a record; then nothing has changed.
        """
        entry = pack_varint(num_bytes) + bytes([num_frames - 1])
        if len(self.payload) + len(entry) > MAX_RECORD_BYTES:
            raise ValueError(
                f"{self.num_gops + 1} GOPs, expected an index of at most {MAX_RECORD_BYTES} bytes"
            )
        self.payload += entry
        self.num_gops += 1
        self.num_frames += num_frames

    def check(self, fields: ByteSource) -> None:
        """Compares a stream's index record with what was read of the stream.

        Raises:
            MalformedError: they differ.
        """
        start = fields.offset
        found = fields.read_up_to(MAX_RECORD_BYTES)
        if found == self.payload:
            return
        pairs = enumerate(zip(found, self.payload, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(found), len(self.payload)))
        stated, read = (part[at : at + 1].hex() or "the end" for part in (found, self.payload))
        fields.fail("entry", start + at, stated, f"{read} for the GOPs as read")


def pack_end(num_gops: int, num_frames: int, distance: int) -> bytes:
    """The end record's payload.

    Args:
        num_gops: GOPs of the stream.
        num_frames: their frames.
        distance: bytes from the index record's first to the stream's end, 0 without an index.
    """
    counts = pack_varint(num_gops) + pack_varint(num_frames)
    return counts + distance.to_bytes(DISTANCE_BYTES, "little")


def check_end(fields: ByteSource, num_gops: int, num_frames: int, distance: int | None) -> None:
    """Checks the fields of the end record.

    Args:
        fields: of the record.
        num_gops: GOPs there are.
        num_frames: frames there are.
        distance: as in `pack_end`, None in version 1.

    Raises:
        MalformedError: a field is not true.
    """
    for name, count in (("GOPs", num_gops), ("frames", num_frames)):
        start = fields.offset
        stated = fields.varint(f"number of {name}", MAX_FRAMES)
        if stated != count:
            fields.fail(f"number of {name}", start, str(stated), f"{count} as read")
    if distance is not None:
        start = fields.offset
        stated = int.from_bytes(fields.take(DISTANCE_BYTES, "distance to the index"), "little")
        if stated != distance:
            fields.fail("distance to the index", start, str(stated), f"{distance} as read")
    fields.expect_end()
