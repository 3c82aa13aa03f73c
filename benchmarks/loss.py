"""What lost records cost: `python -m benchmarks.loss --clips DIR -o loss.csv`.

Clips, and drawn ones of the vector models, are encoded with `--resilient N`; a share of each file's
dynamics records, or with `--contents` of its content records but the first, is dropped at random,
and it is decoded with concealment. Clips without such records are left out. A row is one file: RGB
PSNR (mean over frames, against the original) of the frames that were lost, estimated and as the
last frame received, repeated. Printed last: the mean gain with a bootstrap interval over clips.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bitstream
import dsaecodec
from bitstream import RecordInfo, RecordType
from dsaecodec.codec import Decoder
from dsaecodec.draw.balls import bouncing_balls
from dsaecodec.draw.characters import random_characters
from dsaecodec.video import frame_to_rgb, open_video

Frames = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Row:
    """One damaged file."""

    clip: str
    model: str
    quality: int
    resilient: int
    dropped: str
    frames: int
    lost: int
    psnr_estimated: float
    psnr_repeated: float


def clips(folder: Path | None, num_drawn: int) -> Iterator[tuple[str, str, Frames]]:
    """Name, model and frames of each clip."""
    for path in sorted(folder.glob("*.mp4")) if folder else []:
        with open_video(path) as video:
            colour = (video.info.matrix, video.info.full_range)
            yield path.stem, "natural", [frame_to_rgb(frame, *colour) for frame in video]
    for index, drawn in enumerate(random_characters(num_drawn, 32, 11, held_out=True)):
        yield f"characters-{index:02}", "sprites", list(drawn.frames)
    for index in range(num_drawn):
        yield f"balls-{index:02}", "balls", list(bouncing_balls(32, 900 + index).frames)


def drop(data: bytes, kind: RecordType, share: float, rng: np.random.Generator) -> bytes | None:
    """A stream without some of its records of a kind, at least one; None if it has none to lose."""
    records: list[RecordInfo] = []
    bitstream.scan(io.BytesIO(data), records.append)
    whole = [i for i, record in enumerate(records) if record.kind is kind]
    if kind is RecordType.CONTENT:
        whole = whole[1:]
    if not whole:
        return None
    lost = {i for i in whole if rng.random() < share} or {int(rng.choice(whole))}
    kept = [r for i, r in enumerate(records) if i not in lost]
    return b"".join(data[r.offset : r.offset + r.size] for r in kept)


def measure(name: str, model: str, frames: Frames, data: bytes, args: Any, seed: int) -> Row | None:
    """Lose records of a stream, and compare both ways to show the rest."""
    kind = RecordType.CONTENT if args.contents else RecordType.DYNAMICS
    damaged = drop(data, kind, args.share, np.random.default_rng(seed))
    if damaged is None:
        return None
    decoder = Decoder(io.BytesIO(damaged), conceal=True, threads=1, model=model)
    colour = (decoder.info.matrix, decoder.info.full_range)
    shown = [frame_to_rgb(frame, *colour) for frame in decoder]
    lost = {t for first, last in decoder.estimated for t in range(first, last + 1)}
    received = [t for t in range(len(shown)) if t not in lost] or [0]
    estimated, repeated = [], []
    for t in sorted(lost):
        last = max((other for other in received if other < t), default=received[0])
        estimated.append(_psnr(frames[t], shown[t]))
        repeated.append(_psnr(frames[t], shown[last]))
    means = float(np.mean(estimated)), float(np.mean(repeated))
    setting = (args.quality, args.resilient, kind.name.lower())
    return Row(name, model, *setting, len(shown), len(lost), *means)


def interval(gains: NDArray[np.float64], draws: int = 10_000) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean over clips."""
    rng = np.random.default_rng(0)
    means = rng.choice(gains, (draws, len(gains))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * float(np.log10(255**2 / max(error, 1e-3)))


def main() -> None:
    """Measure and write rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of .mp4 files")
    parser.add_argument("--streams", type=Path, help="keep encoded files here, and use those there")
    parser.add_argument("--drawn", type=int, default=3, help="clips of each vector model")
    parser.add_argument("--quality", type=int, default=30)
    parser.add_argument("--resilient", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.3, help="of records to lose")
    parser.add_argument("--contents", action="store_true", help="lose contents, not dynamics")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", dest="output", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    for index, (name, model, frames) in enumerate(clips(args.clips, args.drawn)):
        kept = args.streams and args.streams / f"{name}.q{args.quality}.r{args.resilient}.dsz"
        if kept and kept.exists():
            data = kept.read_bytes()
        else:
            wish = {"quality": args.quality, "resilient": args.resilient, "model": model}
            data = dsaecodec.encode(frames, threads=1, **wish)
            if kept:
                kept.write_bytes(data)
        row = measure(name, model, frames, data, args, args.seed + index)
        print(row or f"{name}: no such record to lose", flush=True)
        if row is None:
            continue
        rows.append(row)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        with args.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    gains = np.array([row.psnr_estimated - row.psnr_repeated for row in rows])
    low, high = interval(gains)
    print(f"{len(rows)} clips: {gains.mean():+.2f} dB [{low:+.2f}, {high:+.2f}]")


if __name__ == "__main__":
    main()
