"""Progress is drawn on a terminal, and only there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import NUM_FRAMES, ROOT, program

pty = pytest.importorskip("pty")


def on_terminal(*arguments: str | Path) -> str:
    """What a terminal gets from standard error, without its control codes."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = program(*arguments, fake=True)
    with subprocess.Popen(command, stderr=theirs, cwd=ROOT, env=environment) as process:
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 4096):
                text += piece
        except OSError:  # the terminal's last user is gone
            pass
        os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode())


def test_a_file(clip: Path) -> None:
    text = on_terminal("encode", clip)
    assert "encoding" in text
    assert re.search(rf"{NUM_FRAMES}/{NUM_FRAMES} frames  [0-9.]+ fps  [0-9,]+ kb/s", text)
    assert "decoding" in on_terminal("decode", clip.with_suffix(".dsz"))
    assert on_terminal("encode", clip, "-y", "--quiet") == ""


def test_several_files(draw_clip: Callable[..., Path]) -> None:
    clips = [draw_clip(f"{name}.y4m") for name in ("a", "b [red]", "c")]
    text = on_terminal("encode", *clips, "--jobs", "2")
    assert f"{clips[1]} " in text.replace("\r", "").replace("\n", "")
    assert re.search(r"total .*3/3 files  [0-9.]+ fps  [0-9,]+ kb/s +0:00:00", text)
    assert text.rstrip().endswith("3 of 3 encoded")


def test_no_terminal(clip: Path, run: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    assert run("encode", clip, fake=True).stderr.count(b"\n") == 1
