"""Small videos with sound of known content, made with plain PyAV, and where that sound lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

SECONDS = 3.0
BURSTS = (1.0, 2.0)
_BURST_SECONDS = 0.2
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
Signal = NDArray[np.float32]


def bursts(rate: int, seconds: float = SECONDS) -> Signal:
    """Silence, but for a burst of band-limited noise at each of `BURSTS`."""
    signal = np.zeros(round(seconds * rate), np.float32)
    for seed, begin in enumerate(BURSTS):
        rng = np.random.default_rng(seed)
        coarse = rng.normal(size=round(_BURST_SECONDS * 4000))  # below 2 kHz: kept at any rate
        times = np.arange(round(_BURST_SECONDS * rate)) / rate * 4000
        burst = 0.2 * np.interp(times, np.arange(len(coarse)), coarse)
        at = round(begin * rate)
        signal[at : at + len(burst)] = burst[: max(0, len(signal) - at)]
    return signal


def lag_ms(heard: Signal, rate: int, begin: float) -> float:
    """How late the burst that should begin at a time is, by cross-correlation; reach 100 ms."""
    margin, length = rate // 10, round(_BURST_SECONDS * rate)
    original = bursts(rate, SECONDS + 1)[round(begin * rate) :][:length]
    at = round(begin * rate) - margin
    window = np.pad(heard, (margin, 2 * rate))[at + margin :][: length + 2 * margin]
    match = correlate(window, original, "valid", "fft")
    assert match.max() > 0.3 * np.dot(original, original), "the burst is not there"
    return 1000 * (int(match.argmax()) - margin) / rate


@dataclass(frozen=True)
class Clip:
    """A video to make: black pictures and `bursts`."""

    codec: str
    suffix: str
    rate: int = 48000
    channels: int = 2
    video_start: float = 0.0
    sound_start: float = 0.0  # of what is kept of the signal, whose time 0 is the file's time 0
    holes: Sequence[tuple[float, float]] = ()  # packets that begin within are left out
    tracks: int = 1

    def write(self, folder: Path) -> Path:
        path = folder / f"source{self.suffix}"
        with av.open(str(path), "w") as container:
            packets = _pictures(container, self.video_start)
            for _ in range(self.tracks):
                packets += self._sound(container)
            packets.sort(key=lambda packet: packet.dts * packet.time_base)
            container.mux(packets)
        return path

    def _sound(self, container: av.container.OutputContainer) -> list[av.Packet]:
        stream = container.add_stream(self.codec, rate=self.rate)
        context = stream.codec_context
        context.layout = LAYOUTS[self.channels]
        if self.codec in ("aac", "libmp3lame", "libopus", "ac3"):
            context.bit_rate = 192_000
        context.open()
        size = context.frame_size or 1024
        signal = bursts(self.rate)
        packets: list[av.Packet] = []
        for at in range(round(self.sound_start * self.rate), len(signal), size):
            block = np.tile(signal[at : at + size], (self.channels, 1))
            frame = av.AudioFrame.from_ndarray(block, "fltp", LAYOUTS[self.channels])
            frame.sample_rate, frame.time_base = self.rate, Fraction(1, self.rate)
            frame.pts = at
            packets += stream.encode(frame)
        packets += stream.encode(None)
        return [packet for packet in packets if not self._is_lost(packet)]

    def _is_lost(self, packet: av.Packet) -> bool:
        time = packet.pts * packet.time_base
        return any(begin <= time < end for begin, end in self.holes)


def _pictures(container: av.container.OutputContainer, start: float) -> list[av.Packet]:
    stream = container.add_stream("mpeg4", rate=25)
    stream.width = stream.height = 32
    stream.pix_fmt = "yuv420p"
    packets = []
    for index in range(round((SECONDS - start) * 25)):
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), "yuv420p")
        frame.pts, frame.time_base = index + round(start * 25), Fraction(1, 25)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def picture_start(path: Path) -> Fraction:
    """Time of the first frame on the container's clock."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.pts is not None and frame.time_base is not None
        return frame.pts * frame.time_base


def heard(path: Path) -> tuple[Signal, int]:
    """A file's sound, first channel, as a player lays it out from the first frame on; its rate."""
    start = picture_start(path)
    out, end = np.zeros(0, np.float32), 0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            rate = frame.sample_rate
            if not len(out):
                out = np.zeros(round((SECONDS + 2) * rate), np.float32)
                mixer = av.AudioResampler("fltp", frame.layout, rate)
            block = mixer.resample(frame)[0].to_ndarray()[0]
            at = round((frame.pts * frame.time_base - start) * rate)
            if end and abs(at - end) < rate // 200:
                at = end  # the container's clock is rounded
            end = at + len(block)
            out[max(at, 0) : max(end, 0)] = block[max(-at, 0) :]
    return out[:end], rate
