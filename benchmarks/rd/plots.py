"""Rate-distortion curves, labelled at their ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.rd.bd import Metric
from benchmarks.rd.names import OURS
from benchmarks.rd.point import Point
from benchmarks.rd.tables import groups_of, mean_points, of_group
from dsaecodec.metrics import MAX_PSNR_DB

Labels = Mapping[str, str]

# Okabe and Ito's colours, told apart by colour-blind readers too; a family has one, its presets
# differ by dashes
_FAMILIES: tuple[tuple[str, str], ...] = (
    ("dsaecodec", "#d55e00"),
    ("x264", "#767676"),
    ("x265", "#0072b2"),
    ("vp9", "#56b4e9"),
    ("av1", "#009e73"),
    ("mpeg2", "#a3a3a3"),
    ("lstm", "#cc79a7"),
    ("pca", "#b8860b"),
    ("webp", "#222222"),
)
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2)))
_AXES: dict[Metric, str] = {
    "psnr_rgb": "PSNR RGB, dB",
    "psnr_yuv": "PSNR YUV 6:1:1, dB",
    "ms_ssim": "MS-SSIM",
}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "svg.fonttype": "none",
    "svg.hashsalt": "dsaecodec",
    "text.parse_math": False,  # a dollar in the name of a clip is a dollar
}
_COLUMNS = 2  # more would make letters too small on a page
_TITLE_PAD = 16.0  # points, a line for what is above the range of dB


def draw_curves(
    points: Sequence[Point], labels: Labels, stem: Path, metric: Metric = "psnr_rgb"
) -> None:
    """Write STEM.png and STEM.svg: a panel a group, the mean over clips of each codec."""
    groups = [g for g in groups_of(points) if _has(of_group(points, g), metric)]
    with plt.rc_context(_STYLE):
        figure, panels = _panels(len(groups), width=7.0, height=4.4)
        for axes, group in zip(panels, groups, strict=False):
            part = of_group(points, group)
            _panel(axes, part, labels, metric)
            axes.set_title(_title(group, part), loc="left", fontweight="bold", pad=_TITLE_PAD)
        figure.savefig(stem.with_suffix(".png"), dpi=130, metadata={"Software": None})
        _save_svg(figure, stem.with_suffix(".svg"))


def draw_clips(
    points: Sequence[Point], labels: Labels, path: Path, metric: Metric = "psnr_rgb"
) -> None:
    """Write an SVG of one group, a panel a clip."""
    clips = sorted({point.clip for point in points})
    with plt.rc_context(_STYLE):
        figure, panels = _panels(len(clips), width=6.6, height=3.9)
        for axes, clip in zip(panels, clips, strict=False):
            _panel(axes, [p for p in points if p.clip == clip], labels, metric)
            axes.set_title(clip, loc="left", fontsize=9, pad=_TITLE_PAD)
        _save_svg(figure, path)


def _panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of panels of a size in inches, each with a margin for names on its right."""
    columns = min(_COLUMNS, max(1, count))
    rows = -(-max(1, count) // columns)
    figure = plt.figure(figsize=(width * columns, height * rows))
    left, right, bottom, top = 0.65, 2.4, 0.5, 0.5  # inches around the axes
    found = []
    for index in range(count):
        row, column = divmod(index, columns)
        x, y = width * column + left, height * (rows - 1 - row) + bottom
        wide, high = width * columns, height * rows
        size = (width - left - right) / wide, (height - bottom - top) / high
        found.append(figure.add_axes((x / wide, y / high, *size)))
    return figure, found


def colour_of(codec: str) -> str:
    """The colour of a codec's family."""
    return next((c for family, c in _FAMILIES if codec.startswith(family)), "#6a4c93")


def _ink(colour: str) -> tuple[float, ...]:
    """A colour dark enough for letters on white."""
    return tuple(0.72 * part for part in to_rgb(colour))


def _panel(axes: Axes, points: Sequence[Point], labels: Labels, metric: Metric) -> None:
    ends: list[tuple[float, float, str, str]] = []  # rate, value, label, codec
    used: dict[str, int] = {}
    lossless: list[tuple[float, str, str]] = []
    num_clips = len({point.clip for point in points})
    for codec in dict.fromkeys(point.codec for point in points):
        colour, label = colour_of(codec), labels.get(codec, codec)
        parts = mean_points(points, codec)
        if parts and len(parts[0]) < num_clips:
            label += f" ({len(parts[0])} of {num_clips} clips)"
        curve = [(_mean(p, "bpp"), _mean(p, metric)) for p in parts if _has(p, metric)]
        if metric != "ms_ssim" and any(db >= MAX_PSNR_DB for _, db in curve):
            lossless.append((curve[0][0], f"{label}: {curve[0][0]:.3g} bpp", colour))
            continue
        if not curve:
            continue
        dashes = _DASHES[min(used.get(colour, 0), len(_DASHES) - 1)]
        used[colour] = used.get(colour, 0) + 1
        ours = codec == OURS
        rate, value = zip(*curve, strict=True)
        axes.plot(
            rate, value, color=colour, linestyle=dashes, marker="o",
            markersize=5 if ours else 2.5, linewidth=2.8 if ours else 1.3, zorder=3 if ours else 2,
        )  # fmt: skip
        ends.append((rate[-1], value[-1], label, codec))
    axes.set_xscale("log")
    axes.set_xlabel(_rate_label(points))
    axes.set_ylabel(_AXES[metric])
    axes.grid(alpha=0.25, which="both", linewidth=0.5)
    _mark_lossless(axes, lossless)
    first, last = axes.get_xlim()
    steps = (1.0, 2.0, 5.0) if last / first < 200 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(10, subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _label_ends(axes, ends)


def _label_ends(axes: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Names in the right margin, in the order of the curves' ends and never over one another."""
    if not ends:
        return
    low, high = axes.get_ylim()
    ends = sorted(ends, key=lambda end: end[1])
    places = spread([value for _, value, _, _ in ends], low, high)
    # drawn as plain lines in data coordinates: arrows of annotations take seconds a figure
    first, last = (math.log10(x) for x in axes.get_xlim())
    start, stop = (10 ** (first + share * (last - first)) for share in (1.0, 1.035))
    for (rate, value, label, codec), place in zip(ends, places, strict=True):
        colour = colour_of(codec)
        axes.plot(
            (rate, start, stop), (value, place, place), color=colour, alpha=0.4, linewidth=0.7,
            clip_on=False, zorder=1,
        )  # fmt: skip
        axes.text(
            stop, place, f" {label}", color=_ink(colour), va="center", fontsize=8.5,
            weight="bold" if codec == OURS else "normal",
        )  # fmt: skip
    axes.set_xlim(10**first, 10**last)
    axes.set_ylim(low, high)


def spread(values: Sequence[float], low: float, high: float) -> list[float]:
    """Places for labels, rising values within low…high given, as near to them as there is room.

    Least squares under a least gap, by pooling adjacent violators.
    """
    gap = (high - low) / max(20, len(values))
    pools: list[tuple[float, int]] = []  # mean place of the first of all labels, and how many
    for index, value in enumerate(values):
        mean, count = value - index * gap, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean = (mean * count + other * others) / (count + others)
            count += others
        pools.append((mean, count))
    last = high - (len(values) - 1) * gap
    firsts = [min(max(mean, low), last) for mean, count in pools for _ in range(count)]
    return [first + index * gap for index, first in enumerate(firsts)]


def _mark_lossless(axes: Axes, found: Sequence[tuple[float, str, str]]) -> None:
    """Triangles on the upper edge: a picture without loss has no place on a scale of dB."""
    above = axes.get_xaxis_transform()
    for rate, _, colour in found:
        axes.plot([rate], [1.0], "^", color=colour, transform=above, zorder=4, clip_on=False)
    first, last = axes.get_xlim()
    for rate, label, colour in found:
        right = math.log(rate / first) > 0.5 * math.log(last / first)
        axes.annotate(
            label, (rate, 1.0), xycoords=above, xytext=(-6 if right else 6, 4),
            ha="right" if right else "left", textcoords="offset points", fontsize=8,
            color=_ink(colour), annotation_clip=False,
        )  # fmt: skip


def _rate_label(points: Sequence[Point]) -> str:
    pixels = {point.frames * point.height * point.width for point in points}
    if len(pixels) > 1:
        return "bits a pixel (log)"
    return f"bits a pixel (log); 0.1 is {0.1 * pixels.pop() / 8:,.0f} bytes a clip"


def _title(group: str, points: Sequence[Point]) -> str:
    clips = {point.clip for point in points}
    sizes = {(p.width, p.height) for p in points}
    width, height = max(sizes)
    size = f"{width}×{height}" if len(sizes) == 1 else f"up to {width}×{height}"
    frames = {p.frames for p in points}
    length = f"{frames.pop()} frames" if len(frames) == 1 else f"{min(frames)}–{max(frames)} frames"
    return f"{group}: mean of {len(clips)} clips, {size}, {length}"


def _has(points: Sequence[Point], metric: Metric) -> bool:
    return bool(points) and all(getattr(point, metric) is not None for point in points)


def _mean(points: Sequence[Point], name: str) -> float:
    return float(np.mean([getattr(point, name) for point in points]))


def _save_svg(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
