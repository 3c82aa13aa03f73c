"""Seeking yields exactly what reading all yields from there on, and reads little of it."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from itertools import accumulate

import pytest
from handmade import everything, record, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from bitstream import (
    BitstreamError,
    Colour,
    Gop,
    Header,
    MalformedError,
    RecordInfo,
    Segment,
    SoundPacket,
    SoundTrack,
    StreamReader,
    StreamWriter,
    TruncatedError,
    join,
    scan,
    split,
)
from bitstream.seek import without_dynamics

TRACK = SoundTrack("opus", 48000, 2)


class Counting(io.BytesIO):
    """A file that counts the bytes read of it."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


class Pipe(io.RawIOBase):
    """A source that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


def header(fps: Fraction = Fraction(25)) -> Header:
    return Header(b"abcd", 64, 64, fps, Colour(1, False), sound=TRACK)


def starts_and_end(header: Header, gops: list[Gop]) -> tuple[list[Fraction], Fraction]:
    """When GOPs begin and the last one ends, in seconds rounded down to ticks."""
    first = accumulate((gop.num_frames for gop in gops), initial=0)
    grid = [Fraction(90000 * n // header.fps, 90000) for n in first]
    starts = [
        Fraction(gop.times[0], 90000) if gop.times else even
        for gop, even in zip(gops, grid, strict=False)
    ]
    last = gops[-1].times
    return starts, Fraction(last[-1], 90000) if last else grid[-1]


def check_seek(
    source: io.IOBase,
    gops: list[Gop],
    starts: list[Fraction],
    time: Fraction,
    *,
    back: int = 1,
) -> None:
    """Compares a seek with the GOPs of the whole stream and their starts."""
    expected = max(i for i, start in enumerate(starts) if start <= time)
    reader = StreamReader(source)  # type: ignore[arg-type]
    before = reader.seek(time, back=back)
    needed = [gops[expected]]
    for gop in reversed(gops[:expected]):
        if not needed[0].refs_previous or len(needed) > back:
            break
        needed.insert(0, gop)
    assert before == [without_dynamics(gop) for gop in needed[:-1]]
    assert reader.next_frame == sum(gop.num_frames for gop in gops[:expected])
    assert list(reader) == gops[expected:]
    assert reader.next_frame == sum(gop.num_frames for gop in gops)


@st.composite
def gop_lists(draw: st.DrawFn, fps: Fraction) -> list[Gop]:
    """Short GOPs, some with times that drift from the grid, some with sound."""
    gops: list[Gop] = []
    num_frames, last, sound_start = 0, -1, -500
    for i in range(draw(st.integers(1, 25))):
        length = draw(st.integers(1, 3))
        even = 90000 * num_frames // fps
        times = None
        if i == 0 or draw(st.booleans()) or even <= last:
            begin = 0 if i == 0 else max(last + 1, even + draw(st.integers(-9000, 9000)))
            steps = draw(st.lists(st.integers(1, 9000), min_size=length, max_size=length))
            times = tuple(accumulate(steps, initial=begin)) if i or draw(st.booleans()) else None
        sound: tuple[SoundPacket, ...] = ()
        if draw(st.booleans()):
            sound = (SoundPacket(sound_start, 960, bytes([i])),)
            sound_start += draw(st.sampled_from([960, 1000]))
        refs = i > 0 and draw(st.booleans())
        gops.append(Gop(i, refs, length, bytes([i]), (Segment(0, length, b"z"),), times, sound))
        num_frames += length
        last = times[-2] if times else 90000 * (num_frames - 1) // fps
    return gops


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(200000)]))
def test_seek_finds_what_reading_all_finds(data: st.DataObject, fps: Fraction) -> None:
    gops = data.draw(gop_lists(fps))
    packed = join(header(fps), gops)
    starts, end = starts_and_end(header(fps), gops)
    tick = Fraction(1, 90000)
    near = [time + step for time in (*starts, end) for step in (-tick, -tick / 2, 0 * tick, tick)]
    for time in data.draw(st.lists(st.sampled_from(near), max_size=8)):
        if 0 <= time < end:
            back = data.draw(st.sampled_from([1, 2, 3, 261]))
            check_seek(io.BytesIO(packed), gops, starts, time, back=back)
            check_seek(Pipe(packed), gops, starts, time, back=back)


def test_seek_in_a_full_stream_to_every_frame() -> None:
    data, head, gops = everything()
    starts, end = starts_and_end(head, gops)
    for half_ticks in range(0, int(end * 180000), 997):
        check_seek(io.BytesIO(data), gops, starts, Fraction(half_ticks, 180000))


def old_stream(num_gops: int) -> bytes:
    """A version 1 stream of 25 frames a second, two a GOP."""
    head = b"DSZ\x01" + record(0, "61626364 40 40 19 01 01 00", b"DSZ\x01")
    body = record(1, "320101") + record(2, "000102")
    return head + body * num_gops + record(3, bytes([num_gops, 2 * num_gops]))


COMPACT = join(
    Header(b"abcd", 64, 64, Fraction(25), Colour(1, False)),
    [Gop(50, False, 20, b"c", (Segment(0, 20, b"z"),))],
)


@pytest.mark.parametrize(
    ("data", "time"),
    [(old_stream(20), Fraction(1)), (old_stream(3), Fraction(1, 7)), (COMPACT, Fraction(79, 100))],
)
def test_seek_without_an_index(data: bytes, time: Fraction) -> None:
    head, gops = split(data)
    for source in (io.BytesIO(data), Pipe(data)):
        check_seek(source, gops, starts_and_end(head, gops)[0], time)


@pytest.mark.parametrize("source", [io.BytesIO, Pipe])
@pytest.mark.parametrize(
    ("data", "length"),
    [
        (everything()[0], "0.328"),
        (old_stream(20), "1.600"),
        (COMPACT, "0.800"),
        (join(header(), [Gop(1, False, 1, b"", (Segment(0, 1, b""),))] * 12), "0.480"),
    ],
)
def test_a_time_outside_the_stream(data: bytes, length: str, source: type) -> None:
    head, gops = split(data)
    _, end = starts_and_end(head, gops)
    for time in (end, end + 1000):
        with pytest.raises(ValueError, match=f"length of {length} s"):
            StreamReader(source(data)).seek(time)
    with pytest.raises(ValueError, match=r"time -0.040 s, expected 0 or more"):
        StreamReader(source(data)).seek(Fraction(-1, 25))
    reader = StreamReader(source(data))
    reader.seek(end - Fraction(1, 90000))
    assert list(reader) == gops[-1:]


def test_seek_comes_once_and_first() -> None:
    data, _, _ = everything()
    reader = StreamReader(io.BytesIO(data))
    reader.seek(Fraction(0))
    with pytest.raises(RuntimeError, match="before the iteration"):
        reader.seek(Fraction(0))
    reader = StreamReader(io.BytesIO(data))
    next(iter(reader))
    with pytest.raises(RuntimeError, match="before the iteration"):
        reader.seek(Fraction(0))


def long_stream(num_gops: int, *, timed: bool = False) -> tuple[bytes, list[Gop]]:
    def times(i: int) -> tuple[int, ...] | None:
        return tuple(range(7000 * i, 7000 * i + 7001, 3500)) if timed else None

    segments = (Segment(0, 2, bytes(300)),)
    gops = [Gop(50, i > 0, 2, i.to_bytes(2) * 150, segments, times(i)) for i in range(num_gops)]
    return join(header(), gops), gops


@pytest.mark.parametrize("timed", [False, True])
def test_seek_reads_little_of_the_file(timed: bool) -> None:
    data, gops = long_stream(2000, timed=timed)
    source = Counting(data)
    reader = StreamReader(source)
    starts, _ = starts_and_end(header(), gops)
    assert reader.seek(starts[1000]) == [without_dynamics(gops[999])]
    assert next(iter(reader)) == gops[1000]
    assert source.bytes_read < 0.05 * len(data) / (2 if timed else 1)
    check_seek(Counting(data), gops, starts, starts[1000])
    source = Counting(data)
    assert len(StreamReader(source).seek(starts[1000], back=261)) == 261
    assert source.bytes_read < 0.25 * len(data)


def test_seek_in_a_file_that_begins_later() -> None:
    data, _, gops = everything()
    source = io.BytesIO(b"something before" + data)
    source.seek(16)
    reader = StreamReader(source)
    reader.seek(Fraction(0))
    assert list(reader) == gops


def trailer(data: bytes) -> int:
    """First byte of the index record."""
    records: list[RecordInfo] = []
    scan(io.BytesIO(data), records.append)
    return records[-2].offset


def test_damage_to_index_or_end_is_found_by_a_seek() -> None:
    data, _, _ = everything()
    for bit in range(8 * trailer(data), 8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        reader = StreamReader(io.BytesIO(damaged))
        with pytest.raises(BitstreamError):
            reader.seek(Fraction(1, 10))


def test_damage_to_what_a_seek_reads_is_found() -> None:
    data, head, gops = everything()
    starts, _ = starts_and_end(head, gops)
    records: list[RecordInfo] = []
    scan(io.BytesIO(data), records.append)
    for info in records:
        if info.gop in (4, 5):
            damaged = bytearray(data)
            damaged[info.offset + info.size - 1] ^= 1
            with pytest.raises(BitstreamError):
                StreamReader(io.BytesIO(damaged)).seek(starts[5])


def test_a_cut_file_is_refused_by_a_seek() -> None:
    data, _, _ = everything()
    for size in range(len(data)):
        with pytest.raises(BitstreamError):
            StreamReader(io.BytesIO(data[:size])).seek(Fraction(1, 10))
    for extra in (b"\0", data):
        with pytest.raises(BitstreamError):
            StreamReader(io.BytesIO(data + extra)).seek(Fraction(1, 10))


PLAIN = "61626364 4040 19 01 01 00 00"
C, D = record(1, "320101"), record(2, "000102")
C_REFS = record(1, "b20101")
GOP_BYTES = len(C + D)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("1001" * 8, "end of the GOPs at byte [0-9]+: found byte 148, expected byte 164"),
        ("1001" * 8 + "0f01", "end of the GOPs at byte [0-9]+: found byte 163, expected byte 164"),
        ("1001" * 10, "bytes of a GOP at byte [0-9]+: found its end at byte 180, expected at m"),
        ("1001" * 8 + "ffffffff0f01", "bytes of a GOP at byte [0-9]+: found an unfinished varint"),
        ("1001" * 8 + "1080", "frames less one at byte [0-9]+: found 128, expected 0..127"),
        ("1001" * 8 + "10", "frames less one at byte [0-9]+: found 0 bytes before the end"),
        ("3001" * 3, "GOPs at byte [0-9]+: found 3, expected at least 9"),
        ("1001" * 8 + "1000", "number of frames at byte [0-9]+: found 18, expected 17 as read"),
        ("1001" * 8 + "10010001", "number of GOPs at byte [0-9]+: found 9, expected 10 as read"),
        ("0f01 1101" + "1001" * 7, "GOP 1: .* record at byte 35|found 15|record tag"),
        (
            "1000 1002" + "1001" * 7,
            "GOP 1 at byte 36: found 2 frames up to byte 52, expected 3 up to byte 52",
        ),
    ],
)
def test_an_index_that_lies(entries: str, message: str) -> None:
    data = stream(PLAIN, [[C, D]] * 9, index=record(6, entries))
    with pytest.raises((BitstreamError), match=message):
        StreamReader(io.BytesIO(data)).seek(Fraction(8, 100) + Fraction(1, 90000))
    with pytest.raises(BitstreamError):
        split(data)


def test_a_lie_behind_the_gop_found_is_seen_at_the_end() -> None:
    data = stream(PLAIN, [[C, D]] * 9, index=record(6, "1001" * 6 + "1101 0f01 1001"))
    reader = StreamReader(io.BytesIO(data))
    reader.seek(Fraction(0))
    with pytest.raises(MalformedError, match=r"entry at byte \d+: found 11, expected 10 for the"):
        list(reader)


def test_counts_of_the_end_are_checked_after_a_seek() -> None:
    data = stream(PLAIN, [[C, D]] * 9)
    cut = data[:-1]

    class Shrinking(io.BytesIO):
        """Complete while it is sought in, then cut."""

        def read(self, size: int | None = -1) -> bytes:
            return super().read(size)

    source = Shrinking(data)
    reader = StreamReader(source)
    reader.seek(Fraction(0))
    source.truncate(len(cut))
    with pytest.raises(TruncatedError, match="end record at byte"):
        list(reader)


def peak_bytes(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_stays_flat_however_many_gops_there_are() -> None:
    class Nowhere(io.RawIOBase):
        def write(self, data: object) -> None:
            pass

    def write(sink: io.IOBase, num_gops: int) -> None:
        writer = StreamWriter(sink, header())  # type: ignore[arg-type]
        for i in range(num_gops):
            writer.write_gop(Gop(1, i > 0, 1, b"c", (Segment(0, 1, b"z"),)))
        writer.finish()

    def peaks(num_gops: int) -> list[int]:
        source = io.BytesIO()
        write(source, num_gops)
        calls = (
            lambda: write(Nowhere(), num_gops),
            lambda: (source.seek(0), scan(source)),
            lambda: (source.seek(0), StreamReader(source).seek(Fraction(0))),
        )
        return [peak_bytes(call) for call in calls]

    for fewer, more in zip(peaks(500), peaks(3500), strict=True):
        assert more - fewer < 3000 * 32


def test_lies_behind_true_checksums_raise_nothing_but_a_refusal() -> None:
    data, _, _ = everything()
    infos: list[RecordInfo] = []
    scan(io.BytesIO(data), infos.append)
    bounds = [4, *(info.offset for info in infos[1:]), len(data)]
    records = [data[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    noise = random.Random(3)
    refused = 0
    for _ in range(1500):
        place = noise.randrange(len(records))
        tag_bytes = 2 if records[place][0] > 127 else 1
        payload = bytearray(records[place][tag_bytes:-4])
        for _ in range(noise.randint(1, 2)):
            start = noise.randrange(len(payload))
            payload[start : start + noise.randint(0, 2)] = noise.randbytes(noise.randint(0, 2))
        made = record(infos[place].kind, bytes(payload), data[:4] if place == 0 else b"")
        lie = data[:4] + b"".join([*records[:place], made, *records[place + 1 :]])
        with suppress(BitstreamError):
            split(lie)
            refused -= 1
        refused += 1
        with suppress(BitstreamError, ValueError):
            reader = StreamReader(io.BytesIO(lie))
            reader.seek(Fraction(noise.randrange(300), 1000))
            list(reader)
    assert refused > 1000
