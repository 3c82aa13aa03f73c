"""What a stream may ask for is bounded before anything is allocated for it."""

from __future__ import annotations

import resource
import subprocess
import sys
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import dsaecodec
from bitstream import Colour, Gop, Header, Segment, join, split
from dsaecodec import limits, memory
from dsaecodec.cli import main
from dsaecodec.codec import Decoder, EncodeOptions, encode_video, verify_stream
from dsaecodec.errors import InputVideoError, LimitError
from dsaecodec.evaluation import compare
from dsaecodec.limits import Limits, decoder_bytes, encoder_bytes
from dsaecodec.model_store import find_model, identity_of
from dsaecodec.video import Frame420, VideoInfo

ROOT = Path(__file__).parents[1]


def bomb(width: int, height: int, num_frames: int = 1, num_gops: int = 1) -> bytes:
    """A valid stream of a few bytes: without coder bytes all symbols are the first of a table.

    Of a model whose contents say nothing else.
    """
    model = identity_of(find_model("natural-2").read_bytes())
    header = Header(model, width, height, Fraction(25), Colour(1, False))
    segments = (Segment(0, num_frames, b""),)
    return join(header, [Gop(50, False, num_frames, b"", segments) for _ in range(num_gops)])


def test_a_stream_of_twenty_bytes_decodes() -> None:
    data = bomb(64, 48, 3)
    assert len(data) < 24 and len(list(dsaecodec.decode(data, threads=1))) == 3


LARGE, LONG, HUNGRY = bomb(16384, 8192), bomb(32, 16, 128, 3), bomb(8192, 4096, 128)


@pytest.mark.parametrize(
    ("data", "bounds", "says"),
    [
        (LARGE, Limits(), "16384x8192 is 134217728 pixels, at most 35389440"),
        (LARGE, Limits(max_pixels=2**27, max_memory=10**10), "takes some .*G to decode, 10G are"),
        (bomb(64, 48), Limits(max_pixels=64 * 48 - 1), "3072 pixels, at most 3071"),
        (LONG, Limits(max_frames=383), "384 frames, at most 383"),
        (HUNGRY, Limits(max_memory=10**10), "8192x4096 in GOPs of .* takes some"),
        (bomb(64, 48), Limits(max_memory=10**6), "64x48 in GOPs of .* takes some 4"),
    ],
    ids=["pixels", "memory", "few pixels", "frames", "GOP", "little memory"],
)
def test_what_asks_for_too_much_is_refused_everywhere(
    data: bytes, bounds: Limits, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.dsz"
    path.write_bytes(data)
    for attempt in (
        lambda: dsaecodec.decode(data, limits=bounds),
        lambda: dsaecodec.open(path, limits=bounds),
        lambda: compare("none.mp4", path, limits=bounds),
        lambda: list(Decoder(BytesIO(data), limits=bounds)),
    ):
        with pytest.raises(LimitError, match=says) as caught:
            attempt()
        assert caught.value.exit_code == 4 and caught.value.hint


def test_a_pipe_is_bounded_as_it_is_read() -> None:
    decoder = Decoder(BytesIO(LONG), threads=1, limits=Limits(max_frames=300))
    shown = 0
    with pytest.raises(LimitError, match="384 frames, at most 300"):
        for _ in decoder:
            shown += 1
    assert shown == 256
    with pytest.raises(LimitError):
        verify_stream(BytesIO(LONG), threads=1, limits=Limits(max_frames=300))
    assert verify_stream(BytesIO(LONG), threads=1, limits=Limits(max_frames=384)).frames == 384


OPTIONS = [
    ("--max-pixels", "3071", "3072"),
    ("--max-frames", "1", "2"),
    ("--max-memory", "300M", "600M"),
]


@pytest.mark.parametrize(("option", "too_few", "enough"), OPTIONS)
def test_options_raise_and_lower_limits(
    option: str, too_few: str, enough: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "clip.dsz", str(tmp_path / "out.dsz")
    path.write_bytes(bomb(64, 48, 2))
    video = str(tmp_path / "out.y4m")
    assert main(["decode", str(path), "-o", video, "--threads", "1"]) == 0
    commands = [
        ["decode", str(path), "-y", "-o", video, "--threads", "1"],
        ["verify", str(path), "--threads", "1"],
        ["eval", video, str(path), "--threads", "1"],
        ["swap", str(path), str(path), "-y", "-o", out],
        ["sample", "--content", str(path), "--dynamics", str(path), "-y", "-o", out],
    ]
    for command in commands:
        capsys.readouterr()
        assert main([*command, option, too_few]) == 4, command
        error, hint = capsys.readouterr().err.splitlines()
        assert "clip.dsz" in error and option in hint
        assert main([*command, option, enough]) == 0, command


def test_what_is_made_is_bounded_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "clip.dsz", str(tmp_path / "out.dsz")
    path.write_bytes(bomb(64, 48, 2))
    assert main(["predict", str(path), "--frames", "3", "-o", out, "--max-frames", "4"]) == 4
    assert main(["predict", str(path), "--frames", str(10**12), "-o", out]) == 4
    assert main(["sample", "--model", "balls", "--frames", str(10**12), "-o", out]) == 4
    assert capsys.readouterr().err.count("hint: --max-frames") == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.dsz"]


def test_a_video_that_takes_too_much_memory_is_not_encoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = VideoInfo(16384, 8192, Fraction(25))

    def no_frames():
        raise AssertionError("nothing is read")
        yield Frame420(*3 * [np.zeros((1, 1), np.uint8)])

    options = EncodeOptions(max_memory=10**10)
    with pytest.raises(InputVideoError, match=r"16384x8192 in GOPs of 32 .* 10G are") as caught:
        encode_video(no_frames(), info, BytesIO(), options)
    assert caught.value.hint and "--max-memory" in caught.value.hint
    path = tmp_path / "clip.y4m"
    path.write_bytes(b"YUV4MPEG2 W16 H16 F25:1\n" + b"FRAME\n" + bytes(384))
    command = ["encode", str(path), "-y", "--preset", "fast", "--threads", "1"]
    assert main([*command, "--max-memory", "300M"]) == 3
    assert "clip.dsz" not in [entry.name for entry in tmp_path.iterdir()]
    assert main([*command, "--max-memory", "600M"]) == 0


def test_estimates_grow_with_what_they_are_of() -> None:
    small = decoder_bytes(10**6, 8, 0, 2)
    assert small < decoder_bytes(10**6, 9, 0, 2) < decoder_bytes(2 * 10**6, 9, 0, 2)
    assert small < decoder_bytes(10**6, 8, 10**6, 2) and small < decoder_bytes(10**6, 8, 0, 4)
    assert decoder_bytes(10**6, 1, 0, 64) == decoder_bytes(10**6, 1, 0, 1)  # nothing to share
    assert encoder_bytes(10**6, 8, 2) < encoder_bytes(10**6, 64, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "num_frames"), [((640, 360), 64), ((1920, 1080), 4)])
def test_the_estimate_is_near_the_peak(
    size: tuple[int, int], num_frames: int, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.dsz"
    path.write_bytes(bomb(*size, num_frames))
    code = (
        "import resource, sys; from dsaecodec.codec import Decoder\n"
        "for frame in Decoder(open(sys.argv[1], 'rb'), threads=2): pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, cwd=ROOT)
    estimate = decoder_bytes(size[0] * size[1], num_frames, 0, 2)
    assert 0.6 * estimate < int(done.stdout) < 1.3 * estimate


def test_memory_is_the_least_that_anything_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = memory.memory_here()
    assert here and here > 2**28
    group = tmp_path / "slice" / "job"
    group.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("4:cpu:/else\n0::/slice/job\n")
    (group / "memory.max").write_text("max\n")
    (tmp_path / "slice" / "memory.max").write_text("12345678\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_MOUNT", tmp_path)
    assert memory.memory_here() == 12345678
    legacy = tmp_path / "memory" / "box"
    legacy.mkdir(parents=True)
    (legacy / "memory.limit_in_bytes").write_text("7654321\n")
    (tmp_path / "cgroup").write_text("4:memory,hugetlb:/box\n")
    assert memory.memory_here() == 7654321
    with pytest.raises(LimitError, match="8M are here"):
        Limits().check(split(bomb(64, 48))[0])
    monkeypatch.setattr(limits, "memory_here", lambda: None)  # unknown: nothing is refused
    Limits(max_pixels=2**27).check(split(LARGE)[0])


@pytest.mark.parametrize("command", ["decode", "verify", "info", "eval"])
def test_malformed_and_greedy_files_are_refused_at_once(command: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.dsz"
    others = ["none.mp4"] if command == "eval" else []
    output = ["-o", str(tmp_path / "out.mkv")] if command == "decode" else []
    code = (
        "import sys; from dsaecodec.cli import main\n"
        "code = main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(code)"
    )
    for data in (LARGE[:-1] + bytes([LARGE[-1] ^ 1]), LONG[:-9], LARGE):
        if command == "info" and data is LARGE:
            continue  # only what it says of itself is shown
        path.write_bytes(data)
        arguments = [sys.executable, "-c", code, command, *others, str(path), *output]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 4 and done.stdout == "False\n", done.stderr
        if command != "eval":  # which has loaded what reads videos
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            assert seconds < 0.5  # of the processor: other work may slow the clock's down
