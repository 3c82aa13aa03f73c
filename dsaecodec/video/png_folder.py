"""Writing frames as numbered PNG pictures."""

from __future__ import annotations

from pathlib import Path

import av

from dsaecodec.video.frame import Frame420, VideoInfo
from dsaecodec.video.pixels import frame_to_rgb


class PngFolder:
    """Writes each frame as an RGB picture, by the video's matrix and range.

    Args:
        folder: where to, it exists.
        name: of a picture, with one %d or %05d for its number, which counts from 0.
        info: of the video.
    """

    def __init__(self, folder: Path, name: str, info: VideoInfo) -> None:
        self._folder, self._name, self._info = folder, name, info
        self._count = 0

    def write(self, frame: Frame420) -> None:
        """Write one picture."""
        rgb = frame_to_rgb(frame, self._info.matrix, self._info.full_range)
        encoder = av.VideoCodecContext.create("png", "w")
        encoder.width, encoder.height = self._info.width, self._info.height
        encoder.pix_fmt = "rgb24"
        encoder.time_base = 1 / self._info.fps  # a picture has no time, but FFmpeg wants one
        encoder.options = {"pred": "mixed"}
        packets = encoder.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24"))
        packets += encoder.encode(None)
        data = b"".join(bytes(packet) for packet in packets)
        (self._folder / (self._name % self._count)).write_bytes(data)
        self._count += 1

    def close(self) -> None:
        """Nothing is left to do."""
