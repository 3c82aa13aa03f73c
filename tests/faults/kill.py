"""Kill encodes, decodes and packs at random moments and look at what they leave.

    python -m tests.faults.kill --kills 225 --seed 2

Under the final name there must be nothing, what was there before, or all of the output; and the
next run into the same folder must leave no temporary file. Three kills in four fall into the time
in which the output is written, the others anywhere from the start of the program on.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bitstream
from dsaecodec.draw import moving_layers
from dsaecodec.training.packed import read_pack
from dsaecodec.video import VideoInfo, VideoWriter, open_video, rgb_to_420

ROOT = Path(__file__).parents[2]
NUM_FRAMES = 40
WRITING_SHARE = 0.75


@dataclass(frozen=True)
class Case:
    """A command that is killed.

    Attributes:
        name: of the case.
        arguments: of the command line; they name `target`.
        target: where its output appears.
        is_whole: whether what is there is all of an output.
        replaces: whether a complete output is there before.
    """

    name: str
    arguments: list[str]
    target: Path
    is_whole: Callable[[Path], bool]
    replaces: bool = False


class CorruptError(Exception):
    """Something is under the final name that ought not to be."""


def is_whole_stream(path: Path) -> bool:
    """Whether a .dsz has all its frames and every record checks."""
    with path.open("rb") as file:
        return bitstream.scan(file).num_frames == NUM_FRAMES


def is_whole_video(path: Path) -> bool:
    """Whether a video opens and has all its frames."""
    with open_video(path) as video:
        return sum(1 for _ in video) == NUM_FRAMES


def is_whole_folder(path: Path) -> bool:
    """Whether a folder has all its pictures, each of which opens, and nothing else."""
    names = [file.name for file in path.iterdir()]
    return sorted(names) == [f"{i:05d}.png" for i in range(NUM_FRAMES)] and is_whole_video(path)


def is_whole_pack(path: Path) -> bool:
    """Whether packed shots have all their frames."""
    return sum(len(shot) for shot in read_pack(path)) == NUM_FRAMES


def cases(folder: Path) -> list[Case]:
    """All that is killed; draws a clip and encodes it."""
    clip, stream = folder / "clip.y4m", folder / "clip.dsz"
    with VideoWriter(clip, VideoInfo(160, 96, 25)) as writer:
        for rgb in moving_layers(NUM_FRAMES, 96, 160, seed=1):
            writer.write(rgb_to_420(rgb))
    fast = ["--preset", "fast", "--gop", "4", "--model", "natural", "--quiet"]
    run(["encode", str(clip), "-o", str(stream), *fast])
    found = []
    for name in ("encode", "encode-y"):
        target = place(folder, name) / "out.dsz"
        arguments = ["encode", str(clip), "-y", "-o", str(target), *fast]
        found.append(Case(name, arguments, target, is_whole_stream, name.endswith("-y")))
    for suffix in (".y4m", ".mkv", ".mp4", ".webm", ".mp4-y"):
        target = place(folder, f"decode{suffix}") / f"out{suffix.removesuffix('-y')}"
        arguments = ["decode", str(stream), "-y", "--quiet", "-o", str(target)]
        found.append(
            Case(f"decode{suffix}", arguments, target, is_whole_video, suffix.endswith("-y"))
        )
    target = place(folder, "decode-png") / "pictures"
    arguments = ["decode", str(stream), "-y", "--quiet", "-o", f"{target}/"]
    found.append(Case("decode-png", arguments, target, is_whole_folder))
    target = place(folder, "pack") / "out.safetensors"
    arguments = ["pack", str(clip), "-y", "--quiet", "-o", str(target)]
    return [*found, Case("pack", arguments, target, is_whole_pack)]


def place(folder: Path, name: str) -> Path:
    """A new folder for a case."""
    made = folder / name
    made.mkdir()
    return made


def program(arguments: list[str]) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "dsaecodec", *arguments]


def run(arguments: list[str]) -> None:
    """Run a command to its end."""
    subprocess.run(program(arguments), check=True, cwd=ROOT, capture_output=True)


def parts(case: Case) -> list[str]:
    """Temporary names beside a case's output."""
    return [path.name for path in case.target.parent.iterdir() if path.name.startswith(".")]


def remove(target: Path) -> None:
    """Remove an output."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)


class Killer:
    """Kills one case again and again.

    Args:
        case: what to kill.
        chance: when.
    """

    def __init__(self, case: Case, chance: random.Random) -> None:
        self.case, self._chance = case, chance
        self.outcomes: Counter[str] = Counter()
        with self._started() as (process, begin):
            writing = self._wait_for_part(process)
            process.wait()
        self._seconds, self._writing = time.perf_counter() - begin, time.perf_counter() - writing
        self._check_whole()

    def kill(self) -> None:
        """Start the command, kill it, look."""
        if not self.case.replaces:
            remove(self.case.target)
        stale = set(parts(self.case))
        with self._started() as (process, begin):
            if self._chance.random() < WRITING_SHARE:
                begin, longest = self._wait_for_part(process), self._writing
                if stale & set(parts(self.case)):
                    raise CorruptError(f"{self.case.name}: {stale} is left by a later run")
            else:
                longest = self._seconds
            moment = begin + self._chance.uniform(0, longest)
            time.sleep(max(0, moment - time.perf_counter()))
            process.kill()
            ended = process.wait() == 0
        if not self.case.target.exists():
            if self.case.replaces or ended:
                raise CorruptError(f"{self.case.name}: {self.case.target} is gone")
            self.outcomes["nothing"] += 1
        else:
            self._check_whole()
            self.outcomes["whole"] += 1
        self.outcomes["temporary left"] += bool(parts(self.case))

    def finish(self) -> None:
        """Run to the end; nothing temporary may be left."""
        run(self.case.arguments)
        self._check_whole()
        if parts(self.case):
            raise CorruptError(f"{self.case.name}: {parts(self.case)} is left by a later run")

    def _check_whole(self) -> None:
        try:
            whole = self.case.is_whole(self.case.target)
        except Exception as error:
            raise CorruptError(f"{self.case.target}: {error}") from error
        if not whole:
            raise CorruptError(f"{self.case.target}: is not whole")

    @contextmanager
    def _started(self) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
        with subprocess.Popen(program(self.case.arguments), cwd=ROOT) as process:
            try:
                yield process, time.perf_counter()
            finally:
                process.kill()

    def _wait_for_part(self, process: subprocess.Popen[bytes]) -> float:
        """Wait for a new temporary file, or the process's end; when that was."""
        before = set(parts(self.case))
        while process.poll() is None and not set(parts(self.case)) - before:
            time.sleep(0.001)
        return time.perf_counter()


def main() -> None:
    """Kill, and print what was left."""
    parser = argparse.ArgumentParser(description="Kill encodes and decodes at random moments.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        killers = [Killer(case, chance) for case in cases(Path(folder))]
        for number in range(options.kills):
            killers[number % len(killers)].kill()
        print("| command | kills | nothing under the name | whole | temporary left |")
        print("|---|---|---|---|---|")
        total: Counter[str] = Counter()
        for killer in killers:
            killer.finish()
            total += killer.outcomes
            print(row(killer.case.name, killer.outcomes))
        print(row("all", total))
        print("corrupt: 0; temporary left by a later run: 0")


def row(name: str, outcomes: Counter[str]) -> str:
    """A line of the table."""
    nothing, whole, left = (outcomes[key] for key in ("nothing", "whole", "temporary left"))
    return f"| {name} | {nothing + whole} | {nothing} | {whole} | {left} |"


if __name__ == "__main__":
    main()
