"""Encoding several files: a failure is one file's, whatever its kind, and the others go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

from dsaecodec.commands.console import Failure
from dsaecodec.commands.encode_file import EncodeJob, Step, encode_file
from dsaecodec.commands.targets import check_target


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

    parts: dict[int, str] = {}

    def hear(place: int, told: Step | str) -> None:
        if isinstance(told, str):
            parts[place] = told
        else:
            tell(able[place], told)

    def mourn(place: int) -> None:
        _discard(parts.get(place), jobs[able[place]].target)

    outcomes = run_jobs(_encode, [jobs[index] for index in able], num_workers, hear, mourn)
    with closing(outcomes):
        for place, outcome in outcomes:
            job = jobs[able[place]]
            if isinstance(outcome, Failure):
                outcome = outcome.about(job.source, job.target)
            yield able[place], outcome


def _failure(job: EncodeJob, error: Exception) -> Failure:
    return Failure.of(error).about(job.source, job.target)


def _encode(job: EncodeJob, tell: Callable[[Step | str], None]) -> dict[str, Any]:
    """Encode in a process of its own, telling the name of the temporary file too."""
    return encode_file(job, tell, tell)


def _discard(part: str | None, target: str) -> None:
    """Remove the temporary file of a process that died."""
    if part is None or os.path.realpath(part) == os.path.realpath(target):
        return  # a named pipe is written as it is
    with suppress(OSError):
        os.unlink(part)
