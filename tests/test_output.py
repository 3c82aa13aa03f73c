"""Outputs appear whole or not at all, wherever they go."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dsaecodec.errors import OutputError, UsageError
from dsaecodec.output import check_writable, open_output, staged
from dsaecodec.output_folder import NumberedFolder


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.dsz"
    with open_output(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(3), ValueError("no")])
def test_nothing_is_left_of_what_fails(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "out.dsz"
    path.write_bytes(b"before")
    with pytest.raises(type(failure)), open_output(path, overwrite=True) as file:
        file.write(b"half")
        raise failure
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_needs_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "out.dsz"
    path.write_bytes(b"before")
    with pytest.raises(OutputError, match="exists") as caught:
        check_writable(path, overwrite=False)
    assert caught.value.hint and "-y" in caught.value.hint
    with open_output(path, overwrite=True) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.dsz"
    link.symlink_to(tmp_path / "there" / "real.dsz")
    with open_output(link) as file:
        file.write(b"data")
    assert link.is_symlink()
    assert (tmp_path / "there" / "real.dsz").read_bytes() == b"data"


@pytest.mark.parametrize("name", ["n" * 250, "n." + "s" * 248, "ü" * 127])
def test_any_name_that_a_folder_takes(tmp_path: Path, name: str) -> None:
    with open_output(tmp_path / name) as file:
        file.write(b"data")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["no/out.dsz", "", "n" * 300, "a\0b", "circle", "file/out.dsz"])
def test_places_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError) as caught, open_output(tmp_path / name):
        pass
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    assert sorted(tmp_path.iterdir()) == before


def test_a_named_pipe_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    with open_output(pipe) as file:
        file.write(b"through")
    reader.join()
    assert received == [b"through"]
    assert list(tmp_path.iterdir()) == [pipe] and pipe.is_fifo()


def test_a_pipe_needs_nothing_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != tmp_path and allowed(path, mode)
    )
    check_writable(pipe, overwrite=False)
    check_writable("/dev/null", overwrite=False)
    with pytest.raises(OutputError, match="permission"):
        check_writable(file, overwrite=False)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="permission"):
        check_writable(pipe, overwrite=False)


def test_the_null_device_stays_one() -> None:
    with open_output("/dev/null") as file:
        file.write(b"gone")
    assert not os.path.isfile("/dev/null")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="space"), open_output("/dev/full") as file:
        file.write(b"no room")


def test_other_failures_pass_through(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), staged(tmp_path / "out.dsz"):
        raise PermissionError(errno.EACCES, "not ours", "input.mp4")
    assert list(tmp_path.iterdir()) == []


def test_standard_output_that_is_closed() -> None:
    code = (
        "from dsaecodec.errors import UsageError\n"
        "from dsaecodec.output import open_output\n"
        "try:\n    with open_output('-'): pass\n"
        "except UsageError as error: raise SystemExit(str(error))\n"
    )
    command = f'{sys.executable} -c "$0" >&-'
    done = subprocess.run(["sh", "-c", command, code], capture_output=True, text=True)
    assert done.stderr == "standard output is closed\n"


def test_names_of_folders() -> None:
    assert NumberedFolder.of("clip.mp4") is None
    assert NumberedFolder.of("folder/clip") is None
    assert NumberedFolder.of("out/") == NumberedFolder(Path("out"), "%05d.png")
    assert NumberedFolder.of("a/b%03d.png") == NumberedFolder(Path("a"), "b%03d.png")
    assert NumberedFolder.of("%d.PNG") == NumberedFolder(Path(), "%d.PNG")
    for name in ("a.png", "%s.png", "%5d.png", "%d%d.png", "100%.png"):
        with pytest.raises(UsageError, match="picture"):
            NumberedFolder.of(name)


def test_a_folder_is_checked_early(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "%d.png", overwrite=False)
    folder = tmp_path / "old"
    folder.mkdir()
    check_writable(folder / "%03d.png", overwrite=False)  # empty
    (folder / "1234.png").touch()
    with pytest.raises(OutputError, match="exists"):
        check_writable(folder / "%03d.png", overwrite=False)
    check_writable(folder / "%03d.png", overwrite=True)
    for other in ("12.png", "x1234.png", "notes.txt"):
        (folder / other).touch()
        with pytest.raises(OutputError, match=other):
            check_writable(folder / "%03d.png", overwrite=True)
        (folder / other).unlink()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="not a folder"):
        check_writable(tmp_path / "file" / "%d.png", overwrite=True)


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "clip.dsz"
    with pytest.raises(OutputError, match="exists already"), staged(target) as part:
        part.write_bytes(b"ours")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]
    with staged(target, overwrite=True) as part:
        part.write_bytes(b"ours")
    assert target.read_bytes() == b"ours"
