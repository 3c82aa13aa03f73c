"""The command line with the real codec, as users run it."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dsaecodec.video import open_video

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.mark.slow
def test_jobs_and_threads_do_not_change_a_byte(
    run: Run, draw_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clips = [draw_clip(f"{name}.y4m", width=64) for name in "abc"]
    for folder, *options in (("1",), ("2", "--jobs", "2"), ("3", "--threads", "3")):
        done = run("encode", *clips, "-o", f"{tmp_path / folder}/", *options)
        assert done.returncode == 0, done.stderr
    for name in ("a.dsz", "b.dsz", "c.dsz"):
        first = (tmp_path / "1" / name).read_bytes()
        assert first == (tmp_path / "2" / name).read_bytes()
        assert first == (tmp_path / "3" / name).read_bytes()


def test_a_part_is_the_same_frames(run: Run, golden: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.y4m", tmp_path / "part.y4m"
    assert run("decode", golden, "-o", whole).returncode == 0
    done = run("decode", golden, "-o", part, "--start", "0.12", "--frames", "2")
    assert done.returncode == 0, done.stderr
    with open_video(whole) as all_frames, open_video(part) as some:
        expected, found = list(all_frames)[3:5], list(some)
    assert len(found) == 2
    for a, b in zip(expected, found, strict=True):
        for one, other in zip(a.planes, b.planes, strict=True):
            # other batches of frames: float rounding may differ by a grey level
            assert np.abs(one.astype(int) - other).max() <= 1


def test_a_start_beyond_the_end_names_the_length(run: Run, golden: Path, tmp_path: Path) -> None:
    done = run("decode", golden, "-o", tmp_path / "part.y4m", "--start", "1:00")
    assert done.returncode == 2
    assert done.stderr.count(b"dsaecodec: error: ") == 1 and b"0.28" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "limit"), [(["--help"], 0.5), (["models"], 0.5), (["info"], 0.5), (["decode"], 4)]
)
def test_start_is_quick(
    run: Run, golden_compact: Path, arguments: list[str], limit: float, tmp_path: Path
) -> None:
    """Counted in CPU time, the best of three: the machine may be busy."""
    if arguments == ["info"]:
        arguments = ["info", str(golden_compact)]
    elif arguments == ["decode"]:
        out = str(tmp_path / "out.y4m")
        arguments = ["decode", str(golden_compact), "-o", out, "-y", "--threads", "1"]

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run(*arguments).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert any(seconds() < limit for _ in range(3))
