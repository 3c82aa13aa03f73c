"""Linear PCA in the comparison: what a codec without any network reaches on a narrow set.

A clip is one long vector. Its components, fitted on drawn clips of the same length and protocol,
are quantized with one step and coded under a static Laplace distribution each. A basis of K
components is K · 12288 · T numbers: see the column of model size beside every rate.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.latents.head import NUM_LEVELS, pack_head, read_head
from benchmarks.rd.clip import Clip, Frames
from benchmarks.rd.codec import CannotCode, Codec, Coded, ModelSize
from bitstream import CodecError, FrequencyTables, SymbolDecoder, SymbolEncoder
from dsaecodec.draw import (
    ACTIONS,
    CYCLE,
    DIRECTIONS,
    Character,
    bouncing_balls,
    draw_character,
    split_characters,
)
from dsaecodec.likelihood import LEVELS_PER_OCTAVE, MEAN_UNITS, SCALE_LEVELS, SCALE_MIN
from dsaecodec.tables import build_tables

Array = NDArray[np.float32]

CACHE_VARIABLE = "RD_CURVE_PCA_CACHE"
"""Names a folder where fitted bases are kept."""

SIZE = 64
MOST_FRAMES = 64
STEPS = (8192.0, 4096.0, 2048.0, 1024.0, 512.0)
"""Of the quality levels 0…4; a value that is off by n adds n² to the squared error of a clip."""

COMPONENTS = (8, 16, 32, 64, 128)
"""Of the quality levels; fewer where fewer are stored."""

_SEED = 3_000_000
_BLOCK = 1 << 15  # samples of every clip that are worked on at a time


@dataclass(frozen=True)
class Protocol:
    """What a basis is fitted on.

    Attributes:
        group: "characters" or "balls".
        num_frames: of every clip.
        motion: 3 · action + direction of the characters, None for any.
        clips: how many.
        components: how many are kept.
    """

    group: str
    num_frames: int
    motion: int | None
    clips: int
    components: int


@dataclass(frozen=True)
class Basis:
    """A fitted basis.

    Attributes:
        mean: [D].
        vectors: [K, D], orthonormal.
        scales: [K] of Laplace distributions, from clips that the vectors were not fitted on.
    """

    mean: Array
    vectors: Array
    scales: Array


class PcaCodec(Codec):
    """Clip-level PCA.

    Args:
        by_motion: one basis for each of the characters' nine motions, which is sent.
        folder: where fitted bases are kept; None for `$RD_CURVE_PCA_CACHE`, and without it for
            memory alone.
    """

    qualities = all_qualities = tuple(map(float, range(NUM_LEVELS)))

    def __init__(self, by_motion: bool = False, folder: Path | None = None) -> None:
        self.name = "pca-class" if by_motion else "pca"
        self.label = "PCA a motion class" if by_motion else "PCA"
        self._by_motion = by_motion
        self._folder = folder

    def unsuitable(self, clip: Clip) -> str | None:
        """Only 64×64 clips of the sets that we draw."""
        if clip.kind != "rgb" or (clip.info.height, clip.info.width) != (SIZE, SIZE):
            return f"{self.label}: made for RGB clips of {SIZE}×{SIZE}"
        if clip.group not in ({"characters"} if self._by_motion else {"characters", "balls"}):
            return f"{self.label}: no generator to draw clips like those of {clip.group}"
        if len(clip.frames) > MOST_FRAMES:
            return f"{self.label}: {len(clip.frames)} frames, at most {MOST_FRAMES}"
        if self._by_motion and not {"action", "direction"} <= clip.labels.keys():
            return f"{self.label}: a clip without labels of its motion"
        return None

    def settings(self, clip: Clip, quality: float) -> str:
        """What was fitted on what, the step, and NumPy's version."""
        level = _level(quality)
        fitted = self._protocol(clip.group, len(clip.frames), 0)
        kept = min(COMPONENTS[level], fitted.components)
        each = " a motion" if self._by_motion else ""
        return (
            f"{kept} components, step {STEPS[level]:g}, fitted on {fitted.clips} drawn {clip.group}"
            f"{each} of {fitted.num_frames} frames, seed {_SEED}, NumPy {np.__version__}"
        )

    def encode(self, clip: Clip, quality: float) -> Coded:
        """See `Codec.encode`."""
        reason = self.unsuitable(clip)
        if reason:
            raise CannotCode(reason)
        level, motion = _level(quality), self._motion(clip)
        basis = self._basis(clip.group, len(clip.frames), motion)
        samples = np.stack([f for f in clip.frames if isinstance(f, np.ndarray)]).reshape(-1)
        kept = COMPONENTS[level]
        values = basis.vectors[:kept] @ (samples.astype(np.float32) - basis.mean)
        coder = SymbolEncoder(_tables())
        if self._by_motion:
            coder.code(np.array([_motion_table()]), np.array([motion - 4], np.int32))
        symbols = np.rint(values / STEPS[level]).astype(np.int32)
        coder.code(table_indices(basis.scales[:kept], STEPS[level]), symbols)
        return Coded((pack_head(level, len(clip.frames)) + coder.finish(),))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """See `Codec.decode`."""
        data = b"".join(coded.packets)
        try:
            level, num_frames, begin = read_head(data)
            coder = SymbolDecoder(data[begin:], _tables())
            motion = 0
            if self._by_motion:
                motion = int(coder.code(np.array([_motion_table()]))[0]) + 4
            if num_frames > MOST_FRAMES:
                raise CannotCode(f"{self.label}: {num_frames} frames, at most {MOST_FRAMES}")
            basis = self._basis(clip.group, num_frames, motion)
            kept = COMPONENTS[level]
            symbols = coder.code(table_indices(basis.scales[:kept], STEPS[level]))
            coder.finish()
        except CodecError as error:
            raise CannotCode(f"{self.label}: {error}") from error
        values = symbols.astype(np.float32) * np.float32(STEPS[level])
        samples = basis.mean + values @ basis.vectors[:kept]
        frames = np.clip(np.rint(samples), 0, 255).astype(np.uint8)
        return list(frames.reshape(num_frames, SIZE, SIZE, 3))

    def size(self, clip: Clip) -> ModelSize | None:
        """Stored numbers of all bases: means, vectors and scales, 4 bytes each."""
        if self.unsuitable(clip):
            return None
        kept = self._protocol(clip.group, len(clip.frames), 0).components
        each = (kept + 1) * len(clip.frames) * SIZE * SIZE * 3 + kept
        numbers = each * (_NUM_MOTIONS if self._by_motion else 1)
        return ModelSize(numbers, 4 * numbers)

    def _motion(self, clip: Clip) -> int:
        if not self._by_motion:
            return 0
        return len(DIRECTIONS) * clip.labels["action"] + clip.labels["direction"]

    def _protocol(self, group: str, num_frames: int, motion: int) -> Protocol:
        if self._by_motion:
            return Protocol(group, num_frames, motion, clips=240, components=64)
        clips = 1000 if group == "characters" else 600
        return Protocol(group, num_frames, None, clips, components=128)

    def _basis(self, group: str, num_frames: int, motion: int) -> Basis:
        folder = self._folder
        if folder is None and os.environ.get(CACHE_VARIABLE):
            folder = Path(os.environ[CACHE_VARIABLE])
        return _fitted(self._protocol(group, num_frames, motion), folder)


def pca_codecs() -> list[Codec]:
    """One basis for all, and one a motion."""
    return [PcaCodec(), PcaCodec(by_motion=True)]


_NUM_MOTIONS = len(ACTIONS) * len(DIRECTIONS)


@cache
def _fitted(protocol: Protocol, folder: Path | None) -> Basis:
    """The basis of a protocol, fitted or, with a folder, read."""
    if folder is None:
        return fit(protocol)
    name = hashlib.sha256(f"{protocol} {_SEED} {np.__version__}".encode()).hexdigest()[:16]
    path = folder / f"pca-{name}.npz"
    if path.is_file():
        with np.load(path) as file:
            return Basis(file["mean"], file["vectors"], file["scales"])
    basis = fit(protocol)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{path.stem}.{os.getpid()}.npz"
    np.savez(temporary, mean=basis.mean, vectors=basis.vectors, scales=basis.scales)
    os.replace(temporary, path)
    return basis


def fit(protocol: Protocol) -> Basis:
    """Draw a protocol's clips and fit its basis."""
    samples = np.stack([clip.reshape(-1) for clip in _draw(protocol)])
    return fit_samples(samples, protocol.components)


def fit_samples(samples: NDArray[np.uint8], components: int) -> Basis:
    """Fit a basis to clips [N, D]: D is far greater than N, so by their Gram matrix [N, N].

    The vectors come from four clips in five, the scales of their values from the others: on the
    clips that made them values are larger than they will be on new ones.
    """
    count = len(samples) * 4 // 5
    mean = samples[:count].mean(0, dtype=np.float64).astype(np.float32)
    gram = np.zeros((count, count))
    for block in _blocks(samples.shape[1]):
        part = samples[:count, block] - mean[block]
        gram += part @ part.T
    energy, mixing = np.linalg.eigh(gram)
    kept = min(components, count - 1, int((energy > 1e-6 * energy.max()).sum()))
    best = np.argsort(energy)[::-1][:kept]
    weights = (mixing[:, best] / np.sqrt(np.maximum(energy[best], 1e-6))).T.astype(np.float32)
    vectors = np.empty((kept, samples.shape[1]), np.float32)
    values = np.zeros((kept, len(samples) - count))
    for block in _blocks(samples.shape[1]):
        vectors[:, block] = weights @ (samples[:count, block] - mean[block])
        values += vectors[:, block] @ (samples[count:, block] - mean[block]).T
    return Basis(mean, vectors, np.abs(values).mean(1).astype(np.float32))


def _blocks(size: int) -> Iterator[slice]:
    return (slice(begin, begin + _BLOCK) for begin in range(0, size, _BLOCK))


def _draw(protocol: Protocol) -> Iterator[NDArray[np.uint8]]:
    """Training clips [T, 64, 64, 3]: no held-out character, no seed of the benchmark's balls."""
    rng = np.random.default_rng(_SEED)
    known, _ = split_characters()
    for index in range(protocol.clips):
        if protocol.group == "balls":
            yield bouncing_balls(protocol.num_frames, _SEED + index).frames
            continue
        motion, phase = (int(rng.integers(n)) for n in (_NUM_MOTIONS, CYCLE))
        if protocol.motion is not None:
            motion = protocol.motion
        character = Character.from_index(known[rng.integers(len(known))])
        action, direction = divmod(motion, len(DIRECTIONS))
        yield draw_character(character, action, direction, protocol.num_frames, phase)


def table_indices(scales: Array, step: float) -> NDArray[np.int64]:
    """The table of each component: its Laplace scale in symbols, centered on zero."""
    octaves = np.log2(np.maximum(scales / step, 1e-9) / SCALE_MIN)
    level = np.clip(np.rint(LEVELS_PER_OCTAVE * octaves), 0, SCALE_LEVELS - 1)
    index: NDArray[np.int64] = level.astype(np.int64)
    return index * MEAN_UNITS + MEAN_UNITS // 2


@cache
def _tables() -> FrequencyTables:
    """The Laplace tables of the codec, and behind them that of nine motions alike."""
    laplace = build_tables()
    escape = 1
    even, left = divmod(2**24 - escape, _NUM_MOTIONS)
    motions = [even + (index < left) for index in range(_NUM_MOTIONS)]
    freqs = np.concatenate([laplace.freqs, motions, [escape]])
    return FrequencyTables(freqs, np.append(laplace.half_widths, _NUM_MOTIONS // 2))


def _motion_table() -> int:
    return _tables().num_tables - 1


def _level(quality: float) -> int:
    if quality % 1 or not 0 <= quality < NUM_LEVELS:
        raise CannotCode(f"quality {quality:g} of PCA, expected 0…{NUM_LEVELS - 1}")
    return int(quality)
