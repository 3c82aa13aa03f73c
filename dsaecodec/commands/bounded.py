"""What commands that read a stream share: limits to what it may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from dsaecodec.limits import Limits


@dataclass(frozen=True, kw_only=True)
class BoundedRequest:
    """Arguments --max-pixels, --max-frames and --max-memory."""

    max_pixels: int = Limits.max_pixels
    max_frames: int = Limits.max_frames
    max_memory: int | None = Limits.max_memory

    @property
    def limits(self) -> Limits:
        """The same in one."""
        return Limits(self.max_pixels, self.max_frames, self.max_memory)
