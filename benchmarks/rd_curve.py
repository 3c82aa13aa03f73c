"""Rate and distortion of dsaecodec beside other codecs: `python benchmarks/rd_curve.py`.

Without arguments: clips that are drawn here (pixel characters, bouncing balls, moving layers),
about ten minutes on two cores. With `--clips DIR`: any folder of footage. Results are kept by
content, so a second run measures only what is new.

Written into the output folder: points.csv (a row a coded clip), rd_curve.png and .svg, tables.md,
report.html (everything in one file, pictures included), complexity.csv and run.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.rd.cache import Cache
from benchmarks.rd.clip import Clip
from benchmarks.rd.codec import Codec
from benchmarks.rd.codecs.peer import speed_peers
from benchmarks.rd.complexity import Complexity
from benchmarks.rd.costs import measure_costs
from benchmarks.rd.crops import Crop
from benchmarks.rd.display import Display
from benchmarks.rd.earlier import EarlierRun
from benchmarks.rd.matching import plan_matches
from benchmarks.rd.output import write_results
from benchmarks.rd.point import Note, Point
from benchmarks.rd.provenance import describe_run
from benchmarks.rd.registry import all_codecs, choose, choose_qualities
from benchmarks.rd.run import plan_jobs, run_jobs
from benchmarks.rd.sources import FULL, QUICK, drawn_clips, footage_clips, sprites_clips
from dsaecodec.errors import CodecError, OutputError, UsageError
from dsaecodec.model_io import load_model


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", metavar="DIR", help="folders of footage, a table each")
    add(
        "--set",
        choices=("drawn", "sprites", "natural"),
        help="drawn clips (without --clips), "
        "the Sprites of Li & Mandt from the folder of sheets in --clips, or footage (with --clips)",
    )
    add("--codecs", nargs="+", metavar="NAME", help="only these, and the anchor x264-medium")
    add(
        "--qualities",
        nargs="+",
        default=[],
        metavar="Q,Q,…",
        help="15,30,45 for ours, x265-medium=22,28,34 for another",
    )
    add("--full", action="store_true", help="more clips and qualities, whole clips, more codecs")
    add("--frames", type=int, metavar="N", help="of a clip of footage at most (64, --full: all)")
    add("--model", metavar="NAME|PATH", help="weights of ours")
    add(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="a model of CompressAI with its checkpoint, ssf2020=PATH; again for more points",
    )
    add("-o", "--out", type=Path, default=Path("benchmarks/out"), metavar="DIR")
    add(
        "--others",
        type=Path,
        metavar="DIR",
        help="take points of other codecs from an earlier run's folder where clip, quality and "
        "settings agree; no pictures at equal rate then",
    )
    add("--cache", type=Path, metavar="DIR", help="where results are kept (OUT/cache)")
    add(
        "--jobs",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="points measured at once (2), one thread each",
    )
    add("--threads", type=int, default=2, metavar="N", help="of the table of speeds (2)")
    add("--no-complexity", action="store_true", help="leave out speeds and memory")
    add("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    args.set = args.set or ("natural" if args.clips else "drawn")
    if args.set != "drawn" and not args.clips:
        parser.error(f"--set {args.set} needs --clips DIR")
    if args.set == "drawn" and args.clips:
        parser.error("--set drawn takes no --clips")
    for name in ("jobs", "threads", "frames"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name}: expected at least 1")
    return args


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of the description."""


def load_clips(args: argparse.Namespace) -> tuple[list[Clip], list[Note]]:
    """The clips of a run, and why some are missing."""
    amount = FULL if args.full else QUICK
    if args.set == "drawn":
        return list(drawn_clips(amount)), []
    if args.set == "sprites":
        return [clip for folder in args.clips for clip in sprites_clips(folder, amount)], []
    found = list(footage_clips(args.clips, args.frames or amount.frames))
    clips = [item for item in found if isinstance(item, Clip)]
    notes = [item for item in found if isinstance(item, Note)]
    if not clips:
        raise UsageError("no readable clip: " + "; ".join(f"{n.clip}: {n.text}" for n in notes))
    return clips, notes


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Measure and write; returns the exit code."""
    footage = args.set == "natural"
    codecs = all_codecs(args.model, args.peer)
    codecs = choose(codecs, args.codecs, full=args.full, footage=footage)
    qualities = choose_qualities(codecs, args.qualities, args.full)
    identity = load_model(args.model, "cpu").identity.hex()
    clips, notes = load_clips(args)
    cache = Cache(args.cache or args.out / "cache")
    args.out.mkdir(parents=True, exist_ok=True)
    with Display(args.quiet) as display:
        jobs = plan_jobs(clips, codecs, qualities)
        earlier = EarlierRun(args.others) if args.others else None
        found = [earlier.find(job) if earlier else None for job in jobs]
        known = [point for point in found if point]
        jobs = [job for job, point in zip(jobs, found, strict=True) if not point]
        display.begin("coding", len(jobs))
        results = run_jobs(jobs, args.jobs, cache, display.step)
        crops: list[Crop] = []
        if earlier is None:
            matching = plan_matches(clips, codecs, results.measured)
            display.begin("at equal rate", len(matching.jobs))
            results = results.with_more(run_jobs(matching.jobs, args.jobs, cache, display.step))
            crops = matching.crops(results.measured)
        costs: list[Complexity] = []
        if not args.no_complexity:
            display.begin("speed", len(codecs) + 1)
            costs = measure_costs([*codecs, *speed_peers()], args.threads, cache, display.advance)
    setup = describe_run(list(argv), identity, args.jobs, earlier.origin if earlier else "")
    points = _in_order([one.point for one in results.measured] + known, clips, codecs)
    write_results(args.out, points, notes + results.notes, crops, costs, codecs, setup)
    print(f"rd_curve: {args.out / 'report.html'}", file=sys.stderr)
    return 1 if results.failures else 0


def _in_order(
    points: Sequence[Point], clips: Sequence[Clip], codecs: Sequence[Codec]
) -> list[Point]:
    """Points as one run would have them, clip after clip; those at equal rate come last."""
    names = [(clip.group, clip.name) for clip in clips]
    order = [codec.name for codec in codecs]
    return sorted(
        points, key=lambda p: (p.matched, names.index((p.group, p.clip)), order.index(p.codec))
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_arguments(argv)
    try:
        return run(args, argv)
    except CodecError as error:
        print(f"rd_curve: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"rd_curve: {error.filename or args.out}: {error.strerror}", file=sys.stderr)
        return OutputError.exit_code
    except KeyboardInterrupt:
        print("rd_curve: stopped; run again to go on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
