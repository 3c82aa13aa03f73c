"""A video to a .dsz stream, one GOP at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import BinaryIO, Protocol

from bitstream import Colour, Gop, Header, SoundPacket, SoundTrack, StreamWriter
from bitstream.limits import MAX_GOP_FRAMES, MAX_GOP_PACKETS
from dsaecodec.codec.family import GopEncoder, open_gop_encoder, plan
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.preset import find_preset
from dsaecodec.codec.threads import Crew, limited_threads
from dsaecodec.codec.timing import Timekeeper
from dsaecodec.errors import ConfigError, InputVideoError
from dsaecodec.limits import Limits
from dsaecodec.model_io import load_model
from dsaecodec.rate_control import qualities_of_gops
from dsaecodec.video.frame import TICKS_PER_SECOND, Frame420, VideoInfo


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode.

    Attributes:
        quality: 0…100, higher is better; between whole numbers GOPs alternate.
        gop: most frames that share one content; None for the preset's.
        threads: CPU threads; None leaves the choice to torch.
        device: "auto", "cpu" or "cuda" for the float networks.
        model: name or path of the weights; None for the default.
        preset: "fast", "medium" or "slow": how hard to try, see `codec.preset`.
        num_frames: encode the first frames only, and their sound; None for all.
        max_memory: bytes that encoding may take by an estimate, see `limits`.
        resilient: a dynamics record for so many frames each; None: one a GOP.
    """

    quality: float = 50
    gop: int | None = None
    threads: int | None = None
    device: str = "auto"
    model: str | None = None
    preset: str = "medium"
    num_frames: int | None = None
    max_memory: int | None = None
    resilient: int | None = None


class Sound(Protocol):
    """Where packets of sound come from, see `video.sound.SoundReader`."""

    track: SoundTrack

    def packets_until(self, seconds: Fraction | None) -> list[SoundPacket]:
        """The next packets, those that start before a time; None: all that are left."""
        ...


@dataclass
class Progress:
    """How far an encode is: frames and bytes written."""

    frames: int
    bytes: int


@dataclass(frozen=True)
class EncodeReport:
    """What an encode wrote.

    Attributes:
        frames, gops: counts.
        bytes: of the stream; the sum of the four below.
        content_bytes, dynamics_bytes, sound_bytes, overhead_bytes: what they went to.
        quality: that it was encoded at, the mean of its plans.
        plans: GOPs before some were halved: as many have a quality of their own.
        duration: seconds from the first frame to the end of the last.
        seconds: that it took.
        gain: share of D / λ + R that refinement saved, None without it.
    """

    frames: int
    gops: int
    bytes: int
    content_bytes: int
    dynamics_bytes: int
    sound_bytes: int
    overhead_bytes: int
    quality: float
    plans: int
    duration: float
    seconds: float
    gain: float | None = None


def encode_video(
    frames: Iterable[Frame420],
    info: VideoInfo,
    sink: BinaryIO,
    options: EncodeOptions,
    progress: Callable[[Progress], None] | None = None,
    sound: Sound | None = None,
) -> EncodeReport:
    """Encode frames and their sound into `sink`, one GOP at a time.

    Raises:
        ConfigError: an option is out of range.
        InputVideoError: there are no frames, or they are too large for the format or the memory.
        ModelError: weights missing or unusable.
    """
    preset = find_preset(options.preset)
    if not isinstance(options.quality, (int, float)) or not 0 <= options.quality <= 100:
        raise ConfigError(f"quality {options.quality}: expected 0…100")
    if options.gop is not None and not 1 <= options.gop <= MAX_GOP_FRAMES:
        raise ConfigError(f"GOP of {options.gop} frames: expected 1…{MAX_GOP_FRAMES}")
    if options.resilient is not None and not 1 <= options.resilient <= MAX_GOP_FRAMES:
        raise ConfigError(f"resilient {options.resilient}: expected 1…{MAX_GOP_FRAMES}")
    begin = time.monotonic()
    longest = options.gop or preset.longest_gop(info.height, info.width)
    known = [n for n in (info.num_frames, options.num_frames) if n]
    Limits(max_memory=options.max_memory).check_input(
        info.width,
        info.height,
        min(longest, *known) if known else longest,
        refined=preset.rounds > 0,
        threads=options.threads,
    )
    loaded = load_model(options.model, options.device)
    track = sound.track if sound else None
    writer = StreamWriter(sink, _header(loaded.identity, info, track))
    tally = _Tally()
    source = _Limited(frames, options.num_frames, look_ahead=sound is not None)
    plans = plan(loaded, source, info, options.gop, preset)
    with Crew(options.threads, loaded.device, beside=not loaded.is_vector) as crew:
        setting = (int(options.quality), preset, crew, options.resilient)
        encoder = open_gop_encoder(loaded, info, *setting)
        qualities = tally.counted(qualities_of_gops(options.quality))
        for coded, end, last in _coded_gops(encoder, plans, qualities, info.fps, crew):
            if sound:
                packets = sound.packets_until(None if last and source.ended else end)
                if len(packets) > MAX_GOP_PACKETS:
                    raise InputVideoError(
                        f"{len(packets)} sound packets behind the last frames, at most "
                        f"{MAX_GOP_PACKETS} fit",
                        hint="leave the sound out: --audio none",
                    )
                coded = replace(coded, sound=tuple(packets))
            tally.duration = end
            writer.write_gop(coded)
            tally.add(coded)
            if progress:
                progress(Progress(tally.frames, writer.bytes_written))
    if not tally.frames:
        raise InputVideoError("no frames to encode")
    writer.finish()
    saved = encoder.cost_before - encoder.cost_after
    gain = saved / encoder.cost_before if encoder.cost_before else None
    seconds = time.monotonic() - begin
    return tally.report(writer.bytes_written, seconds, gain)


def _header(identity: bytes, info: VideoInfo, track: SoundTrack | None) -> Header:
    try:
        colour = Colour(info.matrix, info.full_range)
        size = (info.width, info.height)
        return Header(identity, *size, info.fps, colour, info.sample_aspect, track)
    except ValueError as error:
        raise InputVideoError(f"the video does not fit the format: {error}") from error


class _Limited:
    """The first frames of a video.

    Attributes:
        ended: the video itself has no more frames.
    """

    def __init__(
        self, frames: Iterable[Frame420], num_frames: int | None, *, look_ahead: bool
    ) -> None:
        self._frames, self._left = iter(frames), num_frames
        self._look_ahead = look_ahead  # a live source may not send what nobody wants
        self.ended = False

    def __iter__(self) -> Iterator[Frame420]:
        while self._left is None or self._left > 0:
            frame = next(self._frames, None)
            if frame is None:
                self.ended = True
                return
            yield frame
            if self._left is not None:
                self._left -= 1
        if self._look_ahead:
            with suppress(InputVideoError):  # what lies behind the part wanted may be damaged
                self.ended = next(self._frames, None) is None


def _coded_gops(
    encoder: GopEncoder,
    plans: Iterator[GopPlan],
    qualities: Iterator[int],
    fps: Fraction,
    crew: Crew,
) -> Iterator[tuple[Gop, Fraction, bool]]:
    """Coded GOPs with their times, when in seconds they end, and whether one is the last.

    A GOP is held back until the frame behind it is known: its time ends the GOP's last frame.
    """
    clock = Timekeeper(fps)
    held: list[tuple[Gop, list[int | None]]] = []

    def timed(following: Frame420 | None) -> Iterator[tuple[Gop, Fraction, bool]]:
        for index, (coded, ticks) in enumerate(held, start=1):
            last = index == len(held) and following is None
            after = held[index][1][0] if index < len(held) else following and following.ticks
            shown = clock.times(ticks, after, last=last)
            timed_gop = replace(coded, times=clock.advance(shown))
            yield timed_gop, Fraction(shown[-1], TICKS_PER_SECOND), last

    for planned in plans:
        encoder.quality = next(qualities)
        yield from timed(planned.frames[0])
        with limited_threads(crew.threads_beside):
            gops = encoder.encode(planned)
        ticks = iter([frame.ticks for frame in planned.frames])
        held = [(coded, list(islice(ticks, coded.num_frames))) for coded in gops]
    yield from timed(None)


class _Tally:
    """Counts what is written."""

    def __init__(self) -> None:
        self.frames = self._gops = self._content = self._dynamics = self._sound = 0
        self.duration = Fraction(0)
        self._qualities: list[int] = []

    def counted(self, qualities: Iterator[int]) -> Iterator[int]:
        """The same qualities, one a plan."""
        for quality in qualities:
            self._qualities.append(quality)
            yield quality

    def add(self, gop: Gop) -> None:
        self.frames += gop.num_frames
        self._gops += 1
        self._content += len(gop.content)
        self._dynamics += sum(len(segment.payload) for segment in gop.segments)
        self._sound += sum(len(packet.data) for packet in gop.sound)

    def report(self, num_bytes: int, seconds: float, gain: float | None) -> EncodeReport:
        parts = self._content, self._dynamics, self._sound
        overhead = num_bytes - sum(parts)
        shown = float(self.duration)
        sizes = (num_bytes, *parts, overhead)
        plans = len(self._qualities)
        made = (*sizes, sum(self._qualities) / plans, plans)
        return EncodeReport(self.frames, self._gops, *made, shown, seconds, gain)
