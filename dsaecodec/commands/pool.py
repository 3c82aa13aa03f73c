"""Jobs done by several processes, of which any may die without the others.

A pool of `concurrent.futures` is of no use as a whole once the system has killed one of its
processes for its memory; here that is the failure of one job, and a new process takes the next.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from dsaecodec.commands.console import Failure

Work = Callable[[Any, Callable[[Any], None]], Any]
"""What a process does: work(job, tell) → result; `tell` passes on how far it is."""


@dataclass(frozen=True)
class _Told:
    """How far a job is, on its way from its process."""

    step: Any


@dataclass(frozen=True)
class _Done:
    """A job's result or failure, on its way from its process."""

    outcome: Any


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: int


def run_jobs(
    work: Work,
    jobs: Sequence[Any],
    num_workers: int,
    tell: Callable[[int, Any], None],
    mourn: Callable[[int], None],
) -> Generator[tuple[int, Any], None, None]:
    """Do jobs, `num_workers` at a time.

    No process outlives the generator, however it ends.

    Args:
        work: a function that another process can import.
        jobs: its first arguments.
        num_workers: processes, 1 or more.
        tell: is called here with a job's index and what `work` told.
        mourn: is called here with a job's index after its process was killed or died, and had no
            chance to tidy up.

    Yields:
        A job's index and its result or `Failure`, as they come.
    """
    crew = _Crew(work, jobs, tell, mourn)
    try:
        for _ in range(min(num_workers, len(jobs))):
            crew.hire()
        while crew.workers:
            for connection in wait(list(crew.workers)):
                assert isinstance(connection, Connection)
                yield from crew.hear(crew.workers[connection])
    finally:
        crew.dismiss()


class _Crew:
    """The processes that are alive, each with a job, and the jobs that wait."""

    def __init__(
        self,
        work: Work,
        jobs: Sequence[Any],
        tell: Callable[[int, Any], None],
        mourn: Callable[[int], None],
    ) -> None:
        self._work, self._jobs, self._tell, self._mourn = work, jobs, tell, mourn
        self._waiting = deque(range(len(jobs)))
        self.workers: dict[Connection, _Worker] = {}

    def hire(self) -> None:
        """Start a process on the next job."""
        context = get_context("spawn")  # a fork of a process with threads may never come to work
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._work, theirs), daemon=True)
        with _without_interrupts():
            process.start()
        theirs.close()
        self.workers[ours] = worker = _Worker(process, ours, -1)
        self._assign(worker)

    def hear(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        """Take a message or notice a death; gives a job's index and outcome if it has ended."""
        message, index = _receive(worker.connection), worker.job
        if isinstance(message, _Told):
            self._tell(index, message.step)
            return
        if message is None:
            outcome = self._bury(worker)
            if self._waiting:
                self.hire()
        elif self._waiting:
            outcome = message.outcome
            self._assign(worker)
        else:
            outcome = message.outcome
            self._release(worker)
        yield index, outcome

    def dismiss(self) -> None:
        """End all processes at once."""
        for worker in self.workers.values():
            worker.process.kill()
        for worker in list(self.workers.values()):
            self._bury(worker)

    def _assign(self, worker: _Worker) -> None:
        worker.job = self._waiting.popleft()
        with suppress(OSError):  # if it is dead already, its silence will tell
            worker.connection.send(self._jobs[worker.job])

    def _release(self, worker: _Worker) -> int | None:
        """Let a process end that has nothing to do; returns its exit status."""
        del self.workers[worker.connection]
        worker.connection.close()
        worker.process.join()
        return worker.process.exitcode

    def _bury(self, worker: _Worker) -> Failure:
        """See to what a dead process leaves."""
        code = self._release(worker)
        assert code is not None
        self._mourn(worker.job)
        if code >= 0:
            return Failure(f"its process ended with status {code}", None, 1)
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = "memory may have run out: fewer --jobs need less" if name == "SIGKILL" else None
        return Failure(f"its process was killed by {name}", hint, 1)


def _receive(connection: Connection) -> _Told | _Done | None:
    """The next message, None from a process that is dead."""
    try:
        message: _Told | _Done = connection.recv()
    except (EOFError, OSError):
        return None
    return message


def _serve(work: Work, connection: Connection) -> None:
    """A process's life: do jobs until there are no more, or nobody to do them for."""
    with suppress(EOFError, OSError):
        while True:
            job = connection.recv()
            try:
                outcome = work(job, lambda step: connection.send(_Told(step)))
            except Exception as error:
                outcome = Failure.of(error)
            connection.send(_Done(outcome))


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C passes by: it reaches all of a terminal's, but one decides."""
    resource_tracker.ensure_running()  # its own start would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
