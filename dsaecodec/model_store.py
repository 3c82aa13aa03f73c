"""Where weights are found and what they are; loads neither PyTorch nor NumPy.

A model is a file NAME.safetensors in one of the folders of `$DSAECODEC_MODELS`, or in the folder
that is shipped, in this order. Its identity is the first four bytes of the SHA-256 of the file.
Streams name it, because other weights cannot decode them.

Beside it, NAME.toml may state `licence` and `description`; so may the metadata inside the file. Of
a released model that a better one has replaced, NAME.toml says which: `superseded_by`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitstream.limits import MAX_SIDE
from dsaecodec.errors import ModelError

FOLDER = Path(__file__).parent / "weights"
VARIABLE = "DSAECODEC_MODELS"
SUFFIX = ".safetensors"
DEFAULT_MODEL = "natural"
SPATIAL, VECTOR = "dsaecodec-spatial-1", "dsaecodec-vector-1"  # formats of model files
MAX_FILE_BYTES = 2**26
MAX_HEADER_BYTES = 2**20  # a hundred times those of shipped models; JSON unfolds thirtyfold
MAX_SIDECAR_BYTES = 2**16
UNKNOWN = "unknown"


@dataclass(frozen=True)
class ModelEntry:
    """One file among the models that are here.

    Attributes:
        name: what `--model` calls it.
        path: of the file.
        identity: as streams state it, 8 hex digits; empty where the file was not read.
        num_bytes: size of the file.
        licence: terms of use, "unknown" where nothing states them.
        description: one line, "unknown" where there is none.
        side: height and width of the pictures it is for; 0: any.
        superseded_by: name of the better model that took its place, empty if there is none.
        shipped: it came with the program.
        problem: what is wrong with the file or its .toml, None if nothing is known.
    """

    name: str
    path: Path
    identity: str
    num_bytes: int
    licence: str
    description: str
    side: int
    superseded_by: str
    shipped: bool
    problem: str | None

    @property
    def usable(self) -> bool:
        """Whether new files should be made with it."""
        return self.problem is None and not self.superseded_by


def identity_of(data: bytes) -> bytes:
    """Identity of a model file's bytes."""
    return hashlib.sha256(data).digest()[:4]


def model_folders() -> list[Path]:
    """The folders that are searched, in order; those that do not exist included."""
    named = [Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text]
    return list(dict.fromkeys([*named, FOLDER]))


def find_model(name: str | None, identity: bytes | None = None) -> Path:
    """Path of the model to use; it is not loaded.

    Args:
        name: a path if it has a separator or ends in .safetensors, else a name, or a file here if
            no model has it. None for the model of that identity, or else the default one.
        identity: of the model that a stream was made with.

    Raises:
        ModelError: there is none, or the one named has another identity.
    """
    if name is None and identity is not None:
        return _find_identity(identity)
    path = _find_name(name or DEFAULT_MODEL)
    if identity is not None:
        found = identity_of(read_model_file(path))
        if found != identity:
            raise ModelError(
                f"the stream was made with model {identity.hex()}, {path} is {found.hex()}",
                hint="without --model, the one that the stream names is looked for",
            )
    return path


def list_models() -> list[ModelEntry]:
    """Everything that looks like a model, in the order of the search.

    Of two with one name, the first is the one that the name finds; both are found by identity.
    """
    return [describe_model(path) for path in _model_files()]


def read_model_file(path: Path) -> bytes:
    """The bytes of a model file, not checked.

    Raises:
        ModelError: it cannot be read or is too large.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise ModelError(f"{path}: {size} bytes, at most {MAX_FILE_BYTES} are allowed")
            return file.read(size)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def read_form(path: Path) -> str:
    """Format of a model file, `SPATIAL` or `VECTOR`.

    Raises:
        ModelError: it is none.
    """
    try:
        form: str = parse_metadata(read_model_file(path))["format"]
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not a usable model file ({error})") from error
    return form


def _find_identity(identity: bytes) -> Path:
    for path in _model_files():
        try:
            if identity_of(read_model_file(path)) == identity:
                return path
        except ModelError:
            continue  # another file may be the one
    raise ModelError(
        f"the stream needs the model {identity.hex()}, which is not here", hint=_what_is_here()
    )


def _find_name(name: str) -> Path:
    is_path = Path(name).name != name or name.endswith(SUFFIX)
    folders = [] if is_path else [folder / f"{name}{SUFFIX}" for folder in model_folders()]
    for path in (*folders, Path(name)):
        if _is_file(path):
            return path
    what = "no such model file" if is_path else "no such model"
    raise ModelError(f"{name}: {what}", hint=_what_is_here())


def _model_files() -> Iterator[Path]:
    for folder in model_folders():
        try:
            paths = sorted(folder.iterdir())
        except OSError:
            continue  # a folder that is not there has no models
        yield from (path for path in paths if path.suffix == SUFFIX and _is_file(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name no file can have
        return False


def _what_is_here() -> str:
    known = [f"{m.name} ({m.identity})" for m in list_models() if m.problem is None]
    missing = [str(folder) for folder in model_folders() if not folder.is_dir()]
    hint = f"here: {', '.join(known) or 'none'}; name another file with --model, "
    hint += f"or its folder in ${VARIABLE}"
    return hint + "".join(f"; no such folder: {folder}" for folder in missing)


def describe_model(path: Path) -> ModelEntry:
    """What is known of a model file without loading it."""
    identity, size = "", 0
    metadata: dict[str, Any] = {}
    problem = None
    try:
        size = path.stat().st_size
        data = read_model_file(path)
        identity = identity_of(data).hex()
        metadata = parse_metadata(data)
        metadata |= _sidecar(path.with_suffix(".toml"))
    except ModelError as error:
        problem = str(error).removeprefix(f"{path}: ")
    except (ValueError, OSError, RecursionError) as error:
        problem = f"not a model file ({error})"
    licence, description = (
        _line(metadata.get(key)) or UNKNOWN for key in ("licence", "description")
    )
    successor = _line(metadata.get("superseded_by"))
    return ModelEntry(
        path.stem,
        path,
        identity,
        size,
        licence,
        description,
        _side(metadata),
        successor,
        path.parent == FOLDER,
        problem,
    )


def parse_metadata(data: bytes) -> dict[str, Any]:
    """Metadata of a safetensors file, which is 8 bytes of length, a JSON header, and the tensors.

    Raises:
        ValueError: not such a file, cut short, or not of a model.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or end > len(data):
        raise ValueError("no safetensors header")
    if end - 8 > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {end - 8} bytes, at most {MAX_HEADER_BYTES} are allowed")
    header = json.loads(data[8:end])
    if not isinstance(header, dict):
        raise ValueError("no safetensors header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or metadata.get("format") not in (SPATIAL, VECTOR):
        raise ValueError(f"its metadata do not say format {SPATIAL!r} or {VECTOR!r}")
    try:
        ends = (tensor["data_offsets"][1] for tensor in header.values())
        expected = end + max(ends, default=0)
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError("no safetensors header") from error
    if expected != len(data):
        raise ValueError(f"{len(data)} bytes, expected {expected}")
    return metadata


def _side(metadata: dict[str, Any]) -> int:
    """Side of the pictures of a vector model, 0 of any other."""
    if metadata.get("format") != VECTOR:
        return 0
    try:
        size = json.loads(metadata["config"])["size"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return size if type(size) is int and 0 < size <= MAX_SIDE else 0


def _sidecar(path: Path) -> dict[str, Any]:
    if not _is_file(path):  # a named pipe would never end
        return {}
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIDECAR_BYTES + 1)
        if len(data) > MAX_SIDECAR_BYTES:
            raise ValueError(f"at most {MAX_SIDECAR_BYTES} bytes are allowed")
        return tomllib.loads(data.decode())
    except (ValueError, OSError) as error:
        raise ModelError(f"{path.name}: cannot be read as TOML: {error}") from error


def _line(text: object) -> str:
    """A text of a stranger's file as one line that a terminal can show; empty if it is none."""
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
