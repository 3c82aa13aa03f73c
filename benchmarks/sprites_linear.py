"""What a codec without a network reaches on Sprites: linear PCA, and lossless WebP.

    python benchmarks/sprites_linear.py --sprites SHEETS

Bases are fitted on the training characters, on clips of the same length and protocol: one for all
motions, or one for each of the nine, whose number is sent. Coefficients are rounded to a step and
coded under a static Laplace distribution each; bytes are those of the coder, no container. One row
a protocol, method and step in rows.csv, with the numbers that encoder and decoder must share.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.rd.codecs.pca import Basis, fit_samples, table_indices
from benchmarks.vector_files import write_table
from bitstream import SymbolEncoder
from dsaecodec.sprites import Sprites, open_sprites
from dsaecodec.tables import build_tables

STEPS = (64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)
COMPONENTS = {"pca": 512, "pca-class": 128}
METHODS = ("webp-lossless", "pca-class", "pca")
MOTIONS = [(action, direction) for action in range(3) for direction in range(3)]
PROTOCOLS = {"aligned": 8, "random-phase": 8, "random-phase-32": 32}
SEED = 7
CLIPS_AT_ONCE = 64

Samples = NDArray[np.uint8]
"""Clips as vectors [N, T · 64 · 64 · 3]."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    method: str
    protocol: str
    frames: int
    step: float
    clips: int
    psnr_db: float
    low: float
    high: float
    bytes: float
    shared_numbers: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sprites", type=Path, required=True, metavar="SHEETS")
    parser.add_argument("--train", type=int, default=9000, help="clips to fit on, about")
    parser.add_argument("--clips", type=int, default=2664, help="held-out clips, about")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument(
        "-o", dest="output", type=Path, default=Path("benchmarks/results/sprites_linear")
    )
    options = parser.parse_args(arguments)
    sprites = open_sprites(options.sprites)
    rows: list[Row] = []
    options.output.mkdir(parents=True, exist_ok=True)
    for protocol in options.protocols.split(","):
        for row in measure(
            sprites, protocol, options.methods.split(","), options.train, options.clips
        ):
            rows.append(row)
            print("  ".join(f"{v:.5g}" if isinstance(v, float) else f"{v}" for v in astuple(row)))
            write_table(options.output / "rows.csv", Row, rows)
    return 0


def measure(
    sprites: Sprites, protocol: str, methods: Sequence[str], train: int, count: int
) -> Iterator[Row]:
    """Methods on one protocol."""
    learnt = _clips(sprites, sprites.train, protocol, train)
    tested = _clips(sprites, sprites.held_out, protocol, count)
    if "webp-lossless" in methods:
        yield from _webp(protocol, tested)
    if "pca-class" in methods:
        yield from _pca("pca-class", protocol, learnt, tested)
    if "pca" in methods:
        together = [np.concatenate(parts) for parts in (learnt, tested)]
        yield from _pca("pca", protocol, [together[0]], [together[1]])


def _clips(sprites: Sprites, characters: Sequence[int], protocol: str, count: int) -> list[Samples]:
    """Clips of each motion, evenly spaced characters."""
    rng = np.random.default_rng(SEED)
    step = max(1, len(characters) * len(MOTIONS) // count)
    chosen, shift = characters[::step], protocol != "aligned"
    return [
        np.stack(
            [
                sprites.clip(c, a, d, PROTOCOLS[protocol], shift * int(rng.integers(8))).reshape(-1)
                for c in chosen
            ]
        )
        for a, d in MOTIONS
    ]


def _pca(
    method: str, protocol: str, learnt: Sequence[Samples], tested: Sequence[Samples]
) -> Iterator[Row]:
    bases = [fit_samples(samples, COMPONENTS[method]) for samples in learnt]
    shared = sum(basis.vectors.size + basis.mean.size + basis.scales.size for basis in bases)
    class_bytes = 0 if len(bases) == 1 else 1
    for step in STEPS:
        coded = [_code(b, x, step) for b, x in zip(bases, tested, strict=True)]
        psnr, sizes = (np.concatenate(parts) for parts in zip(*coded, strict=True))
        yield _row(method, protocol, step, psnr, sizes + class_bytes, shared)


def _code(
    basis: Basis, samples: Samples, step: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """PSNR of each clip, mean over its frames, and bytes of its coefficients."""
    tables, psnr, sizes = build_tables(), [], []
    index = table_indices(basis.scales, step)
    for part in np.array_split(samples, -(-len(samples) // CLIPS_AT_ONCE)):
        symbols = np.rint((part - basis.mean) @ basis.vectors.T / step).astype(np.int32)
        for one in symbols:
            coder = SymbolEncoder(tables)
            coder.code(index, one)
            sizes.append(float(len(coder.finish())))
        said = basis.mean + (symbols * np.float32(step)) @ basis.vectors
        error = np.clip(np.rint(said), 0, 255) - part
        mse = np.square(error).reshape(len(part), -1, 64 * 64 * 3).mean(2, dtype=np.float64)
        psnr.append((10 * np.log10(255**2 / np.maximum(mse, 255**2 / 1e10))).mean(1))
    return np.concatenate(psnr), np.array(sizes)


def _webp(protocol: str, tested: Sequence[Samples]) -> Iterator[Row]:
    try:
        from PIL import Image, features
    except ImportError:
        return
    if not features.check("webp"):
        return
    sizes = []
    for x in np.concatenate(tested):
        file = io.BytesIO()
        Image.fromarray(x.reshape(-1, 64, 3)).save(file, "WEBP", lossless=True, method=6)
        sizes.append(float(file.getbuffer().nbytes))
    yield _row("webp-lossless", protocol, 1.0, np.full(len(sizes), 100.0), np.array(sizes), 0)


def _row(
    method: str,
    protocol: str,
    step: float,
    psnr: NDArray[np.float64],
    sizes: NDArray[np.float64],
    shared: int,
) -> Row:
    means = np.random.default_rng(0).choice(psnr, (1000, len(psnr))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Row(
        method,
        protocol,
        PROTOCOLS[protocol],
        step,
        len(psnr),
        float(psnr.mean()),
        float(low),
        float(high),
        float(sizes.mean()),
        shared,
    )


if __name__ == "__main__":
    raise SystemExit(main())
