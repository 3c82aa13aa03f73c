"""A small vector model, not trained: what is tested here holds for any weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dsaecodec.model_io import save_model
from dsaecodec.vector.model import VectorConfig, VectorModel

SIZE = 16
NARROW = {"rank": 4, "f_width": 8, "z_width": 8, "hidden": 8}


@pytest.fixture(scope="session")
def vector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with `small` in it."""
    torch.manual_seed(3)
    model = VectorModel(VectorConfig(SIZE, 5, 3, **NARROW))
    with torch.no_grad():
        for parameter in model.dynamics_prior.parameters():
            parameter.mul_(1.5)
        model.posterior.f[-1].weight.mul_(20)
        model.posterior.z[-1].weight.mul_(20)
    model.project_()
    folder = tmp_path_factory.mktemp("models")
    save_model(model, folder / "small.safetensors", {"description": "for tests"})
    return folder


@pytest.fixture
def models(vector_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where models are looked for."""
    monkeypatch.setenv("DSAECODEC_MODELS", str(vector_folder))
    return vector_folder
