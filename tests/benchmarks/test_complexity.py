"""Costs: multiply-adds of known layers; time, memory and failures of a codec of known costs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.rd.clip import rgb_clip
from benchmarks.rd.complexity import (
    Complexity,
    measure_complexity,
    read_complexity,
    write_complexity,
)
from benchmarks.rd.macs import Macs, count_macs
from dsaecodec.draw import moving_layers
from tests.benchmarks.costly import Costly

CLIP = rgb_clip("drawn", "small", list(moving_layers(6, 32, 50, 1)))
X = torch.rand(2, 8, 16, 12)


def shifted(x: Tensor, weight: Tensor) -> Tensor:
    """A depthwise convolution of kernel 3 as shifted multiply-adds."""
    padded, total = F.pad(x, (1, 1, 1, 1)), torch.zeros_like(x)
    for dy in range(3):
        for dx in range(3):
            part = padded[:, :, dy : dy + x.shape[2], dx : dx + x.shape[3]]
            total = torch.addcmul(total, part, weight[None, :, dy, dx, None, None])
    return total


LAYERS: list[tuple[str, Callable[[], object], Macs]] = [
    ("conv", lambda: F.conv2d(X, torch.rand(4, 8, 3, 3), padding=1), Macs(2 * 192 * 4 * 72, 0)),
    ("strided", lambda: F.conv2d(X, torch.rand(4, 8, 2, 2), stride=2), Macs(2 * 48 * 4 * 32, 0)),
    ("depthwise", lambda: F.conv2d(X, torch.rand(8, 1, 3, 3), padding=1, groups=8),
     Macs(2 * 192 * 8 * 9, 0)),
    ("shifted", lambda: shifted(X, torch.rand(8, 3, 3)), Macs(0, 2 * 192 * 8 * 9)),
    ("transposed", lambda: F.conv_transpose2d(X, torch.rand(8, 4, 2, 2), stride=2),
     Macs(2 * 192 * 8 * 4 * 4, 0)),
    ("linear", lambda: F.linear(torch.rand(3, 5), torch.rand(7, 5), torch.rand(7)), Macs(105, 0)),
    ("matmul", lambda: torch.rand(4, 5) @ torch.rand(3, 5, 6), Macs(360, 0)),
    ("gain", lambda: X * torch.rand(8, 1, 1) + X, Macs(0, X.numel())),
    ("in place", lambda: X.clone().mul_(X), Macs(0, X.numel())),
    ("number", lambda: X * 2 + X * torch.tensor(3.0), Macs(0, 0)),
    ("integers", lambda: torch.arange(9) * torch.arange(9), Macs(0, 0)),
]  # fmt: skip


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize(
    "call, expected", [layer[1:] for layer in LAYERS], ids=[n[0] for n in LAYERS]
)
def test_multiply_adds_of_known_layers(
    call: Callable[[], object], expected: Macs, mode: Callable[[], torch.no_grad]
) -> None:
    with mode():
        assert count_macs(call) == expected
    assert expected.total == expected.products + expected.elementwise


def test_backward_passes_count() -> None:
    weight = torch.rand(4, 8, 3, 3, requires_grad=True)
    x = X.clone().requires_grad_()
    found = count_macs(lambda: F.conv2d(x, weight, padding=1).sum().backward())
    assert found.products == 3 * LAYERS[0][2].products


def test_costs_of_a_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """First use is excluded; encoder and decoder run alone, with what they need and no more."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    codec = Costly(first_use=1.5, encode_s=0.05, decode_s=0.02, encode_mb=10, decode_mb=5)
    row = measure_complexity(codec, CLIP, 0, 2)
    assert row.note == "" and (row.codec, row.height, row.width) == ("costly", 32, 50)
    assert row.encode_fps and row.decode_fps and row.encode_mb and row.decode_mb
    assert 3.5 < row.encode_fps <= 20 and 3.5 < row.decode_fps <= 50
    assert 59 < row.encode_mb < 75 and 29 < row.decode_mb < 45
    nothing = row.parameters, row.weight_bytes, row.encode_kmac_px, row.decode_kmac_px
    assert nothing == (None, None, None, None)
    assert os.environ["OMP_NUM_THREADS"] == "1" and "MKL_NUM_THREADS" not in os.environ


def test_networks_have_a_size_and_multiply_adds() -> None:
    codec = Costly(columns=40)
    row = measure_complexity(codec, CLIP, 0, 3)
    assert (row.note, row.threads, row.parameters, row.weight_bytes) == ("", 3, 1600, 7)
    assert row.encode_kmac_px == row.decode_kmac_px == pytest.approx(40**3 / (32 * 50) / 1e3)
    assert codec.threads == 1 and codec.with_threads(3) == replace(codec, threads=3)


@pytest.mark.parametrize(
    "how, note",
    [("cannot", "not this one"), ("fault", "failed: ZeroDivisionError: a fault"),
     ("exit", "failed: BrokenProcessPool")],
)  # fmt: skip
def test_a_codec_that_fails_has_a_row_that_says_so(how: str, note: str) -> None:
    row = measure_complexity(Costly(fails=("encode", how)), CLIP, 0, 1)
    assert row.note.startswith(note)
    assert replace(row, note="") == Complexity("costly", 32, 50, 6, 1)


def test_what_the_encoder_took_is_told_where_the_decoder_fails() -> None:
    row = measure_complexity(Costly(fails=("decode", "fault")), CLIP, 0, 1)
    assert row.note == "failed: ZeroDivisionError: a fault"
    assert row.encode_fps and row.decode_fps is None and row.decode_mb is None


def test_the_csv_gives_back_what_was_written(tmp_path: Path) -> None:
    full = Complexity("a", 360, 640, 17, 2, 3.25, 12.9, 2.5, 2.1, 841784, 3745480, 41.9, 56.75)
    rows = [
        full,
        Complexity("b", 64, 64, 8, 1, note='no, "never"\nat all'),
        replace(full, note="x"),
    ]
    write_complexity(tmp_path / "c.csv", rows)
    assert read_complexity(tmp_path / "c.csv") == rows
