"""A picture of how training goes: curves of loss and rate-distortion, a frame and its content."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsaecodec.output import staged
from dsaecodec.spatial.synthesis import Yuv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[dict[str, str]]
Picture = NDArray[np.uint8]
"""RGB [H, W, 3]."""


def draw_progress(path: Path, log: Rows, judged: Rows, pictures: dict[str, Picture]) -> bool:
    """Draw a PNG; False where Matplotlib is missing.

    Args:
        path: of the PNG.
        log, judged: rows of the two logs, see `folder`.
        pictures: by their names.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(4 * len(pictures), 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(pictures), squeeze=False)
    for axis, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(name)
        axis.set_axis_off()
    for axis in axes[1, 2:]:
        axis.set_axis_off()
    _draw_loss(axes[1, 0], log)
    _draw_rates(axes[1, 1], judged)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    with staged(path, overwrite=True) as part:
        part.write_bytes(buffer.getvalue())
    return True


def _draw_loss(axis: Axes, log: Rows) -> None:
    for stage in dict.fromkeys(row["stage"] for row in log):
        rows = [row for row in log if row["stage"] == stage]
        steps = [int(row["step"]) for row in rows]
        losses = [float(row["loss"]) for row in rows]
        if min(losses) > 0:
            axis.semilogy(steps, losses, label=stage, linewidth=0.8)
    axis.set_xlabel("step")
    axis.set_ylabel("training loss")
    if log:
        axis.legend()


def _draw_rates(axis: Axes, judged: Rows) -> None:
    judged = [row for row in judged if row["psnr_db"]]
    looks = list(dict.fromkeys((row["stage"], row["step"]) for row in judged))
    for i, look in enumerate(looks):
        rows = [row for row in judged if (row["stage"], row["step"]) == look]
        age = (i + 1) / len(looks)
        axis.plot(
            [float(row["bpp"]) for row in rows],
            [float(row["psnr_db"]) for row in rows],
            "o-",
            color=(0.1, 0.3, 0.7, 0.15 + 0.85 * age**3),
            markersize=3,
        )
    axis.set_xlabel("estimated bits a pixel, judged clips")
    axis.set_ylabel("PSNR, dB; darker is later")
    if looks:
        axis.set_xscale("log")


def to_rgb(picture: Yuv) -> Picture:
    """A frame luma [1, 1, H, W] of BT.709 of limited range, chroma repeated: enough to look at."""
    y = picture.luma[0, 0].float().cpu().numpy() + 128
    u, v = (c.repeat(2, 0).repeat(2, 1) for c in picture.chroma[0].float().cpu().numpy())
    y, u, v = (y - 16) * (255 / 219), u * (255 / 224), v * (255 / 224)
    rgb = np.stack([y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u], axis=-1)
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)
