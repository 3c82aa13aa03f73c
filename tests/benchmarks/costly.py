"""A codec for tests whose costs are known."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.rd.clip import Clip, Frames, RgbFrame
from benchmarks.rd.codec import CannotCode, Codec, Coded, ModelSize


@dataclass(frozen=True)
class Costly(Codec):
    """Sleeps, holds memory and multiplies; frames are coded as they are.

    It refuses to encode and decode in one process, and to compute on other threads than its own.

    Attributes:
        first_use: seconds that the first call in a process takes in addition.
        encode_s, decode_s: seconds a frame.
        encode_mb, decode_mb: held during a call, 10^6 bytes a frame.
        columns: of the square matrices that are multiplied, one product a frame; 0: no network.
        fails: in which call, "encode" or "decode", and how: "cannot", "fault", "exit".
    """

    first_use: float = 0.0
    encode_s: float = 0.0
    decode_s: float = 0.0
    encode_mb: int = 0
    decode_mb: int = 0
    columns: int = 0
    fails: tuple[str, str] = ("", "")
    threads: int = 1

    name = "costly"
    label = "costly"
    qualities = all_qualities = (0.0,)
    calls: ClassVar[list[str]] = []  # in this process

    def settings(self, clip: Clip, quality: float) -> str:
        return "costly"

    def encode(self, clip: Clip, quality: float) -> Coded:
        self._spend("encode", len(clip.frames), self.encode_s, self.encode_mb)
        return Coded(tuple(f.tobytes() for f in clip.frames if isinstance(f, np.ndarray)))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        self._spend("decode", len(coded.packets), self.decode_s, self.decode_mb)
        shape = clip.info.height, clip.info.width, 3
        frames: list[RgbFrame] = [
            np.frombuffer(packet, np.uint8).reshape(shape) for packet in coded.packets
        ]
        return frames

    def size(self, clip: Clip) -> ModelSize | None:
        return ModelSize(self.columns**2, 7) if self.columns else None

    def _spend(self, call: str, frames: int, seconds: float, megabytes: int) -> None:
        if set(self.calls) - {call}:
            raise CannotCode("encoder and decoder in one process")
        if os.environ.get("OMP_NUM_THREADS") != str(self.threads):
            raise CannotCode("libraries were not told the threads")
        time.sleep(seconds * frames + (0 if self.calls else self.first_use))
        self.calls.append(call)
        held = np.ones(megabytes * frames * 10**6, np.uint8)
        if self.columns:
            import torch

            if len(self.calls) > 1 and torch.get_num_threads() != self.threads:
                raise CannotCode(f"{torch.get_num_threads()} threads of torch")
            for _ in range(frames):
                torch.ones(self.columns, self.columns) @ torch.ones(self.columns, self.columns)
        del held
        if self.fails[0] == call:
            self._fail(self.fails[1])

    def _fail(self, how: str) -> None:
        if how == "exit":
            os._exit(3)
        if how == "fault":
            raise ZeroDivisionError("a fault")
        raise CannotCode("not this one")
