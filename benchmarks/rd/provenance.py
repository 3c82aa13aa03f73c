"""What a run was: command, commit, machine and versions, beside its results."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]

_PACKAGES = ("dsaecodec", "torch", "av", "numpy", "pillow", "bjontegaard", "pytorch-msssim")


@dataclass(frozen=True)
class Setup:
    """What a run was.

    Attributes:
        command: as typed.
        commit: of the tree, "+" behind it where files other than results differ from it;
            "unknown" outside git.
        model: identity of our weights, hex.
        date: of the run, UTC.
        machine: processor and system.
        processes: that shared the processor while points were measured.
        versions: of Python and packages.
        others: of which run the points of other codecs are; "": of this one.
    """

    command: str
    commit: str
    model: str
    date: str
    machine: str
    processes: int
    versions: dict[str, str]
    others: str = ""

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def describe_run(arguments: list[str], model: str, processes: int, others: str = "") -> Setup:
    """Describe the run that is under way."""
    return Setup(
        command=shlex.join(["python", "benchmarks/rd_curve.py", *arguments]),
        commit=_commit(),
        model=model,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=f"{_processor()}, {platform.system()} {platform.machine()}",
        processes=processes,
        versions={"python": platform.python_version(), **dict(map(_version, _PACKAGES))},
        others=others,
    )


def _version(package: str) -> tuple[str, str]:
    try:
        return package, version(package)
    except PackageNotFoundError:
        return package, "absent"


def _commit() -> str:
    commit = _git("rev-parse", "--short=12", "HEAD")
    code = (".", ":!benchmarks/results")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *code)
    return f"{commit}{'+' if changed else ''}" if commit else "unknown"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} threads" if names else "unknown processor"
