"""What the presets cost and bring: `python -m benchmarks.presets --clips DIR -o presets.csv`.

Each clip is encoded at each quality with each preset and decoded. A row of the CSV is one file:

- cost: J = D / λ + R in bits, from the decoded pixels and the bytes of the file (λ of the quality,
  D = mse_Y + (mse_U + mse_V) / 2 summed over pixels and frames), which `--preset slow` descends;
- gain: the share of J that the encoder itself said it saved.

The table beside it has J, BD-rate (RGB PSNR, Akima, mean of clips) and time against medium.
`--presets` also takes ablations: medium without one of its parts.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.rd.bd import bd_rate_percent
from dsaecodec.codec import Decoder, EncodeOptions, encode_video
from dsaecodec.codec.preset import PRESETS
from dsaecodec.metrics import mean_rgb_psnr_db, mse
from dsaecodec.rate import bits_per_pixel
from dsaecodec.spatial.model import encoder_lagrangian
from dsaecodec.video import frame_to_rgb, open_video

NAMES = ("fast", "medium", "slow")
ABLATIONS = {
    "medium-no-descent": replace(PRESETS["medium"], motion_steps=0),
    "medium-no-halves": replace(PRESETS["medium"], halves=False),
    "medium-short-gops": replace(PRESETS["medium"], gop=32),
}


@dataclass(frozen=True)
class Row:
    """One encoded file."""

    clip: str
    model: str
    preset: str
    quality: int
    frames: int
    height: int
    width: int
    bytes: int
    bpp: float
    psnr_rgb: float
    cost: float
    gain: float | None
    seconds: float


def measure(clip: Path, preset: str, quality: int, num_frames: int) -> Row:
    """Encode and decode one clip on one thread."""
    with open_video(clip) as video:
        info, frames = video.info, list(islice(video, num_frames))
    sink = io.BytesIO()
    PRESETS.update(ABLATIONS)  # of this process
    options = EncodeOptions(quality, threads=1, device="cpu", preset=preset)
    begin = time.perf_counter()
    report = encode_video(frames, info, sink, options)
    seconds = time.perf_counter() - begin
    decoder = Decoder(io.BytesIO(sink.getvalue()), threads=1, device="cpu")
    decoded = list(decoder)
    error = sum(
        mse(a.y, b.y) + (mse(a.u, b.u) + mse(a.v, b.v)) / 2
        for a, b in zip(frames, decoded, strict=True)
    )
    rgb = [[frame_to_rgb(f, info.matrix, info.full_range) for f in v] for v in (frames, decoded)]
    return Row(
        clip=clip.name,
        model=decoder.loaded.identity.hex(),
        preset=preset,
        quality=quality,
        frames=len(frames),
        height=info.height,
        width=info.width,
        bytes=report.bytes,
        bpp=bits_per_pixel(report.bytes, len(frames), info.height, info.width),
        psnr_rgb=mean_rgb_psnr_db(*rgb),
        cost=error * info.height * info.width / encoder_lagrangian(quality) + 8 * report.bytes,
        gain=report.gain,
        seconds=seconds,
    )


def summarize(rows: list[Row]) -> str:
    """Markdown: each preset against medium, overall and a clip."""
    found = {(row.clip, row.preset, row.quality): row for row in rows}
    clips, qualities = sorted({r.clip for r in rows}), sorted({r.quality for r in rows})

    def against(preset: str, clip: str) -> tuple[float, float, float]:
        mine, other = (
            [found[clip, name, quality] for quality in qualities] for name in (preset, "medium")
        )
        cost = np.mean([a.cost / b.cost - 1 for a, b in zip(mine, other, strict=True)])
        curves = [[(r.bpp, r.psnr_rgb) for r in part] for part in (other, mine)]
        rate = bd_rate_percent(*curves)
        slower = sum(r.seconds for r in mine) / sum(r.seconds for r in other)
        return 100 * float(cost), np.nan if rate is None else rate, slower

    presets = [name for name in dict.fromkeys(r.preset for r in rows) if name != "medium"]
    lines = ["| against medium | J | J by the encoder | BD-rate | time |", "|---|---|---|---|---|"]
    for preset in presets:
        cost, rate, slower = np.mean([against(preset, clip) for clip in clips], axis=0)
        gains = [r.gain for r in rows if r.preset == preset and r.gain is not None]
        said = f"{-100 * float(np.mean(gains)):+.1f} %" if gains else "–"
        lines.append(f"| {preset} | {cost:+.1f} % | {said} | {rate:+.1f} % | × {slower:.1f} |")
    lines += ["", "| BD-rate against medium | " + " | ".join(presets) + " |"]
    lines.append("|---" * (len(presets) + 1) + "|")
    for clip in clips:
        rates = (f"{against(preset, clip)[1]:+.1f} %" for preset in presets)
        lines.append(f"| {clip} | " + " | ".join(rates) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write CSV and table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--presets", nargs="+", default=NAMES, choices=[*NAMES, *ABLATIONS])
    parser.add_argument("--qualities", type=int, nargs="+", default=(20, 40, 60))
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    clips = sorted(args.clips.glob("*.mp4"))
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(measure, clip, preset, quality, args.frames)
            for clip in clips
            for preset in args.presets
            for quality in args.qualities
        ]
        rows = []
        for job in jobs:
            rows.append(job.result())
            row = rows[-1]
            print(f"{row.clip} {row.preset} {row.quality}: {row.bpp:.4f} bpp", flush=True)
    with open(args.out, "w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    args.out.with_suffix(".md").write_text(summarize(rows))


if __name__ == "__main__":
    main()
