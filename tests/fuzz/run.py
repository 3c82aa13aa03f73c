"""Many mutants, in a process that is watched: `python -m tests.fuzz.run --seeds 1 2 3 4`.

Each mutant is named by its kind, a seed and a number, and goes through `Target`. Counted are those
refused, by place and class of error, those decoded, and what must not be:

crash      an exception that is not a CodecError, or a process that dies
hang       nothing heard for `--hang` seconds of the process's own time
memory     the process's peak went beyond `--memory` MiB
undetected a raw mutant that differs and is accepted

Mutants that must not be go to `--failures`, and the exit code is 1. The table is printed as
Markdown and, with `-o`, written as CSV.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bitstream import CodecError, scan
from tests.fuzz.mutate import Mutator, raw_mutant
from tests.fuzz.parts import take_apart
from tests.fuzz.seeds import drawn_streams, golden_streams
from tests.fuzz.target import Depth, Target

RAW, SIGNED = "raw", "re-signed"
FAULTS = ("crash", "hang", "memory", "undetected")
START_SECONDS = 600.0
PATIENCE = 60  # a process that sleeps is given up after so many times as long

Job = tuple[str, int, int]  # kind, seed, number
Found = tuple[str, float]  # outcome, peak in MiB


class Mutants:
    """The mutants of some valid streams, by name."""

    def __init__(self, seeds: dict[str, bytes]) -> None:
        self._seeds = list(seeds.items())
        streams = [take_apart(data, name) for name, data in seeds.items()]
        models = sorted({scan(BytesIO(data)).header.model for data in seeds.values()})
        self._mutator = Mutator(streams, models)

    def make(self, job: Job) -> tuple[bytes, str]:
        """A mutant, and what was done to which stream."""
        kind, seed, number = job
        rng = Random(f"{kind} {seed} {number}")
        if kind == SIGNED:
            return self._mutator.signed(rng)
        name, data = rng.choice(self._seeds)
        mutant = data
        while mutant == data:
            mutant = raw_mutant(data, rng)
        return mutant, name


class Trial:
    """What comes of mutants."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def run(self, job: Job, data: bytes) -> str:
        """What comes of one."""
        try:
            return self._outcome(job, data)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {error} at {Path(place.filename).name}:{place.lineno}"
            return f"crash: {what}"

    def _outcome(self, job: Job, data: bytes) -> str:
        if job[0] == RAW:
            try:
                scan(BytesIO(data))
            except CodecError as error:
                return f"read: {type(error).__name__}"
            return "undetected"
        number = job[2]
        depth = Depth(True, number % 5 == 0, number % 25 == 0, number % 2 == 0)
        return self._target.run(data, depth)


def work(pipe: Connection, seeds: dict[str, bytes], jobs: list[Job], folder: Path) -> None:
    """Runs jobs and tells of each."""
    mutants, trial = Mutants(seeds), Trial(Target(folder))
    pipe.send(None)
    for job in jobs:
        outcome = trial.run(job, mutants.make(job)[0])
        pipe.send((outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


class Watch:
    """Runs jobs in a process, and in another where that one dies, hangs or grows too large.

    Args:
        seeds: valid streams by name.
        folder: for what the process writes.
        hang: seconds of its own time within which it is to be heard.
        memory: MiB that it may take.
    """

    def __init__(self, seeds: dict[str, bytes], folder: Path, hang: float, memory: float) -> None:
        self._seeds, self._folder, self._hang, self._memory = seeds, folder, hang, memory
        self.peak = 0.0
        self._context = get_context("spawn")

    def run(self, jobs: list[Job]) -> Iterator[tuple[Job, str]]:
        """What comes of each job."""
        at = 0
        while at < len(jobs):
            pipe, process = self._start(jobs[at:])
            try:
                while at < len(jobs):
                    outcome, peak = self._hear(pipe, process)
                    self.peak = max(self.peak, peak)
                    if peak > self._memory:
                        outcome = f"memory: {peak:.0f} MiB, was {outcome}"
                    yield jobs[at], outcome
                    at += 1
                    if not 0 < peak <= self._memory:
                        break
            finally:
                process.kill()
                process.join()

    def _start(self, jobs: list[Job]) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        given = (theirs, self._seeds, jobs, self._folder)
        process = self._context.Process(target=work, args=given, daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(START_SECONDS):
            raise TimeoutError("the watched process does not start")
        ours.recv()
        return ours, process

    def _hear(self, pipe: Connection, process: BaseProcess) -> Found:
        """The next word of the process; a busy machine is not its fault."""
        begin = used_seconds(process)
        for _ in range(PATIENCE):
            if pipe.poll(self._hang):
                break
            if used_seconds(process) - begin >= self._hang:
                return "hang", 0.0
        else:
            return "hang", 0.0
        try:
            found: Found = pipe.recv()
        except EOFError:
            return "crash: the process died", 0.0
        return found


def used_seconds(process: BaseProcess) -> float:
    """CPU time of a process, from Linux's /proc."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def markdown(rows: list[dict[str, object]]) -> str:
    """The table."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def row_of(kind: str, seed: int, counts: Counter[str], peak: float) -> dict[str, object]:
    """A line of the table."""
    faults = {name: sum(n for key, n in counts.items() if key.split(":")[0] == name)
              for name in FAULTS}  # fmt: skip
    refused = sum(n for key, n in counts.items() if key.endswith("Error"))
    decoded = sum(counts[key] for key in ("symbols", "pixels", "file"))
    return {
        "mutants": kind,
        "seed": seed,
        "run": counts.total(),
        "refused when read": sum(n for key, n in counts.items() if key.startswith("read: ")),
        "refused later": refused - sum(n for k, n in counts.items() if k.startswith("read: ")),
        "decoded": decoded,
        "too large to decode here": counts["read"],
        **faults,
        "peak MiB": round(peak),
    }


def main() -> int:
    """Run, print the table, keep what must not be."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--raw", type=int, default=100_000, help="mutants over all seeds")
    parser.add_argument("--signed", type=int, default=100_000, help="mutants over all seeds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--hang", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--memory", type=float, default=600.0, metavar="MIB")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("-o", "--out", type=Path, help="CSV of the table")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="dsz-fuzz-") as folder:
        return run(args, Path(folder))


def run(args: argparse.Namespace, folder: Path) -> int:
    """The whole of it."""
    seeds = golden_streams() | drawn_streams()
    mutants, watch = Mutants(seeds), Watch(seeds, folder, args.hang, args.memory)
    rows, classes, failed = [], Counter[str](), 0
    begin = time.monotonic()
    for kind, total in ((RAW, args.raw), (SIGNED, args.signed)):
        for seed in args.seeds:
            counts = Counter[str]()
            jobs = [(kind, seed, number) for number in range(total // len(args.seeds))]
            for job, outcome in watch.run(jobs):
                counts[outcome] += 1
                if outcome.split(":")[0] in FAULTS:
                    failed += 1
                    args.failures.mkdir(exist_ok=True)
                    path = args.failures / f"{kind}-{seed}-{job[2]}.dsz"
                    data, done = mutants.make(job)
                    path.write_bytes(data)
                    print(f"{path}: {done}: {outcome}", flush=True)
            rows.append(row_of(kind, seed, counts, watch.peak))
            classes.update({f"{kind}, {key}": n for key, n in counts.items()})
            print(f"{time.monotonic() - begin:.0f} s: {rows[-1]}", flush=True)
    print(markdown(rows))
    for key, count in classes.most_common():
        print(f"{count:8} {key}")
    if args.out:
        with args.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
