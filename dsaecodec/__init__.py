"""dsaecodec: a video codec whose bitstream is a sequential generative model's latent state.

    data = dsaecodec.encode(frames, quality=50, fps=25)  # RGB frames, or a path
    frames = list(dsaecodec.decode(data))

Importing the package loads neither PyTorch nor a video library; `encode` and `decode` do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsaecodec.api import decode, encode

__all__ = ["__version__", "decode", "encode"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a function of the interface on first use."""
    if name not in ("decode", "encode"):
        raise AttributeError(f"module 'dsaecodec' has no attribute {name!r}")
    return getattr(import_module("dsaecodec.api"), name)
