"""Video in and out, as planes of 8-bit YUV 4:2:0. The only package that imports PyAV (`av`)."""

from __future__ import annotations

from dsaecodec.video.frame import Frame420, VideoInfo
from dsaecodec.video.pixels import frame_to_rgb, rgb_to_420
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
]
