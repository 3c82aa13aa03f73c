"""A codec leaves the process as it was, and does the same alone and beside others."""

from __future__ import annotations

import gc
import locale
import os
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dsaecodec
from dsaecodec.codec.threads import Crew, limited_threads
from dsaecodec.draw import moving_layers

ROOT = Path(__file__).parents[1]
FRAMES = list(moving_layers(6, 48, 64, seed=1))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD)


def state() -> dict[str, Any]:
    """All that a library might change and should not."""
    fresh: list[int] = []
    thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    backends = torch.backends
    places = (backends.mkldnn.matmul, backends.mkldnn.conv, backends.cudnn.conv, backends.cudnn.rnn)
    return {
        "threads": torch.get_num_threads(),
        "threads of a new thread": fresh,
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "type": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "cudnn": [
            getattr(backends.cudnn, name)
            for name in ("enabled", "benchmark", "deterministic", "allow_tf32")
        ],
        "precision": [place.fp32_precision for place in (*places, backends.cuda.matmul)],
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "torch's chance": torch.get_rng_state().tolist(),
        "NumPy's chance": repr(np.random.get_state()),
        "Python's chance": random.getstate(),
        "NumPy's errors": np.geterr(),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in SIGNALS],
        "locale": locale.setlocale(locale.LC_ALL),
        "garbage": gc.isenabled(),
        "running threads": threading.active_count(),
        "environment": {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")},
        "folder": os.getcwd(),
        "open files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
    }


@pytest.fixture(scope="module")
def data() -> bytes:
    return dsaecodec.encode(FRAMES, gop=3, threads=2)


@pytest.fixture(scope="module")
def pixels(data: bytes) -> list[np.ndarray]:
    return list(dsaecodec.decode(data, threads=2))


@pytest.fixture
def unchanged(data: bytes, pixels: list[np.ndarray]) -> Iterator[None]:
    """The test leaves no trace; what is imported and cached on first use is there already."""
    before = state()
    yield
    gc.collect()
    assert state() == before


@pytest.mark.parametrize("threads", [None, 2])
def test_calls_leave_no_trace(unchanged: None, data: bytes, threads: int | None) -> None:
    assert dsaecodec.encode(FRAMES, gop=3, threads=threads) == data
    assert len(list(dsaecodec.decode(data, threads=threads))) == len(FRAMES)
    with dsaecodec.open(data, threads=threads) as clip:
        assert clip[4].shape == (48, 64, 3) and clip.gops[0].z_bits.size


@pytest.mark.parametrize("model", ["natural", "balls"])
def test_iterations_that_are_abandoned_leave_no_trace(unchanged: None, model: str) -> None:
    frames = list(moving_layers(4, 64, 64, seed=2))
    data = dsaecodec.encode(frames, model=model, gop=2, threads=2)
    decoding = dsaecodec.decode(data, threads=2)
    assert torch.is_grad_enabled()
    next(decoding)
    assert torch.is_grad_enabled() and torch.get_num_threads() == 1  # what conftest.py set
    del decoding


def test_errors_on_the_way_leave_no_trace(unchanged: None, data: bytes) -> None:
    def breaking_off() -> Iterator[np.ndarray]:
        yield from FRAMES[:4]
        raise KeyError("a camera is unplugged")

    with pytest.raises(KeyError):
        dsaecodec.encode(breaking_off(), gop=2, threads=2)
    with pytest.raises(dsaecodec.errors.BitstreamError):
        list(dsaecodec.decode(data[:-20], threads=2, num_frames=len(FRAMES)))
    decoding = dsaecodec.decode(data, threads=2)
    next(decoding)
    with pytest.raises(KeyError):
        decoding.throw(KeyError("whoever looked at the frame"))  # type: ignore[attr-defined]


def test_threads_that_come_and_go_in_any_order_leave_no_trace(unchanged: None) -> None:
    """The first to begin is the first to end: restoring what one found is not enough."""
    began, left = threading.Event(), threading.Event()

    def second() -> None:
        with limited_threads(3), Crew(2, torch.device("cpu")) as crew:
            crew.submit(lambda: None).result()
            began.set()
            assert left.wait(10)

    thread = threading.Thread(target=second)
    with limited_threads(2):
        thread.start()
        assert began.wait(10)
    left.set()
    thread.join()


def test_parallel_threads_make_the_same(
    unchanged: None, data: bytes, pixels: list[np.ndarray]
) -> None:
    def work(number: int) -> bool:
        threads = (None, 1, 2)[number % 3]
        if number % 2:
            return dsaecodec.encode(FRAMES, gop=3, threads=threads) == data
        frames = dsaecodec.decode(data, threads=threads)
        return all(np.array_equal(*pair) for pair in zip(frames, pixels, strict=True))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_importing_changes_nothing() -> None:
    code = (
        "import torch, numpy, av\nfrom tests.test_process_state import state\nbefore = state()\n"
        "import dsaecodec, dsaecodec.api, dsaecodec.generation, dsaecodec.training.trainer\n"
        "assert state() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_program_ends_while_a_clip_is_being_decoded(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.dsz"
    path.write_bytes(data)
    code = (
        "import sys, dsaecodec\nframes = dsaecodec.decode(sys.argv[1], threads=2)\nnext(frames)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
