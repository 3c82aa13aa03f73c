"""Configuration: what is read is what was written, and what makes no sense is named."""

from __future__ import annotations

import math
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsaecodec.errors import ConfigError
from dsaecodec.training.config import (
    PRESETS,
    TrainConfig,
    differences,
    load_config,
    preset_names,
)

DEFAULT = TrainConfig()
OWN = """
learning_rate = 1
[clips]
steps = 10
size = 64
[fine_tune]
learning_rate = 2
[fine_tune.clips]
steps = 20
"""


def keys(config: Any = DEFAULT, prefix: str = "") -> list[tuple[str, type]]:
    """All dotted keys and the types of their values."""
    found = []
    for each in fields(config):
        value = getattr(config, each.name)
        if is_dataclass(value):
            found += keys(value, f"{prefix}{each.name}.")
        else:
            found.append((prefix + each.name, type(value)))
    return found


def value_of(config: TrainConfig, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def table_of(key: str, value: object) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return str(path)


@pytest.mark.parametrize("fine_tune", [False, True])
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads_and_comes_back_from_its_table(name: str, fine_tune: bool) -> None:
    config = load_config(name, fine_tune=fine_tune)
    assert config.description
    assert TrainConfig.from_table(config.to_table()) == config
    if fine_tune:
        table = tomllib.loads((PRESETS / f"{name}.toml").read_text()).get("fine_tune", {})
        assert config.content.steps == table["content"]["steps"] if table else True


def test_presets_are_shipped() -> None:
    assert {"natural", "sprites", "balls", "tiny"} <= set(preset_names())
    tuned = load_config("natural", fine_tune=True)
    assert tuned.clips.steps < load_config("natural", fine_tune=False).clips.steps


WORDS = {
    "vector.products": "things",
    "vector.detail": "0" + 63 * "3",
    "data.drawn": "balls",
    "precision": "float32",
    "compile": "never",
    "family": "vector",
    "vector.dynamics": "static",
}


FLAGS = {
    "vector.full_posterior",
    *(f"model.{name}" for name in ("kinematic", "predicted", "softened", "discerning")),
    "model.contextual",
    "model.precise",
}


@given(st.sampled_from(keys()), st.sampled_from([32, 48, 64]))
def test_every_key_is_read(key: tuple[str, type], number: int) -> None:
    """From a table and by an override, it and nothing else is changed."""
    name, kind = key
    old = value_of(DEFAULT, name)
    if kind is str:
        new = WORDS.get(name, "abc")
    elif kind is float:
        new = old / 2 + 0.25
    else:
        new = 1 if name in FLAGS else number
    changed = TrainConfig.from_table(table_of(name, new))
    assert value_of(changed, name) == new and type(value_of(changed, name)) is kind
    assert changed == load_one(f"{name}={new}")
    assert differences(DEFAULT, changed) == ([f"{name}: {old}, {new}"] if old != new else [])
    assert TrainConfig.from_table(changed.to_table()) == changed


def load_one(*overrides: str) -> TrainConfig:
    """The defaults with overrides, by an empty file."""
    return load_config("/dev/null", fine_tune=False, overrides=overrides)


def test_differences_name_exactly_what_differs() -> None:
    other = replace(DEFAULT, seed=9, clips=replace(DEFAULT.clips, steps=5, synthetic=0.5))
    assert differences(DEFAULT, DEFAULT) == []
    expected = ["seed: 1, 9", "clips.steps: 6000, 5", "clips.synthetic: 0.0, 0.5"]
    assert differences(DEFAULT, other) == expected


@pytest.mark.parametrize("key", ["nonsense", "clips.nonsense", "data.steps", "model.channels"])
def test_unknown_keys_are_named(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}: no such key") as caught:
        TrainConfig.from_table(table_of(key, 1))
    siblings = [name for name, _ in keys() if name.rpartition(".")[0] == key.rpartition(".")[0]]
    assert all(name in (caught.value.hint or "") for name in siblings)


@pytest.mark.parametrize(("key", "kind"), keys())
def test_wrong_types_are_named(key: str, kind: type) -> None:
    wrong: list[object] = [True, None, [1], {"a": 1}]
    wrong += {str: [1, 1.5], int: ["1", 1.5], float: ["1.5"]}[kind]
    for value in wrong:
        with pytest.raises(ConfigError, match=rf"^{key} = .*: expected {kind.__name__}$"):
            TrainConfig.from_table(table_of(key, value))


def test_a_whole_number_is_a_float_too() -> None:
    config = TrainConfig.from_table({"learning_rate": 1})
    assert config.learning_rate == 1 and type(config.learning_rate) is float


@pytest.mark.parametrize(("key", "kind"), [pair for pair in keys() if pair[1] is not str])
def test_numbers_out_of_range_are_named(key: str, kind: type) -> None:
    wrong: list[float] = [-1, 10**13]
    if kind is float:
        wrong += [math.nan, math.inf, -math.inf, -1e-9]
    for value in wrong:
        with pytest.raises(ConfigError, match=rf"^{key} = "):
            TrainConfig.from_table(table_of(key, value))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("content.size", 40, "multiple of 16"),
        ("clips.size", 100, "multiple of 16"),
        ("content.size", 0, "16 or more"),
        ("clips.num_frames", 2, "3 or more"),
        ("clips.synthetic", 1.01, "0 to 1"),
        ("data.held_out", 1, "2 or more"),
        ("data.drawn", "cats", "characters, balls, layers"),
        ("precision", "float16", "auto, float32, bfloat16"),
        ("compile", "yes", "auto, always, never"),
        ("model.residual_luma", 257, "at most 256"),
        ("model.hyper_channels", 0, "1 or more"),
        ("model.contextual", 2, "at most 1"),
    ],
)
def test_values_that_make_no_sense_are_named(key: str, value: object, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} = .*{told}"):
        TrainConfig.from_table(table_of(key, value))


@pytest.mark.parametrize("value", [3, [1], "x", None])
def test_no_table(value: object) -> None:
    with pytest.raises(ConfigError, match="clips: expected a table"):
        TrainConfig.from_table({"clips": value})
    with pytest.raises(ConfigError, match="configuration: expected a table"):
        TrainConfig.from_table(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("seed=5", "seed", 5),
        (" seed = 5 ", "seed", 5),
        ("seed=0x10", "seed", 16),
        ("learning_rate=1e-3", "learning_rate", 1e-3),
        ("learning_rate=1", "learning_rate", 1.0),
        ("data.drawn=balls", "data.drawn", "balls"),
        ('data.drawn="balls"', "data.drawn", "balls"),
        ("data.drawn=", "data.drawn", ""),
        ("description=two words", "description", "two words"),
        ("description=a=b", "description", "a=b"),
        ("description='1'", "description", "1"),
        ("description=a\nseed=9", "description", "a\nseed=9"),
        ("clips={steps=7}", "clips.steps", 7),
    ],
)
def test_overrides_are_read(override: str, key: str, value: object) -> None:
    changed = load_one(override)
    assert value_of(changed, key) == value
    assert {line.partition(":")[0] for line in differences(DEFAULT, changed)} <= {key}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed", "expected key=value"),
        ("", "expected key=value"),
        ("=3", "expected key=value"),
        ("clips.=3", "expected key=value"),
        (".steps=3", "expected key=value"),
        ("clips..steps=3", "expected key=value"),
        ("clips=3", "clips: expected a table"),
        ("clips.steps=", "clips.steps = ''"),
        ("clips.steps=many", "clips.steps = 'many'"),
        ("clips.steps=1.5", "clips.steps = 1.5"),
        ("clips.steps=true", "clips.steps = True"),
        ("clips.steps.more=1", "clips.steps = {"),
        ("clips.steps=1\nseed=2", "clips.steps = '1"),
        ("seed.x=2020-01-01", "seed = {"),
        ("seed=2020-01-01", "seed = datetime"),
        ("learning_rate=nan", "learning_rate = nan"),
        ("learning_rate=inf", "learning_rate = inf"),
        ("Clips.steps=1", "Clips: no such key"),
        ("fine_tune.clips.steps=1", "fine_tune: no such key"),
        ("seed=" + "[" * 5000, "seed = "),
        ("seed=" + "9" * 5000, "seed = "),
    ],
)
def test_overrides_that_make_no_sense_are_named(override: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_one(override)
    assert told in str(caught.value)


def test_what_wins(own: str) -> None:
    """--set before [fine_tune], that before the rest, the last --set before the first."""
    plain, tuned = (load_config(own, fine_tune=flag) for flag in (False, True))
    assert (plain.learning_rate, plain.clips.steps, plain.clips.size) == (1, 10, 64)
    assert (tuned.learning_rate, tuned.clips.steps, tuned.clips.size) == (2, 20, 64)
    overrides = ["clips.steps=30", "seed=4", "clips.steps=40"]
    both = load_config(own, fine_tune=True, overrides=overrides)
    assert (both.learning_rate, both.clips.steps, both.clips.size, both.seed) == (2, 40, 64, 4)
    assert plain.content == DEFAULT.content


def test_a_preset_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    for name in ("cats", str(tmp_path), str(tmp_path / "cats.toml")):
        with pytest.raises(ConfigError) as caught:
            load_config(name, fine_tune=False)
        assert name in str(caught.value) and "natural" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "data",
    [b"steps", b"[clips\n", b"seed = 1\nseed = 2", b"\xff\xfe", b"seed = " + b"[" * 5000],
)
def test_a_file_that_is_no_toml_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"own\.toml: cannot be read as TOML"):
        load_config(str(path), fine_tune=False)


def test_fine_tune_must_be_a_table(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("fine_tune = 3")
    with pytest.raises(ConfigError, match="fine_tune is no table"):
        load_config(str(path), fine_tune=False)
