"""Prints what a clip's latents cost, changes them, and looks at what that does to the pictures.

    python docs/examples/latents.py [CLIP.dsz] [-o FOLDER]

Without a clip one is drawn and encoded. Writes FOLDER/still.dsz, in which nothing moves within a
GOP, and FOLDER/without_residual.dsz, in which the content is only moved and mixed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import dsaecodec
from dsaecodec import Clip, ClipGop
from dsaecodec.draw import moving_layers
from dsaecodec.metrics import mean_rgb_psnr_db

MOTION = slice(
    0, 5
)  # channels of z: where to take pixels from in two contents, and how to mix them
RESIDUAL = slice(5, None)  # what the mixture lacks, as transform coefficients


def print_bits(clip: Clip) -> None:
    """What each frame costs in bits; a content is charged to its frames evenly."""
    print("frame  content   motion  residual")
    for gop in clip.gops:
        parts = (gop.f_bits, gop.f_hyper_bits, gop.f_motion_bits)
        content = sum(part.sum() for part in parts) / gop.num_frames
        for t, bits in enumerate(gop.z_bits, start=gop.first_frame):
            print(f"{t:5} {content:8.0f} {bits[MOTION].sum():8.0f} {bits[RESIDUAL].sum():9.0f}")


def still(gop: ClipGop) -> ClipGop:
    """The GOP with the dynamics of its last frame in every frame."""
    last = gop.z_symbols[-1:]
    return gop.replace(z_symbols=np.repeat(last, gop.num_frames, axis=0))


def without_residual(gop: ClipGop) -> ClipGop:
    """The GOP with nothing but motion."""
    z = gop.z_symbols.copy()  # the arrays of a GOP are read-only
    z[:, RESIDUAL] = 0
    return gop.replace(z_symbols=z)


def main(arguments: list[str] | None = None) -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description="Look into a clip's latents and change them.")
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path(), help="folder of the new clips")
    args = parser.parse_args(arguments)
    source = args.clip
    if source is None:
        source = dsaecodec.encode(list(moving_layers(9, 96, 128, seed=1)), quality=50, gop=8)

    with dsaecodec.open(source) as clip:
        print_bits(clip)
        for edit in (still, without_residual):
            path = args.out / f"{edit.__name__}.dsz"
            clip.write(path, [edit(gop) for gop in clip.gops], overwrite=True)
            with dsaecodec.open(path) as edited:
                psnr = mean_rgb_psnr_db(clip, edited)
            print(f"{path}: {path.stat().st_size} bytes, {psnr:.2f} dB against the clip as it was")


if __name__ == "__main__":
    main()
