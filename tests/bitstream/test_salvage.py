"""Reading damaged streams: every lost record and every flipped byte is found and stepped over."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from bitstream import BitstreamError, RecordInfo, RecordType, salvage, scan, split
from bitstream.salvage import Salvager
from tests.bitstream.handmade import everything

GOLDEN = Path(__file__).parents[1] / "golden"


def stream(name: str) -> bytes:
    return everything()[0] if name == "handmade" else (GOLDEN / name).read_bytes()


NAMES = ["handmade", "v1-natural-three-gops.dsz", "v2-natural-everything.dsz"]


@pytest.mark.parametrize("name", [*NAMES, "v3-sprites.dsz"])
def test_an_undamaged_stream_has_no_faults(name):
    left = salvage(stream(name))
    assert left.faults == []
    assert [gop.whole() for gop in left.gops] == split(stream(name))[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_byte_costs_one_gop(name):
    data = stream(name)
    gops = split(data)[1]
    found: list[RecordInfo] = []
    scan(BytesIO(data), found.append)
    for position in range(found[0].size, len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF if position % 2 else 1
        left = salvage(bytes(damaged))
        record = next(r for r in found if r.offset <= position < r.offset + r.size)
        assert record.offset in [fault.offset for fault in left.faults]
        assert [gop.num_frames for gop in left.gops] == [gop.num_frames for gop in gops], position
        whole = sum(gop.is_whole and gop.whole() == gops[gop.number] for gop in left.gops)
        assert whole >= len(gops) - 1


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_record_costs_one_gop(name):
    data = stream(name)
    gops = split(data)[1]
    found: list[RecordInfo] = []
    scan(BytesIO(data), found.append)
    for record in found[1:]:
        left = salvage(data[: record.offset] + data[record.offset + record.size :])
        assert len(left.gops) == len(gops), record
        assert sum(gop.num_frames for gop in left.gops) == sum(gop.num_frames for gop in gops)
        if record.kind in (RecordType.CONTENT, RecordType.DYNAMICS, RecordType.END):
            assert left.faults, record
        for gop in left.gops:
            if gop.number != record.gop:
                assert gop.whole() == gops[gop.number]


@pytest.mark.parametrize("name", NAMES)
def test_every_prefix_yields_what_is_there(name):
    data = stream(name)
    for length in range(len(data)):
        try:
            left = salvage(data[:length])
        except BitstreamError:
            continue
        assert left.faults and left.gops


def test_the_search_is_bounded():
    """Bytes all of which look like the tags of long records."""
    data = stream("handmade")[:30] + bytes([0x82, 0x80, 0x80, 0x02, 0, 0]) * 400_000
    began = time.monotonic()
    pieces = list(Salvager(data, 2).pieces(30))
    assert pieces and time.monotonic() - began < 20


def test_a_compact_stream_has_one_crc_for_all():
    data = bytearray(stream("v3-balls.dsz"))
    data[40] ^= 1
    with pytest.raises(BitstreamError, match="compact form"):
        salvage(bytes(data))


def test_random_bytes_behind_a_header():
    rng = np.random.default_rng(0)
    data = stream("handmade")
    for length in (1, 100, 50_000):
        with pytest.raises(BitstreamError):
            salvage(data[:38] + rng.bytes(length))
