"""The command line: parses and dispatches, does no work.

Exit codes: 0 done, 1 a fault of ours, 2 usage, 3 input video, 4 bitstream, 5 model,
6 verification, 130 Ctrl-C, 141 the reader of our output went away.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from typing import NoReturn

from dsaecodec import __version__, commands
from dsaecodec.errors import CodecError, UsageError

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    try:
        options = vars(build_parser().parse_args(argv))
        command = options.pop("command")
        getattr(commands, command)(**options)
        sys.stdout.flush()
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except CodecError as error:
        return _fail(str(error), error.hint, error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", None, INTERRUPTED)
    except BrokenPipeError:
        # The interpreter flushes standard output once more on leaving: give it somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        traceback.print_exc()
        return _fail(f"internal: {error!r}", "this is a fault of dsaecodec, please report it", 1)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands; each option's `dest` is a parameter of the command's function."""
    parser = _Parser(
        prog="dsaecodec",
        description="Video codec whose bitstream is a generative model's latent state.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dsaecodec {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    encode = subparsers.add_parser("encode", help="video to .dsz", allow_abbrev=False)
    encode.add_argument("source", metavar="IN", help="video file, or - for y4m on standard input")
    encode.add_argument(
        "-o", dest="output", metavar="OUT", help="output, - for standard output (IN's name .dsz)"
    )
    encode.add_argument(
        "-q",
        dest="quality",
        metavar="Q",
        type=_Whole(0, 100),
        default=50,
        help="quality 0 to 100, higher is better and larger (50)",
    )
    encode.add_argument(
        "--gop", metavar="N", type=_Whole(1, 128), help="most frames a GOP (the encoder chooses)"
    )
    encode.add_argument(
        "--frames", metavar="N", type=_Whole(1), help="encode the first N frames only (all)"
    )
    _add_engine_options(encode)
    _add_output_options(encode)

    decode = subparsers.add_parser("decode", help=".dsz to video", allow_abbrev=False)
    decode.add_argument("source", metavar="IN", help=".dsz file, or - for standard input")
    decode.add_argument(
        "-o",
        dest="output",
        metavar="OUT",
        help="by suffix .mp4 (H.264), .mkv (lossless), .y4m; - for y4m (IN's name .decoded.mp4)",
    )
    _add_engine_options(decode)
    _add_output_options(decode)

    info = subparsers.add_parser("info", help="what a .dsz holds", allow_abbrev=False)
    info.add_argument("source", metavar="IN", help=".dsz file, or - for standard input")
    _add_json_option(info)

    verify = subparsers.add_parser(
        "verify", help="decode all of a .dsz, print digests", allow_abbrev=False
    )
    verify.add_argument("source", metavar="IN", help=".dsz file, or - for standard input")
    _add_engine_options(verify)
    _add_json_option(verify)
    return parser


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", metavar="N", type=_Whole(1), help="CPU threads (all)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(auto)")
    parser.add_argument("--model", metavar="NAME|PATH", help="weights (those shipped)")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", dest="overwrite", action="store_true", help="replace the output")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    _add_json_option(parser)


def _add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", dest="as_json", action="store_true", help="report as JSON")


class _Parser(argparse.ArgumentParser):
    """Reports mistakes as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see {self.prog} --help")


class _Whole:
    """Parses a whole number within bounds."""

    def __init__(self, lowest: int, highest: int | None = None) -> None:
        self._lowest, self._highest = lowest, highest

    def __call__(self, text: str) -> int:
        above = "or more" if self._highest is None else f"to {self._highest}"
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number") from None
        if value < self._lowest or (self._highest is not None and value > self._highest):
            raise argparse.ArgumentTypeError(f"{value}, expected {self._lowest} {above}")
        return value


def _fail(message: str, hint: str | None, exit_code: int) -> int:
    print(f"dsaecodec: error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return exit_code
