"""How torch is set up while a codec computes, and work that goes on beside the calling thread."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, Full, Queue
from threading import Event, RLock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import torch

from dsaecodec.errors import ConfigError

Item = TypeVar("Item")


class _FullPrecision:
    """Products of float32 matrices in float32, whatever the process allows, while it is entered.

    oneDNN multiplies in bfloat16 where a process sets `torch.set_float32_matmul_precision`, and the
    integers of the priors need all 24 bits. The setting is the process's: it changes with the
    first of those inside, in whatever thread, and is restored with the last.
    """

    def __init__(self) -> None:
        self._lock, self._inside = RLock(), 0
        self._before: list[str] = []

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = [place.fp32_precision for place in self._places()]
                for place in self._places():
                    place.fp32_precision = "ieee"
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for place, before in zip(self._places(), self._before, strict=True):
                    place.fp32_precision = before

    @staticmethod
    def _places() -> tuple[Any, ...]:
        cpu, gpu = cast(Any, torch.backends.mkldnn), cast(Any, torch.backends.cudnn)
        return cpu.matmul, cpu.conv, gpu.conv, gpu.rnn  # pixels must agree between machines


class _ThreadCounts:
    """Numbers of torch's threads, of which there are two: a thread's own, and what new ones get.

    Setting the one sets the other. So that both are after a codec what they were before, in
    whatever order those of several threads begin and end, the last one out sets the number that
    new threads get to what the first one in had.
    """

    def __init__(self) -> None:
        self._lock, self._inside = RLock(), 0
        self._before, self._touched = 1, False

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before, self._touched = torch.get_num_threads(), False
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._touched and not sys.is_finalizing():
                setting = Thread(target=torch.set_num_threads, args=[self._before])
                setting.start()  # not here: the number of this thread is to stay
                setting.join()

    def set(self, number: int) -> None:
        """Set the calling thread's number."""
        if number != torch.get_num_threads():
            self._touched = True
            torch.set_num_threads(number)


_full_precision = _FullPrecision()
_thread_counts = _ThreadCounts()


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Use `threads` CPU threads inside, without gradients, and restore torch's setting after.

    Raises:
        ConfigError: fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"{threads} threads: expected 1 or more")
    before = torch.get_num_threads()
    with _thread_counts:
        _thread_counts.set(threads or before)
        try:
            with torch.no_grad(), _full_precision:
                yield
        finally:
            _thread_counts.set(before)


class Crew:
    """Threads that compute beside the calling one, each with a single one of torch's.

    Networks of a frame gain little from several threads in one layer; several frames at once gain
    what there is. With one thread, or on a GPU, the calling thread does everything itself.

    Args:
        threads: CPU threads, None for torch's own number.
        device: where the work is.
        beside: False leaves all threads to the calling one, for models that do not share work out.

    Attributes:
        threads: CPU threads when the calling thread works alone, None for torch's own number.

    Raises:
        ConfigError: fewer than one thread.
    """

    def __init__(self, threads: int | None, device: torch.device, *, beside: bool = True) -> None:
        with limited_threads(threads):
            count = torch.get_num_threads()
        beside = beside and count > 1 and device.type == "cpu"
        self.threads = count if beside else threads
        self._pool = ThreadPoolExecutor(count) if beside else None
        self._closed = Event()

    @classmethod
    def alone(cls) -> Self:
        """A crew of the calling thread, which keeps its settings."""
        return cls(None, torch.device("meta"))

    @property
    def threads_beside(self) -> int | None:
        """How many of torch's threads the calling thread may use while others work."""
        return self.threads if self._pool is None else 1

    def submit(self, work: Callable[[], Item]) -> Future[Item]:
        """Do some work without gradients, in the order of the calls; `result` raises its errors."""
        if self._pool is not None:
            return self._pool.submit(partial(_alone, work))
        done: Future[Item] = Future()
        try:
            with limited_threads(self.threads):
                done.set_result(work())
        except Exception as error:
            done.set_exception(error)
        return done

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same items, made up to three ahead beside their use; two such may be nested."""
        if self._pool is None:
            yield from items
            return
        queue: Queue[tuple[Item | None, bool, BaseException | None]] = Queue(2)
        given_up = Event()

        def put(item: Item | None, last: bool, error: BaseException | None = None) -> None:
            while not (given_up.is_set() or self._closed.is_set()):
                with suppress(Full):
                    queue.put((item, last, error), timeout=0.05)
                    return
            raise _GivenUpError

        def get() -> tuple[Item | None, bool, BaseException | None]:
            while True:
                with suppress(Empty):
                    return queue.get(timeout=0.05)
                if self._closed.is_set():  # the maker may have ended without a word
                    raise _GivenUpError

        def make() -> None:
            try:
                for item in items:
                    put(item, False)
                put(None, True)
            except _GivenUpError:
                pass
            except BaseException as error:
                with suppress(_GivenUpError):
                    put(None, True, error)

        making = self._pool.submit(partial(_alone, make))
        try:
            while True:
                item, last, error = get()
                if error is not None:
                    raise error
                if last:
                    return
                yield cast(Item, item)
        finally:
            given_up.set()
            making.cancel()

    def close(self) -> None:
        """Give up what is not done and wait for the rest."""
        if self._pool is not None:
            self._closed.set()
            self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        _thread_counts.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        finally:
            _thread_counts.__exit__()


class _GivenUpError(Exception):
    """Nobody wants more items."""


def _alone(work: Callable[[], Item]) -> Item:
    _thread_counts.set(1)
    with torch.no_grad(), _full_precision:
        return work()
