"""A .dsz stream as an object: frames in any order, latents to look at and to change."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import accumulate
from operator import index as as_int
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import bitstream
from dsaecodec.clip_gop import ClipGop
from dsaecodec.errors import BitstreamError
from dsaecodec.limits import DEFAULT_LIMITS, Limits
from dsaecodec.output import staged

if TYPE_CHECKING:
    from dsaecodec.latents import LatentCodec

RgbFrame = NDArray[np.uint8]


class Clip:
    """An open stream, see `open_clip`.

    It holds the stream's bytes, and of what it decodes the last GOPs and frames; no file stays
    open. Leaving a `with` block frees weights and decoded arrays. Use a clip from one thread at a
    time, or open it once in each.

    Attributes:
        header: of the stream.
        gops: in order.
    """

    def __init__(
        self,
        name: str,
        header: bitstream.Header,
        gops: Sequence[bitstream.Gop],
        codec: Callable[[], LatentCodec],
    ) -> None:
        self.header = header
        self._codec = cache(codec)
        self._starts = list(accumulate((gop.num_frames for gop in gops), initial=0))
        self.gops = tuple(
            ClipGop(header, gop, start, f"{name}: GOP {place}", self._codec)
            for place, (gop, start) in enumerate(zip(gops, self._starts, strict=False))
        )

    def __repr__(self) -> str:
        size = f"{self.width}x{self.height}"
        return (
            f"<Clip of {self.num_frames} frames in {len(self.gops)} GOPs, {size}, {self.fps} fps>"
        )

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the weights and all that was decoded; what is asked for later is decoded anew."""
        self._codec.cache_clear()

    @property
    def latents(self) -> LatentCodec:
        """What reads and writes the latents of its GOPs; loads the weights."""
        return self._codec()

    @property
    def width(self) -> int:
        """Of the picture, pixels."""
        return self.header.width

    @property
    def height(self) -> int:
        """Of the picture, pixels."""
        return self.header.height

    @property
    def fps(self) -> Fraction:
        """Frames a second; a mean where GOPs state times, see `bitstream.Gop`."""
        return self.header.fps

    @property
    def model(self) -> str:
        """Identity of the weights that the stream needs, 8 hexadecimal digits."""
        return self.header.model.hex()

    @property
    def num_frames(self) -> int:
        """Frames of all GOPs."""
        return self._starts[-1]

    def __len__(self) -> int:
        return self.num_frames

    def __getitem__(self, index: int) -> RgbFrame:
        return self.frame(index)

    def __iter__(self) -> Iterator[RgbFrame]:
        return self.frames()

    def frame(self, index: int) -> RgbFrame:
        """One frame; decodes its GOP and, where they are referred to, contents before.

        Args:
            index: 0…num_frames - 1, or negative to count from the end.

        Returns:
            RGB, uint8 [H, W, 3], the caller's own.

        Raises:
            IndexError: there is no such frame.
            BitstreamError: no encoder makes the GOP's coder bytes.
            ModelError: the weights are missing or not the stream's.
        """
        wanted = as_int(index)
        t = wanted + self.num_frames if wanted < 0 else wanted
        if not 0 <= t < self.num_frames:
            raise IndexError(f"frame {wanted}: the clip has {self.num_frames}")
        place = bisect_right(self._starts, t) - 1
        *before, gop = self.with_referred(place)
        return gop.frame(t - gop.first_frame, before)

    def with_referred(self, place: int) -> list[ClipGop]:
        """A GOP of the clip behind those that it may need, in their order."""
        first, farthest = place, max(place - self.latents.loaded.reach, 0)
        while first > farthest and self.gops[first].refs_previous:
            first -= 1
        return list(self.gops[first : place + 1])

    def frames(self) -> Iterator[RgbFrame]:
        """All frames in order, see `frame`."""
        return map(self.frame, range(self.num_frames))

    def to_bytes(self, gops: Sequence[ClipGop] | None = None) -> bytes:
        """The bytes of a stream of these GOPs, of this clip or of others of its size and weights.

        Args:
            gops: at least one, the first without `refs_previous`; None for those of the clip.

        Raises:
            ValueError: GOPs that cannot follow each other, or differ in size, rate, colour, sound
                or model.
        """
        gops = self.gops if gops is None else gops
        for place, gop in enumerate(gops):
            if _fit(gop.header) != _fit(self.header):
                raise ValueError(
                    f"GOP {place}: {_fit(gop.header)}, expected {_fit(self.header)} as in the clip"
                )
            if gop.coded.sound and gop.header.sound != self.header.sound:
                raise ValueError(f"GOP {place}: its sound is coded otherwise than the clip's")
        return bitstream.join(self.header, [gop.coded for gop in gops])

    def write(
        self,
        path: str | os.PathLike[str],
        gops: Sequence[ClipGop] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        """Write a stream of these GOPs, see `to_bytes`; the file appears whole or not at all.

        Raises:
            OutputError: the file exists and `overwrite` is not set, or it cannot be written.
            ValueError: as `to_bytes`.
        """
        data = self.to_bytes(gops)
        with staged(path, overwrite=overwrite) as temporary:
            temporary.write_bytes(data)


def open_clip(
    source: bytes | str | os.PathLike[str],
    *,
    threads: int | None = None,
    device: str = "auto",
    model: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Clip:
    """Open a .dsz stream: read it and check every CRC. Weights are loaded on first use.

    Args:
        source: the bytes, or the path of a file.
        threads: CPU threads, None for all.
        device: "auto", "cpu" or "cuda", for everything but the entropy model.
        model: name or path of the weights, None for those the stream names.
        limits: what the stream may ask for.

    Raises:
        BitstreamError: unreadable, damaged, malformed or beyond the limits.
    """
    name = "stream" if isinstance(source, bytes) else os.fspath(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        header, gops = bitstream.split(data)
        frames = [gop.num_frames for gop in gops]
        limits.check(header, sum(frames), max(frames), threads=threads)
    except OSError as error:
        raise BitstreamError(f"{name}: cannot be read: {error.strerror}") from error
    except BitstreamError as error:
        error.args = (f"{name}: {error}",)
        raise

    def codec() -> LatentCodec:
        from dsaecodec.latents import open_latents  # PyTorch: not needed to open a clip

        return open_latents(header, device=device, threads=threads, model=model)

    return Clip(name, header, gops, codec)


def _fit(header: bitstream.Header) -> str:
    """What must agree for a GOP of one stream to be decoded in another."""
    colour = f"matrix {header.colour.matrix}{' full range' if header.colour.full_range else ''}"
    size = f"{header.width}x{header.height}"
    return f"{size}, {header.fps} fps, {colour}, model {header.model.hex()}"
