"""How the rate of a stream is counted: bytes of the whole file, header included."""

from __future__ import annotations

from fractions import Fraction


def bits_per_pixel(num_bytes: int, num_frames: int, height: int, width: int) -> float:
    """Rate 8 · bytes / (T · H · W), at display size."""
    return 8 * num_bytes / (num_frames * height * width)


def kilobits_per_second(num_bytes: int, num_frames: int, fps: Fraction) -> float:
    """Bitrate at the video's own frame rate; 1 kb is 1000 bits."""
    return float(8 * num_bytes * fps / num_frames / 1000)
