"""Reading a stream that is damaged: its GOPs, with what is missing of each."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from io import BytesIO

from bitstream.errors import BitstreamError, MalformedError
from bitstream.gop import Gop, Segment
from bitstream.gop_reader import frame_count
from bitstream.header import Header
from bitstream.index import GopIndex, read_index
from bitstream.limits import MAX_FRAMES, MAX_GOP_FRAMES, MAX_QUALITY
from bitstream.reader import StreamReader
from bitstream.record import Record, RecordType
from bitstream.salvage import Damage, Salvager
from bitstream.sound import SoundPacket
from bitstream.sound_record import unpack_sound
from bitstream.source import ByteSource, legal_values
from bitstream.times import frame_ticks, unpack_times

_GUESSED_FRAMES = 1


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a stream.

    Attributes:
        kind: of the record that is damaged or missing, "unknown" if its tag does not tell.
        gop: that it belongs to, None: to none, or that is not to be told.
        offset: of the damaged bytes, or where something is missing.
        reason: what was found and expected.
    """

    kind: str
    gop: int | None
    offset: int
    reason: str

    def __str__(self) -> str:
        place = "stream" if self.gop is None else f"GOP {self.gop}"
        return f"{place}: {self.kind} record at byte {self.offset}: {self.reason}"


@dataclass
class HoledGop:
    """A GOP as far as its records hold.

    Attributes:
        number: counted from the stream's first.
        offset: of its first byte, or where it should be.
        num_frames: 1..128.
        guessed: nothing tells how many frames it has.
        quality, refs_previous, content: None if the content record is lost.
        segments: dynamics that are there, in order, perhaps with gaps.
        times: None where frames come evenly, or times are lost.
        sound: packets that are there.
    """

    number: int
    offset: int
    num_frames: int = 0
    guessed: bool = False
    quality: int | None = None
    refs_previous: bool | None = None
    content: bytes | None = None
    segments: list[Segment] = field(default_factory=list)
    times: tuple[int, ...] | None = None
    sound: list[SoundPacket] = field(default_factory=list)

    @property
    def reach(self) -> int:
        """Frame behind the last one whose dynamics are there."""
        return self.segments[-1].first + self.segments[-1].num_frames if self.segments else 0

    @property
    def gaps(self) -> list[range]:
        """Frames whose dynamics are missing."""
        found, at = [], 0
        for segment in [*self.segments, Segment(self.num_frames, 1, b"")]:
            if segment.first > at:
                found.append(range(at, segment.first))
            at = segment.first + segment.num_frames
        return found

    @property
    def is_whole(self) -> bool:
        """Whether nothing of its pictures is missing."""
        return self.content is not None and not self.gaps

    def whole(self) -> Gop:
        """As a reader of an undamaged stream gives it."""
        assert self.content is not None and self.quality is not None
        refs, segments = bool(self.refs_previous), tuple(self.segments)
        parts = (self.content, segments, self.times, tuple(self.sound))
        return Gop(self.quality, refs, self.num_frames, *parts)


@dataclass(frozen=True)
class Salvage:
    """What is left of a stream.

    Attributes:
        header: of the stream.
        gops: in order.
        faults: all that is wrong, by offset; empty for a stream that `StreamReader` accepts.
    """

    header: Header
    gops: list[HoledGop]
    faults: list[Fault]


def salvage(data: bytes) -> Salvage:
    """Read what can be read of a stream.

    Args:
        data: the whole stream.

    Raises:
        BitstreamError: the header is damaged; or the compact form is, which has one CRC for all.
    """
    reader = StreamReader(BytesIO(data))
    if reader.compact:
        return Salvage(reader.header, [_holed(0, 0, gop) for gop in reader], [])
    source = reader.source
    index = None
    if reader.version > 1:
        try:
            index = read_index(
                ByteSource(BytesIO(data[source.offset :]), offset=source.offset), reader.version
            )
        except BitstreamError:
            index = None
    return _Assembly(data, reader.version, reader.header, index).read(source.offset)


def _holed(number: int, offset: int, gop: Gop) -> HoledGop:
    known = (gop.quality, gop.refs_previous, gop.content, list(gop.segments), gop.times)
    return HoledGop(number, offset, gop.num_frames, False, *known, list(gop.sound))


class _Assembly:
    """Puts the pieces of a stream together."""

    def __init__(self, data: bytes, version: int, header: Header, index: GopIndex | None) -> None:
        self._data, self._version, self._header, self._index = data, version, header, index
        self._gops: list[HoledGop] = []
        self._faults: list[Fault] = []
        self._counts: tuple[int, int] | None = None
        self._hurt = False  # damage since the last record
        self._damaged_end = False
        self._with_content: set[int] = set()  # GOPs whose content record has been seen

    def read(self, offset: int) -> Salvage:
        """Everything from the first record behind the header."""
        starts = list(self._index.offsets) if self._index else []
        salvager = Salvager(self._data, self._version, starts)
        for piece in salvager.pieces(offset):
            if isinstance(piece, Damage):
                self._damage(piece)
                continue
            try:
                self._record(piece)
            except BitstreamError as error:
                self._fault(piece.kind.name.lower(), piece.offset, str(error))
        self._close()
        self._faults.sort(key=lambda fault: fault.offset)
        return Salvage(self._header, self._gops, self._faults)

    def _fault(self, kind: str, offset: int, reason: str, gop: int | None = None) -> None:
        self._faults.append(Fault(kind, gop, offset, reason))

    def _slot(self, offset: int) -> int | None:
        """Which GOP a byte belongs to, if the index tells."""
        if self._index is None:
            return None
        slot = bisect_right(self._index.offsets, offset) - 1
        return slot if slot < self._index.num_gops else None

    def _begin(self, offset: int) -> HoledGop:
        """A new GOP; those that the index knows before it are there too."""
        slot = self._slot(offset)
        while slot is not None and len(self._gops) < slot:
            assert self._index is not None
            self._add(self._index.offsets[len(self._gops)])
        return self._add(offset)

    def _add(self, offset: int) -> HoledGop:
        gop = HoledGop(len(self._gops), offset)
        if self._index and gop.number < self._index.num_gops:
            first = self._index.first_frames
            gop.num_frames = first[gop.number + 1] - first[gop.number]
        self._gops.append(gop)
        return gop

    def _current(self, offset: int) -> HoledGop | None:
        """The GOP that a byte may belong to, None if it begins another."""
        slot = self._slot(offset)
        if not self._gops or (slot is not None and slot >= len(self._gops)):
            return None
        return self._gops[-1]

    def _damage(self, piece: Damage) -> None:
        """Note damage, and what it takes with it."""
        before = self._gops[-1] if self._gops else None
        if before and not self._hurt and before.reach < before.num_frames and before.content:
            piece = piece._replace(kind=RecordType.DYNAMICS)  # nothing else stands here
        begun = before is not None and self._slot(piece.offset) == before.number and before.content
        if piece.kind in (RecordType.CONTENT, RecordType.TIMES) and not begun:
            self._open(piece.kind, piece.offset)
        if piece.kind in (RecordType.END, RecordType.INDEX) and piece.end == len(self._data):
            self._damaged_end = True
        slot = self._slot(piece.offset)
        if slot is None and piece.kind in _OF_GOPS and self._gops:
            slot = self._gops[-1].number
        kind = piece.kind.name.lower() if piece.kind is not None else "unknown"
        reason = piece.reason.rpartition(f"record at byte {piece.offset}: ")[2]
        self._fault(kind, piece.offset, f"{reason} ({piece.end - piece.offset} bytes)", slot)
        self._hurt = True

    def _open(self, kind: RecordType, offset: int) -> HoledGop:
        """The GOP of a times or content record."""
        gop = self._current(offset)
        fresh = gop is not None and not gop.segments and gop.content is None and not gop.sound
        if gop is None or not fresh or kind is RecordType.TIMES or gop.number in self._with_content:
            gop = self._begin(offset)
        if kind is RecordType.CONTENT:
            self._with_content.add(gop.number)
        return gop

    def _record(self, record: Record) -> None:
        """Add a record that holds."""
        fields = record.fields(record.kind, "stream")
        if record.kind is RecordType.TIMES:
            times = unpack_times(fields, self._header.fps)
            self._open(record.kind, record.offset).times = times
        elif record.kind is RecordType.CONTENT:
            quality = fields.byte("quality")
            if quality & 0x7F > MAX_QUALITY:
                fields.fail("quality", fields.offset - 1, str(quality & 0x7F), f"0..{MAX_QUALITY}")
            frames = frame_count(fields)
            gop = self._open(record.kind, record.offset)
            gop.quality, gop.refs_previous = quality & 0x7F, quality > 0x7F
            gop.num_frames, gop.content = frames, record.payload[2:]
        elif record.kind is RecordType.DYNAMICS:
            first, length = fields.byte("first frame"), frame_count(fields)
            if first + length > MAX_GOP_FRAMES:
                fields.fail("frames", record.offset, f"{first + length}", f"{MAX_GOP_FRAMES}")
            self._dynamics(record.offset, Segment(first, length, record.payload[2:]))
        elif record.kind is RecordType.SOUND and self._header.sound:
            packets = unpack_sound(fields, 0)
            gop = self._current(record.offset) or self._begin(record.offset)
            gop.sound += packets
        elif record.kind is RecordType.END:
            gops = fields.varint("number of GOPs", MAX_FRAMES)
            self._counts = gops, fields.varint("number of frames", MAX_FRAMES)
            if record.offset + record.size != len(self._data):
                self._counts = None
                self._fault("end", record.offset, "found further bytes, expected none")
        elif record.kind is not RecordType.INDEX:
            fields.fail("type", record.offset, record.kind.name.lower(), "a record of a GOP")
        self._hurt = False

    def _dynamics(self, offset: int, segment: Segment) -> None:
        gop = self._current(offset)
        end = segment.first + segment.num_frames
        stated = gop.num_frames if gop else 0
        if gop is None or segment.first < gop.reach or (stated and end > stated):
            gop = self._begin(offset)
            self._fault("content", offset, "missing before this byte", gop.number)
        elif segment.first > gop.reach and not self._hurt:
            missing = f"frames {gop.reach}-{segment.first - 1} missing before this byte"
            self._fault("dynamics", offset, missing, gop.number)
        gop.segments.append(segment)

    def _close(self) -> None:
        """Settle how many frames each GOP has, and what is missing without a trace."""
        num_gops, num_frames = self._totals()
        if self._counts is None and self._index is None and not self._damaged_end:
            found = f"found the end at byte {len(self._data)}, expected the end record"
            self._fault("end", len(self._data), found)
        if num_gops is not None and num_gops < len(self._gops):  # a damaged tag looked like one
            self._gops = [gop for gop in self._gops if gop.content or gop.segments or gop.times]
            for number, gop in enumerate(self._gops):
                gop.number = number
        if num_gops is not None and num_gops - len(self._gops) in range(1, len(self._data) + 1):
            lost = num_gops - len(self._gops)
            known = sum(gop.num_frames for gop in self._gops)
            spare = (num_frames or known) - known
            if lost <= spare <= MAX_GOP_FRAMES * lost:
                for left in range(lost, 0, -1):
                    gop = self._add(len(self._data))
                    frames = min(MAX_GOP_FRAMES, spare - left + 1)
                    gop.num_frames, spare = frames, spare - frames
                    gop.guessed = lost > 1
                    self._fault("content", gop.offset, "GOP missing", gop.number)
        if not any(gop.content is not None or gop.segments for gop in self._gops):
            raise MalformedError("stream: found no record of a GOP that holds")
        unknown = [gop for gop in self._gops if not gop.num_frames]
        for gop in unknown:
            gop.num_frames, gop.guessed = max(gop.reach, _GUESSED_FRAMES), True
            if gop.times is not None:
                gop.num_frames, gop.guessed = len(gop.times) - 1, False
        unsure = [gop for gop in unknown if gop.guessed]
        if len(unsure) == 1 and num_frames is not None and num_gops == len(self._gops):
            (gop,) = unsure
            others = sum(other.num_frames for other in self._gops if other is not gop)
            if max(gop.reach, 1) <= num_frames - others <= MAX_GOP_FRAMES:
                gop.num_frames, gop.guessed = num_frames - others, False
        self._tidy()

    def _totals(self) -> tuple[int | None, int | None]:
        if self._index:
            return self._index.num_gops, self._index.first_frames[-1]
        return self._counts or (None, None)

    def _tidy(self) -> None:
        """Drop what contradicts the rest, and name the holes that left no damage behind."""
        told = {(fault.kind, fault.gop) for fault in self._faults}
        vague = {fault.gop for fault in self._faults if fault.kind == "unknown"} | {None}
        first_frame = shown = 0
        last_sound: int | None = None
        for gop in self._gops:
            gop.segments = [s for s in gop.segments if s.first + s.num_frames <= gop.num_frames]
            if gop.number == 0 and gop.refs_previous:
                gop.refs_previous, gop.content = None, None
            if gop.times is not None and (
                len(gop.times) - 1 != gop.num_frames or gop.times[0] < shown
            ):
                gop.times = None
            if gop.times is not None and gop.number == 0 and gop.times[0]:
                gop.times = None
            if gop.content is None and ("content", gop.number) not in told:
                self._fault("content", gop.offset, "missing", gop.number)
            gaps = gop.gaps
            if gaps and ("dynamics", gop.number) not in told and len(vague) == 1:
                frames = ", ".join(f"{gap.start}-{gap.stop - 1}" for gap in gaps)
                self._fault("dynamics", gop.offset, f"frames {frames} missing", gop.number)
            packets = []
            for packet in gop.sound:
                if last_sound is None or packet.start > last_sound:
                    packets.append(packet)
                    last_sound = packet.start
            gop.sound = packets
            with legal_values(f"GOP {gop.number}"):
                stand_in = Gop(
                    0, False, gop.num_frames, b"", (Segment(0, gop.num_frames, b""),), gop.times
                )
            shown = frame_ticks(stand_in, first_frame, self._header.fps)[-2] + 1
            first_frame += gop.num_frames


_OF_GOPS = (RecordType.CONTENT, RecordType.DYNAMICS, RecordType.TIMES, RecordType.SOUND)
