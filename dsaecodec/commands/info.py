"""`dsaecodec info`: what a stream holds, without decoding it."""

from __future__ import annotations

from dataclasses import dataclass

import bitstream
from dsaecodec.commands.console import print_json
from dsaecodec.commands.streams import open_stream
from dsaecodec.listing import describe, format_table


@dataclass(frozen=True)
class Request:
    """Arguments of `dsaecodec info`, as its --help explains them."""

    source: str
    as_json: bool


def run(request: Request) -> int:
    """Read a stream to its end and print what it holds.

    Raises:
        BitstreamError: it cannot be read or is wrong anywhere.
    """
    with open_stream(request.source) as stream:
        facts = describe(request.source, bitstream.scan(stream))
    if request.as_json:
        print_json(facts)
    else:
        print(format_table(facts))
    return 0
