"""Where outputs go: derived from inputs, refused before any work is done for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dsaecodec.errors import OutputError, UsageError
from dsaecodec.output import check_writable

_OF_VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".y4m", ".gif", ".ts", ".flv", ".png"}


def default_target(source: str, suffix: str, folder: str | None = None) -> str:
    """Output path of an input with another suffix, in a folder or else beside the input.

    That of a folder of images, or of a pattern such as frames/%05d.png, is called like the folder.

    Raises:
        UsageError: standard input gives no name.
    """
    if source == "-":
        raise UsageError("standard input has no name to derive an output's from", hint="use -o")
    path = Path(source)
    name = path.stem
    if path.is_dir() or ("%" in path.name and not path.exists()):
        path = Path(os.path.abspath(path if path.is_dir() else path.parent))
        name = path.name or "root"
    return str((path.parent if folder is None else Path(folder)) / (name + suffix))


def names_folder(output: str) -> bool:
    """Whether -o means a folder: one that is there, or any name that ends in a slash."""
    return output.endswith(os.sep) or os.path.isdir(output)


def check_target(source: str, target: str, *, overwrite: bool, as_json: bool = False) -> None:
    """Refuse an output now rather than after the work.

    Raises:
        UsageError: it is the input, or shares standard output with the report.
        OutputError: see `dsaecodec.output.staged`.
    """
    if target == "-":
        if as_json:
            raise UsageError("--json and the output both want standard output")
        return
    if target == "":
        raise UsageError("-o: expected a name")
    if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
        raise UsageError(f"{target}: is the input")
    check_writable(target, overwrite=overwrite)


def name_targets(sources: Sequence[str], output: str | None, suffix: str) -> list[str]:
    """Output paths of one or several inputs.

    Args:
        sources: the inputs, "-" for standard input.
        output: what -o says: a file, a folder (there, or ending in "/"), "-", or None for files
            beside the inputs.
        suffix: what replaces the inputs' suffixes.

    Raises:
        UsageError: they cannot all be written: -o names a file, or two inputs meet in one output.
    """
    if len(sources) > 1:
        if "-" in sources:
            raise UsageError("standard input cannot be one of several inputs")
        if output is not None and not names_folder(output):
            raise UsageError(
                f"-o {output}: expected a folder for {len(sources)} inputs",
                hint=f"-o {output}{os.sep} makes one" if output != "-" else "encode them singly",
            )
    if output is not None and not names_folder(output):
        if Path(output).suffix.lower() in _OF_VIDEOS:
            raise UsageError(f"{output}: is a video's name, expected one that ends in {suffix}")
        return [output]
    targets = [default_target(source, suffix, output) for source in sources]
    taken: dict[str, str] = {}
    for source, target in zip(sources, targets, strict=True):
        place = os.path.realpath(target)
        if place in taken:
            raise UsageError(
                f"{taken[place]} and {source} would both be written to {target}",
                hint="encode them in turn with different -o",
            )
        taken[place] = source
    return targets


@contextmanager
def made_folder(output: str | None) -> Iterator[None]:
    """Make the folder that -o names with a slash at its end; if nothing comes in, it goes again.

    Raises:
        OutputError: it cannot be made.
    """
    if output is None or not output.endswith(os.sep) or os.path.isdir(output):
        yield
        return
    try:
        os.mkdir(output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):  # not empty
            os.rmdir(output)
