"""What makes a GPU fast: memory layout and compiled networks; and what must not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dsaecodec.model_io import Model
from dsaecodec.vector.model import VectorModel


@contextmanager
def full_float32() -> Iterator[None]:
    """Float32 with all its bits inside, where a GPU would round to TF32: transforms need them."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with cudnn.flags(enabled=cudnn.enabled, benchmark=True, allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = before


def prepare_networks(model: Model, device: torch.device, *, compiled: bool) -> None:
    """Move a model to where it is trained.

    Args:
        model: changed in place; names and values of its state stay.
        device: on a GPU, convolutions take channels last.
        compiled: compile the synthesis of frames. The exact part is left alone: its arithmetic is
            defined as it stands.
    """
    model.to(device)
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled and isinstance(model, VectorModel):
        model.posterior.compile()
        model.synthesis.compile()
    elif compiled:
        # What runs for every frame. Content's interpolation stays out: the gradient of its padding
        # fails to compile in PyTorch 2.13.
        for name in ("motion", "predict", "finish"):
            setattr(
                model.frame_synthesis, name, torch.compile(getattr(model.frame_synthesis, name))
            )
