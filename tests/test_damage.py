"""Damaged files on the command line: exit 4, one line, no output file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from bitstream import BitstreamError, scan
from dsaecodec.cli import main


def refused(data: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = folder / "clip.dsz", folder / "clip.mkv"
    path.write_bytes(data)
    assert main(["decode", str(path), "-o", str(out), "--quiet"]) == 4
    message = capsys.readouterr().err
    assert message.startswith("dsaecodec: error: ") and "Traceback" not in message
    assert len([line for line in message.splitlines() if not line.startswith("hint:")]) == 1
    assert list(folder.iterdir()) == [path]


GOLDEN = pytest.mark.parametrize(
    "name", ["golden", "golden_compact", "golden_everything", "golden_predicted"]
)


@GOLDEN
def test_every_prefix_is_refused(name, request, tmp_path, capsys):
    data = request.getfixturevalue(name).read_bytes()
    for length in range(len(data)):
        refused(data[:length], tmp_path, capsys)


@GOLDEN
def test_every_flipped_bit_is_refused(name, request, tmp_path, capsys):
    """By the reader; on the command line, one in eleven."""
    data = request.getfixturevalue(name).read_bytes()
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << (position % 8)
        with pytest.raises(BitstreamError):
            scan(BytesIO(damaged))
        if position % 11 == 0:
            refused(bytes(damaged), tmp_path, capsys)


def test_random_bytes_are_refused(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for length in (0, 1, 3, 4, 17, 400, 100_000):
        refused(rng.bytes(length), tmp_path, capsys)
        refused(b"DSZ" + rng.bytes(length), tmp_path, capsys)


def test_verify_names_the_place(golden, tmp_path, capsys):
    data = bytearray(golden.read_bytes())
    data[len(data) // 2] ^= 4
    path = tmp_path / "clip.dsz"
    path.write_bytes(data)
    assert main(["verify", str(path)]) == 4
    message = capsys.readouterr().err
    assert str(path) in message and "byte" in message and "CRC" in message
