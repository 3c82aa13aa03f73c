"""Finding the records of a damaged stream: what holds, and what lies between."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

from bitstream.errors import BitstreamError
from bitstream.limits import MAX_GOP_FRAMES, MAX_QUALITY, MAX_RECORD_BYTES
from bitstream.record import CRC_BYTES, Record, RecordType, read_record
from bitstream.source import ByteSource

_TAG_BYTES = 5
_TRY_COST = 256  # bytes whose CRC takes as long as looking at a place
_BUDGET = (
    1 << 26,
    16,
)  # bytes whose CRC is tried in a search: so many, and this often the stream's


class Damage(NamedTuple):
    """A stretch of bytes that cannot be believed.

    Attributes:
        offset: of the first byte.
        end: of the byte behind; equal to `offset` where something is missing.
        kind: what its tag says it is, None if that is not to be told.
        reason: what was found and expected.
    """

    offset: int
    end: int
    kind: RecordType | None
    reason: str


Piece = Record | Damage


class Salvager:
    """Reads the records of a stream in memory, and goes on behind damage.

    Args:
        data: the whole stream.
        version: of the stream.
        starts: where GOPs begin, as far as the stream's index tells: places to go on.
    """

    def __init__(self, data: bytes, version: int, starts: Sequence[int] = ()) -> None:
        self._data, self._version = data, version
        self._starts = sorted(starts)
        self._left = _BUDGET[0] + _BUDGET[1] * len(data)

    def pieces(self, offset: int) -> Iterator[Piece]:
        """Records and damage from a byte to the end, without a gap."""
        while offset < len(self._data):
            try:
                record = self._read(offset)
            except BitstreamError as error:
                end = self._next_record(offset)
                yield from self._split(offset, end, str(error))
                offset = end
            else:
                yield record
                offset += record.size

    def _read(self, offset: int) -> Record:
        """The record at a place.

        Raises:
            BitstreamError: there is none.
        """
        claimed = self._claim(offset)
        size = min(len(self._data), claimed[1]) - offset if claimed else 2 * _TAG_BYTES
        source = ByteSource(BytesIO(self._data[offset : offset + size]), offset=offset)
        return read_record(source, self._version, "stream", "a record")

    def _next_record(self, offset: int) -> int:
        """Where the next record behind a damaged place begins that holds, or the end."""
        claimed = self._claim(offset)
        if claimed and self._holds(claimed[1]):
            return claimed[1]
        for place in range(offset + 1, len(self._data)):
            self._left -= _TRY_COST
            if self._left < 0:
                return next((start for start in self._starts if start > place), len(self._data))
            if self._holds(place):
                return place
        return len(self._data)

    def _split(self, offset: int, end: int, reason: str) -> Iterator[Damage]:
        """Damaged bytes as the records that their tags make of them, if these lead to the end."""
        found: list[Damage] = []
        place = offset
        while place < end:
            claimed = self._claim(place)
            if claimed is None or claimed[1] > end:
                tag = self._data[offset] & 7
                kind = RecordType(tag) if tag in _KINDS[self._version] else None
                yield Damage(offset, end, kind if offset + 1 < end else None, reason)
                return
            kind, behind = claimed
            found.append(Damage(place, behind, kind, reason if place == offset else "as damaged"))
            place = behind
        yield from found

    def _claim(self, offset: int) -> tuple[RecordType, int] | None:
        """What a tag says: type, and where the record would end; None if that is impossible."""
        value = shift = 0
        for byte in self._data[offset : offset + _TAG_BYTES]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            return None
        length, kind = value >> 3, value & 7
        behind = offset + shift // 7 + length + CRC_BYTES
        if length > MAX_RECORD_BYTES or behind > len(self._data) or not length:
            return None
        if kind not in _KINDS[self._version] or (shift > 7 and not byte):
            return None
        return RecordType(kind), behind

    def _holds(self, offset: int) -> bool:
        """Whether a record begins at a place, as far as the budget allows to tell."""
        claimed = self._claim(offset)
        if claimed is None or not self._plausible(offset, *claimed):
            return False
        size = claimed[1] - offset - CRC_BYTES
        if size > self._left:
            return False
        self._left -= size
        data = memoryview(self._data)[offset : claimed[1]]
        return zlib.crc32(data[:size]) == int.from_bytes(data[size:], "little")

    def _plausible(self, offset: int, kind: RecordType, behind: int) -> bool:
        """Whether the first bytes of a payload are legal."""
        if kind not in (RecordType.CONTENT, RecordType.DYNAMICS):
            return True
        while self._data[offset] >= 0x80:
            offset += 1
        first, less_one = self._data[offset + 1], self._data[offset + 2]
        if kind is RecordType.CONTENT:
            return first & 0x7F <= MAX_QUALITY and less_one < MAX_GOP_FRAMES
        return first + less_one < MAX_GOP_FRAMES


_V1 = frozenset((RecordType.CONTENT, RecordType.DYNAMICS, RecordType.END))
_V2 = _V1 | {RecordType.SOUND, RecordType.TIMES, RecordType.INDEX}
_KINDS = {1: _V1, 2: _V2, 3: _V2}
