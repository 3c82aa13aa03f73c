"""Long sequences: what length costs, how clips go on, how gaps are filled.

    python benchmarks/long_sequence.py --sprites SHEETS --sprites-models sprites other.safetensors
    python benchmarks/long_sequence.py --balls-models balls

Every figure comes from files: clips are written to streams of the vector family, and what is
measured is decoded from their bytes. One row a task, model, quality and length in rows.csv:

reconstruction  clips of 8 to 128 frames, sprites aligned and from a random phase
continuation    the first half of a clip, and as many frames as the prior expects to follow
missing         a part of the frames is guessed from those on both sides

`reference_db` is what repeating the last known frame, as decoded, reaches. Of balls, `lost` is the
share of those no longer to be seen in the guessed frames; over the others, `position_px` is how far
their centres are off, `shape_error` by which part their areas are, and `energy_error` by which part
a clip's kinetic energy is, from one frame to the next.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks import vector_files as files
from benchmarks.vector_files import Clips, Symbols
from dsaecodec.draw import bouncing_balls
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.sprites import Sprites, open_sprites

LENGTHS = (8, 16, 32, 64, 128)
GAPS = (0.1, 0.2, 0.3, 0.4, 0.5)
TASKS = ("reconstruction", "continuation", "missing")
TASK_FRAMES = 32
TASK_QUALITY = 65
NEAR = 60  # a pixel is of a ball's colour if no channel differs by more
FEWEST_PIXELS = 8  # of a ball that is still there


@dataclass(frozen=True)
class Row:
    """A line of the table; None where a column says nothing of a task."""

    set: str
    protocol: str
    task: str
    model: str
    identity: str
    dynamics: str
    quality: int
    frames: int
    clips: int
    psnr_db: float
    low: float
    high: float
    file_bytes: float | None = None
    content_bytes: float | None = None
    dynamics_bytes: float | None = None
    share_missing: float | None = None
    reference_db: float | None = None
    position_px: float | None = None
    lost: float | None = None
    energy_error: float | None = None
    shape_error: float | None = None


@dataclass(frozen=True)
class Material:
    """Clips of one kind.

    Attributes:
        set, protocol: names.
        clips: the longest that are asked for.
        centres: of balls, [N, T, balls, 2], (y, x).
    """

    set: str
    protocol: str
    clips: Clips
    centres: NDArray[np.float64] | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.sprites_models and options.sprites is None:
        parser.error("--sprites-models needs --sprites SHEETS")
    torch.set_num_threads(options.threads)
    rows: list[Row] = []
    options.output.mkdir(parents=True, exist_ok=True)
    for row in _rows(options):
        rows.append(row)
        print(_line(row), flush=True)
        files.write_table(options.output / "rows.csv", Row, rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sprites", type=Path, metavar="SHEETS", help="source sheets of Sprites")
    parser.add_argument("--sprites-models", nargs="+", default=[], metavar="NAME|PATH")
    parser.add_argument("--balls-models", nargs="+", default=[], metavar="NAME|PATH")
    parser.add_argument("--clips", type=int, default=2664, help="of each protocol, at most")
    parser.add_argument("--few", type=int, default=296, help="for continuations and gaps")
    parser.add_argument("--tasks", default=",".join(TASKS), help="which of them")
    parser.add_argument("--longest", type=int, default=64, help="frames of the longest clips")
    parser.add_argument("--qualities", default="50,65,80", help="of short clips")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "-o", dest="output", type=Path, default=Path("benchmarks/results/long_sequence")
    )
    return parser


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    lengths = [n for n in LENGTHS if n <= options.longest]
    qualities = [int(text) for text in options.qualities.split(",")]
    tasks = options.tasks.split(",")
    for name in options.sprites_models:
        loaded, sprites = load_model(name, "cpu"), open_sprites(options.sprites)
        label = Path(name).stem
        if "reconstruction" in tasks:
            aligned = sprite_clips(sprites, False, options.clips, 8)
            yield from reconstruction(loaded, label, aligned, [8], qualities)
            rolled = sprite_clips(sprites, True, options.clips, options.longest)
            yield from reconstruction(loaded, label, rolled, lengths, [TASK_QUALITY])
        few = sprite_clips(sprites, True, options.few, TASK_FRAMES)
        yield from _guesses(loaded, label, few, tasks)
    for name in options.balls_models:
        loaded, label = load_model(name, "cpu"), Path(name).stem
        material = ball_clips(options.few, max(options.longest, TASK_FRAMES))
        if "reconstruction" in tasks:
            yield from reconstruction(loaded, label, material, lengths, qualities)
        yield from _guesses(loaded, label, material, tasks)


def _guesses(
    loaded: LoadedModel, label: str, material: Material, tasks: Sequence[str]
) -> Iterator[Row]:
    if "continuation" in tasks:
        yield continuation(loaded, label, material)
    if "missing" in tasks:
        yield from missing(loaded, label, material)


def sprite_clips(sprites: Sprites, random_phase: bool, count: int, num_frames: int) -> Material:
    """Held-out characters in every motion, see `held_out_clips`."""
    clips = [
        sprites.clip(c, a, d, num_frames, phase * random_phase)
        for c, a, d, phase in files.held_out_clips(sprites.held_out, count)
    ]
    return Material("sprites", "random-phase" if random_phase else "aligned", np.stack(clips))


def ball_clips(count: int, num_frames: int) -> Material:
    """Three balls that bounce; no clip of the training set."""
    drawn = [bouncing_balls(num_frames, files.SEED * 1000 + i) for i in range(count)]
    centres = np.stack([clip.positions for clip in drawn])
    return Material("balls", "drawn", np.stack([clip.frames for clip in drawn]), centres)


def reconstruction(
    loaded: LoadedModel,
    label: str,
    material: Material,
    lengths: Sequence[int],
    qualities: Sequence[int],
) -> Iterator[Row]:
    """Clips coded and decoded."""
    for quality in qualities:
        for length in lengths:
            clips = material.clips[:, :length]
            coded = files.write(loaded, files.infer(loaded.vector, clips, quality), quality)
            found = files.show(loaded.vector, files.read(loaded, coded), quality)
            parts = np.array([files.payload_bytes(data) for data in coded]).mean(0)
            yield _row(
                loaded,
                label,
                material,
                "reconstruction",
                quality,
                files.psnr(clips, found).mean(1),
                length,
                file_bytes=float(np.mean([len(data) for data in coded])),
                content_bytes=float(parts[0]),
                dynamics_bytes=float(parts[1]),
            )


def continuation(loaded: LoadedModel, label: str, material: Material) -> Row:
    """The first half coded, the second expected."""
    clips, known = material.clips[:, :TASK_FRAMES], TASK_FRAMES // 2
    sent = _sent(loaded, clips[:, :known])
    expected = files.go_on(loaded, sent, TASK_FRAMES, TASK_QUALITY)
    found = files.show(loaded.vector, expected, TASK_QUALITY)
    truth = clips[:, known:]
    repeated = np.repeat(found[:, known - 1 : known], TASK_FRAMES - known, 1)
    return _row(
        loaded,
        label,
        material,
        "continuation",
        TASK_QUALITY,
        files.psnr(truth, found[:, known:]).mean(1),
        TASK_FRAMES,
        reference_db=float(files.psnr(truth, repeated).mean()),
        **asdict(ball_errors(material, found, range(known, TASK_FRAMES))),
    )


def missing(loaded: LoadedModel, label: str, material: Material) -> Iterator[Row]:
    """Clips of which a part in the middle was lost."""
    clips = material.clips[:, :TASK_FRAMES]
    sent = _sent(loaded, clips)
    yield _row(
        loaded,
        label,
        material,
        "missing",
        TASK_QUALITY,
        files.psnr(clips, files.show(loaded.vector, sent, TASK_QUALITY)).mean(1),
        TASK_FRAMES,
        share_missing=0.0,
    )
    for share in GAPS:
        count = round(share * TASK_FRAMES)
        first = (TASK_FRAMES - count) // 2
        gap = range(first, first + count)
        filled = files.fill(loaded, sent, gap, TASK_QUALITY)
        found = files.show(loaded.vector, filled, TASK_QUALITY)
        known = files.show(loaded.vector, sent, TASK_QUALITY)
        known[:, first : first + count] = known[:, first - 1 : first]
        yield _row(
            loaded,
            label,
            material,
            "missing",
            TASK_QUALITY,
            files.psnr(clips, found).mean(1),
            TASK_FRAMES,
            share_missing=share,
            reference_db=float(files.psnr(clips, known).mean()),
            **asdict(ball_errors(material, found, gap)),
        )


def _sent(loaded: LoadedModel, clips: Clips) -> Symbols:
    """What files of the clips hold."""
    coded = files.write(loaded, files.infer(loaded.vector, clips, TASK_QUALITY), TASK_QUALITY)
    return files.read(loaded, coded)


@dataclass(frozen=True)
class BallErrors:
    """How far balls are from what they should be, see above; None: nothing of the kind there."""

    position_px: float | None = None
    lost: float | None = None
    energy_error: float | None = None
    shape_error: float | None = None


def ball_errors(material: Material, found: Clips, times: range) -> BallErrors:
    """Errors of balls over some frames of clips [N, T, H, W, 3]; energy from frame to frame."""
    if material.centres is None:
        return BallErrors()
    distances, shapes, energies, seen = [], [], [], []
    for clip, frames, centres in zip(material.clips, found, material.centres, strict=True):
        colours = clip[0][tuple(centres[0].astype(int).T)].astype(np.float32)
        truth, area = _balls(clip[times.start : times.stop], colours)
        places, other = _balls(frames[times.start : times.stop], colours)
        known = ~np.isnan(places[..., 0]) & ~np.isnan(truth[..., 0])
        seen.append(known.mean())
        off = places - centres[times.start : times.stop]
        distances.append(np.hypot(off[known][:, 0], off[known][:, 1]))
        shapes.append(np.abs(other[known] / area[known] - 1))
        both = known[1:] & known[:-1]
        mass = area[0] / area[0].sum()
        moved, should = (
            (mass * np.square(np.diff(x, axis=0)).sum(2))[both].sum() for x in (places, truth)
        )
        if both.any():
            energies.append(abs(moved / should - 1))
    return BallErrors(
        _mean(np.concatenate(distances)),
        1 - float(np.mean(seen)),
        _mean(np.array(energies)),
        _mean(np.concatenate(shapes)),
    )


def _balls(
    frames: NDArray[np.uint8], colours: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres [T, balls, 2] and areas [T, balls] of balls of colours; NaN where there is none."""
    away = np.abs(frames[:, None] - colours[:, None, None]).max(-1)  # [T, balls, H, W]
    near = away < NEAR
    area = near.sum((2, 3)).astype(np.float64)
    grid = np.stack(np.indices(frames.shape[1:3]), -1) + 0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        centres = np.einsum("tbyx,yxd->tbd", near, grid) / area[..., None]
    centres[area < FEWEST_PIXELS] = np.nan
    return centres, area


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _row(
    loaded: LoadedModel,
    label: str,
    material: Material,
    task: str,
    quality: int,
    psnr: NDArray[np.float64],
    frames: int,
    **values: float | None,
) -> Row:
    rng = np.random.default_rng(0)
    means = rng.choice(psnr, (1000, len(psnr))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Row(
        material.set,
        material.protocol,
        task,
        label,
        loaded.identity.hex(),
        loaded.vector.config.dynamics,
        quality,
        frames,
        len(psnr),
        float(psnr.mean()),
        float(low),
        float(high),
        **values,
    )


def _line(row: Row) -> str:
    known = {k: v for k, v in asdict(row).items() if v is not None and k != "identity"}
    words = (f"{k} {v:.4g}" if isinstance(v, float) else f"{v}" for k, v in known.items())
    return "  ".join(words)


if __name__ == "__main__":
    raise SystemExit(main())
