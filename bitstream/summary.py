"""What a stream holds, found by reading it through once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from bitstream.header import Header
from bitstream.reader import StreamReader
from bitstream.record import RecordInfo, RecordType


@dataclass(frozen=True)
class Summary:
    """The contents of a stream whose every CRC and count holds.

    Attributes:
        header: of the stream.
        compact: it has the compact form.
        num_gops: GOPs.
        num_frames: frames.
        qualities: smallest and largest quality index of a GOP.
        content_bytes: of content latents, coder bytes only.
        dynamics_bytes: of dynamics latents, coder bytes only.
        overhead_bytes: everything else.
        records: all records in order.
    """

    header: Header
    compact: bool
    num_gops: int
    num_frames: int
    qualities: tuple[int, int]
    content_bytes: int
    dynamics_bytes: int
    overhead_bytes: int
    records: tuple[RecordInfo, ...]

    @property
    def file_bytes(self) -> int:
        """Size of the stream."""
        return self.content_bytes + self.dynamics_bytes + self.overhead_bytes


def scan(source: BinaryIO) -> Summary:
    """Reads a stream to its end, checking everything but the symbols.

    Args:
        source: any binary file object with `read(n)`; it need not seek.

    Raises:
        BitstreamError: the stream is wrong anywhere.
    """
    reader = StreamReader(source)
    num_gops = num_frames = highest = 0
    lowest = 255
    for gop in reader:
        num_gops += 1
        num_frames += gop.num_frames
        lowest, highest = min(lowest, gop.quality), max(highest, gop.quality)
    payload = {kind: 0 for kind in RecordType}
    for record in reader.records:
        payload[record.kind] += record.payload_bytes
    return Summary(
        header=reader.header,
        compact=reader.compact,
        num_gops=num_gops,
        num_frames=num_frames,
        qualities=(lowest, highest),
        content_bytes=payload[RecordType.CONTENT],
        dynamics_bytes=payload[RecordType.DYNAMICS],
        overhead_bytes=sum(record.overhead_bytes for record in reader.records),
        records=tuple(reader.records),
    )
