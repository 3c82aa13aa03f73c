"""Sound packets decoded, laid out on the picture's clock and coded anew."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av

from bitstream.sound import SoundPacket
from dsaecodec.video.sound_coders import SoundCoder
from dsaecodec.video.sound_stream import name_layout
from dsaecodec.video.sound_timeline import Timeline


class Recoder:
    """Codes a stream's packets anew.

    Args:
        stream: whose decoder to use.
        start: time of the picture's first frame on the packets' clock, seconds.
        coder: what codes.

    Attributes:
        num_damaged: packets so far that could not be decoded; silence stands for them.
    """

    def __init__(self, stream: av.AudioStream, start: Fraction, coder: SoundCoder) -> None:
        name_layout(stream)
        self.num_damaged = 0
        self._decoder, self._start, self._coder = stream.codec_context, start, coder
        self._timeline = Timeline(coder.track.channels)
        self._unit: Fraction | None = None
        self._broken = False  # whether something was lost since the last frame

    def recode(self, packet: av.Packet) -> Iterator[SoundPacket]:
        """Take a packet, give what is ready."""
        if not packet.size:
            return
        self._unit = packet.time_base
        try:
            frames = [] if packet.is_corrupt else self._decoder.decode(packet)
        except (av.FFmpegError, ValueError):
            frames = []
        if not frames:
            # Decoders with a delay give nothing at first: that alone is no damage.
            self.num_damaged += self._timeline.start is not None or packet.is_corrupt
            self._broken = True
        yield from self._code(frames)

    def finish(self) -> Iterator[SoundPacket]:
        """Give the rest."""
        if self._unit is not None:
            yield from self._code(self._decoder.decode(None))
        for samples in self._timeline.finish():
            yield from self._coder.encode(samples, self._timeline.start or 0)
        yield from self._coder.finish()

    def _code(self, frames: list[av.AudioFrame]) -> Iterator[SoundPacket]:
        for frame in frames:
            time = None
            if frame.pts is not None and self._unit is not None:
                time = frame.pts * self._unit - self._start
            for samples in self._timeline.add(frame, time, exact=self._broken):
                yield from self._coder.encode(samples, self._timeline.start or 0)
            self._broken = False
