"""What a run found, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmarks.rd.bd import Comparison, Curve, Summary, compare_clips, curves, summarize
from benchmarks.rd.complexity import Complexity
from benchmarks.rd.names import ABLATION, ANCHOR, OURS
from benchmarks.rd.point import Note, Point

Labels = Mapping[str, str]
Table = list[list[str]]
"""Rows of cells, the first of them the heading."""

NONE = "–"


def groups_of(points: Iterable[Point]) -> list[str]:
    """Groups in the order in which they were coded."""
    return list(dict.fromkeys(point.group for point in points))


def of_group(points: Iterable[Point], group: str) -> list[Point]:
    """A group's points, those that only pictures use left out."""
    return [point for point in points if point.group == group and not point.matched]


def bd_table(points: Sequence[Point], labels: Labels) -> Table:
    """One group: every codec against the anchor, best first."""
    akima = summarize(points, ANCHOR)
    others = [
        {s.codec: s for s in summarize(points, ANCHOR, *how)}
        for how in (("psnr_rgb", "pchip"), ("psnr_yuv", "akima"), ("ms_ssim", "akima"))
    ]
    rows = [
        ["codec", "BD-rate RGB", "95 % interval", "RGB, PCHIP", "YUV 6:1:1", "MS-SSIM", "overlap",
         "clips", "dB at equal bytes"]
    ]  # fmt: skip
    for summary in akima:
        pchip, yuv, similarity = (
            _percent(other.get(summary.codec), summary.clips) for other in others
        )
        total = summary.clips + summary.missing
        rows.append([
            labels.get(summary.codec, summary.codec),
            _percent(summary, summary.clips),
            f"{summary.low:+.1f} … {summary.high:+.1f}" if summary.low is not None
            and summary.high is not None else NONE,
            pchip, yuv, similarity,
            f"{100 * summary.overlap:.0f} %" if summary.clips else "none",
            f"{summary.clips} of {total}",
            NONE if summary.db_at_equal_bytes is None else f"{summary.db_at_equal_bytes:+.2f}",
        ])  # fmt: skip
    return rows


def _percent(summary: Summary | None, clips: int) -> str:
    """A mean BD-rate; behind it of how many clips, where that is not the row's number."""
    if summary is None:
        return NONE
    if summary.mean is None:
        return "no overlap"
    return f"{summary.mean:+.1f} %" + ("" if summary.clips == clips else f" ({summary.clips})")


def in_short(points: Sequence[Point], labels: Labels) -> str:
    """One group in a sentence: our BD-rate and the lowest; "" where ours has none."""
    found = [summary for summary in summarize(points, ANCHOR) if summary.mean is not None]
    ours = next((summary for summary in found if summary.codec == OURS), None)
    if ours is None or ours.mean is None:
        return ""
    text = (
        f"{labels.get(OURS, OURS)} needs {_more(ours.mean)} bytes than "
        f"{labels.get(ANCHOR, ANCHOR)} for the same PSNR ({_of_clips(ours)})"
    )
    best = found[0]
    if best.mean is None or best.mean >= 0:
        return f"{text}; no codec with a BD-rate needs fewer."
    if best is ours:
        return f"{text}, the fewest of all with a BD-rate."
    label = labels.get(best.codec, best.codec)
    return f"{text}; fewest needs {label}: {_more(best.mean)} ({_of_clips(best)})."


def _of_clips(summary: Summary) -> str:
    total = summary.clips + summary.missing
    if summary.missing:
        return f"mean of the {summary.clips} of {total} clips that share a range of PSNR"
    return f"mean of {total} clips"


def clips_table(points: Sequence[Point], labels: Labels) -> Table:
    """One group: BD-rate (RGB, Akima) of every codec on every clip, per cent."""
    found = compare_clips(points, ANCHOR)
    codecs = [s.codec for s in summarize(points, ANCHOR)]
    rows = [["clip", *(labels.get(codec, codec) for codec in codecs)]]
    for clip in sorted({point.clip for point in points}):
        cells = []
        for codec in codecs:
            one = found[codec].get(clip)
            rate = one.bd_rate_percent if one else None
            gain = one.db_at_equal_bytes if one else None
            cell = NONE if gain is None else f"({gain:+.1f} dB)"
            cells.append(cell if rate is None else f"{rate:+.1f}")
        rows.append([clip, *cells])
    return rows


def means_table(points: Sequence[Point], labels: Labels) -> Table:
    """One group: mean over clips of each codec at each quality of which it has all clips."""
    rows = [["codec", "quality", "clips", "bytes", "bpp", "PSNR RGB", "PSNR YUV", "MS-SSIM"]]
    for codec in dict.fromkeys(point.codec for point in points):
        for part in mean_points(points, codec):
            similar = [p.ms_ssim for p in part]
            similarity = NONE if None in similar else f"{_mean(p.ms_ssim for p in part):.4f}"
            rows.append([
                labels.get(codec, codec), f"{part[0].quality:g}", f"{len(part)}",
                f"{_mean(p.bytes for p in part):,.0f}", f"{_mean(p.bpp for p in part):.4f}",
                f"{_mean(p.psnr_rgb for p in part):.2f}",
                f"{_mean(p.psnr_yuv for p in part):.2f}", similarity,
            ])  # fmt: skip
    return rows


def mean_points(points: Sequence[Point], codec: str) -> list[list[Point]]:
    """A codec's points of one group by quality, as rate rises, where it coded all its clips."""
    mine = [point for point in points if point.codec == codec]
    clips = {point.clip for point in mine}
    by_quality: dict[float, list[Point]] = {}
    for point in mine:
        by_quality.setdefault(point.quality, []).append(point)
    whole = [part for part in by_quality.values() if {p.clip for p in part} == clips]
    return sorted(whole, key=lambda part: _mean(p.bpp for p in part))


def latents_table(points: Sequence[Point]) -> Table:
    """One group: what the bits of our files went to, and what each latent is worth, bpp."""
    rows = [["quality", "bpp", "content f", "dynamics z", "overhead", "the prior's memory saves"]]
    for part in mean_points(points, OURS):

        def share(name: str, part: list[Point] = part) -> str:
            return f"{_mean(getattr(p, name) / _pixels(p) for p in part):.4f}"

        rows.append([
            f"{part[0].quality:g}", f"{_mean(p.bpp for p in part):.4f}", share("content_bits"),
            share("dynamics_bits"), share("overhead_bits"), share("prior_saved_bits"),
        ])  # fmt: skip
    return rows


def worth_of_content(points: Sequence[Point]) -> str:
    """A sentence: BD-rate of our files against those with f from first frames."""
    found = {s.codec: s for s in summarize(points, ABLATION)}.get(OURS)
    if found is None or found.mean is None:
        return ""
    return (
        f"f as the GOP's content against f inferred from its first frame alone: BD-rate "
        f"{found.mean:+.1f} % (mean of {found.clips} clips)."
    )


def winners(points: Sequence[Point], labels: Labels) -> list[str]:
    """One group: on how many clips each codec is better than ours, and by how much.

    By BD-rate, where curves share no PSNR by dB at equal bytes, and where they share no rate
    either by a point that shows more than all of the other's and costs no more than its dearest.
    """
    comparisons, found = compare_clips(points, OURS), curves(points)
    lines = []
    for summary in summarize(points, OURS):
        if summary.codec == ABLATION:
            continue
        verdicts = {
            clip: _advantage(one, found[OURS][clip], found[summary.codec][clip])
            for clip, one in comparisons[summary.codec].items()
        }
        known = [verdict for verdict in verdicts.values() if verdict]
        if not known:
            continue
        wins = sum(verdict > 0 for verdict in known)
        line = f"{labels.get(summary.codec, summary.codec)} beats us on "
        line += f"{wins or 'none'} of {len(verdicts)} clips"
        if len(known) < len(verdicts):
            line += f" (on {len(verdicts) - len(known)} there is nothing to compare)"
        if summary.mean is not None:
            line += _spread(comparisons[summary.codec], summary.mean)
        if summary.missing and summary.db_at_equal_bytes is not None:
            line += f"; at equal bytes it is {_above(summary.db_at_equal_bytes)} on average"
        if not summary.clips and summary.db_at_equal_bytes is None:
            line += "; it beats our best PSNR with no more bytes than that costs us" if wins else ""
        lines.append(line + ".")
    return lines


def _advantage(one: Comparison, ours: Curve, other: Curve) -> float:
    """Above 0 where the other codec is better than ours, below where worse, 0 if unknown."""
    if one.bd_rate_percent is not None:
        return -one.bd_rate_percent
    if one.db_at_equal_bytes is not None:
        return one.db_at_equal_bytes
    for sign, better, worse in ((1, other, ours), (-1, ours, other)):
        most_bytes, most_db = (max(values) for values in zip(*worse, strict=True))
        if any(rate <= most_bytes and db > most_db for rate, db in better):
            return sign
    return 0.0


def _spread(clips: Mapping[str, Comparison], mean: float) -> str:
    rates = {c: v.bd_rate_percent for c, v in clips.items() if v.bd_rate_percent is not None}
    best, worst = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
    where = "" if len(rates) == len(clips) else f" on the {len(rates)} that share a range of PSNR"
    text = f": for the same PSNR it needs {_more(mean)} bytes{where} on average"
    if len(rates) < 2:
        return text
    return f"{text}, from {rates[best]:+.1f} % ({best}) to {rates[worst]:+.1f} % ({worst})"


def _above(gain: float) -> str:
    return f"{abs(gain):.1f} dB {'above' if gain > 0 else 'below'} us"


def _more(percent: float) -> str:
    return f"{abs(percent):.1f} % {'fewer' if percent < 0 else 'more'}"


def complexity_table(rows: Iterable[Complexity], labels: Labels) -> Table:
    """Speed, size and memory."""
    table = [["codec", "pictures", "encode fps", "decode fps", "encode kMAC/px", "decode kMAC/px",
              "parameters", "weights", "encode MB", "decode MB", "remark"]]  # fmt: skip
    for row in rows:
        table.append([
            labels.get(row.codec, row.codec), f"{row.width}×{row.height}",
            *(_number(v, 3) for v in (row.encode_fps, row.decode_fps, row.encode_kmac_px,
                                      row.decode_kmac_px)),
            NONE if row.parameters is None else f"{row.parameters:,}",
            NONE if row.weight_bytes is None else f"{row.weight_bytes:,} B",
            _number(row.encode_mb, 3), _number(row.decode_mb, 3), row.note,
        ])  # fmt: skip
    return table if any(line[-1] for line in table[1:]) else [line[:-1] for line in table]


def notes_table(notes: Iterable[Note], labels: Labels) -> Table:
    """Why something is missing; the same reason for many clips is one row."""
    clips: dict[tuple[str, str, str], list[str]] = {}
    for note in notes:
        clips.setdefault((note.group, note.codec, note.text), []).append(note.clip)
    rows = [["set", "codec", "clips", "reason"]]
    for (group, codec, text), names in clips.items():
        which = ", ".join(names) if len(names) < 4 else f"{len(names)} clips"
        rows.append([group or "all", labels.get(codec, codec) or "all", which or "all", text])
    return rows


def markdown(table: Table) -> str:
    """A table in Markdown, its cells escaped."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}g}" if value < 999.5 else f"{value:,.0f}"


def _pixels(point: Point) -> int:
    return point.frames * point.height * point.width


def _mean(values: Iterable[float | None]) -> float:
    return float(np.mean([v for v in values if v is not None]))
