"""Measuring, keeping results, and going on where something fails."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rd.cache import Cache
from benchmarks.rd.clip import Clip, rgb_clip
from benchmarks.rd.codec import CannotCode
from benchmarks.rd.crops import busiest
from benchmarks.rd.matching import crops_of, matching_job, shown_clips, target_bytes
from benchmarks.rd.measure import Measured, as_rgb, measure
from benchmarks.rd.point import Note, Point, read_points, write_points, write_settings
from benchmarks.rd.run import Job, Outcome, plan_jobs, run_jobs
from dsaecodec.draw import moving_layers
from dsaecodec.metrics import mean_rgb_psnr_db
from dsaecodec.video import VideoInfo, rgb_to_420
from tests.benchmarks.rounding import Rounding


def small_clip(name: str, seed: int = 1, size: int = 24) -> Clip:
    return rgb_clip(name, "small", list(moving_layers(3, size, size, seed)))


def video_clip(name: str, seed: int = 1) -> Clip:
    frames = [rgb_to_420(rgb, 1, False) for rgb in moving_layers(3, 33, 51, seed)]
    return Clip(name, "video", "yuv420", VideoInfo(51, 33, Fraction(25)), frames)


CLIPS = [small_clip("a"), small_clip("b", 2), video_clip("c")]


@pytest.mark.parametrize("clip", [CLIPS[0], CLIPS[2]], ids=["rgb", "yuv420"])
def test_a_point_states_bytes_and_distortion_of_what_was_decoded(clip: Clip) -> None:
    codec = Rounding()
    coded = codec.encode(clip, 2)
    found = measure(codec, clip, 2)
    point = found.point
    assert point.bytes == sum(len(packet) for packet in coded.packets)
    assert point.bpp == 8 * point.bytes / (3 * clip.info.height * clip.info.width)
    decoded = as_rgb(clip, codec.decode(coded, clip))
    assert point.psnr_rgb == pytest.approx(mean_rgb_psnr_db(as_rgb(clip), decoded))
    assert point.overhead_bits == 24 and point.content_bits is None and point.ms_ssim is None
    assert found.crop.shape == (clip.info.height, clip.info.width, 3)
    assert np.array_equal(found.crop, decoded[1])
    finer = measure(codec, clip, 4).point
    assert finer.bytes > point.bytes and finer.psnr_rgb > point.psnr_rgb
    assert finer.psnr_yuv > point.psnr_yuv


def test_larger_pictures_have_an_ms_ssim() -> None:
    point = measure(Rounding(), small_clip("large", size=176), 1).point
    assert point.ms_ssim is not None and 0.5 < point.ms_ssim < 1


def test_a_codec_that_loses_a_frame_has_no_point() -> None:
    with pytest.raises(CannotCode, match="2 frames come back of 3"):
        measure(Rounding(loses="a"), CLIPS[0], 2)


def test_failures_leave_notes_and_the_rest_goes_on(tmp_path: Path) -> None:
    codecs = [Rounding("plain"), Rounding("picky", refuses="a"), Rounding("faulty", breaks="b")]
    jobs = plan_jobs(CLIPS, codecs, {c.name: (1.0, 3.0) for c in codecs})
    assert len(jobs) == 18
    seen: list[tuple[Job, Outcome]] = []
    results = run_jobs(jobs, 2, Cache(tmp_path), lambda job, outcome: seen.append((job, outcome)))
    points = [m.point for m in results.measured]
    assert [(p.clip, p.codec, p.quality) for p in points] == [
        (j.clip.name, j.codec.name, j.quality)
        for j in jobs
        if (j.codec.name, j.clip.name) not in {("picky", "a"), ("faulty", "b")}
    ]
    assert results.notes == [
        Note("small", "a", "picky", "not this one"),
        Note("small", "b", "faulty", "failed: ZeroDivisionError: a fault"),
    ]
    assert results.failures == 2 and len(seen) == 18


def test_an_encoder_that_aborts_costs_its_own_points_only(tmp_path: Path) -> None:
    codecs = [Rounding("plain"), Rounding("rash", aborts="b"), Rounding("last")]
    jobs = plan_jobs(CLIPS, codecs, {c.name: (1.0,) for c in codecs})
    results = run_jobs(jobs, 2, Cache(tmp_path))
    assert [(m.point.clip, m.point.codec) for m in results.measured] == [
        (clip, codec) for clip in "abc" for codec in ("plain", "rash", "last")
        if (clip, codec) != ("b", "rash")
    ]  # fmt: skip
    assert results.notes == [Note("small", "b", "rash", "brings its process down")]
    assert results.failures == 1


def test_a_second_run_measures_nothing_again(tmp_path: Path) -> None:
    jobs = plan_jobs(CLIPS[:2], [Rounding()], {"rounding": (1.0, 2.0)})
    first = run_jobs(jobs, 1, Cache(tmp_path))
    renamed = [replace(job, clip=replace(job.clip, name="other")) for job in jobs]
    again = run_jobs(renamed, 0, Cache(tmp_path))  # no process could be started
    for a, b in zip(first.measured, again.measured, strict=True):
        assert b.point == replace(a.point, clip="other")
        assert np.array_equal(a.crop, b.crop)


@pytest.mark.parametrize(
    "change",
    [
        lambda job: replace(job, quality=3.0),
        lambda job: replace(job, codec=Rounding(version="2")),
        lambda job: replace(job, clip=small_clip("a", 5)),
        lambda job: replace(job, clip=replace(job.clip, info=replace(job.clip.info, matrix=6))),
    ],
    ids=["quality", "version", "samples", "colour"],
)
def test_what_decides_a_result_decides_its_key(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    job = Job(CLIPS[0], Rounding(), 1.0)
    cache = Cache(tmp_path)
    cache.keep(job.codec, job.clip, job.quality, measure(job.codec, job.clip, job.quality))
    other = change(job)
    assert cache.find(job.codec, job.clip, job.quality, False) is not None
    assert cache.find(other.codec, other.clip, other.quality, False) is None


def test_a_damaged_result_is_measured_again(tmp_path: Path) -> None:
    job, cache = Job(CLIPS[0], Rounding(), 1.0), Cache(tmp_path)
    run_jobs([job], 1, cache)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert cache.find(job.codec, job.clip, job.quality, False) is None
    assert len(run_jobs([job], 1, cache).measured) == 1
    assert cache.find(job.codec, job.clip, job.quality, False) is not None


def test_the_csv_gives_back_what_was_written(tmp_path: Path) -> None:
    points = [measure(Rounding(), clip, 1.0).point for clip in (CLIPS[0], small_clip("x", 3, 176))]
    points.append(replace(points[0], clip='na,me "x"', matched=True, content_bits=3))
    write_points(tmp_path / "p.csv", points)
    assert read_points(tmp_path / "p.csv") == [replace(point, settings="") for point in points]
    write_settings(tmp_path / "s.csv", points)
    assert (tmp_path / "s.csv").read_text().splitlines() == [
        "codec,quality,settings", "rounding,1.0,rounding 1 quality 1.0"
    ]  # fmt: skip


def test_the_crop_lies_where_the_clip_moves() -> None:
    frames = [np.zeros((200, 300, 3), np.uint8) for _ in range(6)]
    for t, frame in enumerate(frames):
        frame[150:160, 200 + 5 * t : 210 + 5 * t] = 255
    index, rows, columns = busiest(frames, 64)
    assert index == 3 and rows.stop - rows.start == columns.stop - columns.start == 64
    assert rows.start <= 150 and rows.stop >= 160
    assert columns.start <= 200 and columns.stop >= 235


def test_rates_are_matched_between_measured_points() -> None:
    clip, codec = small_clip("a", size=48), Rounding()
    points = [measure(codec, clip, q).point for q in (0.0, 2.0, 4.0)]
    sizes = [p.bytes for p in points]
    job = matching_job(codec, clip, points, (sizes[1] + sizes[2]) // 2)
    assert job is not None and job.matched and job.quality == 3.0
    for known in (sizes[1], sizes[2] * 9):
        assert matching_job(codec, clip, points, known) is None
    assert matching_job(codec, clip, [], 100) is None
    assert target_bytes(points, "a", "rounding") == sizes[1]
    chosen: list[Measured] = [measure(codec, clip, 2.0)]
    original, mine = crops_of(clip, chosen)
    assert original.codec == "original" and np.array_equal(original.picture, clip.frames[1])
    assert (mine.codec, mine.bytes) == ("rounding", sizes[1])


def test_best_middle_and_worst_clip_are_shown() -> None:
    curve = [(0.02, 26.0), (0.05, 29.5), (0.11, 32.0), (0.25, 35.5)]
    base = measure(Rounding(), CLIPS[0], 1.0).point
    points: list[Point] = []
    for index, clip in enumerate("vwxyz"):
        for rate, db in curve:
            row = replace(base, clip=clip, bpp=rate, psnr_rgb=db)
            points.append(replace(row, codec="anchor"))
            factor = (3.0, 1.1, 0.5, 2.0, 1.5)[index]
            points.append(replace(row, codec="ours", bpp=factor * rate))
    assert shown_clips(points, "ours", "anchor") == ["x", "z", "v"]
    assert shown_clips([p for p in points if p.codec == "anchor"], "ours", "anchor") == ["v"]
