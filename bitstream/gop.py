"""The unit of a stream: frames that share one content latent."""

from __future__ import annotations

from dataclasses import dataclass

from bitstream.limits import (
    MAX_CODER_BYTES,
    MAX_FRAME_TICKS,
    MAX_GOP_FRAMES,
    MAX_QUALITY,
    MAX_TIME,
)
from bitstream.sound import SoundPacket, check_packets


@dataclass(frozen=True)
class Segment:
    """The dynamics of consecutive frames, from one restart of the prior to the next.

    Attributes:
        first: first frame, counted from the GOP's first, 0..127.
        num_frames: 1..128.
        payload: the symbol coder's bytes.
    """

    first: int
    num_frames: int
    payload: bytes


@dataclass(frozen=True)
class Gop:
    """One content latent and the dynamics of the frames that share it.

    Attributes:
        quality: the quality index, 0..100.
        refs_previous: the frames, and perhaps the content, also use the content of the GOP before.
        num_frames: 1..128.
        content: the symbol coder's bytes of the content latent.
        segments: in order, without gap or overlap, together `num_frames` frames.
        times: when each frame is shown, and when the last one ends, [num_frames + 1] ticks of
            1/90000 s, strictly increasing; None for frames spaced evenly, see `frame_ticks`.
        sound: packets of the sound track, by rising start.
    """

    quality: int
    refs_previous: bool
    num_frames: int
    content: bytes
    segments: tuple[Segment, ...]
    times: tuple[int, ...] | None = None
    sound: tuple[SoundPacket, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= MAX_QUALITY:
            raise ValueError(f"quality {self.quality}, expected 0..{MAX_QUALITY}")
        if not 1 <= self.num_frames <= MAX_GOP_FRAMES:
            raise ValueError(f"GOP of {self.num_frames} frames, expected 1..{MAX_GOP_FRAMES}")
        next_frame = 0
        for segment in self.segments:
            if segment.first != next_frame or segment.num_frames < 1:
                raise ValueError(
                    f"segment of {segment.num_frames} frames from frame {segment.first}, "
                    f"expected frame {next_frame}"
                )
            next_frame += segment.num_frames
        if next_frame != self.num_frames:
            raise ValueError(f"segments of {next_frame} frames, expected {self.num_frames}")
        for payload in (self.content, *(segment.payload for segment in self.segments)):
            if len(payload) > MAX_CODER_BYTES:
                raise ValueError(f"{len(payload)} coder bytes, expected at most {MAX_CODER_BYTES}")
        if self.times is not None:
            _check_times(self.times, self.num_frames)
        check_packets(self.sound)

    @property
    def coder_bytes(self) -> int:
        """Bytes of all its coders."""
        return len(self.content) + sum(len(segment.payload) for segment in self.segments)


def _check_times(times: tuple[int, ...], num_frames: int) -> None:
    """Checks the times of a GOP by themselves."""
    if len(times) != num_frames + 1:
        raise ValueError(f"times of {len(times) - 1} frames, expected {num_frames}")
    if not 0 <= times[0] <= MAX_TIME:
        raise ValueError(f"times from tick {times[0]}, expected 0..{MAX_TIME}")
    for frame, (start, end) in enumerate(zip(times, times[1:], strict=False)):
        if not 1 <= end - start <= MAX_FRAME_TICKS:
            raise ValueError(
                f"duration of frame {frame}: {end - start} ticks, expected 1..{MAX_FRAME_TICKS}"
            )
