"""How much a stream may ask for: refused before anything is allocated for it, or PyTorch loaded.

A file of twenty bytes can be a valid stream of 128 pictures of 16384×8192: what it asks for has to
be bounded apart from its size. Each check costs nothing and needs only what a header says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from bitstream import Header, Summary
from dsaecodec.errors import InputVideoError, LimitError
from dsaecodec.memory import memory_here

# Fitted to peaks of resident memory from 640×360 to 3840×2160, 1 to 128 frames, 1 to 8 threads.
_PROGRAM_BYTES = 384 << 20  # PyTorch, the weights, and what small pictures take besides
_PLANE_BYTES = 150  # a pixel, for the planes of two contents and the making of one
_BATCH_BYTES = 130  # a pixel, for frames that a thread synthesizes
_FRAME_BYTES = 8  # a pixel, for each frame of a GOP: symbols, and the picture until it is shown
_CODER_COPIES = 4
_BATCH_PIXELS = 2**18
_ENCODER_PLANE_BYTES = 400  # two contents are tried at once
_REFINED = 2  # times as much where latents are refined by their gradient


@dataclass(frozen=True)
class Limits:
    """The most that a stream may ask of a decoder.

    Attributes:
        max_pixels: of a picture; 8K fits.
        max_frames: of the stream; more than three days at 60 frames a second.
        max_memory: bytes that decoding may take by an estimate; None: all that this process may
            use. The memory of a GPU is not looked at.
    """

    max_pixels: int = 8192 * 4320
    max_frames: int = 2**24
    max_memory: int | None = None

    def check(
        self,
        header: Header,
        num_frames: int = 1,
        longest_gop: int = 1,
        *,
        coder_bytes: int = 0,
        threads: int | None = None,
    ) -> None:
        """Refuse a stream that asks for too much, as far as it is known.

        Args:
            header: of the stream.
            num_frames: of the stream, or of what was read of it.
            longest_gop: frames of its longest GOP, likewise.
            coder_bytes: of that GOP.
            threads: that will decode it, None for all.

        Raises:
            LimitError: naming what was found, the limit, and what raises it.
        """
        pixels = header.width * header.height
        size = f"{header.width}x{header.height}"
        if pixels > self.max_pixels:
            raise LimitError(
                f"{size} is {pixels} pixels, at most {self.max_pixels} are allowed",
                hint=f"--max-pixels {pixels} allows them, if the file is to be trusted",
            )
        self.check_frames(num_frames)
        needed = decoder_bytes(pixels, longest_gop, coder_bytes, threads)
        allowed = self._memory()
        if allowed is not None and needed > allowed:
            raise LimitError(
                f"{size} in GOPs of {_frames(longest_gop)} takes some {_shown(needed)} to decode, "
                f"{self._allowed(allowed)}",
                hint=f"--max-memory {_shown(needed)} allows it; fewer --threads need less",
            )

    def check_summary(self, summary: Summary, threads: int | None = None) -> None:
        """The same of a stream that was read through once."""
        self.check(summary.header, summary.num_frames, summary.longest_gop, threads=threads)

    def check_frames(self, num_frames: int) -> None:
        """Refuse a stream that is too long.

        Raises:
            LimitError: see `check`.
        """
        if num_frames > self.max_frames:
            raise LimitError(
                f"{num_frames} frames, at most {self.max_frames} are allowed",
                hint=f"--max-frames {num_frames} allows them, if the file is to be trusted",
            )

    def check_input(
        self,
        width: int,
        height: int,
        longest_gop: int,
        *,
        refined: bool = False,
        threads: int | None = None,
    ) -> None:
        """Refuse a video that takes more memory to encode than is allowed.

        Args:
            width, height: of its pictures.
            longest_gop: frames that an encoder holds at once.
            refined: whether the preset refines latents by their gradient.
            threads: that will encode it, None for all.

        Raises:
            InputVideoError: naming what it takes, what is allowed, and what raises it.
        """
        needed = encoder_bytes(width * height, longest_gop, threads) * (_REFINED if refined else 1)
        allowed = self._memory()
        if allowed is not None and needed > allowed:
            raise InputVideoError(
                f"{width}x{height} in GOPs of {_frames(longest_gop)} takes some {_shown(needed)} "
                f"to encode, {self._allowed(allowed)}",
                hint=f"a shorter --gop takes less, --max-memory {_shown(needed)} allows it",
            )

    def _memory(self) -> int | None:
        return memory_here() if self.max_memory is None else self.max_memory

    def _allowed(self, size: int) -> str:
        return f"{_shown(size)} are {'here' if self.max_memory is None else 'allowed'}"


DEFAULT_LIMITS = Limits()


def decoder_bytes(pixels: int, longest_gop: int, coder_bytes: int, threads: int | None) -> int:
    """An estimate of the most resident memory of a process that decodes.

    Args:
        pixels: of a picture.
        longest_gop: frames.
        coder_bytes: of that GOP.
        threads: CPU threads, None for all.
    """
    at_once = min(threads or _cores(), longest_gop)
    batch = max(pixels, min(_BATCH_PIXELS, pixels * longest_gop))
    frames = _FRAME_BYTES * pixels * longest_gop
    planes = _PLANE_BYTES * pixels + _BATCH_BYTES * batch * at_once
    return _PROGRAM_BYTES + planes + frames + _CODER_COPIES * coder_bytes


def encoder_bytes(pixels: int, longest_gop: int, threads: int | None) -> int:
    """The same of a process that encodes."""
    planes = (_ENCODER_PLANE_BYTES + _BATCH_BYTES * (threads or _cores())) * pixels
    return _PROGRAM_BYTES + planes + _FRAME_BYTES * pixels * longest_gop


def _cores() -> int:
    """Threads that PyTorch uses if it is not told."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _shown(size: int) -> str:
    """A size as --max-memory takes it, not rounded down."""
    return f"{-(-size // 10**8) / 10:g}G" if size >= 10**9 else f"{-(-size // 10**6)}M"
