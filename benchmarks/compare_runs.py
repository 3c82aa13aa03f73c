"""Models compared: `python benchmarks/compare_runs.py BEFORE AFTER…`, folders that rd_curve wrote.

Prints the BD-rate of our codec in each later run against the first, over the clips that both have.
This is how stages of training, a model and its successor, or a general and a specialised model
are compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.rd.bd import compare_clips, summarize
from benchmarks.rd.names import OURS
from benchmarks.rd.point import Point, read_points
from benchmarks.rd.tables import Table, markdown


def read_run(folder: Path, codec: str) -> list[Point]:
    """Points of one codec, named after the run, that are on its curve."""
    file = folder / "points.csv"
    points = read_points(file) if file.is_file() else []
    return [replace(p, codec=folder.name) for p in points if p.codec == codec and not p.matched]


def compare_runs(runs: Sequence[list[Point]], *, per_clip: bool = False) -> Table:
    """A row for each run after the first.

    Args:
        runs: see `read_run`; the first is the anchor.
        per_clip: a row for each clip as well.
    """
    anchor = "anchor"
    first = [replace(point, codec=anchor) for point in runs[0]]
    rows = [["run", "clips", "BD-rate RGB", "95 % interval", "BD-rate YUV 6:1:1", "overlap"]]
    for run in runs[1:]:
        points = [*first, *run]
        (rgb,), (yuv,) = (summarize(points, anchor, metric) for metric in ("psnr_rgb", "psnr_yuv"))
        between = (
            "–" if rgb.low is None or rgb.high is None else f"{rgb.low:+.1f} … {rgb.high:+.1f}"
        )
        rows.append(
            [run[0].codec, str(rgb.clips), _percent(rgb.mean), between, _percent(yuv.mean),
             f"{rgb.overlap:.0%}"]
        )  # fmt: skip
        if per_clip:
            by_metric = [
                compare_clips(points, anchor, metric)[run[0].codec]
                for metric in ("psnr_rgb", "psnr_yuv")
            ]
            for clip, found in by_metric[0].items():
                yuv_rate = by_metric[1][clip].bd_rate_percent
                rows.append(
                    [clip, "1", _percent(found.bd_rate_percent), "–", _percent(yuv_rate),
                     f"{found.overlap:.0%}"]
                )  # fmt: skip
    return rows


def _percent(rate: float | None) -> str:
    return "no overlap" if rate is None else f"{rate:+.1f} %"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="the first is the anchor")
    parser.add_argument("--codec", default=OURS, help=f"which codec's points ({OURS})")
    parser.add_argument("--per-clip", action="store_true", help="a row for each clip as well")
    args = parser.parse_args(argv)
    runs = [read_run(folder, args.codec) for folder in args.runs]
    empty = [str(folder) for folder, run in zip(args.runs, runs, strict=True) if not run]
    if empty or len(runs) < 2:
        parser.error(f"no points of {args.codec} in {', '.join(empty)}" if empty else "two runs")
    print(markdown(compare_runs(runs, per_clip=args.per_clip)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
