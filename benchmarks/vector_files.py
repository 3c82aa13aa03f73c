"""Many small clips to files of the vector family and back, side by side.

What is made are the bytes that `dsaecodec encode` makes of each clip, and frames are decoded from
these bytes alone; only that the networks see many clips at once, which their exactness allows.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from bitstream import (
    Colour,
    FrequencyTables,
    Gop,
    Header,
    Segment,
    SymbolDecoder,
    SymbolEncoder,
    join,
    split,
)
from dsaecodec.codec.symbols import Fleet
from dsaecodec.generation import CANDIDATES, Drawer
from dsaecodec.model_io import LoadedModel
from dsaecodec.vector.gop_coder import code_content, code_dynamics
from dsaecodec.vector.gop_encoder import infer_symbols
from dsaecodec.vector.model import VectorModel
from dsaecodec.vector.pictures import UNIT
from dsaecodec.vector.synthesis import to_blocks, to_pictures

Clips = NDArray[np.uint8]
"""[N, T, H, W, 3]."""

BATCH = 64
FPS = Fraction(12)
SEED = 7
FILLED_AT_ONCE = 37  # clips, each with all its candidates


class Drawers(Fleet):
    """Drawers that price together what is given to all of them, which is most of it.

    Attributes:
        bits: code length of what was given to each.
    """

    def __init__(self, tables: FrequencyTables, generators: Sequence[Generator | None]) -> None:
        super().__init__([Drawer(tables, generator) for generator in generators])
        self._tables = tables
        self.bits = np.zeros(len(generators))

    def code(
        self, table_index: NDArray[np.uint16], symbols: NDArray[np.int32] | None
    ) -> NDArray[np.int32]:
        """One symbol of each."""
        if symbols is None:
            return super().code(table_index, None)
        self.bits += self._tables.cost_bits(table_index, symbols).reshape(len(self.bits))
        return symbols


class Symbols(NamedTuple):
    """Integers of clips: f [N, F], z [N, T, Z]."""

    f: Tensor
    z: Tensor


def held_out_clips(characters: Sequence[int], count: int) -> list[tuple[int, int, int, int]]:
    """Characters of Sprites in every motion: all, in order, or as many at random.

    Returns:
        Character, action, direction, and a random phase that does not depend on `count`.
    """
    everything = [(c, a, d) for c in characters for a in range(3) for d in range(3)]
    phases = np.random.default_rng(SEED).integers(8, size=len(everything)).tolist()
    order = np.arange(len(everything))
    if count < len(everything):
        order = np.random.default_rng(SEED).permutation(len(everything))[:count]
    return [(*everything[i], phases[i]) for i in order]


@torch.no_grad()
def infer(model: VectorModel, clips: Clips, quality: int) -> Symbols:
    """What an encoder sends."""
    found = [
        infer_symbols(model, _blocks(clips[i : i + BATCH]), quality)
        for i in range(0, len(clips), BATCH)
    ]
    return Symbols(*(torch.cat(parts) for parts in zip(*found, strict=True)))


@torch.no_grad()
def write(loaded: LoadedModel, symbols: Symbols, quality: int) -> list[bytes]:
    """Files of clips of at most 128 frames."""
    files = []
    for start in range(0, len(symbols.f), BATCH):
        f, z = (part[start : start + BATCH] for part in symbols)
        contents, dynamics = (_encoders(loaded.tables, len(f)) for _ in range(2))
        code_content(loaded.vector, Fleet(contents), quality, f, len(f))
        code_dynamics(loaded.vector, Fleet(dynamics), quality, z.unbind(1), len(f))
        files += [
            _file(loaded, quality, z.shape[1], a.finish(), b.finish())
            for a, b in zip(contents, dynamics, strict=True)
        ]
    return files


@torch.no_grad()
def read(loaded: LoadedModel, files: Sequence[bytes]) -> Symbols:
    """Symbols of files of one quality and length."""
    found = []
    for start in range(0, len(files), BATCH):
        gops = [split(data)[1][0] for data in files[start : start + BATCH]]
        quality, num_frames = gops[0].quality, gops[0].num_frames
        contents = [SymbolDecoder(gop.content, loaded.tables) for gop in gops]
        dynamics = [SymbolDecoder(gop.segments[0].payload, loaded.tables) for gop in gops]
        f = code_content(loaded.vector, Fleet(contents), quality, None, len(gops))
        frames = [None] * num_frames
        z = code_dynamics(loaded.vector, Fleet(dynamics), quality, frames, len(gops))
        for decoder in (*contents, *dynamics):
            decoder.finish()
        found.append((f, z))
    return Symbols(*(torch.cat(parts) for parts in zip(*found, strict=True)))


@torch.no_grad()
def go_on(loaded: LoadedModel, known: Symbols, num_frames: int, quality: int) -> Symbols:
    """Clips with the likeliest frames appended, up to a number, as `generation.predict` does it."""
    count = len(known.f)
    frames = [*known.z.unbind(1), *[None] * (num_frames - known.z.shape[1])]
    drawers = Drawers(loaded.tables, [None] * count)
    return Symbols(known.f, code_dynamics(loaded.vector, drawers, quality, frames, count))


@torch.no_grad()
def fill(loaded: LoadedModel, known: Symbols, gap: range, quality: int) -> Symbols:
    """Clips with the frames of a gap guessed as `generation.fill` does it."""
    parts = [_fill(loaded, z, gap, quality) for z in known.z.split(FILLED_AT_ONCE)]
    return Symbols(known.f, torch.cat(parts))


def _fill(loaded: LoadedModel, z: Tensor, gap: range, quality: int) -> Tensor:
    seeds = [np.random.default_rng([0, i]) if i else None for _ in z for i in range(CANDIDATES)]
    drawers = Drawers(loaded.tables, seeds)
    frames = [
        None if t in gap else z[:, t].repeat_interleave(CANDIDATES, 0) for t in range(z.shape[1])
    ]
    filled = code_dynamics(loaded.vector, drawers, quality, frames, len(seeds))
    best = torch.from_numpy(drawers.bits.reshape(-1, CANDIDATES).argmin(1))
    return filled.unflatten(0, (-1, CANDIDATES))[torch.arange(len(z)), best]


@torch.no_grad()
def show(model: VectorModel, symbols: Symbols, quality: int) -> Clips:
    """Pictures of symbols, as a decoder makes them."""
    made = []
    for start in range(0, len(symbols.f), BATCH):
        f, z = (part[start : start + BATCH].float() for part in symbols)
        pictures = to_pictures(model.synthesize(f, z, quality), model.config.size)
        code_values = (UNIT * pictures).round().clamp(0, 255).to(torch.uint8)
        made.append(code_values.permute(0, 1, 3, 4, 2).numpy())
    return np.concatenate(made)


def payload_bytes(data: bytes) -> tuple[int, int]:
    """Coder bytes of content and of dynamics in a file."""
    (gop,) = split(data)[1]
    return len(gop.content), len(gop.segments[0].payload)


def psnr(truth: Clips, found: Clips) -> NDArray[np.float64]:
    """RGB PSNR of every frame [N, T], at most 100 dB."""
    difference = truth.astype(np.float32) - found
    mse = np.square(difference, dtype=np.float64).mean((2, 3, 4))
    decibels: NDArray[np.float64] = 10 * np.log10(255**2 / np.maximum(mse, 255**2 / 1e10))
    return decibels


def _blocks(clips: Clips) -> Tensor:
    return to_blocks(torch.from_numpy(clips).permute(0, 1, 4, 2, 3).float() / UNIT)


def _encoders(tables: FrequencyTables, count: int) -> list[SymbolEncoder]:
    return [SymbolEncoder(tables) for _ in range(count)]


def _file(
    loaded: LoadedModel, quality: int, num_frames: int, content: bytes, dynamics: bytes
) -> bytes:
    side = loaded.vector.config.size
    header = Header(loaded.identity, side, side, FPS, Colour(0, True))
    segment = Segment(0, num_frames, dynamics)
    return join(header, [Gop(quality, False, num_frames, content, (segment,))])


def write_table(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    """A table of dataclasses of a kind."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(kind)])
        for row in rows:
            values = asdict(row).values()
            writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in values])
