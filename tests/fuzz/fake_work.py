"""Stands in for the process that `tests.fuzz.run` watches; loads nothing heavy."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection


def work(pipe: Connection, seeds: object, jobs: list[tuple[str, int, int]], folder: object) -> None:
    """Does what the kinds of the jobs say."""
    pipe.send(None)
    for kind, _, _ in jobs:
        if kind == "dies":
            os._exit(1)
        if kind == "hangs":
            while True:
                pass
        pipe.send(("symbols", 900.0 if kind == "grows" else 10.0))
