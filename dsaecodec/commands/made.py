"""Writing a stream that was made of others, and saying what it holds."""

from __future__ import annotations

from io import BytesIO

import bitstream
from dsaecodec.commands.console import print_json, say, shown
from dsaecodec.output import open_output


def write_made(data: bytes, output: str, *, overwrite: bool, quiet: bool, as_json: bool) -> int:
    """Write a stream; it appears whole or not at all.

    Args:
        data: of the stream.
        output: path, "-" for standard output.
        overwrite, quiet, as_json: as every command's options say.

    Raises:
        OutputError: it cannot be written.
    """
    with open_output(output, overwrite=overwrite) as sink:
        sink.write(data)
    summary = bitstream.scan(BytesIO(data))
    facts = {
        "output": output,
        "frames": summary.num_frames,
        "bytes": len(data),
        "content_bytes": summary.content_bytes,
        "dynamics_bytes": summary.dynamics_bytes,
    }
    if as_json:
        print_json(facts)
    elif not quiet:
        say(
            f"{shown(output)}: {facts['frames']} frames, {len(data):,} bytes "
            f"({summary.content_bytes:,} of content, {summary.dynamics_bytes:,} of dynamics)"
        )
    return 0
