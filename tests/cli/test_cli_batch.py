"""Several inputs: one failure is one file's, whatever it is, and processes leave nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dsaecodec.cli import main
from dsaecodec.commands.targets import default_target
from tests.cli.conftest import ROOT, program
from tests.cli.fake_codec import Engine

Draw = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[bytes]]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_outputs_beside_the_inputs_or_in_a_folder(
    engine: Engine, draw_clip: Draw, tmp_path: Path
) -> None:
    clips = [str(draw_clip(f"{name}.y4m")) for name in "ab"]
    assert main(["encode", *clips]) == 0
    assert names(tmp_path) == ["a.dsz", "a.y4m", "b.dsz", "b.y4m"]
    made = tmp_path / "made"
    assert main(["encode", *clips, "-o", f"{made}/"]) == 0
    assert names(made) == ["a.dsz", "b.dsz"]
    assert main(["encode", clips[0], "-o", str(made), "-y"]) == 0


def test_images_give_their_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "frames.1"
    folder.mkdir()
    expected = str(tmp_path / "frames.1.dsz")
    assert default_target(str(folder), ".dsz") == expected
    assert default_target(f"{folder}/", ".dsz") == expected
    assert default_target(f"{folder}/%05d.png", ".dsz") == expected
    assert default_target(f"{folder}/clip.mp4", ".dsz") == str(folder / "clip.dsz")
    assert default_target("a/clip.mp4", ".dsz", "b") == "b/clip.dsz"


def test_a_folder_is_made_only_where_the_name_says_so(
    engine: Engine, draw_clip: Draw, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [str(draw_clip(f"{name}.y4m")) for name in "ab"]
    assert main(["encode", *clips, "-o", str(tmp_path / "typo")]) == 2
    assert "hint: " in capsys.readouterr().err
    assert main(["encode", *clips, "-o", str(tmp_path / "no" / "such") + "/"]) == 2
    assert main(["encode", "missing.mp4", "absent.mp4", "-o", str(tmp_path / "empty") + "/"]) == 3
    assert names(tmp_path) == ["a.y4m", "b.y4m"]


def test_one_bad_file_does_not_stop_the_others(
    engine: Engine, draw_clip: Draw, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    there = tmp_path / "there.dsz"
    there.write_bytes(b"precious")
    inputs = [text, tmp_path / "missing.mp4", draw_clip("a.y4m"), draw_clip("there.y4m")]
    assert main(["encode", *map(str, inputs), str(draw_clip("b.y4m"))]) == 3
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("dsaecodec: error: ")]
    assert len(errors) == 3
    for path in (text, "missing.mp4", there):
        assert sum(str(path) in line for line in errors) == 1
    assert lines[-1] == "2 of 5 encoded, 3 failed"
    assert there.read_bytes() == b"precious"
    assert {"a.dsz", "b.dsz"} < set(names(tmp_path))
    assert not any(".part" in name for name in names(tmp_path))


def test_the_first_failure_gives_the_exit_code(
    engine: Engine, draw_clip: Draw, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.dsz").write_bytes(b"")
    missing, there = str(tmp_path / "missing.mp4"), str(draw_clip("there.y4m"))
    assert main(["encode", missing, there]) == 3
    assert main(["encode", there, missing]) == 2
    capsys.readouterr()
    assert main(["encode", there, missing, str(draw_clip("a.y4m")), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert [entry.get("exit_code") for entry in told] == [2, 3, None]
    assert told[2]["bytes"] == (tmp_path / "a.dsz").stat().st_size


def test_two_inputs_for_one_output_are_refused_at_once(
    engine: Engine, draw_clip: Draw, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = draw_clip("one/x.y4m"), draw_clip("two/x.y4m")
    out = tmp_path / "out"
    out.mkdir()
    assert main(["encode", str(first), str(second), "-o", str(out)]) == 2
    assert str(first) in (error := capsys.readouterr().err) and str(second) in error
    assert main(["encode", str(first), str(first.with_suffix(".mov"))]) == 2
    assert main(["encode", str(first), "-", "-o", str(out)]) == 2
    assert main(["encode", str(first), str(second), "-o", "-"]) == 2
    assert names(out) == [] and names(first.parent) == ["x.y4m"]
    assert main(["encode", str(first), str(second)]) == 0


def test_an_unknown_model_is_one_failure(
    engine: Engine, draw_clip: Draw, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [str(draw_clip(f"{name}.y4m")) for name in "ab"]
    assert main(["encode", *clips, "--model", "missing"]) == 5
    assert capsys.readouterr().err.count("error: ") == 1


def test_jobs_do_not_change_a_byte(run: Run, draw_clip: Draw, tmp_path: Path) -> None:
    clips = [draw_clip(f"{name}.y4m", width=20 + 2 * k) for k, name in enumerate("abcd")]
    for jobs in ("1", "3"):
        done = run("encode", *clips, "-o", f"{tmp_path / jobs}/", "--jobs", jobs, fake=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1] == b"4 of 4 encoded"
    assert names(tmp_path / "1") == [f"{name}.dsz" for name in "abcd"]
    for name in names(tmp_path / "1"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_a_killed_process_is_one_files_failure(
    run: Run, draw_clip: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [draw_clip(f"{name}.y4m", width=20 + 2 * k) for k, name in enumerate("abcd")]
    monkeypatch.setenv("FAKE_KILLED", "20")  # the first, so that its process was to do more
    done = run("encode", *clips, "--jobs", "2", fake=True)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert f"dsaecodec: error: {clips[0]}: its process was killed by SIGKILL" in lines
    assert lines[-1] == "3 of 4 encoded, 1 failed"
    assert [name for name in names(tmp_path) if not name.endswith(".y4m")] == [
        "b.dsz",
        "c.dsz",
        "d.dsz",
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("whole_group", [True, False])
def test_signals_end_all_and_leave_nothing(
    draw_clip: Draw,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
    jobs: str,
    whole_group: bool,
) -> None:
    """Ctrl-C reaches every process of a terminal, `kill` only one."""
    clips = [draw_clip(f"{name}.y4m") for name in "abc"]
    monkeypatch.setenv("FAKE_STALL", "22")
    process = subprocess.Popen(
        program("encode", *clips, "--jobs", jobs, fake=True),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
        # a shell's background jobs ignore SIGINT, and so would this one if the tests are one
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 20
    while sum(".part" in name for name in names(tmp_path)) < int(jobs):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    if whole_group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=20)  # ends when the last process closed its output
    assert process.returncode == code
    assert errors.count(b"\n") == 1 and errors.startswith(b"dsaecodec: error: ")
    assert names(tmp_path) == ["a.y4m", "b.y4m", "c.y4m"]
