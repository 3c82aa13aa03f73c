"""A run small enough to be done many times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dsaecodec.training.config import TrainConfig
from dsaecodec.training.drawn import draw_shots
from dsaecodec.training.folder import RunFolder, RunInfo
from dsaecodec.training.shots import Shot
from dsaecodec.training.team import Team
from dsaecodec.training.trainer import Trainer

TABLE = {
    "seed": 7,
    "judge_minutes": 1000,
    "model": {
        "kinematic": 1,
        "predicted": 1,
        "softened": 1,
        "discerning": 1,
        "contextual": 1,
        "precise": 1,
    },
    "data": {"drawn": "layers", "num_drawn": 5, "drawn_frames": 6},
    "content": {"steps": 3, "batch": 2, "size": 64},
    "clips": {"steps": 3, "batch": 2, "size": 64, "num_frames": 4},
    "planes": {"steps": 2, "batch": 2, "shots": 2},
    "hyper": {"steps": 2, "batch": 2, "shots": 2},
    "priors": {"steps": 2, "batch": 2, "shots": 2},
}
CPU = Team(0, 1, torch.device("cpu"))


@pytest.fixture(scope="session")
def tiny() -> TrainConfig:
    return TrainConfig.from_table(TABLE)


@pytest.fixture(scope="session")
def drawn_shots(tiny: TrainConfig) -> list[Shot]:
    """Four to learn from, one to judge by, of 96×80 pixels."""
    shots = draw_shots(tiny.data, tiny.seed)
    return [Shot(s.name, s.luma[:, :80, :96], s.chroma[..., :40, :48]) for s in shots]


@pytest.fixture
def begin(drawn_shots: list[Shot]) -> Callable[..., Trainer]:
    """Begins a run in a folder, or goes on with it."""

    def make(root: Path, config: TrainConfig, team: Team = CPU, **options: object) -> Trainer:
        folder, info = RunFolder(root), RunInfo(config, ("here",))
        if not folder.holds_a_run:
            folder.begin(info)
        return Trainer(info, folder, drawn_shots[:4], drawn_shots[4:], team, **options)

    return make
