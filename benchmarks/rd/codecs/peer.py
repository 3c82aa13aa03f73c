"""Peers: learned video codecs of CompressAI, with checkpoints that the user names.

CompressAI is an extra, `pip install -e '.[bench]'`, for an environment of its own: it asks for
another NumPy and PyTorch, see docs/decisions/0001. Nothing loads it before a peer is used.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.rd.clip import Clip, Frames, RgbFrame
from benchmarks.rd.codec import CannotCode, Codec, Coded, ModelSize
from benchmarks.rd.codecs.peer_network import PEERS, compressai_version, load_network
from benchmarks.rd.measure import as_rgb
from bitstream.errors import BitstreamError
from bitstream.source import ByteSource
from bitstream.varint import pack_varint
from dsaecodec.codec.threads import limited_threads
from dsaecodec.errors import UsageError
from dsaecodec.video import rgb_to_420

_LABELS = {"ssf2020": "SSF 2020 (CompressAI)"}
_STRIDE = 128  # of pixels: the hyper-latents' grid
_MAX_STRING = 2**31
_KEY = ("y", "z")
_INTER = ("motion", "residual")


def peer_codecs(specs: Sequence[str]) -> list[Codec]:
    """A codec for each name, whose qualities 0, 1, … are its checkpoints in the order given.

    Args:
        specs: NAME=PATH each; checkpoints as PyTorch or safetensors files, lowest rate first.

    Raises:
        UsageError: a name is unknown, or there is no such file.
    """
    paths: dict[str, list[Path]] = {}
    for spec in specs:
        name, _, path = spec.partition("=")
        if name not in PEERS or not path:
            raise UsageError(f"--peer {spec}: expected {' or '.join(PEERS)}=PATH")
        if not Path(path).is_file():
            raise UsageError(f"--peer {spec}: no such file")
        paths.setdefault(name, []).append(Path(path))
    return [_peer(name, _LABELS[name], name, found) for name, found in paths.items()]


def speed_peers() -> list[Codec]:
    """The same networks with random weights: for tables of speed, never for curves.

    Their time is the networks': what they code is nearly all zeros, so entropy coding costs less.
    """
    return [_peer(f"{name}-speed", f"{_LABELS[name]}, random weights", name, []) for name in PEERS]


def _peer(name: str, label: str, architecture: str, checkpoints: list[Path]) -> Codec:
    grid = tuple(map(float, range(max(1, len(checkpoints)))))
    return Peer(name, label, architecture, tuple(checkpoints), grid, grid)


@dataclass(frozen=True)
class Peer(Codec):
    """One of CompressAI's video codecs.

    A packet is a frame: each string of the entropy coder behind its length as LEB128; the first
    packet begins with the index of the checkpoint, a byte. Shapes follow from the clip's size.
    Pictures are RGB in 0…1, made of 8 bits and rounded to them, their edges repeated to the right
    and down to multiples of 128.

    Attributes:
        architecture: see `peer_network.PEERS`.
        checkpoints: a quality each; none for random weights.
    """

    name: str
    label: str
    architecture: str
    checkpoints: tuple[Path, ...]
    qualities: tuple[float, ...]
    all_qualities: tuple[float, ...]
    threads: int = 1

    def settings(self, clip: Clip, quality: float) -> str:
        """The checkpoint by its hash, what is done around the network, and versions."""
        path = self._checkpoint(quality)
        weights = f"{path.name} SHA-256 {_sha256(path)[:16]}" if path else "random weights"
        pictures = f"edges repeated to multiples of {_STRIDE}"
        if clip.kind == "yuv420":
            pictures += ", YUV 4:2:0 as RGB of 8 bits"
        call = f"CompressAI {compressai_version()} {PEERS[self.architecture]}.compress"
        return f"{call}, {weights}, {pictures}; PyTorch {torch.__version__}"

    def encode(self, clip: Clip, quality: float) -> Coded:
        """Code a clip as one key frame, and motion and residual of those after it."""
        network = load_network(self.architecture, self._checkpoint(quality))
        with limited_threads(self.threads):
            strings, _ = network.compress(_to_tensors(as_rgb(clip)))
        first, *others = [_pack(of_frame) for of_frame in strings]
        return Coded((bytes([round(quality)]) + first, *others))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """Decode the strings.

        Raises:
            CannotCode: they are not of this codec.
        """
        height, width = clip.info.height, clip.info.width
        grid = torch.Size([-(-height // _STRIDE), -(-width // _STRIDE)])
        try:
            index = coded.packets[0][0]
            packets = coded.packets[0][1:], *coded.packets[1:]
            strings = [_unpack(packet, key=not t) for t, packet in enumerate(packets)]
        except (BitstreamError, IndexError) as error:
            raise CannotCode(f"{self.name}: damaged strings: {error}") from error
        shapes = [grid if not t else dict.fromkeys(_INTER, grid) for t in range(len(strings))]
        network = load_network(self.architecture, self._checkpoint(index))
        with limited_threads(self.threads):
            rgb = _to_rgb(network.decompress(strings, shapes), height, width)
        if clip.kind == "rgb":
            return rgb
        return [rgb_to_420(frame, clip.info.matrix, clip.info.full_range) for frame in rgb]

    def size(self, clip: Clip) -> ModelSize:
        """Parameters, and bytes of one checkpoint; as float32 where weights are random."""
        path = self.checkpoints[0] if self.checkpoints else None
        numbers = sum(p.numel() for p in load_network(self.architecture, path).parameters())
        return ModelSize(numbers, path.stat().st_size if path else 4 * numbers)

    def _checkpoint(self, quality: float) -> Path | None:
        if quality not in self.qualities:
            raise CannotCode(f"{self.name} has no checkpoint {quality:g}")
        return self.checkpoints[int(quality)] if self.checkpoints else None


def _pack(strings: Any) -> bytes:
    """The strings of a frame: latents and hyper-latents, of an inter frame motion's first."""
    groups = [strings[name] for name in _INTER] if isinstance(strings, dict) else [strings]
    flat = [string for group in groups for (string,) in group]
    return b"".join(pack_varint(len(string)) + string for string in flat)


def _unpack(packet: bytes, key: bool) -> Any:
    """What `_pack` packed, as `decompress` wants it."""
    source = ByteSource(io.BytesIO(packet), place="frame")

    def pair() -> list[list[bytes]]:
        return [[source.take(source.varint(name, _MAX_STRING), name)] for name in _KEY]

    strings = pair() if key else {name: pair() for name in _INTER}
    source.expect_end()
    return strings


def _to_tensors(frames: Sequence[RgbFrame]) -> list[Tensor]:
    """Pictures [1, 3, H', W'] in 0…1, edges repeated to multiples of the stride."""
    height, width, _ = frames[0].shape
    edges = (0, -width % _STRIDE, 0, -height % _STRIDE)
    return [
        F.pad(torch.from_numpy(frame.copy()).movedim(2, 0)[None] / 255, edges, mode="replicate")
        for frame in frames
    ]


def _to_rgb(pictures: Sequence[Tensor], height: int, width: int) -> list[RgbFrame]:
    """Pictures of 8 bits, uint8 [H, W, 3]."""
    cut = [x[0, :, :height, :width].clamp(0, 1).mul(255).round().byte() for x in pictures]
    return [np.ascontiguousarray(x.movedim(0, 2).numpy()) for x in cut]


@lru_cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
