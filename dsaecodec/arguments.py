"""The command line's grammar: commands, options, and what their values look like.

Each option's `dest` is a field of its command's `Request`.
"""

from __future__ import annotations

import argparse
from math import inf
from typing import NoReturn

from dsaecodec import __version__
from dsaecodec import argument_examples as examples
from dsaecodec.argument_values import (
    Whole,
    checked,
    parse_audio,
    parse_bitrate,
    parse_clock,
    parse_frames,
    parse_minutes,
    parse_size,
)
from dsaecodec.errors import UsageError
from dsaecodec.limits import Limits
from dsaecodec.rate import parse_fps


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands."""
    parser = _Parser(
        prog="dsaecodec",
        description="Video codec whose bitstream is a generative model's latent state.",
        epilog="dsaecodec COMMAND --help explains a command and gives examples.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dsaecodec {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, shown: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=shown,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        return added

    _describe_encode(add("encode", "encode videos to .dsz", examples.ENCODE))
    _describe_decode(add("decode", "decode a .dsz to a video", examples.DECODE))
    _describe_info(add("info", "print what a .dsz holds", examples.INFO))
    _describe_verify(add("verify", "decode all of a .dsz and print digests", examples.VERIFY))
    _describe_eval(add("eval", "compare a video or .dsz with its original", examples.EVAL))
    _describe_swap(add("swap", "the content of one .dsz with the motion of another", examples.SWAP))
    _describe_sample(add("sample", "draw a .dsz from a model's priors", examples.SAMPLE))
    _describe_predict(add("predict", "continue a .dsz, or fill a gap in it", examples.PREDICT))
    _describe_train(add("train", "train a model on footage of your own", examples.TRAIN))
    _describe_pack(add("pack", "pack footage into one file to train from", examples.PACK))
    _add_json_option(add("models", "list the models that are here", examples.MODELS))
    return parser


def _describe_encode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        metavar="IN",
        nargs="+",
        help="video files, folders of images, or - for y4m on standard input",
    )
    parser.add_argument(
        "-o",
        dest="output",
        metavar="OUT|DIR/",
        help="output file, folder, or - for standard output (beside IN, suffix .dsz)",
    )
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument(
        "-q",
        dest="quality",
        metavar="Q",
        type=Whole(0, 100),
        help="quality 0 to 100, higher is better and larger (50)",
    )
    wish.add_argument(
        "--target-size",
        metavar="SIZE",
        type=checked(parse_size),
        help="the best quality in at most SIZE bytes, as 250k, 4M, 4MiB; encodes several times",
    )
    wish.add_argument(
        "--bitrate",
        metavar="RATE",
        type=checked(parse_bitrate),
        help="the best quality in at most RATE bits a second with sound, as 300k, 1.5M; likewise",
    )
    parser.add_argument(
        "--preset",
        choices=("fast", "medium", "slow"),
        default="medium",
        help="how much work goes into a better file; decoding costs the same (medium)",
    )
    parser.add_argument(
        "--gop",
        metavar="N",
        type=Whole(1, 128),
        help="most frames that share one content, 1 to 128 (the encoder chooses)",
    )
    parser.add_argument(
        "--resilient",
        metavar="N",
        type=Whole(1, 128),
        help="a dynamics record for every N frames: a lost one costs no more (one a GOP)",
    )
    parser.add_argument(
        "--frames", metavar="N", type=Whole(1), help="encode the first N frames only (all)"
    )
    parser.add_argument(
        "--fps",
        metavar="RATE",
        type=checked(parse_fps),
        help="take the video for RATE frames a second: 25, 29.97, 30000/1001 (its own)",
    )
    parser.add_argument(
        "--audio",
        metavar="CODING",
        type=checked(parse_audio),
        default="opus:32k",
        help="sound: opus:32k (Opus, bits a second), copy, none (opus:32k)",
    )
    parser.add_argument(
        "--jobs", metavar="N", type=Whole(1), default=1, help="files to encode at a time (1)"
    )
    _add_engine_options(parser)
    _add_memory_option(parser, "encoding")
    _add_output_options(parser)


def _describe_decode(parser: argparse.ArgumentParser) -> None:
    _add_source(parser)
    parser.add_argument(
        "-o",
        dest="output",
        metavar="OUT",
        help=".mp4 or .mov (H.264), .webm (VP9), .mkv (lossless), .y4m, DIR/%%05d.png, or - for "
        "y4m on standard output (beside IN, suffix .decoded.mp4)",
    )
    parser.add_argument(
        "--start",
        metavar="TIME",
        type=checked(parse_clock),
        help="begin at TIME: seconds as 12.5, 1:02.5 or 0:01:02 (0)",
    )
    parser.add_argument("--frames", metavar="N", type=Whole(1), help="decode N frames only (all)")
    parser.add_argument(
        "--conceal",
        action="store_true",
        help="show a damaged file all the same; frames that are lost are estimated (refused)",
    )
    _add_engine_options(parser)
    _add_limit_options(parser)
    _add_output_options(parser)


def _describe_info(parser: argparse.ArgumentParser) -> None:
    _add_source(parser)
    _add_json_option(parser)


def _describe_verify(parser: argparse.ArgumentParser) -> None:
    _add_source(parser)
    parser.add_argument(
        "--expect",
        dest="expected",
        metavar="SHA256",
        help="exit with 6 unless these are the symbols, as another machine printed them",
    )
    _add_engine_options(parser)
    _add_limit_options(parser)
    _add_json_option(parser)


def _describe_eval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="the original, a video file")
    parser.add_argument("test", metavar="TEST", help="what came of it, a .dsz or a video file")
    parser.add_argument(
        "--frames", metavar="N", type=Whole(1), help="compare the first N frames only (all)"
    )
    parser.add_argument("--per-frame", action="store_true", help="a line for each frame as well")
    _add_engine_options(parser)
    _add_limit_options(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress")
    _add_json_option(parser)


def _describe_swap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("content", metavar="A", help=".dsz whose content to use")
    parser.add_argument("dynamics", metavar="B", help=".dsz whose motion, times and sound to use")
    _add_made_options(parser)


def _describe_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--content", metavar="A", help=".dsz whose content to use (drawn)")
    parser.add_argument("--dynamics", metavar="B", help=".dsz whose motion to use (drawn)")
    parser.add_argument(
        "--frames", metavar="N", type=Whole(1), help="frames to draw (as many as A, or 32)"
    )
    parser.add_argument(
        "--seed", metavar="S", type=Whole(0), default=0, help="another one draws another clip (0)"
    )
    parser.add_argument(
        "-q",
        dest="quality",
        metavar="Q",
        type=Whole(0, 100),
        default=50,
        help="how finely latents are quantized, where neither A nor B says (50)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="weights, where neither A nor B says (the first for small pictures)",
    )
    _add_made_options(parser)


def _describe_predict(parser: argparse.ArgumentParser) -> None:
    _add_source(parser)
    parser.add_argument("--frames", metavar="N", type=Whole(1), help="add N frames at the end")
    parser.add_argument(
        "--missing",
        metavar="A-B",
        type=checked(parse_frames),
        help="guess frames A to B, counted from 0, from those before and behind",
    )
    parser.add_argument(
        "--seed", metavar="S", type=Whole(0), help="draw what goes on (the likeliest is taken)"
    )
    _add_made_options(parser)


def _add_made_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", dest="output", metavar="OUT", required=True, help="OUT.dsz, or -")
    _add_limit_options(parser)
    _add_output_options(parser)


def _describe_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preset", metavar="NAME|TOML", help="natural, sprites, balls, tiny, or a file of your own"
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        nargs="+",
        default=[],
        help="videos, pictures, folders of them, packed files, folders of sprite sheets",
    )
    parser.add_argument(
        "--judge",
        dest="judged",
        metavar="PATH",
        nargs="+",
        default=[],
        help="clips that show how training goes (one in ten of --data, held out)",
    )
    parser.add_argument("-o", dest="output", metavar="DIR", required=True, help="the run's folder")
    parser.add_argument("--init", metavar="NAME|PATH", help="start from the weights of a model")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    parser.add_argument(
        "--max-minutes",
        metavar="N",
        type=checked(parse_minutes),
        default=inf,
        help="stop after so long; --resume goes on (no limit)",
    )
    _add_settings_option(parser, "change a setting of the preset, as clips.steps=2000")
    parser.add_argument("--threads", metavar="N", type=Whole(1), help="CPU threads (all cores)")
    _add_device_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    _add_json_option(parser)


def _describe_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        metavar="PATH",
        nargs="+",
        help="videos, pictures, folders of them, folders of sprite sheets",
    )
    parser.add_argument("-o", dest="output", metavar="OUT", required=True, help="OUT.safetensors")
    _add_settings_option(parser, "change how it is read, as data.max_side=640")
    _add_output_options(parser)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help=".dsz file, or - for standard input")


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", metavar="N", type=Whole(1), help="CPU threads (all cores)")
    _add_device_option(parser)
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="weights, see dsaecodec models (encode: what costs least; a .dsz names its own)",
    )


def _add_limit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-pixels",
        metavar="N",
        type=Whole(1),
        default=Limits.max_pixels,
        help=f"refuse a .dsz of larger pictures ({Limits.max_pixels}, 8K)",
    )
    parser.add_argument(
        "--max-frames",
        metavar="N",
        type=Whole(1),
        default=Limits.max_frames,
        help=f"refuse a .dsz of more frames ({Limits.max_frames})",
    )
    _add_memory_option(parser, "decoding")


def _add_memory_option(parser: argparse.ArgumentParser, work: str) -> None:
    parser.add_argument(
        "--max-memory",
        metavar="SIZE",
        type=checked(parse_size),
        help=f"refuse what {work} takes more memory by an estimate, as 500M, 2GiB (all there is)",
    )


def _add_settings_option(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help=f"{what}; may be repeated",
    )


def _add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute; auto: a CUDA GPU if there is one (auto)",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", dest="overwrite", action="store_true", help="replace the output")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    _add_json_option(parser)


def _add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", dest="as_json", action="store_true", help="report as JSON on standard output"
    )


class _Parser(argparse.ArgumentParser):
    """Reports mistakes as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see {self.prog} --help")
