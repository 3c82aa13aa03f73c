"""dsaecodec: a video codec whose bitstream is a sequential generative model's latent state.

    data = dsaecodec.encode(frames, quality=50, fps=25)  # RGB frames, or a path
    frames = list(dsaecodec.decode(data))
    with dsaecodec.open(data) as clip:  # bytes, or a path
        rgb, z = clip[17], clip.gops[0].z_symbols

Importing the package loads neither PyTorch nor a video library; the functions do, `open` when
something must be decoded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsaecodec.api import decode, encode
    from dsaecodec.clip import Clip
    from dsaecodec.clip import open_clip as open
    from dsaecodec.clip_gop import ClipGop
    from dsaecodec.limits import Limits

__all__ = ["Clip", "ClipGop", "Limits", "__version__", "decode", "encode", "open"]

__version__ = "0.1.0"

_LAZY = {
    "Clip": ("dsaecodec.clip", "Clip"),
    "ClipGop": ("dsaecodec.clip_gop", "ClipGop"),
    "Limits": ("dsaecodec.limits", "Limits"),
    "decode": ("dsaecodec.api", "decode"),
    "encode": ("dsaecodec.api", "encode"),
    "open": ("dsaecodec.clip", "open_clip"),
}


def __getattr__(name: str) -> Any:
    """Import a name of the interface on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'dsaecodec' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
