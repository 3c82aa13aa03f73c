"""Coding 48 kHz samples into packets: Opus, and plain PCM for containers that lack it."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import av
import numpy as np

from bitstream.sound import SoundPacket, SoundTrack
from dsaecodec.video.sound_timeline import LAYOUTS, RATE, Samples

_FRAME = 960  # samples of an Opus packet, 20 ms
_TIME_BASE = Fraction(1, RATE)


class SoundCoder(Protocol):
    """Codes one run of samples.

    Attributes:
        track: what a decoder must know.
    """

    track: SoundTrack

    def encode(self, samples: Samples, start: int) -> list[SoundPacket]:
        """Take samples, float32 [channels, samples], return the packets that are ready.

        Args:
            samples: follow those before.
            start: where the run began, in samples from the picture's first frame.
        """
        ...

    def finish(self) -> list[SoundPacket]:
        """Return the rest."""
        ...


class OpusCoder:
    """Opus, by libopus, in packets of 20 ms.

    The first packet starts 312 samples before the run: the encoder's delay, which a decoder
    drops.
    """

    def __init__(self, channels: int, bits_per_second: int) -> None:
        encoder = av.AudioCodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.layout = RATE, LAYOUTS[channels]
        encoder.format = "flt"
        encoder.bit_rate = bits_per_second
        encoder.time_base = _TIME_BASE
        encoder.options = {"application": "audio", "vbr": "on"}
        encoder.open()
        self._encoder = encoder
        self._rest = np.zeros((channels, 0), np.float32)
        self._count = self._start = 0
        self.track = SoundTrack("opus", RATE, channels, encoder.extradata or b"")

    def encode(self, samples: Samples, start: int) -> list[SoundPacket]:
        """See `SoundCoder`."""
        self._start = start
        packets = []
        samples = np.concatenate([self._rest, samples], axis=1)
        for at in range(0, samples.shape[1] - _FRAME + 1, _FRAME):
            packets += self._encode(samples[:, at : at + _FRAME])
        self._rest = samples[:, samples.shape[1] // _FRAME * _FRAME :]
        return packets

    def finish(self) -> list[SoundPacket]:
        """See `SoundCoder`."""
        packets = self._encode(self._rest) if self._rest.shape[1] else []
        if self._count:
            packets += _packets(self._encoder.encode(None))
        return packets

    def _encode(self, samples: Samples) -> list[SoundPacket]:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T).reshape(1, -1),
            format="flt",
            layout=LAYOUTS[samples.shape[0]],
        )
        frame.sample_rate = RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._start + self._count
        self._count += samples.shape[1]
        return _packets(self._encoder.encode(frame))


class PcmCoder:
    """16-bit PCM."""

    def __init__(self, channels: int) -> None:
        self._count = 0
        self.track = SoundTrack("pcm_s16le", RATE, channels)

    def encode(self, samples: Samples, start: int) -> list[SoundPacket]:
        """See `SoundCoder`."""
        rounded = np.clip(np.rint(samples.T * 32768), -32768, 32767).astype("<i2")
        packet = SoundPacket(start + self._count, rounded.shape[0], rounded.tobytes())
        self._count += rounded.shape[0]
        return [packet]

    def finish(self) -> list[SoundPacket]:
        """See `SoundCoder`."""
        return []


def _packets(packets: list[av.Packet]) -> list[SoundPacket]:
    return [
        SoundPacket(packet.pts, packet.duration or _FRAME, bytes(packet))
        for packet in packets
        if packet.pts is not None and packet.size
    ]
