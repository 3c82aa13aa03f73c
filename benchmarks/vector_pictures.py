"""Pictures of what streams of the vector family can do, each cell decoded from a file.

    python benchmarks/vector_pictures.py --sprites SHEETS --sprites-model sprites
    python benchmarks/vector_pictures.py --balls-model balls

swap          content of a row's clip, motion of a column's; the clips themselves along the edges
samples       nothing given: f and z_t drawn from the priors
motions       one content, motions drawn
continuation  half a clip and what the prior expects after it, below the original
missing       three frames in ten guessed from both sides, below the original

Animated as GIF; continuations and gaps also frame by frame, as PNG.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from PIL import Image

import dsaecodec
from dsaecodec.draw import bouncing_balls
from dsaecodec.generation import fill, predict, sample, swap
from dsaecodec.sprites import open_sprites

Frames = NDArray[np.uint8]
"""[T, H, W, 3]."""

QUALITY = 65
FPS = 12
SEED = 7
NUM_FRAMES = 32
GAP = range(11, 21)
SCALE = 2  # screen pixels of a pixel, in pictures that stand still


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sprites", type=Path, metavar="SHEETS", help="source sheets of Sprites")
    parser.add_argument("--sprites-model", metavar="NAME|PATH")
    parser.add_argument("--balls-model", metavar="NAME|PATH")
    parser.add_argument("-o", dest="output", type=Path, default=Path("docs/results"))
    options = parser.parse_args(arguments)
    if options.sprites_model and options.sprites is None:
        parser.error("--sprites-model needs --sprites SHEETS")
    options.output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    if options.sprites_model:
        sprites = open_sprites(options.sprites)
        motions = [(a, d) for a in range(3) for d in range(3)]

        def clip(motion: tuple[int, int], num_frames: int) -> Frames:
            phase = int(rng.integers(8))
            return sprites.clip(int(rng.choice(sprites.held_out)), *motion, num_frames, phase)

        edges = [clip(motions[i % 9], 8) for i in (0, 4, 8, 2, 3, 7)]
        draw_swaps(options.output / "sprites_swap", edges, options.sprites_model)
        draw_samples(options.output / "sprites", options.sprites_model, edges[0])
        draw_guesses(
            options.output / "sprites",
            [clip(motions[i], NUM_FRAMES) for i in (0, 4, 8)],
            options.sprites_model,
        )
    if options.balls_model:
        balls = [bouncing_balls(NUM_FRAMES, SEED * 1000 + i).frames for i in range(3)]
        draw_swaps(options.output / "balls_swap", [b[:16] for b in balls], options.balls_model)
        draw_samples(options.output / "balls", options.balls_model, balls[0])
        draw_guesses(options.output / "balls", balls, options.balls_model)
    return 0


def draw_swaps(path: Path, clips: Sequence[Frames], model: str) -> None:
    """Each content with each motion."""
    streams = [_open(clip, model) for clip in clips]
    nothing = np.full_like(clips[0], 255)
    rows = [[nothing, *clips]]
    for content, shown in zip(streams, clips, strict=True):
        rows.append([shown, *(_decode(swap(content, motion), model) for motion in streams)])
    _save(path, rows)


def draw_samples(path: Path, model: str, content: Frames) -> None:
    """Clips of nothing but the priors, and motions of one content."""
    rows = [
        [_decode(sample(model=model, num_frames=16, seed=6 * i + j), model) for j in range(6)]
        for i in range(4)
    ]
    _save(path.with_name(f"{path.name}_samples"), rows)
    given = _open(content, model)
    rows = [
        [_decode(sample(content=given, num_frames=16, seed=6 * i + j), model) for j in range(6)]
        for i in range(2)
    ]
    _save(path.with_name(f"{path.name}_motions"), rows)


def draw_guesses(path: Path, clips: Sequence[Frames], model: str) -> None:
    """Clips above what is guessed of them."""
    half = NUM_FRAMES // 2
    expected = [_decode(predict(_open(clip[:half], model), half), model) for clip in clips]
    _save(path.with_name(f"{path.name}_continuation"), [list(clips), expected])
    filled = [_decode(fill(_open(clip, model), GAP), model) for clip in clips]
    _save(path.with_name(f"{path.name}_missing"), [list(clips), filled])
    for name, guessed in (("continuation", expected), ("missing", filled)):
        strip = [
            [frames[t : t + 1] for t in range(half - 6, half + 8, 2)]
            for pair in zip(clips, guessed, strict=True)
            for frames in pair
        ]
        _save(path.with_name(f"{path.name}_{name}_strip"), strip)


def _open(frames: Frames, model: str) -> dsaecodec.Clip:
    stream = dsaecodec.encode(list(frames), model=model, quality=QUALITY, fps=FPS)
    return dsaecodec.open(stream, model=model)


def _decode(stream: bytes, model: str) -> Frames:
    return np.stack(list(dsaecodec.decode(stream, model=model)))


def _save(path: Path, rows: Sequence[Sequence[Frames]]) -> None:
    """A table of clips: a GIF, or a PNG of clips of one frame."""
    edge = ((0, 0), (1, 1), (1, 1), (0, 0))
    joined = [
        np.concatenate([np.pad(c, edge, constant_values=255) for c in row], 2) for row in rows
    ]
    frames = np.concatenate(joined, 1)
    if len(frames) == 1:
        still = frames[0].repeat(SCALE, 0).repeat(SCALE, 1)
        Image.fromarray(still).save(path.with_suffix(".png"), optimize=True)
        return
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(
        path.with_suffix(".gif"),
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / FPS),
        loop=0,
    )


if __name__ == "__main__":
    raise SystemExit(main())
