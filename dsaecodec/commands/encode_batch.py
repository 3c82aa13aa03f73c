"""Encoding several files: a failure is one file's, whatever its kind, and the others go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from dsaecodec.commands.console import Failure
from dsaecodec.commands.encode_file import EncodeJob, Step, encode_file
from dsaecodec.commands.targets import check_target
from dsaecodec.part_files import remove_stale


def encode_all(
    jobs: Sequence[EncodeJob], num_workers: int, tell: Callable[[int, Step], None]
) -> Generator[tuple[int, dict[str, Any] | Failure], None, None]:
    """Do all jobs, in this process or in several.

    Args:
        jobs: what to encode.
        num_workers: how many at a time; 1: in this process.
        tell: is called with a job's index and how far it is.

    Yields:
        A job's index and what was done, see `encode_file`, or why not, as they come.
    """
    able = []
    for index, job in enumerate(jobs):
        try:
            check_target(job.source, job.target, overwrite=job.overwrite)
        except Exception as error:
            yield index, _failure(job, error)
        else:
            able.append(index)
    if min(num_workers, len(able)) > 1:
        yield from _in_processes(jobs, able, num_workers, tell)
        return
    for index in able:
        try:
            yield index, encode_file(jobs[index], partial(tell, index))
        except Exception as error:
            yield index, _failure(jobs[index], error)


def _in_processes(
    jobs: Sequence[EncodeJob],
    able: Sequence[int],
    num_workers: int,
    tell: Callable[[int, Step], None],
) -> Generator[tuple[int, dict[str, Any] | Failure], None, None]:
    from dsaecodec.commands.pool import run_jobs

    def hear(place: int, step: Step) -> None:
        tell(able[place], step)

    def mourn(place: int) -> None:
        remove_stale(Path(os.path.realpath(jobs[able[place]].target)).parent)

    outcomes = run_jobs(encode_file, [jobs[index] for index in able], num_workers, hear, mourn)
    with closing(outcomes):
        for place, outcome in outcomes:
            job = jobs[able[place]]
            if isinstance(outcome, Failure):
                outcome = outcome.about(job.source, job.target)
            yield able[place], outcome


def _failure(job: EncodeJob, error: Exception) -> Failure:
    return Failure.of(error).about(job.source, job.target)
