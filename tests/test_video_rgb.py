"""RGB in and out: planes G, B, R of full size, exact wherever the file can hold them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from dsaecodec.video import (
    Frame420,
    VideoInfo,
    VideoReader,
    VideoWriter,
    frame_to_rgb,
    open_video,
    rgb_to_420,
    rgb_to_planes,
)
from dsaecodec.video.frame import check_frame, plane_shapes

SIZES = [(1, 1), (1, 7), (7, 1), (17, 33), (64, 64), (65, 30)]  # height, width
# Corners of the cube and colours between them.
COLOURS = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 220, 30),
           (90, 40, 160), (12, 200, 180), (128, 128, 128)]  # fmt: skip

Image = NDArray[np.uint8]


def noise(height: int, width: int, num_frames: int = 3) -> list[Image]:
    rng = np.random.default_rng(height * width)
    return list(rng.integers(0, 256, (num_frames, height, width, 3), np.uint8))


def patches(size: int = 32) -> Image:
    """[3 * size, 3 * size, 3]: each colour on a square."""
    return np.array(COLOURS, np.uint8).reshape(3, 3, 3).repeat(size, 0).repeat(size, 1)


def describe(height: int, width: int, **fields: Any) -> VideoInfo:
    return VideoInfo(width, height, Fraction(25), 0, True, **fields)


def write(path: Path | str, images: Sequence[Image], ticks: Sequence[int] = ()) -> list[str]:
    with VideoWriter(path, describe(*images[0].shape[:2])) as writer:
        for index, rgb in enumerate(images):
            frame = rgb_to_planes(rgb)
            writer.write(frame._replace(ticks=ticks[index]) if ticks else frame)
    return writer.notes


def encode(path: Path, codec: str, frame: av.VideoFrame, **context: Any) -> Path:
    """Write one frame with plain PyAV, in its own pixel format."""
    options = {"libx264rgb": {"qp": "0"}, "libwebp": {"lossless": "1"}, "ffv1": {"slices": "1"}}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options.get(codec, {}))
        stream.height, stream.width = frame.height, frame.width
        stream.pix_fmt = frame.format.name
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def picture(array: NDArray[Any], pixel_format: str = "rgb24") -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(array, format=pixel_format)


def read(source: Any) -> tuple[VideoReader, list[Image]]:
    """The pictures of a source as [H, W, 3]."""
    with open_video(source, rgb=True) as video:
        frames = list(video)
    assert (video.info.matrix, video.info.full_range) == (0, True)
    for frame in frames:
        check_frame(frame, video.info.height, video.info.width, 0)
    return video, [frame_to_rgb(frame, 0) for frame in frames]


def distance(found: Sequence[Image], expected: Sequence[Image]) -> int:
    """Largest difference of any sample."""
    return int(np.abs(np.array(found, int) - np.array(expected, int)).max())


def test_planes_are_green_blue_red() -> None:
    rgb = noise(3, 5, 1)[0]
    frame = rgb_to_planes(rgb)
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
        np.testing.assert_array_equal(plane, rgb[..., channel])
    np.testing.assert_array_equal(frame_to_rgb(frame, matrix=0), rgb)
    assert plane_shapes(3, 5, 0) == ((3, 5), (3, 5), (3, 5))
    assert plane_shapes(3, 5, 1) == ((3, 5), (2, 3), (2, 3))


def test_planes_of_the_wrong_shape_are_refused(tmp_path: Path) -> None:
    rgb = noise(6, 8, 1)[0]
    full, subsampled = rgb_to_planes(rgb), rgb_to_420(rgb)
    with pytest.raises(ValueError, match=r"plane u: uint8 \[3, 4\], expected uint8 \[6, 8\]"):
        frame_to_rgb(subsampled, 0)
    with pytest.raises(ValueError, match=r"plane u: uint8 \[6, 8\], expected uint8 \[3, 4\]"):
        frame_to_rgb(full)
    for wrong in (rgb[..., :2], rgb[0], rgb.astype(int), rgb[:0]):
        with pytest.raises(ValueError, match=r"expected uint8 \[H, W, 3\]"):
            rgb_to_planes(wrong)
    yuv = VideoInfo(8, 6, Fraction(25))
    for info, frame in ((describe(6, 8), subsampled), (yuv, full), (describe(8, 6), full)):
        for name in ("a.mkv", "a.mp4", "a.y4m", "a/%d.png"):
            with (
                pytest.raises(ValueError, match="expected uint8"),
                VideoWriter(tmp_path / name, info) as writer,
            ):
                writer.write(frame)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mkv", "a/%05d.png", "a/"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_mkv_and_pictures_are_exact(tmp_path: Path, name: str, height: int, width: int) -> None:
    images = noise(height, width)
    destination = f"{tmp_path}/{name}"
    assert write(destination, images) == []
    video, found = read(destination)
    assert distance(found, images) == 0
    assert not any("RGB" in note or "chroma" in note for note in video.notes)


def test_an_mkv_is_what_others_take_for_rgb(tmp_path: Path) -> None:
    images = noise(48, 64)
    write(tmp_path / "a.mkv", images)
    with av.open(str(tmp_path / "a.mkv")) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec.name, context.pix_fmt) == ("ffv1", "bgr0")
        assert (context.colorspace, context.color_range) == (0, 2)
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert distance(found, images) == 0


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_times_are_kept(tmp_path: Path, suffix: str) -> None:
    ticks = [0, 9000, 90000]
    write(tmp_path / f"a{suffix}", noise(16, 16), ticks)
    with open_video(tmp_path / f"a{suffix}", rgb=True) as video:
        assert [frame.ticks for frame in video] == ticks


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mkv", "ffv1", "bgr0"), ("a.mkv", "libx264rgb", "bgr24"), ("a.mov", "png", "rgb24"),
        ("a.mov", "png", "rgba"), ("a.mov", "qtrle", "rgb24"), ("a.avi", "rawvideo", "bgr24"),
        ("a.png", "png", "rgb24"), ("a.bmp", "bmp", "bgr24"), ("a.webp", "libwebp", "bgra"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 33), (64, 48)])
def test_rgb_is_read_exactly(
    tmp_path: Path, name: str, codec: str, pixel_format: str, height: int, width: int
) -> None:
    rgb = noise(height, width, 1)[0]
    frame = picture(rgb).reformat(format=pixel_format)
    video, found = read(encode(tmp_path / name, codec, frame))
    assert distance(found, [rgb]) == 0
    assert not any("RGB" in note or "alpha" in note for note in video.notes)


def test_palettes_are_read_exactly(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (32, 3), np.uint8)
    images = [palette[rng.integers(0, 32, (17, 33))] for _ in range(4)]
    pictures = [pillow.fromarray(rgb).quantize(32, dither=0) for rgb in images]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=80)
    pictures[0].save(tmp_path / "a.png")
    assert distance(read(tmp_path / "a.gif")[1], images) == 0
    assert distance(read(tmp_path / "a.png")[1], images[:1]) == 0


def test_colours_of_few_bits_reach_white(tmp_path: Path) -> None:
    levels = np.array([[0, 0x7FFF, 0x001F, 0x03E0, 0x7C00, 1 << 10]], "<u2")
    frame = av.VideoFrame(6, 1, "rgb555le")
    plane = frame.planes[0]
    plane.update(levels.tobytes().ljust(plane.buffer_size, b"\0"))
    path = encode(tmp_path / "a.avi", "rawvideo", frame)
    expected = [[0, 0, 0], [255, 255, 255], [0, 0, 255], [0, 255, 0], [255, 0, 0], [8, 0, 0]]
    assert read(path)[1][0][0].tolist() == expected


def test_transparency_is_over_black(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    rgba[0, :, 3], rgba[1, :, 3] = 255, 0
    video, (found,) = read(encode(tmp_path / "a.png", "png", picture(rgba, "rgba")))
    expected = rgba[..., :3] * (rgba[..., 3:] / 255)
    assert np.abs(found - expected).max() <= 0.51
    np.testing.assert_array_equal(found[0], rgba[0, :, :3])
    assert not found[1].any()
    assert any("alpha is dropped" in note for note in video.notes)


WEIGHTS = {1: (0.2126, 0.0722), 2: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}


@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("full_range", [False, True])
def test_yuv_follows_its_own_equations(tmp_path: Path, matrix: int, full_range: bool) -> None:
    rgb = noise(17, 33, 1)[0]
    red, blue = WEIGHTS[matrix]
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    chroma = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    scale, base = ((255, 255), 0) if full_range else ((219, 224), 16)
    planes = [base + scale[0] * y, *(128 + scale[1] * c for c in chroma)]
    yuv = np.clip(np.round(planes), 0, 255).astype(np.uint8)
    colour = {"colorspace": matrix, "color_range": 2 if full_range else 1}
    path = encode(tmp_path / "a.mkv", "ffv1", picture(yuv, "yuv444p"), **colour)
    video, found = read(path)
    assert distance(found, [rgb]) <= 2
    assert video.notes == []


@pytest.mark.parametrize(("tag", "black", "white"), [(0, 0, 255), (1, 16, 235), (2, 0, 255)])
@pytest.mark.parametrize("pixel_format", ["gray", "gray16le"])
def test_grey_follows_its_range(
    tmp_path: Path, pixel_format: str, tag: int, black: int, white: int
) -> None:
    levels = np.array([[black, white]], np.uint8).repeat(4, 0).repeat(4, 1)
    array = levels if pixel_format == "gray" else levels.astype(np.uint16) * 256
    path = encode(tmp_path / "a.mkv", "ffv1", picture(array, pixel_format), color_range=tag)
    (found,) = read(path)[1]
    assert found[:, :4].max() <= 1 and found[:, 4:].min() >= 254


def test_grey_y4m_is_of_limited_range() -> None:
    y4m = b"YUV4MPEG2 W2 H1 F25:1 Cmono\nFRAME\n\x10\xeb"
    assert read(io.BytesIO(y4m))[1][0].tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize(
    ("pixel_format", "notes"),
    [
        ("yuv420p", []), ("yuv422p", []), ("yuv444p", []), ("bgr0", []), ("gray", []),
        ("yuv444p10le", ["10-bit video is converted to 8 bits"]),
    ],
)  # fmt: skip
def test_what_is_not_reduced_is_not_noted(
    tmp_path: Path, pixel_format: str, notes: list[str]
) -> None:
    frame = picture(noise(48, 64, 1)[0]).reformat(format=pixel_format)
    path = encode(tmp_path / "a.mkv", "ffv1", frame)
    assert read(path)[0].notes == notes


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    rgb = noise(17, 33, 1)[0]
    image = pillow.fromarray(rgb)
    exif = image.getexif()
    exif[0x0112] = 6  # turn clockwise
    image.save(tmp_path / "a.png", exif=exif)
    video, (found,) = read(tmp_path / "a.png")
    assert (video.info.height, video.info.width) == (33, 17)
    np.testing.assert_array_equal(found, np.rot90(rgb, -1))


def test_a_size_that_changes_is_scaled(tmp_path: Path) -> None:
    for index, size in enumerate((16, 24, 8)):
        encode(tmp_path / f"{index}.png", "png", picture(patches(size)))
    video, found = read(tmp_path)
    assert distance([rgb[8::16, 8::16] for rgb in found], [patches(1)] * 3) <= 4
    assert any("2 frames of another size are scaled to 48x48" in note for note in video.notes)


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_mapped_as_for_yuv(tmp_path: Path, transfer: int) -> None:
    planes = np.full((48, 64), 500, np.uint16)
    planes[:32, 32:] = 700
    colour = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    path = encode(tmp_path / "a.mkv", "ffv1", picture(planes, "yuv420p10le"), **colour)
    video, (found,) = read(path)
    with open_video(path) as other:
        expected = frame_to_rgb(next(iter(other)))
    assert np.abs(found.astype(int) - expected)[:, [4, 60]].max() <= 3
    assert found[0, 4].tolist() != found[0, 60].tolist()
    assert video.notes == other.notes


@pytest.mark.parametrize("name", ["a.mkv", "a/%d.png"])
def test_without_the_option_rgb_is_read_as_before(tmp_path: Path, name: str) -> None:
    images = noise(17, 33)
    write(tmp_path / name, images)
    with open_video(tmp_path / name) as video:
        frames: list[Frame420] = list(video)
    assert (video.info.matrix, video.info.full_range) == (1, False)
    assert "RGB is converted to YUV 4:2:0" in video.notes
    for frame, rgb in zip(frames, images, strict=True):
        for plane, expected in zip(frame.planes, rgb_to_420(rgb).planes, strict=True):
            assert np.abs(plane.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_y4m_keeps_full_chroma(tmp_path: Path, height: int, width: int) -> None:
    images = noise(height, width)
    path = tmp_path / "a.y4m"
    (note,) = write(path, images)
    assert note == f"{path}: RGB is written as YUV 4:4:4; .mkv and folders of .png hold it exactly"
    header = path.read_bytes().split(b"\n")[0].split()
    assert {b"C444", b"XCOLORRANGE=LIMITED", b"XDSAMATRIX=1"} <= set(header)
    video, found = read(path)
    assert distance(found, images) <= 2
    assert video.notes == []
    with av.open(str(path)) as container:  # other programs understand it too
        assert container.streams.video[0].codec_context.pix_fmt == "yuv444p"
        assert len(list(container.decode(video=0))) == 3


def test_standard_output_is_y4m(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    images = noise(17, 33)
    (note,) = write("-", images)
    assert note.startswith("standard output: RGB is written as YUV 4:4:4")
    assert distance(read(io.BytesIO(capfdbinary.readouterr().out))[1], images) <= 2


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_players_see_the_right_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    (note,) = write(path, [patches()] * 3)
    assert note == f"{path}: RGB is written as YUV 4:2:0; .mkv and folders of .png hold it exactly"
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert context.pix_fmt == "yuv420p"
        assert (context.colorspace, context.color_range) == (1, 1)
    _, found = read(path)
    assert distance([rgb[16::32, 16::32] for rgb in found], [patches(1)] * 3) <= 4


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 17)])
def test_odd_sizes_are_written(tmp_path: Path, suffix: str, height: int, width: int) -> None:
    images = [np.full((height, width, 3), (90, 40, 160), np.uint8)] * 3
    notes = write(tmp_path / f"a{suffix}", images)
    assert "RGB is written as YUV 4:2:0" in notes[0]
    assert len(notes) == (1 if suffix == ".webm" else 2)
    assert distance(read(tmp_path / f"a{suffix}")[1], images) <= 4
