"""Finding the GOP that shows a time: through the index, or by reading on until it comes."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from bitstream.gop import Gop
from bitstream.index import GopIndex
from bitstream.limits import TICKS_PER_SECOND
from bitstream.record import RecordType, read_record
from bitstream.source import ByteSource
from bitstream.times import frame_ticks, grid_ticks, unpack_times


class Landing(NamedTuple):
    """Where a walk ends.

    Attributes:
        earlier: GOPs before the one searched for that it may need, without coder bytes of dynamics.
        gops: the one searched for, and the next where it has been read already.
        first_frame: its first, counted from the stream's first.
    """

    earlier: list[Gop]
    gops: list[Gop]
    first_frame: int


def walk(next_gop: Callable[[], Gop | None], fps: Fraction, ticks: int, *, back: int) -> Landing:
    """Reads a stream until a GOP begins behind a time.

    Args:
        next_gop: gives the stream's GOPs from the first, then None.
        fps: of the stream's header.
        ticks: the time, 0 or more.
        back: see `first_needed`.

    Raises:
        ValueError: the stream ends before.
        BitstreamError: from `next_gop`.
    """
    earlier: deque[Gop] = deque(maxlen=back)
    gop, first_frame = next_gop(), 0
    assert gop is not None, "a stream without a GOP is refused"
    while (following := next_gop()) is not None:
        next_frame = first_frame + gop.num_frames
        if frame_ticks(following, next_frame, fps)[0] > ticks:
            return Landing(list(earlier), [gop, following], first_frame)
        if following.refs_previous:
            earlier.append(without_dynamics(gop))
        else:
            earlier.clear()
        gop, first_frame = following, next_frame
    _check_before_end(ticks, frame_ticks(gop, first_frame, fps)[-1])
    return Landing(list(earlier), [gop], first_frame)


def look_up(index: GopIndex, source: ByteSource, version: int, fps: Fraction, ticks: int) -> int:
    """Finds a GOP by bisection; of each GOP tried only the first record is read.

    Args:
        index: of the stream.
        source: of the stream; is left anywhere.
        version: of the stream.
        fps: of the stream's header.
        ticks: the time, 0 or more.

    Returns:
        The last GOP that begins at or before the time.

    Raises:
        ValueError: the stream ends before.
        BitstreamError: a record read is damaged or malformed.
    """

    def span(gop: int) -> tuple[int, int]:
        """When a GOP begins and ends, ticks."""
        source.jump(index.offsets[gop])
        record = read_record(source, version, f"GOP {gop}", "a times or a content record")
        if record.kind is RecordType.TIMES:
            times = unpack_times(record.fields(RecordType.TIMES, f"GOP {gop}"), fps)
            return times[0], times[-1]
        record.fields(RecordType.CONTENT, f"GOP {gop}")
        frames = index.first_frames[gop : gop + 2]
        return grid_ticks(frames[0], fps), grid_ticks(frames[1], fps)

    last = index.num_gops - 1
    _check_before_end(ticks, span(last)[1])
    behind = bisect_right(range(last + 1), ticks, key=lambda gop: span(gop)[0])
    return max(behind - 1, 0)


def _check_before_end(ticks: int, end: int) -> None:
    """Refuses a time at which the last frame has ended."""
    if ticks >= end:
        raise ValueError(
            f"time {ticks / TICKS_PER_SECOND:.3f} s, expected less than the stream's length "
            f"of {end / TICKS_PER_SECOND:.3f} s"
        )


def first_needed(index: GopIndex, source: ByteSource, version: int, gop: int, *, back: int) -> int:
    """The first of the GOPs that one may need, itself if none; their first records are read.

    Args:
        index, source, version: as of `look_up`.
        gop: the one.
        back: most GOPs before it. Those that are referred to may refer to others themselves.
    """
    first = gop
    while first > max(gop - back, 0) and _refers(index, source, version, first):
        first -= 1
    return first


def without_dynamics(gop: Gop) -> Gop:
    """A GOP that is of use for its content and its sound alone."""
    return replace(gop, segments=tuple(replace(s, payload=b"") for s in gop.segments))


def _refers(index: GopIndex, source: ByteSource, version: int, gop: int) -> bool:
    """Whether a GOP refers to the one before."""
    source.jump(index.offsets[gop])
    place = f"GOP {gop}"
    record = read_record(source, version, place, "a times or a content record")
    if record.kind is RecordType.TIMES:
        record = read_record(source, version, place, "a content record")
    return record.fields(RecordType.CONTENT, place).byte("quality") > 0x7F
