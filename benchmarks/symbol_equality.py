"""The same symbols everywhere: `python benchmarks/symbol_equality.py -o OUT [--python OTHER]`.

Every setting is a process of its own that decodes every file: threads, instruction sets, libraries
switched off or told to be less exact, how many frames at once, from a seek, on a GPU where there is
one, and with the PyTorch of other interpreters. Symbols are the SHA-256 of `dsaecodec verify
--json`; pixels are compared sample by sample with those of the first setting.

Files are the golden ones, a drawn clip of 96 frames of 320x180 that is encoded first, and any
others given. OUT/rows.csv has a row a file and setting, `largest_difference` in grey levels. The
exit code is 1 where symbols differ, or pixels by more than 1.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from bitstream import StreamReader, scan
from bitstream.limits import TICKS_PER_SECOND
from dsaecodec.cli import main as program
from dsaecodec.codec import Decoder, EncodeOptions, encode_video
from dsaecodec.codec.family import open_gop_decoder
from dsaecodec.codec.symbols import SymbolDigest
from dsaecodec.codec.threads import Crew
from dsaecodec.draw import moving_layers
from dsaecodec.model_io import load_model
from dsaecodec.spatial import gop_decoder
from dsaecodec.video import VideoInfo, rgb_to_420

ROOT = Path(__file__).resolve().parents[1]
MOST_DIFFERENCE = 1  # grey levels
NOT_HERE = "not here"


@dataclass(frozen=True)
class Setting:
    """How files are decoded.

    Attributes:
        name: of the row.
        variables: of the environment.
        threads: CPU threads.
        device: "cpu" or "cuda".
        mkldnn: whether oneDNN is used.
        precision: of `torch.set_float32_matmul_precision`.
        frames_at_once: frames to synthesize in one batch; None leaves it to the decoder.
        from_seek: begin in the middle; compared is what follows.
        python: another interpreter.
    """

    name: str
    variables: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"
    mkldnn: bool = True
    precision: str = "highest"
    frames_at_once: int | None = None
    from_seek: bool = False
    python: str = sys.executable


SETTINGS = [
    Setting("1 thread"),
    Setting("2 threads", threads=2),
    *(
        Setting(f"{name}={value}", {name: value})
        for name, values in (
            ("ATEN_CPU_CAPABILITY", ("default", "avx2", "avx512")),
            ("ONEDNN_MAX_CPU_ISA", ("SSE41", "AVX2", "AVX512_CORE")),
            ("DNNL_DEFAULT_FPMATH_MODE", ("BF16",)),
        )
        for value in values
    ),
    Setting("oneDNN off", mkldnn=False),
    Setting("oneDNN off, 2 threads", mkldnn=False, threads=2),
    Setting("matmul precision medium", precision="medium"),
    Setting("1 frame at once", frames_at_once=1),
    Setting("64 frames at once", frames_at_once=64),
    Setting("from a seek", from_seek=True),
]
GPU = Setting("GPU", device="cuda")


@dataclass(frozen=True)
class Row:
    """A file under a setting."""

    file: str
    setting: str
    torch: str
    frames: int
    symbols: str  # of `verify`, the whole file
    symbols_equal: bool
    pixels: str  # SHA-256 of what was decoded: from a seek, of a part
    largest_difference: int


def decode(setting: Setting, files: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Decode files in this process; their samples go to the folder."""
    torch.backends.mkldnn.enabled = setting.mkldnn  # type: ignore[assignment]
    torch.set_float32_matmul_precision(setting.precision)
    if setting.frames_at_once:
        gop_decoder.chunk_frames = lambda height, width: setting.frames_at_once  # type: ignore
    threads, device = setting.threads, setting.device
    found = {}
    for path in files:
        arguments = ["verify", str(path), "--json", "--threads", str(threads), "--device", device]
        with redirect_stdout(io.StringIO()) as said:
            code = program(arguments)
        if code:
            raise RuntimeError(f"{path}: verify exits with {code}")
        start = None
        if setting.from_seek:
            with path.open("rb") as source:
                start = Fraction(scan(source).duration_ticks, 2 * TICKS_PER_SECOND)
        with path.open("rb") as source:
            decoder = Decoder(source, threads=threads, device=device, start=start)
            samples = np.concatenate([p.ravel() for frame in decoder for p in frame.planes])
        np.save(folder / f"{path.name}.npy", samples)
        found[path.name] = json.loads(said.getvalue()) | {"by_gop": by_gop(path, setting, start)}
    return {"torch": torch.__version__, "files": found}


def by_gop(path: Path, setting: Setting, start: Fraction | None) -> list[str]:
    """SHA-256 of the symbols of each GOP, from the one that shows a time on."""
    with path.open("rb") as source:
        reader = StreamReader(source)
        loaded = load_model(None, setting.device, reader.header.model)
        with Crew(setting.threads, loaded.device, beside=not loaded.is_vector) as crew:
            decoder = open_gop_decoder(loaded, reader.header, crew)
            for gop in [] if start is None else reader.seek(start, back=loaded.reach):
                decoder.read_content(gop)
            digests = []
            for gop in reader:
                decoder.digest = SymbolDigest()
                decoder.read_content(gop)
                for segment in gop.segments:
                    list(decoder.frames(segment, range(0)))
                digests.append(decoder.digest.hexdigest())
    return digests


def run(setting: Setting, files: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Decode files in a process of that setting."""
    folder.mkdir()
    given = json.dumps([asdict(setting), [str(path) for path in files], str(folder)])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **setting.variables}
    command = [setting.python, str(Path(__file__).resolve()), "--child", given]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{setting.name}: {done.stderr.strip()[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def compare(setting: Setting, found: dict[str, Any], folder: Path, first: Path) -> list[Row]:
    """A row a file; the first setting's samples lie in `first`, beside its report."""
    reference = json.loads((first / "report.json").read_text())
    rows = []
    for name, report in found["files"].items():
        expected = reference["files"][name]
        samples, known = (np.load(place / f"{name}.npy") for place in (folder, first))
        difference = np.abs(samples.astype(np.int16) - known[-len(samples) :])
        equal = report["symbols"] == expected["symbols"]
        equal &= report["by_gop"] == expected["by_gop"][-len(report["by_gop"]) :]
        pixels = hashlib.sha256(samples).hexdigest()
        row = Row(
            name,
            setting.name,
            found["torch"],
            report["frames"],
            report["symbols"],
            equal,
            pixels,
            int(difference.max()),
        )
        rows.append(row)
    return rows


def draw(path: Path) -> None:
    """Encode a drawn clip: twelve GOPs, so that there is an index to seek with."""
    frames = [rgb_to_420(rgb) for rgb in moving_layers(96, 180, 320, 7)]
    with path.open("wb") as sink:
        options = EncodeOptions(60, 8, threads=1, device="cpu", preset="fast")
        encode_video(frames, VideoInfo(320, 180, Fraction(25)), sink, options)


def table(rows: Sequence[Row], settings: Sequence[str]) -> str:
    """Markdown: a line a setting."""
    lines = ["| setting | torch | files | symbols equal | pixels equal | largest difference |"]
    lines.append("|---" * 6 + "|")
    for name in settings:
        mine = [row for row in rows if row.setting == name]
        if not mine:
            lines.append(f"| {name} | {NOT_HERE} | | | | |")
            continue
        symbols = sum(row.symbols_equal for row in mine)
        whole = sum(row.largest_difference == 0 for row in mine)
        largest = max(row.largest_difference for row in mine)
        cells = [name, mine[0].torch, len(mine), symbols, whole, largest]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> int:
    """Decode under every setting, compare, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", type=Path, nargs="*", help="more .dsz files")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--python", nargs="*", default=[], help="interpreters with another PyTorch")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        fields, files, folder = json.loads(args.child)
        print(json.dumps(decode(Setting(**fields), [Path(f) for f in files], Path(folder))))
        return 0
    if args.out is None:
        parser.error("the following arguments are required: -o/--out")
    others = [Setting(f"environment {i}", python=path) for i, path in enumerate(args.python, 1)]
    others += [
        Setting(f"environment {i}, 2 threads, oneDNN off", python=path, threads=2, mkldnn=False)
        for i, path in enumerate(args.python, 1)
    ]
    settings = [*SETTINGS, *others, *([GPU] if torch.cuda.is_available() else [])]
    rows: list[Row] = []
    with TemporaryDirectory() as scratch:
        drawn = Path(scratch, "drawn-320x180.dsz")
        draw(drawn)
        files = [*sorted((ROOT / "tests" / "golden").glob("*.dsz")), drawn, *args.files]
        first = Path(scratch, "0")
        for number, setting in enumerate(settings):
            folder = Path(scratch, str(number))
            found = run(setting, files, folder)
            if folder == first:
                (first / "report.json").write_text(json.dumps(found))
            rows += compare(setting, found, folder, first)
            print(rows[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    names = [setting.name for setting in settings]
    print(table(rows, names if GPU in settings else [*names, GPU.name]))
    fine = all(row.symbols_equal and row.largest_difference <= MOST_DIFFERENCE for row in rows)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
