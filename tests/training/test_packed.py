"""Packed shots: what is read is what was written, and what is damaged is refused."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from dsaecodec.cli import main
from dsaecodec.errors import InputVideoError, OutputError
from dsaecodec.training import packed as packed_module
from dsaecodec.training.chance import generator_of
from dsaecodec.training.packed import FORMAT, read_pack, write_pack
from dsaecodec.training.shots import Shot

SIZES = [(5, 48, 64), (1, 16, 16), (3, 18, 130)]
NAMES = ["a.mp4@0", "Straße\n\udcff/ß.png", ""]


def planes(num_frames: int, height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = generator_of(seed)
    luma = torch.randint(256, (num_frames, height, width), generator=g, dtype=torch.uint8)
    shape = (num_frames, 2, height // 2, width // 2)
    return luma, torch.randint(256, shape, generator=g, dtype=torch.uint8)


SHOTS = [
    Shot(name, *planes(*size, seed))
    for seed, (name, size) in enumerate(zip(NAMES, SIZES, strict=True))
]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    write_pack(tmp_path / "d.safetensors", SHOTS)
    return tmp_path / "d.safetensors"


def assert_equal(found: list[Shot], expected: list[Shot]) -> None:
    assert [shot.name for shot in found] == [shot.name for shot in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.luma.equal(other.luma) and one.chroma.equal(other.chroma)
        assert one.luma.dtype == one.chroma.dtype == torch.uint8


def test_shots_come_back_as_they_were(packed: Path) -> None:
    assert_equal(list(read_pack(packed)), SHOTS)


def test_who_may_read_a_pack_is_up_to_the_user(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    write_pack(tmp_path / "d.safetensors", SHOTS)
    assert (tmp_path / "d.safetensors").stat().st_mode == other.stat().st_mode


def test_what_the_library_makes_beside_its_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes under a temporary name of its own, which no later run would know."""

    def save(tensors: object, path: Path, metadata: object) -> None:
        assert [place.name for place in tmp_path.iterdir()] == [path.parent.name]
        (path.parent / ".tmpz24y8L").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(packed_module, "save_file", save)
    with pytest.raises(OutputError, match=r"d\.safetensors: cannot be written: No space"):
        write_pack(tmp_path / "d.safetensors", SHOTS)
    assert list(tmp_path.iterdir()) == []


def test_views_are_written_as_what_they_show(tmp_path: Path) -> None:
    """Shots may be cut out of larger ones."""
    luma, chroma = planes(6, 64, 64)
    views = [
        Shot("every other", luma[::2], chroma[::2]),
        Shot("corner", luma[:, :32, 16:], chroma[..., :16, 8:]),
        Shot("whole", luma, chroma),
    ]
    path = tmp_path / "d.safetensors"
    write_pack(path, views)
    assert_equal(list(read_pack(path)), views)


def test_more_than_nine_shots_keep_their_order(tmp_path: Path) -> None:
    shots = [Shot(f"n{i}", *planes(1, 16, 16, i)) for i in range(23)]
    path = tmp_path / "d.safetensors"
    write_pack(path, shots)
    assert_equal(list(read_pack(path)), shots)


def test_every_damaged_prefix_is_refused(packed: Path) -> None:
    data = packed.read_bytes()
    part = packed.with_name("part.safetensors")
    header = 8 + int.from_bytes(data[:8], "little")
    lengths = {*range(0, header + 40, 7), *range(header, len(data), 997), len(data) - 1}
    for length in lengths:
        part.write_bytes(data[:length])
        with pytest.raises(InputVideoError, match=r"part\.safetensors: "):
            list(read_pack(part))
    part.write_bytes(data + b"\0")
    with pytest.raises(InputVideoError):
        list(read_pack(part))


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 100, b"not tensors at all", b"\0" * 5000])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "d.safetensors"
    path.write_bytes(data)
    with pytest.raises(InputVideoError, match=r"d\.safetensors: "):
        list(read_pack(path))


def test_missing_files_are_told_once(tmp_path: Path) -> None:
    for path in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(InputVideoError) as caught:
            list(read_pack(path))
        assert str(caught.value).count(str(path)) == 1


LUMA, CHROMA = planes(2, 32, 48)
WRONG_TENSORS = {
    "float": {"0.luma": LUMA.float()},
    "float chroma": {"0.chroma": CHROMA.float()},
    "signed": {"0.luma": LUMA.to(torch.int8)},
    "two dimensions": {"0.luma": LUMA[0]},
    "no frames": {"0.luma": LUMA[:0], "0.chroma": CHROMA[:0]},
    "odd height": {"0.luma": LUMA[:, :31]},
    "odd width": {"0.luma": LUMA[..., :47]},
    "too small": {"0.luma": LUMA[:, :14], "0.chroma": CHROMA[..., :7, :]},
    "fewer frames of chroma": {"0.chroma": CHROMA[:1]},
    "one plane of chroma": {"0.chroma": CHROMA[:, :1]},
    "chroma of 4:2:2": {"0.chroma": torch.zeros(2, 2, 32, 24, dtype=torch.uint8)},
    "a tensor too many": {"1.luma": LUMA.clone()},
    "another name": {"0.depth": LUMA.clone()},
}
ONE = {"format": FORMAT, "names": '["a"]'}
WRONG_NOTES = {
    "none": None,
    "another format": {**ONE, "format": "dsaecodec-shots-2"},
    "no format": {"names": '["a"]'},
    "no names": {"format": FORMAT},
    "no JSON": {**ONE, "names": "a"},
    "a word": {**ONE, "names": '"a"'},
    "a table": {**ONE, "names": '{"a": 1}'},
    "a number": {**ONE, "names": "1"},
    "null": {**ONE, "names": "null"},
    "numbers": {**ONE, "names": "[1]"},
    "more names than tensors": {**ONE, "names": '["a", "b"]'},
    "a hundred thousand names": {**ONE, "names": json.dumps(["a"] * 10**5)},
    "fewer names than tensors": {**ONE, "names": "[]"},
    "deep": {**ONE, "names": "[" * 100_000},
}


@pytest.mark.parametrize("name", WRONG_TENSORS)
def test_wrong_tensors_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "d.safetensors"
    tensors = {"0.luma": LUMA, "0.chroma": CHROMA, **WRONG_TENSORS[name]}
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, ONE)
    with pytest.raises(InputVideoError, match=r"d\.safetensors: not a file of packed shots"):
        list(read_pack(path))


@pytest.mark.parametrize("name", WRONG_NOTES)
def test_wrong_notes_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "d.safetensors"
    save_file({"0.luma": LUMA, "0.chroma": CHROMA}, path, WRONG_NOTES[name])
    with pytest.raises(InputVideoError, match=r"d\.safetensors: not a file of packed shots"):
        list(read_pack(path))


def test_weights_are_no_shots(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"weight": torch.zeros(3)}, path, {"format": "dsae"})
    with pytest.raises(InputVideoError, match="not a file of packed shots"):
        list(read_pack(path))


def test_a_file_is_replaced_only_if_asked(packed: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        write_pack(packed, SHOTS[:1])
    assert_equal(list(read_pack(packed)), SHOTS)
    write_pack(packed, SHOTS[:1], overwrite=True)
    assert_equal(list(read_pack(packed)), SHOTS[:1])


def test_nothing_is_left_of_a_file_that_cannot_be_written(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills half-way."""
    before = packed.read_bytes()

    def fail(tensors: object, part: Path, notes: object) -> None:
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(part))

    monkeypatch.setattr("dsaecodec.training.packed.save_file", fail)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        write_pack(packed, SHOTS[:1], overwrite=True)
    assert packed.read_bytes() == before and list(packed.parent.iterdir()) == [packed]
    with pytest.raises(OutputError, match="no such folder"):
        write_pack(packed.parent / "no" / "d.safetensors", SHOTS)


@pytest.fixture
def footage_folder(tmp_path: Path) -> Path:
    """Two photos, one of 40×80 pixels, and a file that is none."""
    folder = tmp_path / "footage"
    folder.mkdir()
    Image.new("RGB", (32, 32)).save(folder / "a.png")
    Image.new("RGB", (80, 40)).save(folder / "b.png")
    (folder / "c.mp4").write_text("no video")
    return folder


def test_the_command_packs_what_it_finds(
    footage_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = footage_folder.parent / "d.safetensors"
    assert main(["pack", str(footage_folder), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}: 0 shots and 2 photos, 0.0 megapixels\n"
    (line,) = said.err.splitlines()
    assert line.startswith(f"skipped: {footage_folder / 'c.mp4'}: ")
    assert [tuple(shot.luma.shape) for shot in read_pack(out)] == [(1, 32, 32), (1, 40, 80)]
    arguments = ["pack", str(footage_folder), "-o", str(out), "-y", "--set=data.max_side=40"]
    assert main([*arguments, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert [tuple(shot.luma.shape) for shot in read_pack(out)] == [(1, 32, 32), (1, 20, 40)]
    assert main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["shots"], facts["photos"], facts["pixels"]) == (0, 2, 32 * 32 + 20 * 40)
    assert [line.partition(": ")[0] for line in facts["skipped"]] == [str(footage_folder / "c.mp4")]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["footage", "-o", "d.pack"], 2, "ends in .safetensors"),
        (["footage", "-o", "-"], 2, "ends in .safetensors"),
        (["footage", "-o", "no/d.safetensors"], 2, "no such folder"),
        (["footage", "-o", "old.safetensors"], 2, "exists already"),
        (["footage", "-o", "d.safetensors", "--set=data.max_sid=3"], 2, "data.max_sid"),
        (["footage", "-o", "d.safetensors", "--set=data.max_side"], 2, "expected key=value"),
        (["footage", "-y", "-o", "pipe.safetensors"], 2, "is no regular file"),
        (["nowhere", "-o", "d.safetensors"], 3, "nowhere: no such file or folder"),
        (["old.safetensors", "-o", "d.safetensors"], 3, "old.safetensors: not a file of packed"),
        (["empty", "-o", "d.safetensors"], 3, "no video and no picture"),
        (["footage/c.mp4", "-o", "d.safetensors"], 3, "1 file cannot be read"),
    ],
)
def test_mistakes_are_said_in_a_line(
    footage_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    exit_code: int,
    said: str,
) -> None:
    root = footage_folder.parent
    monkeypatch.chdir(root)
    (root / "old.safetensors").write_bytes(b"old")
    (root / "empty").mkdir()
    os.mkfifo(root / "pipe.safetensors")
    before = sorted(root.iterdir())
    assert main(["pack", *arguments]) == exit_code
    out, err = capsys.readouterr()
    first, *hints = err.splitlines()
    assert out == "" and first.startswith("dsaecodec: error: ") and said in first
    assert len(hints) <= 1 and all(hint.startswith("hint: ") for hint in hints)
    assert sorted(root.iterdir()) == before and (root / "old.safetensors").read_bytes() == b"old"
