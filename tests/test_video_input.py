"""Anybody's clip: every kind of file gives the frames and times written, or one clear line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray

from dsaecodec.draw import moving_layers
from dsaecodec.errors import InputVideoError
from dsaecodec.video import Frame420, VideoReader, open_video, rgb_to_420
from dsaecodec.video.timing import InputClock, Rate, StatedRate, nominal_rate

HEIGHT, WIDTH = 48, 64
X265 = {"x265-params": "log-level=none"}


@cache
def drawn(num_frames: int, height: int = HEIGHT, width: int = WIDTH) -> list[NDArray[np.uint8]]:
    return list(moving_layers(num_frames, height, width))


def make(
    path: Path,
    codec: str = "libx264",
    num_frames: int = 12,
    *,
    rate: Fraction | int = 25,
    pixel_format: str = "yuv420p",
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    images: list[NDArray[np.uint8]] | None = None,
    extra: str = "",
    **context: Any,
) -> Path:
    """Write a clip with plain PyAV; `extra`: "video" for another stream, "sound" for sound."""
    images = images or drawn(num_frames)
    base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w", container_options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = base
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        second = None
        if "video" in extra:
            second = container.add_stream("libx264", rate=25)
            second.height = second.width = 16
            second.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=48000) if "sound" in extra else None
        for index, rgb in enumerate(images):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(format=pixel_format, dst_colorspace=1)
            frame.pts, frame.time_base = times[index] if times else index, base
            container.mux(stream.encode(frame))
            if second:
                container.mux(second.encode(av.VideoFrame(16, 16, "yuv420p")))
            if sound:
                samples = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1024), np.float32), "fltp", "mono"
                )
                samples.sample_rate, samples.pts = 48000, 1024 * index
                container.mux(sound.encode(samples))
        for each in filter(None, (stream, second, sound)):
            container.mux(each.encode(None))
    return path


def read(source: Any, **options: Any) -> tuple[VideoReader, list[Frame420]]:
    with open_video(source, **options) as video:
        return video, list(video)


def seconds(frames: list[Frame420]) -> list[float]:
    assert all(frame.ticks is not None for frame in frames)
    return [frame.ticks / 90_000 for frame in frames if frame.ticks is not None]


def distance(frames: list[Frame420], images: list[NDArray[np.uint8]]) -> float:
    """Largest mean error of luma of any frame."""
    assert len(frames) == len(images)
    return max(
        float(np.abs(rgb_to_420(rgb).y.astype(int) - frame.y).mean())
        for frame, rgb in zip(frames, images, strict=True)
    )


NTSC, FILM = Fraction(30000, 1001), Fraction(24000, 1001)
KINDS = [
    ("a.mp4", "libx264", "yuv420p", Fraction(25)),
    ("a.mov", "libx264", "yuv420p", FILM),
    ("a.mkv", "libx264", "yuv420p", FILM),
    ("a.webm", "libvpx-vp9", "yuv420p", NTSC),
    ("a.avi", "mpeg4", "yuv420p", Fraction(25)),
    ("b.avi", "libx264", "yuv420p", NTSC),
    ("a.flv", "libx264", "yuv420p", NTSC),
    ("a.ts", "libx264", "yuv420p", NTSC),
    ("a.mpg", "mpeg2video", "yuv420p", Fraction(25)),
    ("a.wmv", "wmv2", "yuv420p", Fraction(25)),
    ("a.gif", "gif", "rgb8", Fraction(10)),
    ("a.apng", "apng", "rgb24", Fraction(10)),
    ("a.h264", "libx264", "yuv420p", Fraction(30)),
    ("a.hevc", "libx265", "yuv420p", Fraction(30)),
    ("fast.mp4", "libx264", "yuv420p", Fraction(60)),
    ("ten.mp4", "libx265", "yuv420p10le", NTSC),
    ("high.mkv", "ffv1", "yuv444p", Fraction(240)),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "rate"), KINDS)
def test_every_container_gives_what_was_written(
    tmp_path: Path, name: str, codec: str, pixel_format: str, rate: Fraction
) -> None:
    options = {"libx264": {"bf": "3"}, "libx265": X265, "mpeg4": {"qscale": "2"}}.get(codec)
    muxer = {"movflags": "faststart"} if name == "fast.mp4" else None
    path = make(
        tmp_path / name, codec, 30, rate=rate, pixel_format=pixel_format, options=options,
        muxer=muxer, bit_rate=2_000_000,
    )  # fmt: skip
    video, frames = read(path)
    assert (video.info.width, video.info.height, video.info.fps) == (WIDTH, HEIGHT, rate)
    assert distance(frames, drawn(30)) < 8
    if path.suffix in (".h264", ".hevc"):
        assert all(frame.ticks is None for frame in frames)
        return
    assert video.info.num_frames == 30
    np.testing.assert_allclose(seconds(frames), np.arange(30) / float(rate), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "codec", "rate"), [("a.mkv", "mpeg4", FILM), ("a.flv", "flv", NTSC)]
)
def test_containers_of_milliseconds_do_not_drift(
    tmp_path: Path, name: str, codec: str, rate: Fraction
) -> None:
    images = [np.zeros((16, 16, 3), np.uint8)] * 2000
    video, frames = read(make(tmp_path / name, codec, rate=rate, images=images))
    assert video.info.fps == rate
    np.testing.assert_allclose(seconds(frames), np.arange(2000) / float(rate), atol=1e-5)


STEPS = [33, 200, 20, 60, 47, 33, 33, 500, 20, 47, 60]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx-vp9")]
)
def test_varying_times_are_kept(tmp_path: Path, name: str, codec: str) -> None:
    times = list(accumulate(STEPS, initial=0))
    video, frames = read(
        make(tmp_path / name, codec, times=times, time_base=Fraction(1, 1000), rate=20)
    )
    np.testing.assert_allclose(seconds(frames), np.array(times) / 1000, atol=1e-3)
    mean = (len(times) - 1) / (times[-1] / 1000)
    assert abs(float(video.info.fps) / mean - 1) < 0.2


def test_the_delays_of_a_gif_count_including_the_last(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pictures = [image.fromarray(rgb) for rgb in drawn(3)]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[200, 100, 500])
    video, frames = read(path)
    assert seconds(frames) == [0, 0.2, 0.3]
    assert len(frames) / video.info.fps == Fraction(8, 10)


def test_the_first_frame_is_at_zero_wherever_its_clock_stands(tmp_path: Path) -> None:
    late = make(tmp_path / "a.ts", times=[25 * 90_000 + index for index in range(12)])
    video, frames = read(late)
    assert abs(video.start - 90_000) < 2
    np.testing.assert_allclose(seconds(frames), np.arange(12) / 25, atol=1e-5)
    joined = tmp_path / "joined.ts"  # the clock is set back in the middle
    joined.write_bytes(make(tmp_path / "b.ts").read_bytes() * 2)
    _, frames = read(joined)
    assert distance(frames, drawn(12) * 2) < 8
    np.testing.assert_allclose(seconds(frames), np.arange(24) / 25, atol=1e-3)


def test_a_rate_may_be_given(tmp_path: Path) -> None:
    video, frames = read(make(tmp_path / "a.mkv"), fps=Fraction(50))
    assert video.info.fps == 50 and all(frame.ticks is None for frame in frames)
    assert any("50" in note for note in video.notes)
    video, _ = read(make(tmp_path / "a.h264"), fps=Fraction(12))
    assert video.info.fps == 12 and not any("rate" in note for note in video.notes)


def write_images(folder: Path, suffix: str, names: list[str]) -> list[Path]:
    image = pytest.importorskip("PIL.Image")
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}{suffix}" for name in names]
    for rgb, path in zip(drawn(len(paths)), paths, strict=True):
        image.fromarray(rgb).save(path, **({"quality": 95} if suffix in (".jpg", ".webp") else {}))
    return paths


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_a_folder_of_images_in_natural_order(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "frames"
    write_images(folder, suffix, [f"f{index}" for index in range(12)])
    (folder / "notes.txt").write_text("not an image")
    video, frames = read(folder, fps=Fraction(12))
    assert (video.info.fps, video.info.num_frames) == (12, 12)
    for frame, rgb in zip(frames, drawn(12), strict=True):
        assert frame.ticks is None
        expected = rgb_to_420(rgb, video.info.matrix, video.info.full_range)
        assert np.abs(expected.y.astype(int) - frame.y).mean() < 3


def test_a_pattern_and_a_single_image(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "f", ".png", [f"x_{index:04d}" for index in range(7, 12)])
    paths[2].unlink()
    (tmp_path / "f" / "x_12.png").write_text("its number has too few digits")
    video, frames = read(tmp_path / "f" / "x_%04d.png")
    kept = [rgb for index, rgb in enumerate(drawn(5)) if index != 2]
    assert distance(frames, kept) < 1
    assert any(note.startswith("1 number") for note in video.notes)
    assert any("25" in note for note in video.notes)
    assert distance(read(paths[0])[1], drawn(5)[:1]) < 1
    with pytest.raises(InputVideoError, match="no file has such a name"):
        open_video(tmp_path / "f" / "y_%04d.png")


def test_a_large_image(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    rgb = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), dtype=np.uint8)
    image.fromarray(rgb).save(tmp_path / "a.bmp")
    assert distance(read(tmp_path / "a.bmp")[1], [rgb]) < 1


def test_images_of_several_kinds_and_sizes_become_one(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    colour = (200, 60, 30)
    image.new("RGB", (64, 48), colour).save(tmp_path / "1.png")
    image.new("RGB", (64, 48), colour).save(tmp_path / "2.jpg", quality=100)
    image.new("RGB", (128, 96), colour).save(tmp_path / "3.png")
    image.new("RGBA", (64, 48), (*colour, 255)).save(tmp_path / "4.png")
    image.new("L", (64, 48), 100).save(tmp_path / "5.png")
    (tmp_path / "6.png").write_bytes(b"broken")
    video, frames = read(tmp_path)
    expected = rgb_to_420(np.full((48, 64, 3), colour, np.uint8))
    for frame in frames[:4]:
        for plane, target in zip(frame.planes, expected.planes, strict=True):
            assert np.abs(plane.astype(int) - target).max() <= 2
    assert abs(int(frames[4].y[0, 0]) - (16 + 219 * 100 / 255)) <= 1  # grey is full, the rest not
    assert [note for note in video.notes if "1 frame of another size is scaled to 64x48" in note]
    assert [note for note in video.notes if "1 damaged frame in" in note]


MATRICES = {
    "0": (1, 0, 0, 1), "90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0),
    "mirror": (-1, 0, 0, 1), "flip": (1, 0, 0, -1), "transpose": (0, 1, 1, 0),
    "transverse": (0, -1, -1, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", MATRICES)
def test_display_matrices_turn_and_mirror(tmp_path: Path, name: str) -> None:
    a, b, c, d = MATRICES[name]
    path = make(tmp_path / "a.mp4", num_frames=2, sample_aspect_ratio=Fraction(4, 3))
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    values = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(data)
    video, frames = read(path)
    # A pixel at (x, y), from the middle, is shown at (a x + c y, b x + d y): ISO/IEC 14496-12.
    image = drawn(2)[0]
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    x, y = 2 * xs + 1 - image.shape[1], 2 * ys + 1 - image.shape[0]
    shown_x, shown_y = a * x + c * y, b * x + d * y
    shown = np.empty((abs(shown_y).max() + 1, abs(shown_x).max() + 1, 3), np.uint8)
    shown[(shown_y + shown.shape[0] - 1) // 2, (shown_x + shown.shape[1] - 1) // 2] = image
    assert distance(frames[:1], [shown]) < 4
    assert video.info.sample_aspect == (Fraction(3, 4) if b else Fraction(4, 3))


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation_is_applied(tmp_path: Path, code: int, suffix: str) -> None:
    image = pytest.importorskip("PIL.Image")
    ops = pytest.importorskip("PIL.ImageOps")
    picture = image.fromarray(drawn(1)[0])
    exif = picture.getexif()
    exif[0x0112] = code
    path = tmp_path / f"a{suffix}"
    picture.save(path, exif=exif, quality=95)
    with image.open(path) as again:
        upright = np.asarray(ops.exif_transpose(again).convert("RGB"))
    video, frames = read(path)
    expected = rgb_to_420(upright, video.info.matrix, video.info.full_range)
    assert np.abs(frames[0].y.astype(int) - expected.y).mean() < 2


@pytest.mark.parametrize(
    ("stated", "seen"), [("16/11", "16/11"), ("1/4", "1/4"), ("5000", "1"), ("1", "1")]
)
def test_the_shape_of_pixels(tmp_path: Path, stated: str, seen: str) -> None:
    path = make(tmp_path / "a.mkv", num_frames=2, sample_aspect_ratio=Fraction(stated))
    assert read(path)[0].info.sample_aspect == Fraction(seen)
    y4m = b"YUV4MPEG2 W2 H2 F25:1 A%d:%d\nFRAME\n123456" % Fraction(stated).as_integer_ratio()
    assert read(io.BytesIO(y4m))[0].info.sample_aspect == Fraction(seen)


@pytest.mark.parametrize(
    ("pixel_format", "note"),
    [
        ("yuv422p", "4:2:2"), ("yuv444p", "4:4:4"), ("yuv411p", "4:1:1"), ("bgr0", "RGB"),
        ("yuv420p10le", "10-bit"), ("yuv444p12le", "12-bit"), ("gray16le", "16-bit"),
        ("gray", ""), ("yuv420p", ""),
    ],
)  # fmt: skip
def test_what_a_conversion_loses_is_said_once(tmp_path: Path, pixel_format: str, note: str) -> None:
    path = make(tmp_path / "a.mkv", "ffv1", 3, pixel_format=pixel_format)
    with open_video(path) as video:
        early = list(video.notes)
        frames = list(video)
        assert video.notes == early
    assert [text for text in early if note and note in text] == early[:1]
    assert (early == []) == (note == "")
    if not pixel_format.startswith("gray"):
        assert distance(frames, drawn(3)) < 2


def combed(num_frames: int) -> list[NDArray[np.uint8]]:
    """A bar that moves from field to field: the lower lines of a frame are half a frame later."""
    fields = np.zeros((2 * num_frames, HEIGHT, WIDTH, 3), np.uint8)
    for index, field in enumerate(fields):
        field[:, 6 + 4 * index % 40 :][:, :12] = 220
    images = fields[::2].copy()
    images[:, 1::2] = fields[1::2, 1::2]
    return list(images)


def comb_strength(luma: NDArray[np.uint8]) -> float:
    """How much lines differ from both their neighbours in the same way."""
    lines = luma.astype(int)
    up, down = lines[1:-1] - lines[:-2], lines[1:-1] - lines[2:]
    return float(np.where(up * down > 0, np.minimum(abs(up), abs(down)), 0).mean())


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.ts", "mpeg2video", {"flags": "+ildct+ilme", "top": "1"}),
        ("a.mp4", "libx264", {"x264-params": "tff=1"}),
        ("a.mkv", "libx264", {"x264-params": "tff=1"}),
    ],
)
@pytest.mark.parametrize("num_frames", [6, 9])
def test_interlaced_video_is_deinterlaced(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], num_frames: int
) -> None:
    images = combed(num_frames)
    path = make(tmp_path / name, codec, images=images, options=options, bit_rate=8_000_000)
    with open_video(path) as video:
        assert video.notes == ["interlaced: deinterlaced"]
        frames = list(video)
    np.testing.assert_allclose(seconds(frames), np.arange(num_frames) / 25, atol=1e-5)
    for frame, image in zip(frames, images, strict=True):
        assert comb_strength(frame.y) < comb_strength(rgb_to_420(image).y) / 3


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_interlaced_y4m_is_deinterlaced(num_frames: int) -> None:
    images = [rgb_to_420(rgb) for rgb in combed(num_frames)]
    data = b"".join(b"FRAME\n" + b"".join(p.tobytes() for p in image.planes) for image in images)
    plain = read(io.BytesIO(b"YUV4MPEG2 W64 H48 F25:1 Ip\n" + data))[1]
    video, frames = read(io.BytesIO(b"YUV4MPEG2 W64 H48 F25:1 It\n" + data))
    assert "interlaced: deinterlaced" in video.notes
    assert len(frames) == num_frames
    for image, same, frame in zip(images, plain, frames, strict=True):
        np.testing.assert_array_equal(image.y, same.y)
        if num_frames > 2:
            assert comb_strength(frame.y) < comb_strength(image.y) / 3


def bt2020_yuv(rgb: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Limited 10-bit Y'CbCr of R'G'B', 0…1 [..., 3], by BT.2020."""
    r, g, b = np.moveaxis(rgb, -1, 0)
    y = 0.2627 * r + 0.678 * g + 0.0593 * b
    scaled = [64 + 876 * y, 512 + 896 * (b - y) / 1.8814, 512 + 896 * (r - y) / 1.4746]
    return np.round(scaled).astype(np.uint16)


def pq(light: float) -> float:
    """Signal of PQ for cd/m²: the inverse EOTF of SMPTE ST 2084."""
    power = (light / 10000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def from_pq(signal: float) -> float:
    power = signal ** (1 / 78.84375)
    ratio = max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return float(10000 * ratio ** (1 / 0.1593017578125))


def hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signal of HLG, [3], for cd/m² on a display of 1000: inverse OOTF, then the OETF."""
    luminance = light @ [0.2627, 0.678, 0.0593] / 1000
    scene = light / 1000 * (luminance ** (-0.2 / 1.2) if luminance else 0)
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)


def expected_sdr(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """R'G'B' of BT.709, 0…255, of BT.2020 light, by the Hermite spline of BT.2390 to 203 cd/m²."""
    peak, target = pq(1000), pq(203) / pq(1000)
    strongest = light.max()
    x, knee = min(pq(strongest) / peak, 1), 1.5 * target - 0.5
    if x > knee:
        t = (x - knee) / (1 - knee)
        basis = [2 * t**3 - 3 * t**2 + 1, (t**3 - 2 * t**2 + t) * (1 - knee), 3 * t**2 - 2 * t**3]
        x = basis[0] * knee + basis[1] + basis[2] * target
    light = light * from_pq(x * peak) / max(strongest, 1e-9)
    # From the chromaticities of both systems, white D65.
    white = np.array([0.3127, 0.3290, 0.3583])
    matrices = []
    for corners in (
        [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)],
        [(0.640, 0.330), (0.300, 0.600), (0.150, 0.060)],
    ):
        columns = np.array([(x, y, 1 - x - y) for x, y in corners]).T
        matrices.append(columns * np.linalg.solve(columns, white / white[1]))
    linear = np.linalg.solve(matrices[1], matrices[0] @ light)
    return np.asarray(255 * np.clip(linear / 203, 0, 1) ** (1 / 2.4))


LIGHTS = [
    (0, 0, 0), (1, 1, 1), (10, 10, 10), (50, 50, 50), (100, 100, 100), (203, 203, 203),
    (500, 500, 500), (1000, 1000, 1000), (100, 60, 40), (40, 60, 30), (30, 40, 120),
    (400, 300, 200), (5, 8, 6),
]  # fmt: skip


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped(tmp_path: Path, transfer: int) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height = stream.width = 16
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9
        context.color_range = 1
        for light in LIGHTS:
            linear = np.array(light, float)
            signal = np.array([pq(value) for value in light]) if transfer == 16 else hlg(linear)
            y, u, v = bt2020_yuv(signal)
            planes = [np.full((16, 16), y), np.full((4, 16), u), np.full((4, 16), v)]
            array = np.concatenate(planes).astype(np.uint16)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="yuv420p10le")))
        container.mux(stream.encode(None))
    video, frames = read(path)
    name = {16: "PQ", 18: "HLG"}[transfer]
    assert video.notes == [
        "10-bit video is converted to 8 bits",
        f"HDR ({name}) is tone-mapped to SDR",
    ]
    assert (video.info.matrix, video.info.full_range) == (1, False)
    for frame, light in zip(frames, LIGHTS, strict=True):
        y, u, v = (float(plane[4, 4]) for plane in frame.planes)
        rgb = expected_sdr(np.array(light, float)) / 255
        luma = rgb @ [0.2126, 0.7152, 0.0722]
        assert abs(y - (16 + 219 * luma)) <= 2.5, light
        assert abs(u - (128 + 224 * (rgb[2] - luma) / 1.8556)) <= 2.5, light
        assert abs(v - (128 + 224 * (rgb[0] - luma) / 1.5748)) <= 2.5, light
        if len(set(light)) == 1:
            assert abs(u - 128) <= 1 and abs(v - 128) <= 1, light
    assert [int(frames[index].y[0, 0]) for index in (0, 7)] == [16, 235]
    assert 205 < frames[5].y[0, 0] < 225  # diffuse white leaves room for what is brighter


def test_wide_colour_that_is_not_hdr_stays(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", color_trc=14, color_primaries=9, colorspace=9)
    video, _ = read(path)
    assert (video.info.matrix, video.notes) == (9, [])


def test_transparency_is_over_black(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., :3] = 255
    rgba[:, :4, 3], rgba[:, 4:, 3] = 255, 0
    rgba[4:, 4:, 3] = 128
    path = tmp_path / "a.png"
    pytest.importorskip("PIL.Image").fromarray(rgba).save(path)
    video, (frame,) = read(path)
    assert abs(int(frame.y[0, 0]) - 235) <= 1 and frame.y[0, 7] == 16
    assert abs(int(frame.y[7, 7]) - (16 + 219 * 128 / 255)) <= 2
    assert np.abs(frame.u.astype(int) - 128).max() <= 1
    assert any("alpha is dropped" in note for note in video.notes)
    opaque = make(tmp_path / "a.mov", "prores_ks", 2, pixel_format="yuva444p10le")
    assert not any("alpha" in note for note in read(opaque)[0].notes)


def test_one_of_several_streams_is_used(tmp_path: Path) -> None:
    video, frames = read(make(tmp_path / "a.mp4", extra="video sound", bit_rate=1_000_000))
    assert video.notes == ["2 video streams: the first is used"]
    assert distance(frames, drawn(12)) < 8


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.height = cover.width = 16
        cover.pix_fmt, cover.disposition = "yuvj420p", Disposition.attached_pic
        for index in range(4):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            samples.sample_rate, samples.pts = 48000, 1024 * index
            container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
        container.mux(cover.encode(av.VideoFrame(16, 16, "yuvj420p")))
        container.mux(cover.encode(None))
    with pytest.raises(InputVideoError, match="no video stream"):
        open_video(path)


def test_a_size_that_changes_is_scaled(tmp_path: Path) -> None:
    large = [rgb.repeat(2, axis=0).repeat(2, axis=1) for rgb in drawn(5)]
    path = tmp_path / "a.h264"
    path.write_bytes(
        make(tmp_path / "small.h264").read_bytes()
        + make(tmp_path / "large.h264", images=large).read_bytes()
    )
    video, frames = read(path)
    assert distance(frames, drawn(12) + drawn(5)) < 8
    assert [note for note in video.notes if "5 frames of another size are scaled to 64x48" in note]


def spoil(path: Path, packets: Sequence[int]) -> None:
    """Overwrite these packets with noise, but for their first bytes."""
    data, rng = bytearray(path.read_bytes()), np.random.default_rng(0)
    with av.open(str(path)) as container:
        for index, packet in enumerate(container.demux(video=0)):
            if index in packets and packet.pos is not None:
                size = packet.size - 8
                data[packet.pos + 8 : packet.pos + packet.size] = rng.bytes(size)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mov", "png"), ("a.mkv", "ffv1"), ("a.mp4", "libx264")]
)
def test_damaged_frames_are_skipped_and_counted(tmp_path: Path, name: str, codec: str) -> None:
    pixel_format = "rgb24" if codec == "png" else "yuv420p"
    path = make(tmp_path / name, codec, pixel_format=pixel_format, options={"g": "1"})
    spoil(path, (3, 7))
    video, frames = read(path)
    assert f"2 damaged frames in {path} were skipped" in video.notes
    kept = [index for index in range(12) if index not in (3, 7)]
    assert distance(frames, [drawn(12)[index] for index in kept]) < 8
    np.testing.assert_allclose(seconds(frames), np.array(kept) / 25, atol=1e-5)
    spoil(path, range(12))
    with pytest.raises(InputVideoError, match="no frame that can be decoded"):
        open_video(path)


@pytest.mark.parametrize("name", ["a.mkv", "fast.mp4", "frag.mp4", "a.flv", "a.y4m"])
def test_the_intact_part_of_a_truncated_file_can_be_read(tmp_path: Path, name: str) -> None:
    flags = {"fast.mp4": "faststart", "frag.mp4": "frag_keyframe+empty_moov"}.get(name)
    codec = "wrapped_avframe" if name == "a.y4m" else "libx264"
    muxer = {"movflags": flags} if flags else None
    path = make(tmp_path / name, codec, 30, muxer=muxer, options={"g": "5"} if flags else None)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    frames = []
    with pytest.raises(InputVideoError, match="truncated") as caught, open_video(path) as video:
        assert video.notes == []
        for frame in video:
            frames.append(frame)
            assert video.notes == []
    assert 5 < len(frames) < 30
    assert caught.value.hint and caught.value.hint.endswith(f"--frames {len(frames)}")
    whole = drawn(30)
    for frame in frames:
        nearest = min(range(30), key=lambda index: distance([frame], whole[index : index + 1]))
        assert frame.ticks is None or nearest == round(frame.ticks / 3600)


def test_a_recording_may_end_anywhere(tmp_path: Path) -> None:
    path = make(tmp_path / "a.ts", num_frames=30)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    assert 5 < len(read(path)[1]) < 30


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.mp4", "", "empty"),
        ("a.txt", "hello\n" * 100, "not a video"),
        ("a.json", '{"a": 1}' * 50, "not a video"),
        ("a.m3u8", "#EXTM3U\n#EXTINF:5,\nfile://{clip}\n#EXT-X-ENDLIST\n", "playlist"),
        ("a.mp4", "ffconcat version 1.0\nfile clip.mp4\n", "playlist"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "playlist"),
        ("a.mpd", '<?xml version="1.0"?>\n<MPD><BaseURL>clip.mp4</BaseURL></MPD>', "playlist"),
        ("a.mkv", "\n#EXTM3U\n#EXTINF:5,\nclip.mp4\n", "not a video"),
    ],
)
def test_what_is_no_video_ends_in_one_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    clip = make(tmp_path / "clip.mp4")
    path = tmp_path / name
    path.write_text(text.replace("{clip}", str(clip)))
    with pytest.raises(InputVideoError, match=message) as caught:
        open_video(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_file_cannot_make_us_open_another(tmp_path: Path) -> None:
    """With our own look at the first bytes out of the way, FFmpeg is still not let out."""
    clip = make(tmp_path / "clip.mp4")
    path = tmp_path / "list.m3u8"
    path.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{clip}\n#EXT-X-ENDLIST\n"
    )
    code = (
        "import sys\n"
        "from dsaecodec.video import demuxing\n"
        "from dsaecodec.errors import InputVideoError\n"
        "demuxing._PLAYLISTS = (b'never',)\n"
        f"sys.addaudithook(lambda e, a: print('opened', a[0]) if e == 'open' else None)\n"
        f"try: demuxing.open_container(open({str(path)!r}, 'rb'), 'list')\n"
        "except InputVideoError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "list: not a video" in run.stdout and "clip.mp4" not in run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize("address", ["https://example.org/a.mp4", "rtsp://x/y", "file:///a.mp4"])
def test_addresses_are_not_opened(address: str) -> None:
    with pytest.raises(InputVideoError, match="address") as caught:
        open_video(address)
    assert caught.value.hint == "download it first"


def test_folders_and_pipes_without_video(tmp_path: Path) -> None:
    with pytest.raises(InputVideoError, match="folder without images"):
        open_video(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    writer = subprocess.Popen(["sh", "-c", f"echo nothing > {tmp_path / 'pipe'}"])
    with pytest.raises(InputVideoError, match="y4m"):
        open_video(tmp_path / "pipe")
    writer.wait()


def test_pictures_too_large_for_a_stream_are_refused() -> None:
    with pytest.raises(InputVideoError, match="16384"):
        open_video(io.BytesIO(b"YUV4MPEG2 W20000 H2 F25:1\nFRAME\n" + bytes(20000 * 3)))


@pytest.mark.parametrize("num_frames", [1, 2])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif"])
def test_the_shortest_clips(tmp_path: Path, name: str, num_frames: int) -> None:
    codec, pixel_format = ("gif", "rgb8") if name == "a.gif" else ("libx264", "yuv420p")
    path = make(tmp_path / name, codec, num_frames, rate=10, pixel_format=pixel_format)
    video, frames = read(path)
    assert video.info.fps == 10
    assert seconds(frames) == [index / 10 for index in range(num_frames)]


def test_real_clips_are_even_and_whole(footage: Path) -> None:
    clips = sorted((footage / "dev").glob("*.mp4"))
    assert clips
    for path in clips:
        video, frames = read(path)
        assert len(frames) == video.info.num_frames
        times = np.arange(len(frames)) / float(video.info.fps)
        np.testing.assert_allclose(seconds(frames), times, atol=1e-3)


def test_frames_dropped_while_recording_leave_a_gap(tmp_path: Path) -> None:
    times = [0, 1, 2, 5, 6, 7, 10, 11]
    _, frames = read(make(tmp_path / "a.avi", "mpeg4", times=times, images=drawn(8)))
    np.testing.assert_allclose(seconds(frames), np.array(times) / 25, atol=1e-5)
    mostly = [*range(20), *range(21, 40)]  # one in forty lost: still 25 a second
    path = make(tmp_path / "a.mkv", "ffv1", times=mostly, images=drawn(12) * 3 + drawn(3))
    video, frames = read(path)
    assert video.info.fps == 25
    np.testing.assert_allclose(seconds(frames), np.array(mostly) / 25, atol=1e-5)


@pytest.mark.parametrize(("shift", "kept", "start"), [(-5, 20, 0), (75, 25, 3)])
def test_edit_lists_are_obeyed(tmp_path: Path, shift: int, kept: int, start: int) -> None:
    path = tmp_path / "b.mp4"
    source = make(tmp_path / "a.mp4", num_frames=25)
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                ticks = round(shift / 25 / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = stream
                out.mux(packet)
    video, frames = read(path)
    assert distance(frames, drawn(25)[-kept:]) < 8
    assert (video.start, video.notes) == (start, [])
    np.testing.assert_allclose(seconds(frames), np.arange(kept) / 25, atol=1e-5)


def ticks(times: Sequence[float | None], fps: int = 25, even: bool = False) -> list[float]:
    """Milliseconds that a clock gives to items of these times in milliseconds."""
    clock: InputClock[int] = InputClock(Rate(Fraction(fps), even), Fraction(0))
    given = []
    for index, time in enumerate(times):
        exact = None if time is None else Fraction(time) / 1000
        given += list(clock.push(index, exact))
    given += list(clock.finish())
    assert [item for item, _ in given] == list(range(len(times)))
    values = [value for _, value in given]
    assert all(a < b for a, b in pairwise(values))
    return [round(value / 90, 1) for value in values]


def test_a_clock_makes_sense_of_any_times() -> None:
    assert ticks([0, 40, 80, 120]) == [0, 40, 80, 120]
    assert ticks([0, 40, 40, 120]) == [0, 40, 80, 120]  # repeated: evenly between
    assert ticks([0, 90, 60, 120]) == [0, 90, 105, 120]  # backward
    assert ticks([0, None, None, 120]) == [0, 40, 80, 120]
    assert ticks([None] * 30) == [40 * index for index in range(30)]
    assert ticks([0, 40, None]) == [0, 40, 80]
    assert ticks([0, 40, 5000, 5040]) == [0, 40, 5000, 5040]  # a gap is a gap
    assert ticks([5000 - 5000, 2000, 0, 40]) == [0, 2000, 2040, 2080]  # set back
    assert ticks([0, 40, 10**8, 10**8 + 40]) == [0, 40, 80, 120]  # set ahead by a day
    assert ticks([0, 33, 67, 100], 30, True) == [0, 33.3, 66.7, 100]
    assert ticks([0, 33, 67, 100], 30) == [0, 33, 67, 100]
    assert len(ticks([7] * 40)) == 40


@pytest.mark.parametrize("fps", ["24000/1001", "25", "30000/1001", "12.5", "29.95", "120", "1/3"])
@pytest.mark.parametrize("unit", [Fraction(1, 1000), Fraction(1, 90_000)])
def test_the_rate_is_found_from_times_alone(fps: str, unit: Fraction) -> None:
    rate = Fraction(fps)
    times = [round(index / rate / unit) * unit for index in range(240)]
    found = nominal_rate(times, StatedRate(None), None)
    assert found.even and abs(found.fps / rate - 1) < Fraction(1, 100_000)
    assert fps == "29.95" or found.fps == rate
    uneven = [time + index % 3 * Fraction(1, 100) for index, time in enumerate(times)]
    assert not nominal_rate(uneven, StatedRate(rate), None).even
