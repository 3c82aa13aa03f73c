"""Writing YUV4MPEG2, see `dsaecodec.video.y4m`: planes as they are, to a file or a pipe."""

from __future__ import annotations

from typing import BinaryIO

from dsaecodec.video.frame import Frame420, VideoInfo
from dsaecodec.video.y4m import MAGIC, MATRIX_FIELD


class Y4mWriter:
    """Writes frames of any size, odd ones included, to a binary stream.

    Args:
        stream: where to; it stays the caller's.
        info: what the header says. y4m has no field for the times of frames, and none
            but ours for the matrix.
        sampling: of the planes, as y4m calls it; the sample position is that of MPEG-2 and H.264.
    """

    def __init__(self, stream: BinaryIO, info: VideoInfo, sampling: str = "420mpeg2") -> None:
        self._stream = stream
        fps, aspect = info.fps, info.sample_aspect
        fields = (
            f"W{info.width} H{info.height} F{fps.numerator}:{fps.denominator} "
            f"Ip A{aspect.numerator}:{aspect.denominator} "
            f"C{sampling} XCOLORRANGE={'FULL' if info.full_range else 'LIMITED'} "
            f"{MATRIX_FIELD}{info.matrix}"
        )
        stream.write(MAGIC + b" " + fields.encode() + b"\n")

    def write(self, frame: Frame420) -> None:
        """Append one frame."""
        self._stream.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in frame.planes))

    def close(self) -> None:
        """Flush; the stream stays open."""
        self._stream.flush()
