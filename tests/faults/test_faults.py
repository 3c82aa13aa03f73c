"""Memory, disks and drives that fail: one line, the right exit code, nothing left behind."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dsaecodec.commands.console import Failure
from dsaecodec.draw import moving_layers
from dsaecodec.errors import BitstreamError, InputVideoError
from dsaecodec.input_file import open_input
from dsaecodec.video import VideoInfo, VideoWriter, open_video, rgb_to_420

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.y4m"
    with VideoWriter(path, VideoInfo(160, 96, 25)) as writer:
        for rgb in moving_layers(8, 96, 160, seed=1):
            writer.write(rgb_to_420(rgb))
    return path


def limited(kind: int, limit: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program under a limit of the system's."""
    return subprocess.run(
        [sys.executable, "-m", "dsaecodec", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
    )


@pytest.mark.parametrize("megabytes", [300, 700])
def test_memory_that_runs_out(clip: Path, megabytes: int) -> None:
    """While PyTorch is loaded, and while frames are encoded: there its own threads may crash."""
    options = ["--preset", "fast", "--max-memory", "100G", "--model", "natural"]
    done = limited(resource.RLIMIT_AS, megabytes << 20, "encode", clip, *options)
    if megabytes == 700 and done.returncode in (-signal.SIGSEGV, -signal.SIGABRT):
        assert not clip.with_suffix(".dsz").exists()
        return
    assert done.returncode == 2, done.stderr
    error, hint = done.stderr.splitlines()
    assert error == "dsaecodec: error: not enough memory" and "--threads" in hint
    assert [path.name for path in clip.parent.iterdir()] == ["clip.y4m"]


def test_every_word_for_no_memory() -> None:
    allocator = "[enforce fail at alloc_cpu.cpp:130] DefaultCPUAllocator: can't allocate memory"
    wrapped = ValueError("what came of it")
    wrapped.__cause__ = MemoryError()
    for error in (
        MemoryError(),
        RuntimeError(allocator),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("std::bad_alloc"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        wrapped,
    ):
        failure = Failure.of(error)
        assert (failure.message, failure.exit_code) == ("not enough memory", 2), error
    assert Failure.of(RuntimeError("surprise")).exit_code == 1
    assert Failure.of(ValueError("out of memory, says a file")).exit_code == 1


@pytest.mark.parametrize("name", ["out.mp4", "pictures/"])
def test_a_disk_that_fills_up(clip: Path, golden: Path, name: str) -> None:
    stream = clip.with_suffix(".dsz")
    stream.write_bytes(golden.read_bytes())
    before = sorted(clip.parent.iterdir())
    target = f"{clip.parent}/{name}"
    done = limited(resource.RLIMIT_FSIZE, 500, "decode", stream, "-o", target)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert sorted(clip.parent.iterdir()) == before


def test_a_drive_that_is_gone(clip: Path) -> None:
    stream = open_input(clip, BitstreamError, "clip")
    assert stream.read(10) == b"YUV4MPEG2 "
    os.dup2(os.open(clip.parent, os.O_RDONLY), stream.fileno())  # whatever is read now fails
    with pytest.raises(BitstreamError, match="clip: cannot be read: Is a directory"):
        stream.read(10**6)
    with pytest.raises(InputVideoError, match=r"none: no such file"):
        open_input(clip.with_name("none"), InputVideoError, "none")
    with open_video(clip) as video:
        frames = iter(video)
        next(frames)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that cannot be read")
@pytest.mark.parametrize(("command", "code"), [("info", 4), ("verify", 4), ("encode", 3)])
def test_a_file_that_cannot_be_read(command: str, code: int, tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "out.dsz")] if command == "encode" else []
    arguments = [sys.executable, "-m", "dsaecodec", command, "/proc/self/mem", *output]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == code
    assert done.stderr == "dsaecodec: error: /proc/self/mem: cannot be read: Input/output error\n"
