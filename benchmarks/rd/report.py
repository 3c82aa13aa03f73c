"""One HTML file with everything a run found; it needs nothing else, no network and no script."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.rd import tables
from benchmarks.rd.complexity import Complexity
from benchmarks.rd.crops import Crop
from benchmarks.rd.names import ANCHOR, OURS
from benchmarks.rd.point import Note, Point
from benchmarks.rd.provenance import Setup
from benchmarks.rd.tables import Table, of_group

_SHOWN_AT_LEAST = 176  # CSS pixels a crop is wide: the first whole multiple of its own

_MOST_ZOOM = 1.4
_LEAST_ZOOM = 0.8  # of a drawing; on a narrow screen it scrolls rather than becoming illegible

_DEFINITIONS = (
    ("rate", "Bytes. Of ours the whole file, header and checksums included; of x264, x265, VP9, "
     "SVT-AV1 and MPEG-2 the elementary stream without container and without the encoder's banner "
     "(SEI), parsed from the stream and then decoded from these very bytes. bpp = 8 · bytes / "
     "(frames · height · width)."),
    ("frames", "All codecs get the same frames, uncropped. Ordinary video is 8-bit 4:2:0. Pixel "
     "art is RGB: codecs that know 4:4:4 get that (BT.709, full range), others 4:2:0, which their "
     "settings say."),
    ("PSNR", "Mean over frames of each frame's PSNR on 8-bit samples: RGB, one error over three "
     "channels; YUV 6:1:1, (6 · Y + U + V) / 8. Identical pictures count as 100 dB."),
    ("MS-SSIM", "Mean over frames and RGB channels, five scales, for pictures above 160 pixels. "
     "Its BD-rate uses -10 · log10(1 - MS-SSIM)."),
    ("BD-rate", "Mean difference in rate at equal quality, of each clip, then averaged over "
     "clips; below 0 a codec needs fewer bytes than the anchor. Akima interpolation unless PCHIP "
     "is said; the interval is that of the mean, by bootstrap over clips. The overlap is the "
     "share of both curves' range of dB over which they could be compared. “no overlap”: they "
     "share less than 5 % of it, or one has fewer than four points; –: not measured. dB at equal "
     "bytes is the mean distance above the anchor at those points that lie within its range of "
     "rates."),
    ("memory", "“The prior's memory saves”: bits that the same dynamics would cost more if "
     "the recurrent prior forgot the frames before."),
    ("times", "Speeds come from the table of costs: each codec alone, encoder and decoder in "
     "processes of their own. Times in points.csv were taken beside other jobs."),
)  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """What a report shows.

    Attributes:
        points: coded clips.
        notes: why some are missing.
        crops: pictures at equal rate.
        costs: speed, memory and size.
        labels: codecs' names for people.
        setup: what the run was.
    """

    points: Sequence[Point]
    notes: Sequence[Note]
    crops: Sequence[Crop]
    costs: Sequence[Complexity]
    labels: Mapping[str, str]
    setup: Setup


def write_report(path: Path, found: Findings, curves: Path, clips: Mapping[str, Path]) -> None:
    """Write the report.

    Args:
        path: of the HTML file.
        found: what it shows.
        curves: an SVG of the mean curves.
        clips: an SVG of every clip's curves, by group.
    """
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    groups = tables.groups_of(found.points)
    places = [(f"set-{i}", group) for i, group in enumerate(groups)]
    places += [("costs", "costs")] if found.costs else []
    places += [("missing", "what is missing")] if found.notes else []
    places += [("settings", "settings"), ("definitions", "how to read this")]
    links = " ".join(f'<a href="#{place}">{escape(text)}</a>' for place, text in places)
    body = [
        f"<header><h1>Rate and distortion of {OURS} and other codecs</h1>",
        f'<p class="soft">{escape(_summary(found))}</p>',
        f"<nav>{links}</nav></header><main>",
        *_in_short(found, groups),
        _plot(curves, "Mean over the clips of each set; up and to the left is better.", "mean"),
    ]
    for index, group in enumerate(groups):
        body += _group(found, index, group, clips.get(group))
    body += _costs(found) + _notes(found) + _settings(found) + _definitions() + _setup(found.setup)
    path.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{OURS}: rate and distortion</title><style>{style}</style></head>\n<body>"
        + "\n".join(body)
        + "</main></body></html>\n",
        encoding="utf-8",
    )


def _summary(found: Findings) -> str:
    clips = {(point.group, point.clip) for point in found.points}
    codecs = {point.codec for point in found.points}
    return (
        f"{len(clips)} clips, {len(codecs)} codecs, {len(found.points)} coded files, "
        f"{found.setup.date}, commit {found.setup.commit}, weights {found.setup.model}."
    )


def _in_short(found: Findings, groups: Sequence[str]) -> list[str]:
    lines = {g: tables.in_short(of_group(found.points, g), found.labels) for g in groups}
    items = [f"<dt>{escape(g)}</dt><dd>{escape(line)}</dd>" for g, line in lines.items() if line]
    return ['<dl class="short">', *items, "</dl>"] if items else []


def _group(found: Findings, index: int, group: str, clips: Path | None) -> list[str]:
    points = of_group(found.points, group)
    labels = found.labels
    anchor = labels.get(ANCHOR, ANCHOR)
    out = [f'<section id="set-{index}"><h2>{escape(group)}</h2>']
    if any(point.codec == ANCHOR for point in points):
        caption = f"BD-rate against {anchor}, mean of clips; less is better"
        out.append(_table(tables.bd_table(points, labels), caption, ours=labels.get(OURS, OURS)))
    wins = tables.winners(points, labels)
    if wins:
        out.append("<h3>Where others win, and where they do not</h3><ul>")
        out += [f"<li>{escape(line)}</li>" for line in wins] + ["</ul>"]
    if any(point.content_bits is not None for point in points):
        out.append("<h3>What our bits go to</h3>")
        out.append(_table(tables.latents_table(points), "bits a pixel, mean of clips"))
        worth = tables.worth_of_content(points)
        out.append(f"<p>{escape(worth)}</p>" if worth else "")
    shown = [crop for crop in found.crops if crop.group == group]
    if shown:
        out.append("<h3>At equal rate</h3>")
        out.append(f"<p>{_CHOICE}</p>")
        out += [_crops(list(part), labels) for _, part in groupby(shown, lambda c: c.clip)]
    if clips:
        plot = _plot(clips, "PSNR RGB over rate, a panel a clip", f"clips{index}")
        out.append(f"<details><summary>Curves of every clip</summary>{plot}</details>")
    if any(point.codec == ANCHOR for point in points):
        table = _table(
            tables.clips_table(points, labels),
            f"BD-rate against {anchor}, RGB, Akima, %; in brackets dB at equal bytes "
            "where there is none",
        )
        out.append(f"<details><summary>BD-rate of every clip</summary>{table}</details>")
    means = _table(tables.means_table(points, labels), "mean of clips")
    out.append(f"<details><summary>Points of the mean curves</summary>{means}</details></section>")
    return out


_CHOICE = (
    "The clips where we do best, middling and worst against the anchor; the middle frame, cut "
    "where the clip moves most. Every codec as near to the bytes of our middle quality as it gets; "
    "in brackets how far its clip is from ours."
)


def _crops(crops: list[Crop], labels: Mapping[str, str]) -> str:
    ours = next((crop.bytes for crop in crops if crop.codec == OURS), 0)
    figures = []
    for crop in crops:
        label = labels.get(crop.codec, crop.codec)
        mark = ' class="ours"' if crop.codec == OURS else ""
        alt = escape(f"{crop.clip}, frame {crop.frame}: {label}")
        text = f"{escape(label)}{_rate(crop, ours)}"
        image = _picture(crop.picture, alt)
        figures.append(f"<figure{mark}>{image}<figcaption>{text}</figcaption></figure>")
    heading = f"<p><strong>{escape(crops[0].clip)}</strong>, frame {crops[0].frame}</p>"
    return heading + '<div class="crops">' + "".join(figures) + "</div>"


def _rate(crop: Crop, ours: int) -> str:
    if crop.codec == "original":
        return ""
    other = f" ({100 * (crop.bytes / ours - 1):+.0f} %)" if ours and crop.codec != OURS else ""
    return f"<br>{crop.bytes:,} B{other}, {crop.psnr_rgb:.2f} dB"


def _picture(picture: NDArray[np.uint8], alt: str) -> str:
    """A picture, lossless, shown at a whole multiple of its size: no pixel wider than others."""
    height, width = picture.shape[:2]
    scale = max(1, -(-_SHOWN_AT_LEAST // width))
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "WEBP", lossless=True)
    source = "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode()
    size = f'width="{scale * width}" height="{scale * height}"'
    return f'<img src="{source}" alt="{alt}" {size}>'


def _plot(path: Path, caption: str, name: str) -> str:
    """A drawing within the page.

    Args:
        path: of the SVG.
        caption: below it.
        name: put before its identifiers, which are unique in a drawing only.
    """
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    width = float(svg.split('width="', 1)[1].split("pt", 1)[0])
    limits = f"min-width:{_LEAST_ZOOM * width:.0f}pt;max-width:{_MOST_ZOOM * width:.0f}pt"
    head = f'<svg role="img" aria-label="{escape(caption)}" style="{limits}"'
    svg = svg.replace("<svg", head, 1)
    return (
        f'<figure><div class="plot">{svg}</div><figcaption>{escape(caption)}</figcaption></figure>'
    )


def _table(table: Table, caption: str, ours: str | None = None, kind: str = "") -> str:
    """A table, scrolled within its own box; the row of `ours` stands out."""
    head, *rows = table
    cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    out = [f'<figure class="table {kind}"><figcaption>{escape(caption)}</figcaption>']
    out.append(f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>')
    for first, *rest in rows:
        mark = ' class="ours"' if first == ours else ""
        texts = "".join(f"<td{_kind(cell)}>{escape(cell)}</td>" for cell in rest)
        wide = ' class="long"' if len(first) > 24 else ""
        out.append(f'<tr{mark}><th scope="row"{wide}>{escape(first)}</th>{texts}</tr>')
    return "".join(out) + "</tbody></table></div></figure>"


def _kind(cell: str) -> str:
    """Long cells are sentences, which may wrap."""
    return ' class="text"' if len(cell) > 40 else ""


def _costs(found: Findings) -> list[str]:
    if not found.costs:
        return []
    threads = found.costs[0].threads
    caption = (
        f"{threads} threads, each codec alone; imports and first use excluded; memory above what "
        "the process held before"
    )
    table = _table(
        tables.complexity_table(found.costs, found.labels), caption, found.labels.get(OURS, OURS)
    )
    return ['<section id="costs"><h2>Speed, size and memory</h2>', table, "</section>"]


def _notes(found: Findings) -> list[str]:
    if not found.notes:
        return []
    rows = tables.notes_table(found.notes, found.labels)
    table = _table(rows, "what is not in the tables", kind="words")
    return ['<section id="missing"><h2>What is missing, and why</h2>', table, "</section>"]


def _settings(found: Findings) -> list[str]:
    """Of each codec those at its first quality; of sets that differ, each."""
    out = ['<section id="settings"><h2>Settings</h2>']
    out.append('<p class="soft">At one quality; settings.csv has all.</p><dl>')
    for codec in dict.fromkeys(point.codec for point in found.points):
        mine = [p for p in found.points if p.codec == codec and not p.matched]
        texts = dict.fromkeys(p.settings for p in mine if p.quality == mine[0].quality)
        out.append(f"<dt>{escape(found.labels.get(codec, codec))}</dt>")
        out += [f"<dd><code>{escape(text)}</code></dd>" for text in texts]
    return [*out, "</dl></section>"]


def _definitions() -> list[str]:
    out = ['<section id="definitions"><h2>How to read this</h2><dl>']
    out += [f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in _DEFINITIONS]
    return [*out, "</dl></section>"]


def _setup(setup: Setup) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in setup.versions.items())
    facts = {
        "command": setup.command,
        "commit": setup.commit,
        "weights": setup.model,
        "date": setup.date,
        "machine": f"{setup.machine}; {setup.processes} jobs at once",
        "versions": versions,
    }
    rows = "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return [f"<section><h2>This run</h2><dl>{rows}</dl></section>"]
