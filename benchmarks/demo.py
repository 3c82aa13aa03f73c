"""`make demo`: draw a clip, encode it at three qualities, decode it, show what came of it.

Needs no data and no network. Prints a table and writes into a folder:

    sample.mkv            the drawn clip, lossless
    q20.dsz q50.dsz …     the streams, and what they decode to beside them
    side_by_side.png      one frame: the original, then each quality
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dsaecodec.codec import Decoder, EncodeOptions, encode_video
from dsaecodec.draw import moving_layers
from dsaecodec.metrics import mean_rgb_psnr_db
from dsaecodec.output import open_output
from dsaecodec.rate import bits_per_pixel
from dsaecodec.video import Frame420, VideoInfo, VideoWriter, frame_to_rgb, open_video, rgb_to_420

QUALITIES = (20, 50, 80)

RgbFrame = NDArray[np.uint8]


@dataclass(frozen=True)
class Result:
    """One row of the table; `frames` are the decoded pictures in RGB."""

    quality: int
    num_bytes: int
    bpp: float
    psnr_db: float
    encode_fps: float
    decode_fps: float
    frames: list[RgbFrame]


def main() -> None:
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    info = VideoInfo(arguments.width, arguments.height, Fraction(25), num_frames=arguments.frames)
    reference = list(
        moving_layers(arguments.frames, arguments.height, arguments.width, arguments.seed)
    )
    sample = arguments.out / "sample.mkv"
    write_video(sample, [rgb_to_420(rgb) for rgb in reference], info)
    print(f"{sample}: {arguments.width}x{arguments.height}, {arguments.frames} frames, drawn")
    print("quality     bytes       bpp   PSNR RGB   encode   decode")
    results = []
    for quality in QUALITIES:
        result = measure(sample, arguments.out / f"q{quality}.dsz", quality, reference)
        results.append(result)
        print(
            f"{result.quality:7d} {result.num_bytes:9,d} {result.bpp:9.4f} "
            f"{result.psnr_db:7.2f} dB {result.encode_fps:5.1f} fps {result.decode_fps:4.1f} fps"
        )
    middle = len(reference) // 2
    pictures = [reference[middle], *(result.frames[middle] for result in results)]
    picture = arguments.out / "side_by_side.png"
    Image.fromarray(side_by_side(pictures)).save(picture)
    print(f"{picture}: the original, then quality " + ", ".join(str(q) for q in QUALITIES))
    print("PSNR: mean over frames, against the drawn RGB frames; 4:2:0 alone costs some of it.")
    print("fps: from start to end, loading the weights included.")


def measure(sample: Path, stream: Path, quality: int, reference: list[RgbFrame]) -> Result:
    """Encode and decode by way of files."""
    options = EncodeOptions(quality=quality)
    with open_video(sample) as video, open_output(stream, overwrite=True) as sink:
        report = encode_video(video, video.info, sink, options)
    with stream.open("rb") as source:
        started = time.perf_counter()
        decoder = Decoder(source)
        decoded = list(decoder)
        seconds = time.perf_counter() - started
    info = decoder.info
    write_video(stream.with_suffix(".mkv"), decoded, info)
    frames = [frame_to_rgb(frame, info.matrix, info.full_range) for frame in decoded]
    size = stream.stat().st_size
    return Result(
        quality=quality,
        num_bytes=size,
        bpp=bits_per_pixel(size, len(frames), info.height, info.width),
        psnr_db=mean_rgb_psnr_db(reference, frames),
        encode_fps=report.frames / report.seconds,
        decode_fps=len(frames) / seconds,
        frames=frames,
    )


def write_video(path: Path, frames: list[Frame420], info: VideoInfo) -> None:
    with VideoWriter(path, info, overwrite=True) as writer:
        for frame in frames:
            writer.write(frame)


def side_by_side(pictures: list[RgbFrame]) -> RgbFrame:
    """Two columns, the last row filled with white."""
    height, width, _ = pictures[0].shape
    gap = 4
    rows = (len(pictures) + 1) // 2
    shape = (rows * (height + gap) - gap, 2 * width + gap, 3)
    canvas = np.full(shape, 255, np.uint8)
    for index, picture in enumerate(pictures):
        y, x = index // 2 * (height + gap), index % 2 * (width + gap)
        canvas[y : y + height, x : x + width] = picture
    return canvas


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write to")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--height", type=int, default=270)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
