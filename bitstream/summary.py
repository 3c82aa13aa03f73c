"""What a stream holds, found by reading it through once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from bitstream.gop_reader import OnRecord
from bitstream.header import Header
from bitstream.limits import MAX_QUALITY
from bitstream.reader import StreamReader
from bitstream.record import RecordInfo, RecordType
from bitstream.times import frame_ticks


@dataclass(frozen=True)
class Summary:
    """The contents of a stream whose every CRC and count holds.

    Attributes:
        version: of the format.
        header: of the stream.
        compact: it has the compact form.
        num_gops: GOPs.
        num_frames: frames.
        longest_gop: frames of the longest GOP.
        duration_ticks: end of the last frame, 1/90000 s.
        has_times: at least one GOP states when its frames are shown.
        qualities: smallest and largest quality index of a GOP.
        content_bytes: of content latents, coder bytes only.
        dynamics_bytes: of dynamics latents, coder bytes only.
        sound_bytes: of sound packets, the codec's bytes only.
        overhead_bytes: everything else.
    """

    version: int
    header: Header
    compact: bool
    num_gops: int
    num_frames: int
    longest_gop: int
    duration_ticks: int
    has_times: bool
    qualities: tuple[int, int]
    content_bytes: int
    dynamics_bytes: int
    sound_bytes: int
    overhead_bytes: int

    @property
    def file_bytes(self) -> int:
        """Size of the stream."""
        coded = self.content_bytes + self.dynamics_bytes + self.sound_bytes
        return coded + self.overhead_bytes


def scan(source: BinaryIO, on_record: OnRecord | None = None) -> Summary:
    """Reads a stream to its end, checking everything but the symbols.

    Args:
        source: any binary file object with `read(n)`; it need not seek.
        on_record: called with each `RecordInfo` in order; their sizes add up to the stream's.

    Raises:
        BitstreamError: the stream is wrong anywhere.
    """
    payload = {kind: 0 for kind in RecordType}
    overhead = 0

    def add(record: RecordInfo) -> None:
        nonlocal overhead
        payload[record.kind] += record.payload_bytes
        overhead += record.overhead_bytes
        if on_record:
            on_record(record)

    reader = StreamReader(source, add)
    num_gops = duration = highest = longest = 0
    lowest, has_times = MAX_QUALITY, False
    for gop in reader:
        num_gops += 1
        lowest, highest = min(lowest, gop.quality), max(highest, gop.quality)
        longest = max(longest, gop.num_frames)
        has_times = has_times or gop.times is not None
        first_frame = reader.next_frame - gop.num_frames
        duration = frame_ticks(gop, first_frame, reader.header.fps)[-1]
    return Summary(
        version=reader.version,
        header=reader.header,
        compact=reader.compact,
        num_gops=num_gops,
        num_frames=reader.next_frame,
        longest_gop=longest,
        duration_ticks=duration,
        has_times=has_times,
        qualities=(lowest, highest),
        content_bytes=payload[RecordType.CONTENT],
        dynamics_bytes=payload[RecordType.DYNAMICS],
        sound_bytes=payload[RecordType.SOUND],
        overhead_bytes=overhead,
    )
