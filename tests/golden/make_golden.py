"""Makes the golden streams of the current format and weights: `python -m tests.golden.make_golden`.

Run once for each released format version or model, never to make a failing test pass: what is there
is left as it is.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import dsaecodec
from bitstream import SoundPacket, SoundTrack
from dsaecodec.codec import Decoder, EncodeOptions, encode_video, verify_stream
from dsaecodec.draw import bouncing_balls, draw_character, moving_layers
from dsaecodec.draw.characters import Character
from dsaecodec.video import VideoInfo, rgb_to_420
from tests.pans import pan

FOLDER = Path(__file__).parent
DIGESTS = FOLDER / "digests.json"
# Name: frames, height, width, quality, gop. v2-natural-… are of natural-1, v2-kinematic-… of -2,
# v2-predicted-… of -3, v2-fitted-… of -4, v2-softened-… of -5, v2-discerning-… of -6,
# v2-deep-… of -7, v2-contextual-… of -8, v2-precise-… of natural.
MODEL = "natural"
STREAMS = {
    "v2-precise-everything": (9, 34, 50, 40, 4),
    "v2-precise-compact": (4, 64, 64, 25, 16),
    "v2-precise-layers": (5, 144, 176, 10, 2),  # motion of contents in halves and in quarters
}
VECTORS = {  # name: model and frames
    "v3-sprites": ("sprites", draw_character(Character.from_index(500), 0, 1, 12, 3)),
    "v3-balls": ("balls", bouncing_balls(12, 500).frames),
}


class Bytes:
    """A sound track of packets that only look like sound: 20 ms each, from an encoder's delay."""

    track = SoundTrack("opus", 48000, 2, b"OpusHead")

    def __init__(self) -> None:
        self._start = -312

    def packets_until(self, seconds: Fraction | None) -> list[SoundPacket]:
        """Packets that start before a time, at most half a second."""
        packets = []
        while self._start < (seconds or Fraction(1, 2)) * 48000:
            packets.append(SoundPacket(self._start, 960, b"sound"))
            self._start += 960
        return packets


def _missing(streams: dict[str, Any]) -> list[tuple[str, Any]]:
    return [item for item in streams.items() if not (FOLDER / f"{item[0]}.dsz").exists()]


def main() -> None:
    """Writes streams, the luma of some (of RGB the green), and adds their digests."""
    digests = json.loads(DIGESTS.read_text())
    for name, (num_frames, height, width, quality, gop) in _missing(STREAMS):
        draw = (moving_layers, 6) if name.endswith("layers") else (pan, 5)
        frames = [rgb_to_420(rgb) for rgb in draw[0](num_frames, height, width, draw[1])]
        info, sound, sink = VideoInfo(width, height, Fraction(25)), None, io.BytesIO()
        if name.endswith("everything"):  # uneven times, pixels that are not square, sound
            times = (0, 3600, 7200, 11200, 20000, 23600, 27200, 30800, 34400)
            frames = [f._replace(ticks=t) for f, t in zip(frames, times, strict=True)]
            info, sound = replace(info, sample_aspect=Fraction(16, 11)), Bytes()
        encode_video(
            frames, info, sink, EncodeOptions(quality, gop, device="cpu", model=MODEL), sound=sound
        )
        (FOLDER / f"{name}.dsz").write_bytes(sink.getvalue())
        report = verify_stream(io.BytesIO(sink.getvalue()), device="cpu")
        digests[f"{name}.dsz"] = {"symbols": report.symbols, "frames": report.frames}
        if sound:
            luma = np.stack([f.y for f in Decoder(io.BytesIO(sink.getvalue()), device="cpu")])
            np.savez_compressed(FOLDER / f"{name}.npz", luma=luma)
    for name, (model, clip) in _missing(VECTORS):
        data = dsaecodec.encode(list(clip), model=model, quality=65, fps=12)
        (FOLDER / f"{name}.dsz").write_bytes(data)
        report = verify_stream(io.BytesIO(data), device="cpu")
        digests[f"{name}.dsz"] = {"symbols": report.symbols, "frames": report.frames}
        green = np.stack(list(dsaecodec.decode(data)))[..., 1]
        np.savez_compressed(FOLDER / f"{name}.npz", luma=green)
    DIGESTS.write_text(json.dumps(digests, indent=2) + "\n")


if __name__ == "__main__":
    main()
