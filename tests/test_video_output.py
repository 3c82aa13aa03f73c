"""Video files written: times, tags, shapes, and what happens when the disk has other plans."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dsaecodec.errors import OutputError, UsageError
from dsaecodec.video import Frame420, VideoInfo, VideoWriter, ebml, frame_to_rgb, open_video

CONTAINERS = [".mp4", ".mov", ".mkv", ".webm"]
EVERYTHING = [*CONTAINERS, ".y4m", "/%05d.png"]


def grey(level: int, height: int = 48, width: int = 64, ticks: int | None = None) -> Frame420:
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return Frame420(np.full((height, width), level, np.uint8), chroma, chroma, ticks)


def ramp(count: int, height: int = 48, width: int = 64) -> list[Frame420]:
    return [grey(16 + 5 * index, height, width) for index in range(count)]


def describe(fps: str = "25", height: int = 48, width: int = 64, **fields: object) -> VideoInfo:
    return VideoInfo(width, height, Fraction(fps), **fields)  # type: ignore[arg-type]


def write(path: Path, frames: Sequence[Frame420], info: VideoInfo) -> list[str]:
    with VideoWriter(path, info) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.notes


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("fps", ["25", "30000/1001", "1/2", "240"])
def test_a_file_lasts_as_long_as_its_frames(tmp_path: Path, suffix: str, fps: str) -> None:
    assert write(tmp_path / f"clip{suffix}", ramp(7), describe(fps)) == []
    expected = 7 / Fraction(fps)
    with av.open(str(tmp_path / f"clip{suffix}")) as container:
        video = container.streams.video[0]
        assert video.average_rate == Fraction(fps)
        assert abs(Fraction(container.duration or 0, 10**6) - expected) < Fraction(1, 1000)
        if suffix in (".mp4", ".mov"):
            assert video.duration is not None and video.duration * video.time_base == expected
        frames = list(container.decode(video))
    assert [frame.pts * frame.time_base for frame in frames] == pytest.approx(
        [index / Fraction(fps) for index in range(7)], abs=1e-3
    )
    levels = [int(frame.to_ndarray()[24, 32]) for frame in frames]
    assert levels == pytest.approx([16 + 5 * index for index in range(7)], abs=1)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_frames_are_shown_at_their_ticks(tmp_path: Path, suffix: str) -> None:
    ticks = [0, 3000, 9000, 9450, 99000, 102000, 103501]
    frames = [grey(16 + 20 * index, ticks=tick) for index, tick in enumerate(ticks)]
    assert write(tmp_path / f"clip{suffix}", frames, describe("6")) == []
    with av.open(str(tmp_path / f"clip{suffix}")) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        ends = Fraction(container.duration or 0, 10**6)
    tolerance = 0.0 if suffix in (".mp4", ".mov") else 0.0006  # Matroska counts milliseconds
    assert [float(time) for time in times] == pytest.approx(
        [tick / 90000 for tick in ticks], abs=tolerance + 1e-9
    )
    assert ends > times[-1]


@pytest.mark.parametrize("rate", ["25", "24000/1001", "30000/1001"])
def test_even_frames_and_timed_ones_mix(tmp_path: Path, rate: str) -> None:
    """A stream may state times of some GOPs only."""
    frames = [grey(50), grey(100), grey(150, ticks=50000), grey(200, ticks=50001)]
    write(tmp_path / "clip.mp4", frames, describe(rate))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    expected = [0, 1 / Fraction(rate), Fraction(50000, 90000), Fraction(50001, 90000)]
    assert times == expected


@pytest.mark.parametrize("suffix", EVERYTHING)
def test_even_ticks_need_no_word(tmp_path: Path, suffix: str) -> None:
    frames = [grey(100, ticks=round(index * 90000 * 1001 / 30000)) for index in range(4)]
    assert write(tmp_path / f"clip{suffix}", frames, describe("30000/1001")) == []


@pytest.mark.parametrize("suffix", [".y4m", "/%05d.png"])
def test_what_cannot_hold_times_says_so_once(tmp_path: Path, suffix: str) -> None:
    frames = [grey(100, ticks=tick) for tick in (0, 3000, 9000, 9450)]
    (note,) = write(tmp_path / f"clip{suffix}", frames, describe("25"))
    assert "times" in note


def test_ticks_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for ticks in ([0, 100, 100], [0, 100, 50], [None, 50, 50]):
        with pytest.raises(ValueError, match="frame"):
            write(tmp_path / "clip.mkv", [grey(9, ticks=tick) for tick in ticks], describe())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize(("matrix", "primaries", "transfer"), [(1, 1, 1), (5, 5, 6), (6, 6, 6)])
@pytest.mark.parametrize("full_range", [False, True])
def test_colour_is_tagged(
    tmp_path: Path, suffix: str, matrix: int, primaries: int, transfer: int, full_range: bool
) -> None:
    path = tmp_path / f"clip{suffix}"
    write(path, ramp(2), describe(matrix=matrix, full_range=full_range))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tags = context.colorspace, context.color_range
        assert tags == (matrix, 2 if full_range else 1)
        assert (context.color_primaries, context.color_trc) == (primaries, transfer)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_stream_itself_is_tagged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    write(path, ramp(2), describe(matrix=6, full_range=True))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        bare = av.CodecContext.create(stream.codec_context.codec.name, "r")
        if suffix == ".mp4":
            bare.extradata = stream.codec_context.extradata
        frames = [
            frame
            for packet in container.demux(stream)
            for frame in bare.decode(av.Packet(bytes(packet)) if packet.size else None)
        ]
    assert (int(frames[0].colorspace), int(frames[0].color_range)) in [(6, 2), (5, 2)]


@pytest.mark.parametrize("suffix", [*CONTAINERS, ".y4m"])
def test_the_shape_of_pixels_is_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    write(path, ramp(2), describe(sample_aspect=Fraction(16, 11)))
    with av.open(str(path)) as container:
        aspect = container.streams.video[0].sample_aspect_ratio
    assert float(aspect) == pytest.approx(16 / 11, rel=0.01)
    if suffix != ".webm":
        assert aspect == Fraction(16, 11)


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
def test_marking_the_shape_leaves_a_matroska_file_in_order(tmp_path: Path, suffix: str) -> None:
    packets = []
    for aspect in (Fraction(1), Fraction(3, 4)):
        path = tmp_path / f"clip{suffix}"
        with VideoWriter(path, describe(sample_aspect=aspect), overwrite=True) as writer:
            for frame in ramp(30):
                writer.write(frame)
        with av.open(str(path)) as container:
            found = [(p.pts, p.pos, bytes(p)) for p in container.demux(video=0) if p.size]
        packets.append([packet[: 2 if suffix == ".mkv" else 3] for packet in found])
    assert packets[0] == packets[1]
    data = path.read_bytes()
    _, segment, end = ebml.unpack_head(data, ebml.unpack_head(data, 0)[2])
    assert end == len(data)
    elements = ebml.unpack_list(data[segment:])
    names = [element.identifier for element in elements]
    assert names[:4] == [0x114D9B74, 0xEC, 0x1549A966, 0x1654AE6B]
    for element in elements:
        if element.identifier in (0x114D9B74, 0x1654AE6B) and element.body[0] == 0xBF:
            assert element.body[2:6] == zlib.crc32(element.body[6:]).to_bytes(4, "little")
    for entry in ebml.unpack_list(elements[0].body):
        if entry.identifier == 0x4DBB:  # where it says an element is, it is
            fields = dict(ebml.unpack_list(entry.body))
            at = segment + int.from_bytes(fields[0x53AC], "big")
            assert ebml.unpack_head(data, at)[0] == int.from_bytes(fields[0x53AB], "big")


@pytest.mark.parametrize("suffix", EVERYTHING)
def test_a_video_without_frames_is_written_without_fuss(tmp_path: Path, suffix: str) -> None:
    assert write(tmp_path / f"clip{suffix}", [], describe()) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_pictures_are_the_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = (17, 33), (9, 17), (9, 17)
    frames = [
        Frame420(*(rng.integers(0, 256, shape, np.uint8) for shape in shapes)) for _ in range(3)
    ]
    info = describe(height=17, width=33, matrix=6, full_range=True)
    write(tmp_path / "out" / "shot%03d.png", frames, info)
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["shot000.png", "shot001.png", "shot002.png"]
    for name, frame in zip(names, frames, strict=True):
        with av.open(str(tmp_path / "out" / name)) as picture:
            decoded = next(picture.decode(video=0)).to_ndarray(format="rgb24")
        np.testing.assert_array_equal(decoded, frame_to_rgb(frame, 6, True))


def test_a_folder_of_pictures_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder, info = tmp_path / "out", describe()
    with pytest.raises(KeyboardInterrupt), VideoWriter(f"{folder}/", info) as writer:
        writer.write(grey(0))
        assert not folder.exists()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    write(folder / "%05d.png", ramp(3), info)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(OutputError, match="exists"):
        VideoWriter(f"{folder}/", info)
    with pytest.raises(KeyboardInterrupt), VideoWriter(f"{folder}/", info, overwrite=True) as out:
        out.write(grey(99))
        raise KeyboardInterrupt
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    with VideoWriter(f"{folder}/", info, overwrite=True) as writer:
        writer.write(grey(0))
    assert [file.name for file in folder.iterdir()] == ["00000.png"]  # none of the old ones
    (folder / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        VideoWriter(f"{folder}/", info, overwrite=True)


def test_wrong_names(tmp_path: Path) -> None:
    info = describe()
    with pytest.raises(UsageError, match=r"\.mp4, \.mov, \.mkv, \.webm, \.y4m, \.png"):
        VideoWriter(tmp_path / "clip.gif", info)
    for name in ("one.png", "%05d%d.png", "%s.png", "%999d.png"):
        with pytest.raises(UsageError, match="picture"):
            VideoWriter(tmp_path / "out" / name, info)
    for name in ("no/such/clip.mp4", "no/such/clip.y4m", "no/such/%d.png"):
        with pytest.raises(OutputError, match="folder"):
            VideoWriter(tmp_path / name, info)
    assert list(tmp_path.iterdir()) == []


WRITE = """
import resource, signal, sys
from fractions import Fraction
import numpy as np
from dsaecodec.errors import OutputError
from dsaecodec.video import ebml
from dsaecodec.video import Frame420, VideoInfo, VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rng = np.random.default_rng(0)
noise = lambda *shape: rng.integers(0, 256, shape, np.uint8)
try:
    with VideoWriter(sys.argv[1], VideoInfo(128, 96, Fraction(25))) as writer:
        for _ in range(8):
            writer.write(Frame420(noise(96, 128), noise(48, 64), noise(48, 64)))
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("suffix", EVERYTHING)
def test_a_full_disk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", WRITE, path], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout and str(path.parent) in done.stdout
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", EVERYTHING)
def test_a_folder_that_vanishes(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(OutputError, match="cannot be written"),
        VideoWriter(tmp_path / f"folder/clip{suffix}", describe()) as writer,
    ):
        writer.write(grey(0))
        shutil.rmtree(tmp_path / "folder")
        writer.write(grey(1))
        writer.write(grey(2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["", ".y4m", ".mkv", ".webm"])
def test_a_named_pipe_is_written_to(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    received = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    write(path, ramp(5), describe())
    reader.join()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    copy = tmp_path / f"copy{suffix or '.y4m'}"
    copy.write_bytes(received[0])
    with av.open(str(copy)) as container:
        assert len(list(container.decode(video=0))) == 5


def test_a_container_that_must_seek_says_so_at_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    with pytest.raises(OutputError, match="pipe"):
        VideoWriter(path, describe())


def test_a_device_is_given_y4m() -> None:
    write(Path("/dev/null"), ramp(2), describe())
    assert not os.path.isfile("/dev/null")


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_rates_beyond_what_a_container_counts(tmp_path: Path, suffix: str) -> None:
    for fps in ("2147483648", "1/2147483648", "2147483647/1000"):
        path = tmp_path / f"clip{suffix}"
        try:
            write(path, ramp(3), describe(fps))
        except OutputError as error:
            assert str(path) in str(error)
            assert list(tmp_path.iterdir()) == []
        else:
            path.unlink()


def test_webm_keeps_odd_sizes_and_is_close(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.integers(-2, 3, (33, 47)), axis=1) + 120
    frame = Frame420(smooth.astype(np.uint8), *grey(0, 33, 47).planes[1:])
    assert write(tmp_path / "clip.webm", [frame] * 3, describe(height=33, width=47)) == []
    with open_video(tmp_path / "clip.webm") as video:
        read = list(video)
    assert (video.info.height, video.info.width, len(read)) == (33, 47, 3)
    assert np.abs(read[2].y.astype(int) - frame.y).mean() < 1.5
