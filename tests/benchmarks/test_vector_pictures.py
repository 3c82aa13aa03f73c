"""Pictures show what files decode to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageSequence

from benchmarks import vector_pictures
from dsaecodec.draw import bouncing_balls
from dsaecodec.generation import swap
from dsaecodec.model_io import save_model
from dsaecodec.vector.model import VectorConfig, VectorModel
from tests.vector.conftest import NARROW


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as picture:
        return [np.asarray(f.convert("RGB")).astype(int) for f in ImageSequence.Iterator(picture)]


def test_every_cell_is_a_decoded_file(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_pictures, "NUM_FRAMES", 24)
    torch.manual_seed(5)
    model = VectorModel(VectorConfig(64, 4, 3, **NARROW))
    with torch.no_grad():
        model.posterior.z[-1].weight.mul_(30)
    model.project_()
    path = tmp_path / "m.safetensors"
    save_model(model, path)
    assert vector_pictures.main(["--balls-model", str(path), "-o", str(tmp_path / "o")]) == 0
    names = {file.stem.removeprefix("balls_") for file in (tmp_path / "o").iterdir()}
    strips = {"continuation_strip", "missing_strip"}
    assert names == {"swap", "samples", "motions", "continuation", "missing"} | strips
    table = frames_of(tmp_path / "o" / "balls_swap.gif")
    clips = [bouncing_balls(24, vector_pictures.SEED * 1000 + i).frames[:16] for i in range(3)]
    assert len(table) == 16 and table[0].shape == (4 * 66, 4 * 66, 3)
    a, b = (vector_pictures._open(clips[i], str(path)) for i in (0, 2))
    mixed = vector_pictures._decode(swap(a, b), str(path))
    for t in (0, 9):
        top, cell = table[t][1:65, 67:131], table[t][67:131, 199:263]
        assert np.abs(top - clips[0][t]).mean() < 12  # a GIF has 256 colours
        assert np.abs(cell - mixed[t]).mean() < 12
