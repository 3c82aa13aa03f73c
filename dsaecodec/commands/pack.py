"""`dsaecodec pack`: footage as one tensor file, for machines that cannot read video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dsaecodec.commands.console import print_json, say
from dsaecodec.errors import OutputError, UsageError


@dataclass(frozen=True)
class Request:
    """Arguments of `dsaecodec pack`, as its --help explains them."""

    sources: list[str]
    output: str
    settings: list[str]
    overwrite: bool
    quiet: bool
    as_json: bool


def run(request: Request) -> int:
    """Read, write, and say what was read."""
    from dsaecodec.output import check_writable, is_special
    from dsaecodec.training.config import load_config
    from dsaecodec.training.footage import read_footage
    from dsaecodec.training.packed import SUFFIX, write_pack

    if Path(request.output).suffix != SUFFIX:
        raise UsageError(
            f"{request.output}: a file of packed shots ends in {SUFFIX}",
            hint=f"-o {Path(request.output).stem or 'data'}{SUFFIX}",
        )
    config = load_config("natural", fine_tune=False, overrides=request.settings)
    check_writable(request.output, overwrite=request.overwrite)
    if is_special(request.output):  # its writer goes back and forth
        raise OutputError(f"{request.output}: cannot be written: is no regular file")
    found = read_footage([Path(source) for source in request.sources], config.data, config.seed)
    write_pack(Path(request.output), found.shots, overwrite=request.overwrite)
    pixels = sum(shot.luma.numel() for shot in found.shots)
    photos = sum(len(shot) == 1 for shot in found.shots)
    if not request.quiet:
        for line in found.skipped:
            say(f"skipped: {line}")
    if request.as_json:
        facts = {"shots": len(found.shots) - photos, "photos": photos, "pixels": pixels}
        print_json({**facts, "skipped": found.skipped, "left_out": found.left_out})
    elif not request.quiet:
        left = f", {found.left_out} left out for want of memory" if found.left_out else ""
        print(
            f"{request.output}: {_count(len(found.shots) - photos, 'shot')} and "
            f"{_count(photos, 'photo')}, {pixels / 1e6:.1f} megapixels{left}"
        )
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
