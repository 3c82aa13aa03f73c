"""Reading a video's sound, coded anew as Opus or as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Self

import av
from av.stream import Discard

from bitstream.sound import SoundPacket, SoundTrack
from dsaecodec.errors import InputVideoError
from dsaecodec.sound_request import opus_kbps
from dsaecodec.video.demuxing import open_container
from dsaecodec.video.sound_coders import OpusCoder
from dsaecodec.video.sound_copy import CopiedSound
from dsaecodec.video.sound_recode import Recoder


def open_sound(
    source: str | os.PathLike[str] | BinaryIO, request: str, start: Fraction
) -> SoundReader | None:
    """Open a file's sound, beside whoever reads its pictures.

    Args:
        source: path of the file. "-" and file objects cannot be opened twice: no sound.
        request: "opus:32k", any bitrate from 6k to 510k; "opus", which is that; "copy", the
            packets as they are; "none".
        start: time of the picture's first frame on the container's clock, seconds.

    Returns:
        None if there is no sound or none is wanted.

    Raises:
        UsageError: the request is none of these, or the codec cannot be copied.
        InputVideoError: the file cannot be read, or its sound not be decoded.
    """
    kbps = opus_kbps(request)
    if request == "none" or source == "-" or not isinstance(source, (str, os.PathLike)):
        return None
    name = os.fspath(source)
    with ExitStack() as resources:
        try:
            file = resources.enter_context(open(name, "rb"))
        except OSError as error:
            raise InputVideoError(f"{name}: cannot be read: {error.strerror}") from None
        container = resources.enter_context(open_container(file, name))
        if not container.streams.audio:
            return None
        stream, notes = _choose(container, name)
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        sound: CopiedSound | _OpusSound
        try:
            if kbps is None:
                sound = CopiedSound(container, stream, start, name)
            else:
                sound = _OpusSound(container, stream, start, kbps, notes)
        except (av.FFmpegError, ValueError) as error:
            raise InputVideoError(
                f"{name}: its sound makes no sense: {error}", hint="leave it out: --audio none"
            ) from None
        return SoundReader(sound, notes, resources.pop_all())


class SoundReader:
    """Packets of a file's sound, read once, in order; a context manager.

    Attributes:
        track: what a decoder of them must know.
        notes: sentences for the user where the sound is not all of the file's; complete when all
            packets are read.
    """

    def __init__(
        self, sound: CopiedSound | _OpusSound, notes: list[str], resources: ExitStack
    ) -> None:
        self.track: SoundTrack = sound.track
        self._sound, self._notes = sound, notes
        self._packets = self._read()
        self._next: SoundPacket | None = None
        self._resources = resources

    @property
    def notes(self) -> list[str]:
        """See the class."""
        damaged = self._sound.num_damaged
        lost = [f"{damaged} damaged sound packets are left out"] if damaged else []
        return self._notes + lost

    def packets_until(self, seconds: Fraction | None) -> list[SoundPacket]:
        """Return the packets, after those returned before, that start before a time.

        Args:
            seconds: from the picture's first frame; None for all that are left.
        """
        found = []
        limit = None if seconds is None else seconds * self.track.sample_rate
        while (packet := self._next or next(self._packets, None)) is not None:
            if limit is not None and packet.start >= limit:
                break
            found.append(packet)
            self._next = None
        self._next = packet
        return found

    def close(self) -> None:
        """Release the file."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> Iterator[SoundPacket]:
        """The packets, as far as the file can be read, and each later than the one before."""
        last = None
        try:
            for packet in self._sound:
                if last is None or packet.start > last:
                    yield packet
                    last = packet.start
        except av.FFmpegError:
            self._notes.append("the sound ends where the file is damaged")


class _OpusSound:
    """A stream's sound decoded and coded anew.

    Attributes:
        track: what a decoder must know.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.AudioStream,
        start: Fraction,
        kbps: int,
        notes: list[str],
    ) -> None:
        found = stream.codec_context.layout.nb_channels
        channels = 1 if found == 1 else 2
        if found > channels:
            notes.append(f"sound of {found} channels is mixed down to stereo")
        coder = OpusCoder(channels, 1000 * kbps)
        self.track = coder.track
        self._recoder = Recoder(stream, start, coder)
        self._packets: Iterator[av.Packet] = container.demux(stream)

    @property
    def num_damaged(self) -> int:
        """Packets so far that could not be decoded; silence stands for them."""
        return self._recoder.num_damaged

    def __iter__(self) -> Iterator[SoundPacket]:
        for packet in self._packets:
            yield from self._recoder.recode(packet)
        yield from self._recoder.finish()


def _choose(container: av.container.InputContainer, name: str) -> tuple[av.AudioStream, list[str]]:
    """The first stream of sound that there is a decoder for, and notes about the choice."""
    streams = container.streams.audio
    usable = [stream for stream in streams if stream.codec_context is not None]
    if not usable:
        raise InputVideoError(
            f"{name}: its sound is in a codec that FFmpeg does not know",
            hint="leave it out: --audio none",
        )
    notes = []
    if len(streams) > 1:
        number = [stream.index for stream in streams].index(usable[0].index) + 1
        notes.append(f"of {len(streams)} sound tracks only number {number} is kept")
    return usable[0], notes
