"""The table of stochastic dynamics beside others says what files and arithmetic say."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import baselines, vector_files
from benchmarks.baselines import QUALITIES, Trial, compare_trials
from dsaecodec.model_io import save_model
from dsaecodec.vector.model import VectorConfig, VectorModel
from tests.vector.conftest import NARROW

PLAIN = VectorConfig(64, 4, 4, products="things", **NARROW)
KINDS = {
    "stochastic": PLAIN,
    "full": replace(PLAIN, full_posterior=1),
    "static": replace(PLAIN, dynamics="static"),
    "deterministic": replace(PLAIN, dynamics="deterministic"),
    "content": replace(PLAIN, dynamics="none"),
    "local": replace(PLAIN, f_channels=0),
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baselines")
    paths = []
    for number, (name, config) in enumerate(KINDS.items()):
        torch.manual_seed(number)
        paths.append(folder / f"{name}.safetensors")
        save_model(VectorModel(config), paths[-1])
    arguments = [
        "--balls-models",
        *map(str, paths),
        "--clips",
        "4",
        "--few",
        "3",
        "-o",
        str(folder),
    ]
    assert baselines.main(arguments) == 0
    return folder


def test_every_model_has_a_row_a_quality(results):
    rows = rows_of(results / "rows.csv")
    assert [(r["variant"], int(r["quality"])) for r in rows] == [
        (name, quality) for name in KINDS for quality in QUALITIES
    ]
    for row in rows:
        parts = float(row["content_bytes"]) + float(row["dynamics_bytes"])
        assert float(row["file_bytes"]) == pytest.approx(parts + 15, abs=0.6)


def test_curves_are_drawn(results):
    with Image.open(results / "curves.png") as picture:
        assert picture.size[0] > 500 and len(picture.convert("RGB").getcolors(10**6) or []) > 50


def test_what_is_not_sent_costs_nothing(results):
    for row in rows_of(results / "rows.csv"):
        if row["variant"] in ("deterministic", "content"):
            assert float(row["dynamics_bytes"]) <= 1
            assert row["missing_db"] == row["whole_db"]
        if row["variant"] == "local":
            assert float(row["content_bytes"]) <= 1


def test_networks_that_are_not_needed_do_not_count(results):
    sizes = {row["variant"]: int(row["parameters"]) for row in rows_of(results / "rows.csv")}
    assert sizes["content"] < sizes["static"] < sizes["stochastic"] < sizes["full"]
    missing = {row["missing_clips"] for row in rows_of(results / "rows.csv")}
    assert missing == {"", "3"}


def test_held_out_clips_are_of_every_motion():
    few = vector_files.held_out_clips(range(296), 296)
    assert len({clip[1:3] for clip in few}) == 9
    assert len({phase for *_, phase in few}) == 8 and len({c for c, *_ in few}) > 100
    everything = vector_files.held_out_clips(range(296), 10**4)
    assert len(everything) == 2664 and set(few) < set(everything)


def test_every_variant_is_compared(results):
    rows = rows_of(results / "comparison.csv")
    assert {row["variant"] for row in rows} == set(KINDS) - {"stochastic"}
    assert len(rows) == 5 * 4
    measured = [row for row in rows if row["measure"] == "db_at_equal_quality"]
    for row in measured:
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])


def trial(variant: str, db: float, ratio: float, noise: float = 0.0, seed: int = 0) -> Trial:
    """30 clips on a line of 5 dB an octave, moved by dB and by a ratio of bytes."""
    size = np.repeat(20 * 2 ** np.arange(len(QUALITIES))[:, None], 30, 1).astype(float)
    psnr = 25 + 5 * np.log2(size / 20) + db
    psnr += noise * np.random.default_rng(seed).standard_normal(30)
    return Trial(variant, psnr, size * ratio, psnr[4, :9] - 1)


def test_known_curves_have_their_known_distance():
    found = compare_trials("x", [trial("stochastic", 0, 1), trial("static", 0, 2)])
    values = {c.measure: c.value for c in found}
    assert values["bd_rate_percent"] == pytest.approx(-50, abs=0.1)
    assert values["db_at_equal_bytes"] == pytest.approx(5, abs=0.01)
    assert values["db_at_equal_quality"] == 0
    assert all(c.low == pytest.approx(c.value) == c.high for c in found)


def test_intervals_hold_clips_and_seeds():
    def widths(*seeds: float) -> float:
        ours = [trial("stochastic", db, 1, 0.5, i) for i, db in enumerate(seeds)]
        others = [trial("deterministic", -3, 1, 0.5, 9)]
        (row,) = [
            c for c in compare_trials("x", [*ours, *others]) if c.measure == "db_at_equal_quality"
        ]
        assert row.low is not None and row.high is not None and row.value is not None
        assert row.low < row.value < row.high and row.low < 3 < row.high
        return row.high - row.low

    assert widths(-1, 0, 1) > 2 * widths(0, 0, 0) > 0


def test_curves_that_do_not_meet_have_no_rate():
    found = compare_trials("x", [trial("stochastic", 90, 1), trial("content", 0, 1)])
    (row,) = [c for c in found if c.measure == "bd_rate_percent"]
    assert (row.value, row.low, row.high) == (None, None, None)
