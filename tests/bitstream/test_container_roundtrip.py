"""Any stream survives join and split, at exactly the overhead that the formula states."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from itertools import accumulate
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from bitstream import (
    Colour,
    Gop,
    Header,
    RecordInfo,
    RecordType,
    Segment,
    SoundPacket,
    SoundTrack,
    StreamReader,
    frame_ticks,
    join,
    overhead_bytes,
    scan,
    split,
)

SMALL = Colour(1, False)
NTSC = Fraction(1000, 1001)
COMMON_RATES = [Fraction(rate) for rate in (25, 30, 24, 50, 60, 48, 120, 12, 15, 10, 8, 20)]
COMMON_RATES += [24 * NTSC, 30 * NTSC, 60 * NTSC]

rates = st.one_of(
    st.sampled_from(COMMON_RATES),
    st.builds(Fraction, st.integers(1, 2**31), st.integers(1, 2**31)),
)
tracks = st.builds(
    SoundTrack,
    st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=32),
    st.integers(1, 2**20),
    st.integers(1, 255),
    st.binary(max_size=300),
)
aspects = st.builds(Fraction, st.integers(1, 2**16), st.integers(1, 2**16))
headers = st.builds(
    Header,
    st.binary(min_size=4, max_size=4),
    st.sampled_from([1, 63, 64, 127, 128, 8192]) | st.integers(1, 8192),
    st.sampled_from([1, 63, 64, 127, 128, 16384]) | st.integers(1, 16384),
    rates,
    st.builds(Colour, st.sampled_from([1, 2, 5, 6, 9]), st.booleans()) | st.just(Colour(0, True)),
    st.just(Fraction(1)) | aspects,
    st.none() | tracks,
)


@st.composite
def gop_times(draw: st.DrawFn, num_frames: int, after: int | None) -> tuple[int, ...]:
    start = 0 if after is None else after + draw(st.integers(1, 2**40) | st.integers(1, 5000))
    steady = draw(st.integers(1, 10000))
    few = st.just(steady) | st.integers(1, 2**40)
    durations = draw(st.lists(few, min_size=num_frames, max_size=num_frames))
    return tuple(accumulate(durations, initial=start))


@st.composite
def gop_sound(draw: st.DrawFn, after: int | None) -> tuple[SoundPacket, ...]:
    packets: list[SoundPacket] = []
    start = draw(st.integers(-(2**52), 2**52)) if after is None else after + 1
    start = draw(st.sampled_from([start, start + 7, start + 2**20]))
    for _ in range(draw(st.integers(0, 5))):
        duration = draw(st.sampled_from([1, 960, 1024]) | st.integers(1, 2**31))
        packets.append(SoundPacket(start, duration, draw(st.binary(min_size=1, max_size=200))))
        start += draw(st.just(duration) | st.integers(1, 2 * duration))
    return tuple(packets)


@st.composite
def streams(draw: st.DrawFn) -> tuple[Header, list[Gop]]:
    """Any header, and GOPs that may follow each other under it."""
    header = draw(headers)
    gops: list[Gop] = []
    num_frames, last_frame, last_sound = 0, None, None
    timed = draw(st.sampled_from([0, 1, 2]))  # no GOP, some, all
    for _ in range(draw(st.integers(1, 4) | st.integers(7, 12))):
        segments = draw(gop_segments())
        length = sum(segment.num_frames for segment in segments)
        on_grid = grid(num_frames, header.fps)
        must = timed == 2 or (last_frame is not None and on_grid <= last_frame)
        times = None
        if (must and timed) or (timed and draw(st.booleans())):
            if (last_frame or 0) > 2**52:
                break
            times = draw(gop_times(length, last_frame))
        sound = draw(gop_sound(last_sound)) if header.sound else ()
        refs = bool(gops) and draw(st.booleans())
        content = draw(st.binary(max_size=300))
        quality = draw(st.integers(0, 100))
        gops.append(Gop(quality, refs, length, content, segments, times, sound))
        last_sound = sound[-1].start if sound else last_sound
        num_frames += length
        last_frame = times[-2] if times else grid(num_frames - 1, header.fps)
    return header, gops


@st.composite
def gop_segments(draw: st.DrawFn) -> tuple[Segment, ...]:
    num_frames = draw(st.integers(1, 4) | st.integers(1, 128))
    cuts = sorted(draw(st.sets(st.integers(1, 128), max_size=3)))
    bounds = [0, *(cut for cut in cuts if cut < num_frames), num_frames]
    return tuple(
        Segment(first, end - first, draw(st.binary(max_size=300)))
        for first, end in zip(bounds, bounds[1:], strict=False)
    )


def grid(frame: int, fps: Fraction) -> int:
    return floor(Fraction(90000) * frame / fps)


def listed(data: bytes) -> list[RecordInfo]:
    records: list[RecordInfo] = []
    scan(BytesIO(data), records.append)
    return records


def coder_bytes(gops: list[Gop]) -> int:
    return sum(len(gop.content) + sum(len(s.payload) for s in gop.segments) for gop in gops)


def sound_bytes(gops: list[Gop]) -> int:
    return sum(len(packet.data) for gop in gops for packet in gop.sound)


@settings(max_examples=100, deadline=None)
@given(streams())
def test_stream_survives(stream: tuple[Header, list[Gop]]) -> None:
    header, gops = stream
    data = join(header, gops)
    assert split(data) == (header, gops)
    assert len(data) - coder_bytes(gops) - sound_bytes(gops) == overhead_bytes(header, gops)


@settings(max_examples=60, deadline=None)
@given(streams())
def test_summary_accounts_for_every_byte(stream: tuple[Header, list[Gop]]) -> None:
    header, gops = stream
    data = join(header, gops)
    summary, records = scan(BytesIO(data)), listed(data)
    assert summary.file_bytes == len(data) == sum(record.size for record in records)
    assert summary.overhead_bytes == overhead_bytes(header, gops)
    assert summary.content_bytes == sum(len(gop.content) for gop in gops)
    assert summary.content_bytes + summary.dynamics_bytes == coder_bytes(gops)
    assert summary.sound_bytes == sound_bytes(gops)
    num_frames = sum(gop.num_frames for gop in gops)
    assert (summary.num_gops, summary.num_frames) == (len(gops), num_frames)
    assert summary.has_times == any(gop.times is not None for gop in gops)
    last = gops[-1].times
    assert summary.duration_ticks == (last[-1] if last else grid(num_frames, header.fps))
    plain = header.sound is None and header.sample_aspect == 1 and not summary.has_times
    assert summary.compact == (len(gops) == 1 and len(gops[0].segments) == 1 and plain)
    ends = [0]
    for record in records:
        assert record.offset == ends[-1]
        assert record.size == record.overhead_bytes + record.payload_bytes
        ends.append(record.offset + record.size)


@settings(max_examples=50, deadline=None)
@given(streams())
def test_frame_ticks_rise_with_the_frames(stream: tuple[Header, list[Gop]]) -> None:
    header, gops = stream
    reader = StreamReader(BytesIO(join(header, gops)))
    first = 0
    for gop in reader:
        ticks = frame_ticks(gop, first, header.fps)
        even = [grid(first + t, header.fps) for t in range(gop.num_frames + 1)]
        assert list(ticks) == (list(gop.times) if gop.times else even)
        first += gop.num_frames
        assert reader.next_frame == first


def test_long_sound_is_split_into_records() -> None:
    header = Header(b"abcd", 64, 64, Fraction(25), SMALL, sound=SoundTrack("flac", 48000, 2))
    largest = SoundPacket(1 - 2**53, 2**31, bytes(2**26 - 17))  # fills a record to the byte
    sound = (
        largest,
        *(SoundPacket(2**31 * t, 2**31, bytes(2**25 >> 20 * (t > 1))) for t in range(3)),
    )
    gops = [Gop(1, False, 1, b"", (Segment(0, 1, b""),), sound=sound)]
    data = join(header, gops)
    assert split(data) == (header, gops)
    assert len(data) - sound_bytes(gops) == overhead_bytes(header, gops)
    records = [record for record in listed(data) if record.kind is RecordType.SOUND]
    assert [record.payload_bytes for record in records] == [2**26 - 17, 2**25, 2**25 + 2**5]
    assert records[0].size == 5 + 2**26 + 4


def test_gaps_and_overlaps_begin_a_record() -> None:
    header = Header(b"abcd", 64, 64, Fraction(25), SMALL, sound=SoundTrack("opus", 48000, 2))
    starts = (-312, 648, 1608, 2570, 3500)  # two follow, a gap of 2, an overlap of 30
    sound = tuple(SoundPacket(start, 960, b"ab") for start in starts)
    gop = Gop(1, False, 1, b"", (Segment(0, 1, b""),), sound=sound)
    kinds = [record.payload_bytes for record in listed(join(header, [gop])) if record.kind == 4]
    assert kinds == [6, 2, 2]


def one_gop(content_bytes: int) -> list[Gop]:
    return [Gop(100, False, 128, bytes(content_bytes), (Segment(0, 128, b"\x01"),))]


def test_compact_overhead_bounds() -> None:
    for fps in COMMON_RATES:
        assert overhead_bytes(Header(b"abcd", 64, 64, fps, SMALL), one_gop(16383)) <= 16
        assert overhead_bytes(Header(b"abcd", 16384, 8192, fps, SMALL), one_gop(16383)) <= 24
    odd = Header(b"abcd", 1920, 1080, Fraction(3), SMALL)
    assert overhead_bytes(odd, one_gop(16383)) <= 24


def test_record_overhead_bound() -> None:
    header = Header(b"abcd", 640, 360, Fraction(25), SMALL)
    largest = 256 * 1024 - 9
    content = bytes(largest)
    gops = [Gop(1, False, 1, content, (Segment(0, 1, content),))] * 2
    records = listed(join(header, gops))
    assert [record.overhead_bytes for record in records[1:-1]] == [9] * 4
    assert [record.size for record in records[1:-1]] == [256 * 1024] * 4


def test_same_input_same_bytes() -> None:
    header = Header(b"abcd", 640, 360, Fraction(25), SMALL)
    assert join(header, one_gop(9) * 3) == join(header, one_gop(9) * 3)
