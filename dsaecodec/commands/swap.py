"""`dsaecodec swap`: the content of one stream with the motion of another."""

from __future__ import annotations

from dataclasses import dataclass

from dsaecodec.commands.bounded import BoundedRequest
from dsaecodec.commands.made import write_made
from dsaecodec.commands.quick_import import quick_import
from dsaecodec.commands.targets import check_target


@dataclass(frozen=True)
class Request(BoundedRequest):
    """Arguments of `dsaecodec swap`, as its --help explains them."""

    content: str
    dynamics: str
    output: str
    overwrite: bool
    quiet: bool
    as_json: bool


def run(request: Request) -> int:
    """Exchange, and say what the file holds.

    Raises:
        CodecError: see `dsaecodec.errors`.
    """
    for source in (request.content, request.dynamics):
        check_target(source, request.output, overwrite=request.overwrite, as_json=request.as_json)
    with quick_import():
        from dsaecodec.clip import open_clip
        from dsaecodec.generation import swap

    limits = request.limits
    data = swap(
        open_clip(request.content, limits=limits), open_clip(request.dynamics, limits=limits)
    )
    return write_made(
        data,
        request.output,
        overwrite=request.overwrite,
        quiet=request.quiet,
        as_json=request.as_json,
    )
