"""Video in and out: planes survive exactly where promised, colour follows its equations."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from dsaecodec.draw import moving_layers
from dsaecodec.errors import InputVideoError, OutputError, UsageError
from dsaecodec.video import (
    Frame420,
    VideoInfo,
    VideoWriter,
    frame_to_rgb,
    open_video,
    rgb_to_420,
)

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (17, 33), (64, 48), (65, 130)]  # height, width


def noise(height: int, width: int, num_frames: int = 3, seed: int = 0) -> list[Frame420]:
    rng = np.random.default_rng(seed)
    shapes = (height, width), (-(-height // 2), -(-width // 2)), (-(-height // 2), -(-width // 2))
    return [
        Frame420(*(rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes))
        for _ in range(num_frames)
    ]


def describe(height: int, width: int, **fields: object) -> VideoInfo:
    return VideoInfo(width=width, height=height, fps=Fraction(25), **fields)  # type: ignore[arg-type]


def write(path: Path, frames: list[Frame420], info: VideoInfo) -> Path:
    with VideoWriter(path, info) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def encode(
    path: Path,
    arrays: list[NDArray[np.generic]],
    pixel_format: str,
    codec: str = "ffv1",
    **context: object,
) -> Path:
    """Write arrays of any pixel format with plain PyAV."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = arrays[0].shape[:2]
        stream.pix_fmt = pixel_format
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for array in arrays:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format=pixel_format)))
        container.mux(stream.encode(None))
    return path


def assert_same(a: list[Frame420], b: list[Frame420]) -> None:
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        for one, other in zip(left.planes, right.planes, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("suffix", [".y4m", ".mkv"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_lossless_formats_return_the_exact_planes(
    tmp_path: Path, suffix: str, height: int, width: int
) -> None:
    frames = noise(height, width)
    path = write(tmp_path / f"clip{suffix}", frames, describe(height, width))
    with open_video(path) as video:
        assert (video.info.height, video.info.width) == (height, width)
        assert video.info.num_frames == len(frames)
        assert_same(list(video), frames)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_mp4_is_close_and_says_when_it_is_not_420(tmp_path: Path, height: int, width: int) -> None:
    frames = [rgb_to_420(rgb) for rgb in moving_layers(3, height, width)]
    with VideoWriter(tmp_path / "clip.mp4", describe(height, width)) as writer:
        for frame in frames:
            writer.write(frame)
    assert bool(writer.notes) == bool(height % 2 or width % 2)
    with open_video(tmp_path / "clip.mp4") as video:
        read = list(video)
    assert video.info.num_frames == len(read) == len(frames)
    for frame, other in zip(frames, read, strict=True):
        assert np.abs(frame.y.astype(int) - other.y).mean() < 3
        for a, b in zip(frame.planes, other.planes, strict=True):
            assert a.shape == b.shape
            assert np.abs(a.astype(int) - b).mean() < 6


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_colour_tags_survive(tmp_path: Path, suffix: str, matrix: int, full_range: bool) -> None:
    info = describe(16, 16, matrix=matrix, full_range=full_range)
    with open_video(write(tmp_path / f"clip{suffix}", noise(16, 16), info)) as video:
        assert (video.info.matrix, video.info.full_range) == (matrix, full_range)


@pytest.mark.parametrize("full_range", [False, True])
def test_y4m_keeps_the_range(tmp_path: Path, full_range: bool) -> None:
    info = describe(16, 16, full_range=full_range)
    with open_video(write(tmp_path / "clip.y4m", noise(16, 16), info)) as video:
        assert (video.info.matrix, video.info.full_range) == (1, full_range)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".y4m"])
@pytest.mark.parametrize("fps", ["24000/1001", "30000/1001", "1/2", "240"])
def test_frame_rate_survives(tmp_path: Path, suffix: str, fps: str) -> None:
    info = VideoInfo(width=16, height=16, fps=Fraction(fps))
    with open_video(write(tmp_path / f"clip{suffix}", noise(16, 16, 5), info)) as video:
        assert video.info.fps == Fraction(fps)
        assert len(list(video)) == 5
    with av.open(str(tmp_path / f"clip{suffix}")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(5) / float(Fraction(fps)), atol=1e-3)


def test_files_are_readable_by_plain_ffmpeg(tmp_path: Path) -> None:
    frames = noise(17, 33)
    with av.open(str(write(tmp_path / "clip.y4m", frames, describe(17, 33)))) as container:
        decoded = list(container.decode(video=0))
    luma = [np.frombuffer(f.planes[0], np.uint8).reshape(17, -1)[:, :33] for f in decoded]
    np.testing.assert_array_equal(luma, [frame.y for frame in frames])


def bt709(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """YUV of RGB by the equations of ITU-R BT.709, 8 bits, limited range."""
    r, g, b = (rgb[..., i] / 255 for i in range(3))
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    u, v = (b - y) / 1.8556, (r - y) / 1.5748
    return np.stack([219 * y + 16, 224 * u + 128, 224 * v + 128])


def test_rgb_to_420_follows_bt709() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        rgb = np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (9, 7, 3))
        expected = bt709(rgb)
        for plane, target in zip(rgb_to_420(rgb).planes, expected, strict=True):
            assert np.abs(plane - target[0, 0]).max() <= 2
    gradient = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.abs(rgb_to_420(gradient).y - bt709(gradient)[0]).max() <= 2


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_rgb_round_trip_of_flat_colours(matrix: int, full_range: bool) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        rgb = np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (5, 3, 3))
        frame = rgb_to_420(rgb, matrix, full_range)
        assert np.abs(frame_to_rgb(frame, matrix, full_range).astype(int) - rgb).max() <= 2


def test_matrix_and_range_change_the_conversion() -> None:
    rgb = np.broadcast_to(np.array([200, 60, 30], np.uint8), (4, 4, 3))
    frames = [rgb_to_420(rgb, m, full) for m in (1, 5, 9) for full in (False, True)]
    assert len({tuple(int(plane[0, 0]) for plane in frame.planes) for frame in frames}) == 6


def test_rgb_is_checked() -> None:
    with pytest.raises(ValueError, match="uint8"):
        rgb_to_420(np.zeros((4, 4, 3), np.float32))  # type: ignore[arg-type]


def test_other_pixel_formats_are_converted(tmp_path: Path) -> None:
    rgb = np.full((16, 18, 3), (200, 60, 30), np.uint8)
    expected = bt709(rgb)[:, 0, 0]
    with open_video(encode(tmp_path / "rgb.mov", [rgb], "rgb24", "png")) as video:
        frame = next(iter(video))
    assert (video.info.matrix, video.info.full_range) == (1, False)
    for plane, target in zip(frame.planes, expected, strict=True):
        assert abs(plane[4, 4] - target) <= 2
    ten_bit = np.concatenate([np.full(16 * 18, 800), np.full(16 * 18 // 2, 300)]).astype(np.uint16)
    path = encode(tmp_path / "ten.mkv", [ten_bit.reshape(-1, 18)], "yuv420p10le", height=16)
    with open_video(path) as video:
        frame = next(iter(video))
    assert [int(plane[2, 2]) for plane in frame.planes] == [200, 75, 75]


@pytest.mark.parametrize(("tag", "full"), [(0, True), (1, False), (2, True)])
def test_grey_keeps_its_values(tmp_path: Path, tag: int, full: bool) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = encode(tmp_path / "grey.mkv", [grey], "gray", color_range=tag)
    with open_video(path) as video:
        frame = next(iter(video))
    assert video.info.full_range == full
    np.testing.assert_array_equal(frame.y, grey)
    assert np.all(frame.u == 128) and np.all(frame.v == 128)


def test_yuvj_is_full_range(tmp_path: Path) -> None:
    planes = np.concatenate([np.full(256, 250), np.full(64, 90), np.full(64, 170)])
    array = planes.astype(np.uint8).reshape(-1, 16)
    path = encode(tmp_path / "jpeg.mkv", [array], "yuvj420p", "mjpeg", height=16)
    with open_video(path) as video:
        frame = next(iter(video))
    assert video.info.full_range
    assert abs(int(frame.y[0, 0]) - 250) <= 2


@pytest.mark.parametrize("matrix", [1, 2, 5, 6, 9])
def test_y4m_of_ours_keeps_the_matrix(tmp_path: Path, matrix: int) -> None:
    path = write(tmp_path / "clip.y4m", noise(16, 16), describe(16, 16, matrix=matrix))
    with open_video(path) as video:
        assert video.info.matrix == matrix
    data = path.read_bytes()
    for other in (b"XDSAMATRIX=77", b"XDSAMATRIX=x", b"XDSAMATRIX="):
        path.write_bytes(data.replace(b"XDSAMATRIX=%d" % matrix, other))
        with open_video(path) as video:
            assert video.info.matrix == 2


def test_untagged_video_stays_untagged_and_limited(tmp_path: Path) -> None:
    array = np.full((24, 16), 128, np.uint8)
    with open_video(encode(tmp_path / "plain.mkv", [array], "yuv420p", height=16)) as video:
        assert (video.info.matrix, video.info.full_range) == (2, False)


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (270, 3)])
def test_rotation_tags_are_applied(tmp_path: Path, degrees: int, quarters: int) -> None:
    frames = [rgb_to_420(rgb) for rgb in moving_layers(2, 32, 64)]
    path = write(tmp_path / "clip.mp4", frames, describe(32, 64))
    cos, sin = [(0, 1), (-1, 0), (0, -1)][quarters - 1]
    matrix = [cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version and flags, times, layer, volume: then the matrix
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(data)
    with open_video(path) as video:
        turned = list(video)
    assert (video.info.width, video.info.height) == ((64, 32) if quarters == 2 else (32, 64))
    # A tag of 90 degrees tells the player to turn the picture clockwise.
    expected = np.rot90(frames[0].y, -quarters)
    assert np.abs(turned[0].y.astype(int) - expected).mean() < 3


def test_reading_is_streaming(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.y4m", noise(8, 8, 5), describe(8, 8))
    with path.open("rb") as file, open_video(file) as video:
        next(iter(video))
        assert file.tell() < path.stat().st_size
        assert len(list(video)) == 4


def test_file_objects_are_read(tmp_path: Path) -> None:
    frames = noise(8, 8)
    data = write(tmp_path / "clip.mkv", frames, describe(8, 8)).read_bytes()
    with open_video(io.BytesIO(data)) as video:
        assert_same(list(video), frames)


def test_y4m_through_pipes(tmp_path: Path) -> None:
    frames = noise(3, 5)
    path = write(tmp_path / "clip.y4m", frames, describe(3, 5))
    code = (
        "from dsaecodec.video import open_video, VideoWriter\n"
        "with open_video('-') as video, VideoWriter('-', video.info) as out:\n"
        "    for frame in video: out.write(frame)\n"
    )
    copy = subprocess.run(
        [sys.executable, "-c", code], input=path.read_bytes(), capture_output=True, check=True
    )
    assert copy.stdout == path.read_bytes()


def test_a_pipe_of_something_else_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path / "clip.mkv", noise(8, 8), describe(8, 8)).read_bytes()
    code = (
        "from dsaecodec.video import open_video\n"
        "from dsaecodec.errors import InputVideoError\n"
        "try: open_video('-')\n"
        "except InputVideoError as error: print(error, error.hint)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert b"y4m" in run.stdout


def test_missing_and_wrong_inputs(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
    for name in ("missing.mp4", "", "empty.mp4", "text.mp4", "sound.wav"):
        with pytest.raises(InputVideoError) as caught:
            open_video(tmp_path / name)
        assert caught.value.exit_code == 3
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.mkv", "a.y4m", "a.mp4"])
@pytest.mark.parametrize("keep", [0.05, 0.3, 0.6, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, name: str, keep: float) -> None:
    frames = [rgb_to_420(rgb) for rgb in moving_layers(12, 48, 64)]
    path = write(tmp_path / name, frames, describe(48, 64))
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputVideoError), open_video(path) as video:
        list(video)


def test_a_truncated_mp4_with_its_index_in_front_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for rgb in moving_layers(20, 48, 64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    with pytest.raises(InputVideoError, match="truncated"), open_video(path) as video:
        list(video)


def test_malformed_y4m_is_refused() -> None:
    for text in (
        "YUV4MPEG2 H4 F25:1\n",
        "YUV4MPEG2 W0 H4\n",
        "YUV4MPEG2 W4 H99999999\n",
        "YUV4MPEG2 W4 H4 F25\n",
        "YUV4MPEG2 W4 H4 C400odd\n",
        "YUV4MPEG2 W4 H4",
        "YUV4MPEG2 W4 H4\nFRAMES\n" + 24 * "a",
        "YUV4MPEG2 W4 H4\nFRAME\n" + 23 * "a",
    ):
        with pytest.raises(InputVideoError), open_video(io.BytesIO(text.encode())) as video:
            list(video)


def test_y4m_of_other_formats() -> None:
    header = b"YUV4MPEG2 W4 H2 F30:1 Cmono\nFRAME\n"
    with open_video(io.BytesIO(header + bytes(range(8)))) as video:
        np.testing.assert_array_equal(next(iter(video)).y, np.arange(8).reshape(2, 4))
    assert not video.info.full_range
    payload = np.full(4 * 2 * 3, 400, "<u2").tobytes()
    header = b"YUV4MPEG2 W4 H2 F30:1 C444p10 XYSCSS=444P10\nFRAME Ip\n"
    with open_video(io.BytesIO(header + payload)) as video:
        assert [int(plane[0, 0]) for plane in next(iter(video)).planes] == [100, 100, 100]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".y4m"])
def test_output_is_whole_or_absent(tmp_path: Path, suffix: str) -> None:
    path, info = tmp_path / f"clip{suffix}", describe(16, 16)
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, info) as writer:
        writer.write(noise(16, 16)[0])
        assert not path.exists()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    write(path, noise(16, 16, seed=1), info)
    before = path.read_bytes()
    with pytest.raises(OutputError) as caught:
        VideoWriter(path, info)
    assert caught.value.hint and "-y" in caught.value.hint
    with (
        pytest.raises(ValueError, match="plane y"),
        VideoWriter(path, info, overwrite=True) as writer,
    ):
        writer.write(noise(8, 8)[0])
    assert path.read_bytes() == before
    with VideoWriter(path, info, overwrite=True) as writer:
        writer.write(noise(16, 16, seed=2)[0])
    assert path.read_bytes() != before
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_outputs(tmp_path: Path) -> None:
    info = describe(16, 16)
    with pytest.raises(UsageError, match="suffix"):
        VideoWriter(tmp_path / "clip.gif", info)
    with pytest.raises(OutputError, match="folder"):
        VideoWriter(tmp_path / "no" / "clip.mp4", info)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="directory"):
        VideoWriter(tmp_path / "folder.mp4", info)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "full.y4m").symlink_to("/dev/full")
    info = describe(512, 512)
    with pytest.raises(OutputError, match="space"), VideoWriter(tmp_path / "full.y4m", info) as out:
        out.write(noise(512, 512, 1)[0])
