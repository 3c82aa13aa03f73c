"""Processes that train together do what one of them would do alone."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dsaecodec.errors import ConfigError
from dsaecodec.training.team import Team

ROOT = Path(__file__).parents[2]
SETTINGS = [
    f"--set={setting}"
    for setting in (
        "data.num_drawn=6",
        "data.drawn_frames=6",
        "content.steps=3",
        "content.batch=4",
        "clips.steps=3",
        "clips.batch=4",
        "clips.num_frames=4",
        "clips.synthetic=0.5",
        "planes.steps=2",
        "planes.batch=2",
        "planes.shots=2",
        "hyper.steps=2",
        "hyper.batch=2",
        "hyper.shots=2",
        "priors.steps=2",
        "priors.batch=2",
        "priors.shots=2",
    )
]


def train(folder: Path, processes: int) -> list[dict[str, str]]:
    start = [sys.executable, "-m"]
    if processes > 1:
        start += ["torch.distributed.run", f"--nproc-per-node={processes}", "--standalone", "-m"]
    arguments = ["--preset", "tiny", "-o", str(folder), "--threads", "1", "--quiet", *SETTINGS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [*start, "dsaecodec", "train", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=300,
        capture_output=True,
    )
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_two_processes_follow_the_course_of_one(tmp_path):
    one, two = train(tmp_path / "one", 1), train(tmp_path / "two", 2)
    assert [row["stage"] for row in one] == ["content", "clips", "planes", "hyper", "priors"]
    for a, b in zip(one, two, strict=True):
        for name in ("loss", "distortion", "bits_content", "bits_dynamics"):
            assert float(b[name]) == pytest.approx(float(a[name]), rel=2e-3), (a["stage"], name)


TALK = """
import torch
from dsaecodec.training.team import joined_team
with joined_team(torch.device("cpu"), 1) as team:
    state = torch.full((3,), float(team.rank))
    team.lead([state])
    assert state.tolist() == [0, 0, 0]
    assert team.agrees("same") and not team.agrees(f"I am {team.rank}")
"""


def test_processes_take_the_state_of_the_first_and_notice_what_differs(tmp_path):
    script = tmp_path / "talk.py"
    script.write_text(TALK)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [*torchrun, "--standalone", str(script)], env=environment, check=True, timeout=120
    )


def test_shares_make_up_the_batch():
    cpu = torch.device("cpu")
    shares = [range(12)[Team(rank, 3, cpu).share(12)] for rank in range(3)]
    assert [i for share in shares for i in share] == list(range(12))
    with pytest.raises(ConfigError, match="cannot be shared by 3"):
        Team(0, 3, cpu).share(4)
