"""Points of other codecs, taken from an earlier run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import rd_curve
from benchmarks.rd.cache import Cache
from benchmarks.rd.earlier import EarlierRun
from benchmarks.rd.names import OURS
from benchmarks.rd.point import Point, read_points, write_points, write_settings
from benchmarks.rd.run import Job, plan_jobs, run_jobs
from dsaecodec.draw import moving_layers
from dsaecodec.video import VideoInfo, VideoWriter, rgb_to_420
from tests.benchmarks.rounding import Rounding
from tests.benchmarks.test_rd_run import CLIPS

RUN = {"commit": "abc", "date": "2026-01-01", "machine": "a machine"}


@pytest.fixture
def jobs() -> list[Job]:
    return plan_jobs(CLIPS[:2], [Rounding()], {Rounding().name: (1.0, 2.0)})


def written(folder: Path, points: list[Point], **run: str) -> EarlierRun:
    write_points(folder / "points.csv", points)
    write_settings(folder / "settings.csv", points)
    (folder / "run.json").write_text(json.dumps(RUN | run))
    return EarlierRun(folder)


@pytest.fixture
def points(jobs, tmp_path) -> list[Point]:
    return [one.point for one in run_jobs(jobs, 1, Cache(tmp_path / "cache")).measured]


def test_points_stand_for_the_jobs_that_made_them(jobs, points, tmp_path):
    earlier = written(tmp_path, points)
    assert [earlier.find(job) for job in jobs] == points
    assert earlier.origin == "commit abc, 2026-01-01, a machine"
    assert written(tmp_path, points, others="another").origin == "another"


def test_what_differs_is_measured_anew(jobs, points, tmp_path):
    other = replace(jobs[0], clip=replace(jobs[0].clip, frames=jobs[2].clip.frames))
    earlier = written(tmp_path, points[:2])
    assert earlier.find(jobs[0]) and not earlier.find(other)
    assert not earlier.find(replace(jobs[0], quality=3.0))
    assert not earlier.find(replace(jobs[0], matched=True))
    changed = written(tmp_path, [replace(point, settings="older library") for point in points])
    assert not any(changed.find(job) for job in jobs)
    ours = written(tmp_path, [replace(point, codec=OURS) for point in points])
    assert not any(ours.find(replace(job, codec=Rounding(name=OURS))) for job in jobs)


def test_a_run_with_those_of_another_has_the_same_rows(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    with VideoWriter(str(clips / "a.y4m"), VideoInfo(48, 32, 25)) as video:
        for rgb in moving_layers(3, 32, 48, 1):
            video.write(rgb_to_420(rgb))
    common = [
        "--clips",
        str(clips),
        "--codecs",
        "mpeg2",
        "--no-complexity",
        "--quiet",
        "--jobs",
        "1",
    ]
    first, second = tmp_path / "first", tmp_path / "second"
    assert rd_curve.main([*common, "-o", str(first)]) == 0
    assert rd_curve.main([*common, "-o", str(second), "--others", str(first)]) == 0
    assert (first / "points.csv").read_text() == (second / "points.csv").read_text()
    assert {point.codec for point in read_points(second / "points.csv")} == {"mpeg2", "x264-medium"}
    assert not (second / "cache").exists()  # nothing was measured
    assert "Points of other codecs: commit" in (second / "tables.md").read_text()
