"""Rate and distortion of a model on a folder of clips, from files.

    python benchmarks/evaluate.py --clips DIR -o results.csv [--model M] [--anchors anchors.csv]

Each clip is encoded at each quality to a file, decoded by another process, and compared. A row of
the CSV is one file; bpp counts every byte of it. Beside them stand two ablations:

- prior_saved_bits: what the file's dynamics would cost more if the recurrent prior's state were
  held at zero (ideal code lengths of the same symbols under the same weights);
- rows with content "first": every GOP's content inferred from its first frame alone.

With --anchors, BD-rate against x264 medium of that CSV (RGB PSNR, Akima, per clip, then averaged).
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import bitstream
from bitstream import Colour, Gop, Header, StreamWriter, SymbolCounter, SymbolDecoder
from dsaecodec.codec.gop_coder import code_dynamics, fixed
from dsaecodec.codec.gop_encoder import GopEncoder
from dsaecodec.codec.gop_plan import plan_gops
from dsaecodec.codec.pictures import grid_size, limited_threads
from dsaecodec.codec.preset import PRESETS
from dsaecodec.metrics import mean_rgb_psnr_db, mean_yuv611_psnr_db
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.video import Frame420, VideoInfo, frame_to_rgb, open_video

DEFAULT_QUALITIES = (15, 30, 45, 60, 75)


@dataclass(frozen=True)
class Row:
    """One encoded file."""

    clip: str
    model: str
    content: str  # "gop", or "first" for the ablation
    quality: int
    gop: int
    frames: int
    height: int
    width: int
    bytes: int
    bpp: float
    psnr_rgb: float
    psnr_yuv: float
    encode_s: float
    decode_s: float
    content_bits: int
    dynamics_bits: int
    overhead_bits: int
    prior_saved_bits: int


@dataclass(frozen=True)
class Job:
    """One file to make and measure."""

    clip: Path
    model: str | None
    content: str
    quality: int
    gop: int


def encode(frames: list[Frame420], info: VideoInfo, job: Job) -> tuple[bytes, int]:
    """The file, and the bits its dynamics would cost more without the prior's memory."""
    loaded = load_model(job.model, "cpu")
    colour = Colour(info.matrix, info.full_range)
    sink = io.BytesIO()
    writer = StreamWriter(sink, Header(loaded.identity, info.width, info.height, info.fps, colour))
    first = job.content == "first"
    encoder = GopEncoder(loaded, info.height, info.width, job.quality, first_frame_only=first)
    size, saved = grid_size(info.height, info.width), 0.0
    for plan in plan_gops(frames, job.gop):
        with limited_threads(1):
            gops = encoder.encode(plan)
            saved += sum(saved_by_memory(loaded, size, gop) for gop in gops)
        for gop in gops:
            writer.write_gop(gop)
    writer.finish()
    return sink.getvalue(), round(saved)


def saved_by_memory(loaded: LoadedModel, size: tuple[int, int], gop: Gop) -> float:
    """Bits that a GOP's dynamics would cost more with the prior's state held at zero."""
    setting = (size, gop.quality, gop.refs_previous, gop.num_frames)
    coder = SymbolDecoder(gop.segments[0].payload, loaded.tables)
    z = code_dynamics(loaded.model, coder, *setting, None)
    with_memory, without = SymbolCounter(loaded.tables), SymbolCounter(loaded.tables)
    code_dynamics(loaded.model, with_memory, *setting, fixed(z))
    code_dynamics(loaded.model, without, *setting, fixed(z), remember=False)
    return without.bits - with_memory.bits


def measure(job: Job) -> Row:
    """Encode here, decode in another process, compare."""
    with open_video(str(job.clip)) as video:
        info, frames = video.info, list(video)
    with tempfile.TemporaryDirectory() as folder:
        stream, decoded = Path(folder, "clip.dsz"), Path(folder, "clip.mkv")
        begin = time.perf_counter()
        data, saved = encode(frames, info, job)
        encode_s = time.perf_counter() - begin
        stream.write_bytes(data)
        command = [sys.executable, "-m", "dsaecodec", "decode", stream, "-o", decoded, "--quiet"]
        command += ["--threads", "1"] + (["--model", job.model] if job.model else [])
        begin = time.perf_counter()
        subprocess.run(list(map(str, command)), check=True)
        decode_s = time.perf_counter() - begin
        with open_video(str(decoded)) as video:
            if (video.info.height, video.info.width) != (info.height, info.width):
                raise ValueError(f"{job.clip}: decoded to another size")
            got = list(video)
    rgb = [[frame_to_rgb(f, info.matrix, info.full_range) for f in clip] for clip in (frames, got)]
    summary = bitstream.scan(io.BytesIO(data))
    return Row(
        clip=job.clip.name,
        model=bitstream.read_header(io.BytesIO(data)).model.hex(),
        content=job.content,
        quality=job.quality,
        gop=job.gop,
        frames=len(frames),
        height=info.height,
        width=info.width,
        bytes=len(data),
        bpp=round(8 * len(data) / (len(frames) * info.height * info.width), 6),
        psnr_rgb=round(mean_rgb_psnr_db(*rgb), 4),
        psnr_yuv=round(mean_yuv611_psnr_db(frames, got), 4),
        encode_s=round(encode_s, 2),
        decode_s=round(decode_s, 2),
        content_bits=8 * summary.content_bytes,
        dynamics_bits=8 * summary.dynamics_bytes,
        overhead_bits=8 * summary.overhead_bytes,
        prior_saved_bits=saved,
    )


def bd_rate_percent(anchor: list[tuple[float, float]], test: list[tuple[float, float]]) -> float:
    """BD-rate of (bpp, dB) points against an anchor's, Akima; NaN without overlap."""
    import bjontegaard

    (rate_a, db_a), (rate_t, db_t) = (
        map(list, zip(*sorted(points), strict=True)) for points in (anchor, test)
    )
    if max(min(db_a), min(db_t)) >= min(max(db_a), max(db_t)):
        return float("nan")
    return float(
        bjontegaard.bd_rate(
            rate_a, db_a, rate_t, db_t, method="akima", require_matching_points=False, min_overlap=0
        )
    )


Curves = dict[str, dict[str, list[tuple[float, float]]]]


def read_anchors(path: Path) -> Curves:
    """codec → clip → (bpp, RGB PSNR) points of an anchors CSV."""
    curves: Curves = defaultdict(lambda: defaultdict(list))
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            curves[row["codec"]][row["clip"]].append((float(row["bpp"]), float(row["psnr_rgb"])))
    return curves


def summarize(rows: list[Row], anchors: Curves) -> str:
    """Markdown: means a quality, BD-rates a clip, what the two ablations say."""
    out = [
        "| quality | bpp | PSNR RGB | PSNR YUV | content | dynamics | prior saves | content first |"
    ]
    out.append("|---|---|---|---|---|---|---|---|")
    main = [r for r in rows if r.content == "gop"]
    curves: Curves = defaultdict(lambda: defaultdict(list))
    for row in rows:
        curves[row.content][row.clip].append((row.bpp, row.psnr_rgb))
    for quality in sorted({r.quality for r in main}):
        part = [r for r in main if r.quality == quality]

        def mean(values: list[float]) -> float:
            return float(np.mean(values))

        pixels = [r.frames * r.height * r.width for r in part]
        content = mean([r.content_bits / p for r, p in zip(part, pixels, strict=True)])
        dynamics = mean([r.dynamics_bits / p for r, p in zip(part, pixels, strict=True)])
        saved = mean([r.prior_saved_bits / p for r, p in zip(part, pixels, strict=True)])
        first = [r for r in rows if r.content == "first" and r.quality == quality]
        ablation = "-"
        if first:
            bpp, db = mean([r.bpp for r in first]), mean([r.psnr_rgb for r in first])
            ablation = f"{bpp:.4f} bpp, {db:.2f} dB"
        out.append(
            f"| {quality} | {mean([r.bpp for r in part]):.4f} | "
            f"{mean([r.psnr_rgb for r in part]):.2f} | {mean([r.psnr_yuv for r in part]):.2f} | "
            f"{content:.4f} | {dynamics:.4f} | {saved:.4f} | {ablation} |"
        )
    clips = sorted(curves["gop"])
    references = {name: anchors[name] for name in sorted(anchors) if name != "x264-medium"}
    if anchors:
        tests = {"dsaecodec": curves["gop"]}
        if curves["first"]:
            tests["dsaecodec, content first"] = curves["first"]
        tests |= references
        out += ["", "BD-rate against x264 medium, %, RGB PSNR, Akima:", ""]
        out += ["| clip | " + " | ".join(tests) + " |", "|---" * (len(tests) + 1) + "|"]
        table = [
            [bd_rate_percent(anchors["x264-medium"][c], t[c]) for t in tests.values()]
            for c in clips
        ]
        for clip, values in zip(clips, table, strict=True):
            out.append(f"| {clip} | " + " | ".join(f"{v:+.1f}" for v in values) + " |")
        means = np.nanmean(np.array(table), axis=0)
        out.append("| mean | " + " | ".join(f"{v:+.1f}" for v in means) + " |")
    if curves["first"]:
        values = [bd_rate_percent(curves["first"][c], curves["gop"][c]) for c in clips]
        out += ["", f"f against f from the first frame alone: BD-rate {np.nanmean(values):+.1f} %"]
    return "\n".join(out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--anchors", type=Path)
    parser.add_argument("--qualities", type=int, nargs="+", default=DEFAULT_QUALITIES)
    parser.add_argument("--gop", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-first", action="store_true", help="leave out that ablation")
    args = parser.parse_args()
    gop = args.gop or PRESETS["medium"].gop
    clips = sorted(p for p in args.clips.iterdir() if p.suffix in {".mp4", ".mkv", ".y4m"})
    contents = ("gop",) if args.no_first else ("gop", "first")
    jobs = [
        Job(clip, args.model, content, quality, gop)
        for content in contents
        for clip in clips
        for quality in args.qualities
    ]
    rows = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with (
        ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool,
        open(args.out, "w", newline="") as file,
    ):
        writer = csv.DictWriter(file, list(Row.__annotations__), lineterminator="\n")
        writer.writeheader()
        for row in pool.map(measure, jobs):
            rows.append(row)
            writer.writerow(asdict(row))
            file.flush()
            print(f"{len(rows)}/{len(jobs)} {row.clip} q{row.quality}", file=sys.stderr)
    print(summarize(rows, read_anchors(args.anchors) if args.anchors else {}))


if __name__ == "__main__":
    main()
