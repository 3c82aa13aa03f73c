"""A classic codec: one of FFmpeg's encoders through PyAV, at constant quality."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from benchmarks.rd.clip import Clip, Frames
from benchmarks.rd.codec import CannotCode, Codec, Coded
from benchmarks.rd.codecs.classic_planes import (
    PixelFormat,
    Size,
    frames_of_planes,
    pixel_format,
    planes_of_clip,
    smallest_size,
)
from benchmarks.rd.codecs.classic_stream import decode_packets, encode_planes, has_coder
from benchmarks.rd.codecs.classic_versions import encoder_version, ffmpeg_version
from benchmarks.rd.codecs.classic_x265 import sound_width, x265_parameters
from benchmarks.rd.codecs.elementary import Stream, counted


@dataclass(frozen=True)
class Family:
    """An encoder, and what it can do.

    Attributes:
        encoder: FFmpeg's name.
        decoders: FFmpeg's names, the first that is there decodes.
        stream: what the encoder writes.
        quality: FFmpeg's options that set the quality.
        whole: it knows whole qualities only.
        knows_444: it codes YUV 4:4:4.
        smallest: shortest side of luma that it codes soundly.
        fixed_fps: what it is told, None for the clip's rate.
    """

    encoder: str
    decoders: tuple[str, ...]
    stream: Stream
    quality: tuple[str, ...] = ("crf",)
    whole: bool = False
    knows_444: bool = True
    smallest: int = 1
    fixed_fps: Fraction | None = None


@dataclass(frozen=True)
class Classic(Codec):
    """A classic codec with a preset.

    Attributes:
        family: encoder and decoders.
        options: of FFmpeg, name and value, beside the quality.
    """

    name: str
    label: str
    family: Family
    options: tuple[tuple[str, str], ...]
    qualities: tuple[float, ...]
    all_qualities: tuple[float, ...]
    threads: int = 1
    step: float = 1.0

    def unsuitable(self, clip: Clip) -> str | None:
        """Why it cannot code a clip, None where it can."""
        smallest = self.family.smallest
        if min(smallest_size(clip.info, self._form(clip))) < smallest:
            return f"{self.family.encoder} needs {smallest}×{smallest} at least"
        return None

    def settings(self, clip: Clip, quality: float) -> str:
        """The ffmpeg command that does the same, versions, and what is done around it.

        Raises:
            CannotCode: FFmpeg lacks encoder or decoder, or it cannot code such a clip.
        """
        reason = self.unsuitable(clip)
        if reason:
            raise CannotCode(reason)
        family = self.family
        decoder = next((name for name in family.decoders if has_coder(name, "r")), None)
        if decoder is None:
            raise CannotCode(f"this FFmpeg has no decoder {' or '.join(family.decoders)}")
        options = " ".join(f"-{key} {value}" for key, value in self._options(clip, quality).items())
        command = (
            f"ffmpeg -pix_fmt {self._form(clip)} -r {self._fps(clip)} "
            f"-threads {self.threads} -thread_type frame -c:v {family.encoder} {options}"
        )
        version = encoder_version(family.encoder, family.stream)
        parts = [command, version, ffmpeg_version(), f"decoder {decoder}", *self._around(clip)]
        return "; ".join(part for part in parts if part)

    def encode(self, clip: Clip, quality: float) -> Coded:
        """Code all frames of a clip.

        Raises:
            CannotCode: FFmpeg lacks the encoder, or the encoder refuses.
        """
        reason = self.unsuitable(clip)
        if reason:
            raise CannotCode(reason)
        family, form = self.family, self._form(clip)
        frames = planes_of_clip(clip, form, self._size(clip))
        packets = encode_planes(
            family.encoder,
            self._options(clip, quality),
            frames,
            form,
            self._fps(clip),
            self.threads,
        )
        try:
            coded = Coded(counted(packets, family.stream))
        except ValueError as error:
            raise CannotCode(f"{family.encoder} gives a malformed stream: {error}") from error
        if len(coded.packets) != len(clip.frames):
            found, expected = len(coded.packets), len(clip.frames)
            raise CannotCode(f"{family.encoder}: {found} packets of {expected} frames")
        return coded

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """Decode what is counted.

        Raises:
            CannotCode: FFmpeg lacks the decoder, or frames are lost or broken.
        """
        form = self._form(clip)
        decoded = decode_packets(self.family.decoders, coded.packets, form, self.threads)
        wanted = [self._size(clip)] * len(coded.packets)
        if not wanted or [planes[0].shape for planes in decoded] != wanted:
            sizes = sorted({planes[0].shape for planes in decoded})
            raise CannotCode(f"{self.name}: {len(decoded)} frames of {sizes}, not {wanted[:1]}")
        return frames_of_planes(decoded, clip, form)

    def _form(self, clip: Clip) -> PixelFormat:
        return pixel_format(clip, self.family.knows_444)

    def _size(self, clip: Clip) -> Size:
        height, width = smallest_size(clip.info, self._form(clip))
        if self.family.encoder == "libx265":
            width = sound_width(height, width)
        return height, width

    def _fps(self, clip: Clip) -> Fraction:
        return self.family.fixed_fps or clip.info.fps

    def _options(self, clip: Clip, quality: float) -> dict[str, str]:
        if self.family.whole and quality != round(quality):
            raise CannotCode(f"{self.name} knows whole qualities only, not {quality:g}")
        own = dict(self.options) | dict.fromkeys(self.family.quality, f"{quality:g}")
        if self.family.encoder == "libx265":
            own["x265-params"] = x265_parameters(*self._size(clip), self.threads)
        if self.family.encoder == "libsvtav1":
            own["svtav1-params"] = f"lp={self.threads}"
        return own

    def _around(self, clip: Clip) -> Iterator[str]:
        """What is done to the frames before and after."""
        height, width = self._size(clip)
        if (height, width) != (clip.info.height, clip.info.width):
            yield f"coded as {width}×{height}, edges repeated"
        if clip.kind == "rgb" and self._form(clip) == "yuv444p":
            yield "RGB as YUV 4:4:4 BT.709 full range"
        elif clip.kind == "rgb":
            yield "RGB as YUV 4:2:0 BT.709 full range, chroma a mean of 2×2, repeated on return"
