"""`dsaecodec predict`: frames that a stream does not hold, from the prior of its model."""

from __future__ import annotations

from dataclasses import dataclass

from dsaecodec.commands.bounded import BoundedRequest
from dsaecodec.commands.made import write_made
from dsaecodec.commands.quick_import import quick_import
from dsaecodec.commands.targets import check_target
from dsaecodec.errors import UsageError


@dataclass(frozen=True)
class Request(BoundedRequest):
    """Arguments of `dsaecodec predict`, as its --help explains them."""

    source: str
    frames: int | None
    missing: range | None
    seed: int | None
    output: str
    overwrite: bool
    quiet: bool
    as_json: bool


def run(request: Request) -> int:
    """Continue a stream, or fill a gap in it.

    Raises:
        CodecError: see `dsaecodec.errors`.
    """
    if (request.frames is None) == (request.missing is None):
        raise UsageError("expected --frames N, to go on, or --missing 4-9, to fill a gap")
    check_target(
        request.source, request.output, overwrite=request.overwrite, as_json=request.as_json
    )
    with quick_import():
        from dsaecodec.clip import open_clip
        from dsaecodec.generation import fill, predict

    clip = open_clip(request.source, limits=request.limits)
    request.limits.check_frames(clip.num_frames + (request.frames or 0))
    if request.missing is not None:
        data = fill(clip, request.missing, seed=request.seed or 0)
    else:
        assert request.frames is not None
        data = predict(clip, request.frames, seed=request.seed)
    return write_made(
        data,
        request.output,
        overwrite=request.overwrite,
        quiet=request.quiet,
        as_json=request.as_json,
    )
