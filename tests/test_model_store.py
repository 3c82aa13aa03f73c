"""Where models are found, what is said of them, and what is refused before PyTorch is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from dsaecodec import model_store
from dsaecodec.errors import ModelError
from dsaecodec.model_io import load_model
from dsaecodec.model_store import SPATIAL, VECTOR, find_model, identity_of, list_models

ROOT = Path(__file__).parents[1]
SHIPPED = model_store.FOLDER / "natural.safetensors"


def model_bytes(data: bytes = b"\0\1\2\3", **metadata: str) -> bytes:
    """A file that has the outside of a model and one small tensor."""
    header = {
        "__metadata__": {"format": SPATIAL} | metadata,
        "x": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders that are searched first."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.setenv("DSAECODEC_MODELS", f"{first}{os.pathsep}{second}")
    return first, second


def entry(path: Path) -> model_store.ModelEntry:
    (found,) = (model for model in list_models() if model.path == path)
    return found


def test_the_shipped_model_is_listed_with_its_pedigree() -> None:
    natural = entry(SHIPPED)
    assert (natural.name, natural.identity) == ("natural", "8fc1f057")
    assert natural.num_bytes == SHIPPED.stat().st_size == 5104688
    assert natural.shipped and natural.problem is None
    sidecar = tomllib.loads(SHIPPED.with_suffix(".toml").read_text())
    assert natural.licence == sidecar["licence"] == "BSD-3-Clause"
    assert natural.description == sidecar["description"]
    assert sidecar["identity"] == natural.identity


def test_every_shipped_model_has_licence_and_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DSAECODEC_MODELS", raising=False)
    for model in list_models():
        assert model.shipped and model.problem is None
        assert "unknown" not in (model.licence, model.description)


def test_the_first_folder_with_a_name_wins(folders: tuple[Path, Path]) -> None:
    first, second = folders
    assert find_model(None) == find_model("natural") == SHIPPED
    later = put(second / "natural.safetensors", model_bytes(b"later"))
    assert find_model(None) == find_model("natural") == later
    sooner = put(first / "natural.safetensors", model_bytes(b"sooner"))
    assert find_model(None) == find_model("natural") == sooner
    assert [m.path for m in list_models() if m.name == "natural"] == [sooner, later, SHIPPED]


def test_every_model_is_found_by_identity(folders: tuple[Path, Path]) -> None:
    first, second = folders
    put(first / "natural.safetensors", model_bytes(b"a"))
    hidden = put(second / "natural.safetensors", model_bytes(b"b"))  # no name leads to it
    for path in (hidden, SHIPPED):
        assert find_model(None, identity_of(path.read_bytes())) == path
    put(first / "copy.safetensors", SHIPPED.read_bytes())
    assert find_model(None, bytes.fromhex("8fc1f057")).read_bytes() == SHIPPED.read_bytes()


def test_a_path_is_not_a_name(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = put(folders[0] / "mine.safetensors", model_bytes(b"named"))
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "mine.safetensors", model_bytes(b"here"))
    put(tmp_path / "plain", model_bytes(b"plain"))
    assert find_model("mine") == named
    assert find_model("mine.safetensors") == Path("mine.safetensors")
    assert find_model("./mine.safetensors") == Path("mine.safetensors")
    assert find_model(str(named)) == named
    assert find_model("plain") == Path("plain")
    for name in ("natural.safetensors", "./natural", "natural/", "..", "a" * 300, "a\0b"):
        with pytest.raises(ModelError, match="no such model"):
            find_model(name)


def test_a_named_model_must_be_the_streams(folders: tuple[Path, Path]) -> None:
    other = put(folders[0] / "other.safetensors", model_bytes())
    assert find_model("natural", bytes.fromhex("8fc1f057")) == SHIPPED
    found = identity_of(other.read_bytes()).hex()
    with pytest.raises(ModelError, match=f"model 8fc1f057, .*other.safetensors is {found}"):
        find_model("other", bytes.fromhex("8fc1f057"))


def test_a_missing_model_is_named_with_those_that_are_here(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = put(folders[1] / "mine.safetensors", model_bytes())
    put(folders[1] / "broken.safetensors", b"")
    monkeypatch.setenv("DSAECODEC_MODELS", f"/nowhere{os.pathsep}{folders[1]}")
    with pytest.raises(ModelError, match="needs the model ab12cd34, which is not here") as caught:
        find_model(None, bytes.fromhex("ab12cd34"))
    hint = caught.value.hint
    assert hint is not None and "natural (8fc1f057)" in hint
    assert f"mine ({identity_of(mine.read_bytes()).hex()})" in hint and "broken" not in hint
    assert "--model" in hint and "$DSAECODEC_MODELS" in hint and "/nowhere" in hint


def test_licence_and_description(folders: tuple[Path, Path]) -> None:
    inside = put(folders[0] / "a.safetensors", model_bytes(licence="CC0-1.0", description="x"))
    assert (entry(inside).licence, entry(inside).description) == ("CC0-1.0", "x")
    sidecar = put(inside.with_suffix(".toml"), b'licence = "MIT"\nother = [1, 2]\n')
    assert (entry(inside).licence, entry(inside).description) == ("MIT", "x")
    bare = put(folders[0] / "b.safetensors", model_bytes())
    assert (entry(bare).licence, entry(bare).description) == ("unknown", "unknown")
    assert not entry(bare).shipped and entry(bare).problem is None
    put(bare.with_suffix(".toml"), b'licence = 3\ndescription = "two\\nlines\\u001b[31m"\n')
    assert (entry(bare).licence, entry(bare).description) == ("unknown", "two lines?[31m")
    for wrong in (b"licence =", b"\xff"):
        put(sidecar, wrong)
        assert "a.toml" in str(entry(inside).problem)
        assert entry(inside).identity == identity_of(inside.read_bytes()).hex()


GOOD = model_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        GOOD[:40],
        GOOD[:-1],
        GOOD + b"\0",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}",
        GOOD.replace(b"spatial-1", b"spatial-9"),
        GOOD.replace(b'"data_offsets"', b'"data_offzets"'),
        GOOD.replace(b"[0, 4]", b'[0,""]'),
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
    ],
)
def test_what_is_no_model_is_listed_as_such(folders: tuple[Path, Path], data: bytes) -> None:
    path = put(folders[0] / "bad.safetensors", data)
    assert entry(path).problem and entry(path).num_bytes == len(data)
    assert entry(path).licence == "unknown"
    assert find_model(None, bytes.fromhex("8fc1f057")) == SHIPPED
    with pytest.raises(ModelError):
        load_model("bad", "cpu")


def test_a_file_too_large_is_not_read(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "large.safetensors"
    with open(path, "wb") as file:
        file.truncate(model_store.MAX_FILE_BYTES + 1)
    assert "at most" in str(entry(path).problem) and entry(path).identity == ""
    with pytest.raises(ModelError, match="at most"):
        find_model("large", b"\0\0\0\0")
    with pytest.raises(ModelError, match="at most"):
        load_model("large", "cpu")


def test_only_files_that_end_in_safetensors_are_models(folders: tuple[Path, Path]) -> None:
    put(folders[0] / "notes.toml", b"")
    put(folders[0] / "checkpoint.pt", GOOD)
    (folders[0] / "folder.safetensors").mkdir()
    assert all(model.shipped for model in list_models())


def test_a_model_of_ones_own_is_loaded_by_name_and_by_identity(folders: tuple[Path, Path]) -> None:
    with safe_open(SHIPPED, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    path = folders[1] / "mine.safetensors"
    save_file(tensors, path, {**metadata, "licence": "CC-BY-4.0"})
    identity = identity_of(path.read_bytes())
    assert identity.hex() != "8fc1f057" and entry(path).licence == "CC-BY-4.0"
    assert load_model("mine", "cpu").identity == identity
    assert load_model(None, "cpu", identity).identity == identity
    with pytest.raises(ModelError):
        load_model("natural", "cpu", identity)


def test_a_missing_model_is_refused_without_loading_anything_heavy() -> None:
    code = """
import sys
from dsaecodec.errors import ModelError
from dsaecodec.model_store import find_model, list_models
assert list_models()
try:
    find_model(None, b"none")
except ModelError:
    print(*(name for name in ("torch", "numpy", "safetensors") if name in sys.modules), "refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["refused"], done.stderr


def test_a_superseded_model_says_what_took_its_place(folders: tuple[Path, Path]) -> None:
    path = put(folders[0] / "a.safetensors", model_bytes())
    assert entry(path).superseded_by == ""
    put(path.with_suffix(".toml"), b'superseded_by = "natural"\n')
    assert entry(path).superseded_by == "natural"


@pytest.mark.parametrize(
    "config, side",
    [
        ('{"size": 64}', 64),
        ('{"size": 1e999}', 0),
        ('{"size": Infinity}', 0),
        ('{"size": -5}', 0),
        ('{"size": "64"}', 0),
        ('{"size": true}', 0),
        ("[]", 0),
        ("[" * 100_000, 0),
    ],
    ids=lambda value: str(value)[:20],
)
def test_sizes_that_strangers_state_are_read_with_care(
    folders: tuple[Path, Path], config: str, side: int
) -> None:
    path = put(folders[0] / "a.safetensors", model_bytes(format=VECTOR, config=config))
    assert entry(path).side == side
