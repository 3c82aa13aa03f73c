"""The report as a page: sound references, pictures unchanged, readable on a phone."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from benchmarks.rd import tables
from benchmarks.rd.bd import summarize
from benchmarks.rd.crops import Crop
from benchmarks.rd.plots import draw_clips, draw_curves, spread
from benchmarks.rd.point import Note
from benchmarks.rd.report import Findings, write_report
from tests.benchmarks.test_bd import table
from tests.benchmarks.test_tables import EVIL, LABELS, findings, some_points

SIZES = {"original": (20, 30), "dsaecodec": (64, 64), "x264-medium": (144, 144)}


class Page(HTMLParser):
    """Elements of a page and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def attributes(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def noise(codec: str) -> np.ndarray:
    rng = np.random.default_rng(len(codec))
    return rng.integers(0, 256, (*SIZES[codec], 3), dtype=np.uint8)


def found() -> Findings:
    """Two sets, so that drawings share a page, and pictures of three sizes."""
    points = some_points()
    points += [replace(point, group="other <b>set</b>") for point in points]
    crops = [Crop("set", EVIL, codec, 900, 0.1, 30.0, 1, noise(codec)) for codec in SIZES]
    notes = [Note("", "", "vp9", "not at hand"), *findings().notes]
    return replace(findings(), points=points, crops=crops, notes=notes)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    shown = found()
    draw_curves(shown.points, LABELS, folder / "curves")
    clips = {}
    for index, group in enumerate(tables.groups_of(shown.points)):
        clips[group] = folder / f"clips-{index}.svg"
        draw_clips(tables.of_group(shown.points, group), LABELS, clips[group])
    write_report(folder / "report.html", shown, folder / "curves.svg", clips)
    return folder / "report.html"


def test_every_identifier_is_there_once(report: Path) -> None:
    text = report.read_text()
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
    assert len(used) > 100 and set(used) <= set(ids)


def test_pictures_are_unchanged_and_no_pixel_is_wider_than_another(report: Path) -> None:
    pictures = Page(report.read_text()).attributes("img")
    assert len(pictures) == len(SIZES)
    for codec, attributes in zip(SIZES, pictures, strict=True):
        data = base64.b64decode(attributes["src"].removeprefix("data:image/webp;base64,"))
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.asarray(image), noise(codec))
        height, width = SIZES[codec]
        shown = int(attributes["width"])
        assert shown % width == 0 and shown >= 176 and shown - width < 176
        assert int(attributes["height"]) * width == shown * height
        assert EVIL in attributes["alt"]


def test_only_our_rows_stand_out(report: Path) -> None:
    text = report.read_text()
    rows = re.findall(r'<tr class="ours"><th scope="row">([^<]*)<', text)
    assert rows == ["dsaecodec"] * 3  # of two sets, and of costs
    assert "<td>vp9</td><td>all</td><td>not at hand</td>" in text


def test_the_page_begins_with_the_figures() -> None:
    points = some_points()
    ours = {s.codec: s for s in summarize(points, "x264-medium")}["dsaecodec"]
    line = tables.in_short(points, LABELS)
    assert ours.mean is not None
    assert f"needs {ours.mean:.1f} % more bytes than x264 medium" in line
    assert "x265 medium: 30.0 % fewer (mean of 3 clips)" in line
    alone = [p for p in points if p.codec in ("dsaecodec", "x264-medium")]
    assert tables.in_short(alone, LABELS).endswith("no codec with a BD-rate needs fewer.")
    assert tables.in_short([p for p in points if p.codec != "dsaecodec"], LABELS) == ""


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    points = [replace(point, clip=r"a$\frac$<b>&.mp4") for point in table("vp9", "", [(1, 30)])]
    draw_clips(points, {"vp9": "$VP_9$"}, tmp_path / "clips.svg")
    texts = "".join(ElementTree.parse(tmp_path / "clips.svg").getroot().itertext())
    assert r"a$\frac$<b>&.mp4" in texts and "$VP_9$" in texts


def test_labels_have_room_and_stay_near_their_curves() -> None:
    assert spread([1.0, 5.0, 9.0], 0.0, 10.0) == pytest.approx([1.0, 5.0, 9.0])
    assert spread([5.0, 5.0, 5.0], 0.0, 10.0) == pytest.approx([4.5, 5.0, 5.5])
    crowded = spread([9.7] * 8 + [9.9], 0.0, 10.0)
    assert crowded[-1] == pytest.approx(10.0) and np.diff(crowded) == pytest.approx(0.5)
    full = spread([0.0] * 25 + [10.0] * 5, 0.0, 10.0)
    assert full[0] >= 0 and full[-1] <= 10 + 1e-9 and min(np.diff(full)) > 0.33


def test_a_curve_of_fewer_clips_says_so(tmp_path: Path) -> None:
    points = some_points()
    short = [p for p in points if not (p.codec == "x265-medium" and p.clip == "a.mp4")]
    draw_curves(short, LABELS, tmp_path / "curves")
    assert "x265 medium (2 of 3 clips)" in (tmp_path / "curves.svg").read_text()


@pytest.mark.slow
def test_it_fits_a_phone_and_shows_something(report: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here")
    # windows have a least width, frames have not; a frame of another file reports by message
    tell = (
        "<script>addEventListener('load', () => parent.postMessage(["
        "document.documentElement.scrollWidth, innerWidth,"
        "[...document.images].filter(i => i.naturalWidth > 0).length].join(' '), '*'))</script>"
    )
    opened = report.read_text().replace("<details>", "<details open>")
    (tmp_path / "page.html").write_text(opened.replace("</body>", tell + "</body>"))
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<body style='margin:0'><script>onmessage = e => document.body.dataset.seen = e.data"
        "</script><iframe src='page.html' style='width:390px;height:880px;border:0'></iframe>"
    )
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--virtual-time-budget=5000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=500,900"]
    dumped = subprocess.run(
        [*command, "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=90
    )
    seen = re.search(r'data-seen="([^"]*)"', dumped.stdout)
    assert seen is not None
    needed, given, pictures = map(int, seen[1].split())
    assert needed <= given == 390 and pictures == len(SIZES)
    picture = tmp_path / "page.png"
    subprocess.run([*command, f"--screenshot={picture}", frame.as_uri()], check=True, timeout=90)
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("L"))[:880, :390]
    assert 0.01 < np.mean(pixels != pixels[0, 0]) < 0.7
