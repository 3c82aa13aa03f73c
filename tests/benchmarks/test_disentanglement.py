"""What f and z_t hold: scores of known judgements, and a table of everything."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import disentanglement
from benchmarks.disentanglement import equal_error_rate, scores
from dsaecodec.model_io import save_model
from dsaecodec.vector.model import VectorConfig, VectorModel
from tests.vector.conftest import NARROW

SHEETS = Path(__file__).parents[3] / "shared" / "data" / "sprites"


def test_a_sure_judge_of_nine_motions():
    truth = np.arange(90) % 9
    found = dict(scores(np.eye(9)[truth], truth))
    assert found["accuracy %"] == 100 and found["IS"] == pytest.approx(9)
    assert found["H(y|x)"] == pytest.approx(0, abs=1e-9)
    assert found["H(y)"] == pytest.approx(math.log(9))
    assert dict(scores(np.eye(9)[(truth + 1) % 9], truth))["accuracy %"] == 0


def test_a_judge_that_does_not_know():
    found = dict(scores(np.full((10, 9), 1 / 9), np.zeros(10, int)))
    assert found["IS"] == pytest.approx(1) and found["H(y|x)"] == pytest.approx(math.log(9))


def test_identities_that_are_told_apart_and_that_are_not():
    characters = np.repeat(np.arange(40), 9)
    rng = np.random.default_rng(0)
    own = rng.standard_normal((40, 6))[characters]
    noise = rng.standard_normal((360, 6))
    assert equal_error_rate(own + 0.01 * noise, characters) < 0.5
    assert 45 < equal_error_rate(noise, characters) < 55
    assert 5 < equal_error_rate(own + 0.7 * noise, characters) < 40


@pytest.mark.skipif(not SHEETS.is_dir(), reason="no sheets here")
def test_the_table_of_everything(tmp_path: Path):
    torch.manual_seed(1)
    save_model(VectorModel(VectorConfig(64, 4, 3, **NARROW)), tmp_path / "m.safetensors")
    arguments = ["--sprites", str(SHEETS), "--model", str(tmp_path / "m.safetensors")]
    counts = ["--judge-steps", "2", "--clips", "12"]
    assert disentanglement.main([*arguments, *counts, "-o", str(tmp_path)]) == 0
    with open(tmp_path / "rows.csv", newline="") as file:
        table = list(csv.DictReader(file))
    rows = {(r["test"], r["subject"], r["measure"]): float(r["value"]) for r in table}
    assert len(rows) == 4 + 2 * 5 + 2 * 4 + 2 * 4 + 2
    parts = rows["collapse", "f", "bytes"] + rows["collapse", "z", "bytes"]
    assert rows["files", "clips", "bytes"] == pytest.approx(parts + 15, abs=1e-3)
    assert all(0 <= value <= 100 for (*_, name), value in rows.items() if name.endswith("%"))
