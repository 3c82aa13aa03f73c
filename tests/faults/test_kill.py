"""A few kills at random moments; `python -m tests.faults.kill` does hundreds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dsaecodec.errors import CodecError
from tests.faults.kill import Killer, cases


@pytest.mark.parametrize("name", ["decode.mp4", pytest.param("encode-y", marks=pytest.mark.slow)])
def test_a_kill_leaves_nothing_or_all(name: str, tmp_path: Path) -> None:
    (case,) = (case for case in cases(tmp_path) if case.name == name)
    killer = Killer(case, random.Random(3))
    for _ in range(2):
        killer.kill()
    killer.finish()
    assert killer.outcomes["nothing"] + killer.outcomes["whole"] == 2


def test_the_script_notices_what_is_not_whole(tmp_path: Path) -> None:
    found = cases(tmp_path)
    stream, clip = tmp_path / "clip.dsz", tmp_path / "clip.y4m"
    for path, case in ((stream, found[0]), (clip, found[2])):
        assert case.is_whole(path)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(CodecError):
            case.is_whole(path)
