"""Temporary files of runs that were killed go; those of runs that live stay."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dsaecodec import part_files
from dsaecodec.errors import OutputError
from dsaecodec.output import check_writable, open_output, staged
from dsaecodec.output_folder import NumberedFolder
from dsaecodec.part_files import is_part, remove_stale

ROOT = Path(__file__).parents[1]
HOLDER = """
import sys, time
from pathlib import Path
from dsaecodec.output import staged
from dsaecodec.output_folder import NumberedFolder
target = sys.argv[1]
folder = NumberedFolder.of(target)
with folder.staged() if folder else staged(target) as part:
    (part / "00000.png" if folder else part).write_bytes(b"half")
    print(part, flush=True)
    sys.stdin.read()
"""


@contextmanager
def writer(target: str | Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that is writing an output."""
    command = [sys.executable, "-c", HOLDER, str(target)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["clip.mp4", "clip", "pictures/"])
def test_a_later_run_removes_what_a_killed_one_left(tmp_path: Path, name: str) -> None:
    with writer(f"{tmp_path}/{name}") as (process, part):
        assert is_part(part) and part.exists() and names(tmp_path) == [part.name]
        with open_output(tmp_path / "other.dsz") as file:
            file.write(b"whole")
        assert part.exists(), "its writer lives"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert names(tmp_path) == sorted([part.name, "other.dsz"])
    with staged(tmp_path / "last.dsz") as mine:
        assert names(tmp_path) == sorted([mine.name, "other.dsz"])
        mine.write_bytes(b"whole")
    assert names(tmp_path) == ["last.dsz", "other.dsz"]


def test_a_folder_with_remains_is_as_good_as_empty(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    numbered = NumberedFolder(folder, "%05d.png")
    with writer(f"{folder}/%05d.png") as (process, part):
        assert part.parent == folder
        with pytest.raises(OutputError, match=part.name):
            check_writable(f"{folder}/%05d.png", overwrite=True)
        process.kill()
        process.wait()
    check_writable(f"{folder}/%05d.png", overwrite=False)
    assert names(folder) == []
    with numbered.staged() as mine:
        (mine / "00000.png").write_bytes(b"whole")
    assert names(folder) == ["00000.png"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    others = [".clip.part", ".clip.0123456.part", "clip.01234567.part", ".01234567.parts", ".x"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "there").write_bytes(b"data")
    link = tmp_path / ".clip.01234567.part.mp4"
    link.symlink_to(tmp_path / "there")
    os.mkfifo(tmp_path / ".01234567.part")
    before = names(tmp_path)
    remove_stale(tmp_path)
    assert names(tmp_path) == before
    remove_stale(tmp_path / "nowhere")


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / ".clip.01234567.part.mp4"
    stale.write_bytes(b"half")

    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with open_output(tmp_path / "clip.mp4") as file:
        file.write(b"whole")
    assert names(tmp_path) == [stale.name, "clip.mp4"]


def test_many_writers_and_cleaners_in_one_folder(tmp_path: Path) -> None:
    """Whoever comes between the making of a temporary file and its locking does no harm."""
    done = threading.Event()

    def clean() -> None:
        while not done.is_set():
            remove_stale(tmp_path)

    def write(start: int) -> None:
        for number in range(start, start + 60):
            with open_output(tmp_path / f"{number}.dsz") as file:
                file.write(b"%d" % number)

    cleaner = threading.Thread(target=clean)
    writers = [threading.Thread(target=write, args=[100 * i]) for i in range(4)]
    cleaner.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    cleaner.join()
    assert len(names(tmp_path)) == 240
    assert all(path.read_bytes() == path.stem.encode() for path in tmp_path.iterdir())


def test_a_disk_that_fails_at_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Systems that write late say only then that there is no room."""

    def fail(lock: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(part_files.os, "fsync", fail)
    refused = pytest.raises(OutputError, match=r"clip.mp4: cannot be written: Input/output error")
    with refused, open_output(tmp_path / "clip.mp4") as file:
        file.write(b"whole")
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["_open", "_lock", "_open_locked"])
@pytest.mark.parametrize("name", ["clip.mp4", "pictures/"])
def test_an_interrupt_while_the_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: str
) -> None:
    """Signals come between any two calls."""
    target = f"{tmp_path}/{name}"
    folder = NumberedFolder.of(target)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(part_files, call, interrupt)
    with pytest.raises(KeyboardInterrupt), folder.staged() if folder else staged(target):
        pytest.fail("there should be no file")
    assert names(tmp_path) == []
