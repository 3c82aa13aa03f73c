"""`dsaecodec verify`: decode all of a stream and print digests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import BinaryIO

import bitstream
from dsaecodec.commands.bounded import BoundedRequest
from dsaecodec.commands.console import print_json, say
from dsaecodec.commands.quick_import import quick_import
from dsaecodec.commands.streams import is_regular, open_stream
from dsaecodec.errors import BitstreamError, LimitError, VerificationError


@dataclass(frozen=True)
class Request(BoundedRequest):
    """Arguments of `dsaecodec verify`, as its --help explains them."""

    source: str
    expected: str | None
    threads: int | None
    device: str
    model: str | None
    as_json: bool


def run(request: Request) -> int:
    """Check all records, decode all symbols and pixels, print the SHA-256 of both.

    Raises:
        BitstreamError: the stream is wrong anywhere.
        ModelError: its model is not here.
        VerificationError: its symbols are not those expected.
    """
    with open_stream(request.source) as stream:
        if is_regular(stream):
            header = _check(stream, request)
            stream.seek(0)
            from dsaecodec.model_store import find_model

            find_model(request.model, header.model)
        with quick_import():
            from dsaecodec.codec import verify_stream

        found = verify_stream(
            stream,
            device=request.device,
            threads=request.threads,
            model=request.model,
            limits=request.limits,
        )
    if request.expected is not None and request.expected.lower() != found.symbols:
        raise VerificationError(
            f"{request.source}: symbols {found.symbols}, expected {request.expected}"
        )
    if request.as_json:
        print_json({"file": request.source, **asdict(found), "faults": []})
    else:
        print(f"{request.source}: ok, {found.frames} frames, {found.gops} GOPs")
        print(f"symbols  {found.symbols}\npixels   {found.pixels}")
    return 0


def _check(stream: BinaryIO, request: Request) -> bitstream.Header:
    """The header of a stream whose records are all right.

    Raises:
        BitstreamError: some are not: each has been listed.
    """
    try:
        summary = bitstream.scan(stream)
        request.limits.check_summary(summary, request.threads)
        return summary.header
    except LimitError:
        raise
    except BitstreamError as error:
        stream.seek(0)
        faults = bitstream.salvage(stream.read()).faults
        if request.as_json:
            listed = [asdict(fault) for fault in faults]
            print_json({"file": request.source, "error": str(error), "faults": listed})
        if not faults:
            raise
        if len(faults) == 1:
            raise BitstreamError(str(faults[0])) from error
        if not request.as_json:
            for fault in faults:
                say(f"{request.source}: {fault}")
        raise BitstreamError(
            f"{len(faults)} records are damaged or missing",
            hint="decode --conceal shows what is left",
        ) from error
