"""When frames are shown: evenly by the frame rate, or by a times record."""

from __future__ import annotations

from fractions import Fraction

from bitstream.gop import Gop
from bitstream.limits import MAX_FRAME_TICKS, MAX_GOP_FRAMES, MAX_TIME, TICKS_PER_SECOND
from bitstream.source import ByteSource
from bitstream.varint import pack_varint, zigzag

_MAX_CHANGE = 1 << 48  # the slowest frame rate's duration and the longest frame's lie below


def grid_ticks(frame: int, fps: Fraction) -> int:
    """When a frame without a time is shown.

    Args:
        frame: counted from the stream's first.
        fps: frames a second.

    Returns:
        Ticks of 1/90000 s from the stream's first frame.
    """
    return TICKS_PER_SECOND * frame * fps.denominator // fps.numerator


def frame_ticks(gop: Gop, first_frame: int, fps: Fraction) -> tuple[int, ...]:
    """When each frame of a GOP is shown, and when the last one ends.

    Args:
        gop: with or without times.
        first_frame: its first, counted from the stream's first.
        fps: of the stream's header.

    Returns:
        [num_frames + 1] ticks of 1/90000 s from the stream's first frame.
    """
    if gop.times is not None:
        return gop.times
    return tuple(grid_ticks(first_frame + t, fps) for t in range(gop.num_frames + 1))


def time_steps(times: tuple[int, ...], fps: Fraction) -> list[int]:
    """What a times record says of each frame: by how much it is shown longer than the one before.

    The first is compared with a frame of the even rate.
    """
    durations = [_even_duration(fps)]
    durations += [end - start for start, end in zip(times, times[1:], strict=False)]
    return [new - old for old, new in zip(durations, durations[1:], strict=False)]


def pack_times(times: tuple[int, ...], fps: Fraction) -> bytes:
    """A times record's payload."""
    steps = (pack_varint(zigzag(step)) for step in time_steps(times, fps))
    return pack_varint(times[0]) + b"".join(steps)


def unpack_times(fields: ByteSource, fps: Fraction) -> tuple[int, ...]:
    """Reads a times record's payload: as many frames as it holds, at least one.

    Raises:
        MalformedError: an illegal value, or more frames than a GOP has.
    """
    times = [fields.varint("start", MAX_TIME)]
    duration = _even_duration(fps)
    while len(times) == 1 or not fields.at_end():
        if len(times) > MAX_GOP_FRAMES:
            fields.fail("frame", fields.offset, "one more", f"at most {MAX_GOP_FRAMES}")
        at = fields.offset
        duration += fields.signed("duration", _MAX_CHANGE)
        if not 1 <= duration <= MAX_FRAME_TICKS:
            fields.fail("duration", at, f"{duration} ticks", f"1..{MAX_FRAME_TICKS}")
        times.append(times[-1] + duration)
    return tuple(times)


def _even_duration(fps: Fraction) -> int:
    return max(1, grid_ticks(1, fps))
