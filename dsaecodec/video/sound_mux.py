"""A stream's sound made ready for a container: its packets as they are, or coded anew."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Self

import av

from bitstream.sound import SoundPacket, SoundTrack
from dsaecodec.video.sound_coders import OpusCoder, PcmCoder, SoundCoder
from dsaecodec.video.sound_recode import Recoder
from dsaecodec.video.sound_stream import CODECS, name_layout, open_template

# What players of each container know, which is less than what FFmpeg would write.
_PCM = {codec for codec in CODECS if codec.startswith("pcm_")}
_HELD = {
    ".mp4": {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"},
    ".mov": {"aac", "ac3", "alac", "eac3", "mp3"} | _PCM,
    ".mkv": set(CODECS),
    ".webm": {"opus", "vorbis"},
}
_MUXERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_RECODED_KBPS = 128
_PRE_SKIP = slice(10, 12)  # of an Opus header: samples that a decoder drops, little-endian
_EARLIEST, _LATEST = 1, 10**6  # seconds before and after the first frame that sound may begin


class SoundMuxer:
    """Adds a sound track to a container; none of its bytes are trusted.

    Args:
        track: of the packets that come.
        template: a stream with the track's parameters.
        coder: codes the sound anew; None: the packets are muxed as they are.
        notes: takes sentences for the user.
    """

    def __init__(
        self,
        track: SoundTrack,
        template: av.AudioStream,
        coder: SoundCoder | None,
        notes: list[str],
    ) -> None:
        self._track, self._notes = track, notes
        self._muxed = coder.track if coder else track
        self._recoder: Recoder | None = None
        if coder:
            # The clock by which the decoder moves times when it drops an encoder's delay.
            template.codec_context.options = {"pkt_timebase": f"1/{track.sample_rate}"}
            self._recoder = Recoder(template, Fraction(0), coder)
        self._last: int | None = None
        self._num_dropped = 0

    @classmethod
    def of(cls, track: SoundTrack, suffix: str, notes: list[str]) -> Self | None:
        """Decide what becomes of a track in a container.

        Args:
            track: the sound.
            suffix: of the container, one of .mp4, .mov, .mkv, .webm.
            notes: takes sentences for the user.

        Returns:
            None if the track makes no sense.
        """
        try:
            template = open_template(track)
        except ValueError as error:
            notes.append(f"the sound is left out: {error}")
            return None
        if track.codec in _HELD[suffix] and _accepts(_MUXERS[suffix], template):
            return cls(track, template, None, notes)
        channels = min(template.codec_context.layout.nb_channels, 2)
        coder: SoundCoder
        if suffix == ".mov":
            coder, name = PcmCoder(channels), "16-bit PCM"
        else:
            coder = OpusCoder(channels, 1000 * _RECODED_KBPS)
            name = f"Opus, {_RECODED_KBPS} kbit/s"
        notes.append(f"{suffix} cannot hold sound in {track.codec}: it is coded anew as {name}")
        return cls(track, template, coder, notes)

    def add_to(self, container: av.container.OutputContainer, early: Sequence[SoundPacket]) -> None:
        """Add a stream to a container that is not begun yet.

        Args:
            container: where to.
            early: the packets that are there already: the first tells how much precedes the
                picture. They are given to `packets` all the same.
        """
        first = next((packet.start for packet in early if self._is_sane(packet)), None)
        track, padding = _with_delay(self._muxed, None if self._recoder else first)
        self._stream = container.add_stream_from_template(open_template(track, padding))
        name_layout(self._stream)

    def packets(self, packets: Iterable[SoundPacket]) -> Iterator[av.Packet]:
        """Make packets ready to be muxed."""
        for packet in packets:
            if not self._is_sane(packet):
                self._num_dropped += 1
                continue
            self._last = packet.start
            ready = _to_av(packet, self._track.sample_rate)
            if self._recoder is None:
                yield self._placed(ready)
            else:
                yield from self._recoded(self._recoder.recode(ready))

    def finish(self) -> Iterator[av.Packet]:
        """Make the rest ready, and note what was left out."""
        if self._recoder is not None:
            yield from self._recoded(self._recoder.finish())
            self._num_dropped += self._recoder.num_damaged
        if self._num_dropped:
            self._notes.append(f"{self._num_dropped} damaged sound packets are left out")

    def _recoded(self, packets: Iterator[SoundPacket]) -> Iterator[av.Packet]:
        for packet in packets:
            yield self._placed(_to_av(packet, self._muxed.sample_rate))

    def _placed(self, packet: av.Packet) -> av.Packet:
        packet.stream = self._stream
        return packet

    def _is_sane(self, packet: SoundPacket) -> bool:
        later = self._last is None or packet.start > self._last
        rate = self._track.sample_rate
        return later and -_EARLIEST * rate <= packet.start < _LATEST * rate


def _accepts(muxer: str, template: av.AudioStream) -> bool:
    """Whether a container can be begun with a stream; some setup data are refused."""
    try:
        trial = av.open(io.BytesIO(), "w", format=muxer)
        name_layout(trial.add_stream_from_template(template))
        trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    with suppress(av.FFmpegError):
        trial.close()
    return True


def _with_delay(track: SoundTrack, first: int | None) -> tuple[SoundTrack, int]:
    """The samples that a decoder shall drop at the start, and the track that says so.

    They are what lies before the picture, or else what an Opus header names as its delay.
    """
    opus = track.codec == "opus"
    padding = int.from_bytes(track.extradata[_PRE_SKIP], "little") if opus else 0
    if first is not None and first < 0:
        padding = -first
        if opus:
            setup = bytearray(track.extradata)
            setup[_PRE_SKIP] = min(padding, 0xFFFF).to_bytes(2, "little")
            track = replace(track, extradata=bytes(setup))
    return track, padding


def _to_av(packet: SoundPacket, rate: int) -> av.Packet:
    ready = av.Packet(packet.data)
    ready.pts = ready.dts = packet.start
    ready.duration = min(packet.duration, _LATEST * rate)
    ready.time_base = Fraction(1, rate)
    ready.is_keyframe = True
    return ready
