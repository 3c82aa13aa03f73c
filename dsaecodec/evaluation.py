"""How close a decoded video is to its original, frame by frame, and at what rate.

    original ── open_video ──► frames ─┐
                                       ├─► metrics of each pair ─► Comparison
    clip.dsz ── Decoder ─────► frames ─┘

Figures of a clip are means over its frames: of PSNRs, never the PSNR of a mean error. Frames are
paired by their order; when they are shown does not matter. A few are in memory at a time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import bitstream
from bitstream.signature import SIGNATURE
from dsaecodec import model_store
from dsaecodec.comparison import Comparison, FrameQuality, format_comparison
from dsaecodec.errors import BitstreamError, ModelError, UsageError
from dsaecodec.input_file import open_input
from dsaecodec.limits import DEFAULT_LIMITS, Limits
from dsaecodec.metrics import MS_SSIM_ABOVE, ms_ssim, rgb_psnr_db, yuv611_psnr_db
from dsaecodec.rate import bits_per_pixel
from dsaecodec.video import Frame420, VideoInfo, frame_to_rgb, open_video
from dsaecodec.video.frame import RGB, same_matrix

__all__ = ["Comparison", "FrameQuality", "compare", "format_comparison"]

Source = str | os.PathLike[str]


@dataclass(frozen=True)
class _Clip:
    """One side; its summary if it is a .dsz."""

    name: str
    info: VideoInfo
    frames: Iterator[Frame420]
    summary: bitstream.Summary | None = None


def compare(
    reference: Source,
    test: Source,
    *,
    num_frames: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    model: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Compare a video with its original.

    Args:
        reference: the original, anything that `open_video` reads.
        test: a .dsz, which is decoded, or a video.
        num_frames: how many frames to compare, from the first on; None for all, which must then be
            as many on both sides.
        device, threads, model: as in `EncodeOptions`; MS-SSIM is computed on the CPU.
        limits: what a .dsz may ask for.
        progress: told how many frames are done.

    Raises:
        UsageError: sizes or numbers of frames differ.
        InputVideoError: a video is missing or damaged.
        BitstreamError: the .dsz is wrong; found before a frame is compared.
        ModelError: the weights it needs are not here.
    """
    if num_frames is not None and num_frames < 1:
        raise UsageError(f"{num_frames} frames to compare: expected 1 or more")
    with ExitStack() as files:
        decoded = _open_test(
            test, files, device=device, threads=threads, model=model, limits=limits
        )
        original = _open_video(reference, files, rgb=decoded.info.matrix == RGB)
        _check_sizes(original, decoded)
        from dsaecodec.codec.threads import limited_threads  # only now load PyTorch

        found: list[FrameQuality] = []
        with limited_threads(threads):
            for a, b in _pairs(original, decoded, num_frames):
                found.append(_measure(original.info, a, decoded.info, b))
                if progress:
                    progress(len(found))
    return _summarize(original, decoded, found)


def _open_video(source: Source, files: ExitStack, *, rgb: bool = False) -> _Clip:
    video = files.enter_context(open_video(source, rgb=rgb))
    return _Clip(os.fspath(source), video.info, iter(video))


def _open_test(
    source: Source,
    files: ExitStack,
    *,
    device: str,
    threads: int | None,
    model: str | None,
    limits: Limits,
) -> _Clip:
    """Open a .dsz or a video; a .dsz is checked as far as can be before PyTorch is loaded."""
    if not _is_stream(source):
        return _open_video(source, files)
    name = os.fspath(source)
    with _naming(name):
        file = files.enter_context(open_input(source, BitstreamError))
        if not file.seekable():
            raise BitstreamError("is a pipe, expected a file")
        summary = bitstream.scan(file)
        limits.check_summary(summary, threads)
        file.seek(0)
        model_store.find_model(model, summary.header.model)
        from dsaecodec.codec import Decoder

        decoder = Decoder(file, device=device, threads=threads, model=model, limits=limits)
    return _Clip(name, decoder.info, _decoded(iter(decoder), name), summary)


def _is_stream(source: Source) -> bool:
    path = Path(source)
    if path.suffix.lower() == ".dsz":
        return True
    if not path.is_file():  # a folder, or a pipe, which must not lose its first bytes
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:  # opening it as a video says why
        return False


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Let messages about a stream name its file."""
    try:
        yield
    except (BitstreamError, ModelError) as error:
        error.args = (f"{name}: {error}",)
        raise


def _decoded(frames: Iterator[Frame420], name: str) -> Iterator[Frame420]:
    with _naming(name):
        yield from frames


def _check_sizes(original: _Clip, decoded: _Clip) -> None:
    a, b = original.info, decoded.info
    if (a.width, a.height) != (b.width, b.height):
        raise UsageError(
            f"{original.name} is {a.width}x{a.height}, {decoded.name} {b.width}x{b.height}: "
            "expected the same size"
        )


def _pairs(
    original: _Clip, decoded: _Clip, num_frames: int | None
) -> Iterator[tuple[Frame420, Frame420]]:
    sides = (islice(clip.frames, num_frames) for clip in (original, decoded))
    frames = zip_longest(*sides)
    for count, (a, b) in enumerate(frames):
        if a is None or b is None:
            longer, shorter = (original, decoded) if b is None else (decoded, original)
            known = longer.summary.num_frames if longer.summary else None
            total = known or count + 1 + sum(1 for _ in frames)
            more = " or more" if known is None and total == num_frames else ""
            raise UsageError(
                f"{longer.name} has {total} frames{more}, {shorter.name} {count}: expected as many",
                hint=f"--frames {count} compares the first {count}" if count else None,
            )
        yield a, b


def _measure(a_info: VideoInfo, a: Frame420, b_info: VideoInfo, b: Frame420) -> FrameQuality:
    rgb_a = frame_to_rgb(a, a_info.matrix, a_info.full_range)
    rgb_b = frame_to_rgb(b, b_info.matrix, b_info.full_range)
    yuv = yuv611_psnr_db(a, b) if _same_colour(a_info, b_info) else None
    return FrameQuality(rgb_psnr_db(rgb_a, rgb_b), yuv, ms_ssim(rgb_a, rgb_b))


def _same_colour(a: VideoInfo, b: VideoInfo) -> bool:
    """Whether the planes of both are YUV and their numbers mean the same."""
    if RGB in (a.matrix, b.matrix):
        return False
    return same_matrix(a.matrix, b.matrix) and a.full_range == b.full_range


def _summarize(original: _Clip, decoded: _Clip, found: list[FrameQuality]) -> Comparison:
    if not found:
        raise UsageError(f"{original.name}, {decoded.name}: no frame to compare")
    rgb, yuv, similarity = (_mean(figures) for figures in zip(*found, strict=True))
    assert rgb is not None
    info, summary = original.info, decoded.summary
    size = latents = sound = bpp = None
    if summary is not None:
        size, sound = summary.file_bytes, summary.sound_bytes
        latents = summary.content_bytes + summary.dynamics_bytes
        bpp = bits_per_pixel(size, summary.num_frames, info.height, info.width)
    return Comparison(
        reference=original.name,
        test=decoded.name,
        width=info.width,
        height=info.height,
        frames=len(found),
        rgb_psnr_db=rgb,
        yuv611_psnr_db=yuv,
        ms_ssim=similarity,
        file_bytes=size,
        latent_bytes=latents,
        sound_bytes=sound,
        bpp=bpp,
        notes=_notes(info, decoded.info),
        per_frame=tuple(found),
    )


def _notes(a: VideoInfo, b: VideoInfo) -> tuple[str, ...]:
    notes = []
    if a.matrix == b.matrix == RGB:
        notes.append("no YUV PSNR: the pictures are RGB")
    elif not _same_colour(a, b):
        meaning = (
            f"H.273 matrix {info.matrix}, {'full' if info.full_range else 'limited'} range"
            for info in (a, b)
        )
        notes.append("no YUV PSNR: the planes mean different colours: " + " and ".join(meaning))
    if min(a.width, a.height) <= MS_SSIM_ABOVE:
        notes.append(f"no MS-SSIM: it needs more than {MS_SSIM_ABOVE} pixels each way")
    return tuple(notes)


def _mean(figures: tuple[float | None, ...]) -> float | None:
    """Mean of a figure that all frames have, or none."""
    present = [figure for figure in figures if figure is not None]
    return math.fsum(present) / len(present) if present else None
