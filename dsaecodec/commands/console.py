"""What commands print: results and notes, failures, JSON."""

from __future__ import annotations

import errno
import json
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from dsaecodec.errors import CodecError, OutputError, UsageError
from dsaecodec.output import DISK_FULL

BROKEN_PIPE = 141
_OUT_OF_MEMORY = re.compile(
    "can't allocate memory|not enough memory|out of memory|bad_alloc|cannot allocate memory"
    "|can't start new thread|failed to map segment",
    re.IGNORECASE,
)
"""How PyTorch, the system's loader and others say it; none of them raises a MemoryError."""


@dataclass(frozen=True)
class Failure:
    """An exception as the user shall see it; plain values, so that processes can exchange it.

    Attributes:
        message: one line: what was found, what was expected. Empty: nothing is to be said.
        hint: the remedy, or None.
        exit_code: which the command ends with.
        trace: Python's account of a fault of ours, otherwise None.
    """

    message: str
    hint: str | None
    exit_code: int
    trace: str | None = None

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Sort an exception into users' mistakes, circumstances and faults of ours."""
        if isinstance(error, CodecError):
            return cls(str(error), error.hint, error.exit_code)
        if isinstance(error, BrokenPipeError):
            return cls("", None, BROKEN_PIPE)
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            name = error.filename or "standard output"
            return cls(f"{name}: cannot be written: {error.strerror}", None, OutputError.exit_code)
        if _is_out_of_memory(error):
            hint = "fewer --threads, fewer --jobs or a shorter --gop need less"
            return cls("not enough memory", hint, UsageError.exit_code)
        trace = "".join(traceback.format_exception(error))
        hint = "this is a fault of dsaecodec, please report it"
        return cls(f"internal: {error!r}", hint, CodecError.exit_code, trace)

    def about(self, *names: str) -> Self:
        """The same, its message naming one of the files it may be about, or else the first."""
        if not self.message or any(name in self.message for name in names):
            return self
        return type(self)(f"{names[0]}: {self.message}", self.hint, self.exit_code, self.trace)

    def print(self) -> None:
        """Print to standard error."""
        if self.trace:
            say(self.trace.rstrip())
        if self.message:
            say(f"dsaecodec: error: {self.message}")
        if self.hint:
            say(f"hint: {self.hint}")


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is, or comes of, memory that could not be had."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if isinstance(error, (RuntimeError, ImportError)) and _OUT_OF_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def say(line: str) -> None:
    """Print a line to standard error, if there is one."""
    if sys.stderr is not None:
        print(line, file=sys.stderr)


def say_notes(notes: Iterable[str]) -> None:
    """Print what the user should know about an output that is there all the same."""
    for note in notes:
        say(f"note: {note}")


def print_json(facts: Any) -> None:
    """Print one JSON document to standard output."""
    print(json.dumps(facts, indent=2))


def shown(output: str) -> str:
    """An output as messages name it."""
    return "standard output" if output == "-" else output
