"""The command line: parses and dispatches, does no work.

Exit codes: 0 done, 1 a fault of ours, 2 usage, 3 input video, 4 bitstream, 5 model,
6 verification, 129 the terminal went away, 130 Ctrl-C, 141 the reader of our output went away,
143 asked to end.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import NoReturn

from dsaecodec.arguments import build_parser
from dsaecodec.commands.console import Failure, say

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # any file name can be printed
    try:
        with _ended_by_signals():
            options = vars(build_parser().parse_args(argv))
            command = import_module(f"dsaecodec.commands.{options.pop('command')}")
            exit_code: int = command.run(command.Request(**options))
            if sys.stdout is not None:
                sys.stdout.flush()
            return exit_code
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except _EndedError as ended:
        say(f"dsaecodec: error: ended by {signal.Signals(ended.signal).name}")
        return 128 + ended.signal
    except KeyboardInterrupt:
        say("dsaecodec: error: interrupted")
        return INTERRUPTED
    except Exception as error:
        failure = Failure.of(error)
        if isinstance(error, OSError):
            _give_up_stdout()
        failure.print()
        return failure.exit_code


def program() -> NoReturn:
    """Run the process's command, then end the process without taking it apart.

    Python would free what PyTorch made object by object, for half a second.
    """
    exit_code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, in one way or another
            stream.flush()
    os._exit(exit_code)


class _EndedError(BaseException):
    """The system or a user asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end what runs as Ctrl-C does, so that temporary files go.

    Signals that are ignored, as by nohup, or handled already are left alone.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # once is enough; tidying up is not to be cut short
        raise _EndedError(number)

    numbers = []
    if threading.current_thread() is threading.main_thread():
        wanted = (signal.SIGTERM, signal.SIGHUP)
        numbers = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _give_up_stdout() -> None:
    """Give standard output somewhere to go: the interpreter flushes it once more on leaving."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
