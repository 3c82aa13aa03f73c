"""Video ⇄ .dsz stream. Encoder and decoder mirror each other and share every line that codes.

encoder    frames → GOPs → stream       decoder    stream → GOPs → frames
family     what differs by model        symbols    chosen and coded, both ways
gop_plan   where GOPs begin and end     window     the part of a stream wanted
preset     how hard to try              timing     when frames are shown
threads    how torch is set up

The names below are loaded on first use: training needs some of these modules and not the coder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsaecodec.codec.decoder import Decoder, VerifyReport, verify_stream
    from dsaecodec.codec.encoder import EncodeOptions, EncodeReport, Progress, encode_video

__all__ = [
    "Decoder",
    "EncodeOptions",
    "EncodeReport",
    "Progress",
    "VerifyReport",
    "encode_video",
    "verify_stream",
]

_LAZY = {
    "Decoder": "decoder",
    "EncodeOptions": "encoder",
    "EncodeReport": "encoder",
    "Progress": "encoder",
    "VerifyReport": "decoder",
    "encode_video": "encoder",
    "verify_stream": "decoder",
}


def __getattr__(name: str) -> Any:
    """Imports a name on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'dsaecodec.codec' has no attribute {name!r}")
    return getattr(import_module(f"dsaecodec.codec.{_LAZY[name]}"), name)
