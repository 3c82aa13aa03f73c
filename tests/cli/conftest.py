"""A small clip, its stream, and a codec that stores planes, in this process or as a program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from bitstream import Colour, Gop, Header, Segment, join
from dsaecodec import model_store
from dsaecodec.draw import moving_layers
from dsaecodec.video import Frame420, VideoInfo, VideoWriter, rgb_to_420
from tests.cli.fake_codec import Engine, module_of

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH, NUM_FRAMES = 18, 22, 5


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = Engine()
    monkeypatch.setitem(sys.modules, "dsaecodec.codec", module_of(engine))
    monkeypatch.delitem(sys.modules, "dsaecodec.api", raising=False)
    monkeypatch.setattr(model_store, "find_model", engine.find_model)
    yield engine
    sys.modules.pop("dsaecodec.api", None)  # it holds this engine


@pytest.fixture
def frames() -> list[Frame420]:
    return [rgb_to_420(rgb) for rgb in moving_layers(NUM_FRAMES, HEIGHT, WIDTH)]


@pytest.fixture
def draw_clip(tmp_path: Path) -> Callable[..., Path]:
    """Draws a clip of any width: draw_clip("name.y4m", width=20)."""

    def draw(name: str = "clip.y4m", width: int = WIDTH, fps: Fraction = Fraction(25)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with VideoWriter(path, VideoInfo(width, HEIGHT, fps)) as writer:
            for rgb in moving_layers(NUM_FRAMES, HEIGHT, width):
                writer.write(rgb_to_420(rgb))
        return path

    return draw


@pytest.fixture
def clip(draw_clip: Callable[..., Path]) -> Path:
    return draw_clip()


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    header = Header(b"fake", WIDTH, HEIGHT, Fraction(25), Colour(1, False))
    size = HEIGHT * WIDTH * 3 // 2
    gops = [Gop(50, False, 1, b"", (Segment(0, 1, bytes(size)),)) for _ in range(NUM_FRAMES)]
    path = tmp_path / "stream.dsz"
    path.write_bytes(join(header, gops))
    return path


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs the program: run("info", path, stdin=…); fake=True with the fake codec."""

    def start(
        *arguments: str | Path, stdin: bytes = b"", fake: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        command = program(*arguments, fake=fake)
        return subprocess.run(command, capture_output=True, input=stdin, cwd=ROOT)

    return start


def program(*arguments: str | Path, fake: bool = False) -> list[str]:
    """The command line of a command line."""
    module = "tests.cli.fake_program" if fake else "dsaecodec"
    return [sys.executable, "-m", module, *map(str, arguments)]
