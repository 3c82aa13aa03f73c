"""A file's sound packets as they are, their times in samples from the picture's first frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import av

from bitstream.sound import SoundPacket, SoundTrack
from dsaecodec.errors import UsageError
from dsaecodec.video.sound_stream import CODECS, sample_bits
from dsaecodec.video.sound_timeline import JITTER

# Samples that packets are multiples of where they vary.
_STEPS = {"aac": 1024, "ac3": 1536, "dts": 512, "eac3": 256, "mp3": 576, "opus": 120, "vorbis": 64}
_NO_RUN_UP = ("pcm_", "flac", "alac")
_RUN_UP = Fraction(80, 1000)  # seconds a decoder may need before what it shall play; Opus's number


class CopiedSound:
    """Packets of a stream; those that end before the picture are left out, but for a run-up.

    Times are taken from the packets where they jump by more than 10 ms, otherwise counted: so
    they follow each other without gaps although many containers round them.

    Args:
        container: of the stream.
        stream: what to read.
        start: time of the picture's first frame on the container's clock, seconds.
        name: of the file, for messages.

    Attributes:
        track: what a decoder must know.
        num_damaged: packets left out so far.

    Raises:
        UsageError: the codec is none that can be kept.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.AudioStream,
        start: Fraction,
        name: str,
    ) -> None:
        context = stream.codec_context
        codec = context.codec.canonical_name
        if codec not in CODECS:
            raise UsageError(
                f"{name}: sound in {codec} cannot be copied, only {', '.join(CODECS)}",
                hint="code it anew: --audio opus:96k",
            )
        self.num_damaged = 0
        self._stream, self._start = stream, start
        self._rate, self._channels = context.sample_rate, context.layout.nb_channels
        self._bits, self._frame_size = sample_bits(codec), _frame_size(codec, context)
        self._keep = Fraction(0) if codec.startswith(_NO_RUN_UP) else _RUN_UP
        packets: Iterator[av.Packet] = container.demux(stream)
        setup = context.extradata or b""
        if codec == "aac" and not setup:  # as in MPEG transport streams: setup in each packet
            packets = self._without_adts(packets)
            first = next(packets, None)
            if first is not None:
                packets = chain([first], packets)
                if first.has_sidedata("new_extradata"):
                    setup = bytes(first.get_sidedata("new_extradata"))
        self._packets = packets
        self.track = SoundTrack(codec, self._rate, self._channels, setup)

    def __iter__(self) -> Iterator[SoundPacket]:
        held: SoundPacket | None = None  # until the next one tells how long it is, if it does not
        for packet in self._packets:
            if not packet.size or packet.is_corrupt:
                self.num_damaged += bool(packet.size)
                continue
            start = self._place(packet, held)
            if held is not None:
                yield from self._cut(held, start)
            held = SoundPacket(start, self._duration(packet), bytes(packet))
        if held is not None:
            yield from self._cut(held, held.start + max(held.duration, 1))

    def _without_adts(self, packets: Iterator[av.Packet]) -> Iterator[av.Packet]:
        bare = av.BitStreamFilterContext("aac_adtstoasc", self._stream)
        for packet in packets:
            time_base = packet.time_base
            if not packet.size:
                continue
            try:
                for filtered in bare.filter(packet):
                    filtered.time_base = time_base
                    yield filtered
            except av.FFmpegError:
                self.num_damaged += 1

    def _place(self, packet: av.Packet, before: SoundPacket | None) -> int:
        """First sample of a packet."""
        expected = before.start + before.duration if before else 0
        if packet.pts is None:
            return expected
        found = round((packet.pts * packet.time_base - self._start) * self._rate)
        steady = before is not None and before.duration
        return expected if steady and abs(found - expected) <= JITTER * self._rate else found

    def _duration(self, packet: av.Packet) -> int:
        """Samples of a packet, 0 if unknown; many containers round it to milliseconds."""
        if self._bits:
            return packet.size * 8 // (self._bits * self._channels)
        unit = packet.time_base * self._rate
        rounded = (packet.duration or 0) * unit or Fraction(self._frame_size)
        for step in (self._frame_size, _STEPS.get(self.track.codec, 0)):
            if step and rounded:
                steps = max(1, round(rounded / step))
                if abs(steps * step - rounded) <= unit:
                    return steps * step
        return round(rounded)

    def _cut(self, packet: SoundPacket, following: int) -> Iterator[SoundPacket]:
        """Give a packet if it is heard; of PCM, the samples from the first frame on."""
        start, duration, data = packet
        if not duration:
            duration = following - start
        if duration <= 0 or following <= start or start + duration <= -self._keep * self._rate:
            return
        if self._bits and start < 0:
            data = data[-start * self._bits * self._channels // 8 :]
            start, duration = 0, duration + start
        yield SoundPacket(start, duration, data)


def _frame_size(codec: str, context: av.AudioCodecContext) -> int:
    """Samples of every packet but the last, 0 if they vary."""
    setup = context.extradata or b""
    if codec == "flac":  # STREAMINFO begins with the least and the most
        return int.from_bytes(setup[2:4], "big") if setup[:2] == setup[2:4] else 0
    if codec == "alac":  # behind the atom's header
        return int.from_bytes(setup[12:16], "big")
    return context.frame_size
