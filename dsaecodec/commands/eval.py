"""`dsaecodec eval`: how close a decoded video is to its original, and at what rate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dsaecodec.commands.bounded import BoundedRequest
from dsaecodec.commands.console import print_json
from dsaecodec.commands.quick_import import quick_import


@dataclass(frozen=True)
class Request(BoundedRequest):
    """Arguments of `dsaecodec eval`, as its --help explains them."""

    reference: str
    test: str
    frames: int | None
    per_frame: bool
    threads: int | None
    device: str
    model: str | None
    quiet: bool
    as_json: bool


def run(request: Request) -> int:
    """Compare two videos and print their figures.

    Raises:
        CodecError: see `dsaecodec.evaluation.compare`.
    """
    with quick_import():
        from dsaecodec.evaluation import compare, format_comparison
        from dsaecodec.report import ProgressDisplay

    with ProgressDisplay("comparing", quiet=request.quiet) as display:

        def show(num_frames: int) -> None:
            display.update(request.test, num_frames, None, request.frames, Fraction(1))

        found = compare(
            request.reference,
            request.test,
            num_frames=request.frames,
            device=request.device,
            threads=request.threads,
            model=request.model,
            limits=request.limits,
            progress=show,
        )
    if request.as_json:
        print_json(found.as_dict(request.per_frame))
    else:
        print(format_comparison(found, request.per_frame))
    return 0
