"""The folder of a run: what it is, its checkpoint, its log, and the weights that it makes.

run.json            configuration and paths
checkpoint.pt       weights, optimizer and step: where a run goes on
log.csv, judge.csv  the course of training
before_STAGE.safetensors, symbols_STAGE/     what stages on encoded shots start from
progress.png        curves and pictures
NAME.safetensors    the model; NAME is the folder's
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bitstream import FrequencyTables
from dsaecodec.errors import ConfigError, OutputError
from dsaecodec.model_io import Model, save_model
from dsaecodec.output import staged
from dsaecodec.training.config import ENCODED, TrainConfig, differences

LOG_COLUMNS = (
    "stage step seconds loss distortion bits_content bits_dynamics prediction planes".split()
)
JUDGE_COLUMNS = (
    "stage step seconds quality psnr_db bits_content bits_dynamics bpp loss excess".split()
)


@dataclass(frozen=True)
class RunInfo:
    """What a run is.

    Attributes:
        config: model, data, stages.
        data: paths it learns from.
        judged: paths it is judged by; empty: some of the data are held out.
        init: identity of the model it started from, empty for none.
        fingerprint: of the shots it learns from, see `shots.fingerprint`; empty: not read yet.
    """

    config: TrainConfig
    data: tuple[str, ...]
    judged: tuple[str, ...] = ()
    init: str = ""
    fingerprint: str = ""

    def to_json(self) -> str:
        """As text."""
        table = {"config": self.config.to_table(), "data": self.data, "judged": self.judged}
        table |= {"init": self.init, "fingerprint": self.fingerprint}
        return json.dumps(table, indent=1)

    @classmethod
    def from_json(cls, text: str) -> RunInfo:
        """Inverse of `to_json`.

        Raises:
            ConfigError: it is something else.
        """
        try:
            table = json.loads(text)
            config = TrainConfig.from_table(table["config"])
            data, judged = (tuple(map(str, table[key])) for key in ("data", "judged"))
            return cls(config, data, judged, str(table["init"]), str(table["fingerprint"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"run.json is damaged ({error!r})") from error


class RunFolder:
    """Paths of a run and what is written there; everything appears whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.weights = root / f"{root.resolve().name}.safetensors"
        self.picture = root / "progress.png"
        self._checkpoint = root / "checkpoint.pt"
        self._info = root / "run.json"
        self._log, self._judgements = root / "log.csv", root / "judge.csv"

    @property
    def holds_a_run(self) -> bool:
        """Whether something was trained here."""
        return self._info.exists()

    @property
    def has_checkpoint(self) -> bool:
        """Whether the run has come to its first checkpoint."""
        return self._checkpoint.exists()

    def before(self, stage: str) -> Path:
        """The model that shots are encoded with for a stage."""
        return self.root / f"before_{stage}.safetensors"

    def symbols(self, stage: str) -> Path:
        """The folder of what was encoded for a stage."""
        return self.root / f"symbols_{stage}"

    def check_new(self) -> None:
        """Refuse a folder that holds a run, or remains of one.

        Raises:
            OutputError: it does.
        """
        if self.holds_a_run:
            raise OutputError(
                f"{self.root}: holds a run already",
                hint="--resume goes on with it; or name another folder",
            )
        remains = (make(stage) for stage in ENCODED for make in (self.before, self.symbols))
        for path in (self._checkpoint, *remains, self.weights):
            if path.exists():
                raise OutputError(f"{path}: is there already", hint="name another folder")

    def begin(self, info: RunInfo) -> None:
        """Make the folder of a new run.

        Raises:
            OutputError: there is one already, or it cannot be made.
        """
        self.check_new()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.root}: cannot be made: {error.strerror}") from error
        self.write_info(info)

    def write_info(self, info: RunInfo) -> None:
        """Say what the run is."""
        with staged(self._info, overwrite=True) as part:
            part.write_text(info.to_json() + "\n", encoding="utf-8")

    def read_info(self) -> RunInfo:
        """What the run is.

        Raises:
            ConfigError: there is none, or its file is damaged.
        """
        try:
            text = self._info.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.root}: holds no run to go on with") from error
        return RunInfo.from_json(text)

    def save_checkpoint(self, info: RunInfo, state: dict[str, Any]) -> None:
        """Write where the run is."""
        with staged(self._checkpoint, overwrite=True) as part:
            try:
                torch.save({"config": info.config.to_table(), **state}, part)
            except RuntimeError as error:  # torch's word for a write that failed
                raise OSError(None, str(error).splitlines()[0], str(part)) from error

    def load_checkpoint(self, info: RunInfo) -> dict[str, Any] | None:
        """Where the run was; None if it had not come to its first checkpoint.

        Raises:
            ConfigError: damaged, or of another configuration.
        """
        if not self._checkpoint.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(
                self._checkpoint, weights_only=True, map_location="cpu"
            )
            other = TrainConfig.from_table(state["config"])
        except Exception as error:  # torch raises many kinds on damaged files
            raise ConfigError(f"{self._checkpoint}: not a usable checkpoint ({error})") from error
        changed = differences(other, info.config)
        if changed:
            raise ConfigError(
                f"{self._checkpoint}: of another configuration: {'; '.join(changed)}",
                hint="name another folder, or start from its weights with --init",
            )
        return state

    def save_weights(
        self,
        model: Model,
        info: RunInfo,
        steps: dict[str, int],
        tables: FrequencyTables | None = None,
        path: Path | None = None,
    ) -> bytes:
        """Write the model, what made it inside, to its own place or another; its identity.

        Without tables it has those that one begins with.
        """
        notes = {"description": info.config.description} if info.config.description else {}
        training = {**json.loads(info.to_json()), "steps": steps}
        notes |= {"training": json.dumps(training)}
        return save_model(model, path or self.weights, notes, tables)

    def open_logs(self, done: tuple[str, int] | None, stages: Sequence[str]) -> Logs:
        """Open the logs for more rows; what lies behind the checkpoint is taken out.

        Args:
            done: stage and step of the checkpoint, None for a new run.
            stages: names of all stages in their order.
        """
        return Logs(self._log, self._judgements, done, stages)


class Logs:
    """Two CSV files that grow."""

    def __init__(
        self, log: Path, judgements: Path, done: tuple[str, int] | None, stages: Sequence[str]
    ) -> None:
        self._files = {log: LOG_COLUMNS, judgements: JUDGE_COLUMNS}
        self._log, self._judgements = log, judgements
        for path, columns in self._files.items():
            rows = [r for r in _read(path) if len(r) == len(columns) and _before(r, done, stages)]
            with staged(path, overwrite=True) as part, open(part, "w", newline="") as file:
                csv.writer(file).writerows([columns, *rows])

    def add(self, row: Sequence[object]) -> None:
        """A row of the training itself."""
        _append(self._log, row)

    def add_judgement(self, row: Sequence[object]) -> None:
        """A row of the held-out clips."""
        _append(self._judgements, row)

    def read(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """All rows of both files."""
        return tuple(  # type: ignore[return-value]
            [dict(zip(columns, row, strict=False)) for row in _read(path)]
            for path, columns in self._files.items()
        )


def _before(row: Sequence[str], done: tuple[str, int] | None, stages: Sequence[str]) -> bool:
    if done is None:
        return False
    try:
        place = (stages.index(row[0]), int(row[1]))
    except (ValueError, IndexError):
        return False  # half a row
    return place <= (stages.index(done[0]), done[1])


def _read(path: Path) -> list[list[str]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:]
    except OSError:
        return []


def _append(path: Path, row: Sequence[object]) -> None:
    with open(path, "a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(
            [f"{value:.6g}" if isinstance(value, float) else value for value in row]
        )
        file.flush()
        os.fsync(file.fileno())
