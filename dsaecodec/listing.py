"""What `dsaecodec info` says about a stream, as a table and as JSON."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from bitstream import Header, Summary
from bitstream.limits import TICKS_PER_SECOND
from dsaecodec.rate import bits_per_pixel, kilobits_per_second

_MATRICES = {
    0: "RGB",
    1: "BT.709",
    2: "unspecified",
    5: "BT.601 (625)",
    6: "BT.601 (525)",
    9: "BT.2020",
}
_PARTS = ("content", "dynamics", "sound", "overhead")


def describe(name: str, summary: Summary) -> dict[str, Any]:
    """Collect the facts, ready for JSON; `bytes` = content + dynamics + sound + overhead."""
    header = summary.header
    size, frames, seconds = summary.file_bytes, summary.num_frames, duration(summary)
    return {
        "file": name,
        "version": summary.version,
        "form": "compact" if summary.compact else "standard",
        "model": header.model.hex(),
        "width": header.width,
        "height": header.height,
        "sample_aspect": str(header.sample_aspect),
        "displayed_width": displayed_width(header),
        "fps": str(header.fps),
        "variable_timing": summary.has_times,
        "matrix": header.colour.matrix,
        "full_range": header.colour.full_range,
        "frames": frames,
        "gops": summary.num_gops,
        "seconds": float(seconds),
        "quality": list(summary.qualities),
        "sound": _describe_sound(summary),
        "bytes": size,
        **{f"{part}_bytes": getattr(summary, f"{part}_bytes") for part in _PARTS},
        "bpp": bits_per_pixel(size, frames, header.height, header.width),
        "kbps": kilobits_per_second(size, seconds),
    }


def duration(summary: Summary) -> Fraction:
    """Seconds from the first frame's time to the end of the last."""
    return Fraction(summary.duration_ticks, TICKS_PER_SECOND)


def displayed_width(header: Header) -> int:
    """Width in square pixels at which the picture, at its own height, has its proportions."""
    return max(1, round(header.width * header.sample_aspect))


def format_table(facts: dict[str, Any]) -> str:
    """Lay the facts of `describe` out for reading."""
    lowest, highest = facts["quality"]
    rows = [
        ("file", f"{facts['file']} (version {facts['version']}, {facts['form']} form)"),
        ("model", facts["model"]),
        ("picture", _picture(facts)),
        ("length", _length(facts)),
        ("quality", f"{lowest}" if lowest == highest else f"{lowest} to {highest}"),
        *([("audio", _sound(facts["sound"]))] if facts["sound"] else []),
        *(_size_row(part, facts) for part in _PARTS if part != "sound" or facts["sound"]),
        ("total", f"{facts['bytes']:>10,} bytes"),
        ("rate", f"{facts['bpp']:.4f} bpp, {facts['kbps']:.1f} kb/s"),
    ]
    return "\n".join(f"{label:<10}{value}" for label, value in rows)


def _describe_sound(summary: Summary) -> dict[str, Any] | None:
    track = summary.header.sound
    if track is None:
        return None
    return {
        "codec": track.codec,
        "sample_rate": track.sample_rate,
        "channels": track.channels,
        "kbps": kilobits_per_second(summary.sound_bytes, duration(summary)),
    }


def _picture(facts: dict[str, Any]) -> str:
    size = f"{facts['width']}x{facts['height']}"
    if Fraction(facts["sample_aspect"]) != 1:
        shown = f"{facts['displayed_width']}x{facts['height']}"
        size += f" (pixels {facts['sample_aspect'].replace('/', ':')}, shown as {shown})"
    timing = " on average, variable" if facts["variable_timing"] else ""
    full = facts["full_range"] and facts["matrix"] != 0  # RGB always is
    colour = _MATRICES[facts["matrix"]] + (", full range" if full else "")
    return f"{size}, {facts['fps']} fps{timing}, {colour}"


def _length(facts: dict[str, Any]) -> str:
    frames, gops = facts["frames"], facts["gops"]
    counts = f"{frames} frame{'s' * (frames > 1)}, {gops} GOP{'s' * (gops > 1)}"
    return f"{counts}, {facts['seconds']:.2f} s"


def _sound(sound: dict[str, Any]) -> str:
    channels = {1: "mono", 2: "stereo"}.get(sound["channels"], f"{sound['channels']} channels")
    return f"{sound['codec']}, {sound['sample_rate']} Hz, {channels}, {sound['kbps']:.1f} kb/s"


def _size_row(part: str, facts: dict[str, Any]) -> tuple[str, str]:
    size = facts[f"{part}_bytes"]
    return part, f"{size:>10,} bytes {size / facts['bytes']:6.1%}"
