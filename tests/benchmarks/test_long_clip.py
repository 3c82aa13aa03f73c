"""Long clips: quarters of a run, and what a seek is charged for."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from benchmarks.long_clip import FPS, CountingFile, MemoryLog, Sample, quarters, seek_all, splice
from bitstream import scan

GOLDEN = Path(__file__).parents[1] / "golden"


def test_quarters_are_of_the_time_and_keep_the_largest() -> None:
    samples = [Sample("decode", t, 10 * t, 300 + (t == 5) * 50 + t) for t in range(1, 9)]
    found = quarters(samples, 99)
    assert (found.first, found.second, found.third, found.fourth) == (301, 303, 355, 308)
    assert found.frames == 80 and found.rise_percent == round(100 * (308 / 303 - 1), 2)


def test_a_file_counts_what_is_read() -> None:
    file = CountingFile(io.BytesIO(bytes(100)))
    assert len(file.read(30)) == 30 and file.seek(90) == 90 and len(file.read(30)) == 10
    assert file.bytes_read == 40


def test_seeks_of_a_spliced_file_read_little(tmp_path: Path) -> None:
    (tmp_path / "encoded.dsz").write_bytes((GOLDEN / "v1-natural-three-gops.dsz").read_bytes())
    args = argparse.Namespace(out=tmp_path, hours=0.01)
    with MemoryLog("splice", 1.0) as log:
        splice(tmp_path / "spliced.dsz", log, args)
    with (tmp_path / "spliced.dsz").open("rb") as source:
        assert scan(source).num_frames == log.frames
    assert 36 * FPS - 3 <= log.frames <= 36 * FPS
    rows = seek_all(tmp_path / "spliced.dsz")
    assert len(rows) == 10 and [row.time for row in rows] == sorted(row.time for row in rows)
    for row in rows:
        assert row.index_bytes + row.gop_bytes < row.bytes_read < row.file_bytes / 4
