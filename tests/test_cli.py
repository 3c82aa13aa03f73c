"""The command line: exit codes, messages, files that appear whole or not at all.

The codec itself is replaced by one that stores planes as they are, so that what is tested here is
what lies around it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

import dsaecodec
from bitstream import Colour, Gop, Header, Segment, StreamReader, StreamWriter, join
from dsaecodec.cli import main
from dsaecodec.draw import moving_layers
from dsaecodec.errors import BitstreamError, ModelError
from dsaecodec.video import Frame420, VideoInfo, VideoWriter, open_video, rgb_to_420

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, NUM_FRAMES = 18, 22, 5


@dataclass(frozen=True)
class EncodeOptions:
    quality: int = 50
    gop: int | None = None
    threads: int | None = None
    device: str = "auto"
    model: str | None = None


@dataclass
class Progress:
    frames: int
    bytes: int


@dataclass(frozen=True)
class EncodeReport:
    frames: int
    gops: int
    bytes: int
    content_bytes: int
    dynamics_bytes: int
    overhead_bytes: int
    seconds: float


@dataclass(frozen=True)
class VerifyReport:
    frames: int
    gops: int
    symbols: str
    pixels: str


class Engine:
    """A codec that stores planes; remembers how it was called."""

    def __init__(self) -> None:
        self.options: EncodeOptions | None = None
        self.keywords: dict[str, object] = {}

    def encode_video(
        self,
        frames: Iterable[Frame420],
        info: VideoInfo,
        sink: BinaryIO,
        options: EncodeOptions,
        progress: Callable[[Progress], None] | None = None,
    ) -> EncodeReport:
        self.options = options
        colour = Colour(info.matrix, info.full_range)
        writer = StreamWriter(sink, Header(b"fake", info.width, info.height, info.fps, colour))
        count = 0
        for count, frame in enumerate(frames, start=1):
            payload = b"".join(plane.tobytes() for plane in frame.planes)
            writer.write_gop(Gop(options.quality, False, 1, b"", (Segment(0, 1, payload),)))
            if progress:
                progress(Progress(count, writer.bytes_written))
        writer.finish()
        size = count * (HEIGHT * WIDTH * 3 // 2)
        total = writer.bytes_written
        return EncodeReport(count, count, total, 0, size, total - size, 0.5)

    def decoder(self, source: BinaryIO, **keywords: object) -> FakeDecoder:
        self.keywords = keywords
        if keywords["model"] == "missing":
            raise ModelError("missing: no such model", hint="name another")
        return FakeDecoder(source)

    def verify_stream(self, source: BinaryIO, **keywords: object) -> VerifyReport:
        digest = hashlib.sha256()
        frames = list(self.decoder(source, **keywords))
        for frame in frames:
            digest.update(b"".join(plane.tobytes() for plane in frame.planes))
        return VerifyReport(len(frames), len(frames), "5" * 64, digest.hexdigest())


class FakeDecoder:
    def __init__(self, source: BinaryIO) -> None:
        self._reader = StreamReader(source)
        header = self._reader.header
        colour = header.colour
        self.info = VideoInfo(
            header.width, header.height, header.fps, colour.matrix, colour.full_range
        )

    def __iter__(self) -> Iterator[Frame420]:
        height, width = self.info.height, self.info.width
        for gop in self._reader:
            samples = np.frombuffer(gop.segments[0].payload, np.uint8)
            y, rest = samples[: height * width], samples[height * width :]
            u, v = rest.reshape(2, (height + 1) // 2, (width + 1) // 2)
            yield Frame420(y.reshape(height, width), u, v)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = Engine()
    module = types.ModuleType("dsaecodec.codec")
    module.__dict__.update(
        EncodeOptions=EncodeOptions,
        Progress=Progress,
        Decoder=engine.decoder,
        encode_video=engine.encode_video,
        verify_stream=engine.verify_stream,
    )
    monkeypatch.setitem(sys.modules, "dsaecodec.codec", module)
    monkeypatch.delitem(sys.modules, "dsaecodec.api", raising=False)
    yield engine
    sys.modules.pop("dsaecodec.api", None)  # it holds this engine


@pytest.fixture
def frames() -> list[Frame420]:
    return [rgb_to_420(rgb) for rgb in moving_layers(NUM_FRAMES, HEIGHT, WIDTH)]


@pytest.fixture
def clip(tmp_path: Path, frames: list[Frame420]) -> Path:
    path = tmp_path / "clip.y4m"
    with VideoWriter(path, VideoInfo(WIDTH, HEIGHT, Fraction(25))) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    header = Header(b"fake", WIDTH, HEIGHT, Fraction(25), Colour(1, False))
    size = HEIGHT * WIDTH * 3 // 2
    gops = [Gop(50, False, 1, b"", (Segment(0, 1, bytes(size)),)) for _ in range(NUM_FRAMES)]
    path = tmp_path / "stream.dsz"
    path.write_bytes(join(header, gops))
    return path


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "dsaecodec", *arguments]
    return subprocess.run(command, capture_output=True, input=stdin, cwd=ROOT)


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
    assert main(["encode", str(clip), "-o", out, *options]) == 0
    assert engine.options == EncodeOptions(13, 7, 2, "cpu", "m")
    engine_options = ["--threads", "2", "--device", "cpu", "--model", "m"]
    expected = {"threads": 2, "device": "cpu", "model": "m"}
    assert main(["decode", out, *engine_options]) == 0
    assert engine.keywords == expected
    engine.keywords = {}
    assert main(["verify", out, *engine_options]) == 0
    assert engine.keywords == expected


def test_frames_limits_the_length(
    engine: Engine, clip: Path, frames: list[Frame420], tmp_path: Path
) -> None:
    out = tmp_path / "out.dsz"
    assert main(["encode", str(clip), "-o", str(out), "--frames", "2"]) == 0
    assert main(["decode", str(out), "-o", str(tmp_path / "out.y4m")]) == 0
    assert_same(read_all(tmp_path / "out.y4m"), frames[:2])


def test_json_reports(
    engine: Engine, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.dsz"
    assert main(["encode", str(clip), "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == out.stat().st_size
    assert told["bpp"] == pytest.approx(8 * told["bytes"] / (NUM_FRAMES * HEIGHT * WIDTH))
    assert told["kbps"] == pytest.approx(8 * told["bytes"] / (NUM_FRAMES / 25) / 1000)
    assert main(["info", str(out), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frames"] == NUM_FRAMES and facts["quality"] == [50, 50]
    parts = ("content_bytes", "dynamics_bytes", "overhead_bytes")
    assert sum(facts[part] for part in parts) == facts["bytes"] == out.stat().st_size
    assert main(["decode", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == NUM_FRAMES
    assert main(["verify", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["symbols"] == "5" * 64


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


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["fly"], 2),
        (["encode"], 2),
        (["encode", "in.mp4", "-q", "101"], 2),
        (["encode", "in.mp4", "-q", "best"], 2),
        (["encode", "in.mp4", "--gop", "0"], 2),
        (["encode", "in.mp4", "--threads", "0"], 2),
        (["encode", "in.mp4", "--device", "abacus"], 2),
        (["encode", "-", "--json"], 2),
        (["encode", "missing.mp4"], 3),
        (["encode", "missing.mp4", "-o", "no/such/folder.dsz"], 2),
        (["encode", "."], 3),
        (["decode", "missing.dsz"], 4),
        (["decode", "missing.dsz", "-o", "-", "--json"], 2),
        (["info", "missing.dsz"], 4),
        (["info", "."], 4),
        (["verify", "missing.dsz"], 4),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    engine: Engine,
    arguments: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert lines[0].startswith("dsaecodec: error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    assert list(tmp_path.iterdir()) == []


def test_a_model_error_has_its_code(
    engine: Engine, stream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decode", str(stream), "--model", "missing"]) == 5
    assert capsys.readouterr().err.splitlines()[1] == "hint: name another"
    assert [path.name for path in stream.parent.iterdir()] == ["stream.dsz"]


def test_interruption_and_faults_leave_no_output(
    engine: Engine,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for error, code in ((KeyboardInterrupt(), 130), (RuntimeError("surprise"), 1)):

        def fail(
            frames: object, info: object, sink: BinaryIO, *rest: object, e: object = error
        ) -> None:
            sink.write(b"half")
            raise e  # type: ignore[misc]

        monkeypatch.setattr(sys.modules["dsaecodec.codec"], "encode_video", fail)
        assert main(["encode", str(clip)]) == code
        assert [path.name for path in clip.parent.iterdir()] == ["clip.y4m"]
    assert "surprise" in capsys.readouterr().err


def test_a_truncated_input_leaves_no_output(engine: Engine, clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-1])
    assert main(["encode", str(clip)]) == 3
    assert [path.name for path in clip.parent.iterdir()] == ["clip.y4m"]
    assert main(["encode", str(clip), "--frames", "2"]) == 0


def test_a_malformed_stream_is_refused_before_torch(stream: Path) -> None:
    data = bytearray(stream.read_bytes())
    data[len(data) // 2] ^= 1
    stream.write_bytes(data)
    out = str(stream.with_name("out.mp4"))
    for arguments in (["decode", "-o", out], ["verify"], ["info"]):
        started = time.perf_counter()
        done = run(arguments[0], str(stream), *arguments[1:])
        seconds = time.perf_counter() - started
        assert done.returncode == 4
        assert done.stdout == b""
        assert done.stderr.startswith(f"dsaecodec: error: {stream}: GOP ".encode())
        assert done.stderr.count(b"\n") == 1
        assert seconds < 2  # loading torch alone takes about that; well below without
        assert [path.name for path in stream.parent.iterdir()] == ["stream.dsz"]


def test_info_reads_a_pipe_and_prints_a_table(stream: Path) -> None:
    done = run("info", "-", stdin=stream.read_bytes())
    assert done.returncode == 0, done.stderr
    assert f"{WIDTH}x{HEIGHT}, 25 fps, BT.709" in done.stdout.decode()
    assert f"{NUM_FRAMES} frames" in done.stdout.decode()


def test_a_reader_that_goes_away_is_not_a_traceback(stream: Path) -> None:
    command = [sys.executable, "-m", "dsaecodec", "info", str(stream)]
    process = subprocess.Popen(command, stdout=-1, stderr=-1, cwd=ROOT)
    assert process.stdout and process.stderr
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert errors == b""


def test_version_and_help() -> None:
    done = run("--version")
    assert done.stdout.decode().split() == ["dsaecodec", dsaecodec.__version__]
    done = run("encode", "--help")
    assert done.returncode == 0 and b"--gop" in done.stdout


def test_python_interface(engine: Engine, clip: Path) -> None:
    rgb = list(moving_layers(NUM_FRAMES, HEIGHT, WIDTH))
    data = dsaecodec.encode(rgb, quality=30, gop=3, fps=29.97)
    assert engine.options == EncodeOptions(quality=30, gop=3)
    assert StreamReader(BytesIO(data)).header.fps == Fraction(2997, 100)
    decoded = list(dsaecodec.decode(data))
    assert len(decoded) == NUM_FRAMES
    for a, b in zip(rgb, decoded, strict=True):
        assert b.shape == (HEIGHT, WIDTH, 3) and b.dtype == np.uint8
        assert np.abs(a.astype(int) - b).mean() < 12  # 4:2:0 alone
    assert dsaecodec.encode(clip, quality=30, gop=3)[:3] == data[:3]
    with pytest.raises(ValueError, match="no frame"):
        dsaecodec.encode([])
    with pytest.raises(ValueError, match="frame 1"):
        dsaecodec.encode([rgb[0], rgb[1][:8]])
    with pytest.raises(BitstreamError):
        dsaecodec.decode(data[:-1])
