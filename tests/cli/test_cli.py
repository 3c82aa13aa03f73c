"""The command line as one file goes through it: options, reports, notes, sound, parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import dsaecodec
from bitstream import StreamReader
from dsaecodec.cli import main
from dsaecodec.limits import Limits
from dsaecodec.video import Frame420, VideoInfo, VideoWriter, open_video
from tests.cli.conftest import HEIGHT, NUM_FRAMES, WIDTH
from tests.cli.fake_codec import EncodeOptions, Engine


def read_all(path: Path) -> list[Frame420]:
    with open_video(path) as video:
        return list(video)


def assert_same(a: list[Frame420], b: list[Frame420]) -> None:
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        for one, other in zip(left.planes, right.planes, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_clip_there_and_back(
    engine: Engine, clip: Path, frames: list[Frame420], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(clip)]) == 0
    line = capsys.readouterr().err
    assert f"{NUM_FRAMES} frames" in line and "kb/s" in line and line.count("\n") == 1
    assert main(["decode", str(clip.with_suffix(".dsz"))]) == 0
    assert len(read_all(clip.with_name("clip.decoded.mp4"))) == NUM_FRAMES
    exact = clip.with_name("exact.mkv")
    assert main(["decode", str(clip.with_suffix(".dsz")), "-o", str(exact)]) == 0
    assert_same(read_all(exact), frames)


def test_every_option_reaches_the_engine(engine: Engine, clip: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out.dsz")
    options = ["--gop", "7", "--threads", "2", "--device", "cpu", "--model", "m", "-q", "13"]
    options += ["--max-memory", "3G", "--resilient", "5"]
    assert main(["encode", str(clip), "-o", out, "--preset", "fast", *options]) == 0
    limits = {"max_memory": 3 * 10**9, "resilient": 5}
    assert engine.options == EncodeOptions(13, 7, 2, "cpu", "m", "fast", **limits)
    engine_options = ["--threads", "2", "--device", "cpu", "--model", "m"]
    engine_options += ["--max-pixels", "2000", "--max-frames", "9", "--max-memory", "1GiB"]
    allowed = Limits(2000, 9, 2**30)
    expected = {"threads": 2, "device": "cpu", "model": "m", "limits": allowed}
    assert main(["decode", out, "--conceal", *engine_options]) == 0
    assert engine.keywords == expected | {"conceal": True}
    assert main(["decode", out, "-y", *engine_options]) == 0
    assert engine.keywords == expected
    engine.keywords = {}
    assert main(["verify", out, *engine_options]) == 0
    assert engine.keywords == expected
    assert engine.models == [("m", None), ("m", None), *[("m", b"fake")] * 3]


def test_frames_limits_the_length(
    engine: Engine, clip: Path, frames: list[Frame420], tmp_path: Path
) -> None:
    out = tmp_path / "out.dsz"
    assert main(["encode", str(clip), "-o", str(out), "--frames", "2"]) == 0
    assert main(["decode", str(out), "-o", str(tmp_path / "out.y4m")]) == 0
    assert_same(read_all(tmp_path / "out.y4m"), frames[:2])


def test_a_part_is_decoded(
    engine: Engine, clip: Path, frames: list[Frame420], tmp_path: Path
) -> None:
    assert main(["encode", str(clip)]) == 0
    part = tmp_path / "part.y4m"
    options = ["-o", str(part), "--start", "0:00.08", "--frames", "2"]
    assert main(["decode", str(clip.with_suffix(".dsz")), *options]) == 0
    assert_same(read_all(part), frames[2:4])


def test_a_part_does_not_read_the_whole(engine: Engine, clip: Path, tmp_path: Path) -> None:
    assert main(["encode", str(clip)]) == 0
    coded = clip.with_suffix(".dsz")
    coded.write_bytes(coded.read_bytes()[:-20])
    part = tmp_path / "part.y4m"
    assert main(["decode", str(coded), "-o", str(part)]) == 4
    assert main(["decode", str(coded), "-o", str(part), "--frames", "2"]) == 0
    assert len(read_all(part)) == 2


def test_fps_is_taken_for_the_rate(engine: Engine, clip: Path) -> None:
    assert main(["encode", str(clip), "--fps", "29.97"]) == 0
    with open(clip.with_suffix(".dsz"), "rb") as coded:
        assert StreamReader(coded).header.fps == Fraction(30000, 1001)


def test_json_reports(
    engine: Engine, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.dsz"
    assert main(["encode", str(clip), "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == out.stat().st_size
    assert told["bpp"] == pytest.approx(8 * told["bytes"] / (NUM_FRAMES * HEIGHT * WIDTH))
    assert told["kbps"] == pytest.approx(8 * told["bytes"] / (NUM_FRAMES / 25) / 1000)
    assert told["notes"] == []
    assert main(["info", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frames"] == NUM_FRAMES and facts["quality"] == [50, 50]
    assert facts["seconds"] == pytest.approx(NUM_FRAMES / 25)
    parts = ("content_bytes", "dynamics_bytes", "sound_bytes", "overhead_bytes")
    assert sum(facts[part] for part in parts) == facts["bytes"] == out.stat().st_size
    assert main(["decode", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == NUM_FRAMES
    assert main(["verify", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["symbols"] == "5" * 64


def test_verify_knows_what_to_expect(
    engine: Engine, stream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(stream), "--expect", "5" * 64]) == 0
    assert main(["verify", str(stream), "--expect", "6" * 64]) == 6
    assert f"symbols {'5' * 64}, expected {'6' * 64}" in capsys.readouterr().err


def test_preset_slow_says_what_it_gained(
    engine: Engine, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(clip), "--preset", "slow"]) == 0
    assert "7.0%" in capsys.readouterr().err
    assert main(["encode", str(clip), "-y"]) == 0
    assert "%" not in capsys.readouterr().err


def test_quiet_says_nothing(engine: Engine, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(clip), "--quiet"]) == 0
    assert main(["decode", str(clip.with_suffix(".dsz")), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_an_existing_output_needs_y(
    engine: Engine, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = clip.with_suffix(".dsz")
    out.write_bytes(b"precious")
    assert main(["encode", str(clip)]) == 2
    assert "-y" in capsys.readouterr().err
    assert out.read_bytes() == b"precious"
    assert main(["encode", str(clip), "-y"]) == 0
    assert out.read_bytes() != b"precious"
    assert main(["encode", str(clip), "-o", str(clip), "-y"]) == 2


def test_notes_are_printed_and_listed(
    engine: Engine, draw_clip: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    odd = draw_clip("odd.y4m", width=21)
    assert main(["encode", str(odd)]) == 0
    capsys.readouterr()
    coded, out = str(odd.with_suffix(".dsz")), str(odd.with_suffix(".mp4"))
    assert main(["decode", coded, "-o", out]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(out)
    assert lines[1].startswith("note: ") and "4:4:4" in lines[1]
    assert main(["decode", coded, "-o", out, "-y", "--json"]) == 0
    captured = capsys.readouterr()
    assert [f"note: {note}" for note in json.loads(captured.out)["notes"]] == lines[1:]
    assert captured.err == ""
    assert main(["decode", coded, "-o", out, "-y", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def write_with_tone(path: Path, seconds: int = 1) -> None:
    """A video with a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.options = {"level": "3", "slices": "1"}
        audio = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        for index in range(25 * seconds):
            picture = np.full((HEIGHT, WIDTH, 3), 5 * index % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        times = np.arange(48000 * seconds) / 48000
        tone = (9000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)[None]
        sound = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        sound.sample_rate = 48000
        container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())


def sound_of(path: Path) -> tuple[list[str], float]:
    """Codecs of the sound tracks, and how long the sound is, in seconds."""
    with av.open(str(path)) as container:
        codecs = [stream.codec_context.name for stream in container.streams.audio]
        samples = sum(f.samples for f in container.decode(audio=0)) if codecs else 0
        return codecs, samples / 48000


def test_sound_goes_along(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, coded, out = (tmp_path / name for name in ("in.mkv", "out.dsz", "out.mkv"))
    write_with_tone(source)
    assert main(["encode", str(source), "-o", str(coded)]) == 0
    assert main(["info", str(coded), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sound"]["codec"] == "opus" and facts["sound"]["channels"] == 1
    assert 32_000 * 0.5 < 8 * facts["sound_bytes"] < 32_000 * 1.5
    assert main(["info", str(coded)]) == 0
    assert "opus" in capsys.readouterr().out
    assert main(["decode", str(coded), "-o", str(out)]) == 0
    codecs, seconds = sound_of(out)
    assert codecs == ["opus"] and seconds == pytest.approx(1, abs=0.1)
    assert main(["encode", str(source), "-o", str(coded), "-y", "--audio", "none"]) == 0
    assert main(["decode", str(coded), "-o", str(out), "-y"]) == 0
    assert sound_of(out)[0] == []


def test_info_prints_a_table(
    stream: Path, run: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(stream)]) == 0
    table = capsys.readouterr().out
    assert f"{WIDTH}x{HEIGHT}, 25 fps, BT.709" in table
    assert f"{NUM_FRAMES} frames" in table and "0.20 s" in table


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert "natural" in [model["name"] for model in listed]
    for model in listed:
        path = Path(model["path"])
        assert path.stat().st_size == model["num_bytes"]
    assert main(["models"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == len(listed) + 1
    for model, line in zip(listed, table[1:], strict=True):
        assert all(str(model[part]) in line for part in ("name", "identity", "licence", "path"))


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["dsaecodec", dsaecodec.__version__]
    for command in ("encode", "decode", "info", "verify", "eval", "models"):
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "examples:" in text
        assert all(len(line) <= 100 for line in text.splitlines())


def test_eval_prints_a_table_and_json(
    clip: Path, frames: list[Frame420], capsys: pytest.CaptureFixture[str]
) -> None:
    mp4 = clip.with_suffix(".mp4")
    with VideoWriter(mp4, VideoInfo(WIDTH, HEIGHT, Fraction(25))) as writer:
        for frame in frames:
            writer.write(frame)
    assert main(["eval", str(clip), str(mp4), "--json", "--per-frame", "--frames", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == len(told["per_frame"]) == 3
    assert 30 < told["rgb_psnr_db"] < 60
    assert main(["eval", str(clip), str(mp4)]) == 0
    table = capsys.readouterr().out
    assert "PSNR RGB" in table and f"{NUM_FRAMES} frames" in table
    assert main(["eval", str(clip), str(clip), "--json"]) == 0
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
