"""What goes wrong around the codec: one line, the right exit code, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from dsaecodec.cli import main
from tests.cli.conftest import NUM_FRAMES, ROOT, program
from tests.cli.fake_codec import Engine

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def assert_one_error(lines: list[str]) -> None:
    assert lines[0].startswith("dsaecodec: error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["fly"], 2),
        (["encode"], 2),
        (["encode", "in.mp4", "-q", "101"], 2),
        (["encode", "in.mp4", "-q", "best"], 2),
        (["encode", "in.mp4", "--gop", "0"], 2),
        (["encode", "in.mp4", "--threads", "0"], 2),
        (["encode", "in.mp4", "--jobs", "0"], 2),
        (["encode", "in.mp4", "--device", "abacus"], 2),
        (["encode", "in.mp4", "--preset", "perfect"], 2),
        (["encode", "in.mp4", "--fps", "0"], 2),
        (["encode", "in.mp4", "--audio", "mp3"], 2),
        (["encode", "in.mp4", "--model", "missing"], 5),
        (["encode", "-", "--json"], 2),
        (["encode", "-"], 2),
        (["encode", "missing.mp4"], 3),
        (["encode", "missing.mp4", "-o", "no/such/folder.dsz"], 2),
        (["encode", "missing.mp4", "-o", ""], 2),
        (["encode", "missing.mp4", "-o", 300 * "x"], 2),
        (["encode", "."], 3),
        (["encode", "..", "-o", "out.dsz"], 3),
        (["decode", "missing.dsz"], 4),
        (["decode", "missing.dsz", "-o", "-", "--json"], 2),
        (["decode", "missing.dsz", "--start", "soon"], 2),
        (["info", "missing.dsz"], 4),
        (["info", "."], 4),
        (["verify", "missing.dsz"], 4),
        (["encode", "in.mp4", "-o", "out.MP4"], 2),
        (["eval", "missing.mp4", "missing.dsz"], 4),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    engine: Engine,
    arguments: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert_one_error(captured.err.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_a_model_error_has_its_code(
    engine: Engine, stream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", str(stream), "--model", "missing"]) == 5
    assert capsys.readouterr().err.splitlines()[1] == "hint: name another"
    assert [path.name for path in stream.parent.iterdir()] == ["stream.dsz"]


def test_a_start_beyond_the_end(
    engine: Engine, stream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", str(stream), "--start", "7"]) == 2
    assert_one_error(capsys.readouterr().err.splitlines())
    assert [path.name for path in stream.parent.iterdir()] == ["stream.dsz"]


def test_interruption_and_faults_leave_no_output(
    engine: Engine,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for error, code in ((KeyboardInterrupt(), 130), (RuntimeError("surprise"), 1)):

        def fail(
            frames: object, info: object, sink: BinaryIO, *rest: object, e: object = error
        ) -> None:
            sink.write(b"half")
            raise e  # type: ignore[misc]

        monkeypatch.setattr(sys.modules["dsaecodec.codec"], "encode_video", fail)
        assert main(["encode", str(clip)]) == code
        assert [path.name for path in clip.parent.iterdir()] == ["clip.y4m"]
    assert "surprise" in capsys.readouterr().err


def test_a_truncated_input_leaves_no_output(engine: Engine, clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-1])
    assert main(["encode", str(clip)]) == 3
    assert [path.name for path in clip.parent.iterdir()] == ["clip.y4m"]
    assert main(["encode", str(clip), "--frames", "2"]) == 0


def test_a_truncated_container_leaves_no_output(
    engine: Engine, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(clip)]) == 0
    assert main(["decode", str(clip.with_suffix(".dsz")), "-o", str(clip.with_suffix(".mp4"))]) == 0
    video, cut = clip.with_suffix(".mp4"), clip.with_name("cut.mp4")
    cut.write_bytes(video.read_bytes()[:-200])
    capsys.readouterr()
    assert main(["encode", str(cut)]) == 3
    assert_one_error(capsys.readouterr().err.splitlines())
    assert not cut.with_suffix(".dsz").exists()


def test_a_malformed_stream_is_refused_before_torch(stream: Path, run: Run) -> None:
    data = bytearray(stream.read_bytes())
    data[len(data) // 2] ^= 1
    stream.write_bytes(data)
    out = str(stream.with_name("out.mp4"))
    for arguments in (["decode", "-o", out], ["verify"], ["info"]):
        started = time.perf_counter()
        done = run(arguments[0], stream, *arguments[1:])
        seconds = time.perf_counter() - started
        assert done.returncode == 4
        assert done.stdout == b""
        assert done.stderr.startswith(f"dsaecodec: error: {stream}: GOP ".encode())
        hints = [line for line in done.stderr.splitlines()[1:] if line.startswith(b"hint: ")]
        assert len(hints) == (arguments[0] == "decode")
        assert done.stderr.count(b"\n") == 1 + len(hints)
        assert seconds < 2  # loading torch alone takes about that; well below without
        assert [path.name for path in stream.parent.iterdir()] == ["stream.dsz"]


def test_pipes_from_end_to_end(clip: Path, run: Run) -> None:
    coded = run("encode", "-", "-o", "-", stdin=clip.read_bytes(), fake=True)
    assert coded.returncode == 0, coded.stderr
    told = run("info", "-", stdin=coded.stdout)
    assert f"{NUM_FRAMES} frames" in told.stdout.decode()
    decoded = run("decode", "-", "-o", "-", stdin=coded.stdout, fake=True)
    assert decoded.returncode == 0, decoded.stderr
    assert decoded.stdout.split(b"\n", 1)[1] == clip.read_bytes().split(b"\n", 1)[1]


def test_named_pipes(clip: Path, run: Run, tmp_path: Path) -> None:
    source, target = tmp_path / "in.fifo", tmp_path / "out.fifo"
    os.mkfifo(source)
    os.mkfifo(target)
    read: list[bytes] = []
    threads = [
        threading.Thread(target=source.write_bytes, args=[clip.read_bytes()], daemon=True),
        threading.Thread(target=lambda: read.append(target.read_bytes()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    done = run("encode", source, "-o", target, fake=True)
    assert done.returncode == 0, done.stderr
    threads[1].join(timeout=10)
    assert read == [run("encode", clip, "-o", "-", fake=True).stdout]
    assert target.is_fifo()


def test_a_reader_that_goes_away_is_not_a_traceback(stream: Path) -> None:
    for arguments in (["info"], ["decode", "-o", "-"]):
        reader, writer = os.pipe()
        os.close(reader)  # before the program writes, however slow this process is
        done = subprocess.run(
            program(arguments[0], stream, *arguments[1:], fake=True),
            stdout=writer,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            check=False,
        )
        os.close(writer)
        assert done.returncode == 141
        assert done.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(clip: Path, stream: Path, run: Run) -> None:
    for arguments in (
        ["encode", clip, "-o", "/dev/full"],
        ["decode", stream, "-o", "/dev/full"],
        ["encode", clip, stream, "-o", "/dev/full"],
    ):
        done = run(*arguments, fake=True)
        assert done.returncode == 2
        assert_one_error(done.stderr.decode().splitlines())
    for arguments in (["info", stream], ["encode", clip, "-o", "-"], ["decode", stream, "-o", "-"]):
        with open("/dev/full", "wb") as full:
            command = program(*arguments, fake=True)
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT)
        assert done.returncode == 2
        assert_one_error(done.stderr.decode().splitlines())


def test_closed_standard_streams(clip: Path, stream: Path) -> None:
    def shell(*arguments: str | Path, closed: str) -> subprocess.CompletedProcess[bytes]:
        command = " ".join(map(str, program(*arguments, fake=True)))
        return subprocess.run(f"{command} {closed}", shell=True, capture_output=True, cwd=ROOT)

    assert shell("encode", clip, closed=">&-").returncode == 0
    for done in (
        shell("decode", stream, "-o", "-", closed=">&-"),
        shell("info", "-", closed="<&-"),
    ):
        assert done.returncode == 2
        assert_one_error(done.stderr.decode().splitlines())


def test_a_name_that_is_no_utf8(stream: Path, run: Run) -> None:
    path = os.fsencode(stream.parent) + b"/\xff.dsz"
    os.rename(stream, path)
    done = run("info", os.fsdecode(path))
    assert done.returncode == 0 and rb"\xff.dsz" in done.stdout.replace(rb"\udcff", rb"\xff")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(
    engine: Engine, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip.parent.chmod(0o500)
    try:
        assert main(["encode", str(clip)]) == 2
    finally:
        clip.parent.chmod(0o700)
    assert_one_error(capsys.readouterr().err.splitlines())


def test_sigterm_between_programs_is_left_alone(engine: Engine, clip: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert main(["encode", str(clip)]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
