"""Frames ⇄ the blocks that the networks see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dsaecodec.vector.synthesis import to_blocks, to_pictures
from dsaecodec.video.frame import Frame420

UNIT = 64  # code values


def blocks_of(frames: Sequence[Frame420]) -> Tensor:
    """RGB frames of one GOP → blocks [blocks, 1, T, 192]."""
    planes = np.stack([np.stack([f.v, f.y, f.u]) for f in frames])  # of G, B, R
    return to_blocks(torch.from_numpy(planes)[None].float() / UNIT)


def frames_of(blocks: Tensor, size: int) -> Iterator[Frame420]:
    """Inverse of `blocks_of`: round and clamp."""
    pictures = to_pictures(blocks, size)[0]
    for r, g, b in (UNIT * pictures).round().clamp(0, 255).to(torch.uint8).cpu().numpy():
        y, u, v = (np.ascontiguousarray(plane) for plane in (g, b, r))
        yield Frame420(y, u, v)
