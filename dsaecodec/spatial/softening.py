"""Predictions are trusted as far as motion is certain.

Of a picture that is moved by a displacement with an error of variance σ², the best estimate keeps
a share of each frequency ω, the characteristic function of that error (Girod, IEEE J. Selected
Areas in Communications, 1987). Where the vectors of neighbouring blocks differ, motion between
them is uncertain: the error is taken to be as if spread evenly over their root mean square
difference r, so σ² = r²/12, and to be Gaussian:

    share(ω) = exp(-(ω_y² σ_y² + ω_x² σ_x²) / 2)

of the coefficients of each block's cosine transform.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from dsaecodec.spatial.motion import BLOCK
from dsaecodec.spatial.synthesis import Yuv, dct_matrix, dct_order


def soften(picture: Yuv, vectors: Tensor) -> Yuv:
    """A picture that was moved, with less of what uncertain motion cannot tell.

    Args:
        picture: [N, 1, H, W] and [N, 2, H/2, W/2].
        vectors: what moved it, pixels, [N, 2, H/16, W/16].
    """
    with torch.autocast(vectors.device.type, enabled=False):
        around = F.unfold(F.pad(vectors.float(), (1, 1, 1, 1), mode="replicate"), 3)
        around = around.view(len(vectors), 2, 9, *vectors.shape[2:])
        variance = (around - vectors.float()[:, :, None]).square().mean(2) / 12
        return Yuv(*(_soften(x.float(), variance) for x in picture))


def _soften(x: Tensor, variance: Tensor) -> Tensor:
    """The same of samples [N, C, H, W], some of them a block of `variance`, [N, 2, h, w]."""
    size = x.shape[2] // variance.shape[2]
    basis, squares = dct_matrix(size).to(x), _squared_frequencies(size).to(x)
    share = torch.exp(-0.5 * torch.einsum("kd,ndhw->nkhw", squares, variance))
    blocks = F.pixel_unshuffle(x, size).unflatten(1, (x.shape[1], -1))
    coefficients = torch.einsum("kp,ncphw->nckhw", basis, blocks) * share[:, None]
    blocks = torch.einsum("kp,nckhw->ncphw", basis, coefficients)
    return F.pixel_shuffle(blocks.flatten(1, 2), size)


@lru_cache(maxsize=2)
@torch.inference_mode(False)
def _squared_frequencies(size: int) -> Tensor:
    """ω² of a block's coefficients, (radians a luma pixel)², [size², 2]."""
    indices = torch.tensor([divmod(i, size) for i in dct_order(size)])
    return (indices * (math.pi / BLOCK)).square()
