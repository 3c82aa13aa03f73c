"""What makes a GPU fast: memory layout and compiled networks."""

from __future__ import annotations

import torch

from dsaecodec.model import SpatialModel


def prepare_networks(model: SpatialModel, device: torch.device, *, compiled: bool) -> None:
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
    if compiled:
        # What runs for every frame. Content's interpolation stays out: the gradient of its padding
        # fails to compile in PyTorch 2.13.
        for name in ("motion", "predict", "finish"):
            setattr(
                model.frame_synthesis, name, torch.compile(getattr(model.frame_synthesis, name))
            )
