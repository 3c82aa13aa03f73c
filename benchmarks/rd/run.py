"""Everything coded and measured: jobs spread over processes, what was measured before reused."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context

import torch

from benchmarks.rd.cache import Cache
from benchmarks.rd.clip import Clip
from benchmarks.rd.codec import CannotCode, Codec
from benchmarks.rd.measure import Measured, measure
from benchmarks.rd.point import Note
from dsaecodec.errors import CodecError


@dataclass(frozen=True)
class Job:
    """One clip through one codec at one quality."""

    clip: Clip
    codec: Codec
    quality: float
    matched: bool = False


@dataclass
class Results:
    """What a run found.

    Attributes:
        measured: points with their pictures, in the order of the jobs.
        notes: why jobs have none, each reason once a codec and clip.
        failures: how many of the notes are faults of ours rather than limits of a codec.
    """

    measured: list[Measured] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    failures: int = 0

    def add_note(self, note: Note) -> None:
        """Keep a reason, once."""
        if note not in self.notes:
            self.notes.append(note)

    def with_more(self, more: Results) -> Results:
        """These and others."""
        both = Results(self.measured + more.measured, list(self.notes))
        for note in more.notes:
            both.add_note(note)
        both.failures = self.failures + more.failures
        return both


Outcome = Measured | Note
Progress = Callable[[Job, Outcome], None]


def run_jobs(
    jobs: Sequence[Job], num_processes: int, cache: Cache, progress: Progress | None = None
) -> Results:
    """Run jobs and collect their points; a job that fails leaves a note and the others go on."""
    outcomes: dict[int, Outcome] = {}
    results = Results()
    todo = []
    for index, job in enumerate(jobs):
        found = _known(job, cache)
        if found is None:
            todo.append((index, job))
            continue
        outcomes[index] = found
        if progress:
            progress(job, found)
    for index, outcome, fault in _computed(todo, num_processes):
        job = jobs[index]
        outcomes[index] = outcome
        results.failures += fault
        if isinstance(outcome, Measured):
            cache.keep(job.codec, job.clip, job.quality, outcome)
        if progress:
            progress(job, outcome)
    for index in sorted(outcomes):
        outcome = outcomes[index]
        if isinstance(outcome, Measured):
            results.measured.append(outcome)
        else:
            results.add_note(outcome)
    return results


def _known(job: Job, cache: Cache) -> Outcome | None:
    try:
        reason = job.codec.unsuitable(job.clip)
        if reason:
            raise CannotCode(reason)
        return cache.find(job.codec, job.clip, job.quality, job.matched)
    except (CannotCode, CodecError) as error:
        return _note(job, str(error))


def _computed(
    todo: Sequence[tuple[int, Job]], num_processes: int
) -> Iterator[tuple[int, Outcome, bool]]:
    """Outcomes as they come, and whether one is a fault.

    An encoder that brings its process down takes the jobs of all others with it: these are done
    again, each alone, and the one that fails again is to blame.
    """
    waiting = deque(todo)
    while waiting:
        lost: list[tuple[int, Job]] = []
        yield from _until_broken(waiting, num_processes, lost)
        for index, job in lost:
            with _pool(1) as pool:
                outcome, fault = _outcome(job, _submit(pool, job))
            yield index, outcome, fault


def _until_broken(
    waiting: deque[tuple[int, Job]], num_processes: int, lost: list[tuple[int, Job]]
) -> Iterator[tuple[int, Outcome, bool]]:
    running: dict[Future[Measured], tuple[int, Job]] = {}
    with _pool(num_processes) as pool:
        try:
            while (waiting or running) and not lost:
                # few at a time: each carries the samples of its clip
                while waiting and len(running) < 2 * num_processes:
                    index, job = waiting.popleft()
                    running[_submit(pool, job)] = index, job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index, job = running.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        lost.append((index, job))
                    else:
                        yield index, *_outcome(job, future)
        except BrokenProcessPool:  # it broke between two submissions
            lost.append((index, job))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    lost += running.values()


def _pool(num_processes: int) -> ProcessPoolExecutor:
    # read by the children's NumPy as it is loaded: else each of them takes every core
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return ProcessPoolExecutor(
        num_processes, mp_context=get_context("spawn"), initializer=_one_thread
    )


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future[Measured]:
    return pool.submit(measure, job.codec, job.clip, job.quality, matched=job.matched)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _outcome(job: Job, future: Future[Measured]) -> tuple[Outcome, bool]:
    try:
        return future.result(), False
    except (CannotCode, CodecError) as error:
        return _note(job, str(error)), False
    except BrokenProcessPool:
        return _note(job, "brings its process down"), True
    except Exception as error:  # a fault of one codec must not cost the others' results
        return _note(job, f"failed: {type(error).__name__}: {error}"), True


def _note(job: Job, text: str) -> Note:
    return Note(job.clip.group, job.clip.name, job.codec.name, text)


def plan_jobs(
    clips: Sequence[Clip], codecs: Sequence[Codec], qualities: Mapping[str, tuple[float, ...]]
) -> list[Job]:
    """Every clip through every codec; qualities by codec's name."""
    return [
        Job(clip, codec, quality)
        for clip in clips
        for codec in codecs
        for quality in qualities[codec.name]
    ]
