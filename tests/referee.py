"""The priors once more, in plain NumPy int64, read straight from a model file: the referee.

Written from the equations, not from the code under test: convolutions are sums of shifted slices,
logarithms come from bit lengths, divisions are integer divisions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Ints = NDArray[np.int64]
Exchange = Callable[[Ints, Ints, list[tuple[int, int]]], Ints]
SHIFT = 10
RANGES = {"relu": (0, 255), "signed": (-127, 127), "gate": (0, 64)}


def compand(x: Ints) -> Ints:
    def one(value: int) -> int:
        magnitude = min(abs(value), 127) + 1
        octave = magnitude.bit_length() - 1
        result = 18 * octave + (18 * (magnitude - 2**octave)) // 2**octave
        return result if value > 0 else -result if value < 0 else 0

    return np.vectorize(one, otypes=[np.int64])(x)


def lattice(height: int, width: int) -> list[list[tuple[int, int]]]:
    steps = []
    for oy, ox in ((0, 0), (1, 1), (0, 1), (1, 0)):
        cells = [(y, x) for y in range(oy, height, 2) for x in range(ox, width, 2)]
        if cells:
            steps.append(cells)
    return steps


class Referee:
    """Integer priors of one model."""

    def __init__(self, path: Path) -> None:
        self.tensors = {k: v.astype(np.int64) for k, v in load_file(path).items() if "prior" in k}

    def layer(self, name: str, x: Ints, act: str | None = "relu") -> Ints:
        """Apply to [C, h, w]; the kernel follows from the weight's shape."""
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        channels, height, width = x.shape
        kernel = 3 if weight.shape[1] == 9 * channels else 1
        assert weight.shape[1] == channels * kernel * kernel
        weight = weight.reshape(-1, channels, kernel, kernel)
        padded = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
        total = np.zeros((weight.shape[0], height, width), np.int64) + bias[:, None, None]
        for dy in range(kernel):
            for dx in range(kernel):
                part = padded[:, dy : dy + height, dx : dx + width]
                total += np.einsum("oc,chw->ohw", weight[:, :, dy, dx], part)
        assert np.abs(total).max() < 2**24
        total = (total + 2 ** (SHIFT - 1)) >> SHIFT
        return total if act is None else np.clip(total, *RANGES[act])

    def finish(self, head: Ints, base: Ints, quality: int) -> tuple[Ints, Ints]:
        delta, index = np.split(head, 2)
        return 4 * base + delta, np.clip(index + (3 * (quality - 50)) // 16, 0, 39)

    @property
    def predicts(self) -> bool:
        return "content_prior.lacking_mean" in self.tensors

    @property
    def is_contextual(self) -> bool:
        return "content_prior.say.weight" in self.tensors

    def told(self, quality: int, predicted: bool) -> list[int]:
        return [quality, 64 * predicted] if self.predicts else [quality]

    def hyper(
        self, size: tuple[int, int], quality: int, exchange: Exchange, *, predicted: bool = False
    ) -> Ints:
        """f_hyper of a grid of its own, each step of it; of a model without context all at once."""
        height, width = size
        kind = "lacking" if predicted else "hyper"
        mean, index = (
            np.zeros((1, height, width), np.int64)
            + self.tensors[f"content_prior.{kind}_{x}"][:, None, None]
            for x in ("mean", "index")
        )
        symbols = np.zeros_like(mean)
        if not self.is_contextual:
            cells = [(y, x) for y in range(height) for x in range(width)]
            self._exchange(symbols, (mean, np.clip(index, 0, 39)), cells, exchange)
            return symbols
        said = np.array(self.told(quality, predicted))[:, None, None]
        for cells in lattice(height, width):
            near = self.layer("content_prior.near", np.clip(8 * symbols, -127, 127))
            constant = np.zeros((len(said), height, width), np.int64) + said
            hidden = self.layer("content_prior.blend", np.concatenate([near, constant]))
            delta, change = np.split(self.layer("content_prior.say", hidden, None), 2)
            parameters = (mean + delta, np.clip(index + change, 0, 39))
            self._exchange(symbols, parameters, cells, exchange)
        return symbols

    def content(
        self,
        hyper: Ints,
        size: tuple[int, int],
        quality: int,
        exchange: Exchange,
        *,
        predicted: bool = False,
    ) -> Ints:
        height, width = size
        said = self.told(quality, predicted)
        features = self.layer("content_prior.expand", np.clip(8 * hyper, -127, 127))
        up = self.layer("content_prior.upsample", features)
        count = up.shape[0] // 4
        fine = np.zeros((count, 2 * up.shape[1], 2 * up.shape[2]), np.int64)
        for i in range(4):
            fine[:, i // 2 :: 2, i % 2 :: 2] = up[i::4]
        fine = fine[:, :height, :width]
        channels = self.tensors["content_prior.head.weight"].shape[0] // 2
        symbols = np.zeros((channels, height, width), np.int64)
        known = np.zeros((height, width), bool)
        for cells in lattice(height, width):
            seen = self.layer("content_prior.embed", compand(symbols), "signed") * known
            context = self.layer("content_prior.context", seen)
            constant = np.zeros((len(said), height, width), np.int64)
            constant += np.array(said)[:, None, None]
            hidden = self.layer("content_prior.mix", np.concatenate([fine, context, constant]))
            head = self.layer("content_prior.head", hidden, None)
            base = np.zeros_like(symbols)
            for y, x in [] if predicted else cells:
                near = [
                    (v, u)
                    for v in range(max(y - 1, 0), min(y + 2, height))
                    for u in range(max(x - 1, 0), min(x + 2, width))
                    if known[v, u]
                ]
                for c in (0, 256, 320):
                    if near:
                        limited = [
                            min(max(int(symbols[c, v, u]), -(2**20)), 2**20) for v, u in near
                        ]
                        total = sum(limited)
                        base[c, y, x] = (2 * total + len(near)) // (2 * len(near))
            self._exchange(symbols, self.finish(head, base, quality), cells, exchange)
            for y, x in cells:
                known[y, x] = True
        return symbols

    @staticmethod
    def _exchange(
        symbols: Ints, parameters: tuple[Ints, Ints], cells: list[tuple[int, int]], do: Exchange
    ) -> None:
        ys, xs = (np.array(v) for v in zip(*cells, strict=True))
        mean, index = (p[:, ys, xs] for p in parameters)
        symbols[:, ys, xs] = do(mean, index, cells)

    @property
    def is_kinematic(self) -> bool:
        return "dynamics_prior.ratio" in self.tensors

    def lifted(self, z: Ints, quality: int, place: tuple[int, int, bool]) -> Ints:
        """z_t [C, h, w] as it is coded: mean motion less that of constant velocity."""
        t, num_frames, refs = place
        coded = z.copy()
        if self.is_kinematic and refs:
            ratio = self.tensors["dynamics_prior.ratio"][quality][:, None, None]
            below = 64 * num_frames
            above = np.clip(z[2:4], -(2**20), 2**20) * ratio * (2 * (t + 1) - num_frames)
            coded[:2] -= (2 * above + below) // (2 * below)
        return coded

    def dynamics(
        self,
        state: tuple[Ints, Ints, Ints],
        quality: int,
        place: tuple[int, int, bool],
        exchange: Exchange,
    ) -> tuple[Ints, Ints]:
        """Returns z_t [C, h, w] as coded and the next hidden state.

        The state is z of the two frames before, latest first, and hidden; the place is the frame's
        index in its GOP, how many frames that has, and whether it refers to the one before.
        """
        (z1, z2, hidden), (t, num_frames, refs) = state, place
        _, height, width = z1.shape
        temporal = self.layer("dynamics_prior.temporal", hidden)
        persist, momentum = np.split(self.layer("dynamics_prior.gates", temporal, "gate"), 2)
        base = np.clip((persist * z1 + momentum * (z1 - z2) + 32) >> 6, -(2**20), 2**20)
        z, known = np.zeros_like(z1), np.zeros((height, width), bool)
        said = [quality, 64 * refs]
        if self.is_kinematic:
            gate = self.layer("dynamics_prior.near", temporal, "gate")
            far = (t + 1, num_frames - 1 - t) if refs else (0, abs(t - num_frames // 2))
            said += compand(np.array(far)).tolist()
        for cells in lattice(height, width):
            innovation = compand((z - base) * known)
            seen = self.layer("dynamics_prior.embed", innovation, "signed") * known
            context = self.layer("dynamics_prior.context", seen)
            constant = np.zeros((len(said), height, width), np.int64)
            constant += np.array(said)[:, None, None]
            hid = self.layer("dynamics_prior.mix", np.concatenate([temporal, context, constant]))
            head = self.layer("dynamics_prior.head", hid, None)
            moved = base.copy()
            for y, x in cells if self.is_kinematic else []:
                near = [
                    np.clip((z - base)[:5, v, u], -(2**20), 2**20)
                    for v in range(max(y - 1, 0), min(y + 2, height))
                    for u in range(max(x - 1, 0), min(x + 2, width))
                    if known[v, u]
                ]
                count = max(len(near), 1)
                mean = (2 * sum(near, np.zeros(5, np.int64)) + count) // (2 * count)
                moved[:5, y, x] += (gate[:, y, x] * mean + 32) >> 6
            moved = np.clip(moved, -(2**20), 2**20)
            self._exchange(z, self.finish(head, moved, quality), cells, exchange)
            for y, x in cells:
                known[y, x] = True
        return z, self._next_hidden(hidden, z, z1)

    @property
    def is_precise(self) -> bool:
        return "motion_prior.leave.weight" in self.tensors

    def motion(
        self, size: tuple[int, int], quality: int, fineness: int, exchange: Exchange
    ) -> Ints:
        """f_motion of a precise model, [2, h, w], in the steps that it is coded in."""
        height, width = size
        symbols, known = np.zeros((2, height, width), np.int64), np.zeros((height, width), bool)
        for spacing in (8, 4, 2, 1):
            rows, columns = range(0, height, spacing), range(0, width, spacing)
            grid = [(y, x) for y in rows for x in columns]
            for oy, ox in ((0, 0), (1, 1), (0, 1), (1, 0)):
                cells = [
                    (y, x)
                    for y, x in grid
                    if (y // spacing % 2, x // spacing % 2) == (oy, ox) and not known[y, x]
                ]
                if not cells:
                    continue
                mean, index = np.zeros_like(symbols), np.zeros_like(symbols)
                for y, x in cells:
                    around = [
                        (y + dy * spacing, x + dx * spacing)
                        for dy in (-1, 0, 1)
                        for dx in (-1, 0, 1)
                    ]
                    there = [(v, u) in grid and bool(known[v, u]) for v, u in around]
                    vectors = [
                        np.clip(symbols[:, v, u], -(2**20), 2**20) if here else None
                        for (v, u), here in zip(around, there, strict=True)
                    ]
                    seen = [vector for vector in vectors if vector is not None]
                    count = max(len(seen), 1)
                    base = (2 * sum(seen, np.zeros(2, np.int64)) + count) // (2 * count)
                    differing = [
                        compand(np.zeros(2, np.int64) if v is None else v - base) for v in vectors
                    ]
                    told = [quality, 32 * fineness, 32 * (8, 4, 2, 1)[::-1].index(spacing)]
                    inputs = np.concatenate(
                        [np.stack(differing, 1).ravel(), 64 * np.array(there), np.array(told)]
                    )
                    hidden = self.layer("motion_prior.enter", inputs[:, None, None])
                    hidden = self.layer("motion_prior.blend", hidden)
                    said = self.layer("motion_prior.leave", hidden, None)[:, 0, 0]
                    mean[:, y, x], index[:, y, x] = 4 * base + said[:2], np.clip(said[2:], 0, 39)
                self._exchange(symbols, (mean, index), cells, exchange)
                for y, x in cells:
                    known[y, x] = True
        return symbols

    def steady(self, motion: Ints) -> tuple[Ints, Ints, Ints]:
        """The state before a GOP's first frame whose content has f_motion [2, h, w]."""
        if self.is_precise:
            motion = (motion + 2) // 4
        channels = self.tensors["dynamics_prior.observe.weight"].shape[1] // 2
        z = np.zeros((channels, *motion.shape[1:]), np.int64)
        hidden = np.zeros((32, *motion.shape[1:]), np.int64)
        before = z.copy()
        z[2:4] = motion
        return z, z, self._next_hidden(hidden, z, before)

    def _next_hidden(self, hidden: Ints, z: Ints, z1: Ints) -> Ints:
        change = np.concatenate([compand(z), compand(z - z1)])
        joint = np.concatenate([self.layer("dynamics_prior.observe", change, "signed"), hidden])
        keep = self.layer("dynamics_prior.keep", joint, "gate")
        candidate = self.layer("dynamics_prior.candidate", joint, "signed")
        return (keep * hidden + (64 - keep) * candidate + 32) >> 6
