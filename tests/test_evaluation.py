"""Comparisons of videos against plain formulas, and what cannot be compared."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import bitstream
from dsaecodec import evaluation
from dsaecodec.codec import Decoder
from dsaecodec.draw import moving_layers
from dsaecodec.errors import BitstreamError, InputVideoError, ModelError, UsageError
from dsaecodec.evaluation import compare, format_comparison
from dsaecodec.metrics import ms_ssim
from dsaecodec.video import Frame420, VideoInfo, VideoWriter, frame_to_rgb, rgb_to_420

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, NUM_FRAMES = 162, 170, 3
INFO = VideoInfo(WIDTH, HEIGHT, Fraction(25))


def drawn(num_frames: int = NUM_FRAMES, height: int = HEIGHT, width: int = WIDTH) -> list[Frame420]:
    return [rgb_to_420(rgb) for rgb in moving_layers(num_frames, height, width, seed=7)]


def noisy(frames: list[Frame420]) -> list[Frame420]:
    rng = np.random.default_rng(0)

    def worse(plane: np.ndarray, t: int) -> np.ndarray:
        return np.clip(plane + rng.normal(0, 2 + 5 * t, plane.shape), 0, 255).astype(np.uint8)

    return [Frame420(*(worse(p, t) for p in frame.planes)) for t, frame in enumerate(frames)]


def write(path: Path, frames: list[Frame420], info: VideoInfo | None = None) -> Path:
    height, width = frames[0].y.shape
    info = info or replace(INFO, height=height, width=width)
    with VideoWriter(path, info) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def plain_psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return 20 * math.log10(255 / math.sqrt(error))


def test_figures_equal_plain_formulas(tmp_path: Path) -> None:
    originals = drawn()
    others = noisy(originals)
    done: list[int] = []
    found = compare(
        write(tmp_path / "a.y4m", originals),
        write(tmp_path / "b.mkv", others),
        progress=done.append,
    )
    assert (found.frames, found.width, found.height) == (NUM_FRAMES, WIDTH, HEIGHT)
    assert done == [1, 2, 3] and found.notes == ()
    for a, b, quality in zip(originals, others, found.per_frame, strict=True):
        rgb = frame_to_rgb(a), frame_to_rgb(b)
        y, u, v = (plain_psnr(p, q) for p, q in zip(a.planes, b.planes, strict=True))
        assert quality.rgb_psnr_db == pytest.approx(plain_psnr(*rgb))
        assert quality.yuv611_psnr_db == pytest.approx(0.75 * y + 0.125 * u + 0.125 * v)
        assert quality.ms_ssim == ms_ssim(*rgb)
    each = np.array(found.per_frame, dtype=np.float64)
    means = [found.rgb_psnr_db, found.yuv611_psnr_db, found.ms_ssim]
    assert means == pytest.approx(each.mean(0))
    assert each[0, 0] > each[2, 0] + 5  # the mean over frames is not the PSNR of the mean error
    assert (found.file_bytes, found.latent_bytes, found.bpp) == (None, None, None)


def test_identical_videos(tmp_path: Path) -> None:
    path = write(tmp_path / "a.y4m", drawn())
    found = compare(path, path)
    assert (found.rgb_psnr_db, found.yuv611_psnr_db) == (100.0, 100.0)
    assert found.ms_ssim == pytest.approx(1.0, abs=1e-6)


def test_small_frames_have_no_ms_ssim(tmp_path: Path) -> None:
    path = write(tmp_path / "a.y4m", drawn(2, 20, 200))
    found = compare(path, path)
    assert found.ms_ssim is None and found.per_frame[1].ms_ssim is None
    assert len(found.notes) == 1 and "MS-SSIM" in found.notes[0]
    assert found.rgb_psnr_db == 100.0


def test_planes_of_other_colours_are_not_compared(tmp_path: Path) -> None:
    rgb = list(moving_layers(2, 32, 40))
    info = VideoInfo(40, 32, Fraction(25))
    paths = []
    for matrix, full in ((1, False), (6, False), (5, False), (1, True)):
        frames = [rgb_to_420(frame, matrix, full) for frame in rgb]
        path = tmp_path / f"{matrix}{full}.mkv"
        paths.append(write(path, frames, replace(info, matrix=matrix, full_range=full)))
    bt709, bt601, bt601_of_europe, full_range = paths
    for other in (bt601, full_range):
        found = compare(bt709, other)
        assert found.rgb_psnr_db > 38  # the pictures are the same
        assert found.yuv611_psnr_db is None and found.per_frame[0].yuv611_psnr_db is None
        assert any("YUV" in note for note in found.notes)
    same = compare(bt601, bt601_of_europe)  # one matrix with two codes
    assert same.yuv611_psnr_db == same.rgb_psnr_db == 100.0


def test_sizes_must_agree(tmp_path: Path) -> None:
    a = write(tmp_path / "a.y4m", drawn(1, 20, 24))
    b = write(tmp_path / "b.y4m", drawn(1, 24, 20))
    with pytest.raises(UsageError, match=r"a\.y4m is 24x20, .*b\.y4m 20x24"):
        compare(a, b)


def test_numbers_of_frames_must_agree_unless_limited(tmp_path: Path) -> None:
    frames = drawn(7, 20, 24)
    seven = write(tmp_path / "seven.y4m", frames)
    four = write(tmp_path / "four.y4m", frames[:4])
    for pair in ((seven, four), (four, seven)):
        with pytest.raises(UsageError, match=r"seven\.y4m has 7 frames, .*four\.y4m 4") as caught:
            compare(*pair)
        assert "--frames 4" in str(caught.value.hint)
        assert compare(*pair, num_frames=4).frames == 4
        assert compare(*pair, num_frames=2).frames == 2
        with pytest.raises(UsageError, match=r"seven\.y4m has 6 frames or more, .*four\.y4m 4"):
            compare(*pair, num_frames=6)
    assert compare(four, four, num_frames=9).frames == 4
    with pytest.raises(UsageError, match="0 frames"):
        compare(four, four, num_frames=0)


@pytest.fixture(scope="module")
def decoded(golden_compact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames of the compact golden stream, as a video."""
    with open(golden_compact, "rb") as file:
        decoder = Decoder(file, device="cpu", threads=1)
        frames = list(decoder)
    folder = tmp_path_factory.mktemp("decoded")
    return write(folder / "decoded.mkv", frames, decoder.info)


def test_a_stream_is_decoded_and_its_rate_is_counted(golden_compact: Path, decoded: Path) -> None:
    found = compare(decoded, golden_compact, device="cpu", threads=1)
    size = golden_compact.stat().st_size
    header, (gop,) = bitstream.split(golden_compact.read_bytes())
    assert found.rgb_psnr_db == found.yuv611_psnr_db == 100.0
    assert found.frames == gop.num_frames and found.file_bytes == size
    assert found.latent_bytes == len(gop.content) + sum(len(s.payload) for s in gop.segments)
    assert found.bpp == 8 * size / (gop.num_frames * header.height * header.width)
    part = compare(decoded, golden_compact, num_frames=1, device="cpu", threads=1)
    assert part.frames == 1 and part.bpp == found.bpp  # the rate is the whole file's


def test_sound_counts_in_the_file_but_not_in_the_latents(
    golden_compact: Path, decoded: Path, tmp_path: Path
) -> None:
    silent = compare(decoded, golden_compact, num_frames=1, device="cpu")
    assert silent.sound_bytes == 0 and "sound" not in format_comparison(silent)
    header, (gop,) = bitstream.split(golden_compact.read_bytes())
    header = replace(header, sound=bitstream.SoundTrack("opus", 48_000, 1))
    gop = replace(gop, sound=(bitstream.SoundPacket(0, 960, b"s" * 123),))
    path = tmp_path / "loud.dsz"
    path.write_bytes(bitstream.join(header, [gop]))
    found = compare(decoded, path, num_frames=1, device="cpu")
    assert found.sound_bytes == 123 and found.latent_bytes == silent.latent_bytes
    assert found.file_bytes == path.stat().st_size
    assert found.bpp == pytest.approx(8 * found.file_bytes / (gop.num_frames * 64 * 64))
    assert "123 sound" in format_comparison(found)


def test_a_stream_of_the_first_frames(golden_compact: Path, tmp_path: Path) -> None:
    """As `encode --frames` makes it; and the other way round."""
    count = bitstream.scan(golden_compact.open("rb")).num_frames
    longer = write(tmp_path / "longer.y4m", drawn(count + 2, 64, 64))
    message = rf"longer\.y4m has {count + 2} frames, .*{golden_compact.name} {count}"
    with pytest.raises(UsageError, match=message):
        compare(longer, golden_compact, device="cpu")
    found = compare(longer, golden_compact, num_frames=count, device="cpu")
    assert found.frames == count
    shorter = write(tmp_path / "shorter.y4m", drawn(1, 64, 64))
    message = rf"{golden_compact.name} has {count} frames, .*shorter\.y4m 1"
    with pytest.raises(UsageError, match=message):
        compare(shorter, golden_compact, device="cpu")


def test_a_stream_may_have_any_name(golden_compact: Path, decoded: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.bin"
    path.write_bytes(golden_compact.read_bytes())
    assert compare(decoded, path, num_frames=1, device="cpu").file_bytes == path.stat().st_size


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes(golden_compact: Path, tmp_path: Path) -> None:
    video = write(tmp_path / "a.y4m", drawn(2, 20, 24))
    for name, source in (("pipe", video), ("pipe.dsz", golden_compact)):
        os.mkfifo(tmp_path / name)
        writer = threading.Thread(target=feed, args=(tmp_path / name, source.read_bytes()))
        writer.start()
        if name == "pipe":
            assert compare(video, tmp_path / name).frames == 2
        else:
            with pytest.raises(BitstreamError, match=r"pipe\.dsz: is a pipe"):
                compare(video, tmp_path / name)
        writer.join(timeout=10)
        assert not writer.is_alive()


def feed(pipe: Path, data: bytes) -> None:
    with suppress(BrokenPipeError):
        pipe.write_bytes(data)


def test_damage_is_named_before_a_frame_is_compared(
    golden: Path, decoded: Path, tmp_path: Path
) -> None:
    data = bytearray(golden.read_bytes())
    data[-20] ^= 1
    damaged = tmp_path / "damaged.dsz"
    damaged.write_bytes(data)
    done: list[int] = []
    with pytest.raises(BitstreamError, match=r"damaged\.dsz: "):
        compare(decoded, damaged, progress=done.append)
    assert done == []
    with pytest.raises(BitstreamError, match=r"none\.dsz: cannot be read"):
        compare(decoded, tmp_path / "none.dsz")
    with pytest.raises(InputVideoError, match=r"none\.mp4: no such file"):
        compare(tmp_path / "none.mp4", golden)
    with pytest.raises(InputVideoError, match=r"none\.mp4: no such file"):
        compare(decoded, tmp_path / "none.mp4")


def test_a_missing_model_is_refused_before_pytorch_is_loaded(
    golden_compact: Path, decoded: Path, tmp_path: Path
) -> None:
    header, gops = bitstream.split(golden_compact.read_bytes())
    path = tmp_path / "other.dsz"
    path.write_bytes(bitstream.join(replace(header, model=b"\1\2\3\4"), gops))
    with pytest.raises(ModelError, match=r"other\.dsz: .*01020304"):
        compare(decoded, path)
    code = f"""
import sys
from dsaecodec.errors import ModelError
from dsaecodec.evaluation import compare
try:
    compare({str(decoded)!r}, {str(path)!r})
except ModelError:
    print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["False"], done.stderr


class WatchedVideo:
    """Stands for an open video; knows how many of its frames are in memory."""

    alive: set[int] = set()
    most = 0

    def __init__(self, source: object, rgb: bool = False) -> None:
        self.info = replace(INFO, width=16, height=16)

    def __enter__(self) -> WatchedVideo:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def __iter__(self) -> Iterator[Frame420]:
        for t in range(12):
            frame = rgb_to_420(np.full((16, 16, 3), 10 * t, np.uint8))
            self.alive.add(id(frame.y))
            weakref.finalize(frame.y, self.alive.discard, id(frame.y))
            WatchedVideo.most = max(self.most, len(self.alive))
            yield frame


def test_frames_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long clip needs no more memory than a short one."""
    monkeypatch.setattr(evaluation, "open_video", WatchedVideo)
    assert compare("a", "b").frames == 12
    assert 2 <= WatchedVideo.most <= 6  # of 24


def test_json_and_table(tmp_path: Path, golden_compact: Path, decoded: Path) -> None:
    found = compare(decoded, golden_compact, device="cpu")
    facts = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert facts["ms_ssim"] is None and facts["rgb_psnr_db"] == 100.0
    assert facts["reference"] == str(decoded) and facts["test"] == str(golden_compact)
    assert "per_frame" not in facts and len(facts["notes"]) == 1
    whole = json.loads(json.dumps(found.as_dict(per_frame=True), allow_nan=False))
    assert whole.pop("per_frame") == [quality._asdict() for quality in found.per_frame]
    assert whole == facts
    table = format_comparison(found)
    for part in (f"{found.frames} frames", "100.00 dB", f"{found.bpp:.4f} bpp", found.notes[0]):
        assert part in table
    lines = format_comparison(found, per_frame=True).splitlines()
    rows = lines[-found.frames :]
    assert [int(row.split()[0]) for row in rows] == list(range(found.frames))
    assert all("100.00 dB" in row and row.rstrip().endswith("-") for row in rows)
    path = write(tmp_path / "a.y4m", drawn(1, 20, 24))
    assert "bpp" not in format_comparison(compare(path, path))
