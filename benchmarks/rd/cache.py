"""Results kept by content: what is the same as in an earlier run is not measured again.

A result's key is a digest of the clip's samples, the codec's settings with its versions and
weights, and the source code that made and measured it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.rd.clip import Clip
from benchmarks.rd.codec import Codec
from benchmarks.rd.measure import Measured
from benchmarks.rd.point import Point

_OURS = ("benchmarks", "bitstream", "dsaecodec")


class Cache:
    """Results in a folder; safe to use from several processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, codec: Codec, clip: Clip, quality: float, matched: bool) -> Measured | None:
        """A result of an earlier run, under the names of this one."""
        path = self._path(codec, clip, quality)
        try:
            row = json.loads(path.with_suffix(".json").read_text())
            with Image.open(path.with_suffix(".webp")) as image:
                crop = np.asarray(image.convert("RGB"))
        except (OSError, ValueError):  # absent or, after a full disk, damaged: measured again
            return None
        row |= {"group": clip.group, "clip": clip.name, "matched": matched}
        return Measured(Point(**row), crop)

    def keep(self, codec: Codec, clip: Clip, quality: float, measured: Measured) -> None:
        """Write a result, whole or not at all."""
        path = self._path(codec, clip, quality)
        picture = io.BytesIO()
        Image.fromarray(measured.crop).save(picture, "WEBP", lossless=True)
        _write(path.with_suffix(".webp"), picture.getvalue())
        _write(path.with_suffix(".json"), json.dumps(asdict(measured.point)).encode())

    def find_text(self, key: Iterable[str]) -> str | None:
        """What `keep_text` kept under the key."""
        try:
            return (self.folder / f"{_digest(key)}.txt").read_text()
        except OSError:
            return None

    def keep_text(self, key: Iterable[str], text: str) -> None:
        """Keep any text."""
        _write(self.folder / f"{_digest(key)}.txt", text.encode())

    def _path(self, codec: Codec, clip: Clip, quality: float) -> Path:
        key = [clip.fingerprint, codec.name, codec.settings(clip, quality), repr(quality)]
        key += [repr(codec.threads), code_digest(codec)]
        return self.folder / _digest(key)


def code_digest(codec: Codec, measuring: str = "benchmarks.rd.measure") -> str:
    """Digest of the source code of a codec, of what measures it, and of what they import."""
    return _code_digest((type(codec).__module__, measuring))


@cache
def _code_digest(modules: tuple[str, ...]) -> str:
    found: dict[str, bytes] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name in found or name.split(".")[0] not in _OURS:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        found[name] = Path(spec.origin).read_bytes()
        todo += [name.rpartition(".")[0], *_imported(found[name])]
    digest = hashlib.sha256(sys.version.encode())
    for name, source in sorted(found.items()):
        digest.update(name.encode() + source)
    return digest.hexdigest()


@cache
def _imported(source: bytes) -> tuple[str, ...]:
    """Modules that a source file imports, and names that may be modules."""
    return tuple(_iter_imported(source))


def _iter_imported(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if _is_package(node.module):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _is_package(name: str) -> bool:
    if name.split(".")[0] not in _OURS:
        return False
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)
