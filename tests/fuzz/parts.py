"""Streams taken to pieces that can be changed one by one, and put together with CRCs that hold.

A `Stream` is a form byte and records, a record a type and fields; the compact form is one record
without a tag. Fields keep what is illegal: a varint may be of any size, and be written too long.
Writing computes every CRC anew, and, unless told not to, what else follows from the rest: the
distance, the counts and the index at the end, and the content length of the compact form.
"""

from __future__ import annotations

import zlib
from copy import deepcopy
from dataclasses import dataclass, field
from io import BytesIO

from bitstream.record import RecordType, read_record
from bitstream.signature import COMPACT, RATE_SHIFT, SMALL, VERSION_MASK
from bitstream.source import ByteSource
from bitstream.varint import pack_varint, zigzag

VARINT, SIGNED, BYTE, RAW = "varint", "signed", "byte", "raw"
WHOLE = 8  # the type of the compact form's only part: no record can have it
MIN_INDEXED_GOPS = 9
_NO_MAXIMUM = 1 << 70
_RATE_IN_FULL = 15


@dataclass
class Field:
    """One field of a payload.

    Attributes:
        name: what it is.
        form: "varint", "signed", "byte" or "raw".
        value: an integer, or bytes of a raw field.
        surplus: bytes that a varint is written longer than it need be.
    """

    name: str
    form: str
    value: int | bytes
    surplus: int = 0

    def pack(self) -> bytes:
        """The field's bytes."""
        if isinstance(self.value, bytes):
            return self.value
        if self.form == BYTE:
            return bytes([self.value & 0xFF])
        data = pack_varint(zigzag(self.value) if self.form == SIGNED else abs(self.value))
        if self.surplus:
            tail = b"\x80" * (self.surplus - 1) + b"\x00"
            data = data[:-1] + bytes([data[-1] | 0x80]) + tail
        return data


@dataclass
class Part:
    """A record.

    Attributes:
        kind: type code, 0 to 7, or `WHOLE`.
        fields: of the payload.
        length_off: by how much the tag lies about the payload's length.
    """

    kind: int
    fields: list[Field]
    length_off: int = 0

    def payload(self) -> bytes:
        """All fields."""
        return b"".join(each.pack() for each in self.fields)

    def pack(self, prefix: bytes = b"") -> bytes:
        """The record, with a CRC that holds."""
        data = self.payload()
        if self.kind != WHOLE:
            data = pack_varint(max(0, len(data) + self.length_off) << 3 | self.kind & 7) + data
        return data + zlib.crc32(prefix + data).to_bytes(4, "little")

    def get(self, name: str) -> Field | None:
        """The first field of a name."""
        return next((each for each in self.fields if each.name == name), None)

    def number(self, name: str) -> int:
        """A field's integer, 0 where there is none."""
        found = self.get(name)
        return found.value if found and isinstance(found.value, int) else 0

    def put(self, name: str, value: int | bytes) -> None:
        """Changes a field where there is one of that name."""
        found = self.get(name)
        if found:
            found.value = value


@dataclass
class Stream:
    """A stream in pieces.

    Attributes:
        form: the byte behind "DSZ".
        parts: records in order.
        true_end: compute index, end record and content length when packing.
        tail: bytes behind the end.
    """

    form: int
    parts: list[Part]
    true_end: bool = True
    tail: bytes = b""
    origin: str = field(default="", compare=False)

    @property
    def compact(self) -> bool:
        """Whether it is of the compact form."""
        return self.parts[0].kind == WHOLE

    def copy(self) -> Stream:
        """One that can be changed."""
        return deepcopy(self)

    def of(self, *kinds: int) -> list[Part]:
        """Records of some types."""
        return [part for part in self.parts if part.kind in kinds]

    def gops(self) -> list[list[Part]]:
        """The records of each GOP."""
        found: list[list[Part]] = []
        kinds: set[int] = set()
        for part in self.of(1, 2, 4, 5):
            if not found or (part.kind in (1, 5) and kinds - {5}):
                found.append([])
                kinds = set()
            found[-1].append(part)
            kinds.add(part.kind)
        return found

    def pack(self) -> bytes:
        """The stream's bytes."""
        signature = b"DSZ" + bytes([self.form & 0xFF])
        if self.compact:
            if self.true_end:
                content = self.parts[0].get("content")
                assert content is not None
                self.parts[0].put("content length", len(content.pack()))
            return signature + self.parts[0].pack(signature) + self.tail
        if self.true_end:
            self._close()
        packed = [part.pack(signature if part.kind == 0 else b"") for part in self.parts]
        return signature + b"".join(packed) + self.tail

    def _close(self) -> None:
        """Makes the closing records true."""
        self.parts = [part for part in self.parts if part.kind not in (3, 6)]
        entries, frames = [], 0
        for gop in self.gops():
            count = next((p.number("frames less one") + 1 for p in gop if p.kind == 1), 1)
            entries.append(Field("bytes of a GOP", VARINT, sum(len(p.pack()) for p in gop)))
            entries.append(Field("frames less one", BYTE, count - 1))
            frames += count
        counts = [
            Field("number of GOPs", VARINT, len(entries) // 2),
            Field("number of frames", VARINT, frames),
        ]
        if self.form & VERSION_MASK == 1:
            self.parts.append(Part(3, counts))
            return
        end = Part(3, [*counts, Field("distance", RAW, bytes(4))])
        if len(entries) // 2 >= MIN_INDEXED_GOPS:
            index = Part(6, entries)
            distance = len(index.pack()) + len(end.pack())
            end.put("distance", distance.to_bytes(4, "little"))
            self.parts.append(index)
        self.parts.append(end)


def take_apart(data: bytes, origin: str = "") -> Stream:
    """A valid stream in pieces."""
    form = data[3]
    if form & COMPACT:
        return Stream(form, [Part(WHOLE, _compact_fields(data[4:-4], form))], origin=origin)
    source = ByteSource(BytesIO(data))
    signature = source.take(4, "signature")
    parts, prefix = [], signature
    while not source.at_end():
        record = read_record(source, form & VERSION_MASK, "stream", "a record", prefix=prefix)
        fields = _fields(record.kind, record.payload, form & VERSION_MASK)
        parts.append(Part(int(record.kind), fields))
        prefix = b""
    stream = Stream(form, parts, origin=origin)
    assert stream.copy().pack() == data, "what was taken apart goes together again"
    return stream


class _Taker:
    """Reads fields and keeps them."""

    def __init__(self, data: bytes) -> None:
        self.source = ByteSource(BytesIO(data))
        self.fields: list[Field] = []

    def numbers(self, form: str, *names: str) -> int:
        """Reads fields of one form; returns the last."""
        value = 0
        for name in names:
            if form == BYTE:
                value = self.source.byte(name)
            elif form == SIGNED:
                value = self.source.signed(name, _NO_MAXIMUM)
            else:
                value = self.source.varint(name, _NO_MAXIMUM)
            self.fields.append(Field(name, form, value))
        return value

    def raw(self, name: str, size: int | None = None) -> None:
        """Reads bytes, all that are left by default."""
        data = self.source.read_up_to(1 << 26 if size is None else size)
        self.fields.append(Field(name, RAW, data))

    def more(self) -> bool:
        """Whether there is more to read."""
        return not self.source.at_end()


def _compact_fields(body: bytes, form: int) -> list[Field]:
    taker = _Taker(body)
    taker.raw("model", 4)
    quality = taker.numbers(BYTE, "quality")
    frames = taker.numbers(BYTE, "frames less one")
    code = form >> RATE_SHIFT | quality >> 7 << 2 | frames >> 7 << 3
    if code == _RATE_IN_FULL:
        taker.numbers(VARINT, "rate numerator", "rate denominator")
    if not form & SMALL:
        taker.numbers(BYTE, "colour")
        taker.numbers(VARINT, "width", "height")
    taker.raw("content", taker.numbers(VARINT, "content length"))
    taker.raw("dynamics")
    return taker.fields


def _fields(kind: RecordType, payload: bytes, version: int) -> list[Field]:
    taker = _Taker(payload)
    if kind is RecordType.HEADER:
        taker.raw("model", 4)
        taker.numbers(VARINT, "width", "height", "rate numerator", "rate denominator")
        taker.numbers(BYTE, "colour", "pixel format")
        flags = taker.numbers(BYTE, "flags") if version > 1 else 0
        if flags & 1:
            taker.numbers(VARINT, "aspect numerator", "aspect denominator")
        if flags & 2:
            taker.raw("codec", taker.numbers(BYTE, "name length"))
            taker.numbers(VARINT, "sample rate")
            taker.numbers(BYTE, "channels")
            taker.raw("setup", taker.numbers(VARINT, "setup length"))
    elif kind is RecordType.CONTENT:
        taker.numbers(BYTE, "quality", "frames less one")
        taker.raw("coder")
    elif kind is RecordType.DYNAMICS:
        taker.numbers(BYTE, "first frame", "frames less one")
        taker.raw("coder")
    elif kind is RecordType.END:
        taker.numbers(VARINT, "number of GOPs", "number of frames")
        if version > 1:
            taker.raw("distance", 4)
    elif kind is RecordType.SOUND:
        taker.numbers(SIGNED, "start")
        while taker.more():
            size = taker.numbers(VARINT, "packet size")
            if size & 1:
                taker.numbers(VARINT, "packet duration")
            taker.raw("packet", size >> 1)
    elif kind is RecordType.TIMES:
        taker.numbers(VARINT, "start")
        while taker.more():
            taker.numbers(SIGNED, "change of duration")
    else:
        while taker.more():
            taker.numbers(VARINT, "bytes of a GOP")
            taker.numbers(BYTE, "frames less one")
    return taker.fields
