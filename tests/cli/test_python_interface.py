"""`dsaecodec.encode` and `dsaecodec.decode`."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import dsaecodec
from bitstream import StreamReader
from dsaecodec.draw import moving_layers
from dsaecodec.errors import BitstreamError
from tests.cli.conftest import HEIGHT, NUM_FRAMES, WIDTH
from tests.cli.fake_codec import EncodeOptions, Engine


def test_frames_to_bytes_and_back(engine: Engine) -> None:
    rgb = list(moving_layers(NUM_FRAMES, HEIGHT, WIDTH))
    data = dsaecodec.encode(rgb, quality=30, gop=3, fps=29.97, preset="fast")
    assert engine.options == EncodeOptions(quality=30, gop=3, preset="fast")
    assert StreamReader(BytesIO(data)).header.fps == Fraction(30000, 1001)
    decoded = list(dsaecodec.decode(data))
    assert len(decoded) == NUM_FRAMES
    for a, b in zip(rgb, decoded, strict=True):
        assert b.shape == (HEIGHT, WIDTH, 3) and b.dtype == np.uint8
        assert np.abs(a.astype(int) - b).mean() < 12  # 4:2:0 alone
    with pytest.raises(ValueError, match="no frame"):
        dsaecodec.encode([])
    with pytest.raises(ValueError, match="frame 1"):
        dsaecodec.encode([rgb[0], rgb[1][:8]])
    with pytest.raises(BitstreamError):
        dsaecodec.decode(data[:-1])


def test_a_part(engine: Engine) -> None:
    rgb = list(moving_layers(NUM_FRAMES, HEIGHT, WIDTH))
    data = dsaecodec.encode(rgb)
    whole = list(dsaecodec.decode(data))
    part = list(dsaecodec.decode(data, start=0.08, num_frames=2))
    np.testing.assert_array_equal(part, whole[2:4])


def test_paths(engine: Engine, clip: Path) -> None:
    data = dsaecodec.encode(clip)
    assert StreamReader(BytesIO(data)).header.fps == 25
    assert StreamReader(BytesIO(dsaecodec.encode(clip, fps=50))).header.fps == 50
    coded = clip.with_suffix(".dsz")
    coded.write_bytes(data)
    assert len(list(dsaecodec.decode(coded))) == NUM_FRAMES
