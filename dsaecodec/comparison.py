"""What a comparison of two videos says, as plain values and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class FrameQuality(NamedTuple):
    """How close one frame is.

    Attributes:
        rgb_psnr_db: each side converted to RGB by its own matrix and range.
        yuv611_psnr_db: None where matrix or range of the two sides differ.
        ms_ssim: of the RGB frames; None where they are too small for it.
    """

    rgb_psnr_db: float
    yuv611_psnr_db: float | None
    ms_ssim: float | None


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; see `metrics` for what its figures mean.

    Attributes:
        reference: name of the original.
        test: name of what was compared with it.
        width: of the pictures, pixels.
        height: of the pictures, pixels.
        frames: how many were compared.
        rgb_psnr_db: mean over frames.
        yuv611_psnr_db: mean over frames, or None: see `FrameQuality`.
        ms_ssim: mean over frames, or None.
        file_bytes: size of a .dsz, sound included; None for another video.
        latent_bytes: of these, the coder's bytes of content and dynamics.
        sound_bytes: of these, the sound's.
        bpp: 8 · file_bytes / (T · H · W), with all T frames of the file, even where fewer were
            compared.
        notes: why a figure is missing.
        per_frame: figures of each frame.
    """

    reference: str
    test: str
    width: int
    height: int
    frames: int
    rgb_psnr_db: float
    yuv611_psnr_db: float | None
    ms_ssim: float | None
    file_bytes: int | None
    latent_bytes: int | None
    sound_bytes: int | None
    bpp: float | None
    notes: tuple[str, ...]
    per_frame: tuple[FrameQuality, ...]

    def as_dict(self, per_frame: bool = False) -> dict[str, Any]:
        """The figures ready for JSON, None for a missing one; those of each frame if asked for."""
        facts = asdict(self)
        facts["notes"] = list(self.notes)
        facts["per_frame"] = [quality._asdict() for quality in self.per_frame]
        if not per_frame:
            del facts["per_frame"]
        return facts


def format_comparison(comparison: Comparison, per_frame: bool = False) -> str:
    """Lay a comparison out for reading, with a line for each frame if asked for."""
    c = comparison
    rows = [
        ("reference", c.reference),
        ("test", c.test),
        ("picture", f"{c.width}x{c.height}, {c.frames} frames"),
        ("PSNR RGB", _decibels(c.rgb_psnr_db)),
        ("PSNR YUV", _decibels(c.yuv611_psnr_db) + " (6:1:1)"),
        ("MS-SSIM", _similarity(c.ms_ssim)),
    ]
    if c.file_bytes is not None:
        rate = f"{c.bpp:.4f} bpp, {c.file_bytes:,} bytes of the whole file, "
        rate += f"{c.latent_bytes:,} of them latents"
        rate += f", {c.sound_bytes:,} sound" if c.sound_bytes else ""
        rows.append(("rate", rate))
    rows += [("note", note) for note in c.notes]
    lines = [f"{label:<11}{value}" for label, value in rows]
    if per_frame:
        lines += ["", f"{'frame':>7}{'PSNR RGB':>11}{'PSNR YUV':>11}{'MS-SSIM':>10}"]
        for index, (rgb, yuv, similarity) in enumerate(c.per_frame):
            figures = f"{_decibels(rgb):>11}{_decibels(yuv):>11}{_similarity(similarity):>10}"
            lines.append(f"{index:>7}{figures}")
    return "\n".join(lines)


def _decibels(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f} dB"


def _similarity(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.5f}"
