"""Makes the golden streams of the current format and weights: `python tests/golden/make_golden.py`.

Run once for each released format version or model, never to make a failing test pass.
"""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np

from dsaecodec.codec import Decoder, EncodeOptions, encode_video, verify_stream
from dsaecodec.draw import moving_layers
from dsaecodec.video import VideoInfo, rgb_to_420

FOLDER = Path(__file__).parent
STREAMS = {  # name: frames, height, width, quality, gop
    "v1-natural-three-gops": (7, 34, 50, 40, 3),
    "v1-natural-compact": (4, 64, 64, 25, 16),
}


def main() -> None:
    """Writes streams, the luma of the longer one, and the digests of all."""
    digests = {}
    for name, (num_frames, height, width, quality, gop) in STREAMS.items():
        frames = [rgb_to_420(rgb) for rgb in moving_layers(num_frames, height, width, 5)]
        sink = io.BytesIO()
        info = VideoInfo(width, height, Fraction(25))
        encode_video(frames, info, sink, EncodeOptions(quality, gop, device="cpu"))
        (FOLDER / f"{name}.dsz").write_bytes(sink.getvalue())
        report = verify_stream(io.BytesIO(sink.getvalue()), device="cpu")
        digests[f"{name}.dsz"] = {"symbols": report.symbols, "frames": report.frames}
        if name.endswith("gops"):
            luma = np.stack([f.y for f in Decoder(io.BytesIO(sink.getvalue()), device="cpu")])
            np.savez_compressed(FOLDER / f"{name}.npz", luma=luma)
    (FOLDER / "digests.json").write_text(json.dumps(digests, indent=2) + "\n")


if __name__ == "__main__":
    main()
