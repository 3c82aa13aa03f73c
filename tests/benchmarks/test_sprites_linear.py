"""PCA and WebP on Sprites: what is known of clips that span few dimensions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks import sprites_linear
from benchmarks.rd.codecs.pca import fit_samples

SHEETS = Path(__file__).parents[3] / "shared" / "data" / "sprites"


def clips_of_rank(count: int, rank: int, seed: int) -> np.ndarray:
    """Clips of one 64×64 frame that are sums of a few pictures."""
    pictures = np.random.default_rng(0).integers(0, 2, (rank, 64 * 64 * 3))
    weights = np.random.default_rng(seed).integers(0, 250 // rank, (count, rank))
    return (weights @ pictures).astype(np.uint8)


def test_a_basis_has_no_more_vectors_than_the_clips_span():
    basis = fit_samples(clips_of_rank(50, 4, 1), 20)
    assert len(basis.vectors) == 4
    assert np.allclose(basis.vectors @ basis.vectors.T, np.eye(4), atol=1e-3)


def test_finer_steps_take_more_bytes_and_come_closer():
    basis, new = fit_samples(clips_of_rank(50, 4, 1), 20), clips_of_rank(7, 4, 2)
    found = [sprites_linear._code(basis, new, step) for step in (16.0, 256.0, 4096.0)]
    psnr, sizes = ([float(part.mean()) for part in column] for column in zip(*found, strict=True))
    assert psnr == sorted(psnr, reverse=True) and sizes == sorted(sizes, reverse=True)
    assert psnr[0] > 50 and psnr[2] < 40


@pytest.mark.skipif(not SHEETS.is_dir(), reason="no sheets here")
def test_the_table(tmp_path, capsys):
    arguments = ["--sprites", str(SHEETS), "--train", "360", "--clips", "18", "-o", str(tmp_path)]
    assert sprites_linear.main([*arguments, "--protocols", "aligned,random-phase"]) == 0
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    best = {
        (row["protocol"], row["method"]): float(row["psnr_db"])
        for row in rows
        if float(row["step"]) <= sprites_linear.STEPS[0]
    }
    assert best["aligned", "pca-class"] > best["random-phase", "pca-class"] + 3
    assert all(float(row["low"]) <= float(row["psnr_db"]) <= float(row["high"]) for row in rows)
    one = {row["method"]: int(row["shared_numbers"]) for row in rows}
    assert one["webp-lossless"] == 0 < one["pca"]
