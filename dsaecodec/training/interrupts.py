"""Ctrl-C and SIGTERM between two steps instead of inside one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """What has asked the process to end; empty at first."""

    def __init__(self) -> None:
        self.received: int | None = None

    def deliver(self) -> None:
        """Do what the signal would have done, now."""
        if self.received is not None:
            signal.raise_signal(self.received)


@contextmanager
def held_interrupts() -> Iterator[Interrupts]:
    """Hold the first signal back inside; a second one acts at once."""
    held = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def hold(number: int, frame: FrameType | None) -> None:
        held.received = number
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in numbers:
        signal.signal(number, hold)
    try:
        yield held
    finally:
        restore()
