"""Noticing weights that make no numbers.

Those of a stranger may all be finite and yet overflow. A decoder then shows noise; an encoder has
nothing to say, and PyTorch's gradient of `grid_sample` reads outside its memory where motion is
not a number.
"""

from __future__ import annotations

from torch import Tensor

from dsaecodec.errors import ModelError


def check_finite(*tensors: Tensor) -> None:
    """Refuse what an encoder cannot go on with.

    Raises:
        ModelError: a number is infinite or none.
    """
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise not_finite()


def not_finite() -> ModelError:
    """The error that says so."""
    return ModelError(
        "the weights overflow: no latents can be inferred with them", hint="name another --model"
    )
