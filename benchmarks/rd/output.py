"""The files that a run leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rd import tables
from benchmarks.rd.codec import Codec
from benchmarks.rd.complexity import Complexity, write_complexity
from benchmarks.rd.crops import Crop
from benchmarks.rd.names import ANCHOR
from benchmarks.rd.plots import draw_clips, draw_curves
from benchmarks.rd.point import Note, Point, write_points, write_settings
from benchmarks.rd.provenance import Setup
from benchmarks.rd.report import Findings, write_report
from benchmarks.rd.tables import markdown, of_group


def write_results(
    out: Path,
    points: Sequence[Point],
    notes: Sequence[Note],
    crops: Sequence[Crop],
    costs: Sequence[Complexity],
    codecs: Sequence[Codec],
    setup: Setup,
) -> None:
    """Write points, plots, tables and the report into a folder."""
    labels = {codec.name: codec.label for codec in codecs}
    found = Findings(points, notes, crops, costs, labels, setup)
    write_points(out / "points.csv", [point for point in points if not point.matched])
    write_settings(out / "settings.csv", points)
    setup.write(out / "run.json")
    if costs:
        write_complexity(out / "complexity.csv", costs)
    (out / "tables.md").write_text(format_tables(found), encoding="utf-8")
    draw_curves(points, labels, out / "rd_curve")
    with TemporaryDirectory() as folder:
        clips = {}
        for index, group in enumerate(tables.groups_of(points)):
            clips[group] = Path(folder, f"clips-{index}.svg")
            draw_clips(of_group(points, group), labels, clips[group])
        write_report(out / "report.html", found, out / "rd_curve.svg", clips)


def format_tables(found: Findings) -> str:
    """The tables of a run in Markdown."""
    setup, labels = found.setup, found.labels
    out = [
        f"`{setup.command}`",
        f"Commit {setup.commit}, weights {setup.model}, {setup.date}. {setup.machine}; "
        f"{setup.processes} jobs at once.",
    ]
    if setup.others:
        out.append(f"Points of other codecs: {setup.others}.")
    for group in tables.groups_of(found.points):
        points = of_group(found.points, group)
        out.append(f"## {group}")
        if any(point.codec == ANCHOR for point in points):
            anchor = labels.get(ANCHOR, ANCHOR)
            out.append(f"BD-rate against {anchor}, RGB PSNR by Akima unless said, mean of clips:")
            out.append(markdown(tables.bd_table(points, labels)))
        wins = tables.winners(points, labels)
        if wins:
            out.append("\n".join(f"- {line}" for line in wins))
        if any(point.content_bits is not None for point in points):
            out.append("What our bits go to, bits a pixel, mean of clips:")
            out += [markdown(tables.latents_table(points)), tables.worth_of_content(points)]
        if any(point.codec == ANCHOR for point in points):
            out.append("BD-rate of every clip (in brackets dB at equal bytes where there is none):")
            out.append(markdown(tables.clips_table(points, labels)))
        out.append("Means over clips:")
        out.append(markdown(tables.means_table(points, labels)))
    if found.costs:
        out.append(f"## Speed, size and memory, {found.costs[0].threads} threads")
        out.append(markdown(tables.complexity_table(found.costs, labels)))
    if found.notes:
        out.append("## What is missing, and why")
        out.append(markdown(tables.notes_table(found.notes, labels)))
    return "\n\n".join(part for part in out if part) + "\n"
