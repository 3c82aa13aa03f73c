"""The import table: who may import what, read from the source and from running processes."""

from __future__ import annotations

import ast
import subprocess
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from bitstream import Colour, Gop, Header, Segment, join

ROOT = Path(__file__).parents[1]
OURS = ("bitstream", "dsaecodec", "benchmarks", "tests")


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports, wherever in the file, as dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def importers(module: str, packages: tuple[str, ...] = ("bitstream", "dsaecodec")) -> set[str]:
    """Files of the packages that import a module or anything inside it."""
    return {
        str(path.relative_to(ROOT))
        for package in packages
        for path in files(package)
        if any(f"{name}.".startswith(f"{module}.") for name in imports(path))
    }


def test_there_is_something_to_check() -> None:
    assert len(files("bitstream")) > 5 and len(files("dsaecodec")) > 10
    assert importers("av") and importers("torch") and importers("rich")


def test_video_is_the_only_importer_of_av() -> None:
    assert all(name.startswith("dsaecodec/video/") for name in importers("av"))


def test_report_is_the_only_importer_of_rich() -> None:
    assert importers("rich") == {"dsaecodec/report.py"}


def test_bitstream_stands_alone() -> None:
    for module in ("dsaecodec", "torch", "av", "rich", "pathlib"):
        assert importers(module, ("bitstream",)) == set()
    printing = [path for path in files("bitstream") if "print(" in path.read_text()]
    assert printing == []


def test_nothing_imports_tests_or_benchmarks() -> None:
    assert importers("tests") | importers("benchmarks") == set()


LIGHT = (
    "argument_examples argument_values arguments cli errors input_file limits listing memory "
    "model_store output part_files rate sound_request"
).split()
COMMANDS = [path.stem for path in files("dsaecodec/commands")]
DRAWING = [f"draw/{path.stem}" for path in files("dsaecodec/draw")]


@pytest.mark.parametrize("file", LIGHT + DRAWING + [f"commands/{name}" for name in COMMANDS])
def test_light_modules_do_not_import_torch(file: str) -> None:
    assert (ROOT / "dsaecodec" / f"{file}.py").exists()
    heavy = importers("torch") | importers("compressai") | importers("torchvision")
    assert f"dsaecodec/{file}.py" not in heavy


def test_no_catch_all_modules() -> None:
    names = {path.stem for package in ("bitstream", "dsaecodec") for path in files(package)}
    assert names.isdisjoint({"utils", "util", "helpers", "common", "misc"})


def test_nothing_is_unpickled() -> None:
    for package in ("bitstream", "dsaecodec"):
        for path in files(package):
            assert imports(path).isdisjoint({"pickle", "dill", "joblib", "marshal"}), path


def test_packages_have_no_import_cycles() -> None:
    """Imports at module level, between our own files, form no cycle."""
    graph = {module_name(path): top_level(path) for p in OURS[:2] for path in files(p)}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name in done:
            return
        for other in graph[name] & graph.keys():
            visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def top_level(path: Path) -> set[str]:
    """Our own modules that a file imports as it is loaded; a name imported is not a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inside if is_module(name)}
            found |= modules
            if modules != inside:
                found.add(node.module)
    return found


def is_module(name: str) -> bool:
    base = ROOT.joinpath(*name.split("."))
    return base.with_suffix(".py").exists() or (base / "__init__.py").exists()


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after running some code."""
    script = f"{code}\nimport sys; print('\\n' + ' '.join(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


HEAVY = {"torch", "torchvision", "compressai", "av", "rich", "scipy", "matplotlib", "constriction"}


@pytest.mark.parametrize(
    "code",
    [
        "import dsaecodec",
        "import dsaecodec.cli",
        "from dsaecodec.cli import main; assert main(['--help']) == 0",
        "from dsaecodec.cli import main; assert main(['--version']) == 0",
        "from dsaecodec.cli import main; assert main(['encode', '--help']) == 0",
        "from dsaecodec.cli import main; assert main(['info', 'README.md']) == 4",
        "from dsaecodec.cli import main; assert main(['models']) == 0",
        *(f"import dsaecodec.commands.{name}" for name in COMMANDS if name != "__init__"),
        "import bitstream",
    ],
)
def test_light_entrances_load_nothing_heavy(code: str) -> None:
    assert loaded_by(code).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["info"], 0), (["decode"], 5), (["decode", "--frames", "1"], 5), (["verify"], 5)],
)
def test_what_needs_no_decoding_loads_nothing_heavy(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    """Facts about a stream, and the refusal of one whose model is not here."""
    header = Header(b"0000", 64, 48, Fraction(25), Colour(1, False))
    path = tmp_path / "clip.dsz"
    path.write_bytes(join(header, [Gop(50, False, 1, b"abcd", (Segment(0, 1, b"efgh"),))]))
    command = [arguments[0], str(path), *arguments[1:]]
    loaded = loaded_by(f"from dsaecodec.cli import main; assert main({command}) == {code}")
    assert loaded.isdisjoint(HEAVY)


def test_video_alone_does_not_load_torch() -> None:
    assert loaded_by("import dsaecodec.video, dsaecodec.metrics").isdisjoint({"torch", "rich"})


def test_the_codec_does_not_load_what_only_training_needs() -> None:
    loaded = loaded_by("import dsaecodec.codec, dsaecodec.api, dsaecodec.report")
    assert "torch" in loaded
    assert loaded.isdisjoint({"compressai", "torchvision", "pandas", "matplotlib", "PIL"})


def test_a_model_is_loaded_without_a_compiler() -> None:
    """PyTorch imports one, in seconds, for tensors of the meta device among others."""
    loaded = loaded_by("from dsaecodec.model_io import load_model; load_model(None, 'cpu')")
    assert "torch" in loaded and "sympy" not in loaded
