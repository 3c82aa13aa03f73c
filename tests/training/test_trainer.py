"""The loop: it learns, stops, and goes on as if it had not stopped."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dsaecodec.errors import ConfigError, OutputError
from dsaecodec.exact import check_bound
from dsaecodec.model_io import load_model
from dsaecodec.tables import build_tables
from dsaecodec.training import trainer as trainer_module
from dsaecodec.training.config import HyperConfig, PlanesConfig, PriorsConfig, TrainConfig
from dsaecodec.training.folder import RunFolder, RunInfo
from dsaecodec.training.judge import Judgement, warnings_of
from dsaecodec.training.trainer import Progress, Trainer

Begin = Callable[..., Trainer]
WITHOUT_ENCODING = {
    "planes": PlanesConfig(steps=0),
    "hyper": HyperConfig(steps=0),
    "priors": PriorsConfig(steps=0),
}


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    return load_model(str(path), "cpu").model.state_dict()


def columns(path: Path, *, without: str = "seconds") -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k != without} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny, drawn_shots) -> Path:
    """A run without a stop, its log in every step."""
    root = tmp_path_factory.mktemp("runs") / "whole"
    folder, info = RunFolder(root), RunInfo(tiny, ("here",))
    folder.begin(info)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "LOG_STEPS", 2)
        one = Trainer(info, folder, drawn_shots[:4], drawn_shots[4:], make_team())
        assert one.run().finished
    return root


def make_team():
    from tests.training.conftest import CPU

    return CPU


class StopAfter:
    """Asks a run to stop after some steps, as a signal would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def test_a_run_in_pieces_equals_one_without_a_stop(
    whole, tiny, begin: Begin, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer_module, "LOG_STEPS", 2)
    root = tmp_path / "whole"
    for _ in range(20):
        if begin(root, tiny)._run_stages(StopAfter(1)):
            break
    last = begin(root, tiny)
    assert last.run().steps == {"content": 3, "clips": 3, "planes": 2, "hyper": 2, "priors": 2}
    assert columns(root / "log.csv") == columns(whole / "log.csv")
    one, other = (read_weights(path / "whole.safetensors") for path in (root, whole))
    assert all(torch.equal(one[name], other[name]) for name in other)
    tables = [json.loads(path.joinpath("run.json").read_text()) for path in (root, whole)]
    assert tables[0] == tables[1]


def test_a_killed_run_goes_back_to_its_checkpoint(whole, tiny, begin: Begin, tmp_path, monkeypatch):
    """Steps behind the checkpoint are lost, their rows in the log too, and are done again."""
    monkeypatch.setattr(trainer_module, "LOG_STEPS", 1)
    root = tmp_path / "whole"
    begin(root, tiny)._run_stages(StopAfter(2))
    checkpoint = (root / "checkpoint.pt").read_bytes()
    begin(root, tiny)._run_stages(StopAfter(3))
    assert [row["step"] for row in columns(root / "log.csv")] == ["1", "2", "3", "1", "2"]
    (root / "checkpoint.pt").write_bytes(checkpoint)
    with open(root / "log.csv", "a") as file:
        file.write("clips,3,1.0,0.")  # the kill came inside a row
    monkeypatch.setattr(trainer_module, "LOG_STEPS", 2)
    again = begin(root, tiny)
    assert again.done == {"content": 2, "clips": 0, "planes": 0, "hyper": 0, "priors": 0}
    assert again.run().finished
    one, other = (read_weights(path / "whole.safetensors") for path in (root, whole))
    assert all(torch.equal(one[name], other[name]) for name in other)
    steps = [(row["stage"], row["step"]) for row in columns(root / "log.csv")]
    assert steps == sorted(set(steps), key=steps.index)
    last = [("planes", "2"), ("hyper", "2"), ("priors", "2")]
    assert steps[2:] == [("content", "3"), ("clips", "2"), ("clips", "3"), *last]


def test_the_model_says_what_made_it(whole, tiny):
    loaded = load_model(str(whole / "whole.safetensors"))
    check_bound(loaded.model)
    data = (whole / "whole.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    training = json.loads(header["__metadata__"]["training"])
    assert TrainConfig.from_table(training["config"]) == tiny
    assert training["steps"] == {"content": 3, "clips": 3, "planes": 2, "hyper": 2, "priors": 2}
    assert training["data"] == ["here"]


def test_a_run_ends_with_fitted_tables_and_keeps_them(whole, tiny, begin: Begin, tmp_path):
    """A finished run that is gone on with does nothing anew, its symbols are not needed."""
    weights = RunFolder(whole).weights
    tables, first = load_model(str(weights), "cpu").tables, build_tables()
    assert np.array_equal(tables.half_widths, first.half_widths)
    assert not np.array_equal(tables.freqs, first.freqs)
    root = tmp_path / whole.name
    shutil.copytree(whole, root, ignore=shutil.ignore_patterns("symbols*"))
    outcome = begin(root, tiny).run()
    assert outcome.finished and not list(root.glob("symbols*"))
    assert RunFolder(root).weights.read_bytes() == weights.read_bytes()


def test_each_stage_moves_what_it_should(whole, tiny, begin: Begin, tmp_path):
    """The clips move every part, the last ones the filter of contents, the hyperprior, priors."""
    start = begin(tmp_path / "a", replace(tiny, content=replace(tiny.content, steps=0)))
    before = {k: v.clone() for k, v in start.model.state_dict().items()}
    assert start._run_stages(StopAfter(3)) is False
    after = start.model.state_dict()
    moved = {k.split(".")[0] for k in after if not after[k].equal(before[k])}
    assert moved == {k.split(".")[0] for k in before}
    names = [f"before_{stage}.safetensors" for stage in ("planes", "hyper", "priors")]
    names.append("whole.safetensors")
    weights = [read_weights(whole / name) for name in names]
    moved = [
        {k for k in one if not one[k].equal(other[k])}
        for one, other in zip(weights, weights[1:], strict=False)
    ]
    assert {k.split(".")[0] for k in moved[0]} == {"content_synthesis"}
    assert not any("transform" in k for k in moved[0])
    parts = {k.split(".")[0] for k in moved[1]}
    assert parts - {"motion_prior"} == {"content_posterior", "content_prior"}
    assert all(".hyper." in k for k in moved[1] if k.startswith("content_posterior"))
    assert {k.split(".")[0] for k in moved[2]} >= {"content_prior", "dynamics_prior"}
    assert all(k.split("_")[1].startswith("prior") for k in moved[2])


def test_a_short_training_lowers_the_loss(tiny, begin: Begin, tmp_path):
    """Judged on clips it has not seen."""
    clips = replace(tiny.clips, steps=30)
    nothing = replace(tiny.content, steps=0)
    config = replace(tiny, content=nothing, clips=clips, learning_rate=1e-3, **WITHOUT_ENCODING)
    run = begin(tmp_path / "run", config)
    assert run.run().finished
    check_bound(run.model)
    rows = columns(tmp_path / "run" / "judge.csv")
    for quality in ("20", "45", "70"):
        losses = [float(row["loss"]) for row in rows if row["quality"] == quality]
        assert losses[-1] < 0.95 * losses[0]


def test_starting_from_weights_starts_there(whole, tiny, begin: Begin, tmp_path):
    weights = read_weights(whole / "whole.safetensors")
    run = begin(tmp_path / "new", tiny, weights=weights)
    assert all(torch.equal(v, weights[k]) for k, v in run.model.state_dict().items())
    other = replace(tiny, model=replace(tiny.model, residual_luma=32))
    with pytest.raises(ConfigError, match="another shape"):
        begin(tmp_path / "other", other, weights=weights)


def test_a_checkpoint_of_another_configuration_is_refused(whole, tiny, begin: Begin):
    with pytest.raises(ConfigError, match=r"seed: 7, 8"):
        begin(whole, replace(tiny, seed=8))


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_refused(whole, tiny, begin: Begin, tmp_path, damage):
    root = tmp_path / "whole"
    root.mkdir()
    (root / "run.json").write_bytes((whole / "run.json").read_bytes())
    data = (whole / "checkpoint.pt").read_bytes()
    (root / "checkpoint.pt").write_bytes(data[: len(data) // 2] if damage is None else damage)
    with pytest.raises(ConfigError, match="not a usable checkpoint"):
        begin(root, tiny)


def test_a_folder_holds_one_run(whole, tiny):
    with pytest.raises(OutputError, match="holds a run already"):
        RunFolder(whole).begin(RunInfo(tiny, ()))
    with pytest.raises(ConfigError, match="no run"):
        RunFolder(whole / "symbols").read_info()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_a_whole_step(tiny, begin: Begin, tmp_path, number):
    """What Ctrl-C interrupts is saved, and goes on from there."""

    def press(progress: Progress) -> None:
        os.kill(os.getpid(), number)

    class EndedError(Exception):
        pass

    def end(number: int, frame: object) -> None:
        raise EndedError

    before = signal.signal(number, end)
    try:
        with pytest.raises(EndedError):
            begin(tmp_path / "run", tiny, show=press).run()
    finally:
        signal.signal(number, before)
    again = begin(tmp_path / "run", tiny)
    assert again.done == {"content": 3, "clips": 1, "planes": 0, "hyper": 0, "priors": 0}
    load_model(str(tmp_path / "run" / "run.safetensors"))


def test_time_is_limited(tiny, begin: Begin, tmp_path):
    run = begin(tmp_path / "run", tiny)
    outcome = run.run(max_minutes=1e-9)
    later = ("clips", "planes", "hyper", "priors")
    assert not outcome.finished and outcome.steps == {"content": 1} | dict.fromkeys(later, 0)


def test_a_full_disk_ends_in_one_line_and_leaves_the_checkpoint(
    tiny, begin: Begin, tmp_path, monkeypatch
):
    root = tmp_path / "run"
    begin(root, tiny)._run_stages(StopAfter(1))
    before = (root / "checkpoint.pt").read_bytes()
    run = begin(root, tiny)

    def fail(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OutputError, match="cannot be written"):
        run._run_stages(StopAfter(1))
    assert (root / "checkpoint.pt").read_bytes() == before
    assert not list(root.glob("*.part*")) and not list(root.glob(".*"))


def test_bfloat16_changes_little(tiny, begin: Begin, tmp_path):
    """The exact part and the transforms stay as they are: only the float networks are narrow."""
    losses = []
    for precision in ("float32", "bfloat16"):
        config = replace(tiny, precision=precision, **WITHOUT_ENCODING)
        seen: list[float] = []
        run = begin(tmp_path / precision, config, show=lambda p, s=seen: s.append(p.terms[0]))
        run.run()
        losses.append(seen)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_warnings_say_when_f_collapses_and_when_the_estimate_is_off():
    fine = Judgement(70, 35.0, 0.5, 0.1, 0.2, 1.0)
    assert warnings_of([fine], 0.0) == []
    assert "collapsed" in warnings_of([replace(fine, bits_content=0.0005)], None)[0]
    assert "+10.0%" in warnings_of([fine], 0.1)[0]


@pytest.mark.slow
def test_compiled_networks_train_alike(tiny, begin: Begin, tmp_path):
    """The state keeps its names, so that a run can go on without them."""
    losses = []
    for choice in ("never", "always"):
        config = replace(tiny, compile=choice, **WITHOUT_ENCODING)
        seen: list[float] = []
        run = begin(tmp_path / choice, config, show=lambda p, s=seen: s.append(p.terms[0]))
        run.run()
        losses.append(seen)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    load_model(str(tmp_path / "always" / "always.safetensors"))


def test_a_row_that_was_cut_short_is_taken_out(tiny, begin: Begin, tmp_path):
    root = tmp_path / "run"
    begin(root, tiny)._run_stages(StopAfter(2))
    with open(root / "log.csv", "a") as file:
        file.write("content,1")
    begin(root, tiny)._run_stages(StopAfter(1))
    assert [row["step"] for row in columns(root / "log.csv")] == ["3"]


@pytest.mark.parametrize("name", ["checkpoint.pt", "before_priors.safetensors", "run.safetensors"])
def test_remains_of_a_run_are_not_built_on(tiny, tmp_path, name):
    root = tmp_path / "run"
    root.mkdir()
    (root / name).touch()
    with pytest.raises(OutputError, match=f"{name}: is there already"):
        RunFolder(root).begin(RunInfo(tiny, ()))
