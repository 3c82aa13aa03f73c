"""Sprites from their sheets: cells, order of layers and split as the data set's own script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsaecodec.errors import InputVideoError
from dsaecodec.sprites import open_sprites

SHEETS = Path(__file__).parents[2] / "shared" / "data" / "sprites"
LAYERS = ("body", "bottomwear", "topwear", "hair")
CELLS = {  # action → row of each direction, columns
    0: ((9, 10, 11), (8, 1, 2, 3, 4, 5, 6, 7)),
    1: ((1, 2, 3), (0, 1, 2, 3, 4, 5, 4, 6)),
    2: ((13, 14, 15), (0, 1, 2, 3, 4, 5, 4, 0)),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sheets of random pixels, half of them transparent."""
    root = tmp_path_factory.mktemp("sheets")
    rng = np.random.default_rng(5)
    for name in [f"{layer}/{v}.png" for layer in LAYERS for v in range(6)] + ["shoes/1.png"]:
        (root / name).parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (21 * 64, 13 * 64, 4), np.uint8)
        pixels[..., 3] = rng.choice([0, 0, 255, 130], pixels.shape[:2])
        Image.fromarray(pixels).save(root / name, compress_level=0)
    return root


def composite(root: Path, values: tuple[int, ...], action: int, direction: int) -> np.ndarray:
    """The eight frames by Pillow."""
    names = [f"{layer}/{v}.png" for layer, v in zip(LAYERS, values, strict=True)] + ["shoes/1.png"]
    sheets = [Image.open(root / name).convert("RGBA") for name in names]
    rows, columns = CELLS[action]
    frames = []
    for column in columns:
        corner = (64 * column, 64 * rows[direction])
        canvas = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
        for sheet in sheets:
            box = (*corner, corner[0] + 64, corner[1] + 64)
            canvas = Image.alpha_composite(canvas, sheet.crop(box))
        frames.append(np.asarray(canvas.convert("RGB")))
    return np.stack(frames)


def check(root: Path, tolerance: int) -> None:
    sprites = open_sprites(root)
    for number, action, direction in ((0, 0, 0), (1295, 1, 2), (777, 2, 1), (350, 0, 1)):
        values = (number // 216, number // 36 % 6, number // 6 % 6, number % 6)
        expected = composite(root, values, action, direction).astype(int)
        found = sprites.clip(number, action, direction)
        assert found.shape == (8, 64, 64, 3) and found.dtype == np.uint8
        assert np.abs(found - expected).max() <= tolerance
        longer = sprites.clip(number, action, direction, 20, phase=3)
        assert np.array_equal(longer, found[(3 + np.arange(20)) % 8])


def test_frames_are_pillows_composites(drawn: Path) -> None:
    check(drawn, tolerance=1)


def test_the_data_set_itself() -> None:
    if not SHEETS.is_dir():
        pytest.skip("no sprite sheets here")
    check(SHEETS, tolerance=1)


def test_the_split_is_the_papers(drawn: Path) -> None:
    sprites = open_sprites(drawn)
    order = np.random.RandomState(423).permutation(1296).tolist()
    assert (sprites.train, sprites.held_out) == (order[:1000], order[1000:])
    clips = list(sprites.random_clips(3, 8, 1, held_out=True))
    for clip in clips:
        labels = clip.labels
        number = 216 * labels["body"] + 36 * labels["bottom"] + 6 * labels["top"] + labels["hair"]
        assert number in order[1000:]
        again = sprites.clip(number, labels["action"], labels["direction"], 8, labels["phase"])
        assert np.array_equal(clip.frames, again)


def test_missing_or_wrong_sheets_are_named(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(InputVideoError, match=r"body/0\.png and 24 more missing") as caught:
        open_sprites(tmp_path)
    assert "git clone" in (caught.value.hint or "")
    for sheet in drawn.rglob("*.png"):
        target = tmp_path / sheet.relative_to(drawn)
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(sheet)
    (tmp_path / "hair/3.png").unlink()
    Image.new("RGBA", (64, 64)).save(tmp_path / "hair/3.png")
    with pytest.raises(InputVideoError, match=r"hair/3\.png: sprite sheet of 64×64 pixels"):
        open_sprites(tmp_path)
    (tmp_path / "hair/3.png").write_bytes(b"no picture")
    with pytest.raises(InputVideoError, match=r"hair/3\.png"):
        open_sprites(tmp_path)
