"""What a codec costs to run: speed, memory, multiply-adds, size of its model.

Encoder and decoder each run in a process of their own, with nothing else in it: first on the clip's
first frames, so that imports, caches and memory pools are there, then on the clip, timed, then, if
the codec has a model, once more to count multiply-adds.
"""

from __future__ import annotations

import csv
import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.rd.clip import Clip
from benchmarks.rd.codec import CannotCode, Codec, Coded, ModelSize
from dsaecodec.errors import CodecError

Result = TypeVar("Result")

WARM_UP_PIXELS = 2**18
"""What a codec is warmed up on: two pictures of 640×360, small clips whole. A basis that PCA fits
to the length of a clip is then there before the clock starts, as networks are."""


@dataclass(frozen=True)
class Complexity:
    """One codec on one clip, alone.

    Attributes:
        codec: its name.
        height, width, frames: of the clip.
        threads: that it was given.
        encode_fps, decode_fps: frames a second of wall time, first use excluded; None: it failed.
            What a codec does in every call counts: ours reads its weights.
        encode_kmac_px, decode_kmac_px: thousands of multiply-adds a pixel of the clip, see
            `macs.count_macs`; None for codecs that are not networks.
        parameters: numbers of its model, None without one.
        weight_bytes: of the model as stored.
        encode_mb, decode_mb: most resident memory during the call, in 10^6 bytes, above what the
            process held before, which is libraries, weights and the clip. The result counts: the
            decoder's is the whole decoded clip. None where the system does not tell.
        note: why something is missing.
    """

    codec: str
    height: int
    width: int
    frames: int
    threads: int
    encode_fps: float | None = None
    decode_fps: float | None = None
    encode_kmac_px: float | None = None
    decode_kmac_px: float | None = None
    parameters: int | None = None
    weight_bytes: int | None = None
    encode_mb: float | None = None
    decode_mb: float | None = None
    note: str = ""


def measure_complexity(codec: Codec, clip: Clip, quality: float, threads: int) -> Complexity:
    """Measure a codec; one that fails gives a row whose note says why."""
    codec = codec.with_threads(threads)
    info = clip.info
    row = Complexity(codec.name, info.height, info.width, len(clip.frames), threads)
    try:
        cost, size, *coded = _alone(threads, _encode, codec, clip, quality)
        if size is not None:
            row = replace(row, parameters=size.numbers, weight_bytes=size.num_bytes)
        fps, kmac = len(clip.frames) / cost.seconds, cost.kmac_per(clip.num_pixels)
        row = replace(row, encode_fps=fps, encode_kmac_px=kmac, encode_mb=cost.megabytes)
        cost = _alone(threads, _decode, codec, clip, *coded, size is not None)
        fps, kmac = len(clip.frames) / cost.seconds, cost.kmac_per(clip.num_pixels)
        return replace(row, decode_fps=fps, decode_kmac_px=kmac, decode_mb=cost.megabytes)
    except (CannotCode, CodecError) as error:
        return replace(row, note=str(error))
    except Exception as error:  # a fault of one codec, or the end of its process: others go on
        return replace(row, note=f"failed: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class _Cost:
    seconds: float
    megabytes: float | None
    macs: int

    def kmac_per(self, num_pixels: int) -> float | None:
        return self.macs / num_pixels / 1e3 if self.macs else None


def _alone(threads: int, function: Callable[..., Result], *arguments: object) -> Result:
    """The result of a call in a fresh process."""
    with (
        _libraries_limited_to(threads),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        return pool.submit(function, *arguments).result()


@contextmanager
def _libraries_limited_to(threads: int) -> Iterator[None]:
    """Tell OpenMP and NumPy's BLAS in processes that begin inside; they read it once, early."""
    names = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _encode(
    codec: Codec, clip: Clip, quality: float
) -> tuple[_Cost, ModelSize | None, Coded, Coded]:
    """What encoding costs, the model's size, the coded clip, and its first frames coded.

    These are for the decoder's warm-up: made there, they would leave it the encoder's memory.
    """
    size = codec.size(clip)
    short = codec.encode(_first_frames(clip), quality)
    cost, coded = _measured(lambda: codec.encode(clip, quality), codec.threads, size is not None)
    return cost, size, coded, short


def _decode(codec: Codec, clip: Clip, coded: Coded, short: Coded, learned: bool) -> _Cost:
    codec.decode(short, _first_frames(clip))
    return _measured(lambda: codec.decode(coded, clip), codec.threads, learned)[0]


def _first_frames(clip: Clip) -> Clip:
    count = -(-WARM_UP_PIXELS // (clip.info.height * clip.info.width))
    return replace(clip, frames=clip.frames[:count])


def _measured(call: Callable[[], Result], threads: int, learned: bool) -> tuple[_Cost, Result]:
    """Time and memory of a call, then its multiply-adds in another."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
    _return_memory()
    before = _reset_peak()
    begin = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - begin
    peak = _peak()
    megabytes = None if before is None or peak is None else max(0, peak - before) / 1e6
    macs = 0
    if learned and "torch" in sys.modules:
        from benchmarks.rd.macs import count_macs

        macs = count_macs(call).total
    return _Cost(seconds, megabytes, macs), result


def _return_memory() -> None:
    """Give back what the warm-up left: a call that uses it again would seem to need less."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim:
        trim(0)


def _reset_peak() -> int | None:
    """Forget the peak so far; returns the bytes resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:  # not Linux: the peak is forgotten never, and what is found may be too little
        return _peak()


def _peak() -> int | None:
    """Most bytes that were resident since the peak was reset."""
    try:
        return _status("VmHWM")
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}")


def write_complexity(path: Path, rows: Iterable[Complexity]) -> None:
    """Write a CSV, one row a codec; an empty field is None."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Complexity)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_complexity(path: Path) -> list[Complexity]:
    """Read what `write_complexity` wrote."""
    convert = {f.name: _CONVERT[str(f.type)] for f in fields(Complexity)}
    with open(path, newline="") as file:
        return [
            Complexity(**{name: convert[name](text) for name, text in row.items()})
            for row in csv.DictReader(file)
        ]


_CONVERT: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "int | None": lambda text: int(text) if text else None,
    "float | None": lambda text: float(text) if text else None,
}
