"""Many clips side by side are what one after the other is; the tables come from them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import dsaecodec
from benchmarks import long_sequence, vector_files
from dsaecodec.draw import bouncing_balls
from dsaecodec.generation import fill
from dsaecodec.model_io import LoadedModel, load_model, save_model
from dsaecodec.vector.model import VectorConfig, VectorModel
from tests.vector.conftest import NARROW

QUALITY = 65


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    model = VectorModel(VectorConfig(64, 4, 3, **NARROW))
    with torch.no_grad():
        model.posterior.f[-1].weight.mul_(30)
        model.posterior.z[-1].weight.mul_(30)
    model.project_()
    path = tmp_path_factory.mktemp("models") / "balls.safetensors"
    save_model(model, path)
    return path


@pytest.fixture(scope="module")
def loaded(path: Path) -> LoadedModel:
    return load_model(str(path), "cpu")


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return np.stack([bouncing_balls(7, seed).frames for seed in range(5)])


def test_files_and_frames_are_those_of_the_codec(loaded, path, clips):
    coded = vector_files.write(loaded, vector_files.infer(loaded.vector, clips, QUALITY), QUALITY)
    found = vector_files.show(loaded.vector, vector_files.read(loaded, coded), QUALITY)
    for clip, data, frames in zip(clips, coded, found, strict=True):
        alone = dsaecodec.encode(list(clip), model=str(path), quality=QUALITY, fps=12)
        assert data == alone
        decoded = np.stack(list(dsaecodec.decode(data, model=str(path))))
        assert np.abs(decoded.astype(int) - frames).max() <= 1
        assert sum(vector_files.payload_bytes(data)) == len(data) - 15


def test_psnr_is_a_mean_of_no_pixel_but_all(clips):
    off = clips.copy()
    off[:, 0] ^= 1
    found = vector_files.psnr(clips, off)
    assert found[:, 0] == pytest.approx(10 * np.log10(255**2)) and (found[:, 1:] == 100).all()


def test_gaps_are_filled_as_the_command_fills_them(loaded, path, clips):
    sent = vector_files.infer(loaded.vector, clips[:3], QUALITY)
    gap = range(2, 4)
    here = vector_files.fill(loaded, sent, gap, QUALITY).z
    for number, data in enumerate(vector_files.write(loaded, sent, QUALITY)):
        with dsaecodec.open(data, model=str(path)) as clip:
            there = dsaecodec.open(fill(clip, gap), model=str(path)).gops[0].z_symbols
        assert np.array_equal(here[number].numpy(), there)


def test_the_table_of_long_sequences(path, tmp_path, capsys):
    arguments = ["--balls-models", str(path), "--few", "3", "--longest", "16", "-o", str(tmp_path)]
    assert long_sequence.main([*arguments, "--qualities", "65"]) == 0
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    tasks = [row["task"] for row in rows]
    assert tasks == [*["reconstruction"] * 2, "continuation", *["missing"] * 6]
    lengths = [row for row in rows if row["task"] == "reconstruction"]
    assert [row["frames"] for row in lengths] == ["8", "16"]
    for row in lengths:
        total = sum(float(row[f"{part}_bytes"]) for part in ("content", "dynamics"))
        assert float(row["file_bytes"]) == pytest.approx(total + 15, abs=1e-3)
    assert all(float(row["low"]) <= float(row["psnr_db"]) <= float(row["high"]) for row in rows)
    assert long_sequence.main([*arguments, "--tasks", "continuation"]) == 0
    with open(tmp_path / "rows.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [rows[2]]


def test_balls_where_they_should_be_have_no_errors():
    material = long_sequence.ball_clips(4, 12)
    found = long_sequence.ball_errors(material, material.clips, range(3, 12))
    assert found.lost == 0 and found.energy_error == 0 and found.shape_error == 0
    assert found.position_px is not None and found.position_px < 0.1


def test_balls_elsewhere_have_the_errors_they_have():
    material = long_sequence.ball_clips(4, 12)
    still = np.repeat(material.clips[:, :1], 12, 1)
    found = long_sequence.ball_errors(material, still, range(0, 12))
    assert found.lost == 0 and found.energy_error == pytest.approx(1)
    assert found.position_px is not None and found.position_px > 3
    gone = long_sequence.ball_errors(material, np.zeros_like(material.clips), range(0, 12))
    assert gone.lost == 1 and gone.position_px is None and gone.energy_error is None
