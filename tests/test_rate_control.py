"""Files of a wished size."""

from __future__ import annotations

import io
import os
from itertools import islice
from pathlib import Path

import pytest

import bitstream
import dsaecodec
from dsaecodec.argument_values import parse_bitrate, parse_size
from dsaecodec.draw import moving_layers
from dsaecodec.errors import ConfigError, UsageError
from dsaecodec.rate_control import (
    ENOUGH,
    TRIES,
    QualitySearch,
    SizeLimit,
    check_readable_again,
    encode_to_size,
    qualities_of_gops,
)
from dsaecodec.spatial.gop_encoder import SHORT


@pytest.mark.parametrize("quality", [0, 50, 50.25, 33.5, 72.9, 1 / 3, 100])
def test_gops_alternate_around_their_quality(quality):
    found = list(islice(qualities_of_gops(quality), 60))
    assert all(type(q) is int and abs(q - quality) < 1 for q in found)
    assert all(abs(sum(found[:n]) - n * quality) < 1 for n in range(1, 61))
    assert all(0 <= q <= 100 for q in found)


def search(size_of, limit, steps=4):
    """Qualities tried, and the best."""
    state, tried = QualitySearch(50), []
    while state.quality is not None:
        tried.append(state.quality)
        state.tell(size_of(state.quality), limit, steps)
    return tried, state.best


@pytest.mark.parametrize("doubling", [10, 16, 22, 40])
@pytest.mark.parametrize("limit", [2_000, 12_345, 30_000, 200_000])
def test_the_search_ends_close_below_the_limit(doubling, limit):
    def size_of(quality):
        return round(20_000 * 2 ** ((quality - 50) / doubling) + 100)

    tried, best = search(size_of, limit, steps=8)
    assert len(tried) <= TRIES and len(set(tried)) == len(tried)
    if size_of(0) > limit:
        assert best is None and tried[-1] == 0
        return
    closest = max(q / 8 for q in range(801) if size_of(q / 8) <= limit)
    assert size_of(best) <= limit
    assert size_of(best) >= min(ENOUGH * limit, 0.97 * size_of(closest))


def test_the_search_takes_whole_qualities_of_one_gop():
    tried, best = search(lambda q: round(1000 * 2 ** (int(q) / 20)), 7_777, steps=1)
    assert all(q == int(q) for q in tried)
    assert 1000 * 2 ** (best / 20) <= 7_777 < 1000 * 2 ** ((best + 1) / 20)


def test_the_search_knows_both_ends():
    tried, best = search(lambda q: 100 + q, 10_000)
    assert best == 100 and tried[-1] == 100
    tried, best = search(lambda q: 100_000 + q, 10_000)
    assert best is None and tried[-1] == 0


@pytest.mark.parametrize("limit", [99_700, 100_000, 110_000, 64_500 + 99_000])
def test_the_search_gets_far_where_sound_takes_most_bytes(limit):
    def size_of(quality):
        return 99_000 + round(3_000 * 2 ** ((quality - 50) / 22))

    tried, best = search(size_of, limit, steps=1)
    assert len(tried) <= TRIES
    assert best is not None and ENOUGH * min(limit, size_of(100)) <= size_of(best) <= limit


def test_sizes_that_do_not_grow_end_the_search():
    tried, best = search(lambda q: 900 + 37 * (int(q * 7) % 5), 1_000)
    assert len(tried) <= TRIES and 900 + 37 * (int(best * 7) % 5) <= 1_000


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (SizeLimit(target_size=1234), 1234),
        (SizeLimit(bitrate=8_000), 2500),
        (SizeLimit(bitrate=1), 1),
    ],
)
def test_limits_in_bytes(limit, expected):
    assert limit and limit.bytes_for(2.5) == expected
    assert not SizeLimit()


@pytest.fixture(scope="module")
def frames():
    return list(moving_layers(12, 48, 64, 4))


@pytest.mark.parametrize("size", [1_500, 4_000])
def test_a_size_is_met(frames, size):
    data = dsaecodec.encode(frames, gop=3, target_size=size)
    assert 0.95 * size <= len(data) <= size
    assert len(list(dsaecodec.decode(data))) == 12
    qualities = [gop.quality for gop in bitstream.split(data)[1]]
    asked = {quality - (SHORT if place else 0) for place, quality in enumerate(qualities)}
    assert max(asked) - min(asked) <= 1  # behind the first, GOPs of few frames are coarser


def test_a_bitrate_is_that_of_the_file(frames):
    data = dsaecodec.encode(iter(frames), fps=10, gop=3, bitrate=20_000)
    assert 0.95 * 20_000 <= 8 * len(data) / 1.2 <= 20_000


def test_too_small_a_size_names_the_smallest(frames):
    with pytest.raises(ConfigError, match=r"takes \d+ bytes at the lowest quality"):
        dsaecodec.encode(frames, target_size=30)


def test_the_best_try_is_written_and_only_that():
    def once(quality, sink):
        data = bytes([int(quality)]) * round(quality * 10)
        sink.write(data)
        return Report(len(data))

    class Report:  # what the search looks at
        def __init__(self, size):
            self.bytes, self.plans, self.duration = size, 1, 1.0

    from dsaecodec import rate_control

    sink = io.BytesIO(b"before")
    sink.seek(6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_control, "replace", lambda report, **_: report)
        report = encode_to_size(once, SizeLimit(target_size=615), sink)
    assert report.bytes == 610 and sink.getvalue() == b"before" + bytes([61]) * 610


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("250000", 250_000),
        ("250k", 250_000),
        ("4M", 4_000_000),
        ("4MB", 4_000_000),
        ("1.5KiB", 1536),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-4", "0", "4T", "1e6", "4 M", "0.1", "nan"])
def test_sizes_that_are_none(text):
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("300000", 300_000), ("300k", 300_000), ("1.5M", 1_500_000)]
)
def test_bitrates(text, rate):
    assert parse_bitrate(text) == rate


@pytest.mark.parametrize("text", ["", "M", "-1", "0", "300kb", "inf"])
def test_bitrates_that_are_none(text):
    with pytest.raises(ValueError, match="expected bits a second"):
        parse_bitrate(text)


def test_a_pipe_cannot_be_read_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.y4m"
    os.mkfifo(pipe)
    for source in ("-", pipe):
        with pytest.raises(UsageError, match="several readings"):
            dsaecodec.encode(source, bitrate=9)
    check_readable_again(tmp_path)


@pytest.mark.parametrize("wish", [0, -4, float("nan"), float("inf"), 2.5, True, "4k"])
@pytest.mark.parametrize("name", ["target_size", "bitrate"])
def test_wishes_that_are_none(frames, name, wish):
    with pytest.raises(ConfigError, match=r"expected a whole number, 1 or more"):
        dsaecodec.encode(frames, **{name: wish})
    with pytest.raises(ConfigError, match="expected one of them"):
        dsaecodec.encode(frames, target_size=1, bitrate=1)


def test_the_command_line(tmp_path: Path, frames) -> None:
    import subprocess
    import sys

    clip, out = tmp_path / "clip.dsz", tmp_path / "small.dsz"
    video = tmp_path / "clip.mkv"
    clip.write_bytes(dsaecodec.encode(frames, quality=80))
    call = [sys.executable, "-m", "dsaecodec"]
    subprocess.run([*call, "decode", clip, "-o", video], check=True, capture_output=True)
    options = ["--target-size", "3k", "--gop", "3", "--preset", "fast"]
    done = subprocess.run(
        [*call, "encode", video, "-o", out, *options], check=True, capture_output=True, text=True
    )
    assert 2_850 <= out.stat().st_size <= 3_000
    assert "quality " in done.stderr
    assert len(list(dsaecodec.decode(out.read_bytes()))) == 12
