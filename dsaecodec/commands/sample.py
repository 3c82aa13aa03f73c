"""`dsaecodec sample`: a stream drawn from a model's priors."""

from __future__ import annotations

from dataclasses import dataclass

from dsaecodec.commands.bounded import BoundedRequest
from dsaecodec.commands.made import write_made
from dsaecodec.commands.quick_import import quick_import
from dsaecodec.commands.targets import check_target


@dataclass(frozen=True)
class Request(BoundedRequest):
    """Arguments of `dsaecodec sample`, as its --help explains them."""

    content: str | None
    dynamics: str | None
    frames: int | None
    seed: int
    quality: int
    model: str | None
    output: str
    overwrite: bool
    quiet: bool
    as_json: bool


def run(request: Request) -> int:
    """Draw, and say what the file holds.

    Raises:
        CodecError: see `dsaecodec.errors`.
    """
    for source in (request.content or "", request.dynamics or ""):
        check_target(source, request.output, overwrite=request.overwrite, as_json=request.as_json)
    with quick_import():
        from dsaecodec.clip import open_clip
        from dsaecodec.generation import sample

    limits = request.limits
    limits.check_frames(request.frames or 1)
    data = sample(
        content=None if request.content is None else open_clip(request.content, limits=limits),
        dynamics=None if request.dynamics is None else open_clip(request.dynamics, limits=limits),
        num_frames=request.frames,
        seed=request.seed,
        model=request.model,
        quality=request.quality,
    )
    return write_made(
        data,
        request.output,
        overwrite=request.overwrite,
        quiet=request.quiet,
        as_json=request.as_json,
    )
