"""What `dsaecodec info` says about a stream, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from bitstream import Summary
from dsaecodec.rate import bits_per_pixel, kilobits_per_second

_MATRICES = {1: "BT.709", 2: "unspecified", 5: "BT.601 (625)", 6: "BT.601 (525)", 9: "BT.2020"}


def describe(name: str, summary: Summary) -> dict[str, Any]:
    """Collect the facts, ready for JSON; `bytes` = content + dynamics + overhead."""
    header = summary.header
    size, frames = summary.file_bytes, summary.num_frames
    return {
        "file": name,
        "form": "compact" if summary.compact else "standard",
        "model": header.model.hex(),
        "width": header.width,
        "height": header.height,
        "fps": str(header.fps),
        "matrix": header.colour.matrix,
        "full_range": header.colour.full_range,
        "frames": frames,
        "gops": summary.num_gops,
        "seconds": float(frames / header.fps),
        "quality": list(summary.qualities),
        "bytes": size,
        "content_bytes": summary.content_bytes,
        "dynamics_bytes": summary.dynamics_bytes,
        "overhead_bytes": summary.overhead_bytes,
        "bpp": bits_per_pixel(size, frames, header.height, header.width),
        "kbps": kilobits_per_second(size, frames, header.fps),
    }


def format_table(facts: dict[str, Any]) -> str:
    """Lay the facts of `describe` out for reading."""
    lowest, highest = facts["quality"]
    colour = _MATRICES[facts["matrix"]] + (", full range" if facts["full_range"] else "")
    rows = [
        ("file", f"{facts['file']} ({facts['form']} form)"),
        ("model", facts["model"]),
        ("picture", f"{facts['width']}x{facts['height']}, {facts['fps']} fps, {colour}"),
        ("length", f"{facts['frames']} frames, {facts['gops']} GOPs, {facts['seconds']:.2f} s"),
        ("quality", f"{lowest}" if lowest == highest else f"{lowest} to {highest}"),
        *(_size_row(part, facts) for part in ("content", "dynamics", "overhead")),
        ("total", f"{facts['bytes']:>10,} bytes"),
        ("rate", f"{facts['bpp']:.4f} bpp, {facts['kbps']:.1f} kb/s"),
    ]
    return "\n".join(f"{label:<10}{value}" for label, value in rows)


def _size_row(part: str, facts: dict[str, Any]) -> tuple[str, str]:
    size = facts[f"{part}_bytes"]
    return part, f"{size:>10,} bytes {size / facts['bytes']:6.1%}"
