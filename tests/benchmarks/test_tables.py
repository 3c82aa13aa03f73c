"""Tables and report say what the points say, and nothing of a clip's name is believed."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rd import tables
from benchmarks.rd.bd import summarize
from benchmarks.rd.complexity import Complexity
from benchmarks.rd.crops import Crop
from benchmarks.rd.output import format_tables
from benchmarks.rd.plots import draw_clips, draw_curves
from benchmarks.rd.point import Note, Point
from benchmarks.rd.provenance import Setup
from benchmarks.rd.report import Findings, write_report
from tests.benchmarks.test_bd import ANCHOR, point, table

EVIL = "<script>alert(1)</script>&|.mp4"
LABELS = {"x264-medium": "x264 medium", "x265-medium": "x265 medium", "dsaecodec": "dsaecodec"}
SETUP = Setup("python rd_curve.py", "abc", "ffc5cf93", "2026-01-01", "a machine", 2, {"torch": "2"})


def ours(clip: str, factor: float) -> list[Point]:
    bits = dict(content_bits=64, dynamics_bits=32, overhead_bits=16, prior_saved_bits=8)
    return [
        point("dsaecodec", clip, factor * rate, db, quality=rate, **bits) for rate, db in ANCHOR
    ]


def some_points() -> list[Point]:
    points = []
    for clip, factor in (("a.mp4", 1.5), (EVIL, 0.8), ("c.mp4", 3.0)):
        points += ours(clip, factor) + table("x264-medium", clip, ANCHOR)
        points += table("x265-medium", clip, [(0.7 * rate, db) for rate, db in ANCHOR])
        points.append(point("webp-lossless", clip, 0.5, 100.0))
    return points


def findings() -> Findings:
    picture = np.zeros((20, 30, 3), np.uint8)
    crops = [
        Crop("set", EVIL, "original", 0, 0.0, 0.0, 1, picture),
        Crop("set", EVIL, "dsaecodec", 1234, 0.1, 30.0, 1, picture + 50),
    ]
    costs = [
        Complexity("dsaecodec", 8, 8, 4, 2, 3.0, 20.0, 1.9, 1.6, 841_784, 3_745_480, 51.0, 9.0)
    ]
    notes = [Note("set", EVIL, "", "cannot be read"), Note("set", "a.mp4", "av1-p2", "too small")]
    return Findings(some_points(), notes, crops, costs, LABELS, SETUP)


def test_the_bd_table_holds_the_figures_of_the_points() -> None:
    points = some_points()
    head, *rows = tables.bd_table(points, LABELS)
    by_codec = {s.codec: s for s in summarize(points, "x264-medium")}
    assert [row[0] for row in rows] == ["x265 medium", "dsaecodec", "webp-lossless"]
    mean = by_codec["dsaecodec"].mean
    assert mean == pytest.approx((50 - 20 + 200) / 3)
    assert rows[1][head.index("BD-rate RGB")] == f"{mean:+.1f} %"
    assert rows[0][1] == "-30.0 %" and rows[0][head.index("clips")] == "3 of 3"
    assert rows[2][1] == "no overlap" and rows[2][head.index("MS-SSIM")] == tables.NONE


def test_winners_are_counted_from_the_points() -> None:
    lines = {line.split(" beats")[0]: line for line in tables.winners(some_points(), LABELS)}
    assert "beats us on 2 of 3 clips" in lines["x264 medium"]
    assert "-66.7 % (c.mp4) to +25.0 %" in lines["x264 medium"]
    assert "beats us on 3 of 3 clips" in lines["x265 medium"]
    # on the third clip ours costs less than the WebP and shows less
    assert "beats us on 2 of 3 clips (on 1 there is nothing to" in lines["webp-lossless"]
    worse = [p for p in some_points() if p.codec == "dsaecodec"]
    worse += table("x265-medium", "a.mp4", [(9 * rate, db - 30) for rate, db in ANCHOR])
    assert tables.winners(worse, LABELS) == [
        f"x265 medium beats us on none of 1 clips; at equal bytes it is "
        f"{-summarize(worse, 'dsaecodec')[0].db_at_equal_bytes:.1f} dB below us on average."  # type: ignore[operator]
    ]


def test_latents_are_shares_of_the_pixels() -> None:
    assert len(tables.latents_table(some_points())[1:]) == len(ANCHOR)
    one = tables.latents_table(ours("a.mp4", 1.0))[1:]
    assert one[0][1:] == ["0.0200", "0.2500", "0.1250", "0.0625", "0.0312"]


def test_means_leave_out_what_not_all_clips_have() -> None:
    points = some_points()
    complete = tables.mean_points(points, "x264-medium")
    assert [len(part) for part in complete] == [3] * len(ANCHOR)
    missing = [p for p in points if not (p.clip == "a.mp4" and p.quality == ANCHOR[0][0])]
    missing += table("x264-medium", "a.mp4", [(0.9, 41.0)])
    assert len(tables.mean_points(missing, "x264-medium")) == len(ANCHOR) - 1


def test_markdown_survives_any_name() -> None:
    text = format_tables(findings())
    assert EVIL.replace("|", "\\|") in text and "no overlap" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) > 3


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    found = findings()
    draw_curves(found.points, LABELS, folder / "curves")
    draw_clips(found.points, LABELS, folder / "clips.svg")
    paths = {"set": folder / "clips.svg"}
    write_report(folder / "report.html", found, folder / "curves.svg", paths)
    return folder / "report.html"


def test_the_report_needs_nothing_and_runs_nothing(report: Path) -> None:
    text = report.read_text()
    assert "<script" not in text and "&lt;script&gt;alert(1)" in text
    loaded = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)", text)
    assert loaded and all(url.startswith(("#", "data:image/webp;base64,")) for url in loaded)
    assert "@import" not in text and "url(http" not in text
    for expected in ("+76.7 %", "no overlap", "cannot be read", "too small", "841,784", "ffc5cf93"):
        assert expected in text


def test_plots_are_xml_with_a_label_a_codec_and_the_same_each_time(tmp_path: Path) -> None:
    points = some_points()
    for name in ("one", "two"):
        draw_curves(points, LABELS, tmp_path / name)
    one, two = ((tmp_path / f"{name}.svg").read_bytes() for name in ("one", "two"))
    assert one == two
    texts = "".join(ElementTree.fromstring(one).itertext())
    for label in ("x264 medium", "x265 medium", "dsaecodec", "webp-lossless: 0.5 bpp"):
        assert label in texts
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_chromium_shows_the_report(report: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here")
    probe = tmp_path / "probe.html"
    ask = (
        "<script>addEventListener('load', () => document.body.dataset.seen = JSON.stringify(["
        "document.querySelectorAll('table').length,"
        "[...document.images].every(i => i.complete && i.naturalWidth > 0),"
        "document.images.length, document.querySelectorAll('svg').length,"
        "document.documentElement.scrollWidth <= innerWidth]))</script>"
    )
    probe.write_text(report.read_text().replace("</body>", ask + "</body>"))
    for width in (1300, 500):
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-background-networking", f"--user-data-dir={tmp_path / str(width)}"]
        command += [f"--window-size={width},900", "--enable-logging=stderr", "--dump-dom"]
        done = subprocess.run(
            [*command, probe.as_uri()], capture_output=True, text=True, timeout=90
        )
        assert "CONSOLE" not in done.stderr
        seen = re.search(r'data-seen="([^"]*)"', done.stdout)
        assert seen is not None and seen[1] == "[6,true,2,2,true]"
