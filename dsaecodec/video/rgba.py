"""A picture with its transparency, as it is stored: sprite sheets are layers of a picture."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from dsaecodec.errors import InputVideoError
from dsaecodec.video.demuxing import open_container


def read_rgba(path: Path) -> NDArray[np.uint8]:
    """Read an image file of 8-bit RGB or palette colours, exactly.

    Returns:
        [H, W, 4]: red, green, blue, not multiplied by alpha, and alpha.

    Raises:
        InputVideoError: it is missing or no whole image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputVideoError(f"{path}: cannot be read: {error.strerror}") from error
    with open_container(io.BytesIO(data), str(path)) as container:
        try:
            frame = next(container.decode(video=0), None)
        except (av.FFmpegError, IndexError, ValueError):
            frame = None
        if frame is None or frame.is_corrupt:
            raise InputVideoError(f"{path}: cannot be decoded")
        return np.asarray(frame.to_ndarray(format="rgba"), np.uint8)
