"""The sound track: packets of another codec, carried as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bitstream.limits import (
    MAX_CHANNELS,
    MAX_CODEC_NAME,
    MAX_EXTRADATA_BYTES,
    MAX_GOP_PACKETS,
    MAX_PACKET_BYTES,
    MAX_PACKET_SAMPLES,
    MAX_SAMPLE_RATE,
    MAX_TIME,
)
from bitstream.source import ByteSource, legal_values
from bitstream.varint import pack_varint

_CODEC_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


@dataclass(frozen=True)
class SoundTrack:
    """What a decoder of the sound must know before the first packet.

    Attributes:
        codec: FFmpeg's name of the codec, 1..32 characters of a-z, 0-9 and _.
        sample_rate: samples a second, 1..2^20; the unit of the packets' times.
        channels: 1..255.
        extradata: the codec's own setup data, at most 2^16 bytes.
    """

    codec: str
    sample_rate: int
    channels: int
    extradata: bytes = b""

    def __post_init__(self) -> None:
        if not 1 <= len(self.codec) <= MAX_CODEC_NAME or not _CODEC_CHARACTERS.issuperset(
            self.codec
        ):
            raise ValueError(
                f"sound codec {self.codec!r}, expected 1..{MAX_CODEC_NAME} of a-z, 0-9 and _"
            )
        if not 1 <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise ValueError(f"sample rate {self.sample_rate}, expected 1..{MAX_SAMPLE_RATE}")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise ValueError(f"{self.channels} sound channels, expected 1..{MAX_CHANNELS}")
        if len(self.extradata) > MAX_EXTRADATA_BYTES:
            raise ValueError(
                f"{len(self.extradata)} bytes of sound setup, "
                f"expected at most {MAX_EXTRADATA_BYTES}"
            )


class SoundPacket(NamedTuple):
    """One packet of the sound track.

    Attributes:
        start: samples from the first frame's time to the packet's first sample; negative for what
            precedes the picture, an encoder's delay for one.
        duration: samples, 1..2^31.
        data: the codec's bytes, at least one.
    """

    start: int
    duration: int
    data: bytes

    @property
    def end(self) -> int:
        """The sample behind the packet's last."""
        return self.start + self.duration


def check_packets(packets: Sequence[SoundPacket]) -> None:
    """Checks the sound of a GOP by itself.

    Raises:
        ValueError: a packet beyond a limit, or not after the one before.
    """
    if len(packets) > MAX_GOP_PACKETS:
        raise ValueError(f"{len(packets)} sound packets, expected at most {MAX_GOP_PACKETS}")
    earliest = -MAX_TIME
    for packet in packets:
        if not earliest <= packet.start <= MAX_TIME:
            raise ValueError(
                f"sound packet from sample {packet.start}, expected {earliest}..{MAX_TIME}"
            )
        if not 1 <= packet.duration <= MAX_PACKET_SAMPLES:
            raise ValueError(
                f"sound packet of {packet.duration} samples, expected 1..{MAX_PACKET_SAMPLES}"
            )
        if not 1 <= len(packet.data) <= MAX_PACKET_BYTES:
            raise ValueError(
                f"sound packet of {len(packet.data)} bytes, expected 1..{MAX_PACKET_BYTES}"
            )
        earliest = packet.start + 1


def pack_track(track: SoundTrack) -> bytes:
    """The track's fields in the header record."""
    name = track.codec.encode("ascii")
    return b"".join(
        (
            bytes([len(name)]),
            name,
            pack_varint(track.sample_rate),
            bytes([track.channels]),
            pack_varint(len(track.extradata)),
            track.extradata,
        )
    )


def unpack_track(source: ByteSource) -> SoundTrack:
    """Reads the track's fields.

    Raises:
        MalformedError: an illegal value.
    """
    start = source.offset
    length = source.byte("length of the sound codec's name")
    if not 1 <= length <= MAX_CODEC_NAME:
        source.fail("length of the sound codec's name", start, str(length), f"1..{MAX_CODEC_NAME}")
    codec = source.take(length, "sound codec").decode("latin-1")
    sample_rate = source.varint("sample rate", MAX_SAMPLE_RATE)
    channels = source.byte("sound channels")
    extradata = source.take(
        source.varint("length of the sound setup", MAX_EXTRADATA_BYTES), "sound setup"
    )
    with legal_values(source.place):
        return SoundTrack(codec, sample_rate, channels, extradata)
