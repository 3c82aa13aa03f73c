"""Video in and out, as planes of 8-bit YUV 4:2:0 or RGB. The only package that imports PyAV (`av`).

What needs PyAV is loaded on first use: what a frame is, is known without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsaecodec.video.frame import Frame420, VideoInfo

if TYPE_CHECKING:
    from dsaecodec.video.pixels import frame_to_rgb, rgb_to_420, rgb_to_planes
    from dsaecodec.video.reader import VideoReader, open_video
    from dsaecodec.video.writer import VideoWriter

__all__ = [
    "Frame420",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "frame_to_rgb",
    "open_video",
    "rgb_to_420",
    "rgb_to_planes",
]

_LAZY = {
    "VideoReader": "reader",
    "VideoWriter": "writer",
    "frame_to_rgb": "pixels",
    "open_video": "reader",
    "rgb_to_420": "pixels",
    "rgb_to_planes": "pixels",
}


def __getattr__(name: str) -> Any:
    """Imports a name on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'dsaecodec.video' has no attribute {name!r}")
    return getattr(import_module(f"dsaecodec.video.{_LAZY[name]}"), name)
