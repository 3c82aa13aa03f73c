"""Model files from strangers: refused in one line, or harmless."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import bitstream
import dsaecodec
from dsaecodec import model_store
from dsaecodec.cli import main
from dsaecodec.draw import moving_layers
from dsaecodec.errors import ModelError
from dsaecodec.model_io import load_model
from dsaecodec.model_store import FOLDER, SPATIAL, VECTOR, identity_of

FRAMES = list(moving_layers(3, 64, 64, seed=1))


def tensors_of(name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(FOLDER / f"{name}.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def raw(header: dict[str, Any], data: bytes = b"", padding: int = 0) -> bytes:
    text = json.dumps(header).encode() + b" " * padding
    return len(text).to_bytes(8, "little") + text + data


def metadata(form: str, **config: object) -> dict[str, dict[str, str]]:
    return {"__metadata__": {"format": form, "config": json.dumps(config)}}


HUGE = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
FILES = {
    "a header of 2^63 bytes": (2**63).to_bytes(8, "little") + b"{}",
    "a long header": raw(metadata(SPATIAL), padding=2**20),
    "nested lists": (2 * 10**5).to_bytes(8, "little") + b"[" * 10**5 + b"]" * 10**5,
    "a huge number": raw(metadata(SPATIAL)).replace(b"{}", b"9" * 2),
    "a tensor beyond the end": raw({**metadata(SPATIAL), "x": HUGE}, bytes(8)),
    "offsets that are no numbers": raw(
        {**metadata(SPATIAL), "x": {**HUGE, "data_offsets": [0, "8"]}}, bytes(8)
    ),
    "negative offsets": raw({**metadata(SPATIAL), "x": {**HUGE, "data_offsets": [0, -8]}}),
    "no tensors": raw(metadata(SPATIAL)),
    "the largest vector model": raw(
        metadata(VECTOR, size=256, f_channels=256, z_channels=64, rank=80, f_width=1024)
    ),
    "a size of half a block": raw(metadata(VECTOR, size=4)),
    "a number as a word": raw(metadata(VECTOR, products=3)),
    "a setting nobody knows": raw(metadata(SPATIAL, run="rm -rf")),
    "a config that is a list": raw({"__metadata__": {"format": SPATIAL, "config": "[1]"}}),
    "no config": raw({"__metadata__": {"format": SPATIAL}}),
    "metadata that are a list": raw({"__metadata__": [SPATIAL]}),
    "a pickle": b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.",
    "a zip, as torch.save writes": b"PK\x03\x04" + bytes(60),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_refused_before_memory_is_taken(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(FILES[name])
    load_model("balls", "cpu")  # what is imported is not counted
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=r"bad.safetensors: not a usable model file"):
            load_model(str(path), "cpu")
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def test_nothing_large_is_made_of_a_config_alone(tmp_path: Path) -> None:
    """Tables are right, but the weights that the config speaks of are not in the file."""
    tensors, _ = tensors_of("balls")
    tables = {key: value for key, value in tensors.items() if key.startswith("tables.")}
    path = tmp_path / "bad.safetensors"
    for rank, message in ((40, "tensors differ"), (1024, "too large")):
        config = {"size": 256, "f_channels": 256, "z_channels": 64, "rank": rank}
        save_file(tables, path, metadata(VECTOR, **config)["__metadata__"])
        with pytest.raises(ModelError, match=message):
            load_model(str(path), "cpu")


OVERFLOWING = [
    ("natural", "content_posterior.transform.weight"),
    ("natural", "content_synthesis.leave.bias"),
    ("natural", "dynamics_posterior.fix.4.weight"),
    ("natural", "frame_synthesis.refine_leave.weight"),
    ("natural", "z_step"),
    ("balls", "synthesis.bias"),
    ("balls", "posterior.local"),
]


@pytest.mark.parametrize(("model", "tensor"), OVERFLOWING)
def test_weights_that_overflow_make_noise_and_no_crash(
    model: str, tensor: str, tmp_path: Path
) -> None:
    data = dsaecodec.encode(FRAMES, model=model, threads=1)
    tensors, facts = tensors_of(model)
    path = tmp_path / "bad.safetensors"
    for sign in (1, -1):
        largest = torch.finfo(tensors[tensor].dtype).max
        tensors[tensor] = torch.full_like(tensors[tensor], sign * largest)
        save_file(tensors, path, facts)
        header, gops = bitstream.split(data)
        changed = bitstream.join(replace(header, model=identity_of(path.read_bytes())), gops)
        shown = list(dsaecodec.decode(changed, model=str(path), threads=1))
        assert [frame.shape for frame in shown] == 3 * [(64, 64, 3)]
        for preset in ("fast", "medium", "slow"):
            try:
                coded = dsaecodec.encode(FRAMES, model=str(path), threads=1, preset=preset)
            except ModelError as error:
                assert "overflow" in str(error)
            else:
                assert len(list(dsaecodec.decode(coded, model=str(path), threads=1))) == 3


@pytest.mark.parametrize("change", [lambda f: f * 0, lambda f: f - 1, lambda f: f.flip(0), None])
def test_tables_that_are_none(change: Callable[[Tensor], Tensor] | None, tmp_path: Path) -> None:
    tensors, facts = tensors_of("balls")
    if change is None:
        tensors["tables.half_widths"] = torch.full((160,), 4096, dtype=torch.int32)
    else:
        tensors["tables.frequencies"] = change(tensors["tables.frequencies"]).contiguous()
    path = tmp_path / "bad.safetensors"
    save_file(tensors, path, facts)
    with pytest.raises(ModelError, match="not a usable model file"):
        load_model(str(path), "cpu")


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched, full of what strangers might put there."""
    folder = tmp_path / "crowd"
    folder.mkdir()
    for number, data in enumerate(FILES.values()):
        (folder / f"bad{number}.safetensors").write_bytes(data)
    tensors, facts = tensors_of("balls")
    tensors["posterior.f.0.weight"] = torch.full_like(tensors["posterior.f.0.weight"], 65504)
    save_file(tensors, folder / "overflow.safetensors", facts)
    (folder / "bad2.toml").write_text("a = " + "[" * 20_000)
    os.mkfifo(folder / "pipe.safetensors")
    os.mkfifo(folder / "bad0.toml")
    (folder / "zero.safetensors").symlink_to("/dev/zero")
    (folder / "circle.safetensors").symlink_to("circle.safetensors")
    (folder / "folder.safetensors").mkdir()
    (folder / "bad1.toml").write_bytes(b"#" * 2**17)
    with open(folder / "large.safetensors", "wb") as file:
        file.truncate(2**40)
    monkeypatch.setenv("DSAECODEC_MODELS", str(folder))
    return folder


def test_a_crowd_of_strangers_breaks_no_command(
    crowd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--json"]) == 0
    listed = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert listed["natural"]["problem"] is None and listed["bad0"]["problem"]
    assert {"pipe", "zero", "circle", "folder"}.isdisjoint(listed)
    clip = tmp_path / "clip.dsz"
    clip.write_bytes(dsaecodec.encode(FRAMES, threads=1))
    video = str(tmp_path / "clip.mkv")
    assert main(["decode", str(clip), "-o", video, "--threads", "1"]) == 0
    assert main(["encode", video, "-y", "-o", str(clip), "--threads", "1"]) == 0, "64x64: all tried"
    assert main(["info", str(clip)]) == 0 and main(["verify", str(clip), "--threads", "1"]) == 0
    capsys.readouterr()
    assert main(["decode", str(clip), "-o", "x.mkv", "--model", "large"]) == 5
    assert "at most" in capsys.readouterr().err


def test_a_file_that_grows_is_not_read_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "grows.safetensors"
    path.write_bytes(bytes(1000))
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result([0] * 10))
    assert model_store.read_model_file(path) == b""


def test_training_starts_from_model_files_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint is read by PyTorch's own unpickler, which is for one's own runs only."""
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": {"x": torch.zeros(1)}}, path)
    run = ["train", "--preset", "tiny", "--init", str(path), "-o", str(tmp_path / "run")]
    assert main(run) == 5
    error, hint = capsys.readouterr().err.splitlines()
    assert "checkpoint.pt" in error and ".safetensors" in hint
    assert not (tmp_path / "run").exists()
