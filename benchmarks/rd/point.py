"""One coded clip: a row of the CSV behind every figure."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """Rate and distortion of one clip at one quality of one codec.

    Attributes:
        group, clip: what was coded.
        codec: name, see `rd.codec`.
        quality: on the codec's own scale.
        frames, height, width: of the clip.
        bytes: all that count, see `Coded.packets`.
        bpp: 8 · bytes / (frames · height · width).
        psnr_rgb, psnr_yuv: dB, means over frames, see `dsaecodec.metrics`.
        ms_ssim: mean over frames, None for frames too small.
        encode_fps, decode_fps: frames a second, on one thread, other jobs of the run beside it.
        content_bits, dynamics_bits, overhead_bits: what a file of ours went to, None for others.
        prior_saved_bits: what its dynamics would cost more with the prior's state held at zero.
        matched: made to match another codec's rate for pictures; not part of a curve.
        fingerprint: first 16 hex digits of the SHA-256 of the clip's samples.
        settings: command line and versions; in a CSV of its own, see `write_settings`.
    """

    group: str
    clip: str
    codec: str
    quality: float
    frames: int
    height: int
    width: int
    bytes: int
    bpp: float
    psnr_rgb: float
    psnr_yuv: float
    ms_ssim: float | None
    encode_fps: float
    decode_fps: float
    content_bits: int | None = None
    dynamics_bits: int | None = None
    overhead_bits: int | None = None
    prior_saved_bits: int | None = None
    matched: bool = False
    fingerprint: str = ""
    settings: str = ""


@dataclass(frozen=True)
class Note:
    """Why something is missing: a clip that cannot be read, a codec that is not at hand.

    Attributes:
        group, clip, codec: what it is about, "" for all.
        text: the reason.
    """

    group: str
    clip: str
    codec: str
    text: str


_CONVERT = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: text == "True",
    "int | None": lambda text: int(text) if text else None,
    "float | None": lambda text: float(text) if text else None,
}
_COLUMNS = {f.name: _CONVERT[str(f.type)] for f in fields(Point) if f.name != "settings"}


def write_points(path: Path, points: Iterable[Point]) -> None:
    """Write a CSV, one row a point; an empty field is None."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(_COLUMNS), lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(asdict(point) for point in points)


def write_settings(path: Path, points: Iterable[Point]) -> None:
    """Write a CSV of codec, quality and settings; clips of other rates have rows of their own."""
    rows = dict.fromkeys((point.codec, point.quality, point.settings) for point in points)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("codec", "quality", "settings"))
        writer.writerows(rows)


def read_points(path: Path) -> list[Point]:
    """Read what `write_points` wrote; settings are not in it."""
    with open(path, newline="") as file:
        return [
            Point(**{name: _COLUMNS[name](text) for name, text in row.items()})
            for row in csv.DictReader(file)
        ]
