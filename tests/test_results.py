"""Published numbers are those of the committed CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks import compare_runs, presets
from benchmarks.rd import tables
from benchmarks.rd.bd import summarize
from benchmarks.rd.complexity import read_complexity
from benchmarks.rd.names import ANCHOR, OURS
from benchmarks.rd.point import Point, read_points
from benchmarks.rd.registry import all_codecs
from dsaecodec.model_io import load_model

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
RUNS = ("drawn", "natural_valid")
SOURCES = ("hallway", "highway", "talking_head")
STAGES = ("content", "clips", "priors", "longer_clips")
LABELS = {codec.name: codec.label for codec in all_codecs(None, [])}


def read_run(name: str) -> list[Point]:
    return read_points(RESULTS / name / "points.csv")


@pytest.mark.parametrize("name", RUNS)
def test_rows_are_consistent(name: str) -> None:
    points = read_run(name)
    assert len({(p.group, p.clip, p.codec, p.quality) for p in points}) == len(points) > 100
    for point in points:
        pixels = point.frames * point.height * point.width
        assert point.bpp == pytest.approx(8 * point.bytes / pixels)
        if point.codec.startswith(OURS):
            assert None not in (point.content_bits, point.dynamics_bits, point.overhead_bits)
            parts = (point.content_bits, point.dynamics_bits, point.overhead_bits)
            assert sum(filter(None, parts)) == 8 * point.bytes
    run = json.loads((RESULTS / name / "run.json").read_text())
    assert run["model"] == load_model(device="cpu").identity.hex()
    assert "+" not in run["commit"] and run["command"].startswith("python benchmarks/rd_curve.py")
    with open(RESULTS / name / "settings.csv", newline="") as file:
        described = {(row["codec"], float(row["quality"])) for row in csv.DictReader(file)}
    assert {(p.codec, p.quality) for p in points} <= described


@pytest.mark.parametrize("name", RUNS)
def test_the_tables_are_those_of_the_rows(name: str) -> None:
    text, points = (RESULTS / name / "tables.md").read_text(), read_run(name)
    for group in tables.groups_of(points):
        part = tables.of_group(points, group)
        for table in (tables.bd_table(part, LABELS), tables.means_table(part, LABELS)):
            assert tables.markdown(table) in text, group
        for line in tables.winners(part, LABELS):
            assert line in text


def test_readme_states_what_the_csv_says() -> None:
    readme = (ROOT / "README.md").read_text()
    points = read_run("natural_valid")
    stated = {s.codec: s.mean for s in summarize(points, ANCHOR)}
    rows = [line.split("|") for line in readme.splitlines() if line.startswith("|")]
    cells = {row[1].strip(" *"): [cell.strip(" *") for cell in row[2:-1]] for row in rows}
    for codec, mean in stated.items():
        if codec == "dsaecodec-first":
            continue
        assert mean is not None and cells[LABELS[codec]][0] == f"{mean:+.1f} %"
    for row in tables.latents_table(points)[1:]:
        assert cells[f"-q {row[0]}"][0] == row[1]
        assert cells[f"-q {row[0]}"][-2:] == [row[2], row[3]]
    step0 = read_points(RESULTS / "natural_valid_step0" / "points.csv")
    start = {s.codec: s.mean for s in summarize(step0, ANCHOR)}[OURS]
    assert f"{start:+.1f} %" in readme


def test_readme_states_the_speeds_of_the_csv() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    rows = {row.codec: row for row in read_complexity(RESULTS / "drawn" / "complexity.csv")}
    ours, x264, av1 = (rows[name] for name in (OURS, ANCHOR, "av1-p6"))
    for row, words in (
        (ours, "encodes {:.1f} and decodes {:.1f} fps"),
        (x264, "x264 medium {:.1f} and {:.1f}"),
        (av1, "SVT-AV1 preset 6 {:.1f} and {:.1f}"),
    ):
        assert words.format(row.encode_fps, row.decode_fps) in readme
    assert (ours.height, ours.width, ours.threads) == (360, 640, 2)


def test_the_table_of_presets_is_that_of_its_rows() -> None:
    columns = presets.Row.__annotations__
    with open(RESULTS / "presets_dev.csv", newline="") as file:
        rows = [
            presets.Row(**{name: read_field(columns[name], text) for name, text in row.items()})  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        ]
    assert presets.summarize(rows) == (RESULTS / "presets_dev.md").read_text()
    for row in rows:
        assert row.bpp == pytest.approx(8 * row.bytes / (row.frames * row.height * row.width))
        assert (row.gain is not None) == (row.preset == "slow")


def read_field(column: object, text: str) -> object:
    if column == "float | None":
        return float(text) if text else None
    return {"str": str, "int": int, "float": float}[str(column)](text)


def bd_rate(anchor: str, test: str) -> str:
    runs = [compare_runs.read_run(RESULTS / folder, OURS) for folder in (anchor, test)]
    return compare_runs.compare_runs(runs)[1][2]


@pytest.mark.parametrize("source", SOURCES)
def test_what_specialisation_brings(source: str) -> None:
    general, own = f"special/{source}-general", f"special/{source}-own"
    rate, earlier = bd_rate(general, own), bd_rate(general, f"special/{source}-before_priors")
    guide = (ROOT / "docs" / "training.md").read_text()
    assert f"**{rate}** | {earlier} |" in guide
    assert f"{rate} for a {source.replace('_', ' ')}" in " ".join(
        (ROOT / "README.md").read_text().split()
    )


@pytest.mark.parametrize("stage", STAGES)
def test_what_each_stage_brought(stage: str) -> None:
    guide = (ROOT / "docs" / "training.md").read_text()
    assert f"| {bd_rate('training_dev/step0', f'training_dev/{stage}')} |" in guide


def test_what_the_last_stage_did_to_single_clips() -> None:
    guide = (ROOT / "docs" / "training.md").read_text()
    names = {
        "m3v1mp4": "a mouse",
        "koolshooters": "a face",
        "dog-1": "a running dog",
        "flamingo": "a flam",
    }
    runs = [compare_runs.read_run(RESULTS / "training_dev" / s, OURS) for s in ("clips", "priors")]
    rows = compare_runs.compare_runs(runs, per_clip=True)
    assert f"{rows[1][2]} ({rows[1][3]})" in guide
    for part, name in names.items():
        (rate,) = [row[2] for row in rows if part in row[0]]
        assert f"{rate} on {name}" in guide


def test_what_longer_training_brought() -> None:
    rate = bd_rate("training_dev/clips", "training_dev/longer_clips")
    for name in ("WEIGHTS.md", "docs/training.md"):
        text = (ROOT / name).read_text()
        assert f"{rate} (" in text or rate.replace("-", "−") in text
