"""Sound records: runs of packets that follow each other without a gap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bitstream.limits import (
    MAX_GOP_PACKETS,
    MAX_PACKET_BYTES,
    MAX_PACKET_SAMPLES,
    MAX_RECORD_BYTES,
    MAX_TIME,
)
from bitstream.sound import SoundPacket
from bitstream.source import ByteSource
from bitstream.varint import pack_varint, varint_bytes, zigzag

_NEW_DURATION = 1


def sound_runs(packets: Iterable[SoundPacket]) -> Iterator[list[SoundPacket]]:
    """The packets of one record after the other.

    A record ends where the track has a gap or an overlap, and before it grows beyond the longest.
    """
    run: list[SoundPacket] = []
    size = 0
    for packet in packets:
        grown = size + _framing_bytes(packet, run[-1] if run else None) + len(packet.data)
        if run and (packet.start != run[-1].end or grown > MAX_RECORD_BYTES):
            yield run
            run = []
        if not run:
            size = varint_bytes(zigzag(packet.start))
            grown = size + _framing_bytes(packet, None) + len(packet.data)
        run.append(packet)
        size = grown
    if run:
        yield run


def sound_framing_bytes(run: Sequence[SoundPacket]) -> int:
    """Length of `pack_sound(run)` less that of the packets."""
    total = varint_bytes(zigzag(run[0].start))
    before = None
    for packet in run:
        total += _framing_bytes(packet, before)
        before = packet
    return total


def pack_sound(run: Sequence[SoundPacket]) -> bytes:
    """A sound record's payload."""
    payload = bytearray(pack_varint(zigzag(run[0].start)))
    duration = None
    for packet in run:
        if packet.duration == duration:
            payload += pack_varint(len(packet.data) << 1)
        else:
            duration = packet.duration
            payload += pack_varint(len(packet.data) << 1 | _NEW_DURATION) + pack_varint(duration)
        payload += packet.data
    return bytes(payload)


def unpack_sound(fields: ByteSource, num_before: int) -> list[SoundPacket]:
    """Reads a sound record's payload.

    Args:
        fields: of the record.
        num_before: packets of the GOP in the records before.

    Raises:
        MalformedError: an illegal value, or more packets than a GOP has.
    """
    start = fields.signed("start", MAX_TIME)
    duration = 0
    packets: list[SoundPacket] = []
    while not packets or not fields.at_end():
        at = fields.offset
        if num_before + len(packets) == MAX_GOP_PACKETS:
            fields.fail("packet", at, "one more", f"at most {MAX_GOP_PACKETS} a GOP")
        size = fields.varint("packet size", MAX_PACKET_BYTES << 1 | _NEW_DURATION)
        if size < 2:
            fields.fail("packet size", at, "0", "at least 1")
        if size & _NEW_DURATION:
            duration = _read_duration(fields, duration)
        elif not packets:
            fields.fail("packet size", at, "no duration", "one with the first packet")
        packets.append(SoundPacket(start, duration, fields.take(size >> 1, "packet")))
        start += duration
    return packets


def _read_duration(fields: ByteSource, before: int) -> int:
    """Reads a packet's duration, which must differ from the one before."""
    start = fields.offset
    duration = fields.varint("packet duration", MAX_PACKET_SAMPLES)
    if duration == 0:
        fields.fail("packet duration", start, "0", "at least 1")
    if duration == before:
        fields.fail("packet duration", start, f"{duration} again", "another than before")
    return duration


def _framing_bytes(packet: SoundPacket, before: SoundPacket | None) -> int:
    """Bytes of a packet's size and, where it is new, its duration."""
    size = varint_bytes(len(packet.data) << 1)
    repeats = before is not None and before.duration == packet.duration
    return size if repeats else size + varint_bytes(packet.duration)
