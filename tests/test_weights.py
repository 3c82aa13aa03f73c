"""Shipped weights have a pedigree; weights from strangers are checked before use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dsaecodec.errors import ModelError
from dsaecodec.exact import exact_layers
from dsaecodec.model_io import load_model, save_model
from dsaecodec.model_store import FOLDER, find_model, identity_of
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.tables import build_tables
from dsaecodec.training.config import load_config

ROOT = Path(__file__).parents[1]


def test_every_shipped_file_is_described():
    text = (ROOT / "WEIGHTS.md").read_text()
    files = sorted(FOLDER.glob("*.safetensors"))
    assert files
    for file in files:
        data = file.read_bytes()
        assert file.name in text and identity_of(data).hex() in text and f"{len(data):,}" in text
        assert len(data) <= 13_000_000
        assert file.with_suffix(".log.csv").is_file()


def test_saving_what_was_loaded_gives_the_same_file(tmp_path):
    """Of the newest model: older files do not state all of its configuration."""
    path, source = tmp_path / "again.safetensors", find_model(None)
    data = source.read_bytes()
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]  # the library forgets its order
    notes = {key: metadata[key] for key in metadata if key not in ("format", "config")}
    loaded = load_model(None, "cpu")
    identity = save_model(loaded.model, path, notes, loaded.tables)
    with safe_open(source, "pt") as old, safe_open(path, "pt") as new:
        assert old.metadata() == new.metadata() and list(old.keys()) == list(new.keys())
        for key in old.keys():  # noqa: SIM118
            a, b = old.get_tensor(key), new.get_tensor(key)
            assert a.dtype == b.dtype and a.equal(b), key
    assert identity == load_model(str(path), "cpu").identity == loaded.identity


@pytest.mark.parametrize("name", ["natural-1", "natural-2", "natural-3"])
def test_tables_of_older_models_are_those_that_one_begins_with(name):
    """Up to one in 2^24: NumPy's exponential differs between versions."""
    found, expected = load_model(name, "cpu").tables, build_tables()
    assert np.array_equal(found.half_widths, expected.half_widths)
    assert np.abs(found.freqs - expected.freqs).max() <= 1


def test_shipped_weights_can_be_trained_on():
    state = load_model(None, "cpu").model.state_dict()
    model = SpatialModel(load_config("natural", fine_tune=False).model)
    model.load_state_dict(state)
    again = load_model(device="cpu").model.state_dict()
    assert all(value.equal(again[name].float()) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["natural", "natural-8", "sprites"])
def test_what_is_exact_comes_back_to_the_cpu(name, monkeypatch):
    """Whatever the device is: the last that is said of it."""
    moved, move = [], torch.nn.Module.to

    def spy(module, device):
        moved.append((module, str(device)))
        return move(module, device)

    monkeypatch.setattr(torch.nn.Module, "to", spy)
    model = load_model(name, "cpu").model
    assert moved[0][0] is model
    back = [module for module, device in moved[1:] if device == "cpu"]
    exact = [part for part in model.children() if exact_layers(part)]
    assert len(exact) >= 2 and len(back) == len(exact)
    assert all(one is other for one, other in zip(back, exact, strict=True))


def changed(path: Path, name: str, change) -> Path:
    source = find_model(None)
    with safe_open(source, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    tensors[name] = change(tensors[name])
    save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize(
    "name, change",
    [
        ("content_prior.mix.weight", lambda t: t + 4000),  # breaks the exactness bound
        ("content_prior.mix.weight", lambda t: t.float()),
        ("content_prior.mix.weight", lambda t: t[:, :-1].contiguous()),
        ("content_prior.mix.bias", lambda t: t * 0 + 2**30),
        ("dynamics_prior.head.bias", lambda t: t * 0 - 2**31),
        ("f_step", lambda t: t * float("nan")),
        ("frame_synthesis.transform.weight", lambda t: t.double()),
        ("tables.frequencies", lambda t: t * 0 + 1),
        ("tables.half_widths", lambda t: t + 1),
    ],
)
def test_hostile_weights_are_refused(tmp_path, name, change):
    path = changed(tmp_path / "bad.safetensors", name, change)
    with pytest.raises(ModelError, match="not a usable model file"):
        load_model(str(path), "cpu")


@pytest.mark.parametrize(
    "config", ['{"residual_luma": 257}', '{"hyper_channels": true}', '{"x": 1}', "[" * 200_000]
)
def test_hostile_configurations_are_refused(tmp_path, config):
    path = tmp_path / "bad.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"format": "dsaecodec-spatial-1", "config": config})
    with pytest.raises(ModelError, match="not a usable model file"):
        load_model(str(path), "cpu")


def test_a_stream_finds_its_model_by_identity():
    shipped = find_model(None)
    assert find_model(None, identity_of(shipped.read_bytes())) == shipped
    with pytest.raises(ModelError, match="no such model"):
        find_model("a" * 300)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "bad.safetensors"
    whole = find_model(None).read_bytes()
    for data in (b"", b"hello", whole[:1000], whole[:-1], b"\xff" * 64):
        path.write_bytes(data)
        with pytest.raises(ModelError):
            load_model(str(path), "cpu")
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="format"):
        load_model(str(path), "cpu")
    with pytest.raises(ModelError, match="no such model"):
        load_model("nowhere")
