"""Any stream survives join and split, at exactly the overhead that the formula states."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st

from bitstream import Colour, Gop, Header, Segment, join, overhead_bytes, scan, split

SMALL = Colour(1, False)
NTSC = Fraction(1000, 1001)
COMMON_RATES = [Fraction(rate) for rate in (25, 30, 24, 50, 60, 48, 120, 12, 15, 10, 8, 20)]
COMMON_RATES += [24 * NTSC, 30 * NTSC, 60 * NTSC]

rates = st.one_of(
    st.sampled_from(COMMON_RATES),
    st.builds(Fraction, st.integers(1, 2**31), st.integers(1, 2**31)),
)
headers = st.builds(
    Header,
    st.binary(min_size=4, max_size=4),
    st.sampled_from([1, 63, 64, 127, 128, 8192]) | st.integers(1, 8192),
    st.sampled_from([1, 63, 64, 127, 128, 16384]) | st.integers(1, 16384),
    rates,
    st.builds(Colour, st.sampled_from([1, 2, 5, 6, 9]), st.booleans()),
)


@st.composite
def gop_lists(draw: st.DrawFn) -> list[Gop]:
    gops: list[Gop] = []
    for _ in range(draw(st.integers(1, 4))):
        num_frames = draw(st.integers(1, 128))
        cuts = sorted(draw(st.sets(st.integers(1, 128), max_size=3)))
        bounds = [0, *(cut for cut in cuts if cut < num_frames), num_frames]
        segments = tuple(
            Segment(first, end - first, draw(st.binary(max_size=300)))
            for first, end in zip(bounds, bounds[1:], strict=False)
        )
        refs = bool(gops) and draw(st.booleans())
        gops.append(
            Gop(
                draw(st.integers(0, 100)), refs, num_frames, draw(st.binary(max_size=300)), segments
            )
        )
    return gops


def coder_bytes(gops: list[Gop]) -> int:
    return sum(len(gop.content) + sum(len(s.payload) for s in gop.segments) for gop in gops)


@settings(max_examples=200, deadline=None)
@given(headers, gop_lists())
def test_stream_survives(header: Header, gops: list[Gop]) -> None:
    data = join(header, gops)
    assert split(data) == (header, gops)
    assert len(data) - coder_bytes(gops) == overhead_bytes(header, gops)


@settings(max_examples=100, deadline=None)
@given(headers, gop_lists())
def test_summary_accounts_for_every_byte(header: Header, gops: list[Gop]) -> None:
    data = join(header, gops)
    summary = scan(BytesIO(data))
    assert summary.file_bytes == len(data) == sum(record.size for record in summary.records)
    assert summary.overhead_bytes == overhead_bytes(header, gops)
    assert summary.content_bytes == sum(len(gop.content) for gop in gops)
    assert (summary.num_gops, summary.num_frames) == (len(gops), sum(g.num_frames for g in gops))
    assert summary.compact == (len(gops) == 1 and len(gops[0].segments) == 1)
    ends = [0]
    for record in summary.records:
        assert record.offset == ends[-1]
        assert record.size == record.overhead_bytes + record.payload_bytes
        ends.append(record.offset + record.size)


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
    records = scan(BytesIO(join(header, gops))).records
    assert [record.overhead_bytes for record in records[1:-1]] == [9] * 4
    assert [record.size for record in records[1:-1]] == [256 * 1024] * 4


def test_same_input_same_bytes() -> None:
    header = Header(b"abcd", 640, 360, Fraction(25), SMALL)
    assert join(header, one_gop(9) * 3) == join(header, one_gop(9) * 3)
