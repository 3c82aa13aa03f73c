"""A codec for tests: samples rounded to a step, and zlib. It can be told to fail."""

from __future__ import annotations

import os
import signal
import zlib
from dataclasses import dataclass

import numpy as np

from benchmarks.rd.clip import Clip, Frames, planes_of
from benchmarks.rd.codec import CannotCode, Codec, Coded
from dsaecodec.video.frame import Frame420, plane_shapes


@dataclass
class Rounding(Codec):
    """Quality 0…5 rounds to steps of 64…2.

    Attributes:
        refuses: name of a clip it says it cannot code.
        breaks: name of a clip on which it has a fault.
        aborts: name of a clip on which it brings its process down.
        loses: name of a clip of which it drops a frame.
    """

    name: str = "rounding"
    refuses: str = ""
    breaks: str = ""
    aborts: str = ""
    loses: str = ""
    version: str = "1"

    label = "rounding"
    qualities = (0.0, 1.0, 2.0, 3.0, 4.0)
    all_qualities = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)

    def unsuitable(self, clip: Clip) -> str | None:
        return "not this one" if clip.name == self.refuses else None

    def settings(self, clip: Clip, quality: float) -> str:
        return f"rounding {self.version} quality {quality}"

    def encode(self, clip: Clip, quality: float) -> Coded:
        if clip.name == self.breaks:
            raise ZeroDivisionError("a fault")
        if clip.name == self.aborts:
            os.kill(os.getpid(), signal.SIGKILL)
        step = 2 ** (6 - int(quality))
        packets = []
        for frame in clip.frames[1:] if clip.name == self.loses else clip.frames:
            rounded = [plane // step * step + step // 2 for plane in planes_of(frame)]
            packets.append(zlib.compress(b"".join(p.astype(np.uint8).tobytes() for p in rounded)))
        return Coded(tuple(packets))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        if not coded.packets:
            raise CannotCode("nothing to decode")
        height, width = clip.info.height, clip.info.width
        frames = []
        for packet in coded.packets:
            data = np.frombuffer(zlib.decompress(packet), np.uint8)
            if clip.kind == "rgb":
                frames.append(data.reshape(height, width, 3))
                continue
            shapes = plane_shapes(height, width)
            ends = np.cumsum([h * w for h, w in shapes])
            planes = np.split(data, ends[:-1])
            frames.append(Frame420(*(p.reshape(s) for p, s in zip(planes, shapes, strict=True))))
        return frames

    def account(self, coded: Coded, clip: Clip) -> dict[str, float]:
        return {"overhead_bits": 8.0 * len(coded.packets)}
