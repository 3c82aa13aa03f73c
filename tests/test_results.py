"""Published numbers are those of the committed CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks import presets
from benchmarks.evaluate import Row, bd_rate_percent, read_anchors

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def read_rows(name: str) -> list[Row]:
    with open(RESULTS / name, newline="") as file:
        return [
            Row(**{k: type_of(k)(v) for k, v in row.items()})  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        ]


def type_of(column: str) -> type:
    return {"str": str, "int": int, "float": float}[str(Row.__annotations__[column])]


def test_rows_are_consistent():
    rows = read_rows("natural_valid.csv")
    assert len({(r.clip, r.content, r.quality) for r in rows}) == len(rows) == 120
    for row in rows:
        assert row.bpp == pytest.approx(8 * row.bytes / (row.frames * row.height * row.width), 1e-3)
        assert row.content_bits + row.dynamics_bits + row.overhead_bits == 8 * row.bytes
    from dsaecodec.model_io import load_model

    assert {r.model for r in rows} == {load_model(device="cpu").identity.hex()}


def test_readme_states_the_mean_of_the_csv(footage):
    pytest.importorskip("bjontegaard")
    anchors = read_anchors(footage / "anchors.csv")["x264-medium"]
    readme = (ROOT / "README.md").read_text()
    for name in ("natural_valid.csv", "natural_valid_step0.csv"):
        rates = []
        for clip, anchor in anchors.items():
            points = [
                (r.bpp, r.psnr_rgb)
                for r in read_rows(name)
                if r.clip == clip and r.content == "gop"
            ]
            rates.append(bd_rate_percent(anchor, points))
        assert f"{sum(rates) / len(rates):+.1f} %" in readme, (name, sum(rates) / len(rates))


def test_bd_rate_of_known_curves():
    anchor = [(0.1 * 2**i, 30.0 + 3 * i) for i in range(5)]
    half = [(rate / 2, db) for rate, db in anchor]
    assert bd_rate_percent(anchor, anchor) == pytest.approx(0, abs=1e-9)
    assert bd_rate_percent(anchor, half) == pytest.approx(-50)
    assert bd_rate_percent(half, anchor) == pytest.approx(100)


def test_the_table_of_presets_is_that_of_its_rows():
    pytest.importorskip("bjontegaard")
    columns = presets.Row.__annotations__
    with open(RESULTS / "presets_dev.csv", newline="") as file:
        rows = [
            presets.Row(**{name: read_field(columns[name], text) for name, text in row.items()})
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
