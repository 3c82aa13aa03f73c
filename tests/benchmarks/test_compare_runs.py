"""Two runs compared: what is known of their curves comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import compare_runs
from benchmarks.rd.point import Point, write_points


def run_of(folder: Path, factor: float) -> Path:
    """Five clips whose files are `factor` times as large for the same pictures."""
    folder.mkdir()
    rates = (1000, 2000, 4000, 8000, 16000)
    points = [
        Point("g", f"clip {i}", codec, q, 8, 64, 64, int(rate * factor), rate * factor / 4096,
              20 + 4 * q + i, 22 + 4 * q + i, None, 1.0, 1.0)
        for i in range(5)
        for q, rate in enumerate(rates)
        for codec in ("dsaecodec", "x264-medium")
    ]  # fmt: skip
    write_points(folder / "points.csv", points)
    return folder


def test_equal_pictures_in_fewer_bytes(tmp_path, capsys):
    before, after = run_of(tmp_path / "before", 1.0), run_of(tmp_path / "after", 0.8)
    assert compare_runs.main([str(before), str(after), "--per-clip"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 1 + 5
    assert lines[2] == "| after | 5 | -20.0 % | -20.0 … -20.0 | -20.0 % | 100% |"
    assert compare_runs.main([str(after), str(before)]) == 0
    assert "+25.0 %" in capsys.readouterr().out


def test_folders_may_have_one_name(tmp_path, capsys):
    for place, factor in (("one", 1.0), ("two", 0.5)):
        (tmp_path / place).mkdir()
        run_of(tmp_path / place / "run", factor)
    assert compare_runs.main([str(tmp_path / "one" / "run"), str(tmp_path / "two" / "run")]) == 0
    assert "| run | 5 | -50.0 %" in capsys.readouterr().out


def test_a_run_without_the_codec_is_refused(tmp_path, capsys):
    before, after = run_of(tmp_path / "before", 1.0), run_of(tmp_path / "after", 0.8)
    with pytest.raises(SystemExit):
        compare_runs.main([str(before), str(after), "--codec", "vp9"])
    assert "no points of vp9" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare_runs.main([str(before), str(tmp_path / "nowhere")])
    assert "nowhere" in capsys.readouterr().err
