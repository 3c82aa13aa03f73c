"""Footage from files: every sample as the video reader gives it, and no file ends a training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from dsaecodec.draw import moving_layers
from dsaecodec.errors import InputVideoError
from dsaecodec.training.config import DataConfig
from dsaecodec.training.footage import read_footage
from dsaecodec.training.packed import write_pack
from dsaecodec.training.shots import Shot
from dsaecodec.video import Frame420, VideoInfo, VideoWriter, open_video, rgb_to_420

CONFIG = DataConfig()


def levels(values: Sequence[int], height: int = 32, width: int = 48) -> list[Frame420]:
    """Frames of noise about a level of luma each."""
    rng = np.random.default_rng(len(values))
    half = ((height + 1) // 2, (width + 1) // 2)

    def noise(value: int, shape: tuple[int, int]) -> np.ndarray:
        return (value + rng.integers(-9, 10, shape)).astype(np.uint8)

    return [Frame420(noise(v, (height, width)), noise(99, half), noise(160, half)) for v in values]


def write(path: Path, frames: Sequence[Frame420]) -> Path:
    """A lossless video, by its suffix; a longer one is made of frames of one size."""
    height, width = frames[0].y.shape
    with VideoWriter(path, VideoInfo(width, height, Fraction(25))) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def write_photo(path: Path, height: int, width: int, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def read(path: Path) -> list[Frame420]:
    with open_video(str(path)) as video:
        return list(video)


def assert_shows(shot: Shot, frames: Sequence[Frame420], n: int = 1) -> None:
    """A shot is these frames, but for an odd border, or means of n×n of their samples."""
    assert len(shot) == len(frames)
    rows, columns = (side // 2 // n for side in frames[0].y.shape)
    assert shot.luma.shape == (len(frames), 2 * rows, 2 * columns)
    assert shot.chroma.shape == (len(frames), 2, rows, columns)
    assert shot.num_bytes == shot.luma.numel() + shot.chroma.numel()
    for t, frame in enumerate(frames):
        for found, plane in zip((shot.luma[t], *shot.chroma[t]), frame.planes, strict=True):
            h, w = found.shape
            blocks = plane[: h * n, : w * n].astype(np.float64).reshape(h, n, w, n)
            assert np.array_equal(found.numpy(), np.rint(blocks.mean((1, 3))))


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47), (17, 16)])
@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".mp4"])
def test_frames_are_those_of_the_reader(
    tmp_path: Path, suffix: str, height: int, width: int
) -> None:
    if suffix == ".mp4" and (height % 2 or width % 2):
        height, width = height + 1, width + 1  # H.264 of 4:2:0 has even sizes here
    path = write(tmp_path / f"a{suffix}", levels([80] * 5, height, width))
    found = read_footage([path], CONFIG)
    assert found.skipped == [] and found.left_out == 0
    (shot,) = found.shots
    assert shot.name == f"{path}@0"
    assert_shows(shot, read(path))


def test_photos_are_shots_of_one_frame(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".bmp", ".webp", ".tif", ".PNG"):
        path = write_photo(tmp_path / f"a{suffix}", 37, 41)
        (shot,) = read_footage([path], CONFIG).shots
        assert len(shot) == 1 and shot.luma.shape == (1, 36, 40)
        assert_shows(shot, read(path))


def test_ten_bits_portrait_and_one_frame(tmp_path: Path) -> None:
    """What the reader makes of it is what is learnt from."""
    path = tmp_path / "ten.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 64, "yuv420p10le"
        picture = av.VideoFrame.from_ndarray(next(moving_layers(1, 64, 32)), format="rgb24")
        container.mux(stream.encode(picture.reformat(format="yuv420p10le")))
        container.mux(stream.encode(None))
    (shot,) = read_footage([path], CONFIG).shots
    assert shot.luma.shape == (1, 64, 32)
    assert_shows(shot, read(path))


@pytest.mark.parametrize(
    ("lengths", "segment", "begins"),
    [
        ([7, 2, 9], 64, [0, 7, 9]),
        ([7, 2, 9], 4, [0, 4, 7, 9, 13, 17]),
        ([8], 4, [0, 4]),
        ([9], 4, [0, 4, 8]),
        ([5], 5, [0]),
        ([3, 3], 3, [0, 3]),
        ([1, 4, 2], 2, [0, 1, 3, 5]),
    ],
)
def test_shots_end_at_cuts_and_after_a_segment(
    tmp_path: Path, lengths: list[int], segment: int, begins: list[int]
) -> None:
    values = [60 + 50 * i for i, length in enumerate(lengths) for _ in range(length)]
    frames = levels(values)
    path = write(tmp_path / "a.y4m", frames)
    shots = read_footage([path], DataConfig(segment=segment)).shots
    assert [shot.name for shot in shots] == [f"{path}@{begin}" for begin in begins]
    for shot, (begin, end) in zip(shots, pairwise([*begins, len(frames)]), strict=True):
        assert_shows(shot, frames[begin:end])


@pytest.mark.parametrize(
    ("height", "width", "max_side", "n"),
    [
        (96, 128, 128, 1),
        (96, 128, 127, 2),
        (97, 131, 64, 3),
        (96, 128, 43, 3),
        (128, 70, 33, 4),
    ],
)
def test_large_pictures_are_reduced_by_whole_factors(
    tmp_path: Path, height: int, width: int, max_side: int, n: int
) -> None:
    """The smallest that fits; samples are means."""
    frames = levels([100, 110], height, width)
    path = write(tmp_path / "a.y4m", frames)
    (shot,) = read_footage([path], DataConfig(max_side=max_side)).shots
    assert max(shot.luma.shape) <= max_side
    assert_shows(shot, frames, n)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (15, 200), (17, 16)])
def test_tiny_pictures_are_skipped(tmp_path: Path, height: int, width: int) -> None:
    good = write_photo(tmp_path / "good.png", 16, 16)
    tiny = write_photo(tmp_path / "tiny.png", height, width)
    found = read_footage([tmp_path], CONFIG)
    if (height, width) == (17, 16):
        assert len(found.shots) == 2 and not found.skipped
        return
    assert [shot.name for shot in found.shots] == [f"{good}@0"]
    expected = f"{tiny}: pictures of {width}×{height} pixels are too small"
    assert found.skipped == [expected]


def test_pictures_that_are_tiny_when_reduced_are_skipped(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", 64, 640)
    with pytest.raises(InputVideoError) as caught:
        read_footage([tmp_path], DataConfig(max_side=100))
    assert "640×64 pixels, 90×8 when reduced, are too small" in (caught.value.hint or "")


def test_a_truncated_video_keeps_what_came_before(tmp_path: Path) -> None:
    frames = levels([80] * 5 + [150] * 6)
    for suffix in (".y4m", ".mkv"):
        path = write(tmp_path / f"a{suffix}", frames)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 3 // 4])
        found = read_footage([path], DataConfig(segment=4))
        kept = sum(len(shot) for shot in found.shots)
        assert 5 < kept < 11
        assert [shot.name.rpartition("@")[2] for shot in found.shots][:3] == ["0", "4", "5"]
        for shot in found.shots:
            begin = int(shot.name.rpartition("@")[2])
            assert_shows(shot, frames[begin : begin + len(shot)])
        (line,) = found.skipped
        assert line.startswith(f"{path} after {kept} frames: ") and "truncated" in line


def make_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_line_break(folder: Path) -> None:
    (folder / "a\nb.mp4").write_bytes(b"")


BAD: dict[str, Callable[[Path], object]] = {
    "text": lambda folder: (folder / "bad.mp4").write_text("no video\n" * 100),
    "sound": lambda folder: make_sound(folder / "bad.mp4"),
    "empty": lambda folder: (folder / "bad.mkv").write_bytes(b""),
    "empty picture": lambda folder: (folder / "bad.png").write_bytes(b""),
    "broken picture": lambda folder: (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" * 9),
    "broken link": lambda folder: (folder / "bad.mp4").symlink_to(folder / "nowhere"),
    "link to itself": lambda folder: (folder / "bad.mp4").symlink_to(folder / "bad.mp4"),
    "pipe": lambda folder: os.mkfifo(folder / "bad.mp4"),
    "line break": make_line_break,
    "not UTF-8": lambda folder: (folder / os.fsdecode(b"bad\xff.mp4")).write_bytes(b"x"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_among_good_ones_are_skipped_and_listed(tmp_path: Path, name: str) -> None:
    BAD[name](tmp_path)
    write(tmp_path / "alpha.mkv", levels([80] * 3))
    write_photo(tmp_path / "z.png", 32, 32)
    found = read_footage([tmp_path], CONFIG)
    assert [len(shot) for shot in found.shots] == [3, 1]
    (line,) = found.skipped
    assert line.startswith(f"{tmp_path}/") and line.count(str(tmp_path)) == 1 and "\n" not in line
    assert len(line) > len(str(tmp_path)) + len("/bad.mp4: ")


@pytest.mark.parametrize("name", [name for name in BAD if name != "pipe"])
def test_only_bad_files_are_refused(tmp_path: Path, name: str) -> None:
    BAD[name](tmp_path)
    with pytest.raises(InputVideoError, match="1 file cannot be read") as caught:
        read_footage([tmp_path], CONFIG)
    assert (caught.value.hint or "").startswith(str(tmp_path))
    assert caught.value.exit_code == 3


def test_no_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / ".hidden.png").write_bytes(write_photo(tmp_path / "a.png", 32, 32).read_bytes())
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputVideoError, match="no video and no picture") as caught:
        read_footage([tmp_path], CONFIG)
    assert "name folders" in (caught.value.hint or "")
    for missing in (tmp_path / "no", tmp_path / "no.mp4", tmp_path / "no.safetensors"):
        with pytest.raises(InputVideoError, match=str(missing)):
            read_footage([tmp_path, missing], CONFIG)
    with pytest.raises(InputVideoError, match="no video and no picture") as caught:
        read_footage([tmp_path / "frame_%03d.png"], CONFIG)
    assert "no file has such a name" in (caught.value.hint or "")


def test_folders_are_searched_to_the_bottom(tmp_path: Path) -> None:
    """Through links too, once; in the order of names; hidden folders are left alone."""
    root = tmp_path / "root"
    deep, elsewhere, hidden = root / "b" / "c.mp4" / "d", tmp_path / "elsewhere", root / ".trash"
    for folder in (deep, elsewhere, hidden):
        folder.mkdir(parents=True)
    write_photo(deep / "x.png", 32, 32)
    write_photo(root / "a.png", 32, 32)
    write_photo(elsewhere / "y.png", 32, 32)
    write_photo(hidden / "z.png", 32, 32)
    (root / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    (elsewhere / "loop").symlink_to(elsewhere)
    found = read_footage([root], CONFIG)
    names = [str(Path(shot.name).relative_to(root)) for shot in found.shots]
    assert names == ["a.png@0", "b/c.mp4/d/x.png@0", "link/y.png@0"]
    assert found.skipped == []


def test_a_pattern_is_a_clip(tmp_path: Path) -> None:
    for i, rgb in enumerate(moving_layers(4, 48, 64)):
        Image.fromarray(rgb).save(tmp_path / f"frame_{i:03}.png")
    path = tmp_path / "frame_%03d.png"
    (shot,) = read_footage([path], CONFIG).shots
    assert_shows(shot, read(path))
    assert_shows(shot, [rgb_to_420(rgb) for rgb in moving_layers(4, 48, 64)])
    assert [len(shot) for shot in read_footage([tmp_path], CONFIG).shots] == [1] * 4


def test_paths_are_read_in_the_order_given(tmp_path: Path) -> None:
    one, other = (write_photo(tmp_path / f"{name}.png", 32, 32) for name in "ab")
    pack = tmp_path / "d.safetensors"
    write_pack(pack, read_footage([one], CONFIG).shots)
    names = [shot.name for shot in read_footage([other, pack, other], CONFIG).shots]
    assert names == [f"{other}@0", f"{one}@0", f"{other}@0"]


def test_memory_is_limited_by_leaving_out_evenly(tmp_path: Path) -> None:
    for i in range(21):
        write_photo(tmp_path / f"{i:02}.png", 32, 32, i)
    size = 32 * 32 * 3 // 2
    for room in (21, 20, 11, 10, 6, 5, 2, 1):
        config = DataConfig(max_gigabytes=(room * size + 0.5) / 1e9)
        found, again = (read_footage([tmp_path], config) for _ in range(2))
        assert sum(shot.num_bytes for shot in found.shots) <= room * size
        numbers = [int(Path(shot.name).name[:2]) for shot in found.shots]
        stride = next(s for s in (1, 2, 4, 8, 16, 32) if len(range(0, 21, s)) <= room)
        assert numbers == list(range(0, 21, stride))
        assert found.left_out == 21 - len(numbers)
        assert [shot.name for shot in again.shots] == [shot.name for shot in found.shots]


def test_at_least_one_shot_is_kept(tmp_path: Path) -> None:
    for name in "ab":
        write_photo(tmp_path / f"{name}.png", 32, 32)
    found = read_footage([tmp_path], DataConfig(max_gigabytes=0))
    assert len(found.shots) == 1 and found.left_out == 1


def test_sprite_sheets_are_drawn_as_training_characters(tmp_path: Path) -> None:
    """Each character has its own colour, in which the split shows."""
    from dsaecodec.sprites import open_sprites

    layers = ("body", "bottomwear", "topwear", "hair")
    for layer, name in enumerate(layers):
        (tmp_path / name).mkdir()
        for value in range(6):
            sheet = np.zeros((21 * 64, 13 * 64, 4), np.uint8)
            cells = sheet.reshape(21, 64, 13, 64, 4)
            cells[:, :, :, 16 * layer : 16 * layer + 16] = (40 * value,) * 3 + (255,)
            Image.fromarray(sheet).save(tmp_path / name / f"{value}.png", compress_level=1)
    (tmp_path / "shoes").mkdir()
    Image.fromarray(np.zeros((21 * 64, 13 * 64, 4), np.uint8)).save(tmp_path / "shoes/1.png")
    config = DataConfig(num_drawn=60, drawn_frames=3)
    shots = read_footage([tmp_path], config, seed=3).shots
    assert [tuple(shot.luma.shape) for shot in shots] == [(3, 64, 64)] * 60
    train = set(open_sprites(tmp_path).train)
    characters = set()
    for shot in shots:
        stripes = shot.luma[0, 32, 8::16].double()
        values = [round(float(v - 16) * 255 / 219 / 40) for v in stripes]
        characters.add(sum(v * 6 ** (3 - i) for i, v in enumerate(values)))
    assert len(characters) > 30 and characters <= train
    other = read_footage([tmp_path], config, seed=4).shots
    assert any(not a.luma.equal(b.luma) for a, b in zip(shots, other, strict=True))


def test_a_runs_own_pictures_are_no_footage(tmp_path: Path) -> None:
    from dsaecodec.training.footage import _files_below

    for name in ("a.png", "run/progress.png", "run/deeper/b.png", "other/progress.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "run" / "run.json").touch()
    found = {str(path.relative_to(tmp_path)) for path in _files_below(tmp_path, [])}
    assert found == {"a.png", "run/deeper/b.png", "other/progress.png"}
