"""The table of symbol equality says where symbols or pixels differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.symbol_equality import SETTINGS, Setting, compare, decode, table

GOLDEN = Path(__file__).parents[1] / "golden"


def put(folder: Path, symbols: str, by_gop: list[str], samples: list[int]) -> dict[str, object]:
    folder.mkdir()
    np.save(folder / "a.dsz.npy", np.array(samples, np.uint8))
    report = {"symbols": symbols, "by_gop": by_gop, "frames": 2}
    found = {"torch": "2", "files": {"a.dsz": report}}
    (folder / "report.json").write_text(json.dumps(found))
    return found


def test_differences_are_seen(tmp_path: Path) -> None:
    first, rows = Setting("first"), []
    reference = put(tmp_path / "0", "s", ["g", "h"], [0, 10, 255])
    cases = [
        ("same", put(tmp_path / "1", "s", ["g", "h"], [0, 10, 255]), True, 0),
        ("pixels", put(tmp_path / "2", "s", ["g", "h"], [1, 10, 253]), True, 2),
        ("symbols", put(tmp_path / "3", "t", ["g", "h"], [0, 10, 255]), False, 0),
        ("tail", put(tmp_path / "4", "s", ["h"], [10, 255]), True, 0),
        ("another tail", put(tmp_path / "5", "s", ["g"], [10, 255]), False, 0),
    ]
    rows += compare(first, reference, tmp_path / "0", tmp_path / "0")
    for number, (name, found, equal, difference) in enumerate(cases, 1):
        (row,) = compare(Setting(name), found, tmp_path / str(number), tmp_path / "0")
        assert (row.symbols_equal, row.largest_difference) == (equal, difference)
        rows.append(row)
    text = table(rows, ["first", *(case[0] for case in cases), "GPU"])
    assert "| pixels | 2 | 1 | 1 | 0 | 2 |" in text and "| symbols | 2 | 1 | 0 | 1 | 0 |" in text
    assert "| GPU | not here |" in text


def test_a_seek_gives_the_tail(tmp_path: Path) -> None:
    files = [GOLDEN / "v2-natural-everything.dsz"]
    (tmp_path / "whole").mkdir()
    (tmp_path / "tail").mkdir()
    whole = decode(Setting("whole"), files, tmp_path / "whole")["files"][files[0].name]
    seek = next(setting for setting in SETTINGS if setting.from_seek)
    tail = decode(seek, files, tmp_path / "tail")["files"][files[0].name]
    assert 0 < len(tail["by_gop"]) < len(whole["by_gop"]) == 3
    assert tail["by_gop"] == whole["by_gop"][-len(tail["by_gop"]) :]
    assert tail["symbols"] == whole["symbols"]
