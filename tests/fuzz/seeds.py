"""Small valid streams to mutate: the golden ones, and tiny drawn clips of every shipped model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from bitstream import SoundPacket, SoundTrack, join, split
from dsaecodec.codec import EncodeOptions, encode_video
from dsaecodec.draw import bouncing_balls, draw_character, moving_layers
from dsaecodec.draw.characters import Character
from dsaecodec.video import Frame420, VideoInfo, rgb_to_420, rgb_to_planes
from dsaecodec.video.frame import RGB

GOLDEN = Path(__file__).parents[1] / "golden"
TIMES = (0, 3600, 7200, 11200, 20000, 23600)


def golden_streams() -> dict[str, bytes]:
    """The golden streams by name."""
    return {path.stem: path.read_bytes() for path in sorted(GOLDEN.glob("*.dsz"))}


def drawn_streams() -> dict[str, bytes]:
    """Tiny clips, encoded: small sizes, several GOPs, an index, times, sound, RGB."""
    made = {
        "natural-16x16": natural(2, 16, 16, 50, 16),
        "natural-1x1": natural(3, 1, 1, 80, 2),
        "natural-17x33": natural(4, 33, 17, 90, 2),
        "natural-indexed": natural(10, 16, 16, 30, 1),
        "natural-timed": natural(6, 16, 16, 20, 3, timed=True),
        "balls-2": vector("balls", bouncing_balls(2, 500).frames),
        "sprites-2": vector("sprites", draw_character(Character.from_index(3), 0, 1, 2, 3)),
    }
    return made | {
        "natural-sound": with_sound(made["natural-17x33"]),
        "natural-indexed-sound": with_sound(made["natural-indexed"]),
        "sprites-sound": with_sound(made["sprites-2"]),
        "balls-gops": repeated(made["balls-2"], 9),
    }


def natural(
    frames: int, height: int, width: int, quality: int, gop: int, *, timed: bool = False
) -> bytes:
    """A drawn clip, encoded with the model for natural video."""
    clip = [rgb_to_420(rgb) for rgb in moving_layers(frames, height, width, 5)]
    if timed:
        clip = [frame._replace(ticks=t) for frame, t in zip(clip, TIMES, strict=True)]
    info = VideoInfo(width, height, Fraction(25), sample_aspect=Fraction(16, 11))
    return encoded(clip, info, EncodeOptions(quality, gop, device="cpu", threads=1, preset="fast"))


def vector(model: str, clip: Sequence[np.ndarray]) -> bytes:
    """A drawn clip, encoded with a model for small pictures."""
    info = VideoInfo(64, 64, Fraction(12), RGB, full_range=True)
    options = EncodeOptions(65, device="cpu", threads=1, model=model)
    return encoded([rgb_to_planes(rgb) for rgb in clip], info, options)


def encoded(clip: Sequence[Frame420], info: VideoInfo, options: EncodeOptions) -> bytes:
    """A stream's bytes."""
    sink = io.BytesIO()
    encode_video(clip, info, sink, options)
    return sink.getvalue()


def with_sound(data: bytes) -> bytes:
    """The same stream with packets that only look like sound, and a gap."""
    header, gops = split(data)
    track = SoundTrack("opus", 48000, 2, b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")
    header = replace(header, sound=track)
    start, heard = -312, []
    for gop in gops:
        packets = [SoundPacket(start + 960 * i, 960, b"\xfc\xff\xfe") for i in range(2)]
        packets.append(SoundPacket(start + 2000, 480, b"sound"))
        start += 2600
        heard.append(replace(gop, sound=tuple(packets)))
    return join(header, heard)


def repeated(data: bytes, times: int) -> bytes:
    """The same GOPs again and again."""
    header, gops = split(data)
    return join(header, gops * times)
