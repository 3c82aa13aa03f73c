"""Small latent models in the comparison: what f, z_t and a stochastic prior are worth.

Three models of one size, trained alike on drawn clips, see `benchmarks/latents`. Each has weights
for the sets that we draw; a clip of another group it does not code.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from benchmarks.latents.coding import decode_clip, encode_clip
from benchmarks.latents.head import NUM_LEVELS
from benchmarks.latents.model import VARIANTS, LatentModel, Variant, num_parameters
from benchmarks.latents.pictures import SIZE
from benchmarks.latents.store import identity, read_weights, weights_path
from benchmarks.rd.clip import Clip, Frames
from benchmarks.rd.codec import CannotCode, Codec, Coded, ModelSize
from bitstream import CodecError

_LABELS: dict[Variant, str] = {
    "stochastic": "stochastic LSTM (f + z)",
    "deterministic": "deterministic LSTM (f)",
    "local": "local only (z)",
}


class LatentCodec(Codec):
    """One of the variants.

    Args:
        variant: what is sent.
        folder: of the weights, GROUP-VARIANT.safetensors; None for the shipped ones.
    """

    qualities = all_qualities = tuple(map(float, range(NUM_LEVELS)))

    def __init__(self, variant: Variant, folder: Path | None = None) -> None:
        self.name = f"lstm-{variant}"
        self.label = _LABELS[variant]
        self._variant = variant
        self._folder = folder

    def unsuitable(self, clip: Clip) -> str | None:
        """Only pixel art of 64×64 of a set that there are weights for."""
        if clip.kind != "rgb" or (clip.info.height, clip.info.width) != (SIZE, SIZE):
            return f"{self.label}: made for RGB clips of {SIZE}×{SIZE}"
        if not self._path(clip).is_file():
            return f"{self.label}: no weights for {clip.group}"
        return None

    def settings(self, clip: Clip, quality: float) -> str:
        """Weights by their hash, quality level, and PyTorch's version."""
        path = self._path(clip)
        try:
            weights = identity(path)
        except OSError as error:
            raise CannotCode(f"{self.label}: no weights for {clip.group}") from error
        return f"{path.stem} {weights} level {_level(quality)}, PyTorch {torch.__version__}"

    def encode(self, clip: Clip, quality: float) -> Coded:
        """See `Codec.encode`."""
        frames = np.stack([frame for frame in clip.frames if isinstance(frame, np.ndarray)])
        return Coded((encode_clip(self._model(clip), frames, _level(quality)).data,))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """See `Codec.decode`."""
        try:
            return list(decode_clip(self._model(clip), b"".join(coded.packets)))
        except CodecError as error:
            raise CannotCode(f"{self.label}: {error}") from error

    def size(self, clip: Clip) -> ModelSize | None:
        """Parameters, and bytes of the weights' file; both halves of the codec are in it."""
        if self.unsuitable(clip):
            return None
        return ModelSize(num_parameters(self._model(clip)), self._path(clip).stat().st_size)

    def _path(self, clip: Clip) -> Path:
        shipped = weights_path(clip.group, self._variant)
        return shipped if self._folder is None else self._folder / shipped.name

    def _model(self, clip: Clip) -> LatentModel:
        reason = self.unsuitable(clip)
        if reason:
            raise CannotCode(reason)
        return _read(self._path(clip))


def latent_codecs() -> list[Codec]:
    """The three variants."""
    return [LatentCodec(variant) for variant in VARIANTS]


@cache
def _read(path: Path) -> LatentModel:
    return read_weights(path)


def _level(quality: float) -> int:
    if quality % 1 or not 0 <= quality < NUM_LEVELS:
        raise CannotCode(f"quality {quality:g} of a latent model, expected 0…{NUM_LEVELS - 1}")
    return int(quality)
