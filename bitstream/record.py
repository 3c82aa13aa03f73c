"""Records: tag, payload and a CRC-32 that is checked before anything else is believed."""

from __future__ import annotations

import zlib
from enum import IntEnum
from io import BytesIO
from typing import NamedTuple

from bitstream.errors import ChecksumError, MalformedError, TruncatedError
from bitstream.limits import MAX_RECORD_BYTES
from bitstream.source import ByteSource
from bitstream.varint import pack_varint, varint_bytes

_TYPE_BITS = 3
_TYPE_MASK = (1 << _TYPE_BITS) - 1
_FIRST_RESERVED = {1: 4, 2: 7, 3: 7}
CRC_BYTES = 4


class RecordType(IntEnum):
    """Type of a record, the low three bits of its tag; version 1 ends with END."""

    HEADER = 0
    CONTENT = 1
    DYNAMICS = 2
    END = 3
    SOUND = 4
    TIMES = 5
    INDEX = 6


class RecordInfo(NamedTuple):
    """Where the bytes of a stream are.

    The compact form has no records; its parts are listed as if it had, so that sizes always add up
    to the stream's.

    Attributes:
        kind: type of the record.
        gop: index of the GOP, or None for the header, the index and the end.
        offset: of the first byte in the stream.
        size: bytes in the stream.
        overhead_bytes: of these, all but the payload.
        payload_bytes: of these, the symbol coder's, or the sound packets' own.
    """

    kind: RecordType
    gop: int | None
    offset: int
    size: int
    overhead_bytes: int
    payload_bytes: int


class Record(NamedTuple):
    """A record whose CRC holds: its type, first byte in the stream, size there, and payload."""

    kind: RecordType
    offset: int
    size: int
    payload: bytes

    def fields(self, expected: RecordType, place: str) -> ByteSource:
        """The payload as a source of fields; an end inside a field breaks the specification.

        Raises:
            MalformedError: the record is of another type than expected.
        """
        name = self.kind.name.lower()
        fields = ByteSource(
            BytesIO(self.payload),
            offset=self.offset + self.size - CRC_BYTES - len(self.payload),
            place=f"{place}: {name} record",
            end_error=MalformedError,
        )
        if self.kind is not expected:
            fields.fail("type", self.offset, name, expected.name.lower())
        return fields

    def info(self, gop: int | None, payload_bytes: int) -> RecordInfo:
        """The record's line in a list of the stream's bytes."""
        overhead = self.size - payload_bytes
        return RecordInfo(self.kind, gop, self.offset, self.size, overhead, payload_bytes)


def crc_bytes(data: bytes) -> bytes:
    """CRC-32 of zlib, little endian."""
    return zlib.crc32(data).to_bytes(CRC_BYTES, "little")


def check_crc(found: bytes, covered: bytes, place: str) -> None:
    """Compares the CRC in the stream with that of the bytes it covers.

    Raises:
        ChecksumError: they differ.
    """
    expected = crc_bytes(covered)
    if found != expected:
        raise ChecksumError(
            f"{place}: CRC {int.from_bytes(found, 'little'):08x}, "
            f"expected {int.from_bytes(expected, 'little'):08x}"
        )


def pack_record(kind: RecordType, payload: bytes, prefix: bytes = b"") -> bytes:
    """A whole record; its CRC also covers `prefix`, which is not part of it."""
    body = pack_varint(len(payload) << _TYPE_BITS | kind) + payload
    return body + crc_bytes(prefix + body)


def read_record(
    source: ByteSource, version: int, place: str, expected: str, prefix: bytes = b""
) -> Record:
    """Reads one record.

    Args:
        source: at the record's first byte.
        version: of the stream, which decides what types there are.
        place: what the record belongs to, for messages.
        expected: which record must come here, for messages.
        prefix: bytes before the record that its CRC also covers.

    Raises:
        TruncatedError: the stream ends before or inside the record.
        ChecksumError: the CRC does not hold.
        MalformedError: too long, a reserved type or not a minimal varint.
    """
    start = source.offset
    source.place = place
    if source.at_end():
        raise TruncatedError(f"{place}: found the end at byte {start}, expected {expected}")
    tag = source.varint("record tag", MAX_RECORD_BYTES << _TYPE_BITS | _TYPE_MASK)
    length, code = tag >> _TYPE_BITS, tag & _TYPE_MASK
    reserved = code >= _FIRST_RESERVED[version]
    name = f"type-{code}" if reserved else RecordType(code).name.lower()
    source.place = f"{place}: {name} record at byte {start}"
    payload = source.take(length, "payload")
    crc = source.take(CRC_BYTES, "CRC")
    check_crc(crc, prefix + pack_varint(tag) + payload, source.place)
    if reserved:
        raise MalformedError(f"{source.place}: reserved, expected {expected}")
    return Record(RecordType(code), start, source.offset - start, payload)


def next_type(source: ByteSource) -> int | None:
    """The type code in the next record's tag, not yet checked by its CRC; None at the end."""
    byte = source.peek()
    return None if byte is None else byte & _TYPE_MASK


def record_bytes(payload_bytes: int) -> int:
    """Size of a record with a payload of so many bytes: tag, payload, CRC."""
    return varint_bytes(payload_bytes << _TYPE_BITS) + payload_bytes + CRC_BYTES
