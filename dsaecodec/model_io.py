"""Model files: safetensors with integer tensors for the exact part, checked before use.

Where they lie and how streams name them: `model_store`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from bitstream import FrequencyTables
from bitstream.limits import MAX_PREDICTED
from dsaecodec.errors import ConfigError, ModelError
from dsaecodec.exact import check_bound, exact_layers
from dsaecodec.likelihood import NUM_TABLES
from dsaecodec.model_store import (
    SPATIAL,
    VECTOR,
    find_model,
    identity_of,
    parse_metadata,
    read_model_file,
)
from dsaecodec.output import staged
from dsaecodec.spatial.kinematics import LARGEST_RATIO
from dsaecodec.spatial.model import SpatialConfig, SpatialModel
from dsaecodec.vector.model import DYNAMICS, PRODUCTS, VectorConfig, VectorModel
from dsaecodec.vector.synthesis import BLOCK, DETAILS

Model = SpatialModel | VectorModel


_building = Lock()  # a thread restores the random state that it found, not that of another


@dataclass(frozen=True)
class _Kind:
    """A family's files.

    Attributes:
        config, model: its classes.
        largest: largest values of the config's numbers; 1, and from 0 on, where nothing is said.
        words: legal values of its words.
        floats: type that what is not exact is stored in.
    """

    config: type[Any]
    model: type[Any]
    largest: dict[str, int]
    words: dict[str, tuple[str, ...]]
    floats: torch.dtype

    def least(self, name: str) -> int:
        """The least value of a number."""
        return 1 if name in self.largest and name not in ("f_channels", "depth") else 0


LARGEST_SPATIAL = {
    "hyper_channels": 256,
    "residual_luma": 256,
    "residual_chroma": 64,
    "depth": 64,
}
LARGEST_VECTOR = {
    "size": 256,
    "f_channels": 256,
    "z_channels": 64,
    "rank": 1024,
    "f_width": 1024,
    "z_width": 1024,
    "hidden": 512,
}
WORDS = {"dynamics": DYNAMICS, "products": PRODUCTS}
_KINDS = {
    SPATIAL: _Kind(SpatialConfig, SpatialModel, LARGEST_SPATIAL, {}, torch.float32),
    VECTOR: _Kind(VectorConfig, VectorModel, LARGEST_VECTOR, WORDS, torch.float16),
}


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for use.

    Attributes:
        model: the exact part on the CPU, the rest on `device`.
        tables: the frequency tables of its symbols.
        identity: four bytes, as streams state it.
        device: where the float networks run.
    """

    model: Model
    tables: FrequencyTables
    identity: bytes
    device: torch.device

    @property
    def is_vector(self) -> bool:
        """Whether it is one of the vector family."""
        return isinstance(self.model, VectorModel)

    @property
    def spatial(self) -> SpatialModel:
        """The model, known to be of the spatial family."""
        assert isinstance(self.model, SpatialModel)
        return self.model

    @property
    def vector(self) -> VectorModel:
        """The model, known to be of the vector family."""
        assert isinstance(self.model, VectorModel)
        return self.model

    @property
    def predicts(self) -> bool:
        """Whether its streams may predict contents from the one before."""
        return not self.is_vector and self.spatial.content_prior.predicts

    @property
    def reach(self) -> int:
        """Most GOPs before one that its pictures may need."""
        return 1 + MAX_PREDICTED * self.predicts


def _integer_parameters(model: Model) -> dict[str, float]:
    """Names of the parameters stored as integers, and the unit of each."""
    units = {}
    if isinstance(model, SpatialModel):
        units = {"content_prior.hyper_mean": 1.0, "content_prior.hyper_index": 1.0}
        if model.config.kinematic:
            units["dynamics_prior.ratio"] = 1.0
        if model.config.predicted:
            units |= {f"content_prior.lacking_{part}": 1.0 for part in ("mean", "index")}
    for name, layer in exact_layers(model):
        units[f"{name}.weight"] = units[f"{name}.bias"] = 2.0**layer.shift
    return units


def save_model(
    model: Model,
    path: Path,
    notes: dict[str, str] | None = None,
    tables: FrequencyTables | None = None,
) -> bytes:
    """Write a model file; returns its identity.

    Args:
        model: what is written.
        path: an existing file is replaced.
        notes: more metadata: licence, description, training.
        tables: of its symbols; None: those of `likelihood`'s distributions.

    Raises:
        OutputError: it cannot be written.
    """
    from dsaecodec.tables import build_tables

    units = _integer_parameters(model)
    form = VECTOR if isinstance(model, VectorModel) else SPATIAL
    kind = _KINDS[form]
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        value = value.detach().cpu().float()
        if name in units:
            value = torch.floor(value.double() * units[name] + 0.5).to(torch.int32)
        else:
            value = value.to(kind.floats)
        tensors[name] = value.contiguous()
    tables = tables or build_tables()
    tensors["tables.frequencies"] = torch.from_numpy(tables.freqs.astype(np.int32))
    tensors["tables.half_widths"] = torch.from_numpy(tables.half_widths.astype(np.int32))
    metadata = {"format": form, "config": json.dumps(asdict(model.config)), **(notes or {})}
    data = _with_ordered_metadata(save_tensors(tensors, metadata), metadata)
    with staged(path, overwrite=True) as part:
        part.write_bytes(data)
    return identity_of(data)


def _with_ordered_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """The same file with its metadata in the order given: the library's own order is random."""
    size = int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata} | json.loads(data[8 : 8 + size])
    header["__metadata__"] = metadata
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
    assert len(text) == size
    return data[:8] + text + data[8 + size :]


def load_model(
    name: str | None = None, device: str = "auto", identity: bytes | None = None
) -> LoadedModel:
    """Load and check a model by name or path, or else the one of an identity, see `find_model`.

    Raises:
        ModelError: missing, not of that identity, malformed, or outside the exactness bound.
    """
    path = find_model(name, identity)
    target = choose_device(device)
    data = read_model_file(path)
    try:
        kind, config, tensors = _parse(data)
        model, tables = _build(kind, config, tensors)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: not a usable model file ({error})") from error
    model.to(target)
    for part in model.children():
        if exact_layers(part):
            part.to("cpu")
            if isinstance(model, VectorModel):
                part.double()  # its symbols are of its weights' type
    for _, layer in exact_layers(model):
        layer.freeze()
    return LoadedModel(model, tables, identity_of(data), target)


def read_detail(path: Path) -> str:
    """Detail of each block of a vector model, as its file says; empty for anything else."""
    model = load_model(str(path), "cpu").model
    if not isinstance(model, VectorModel):
        return ""
    return model.config.detail or DETAILS[-1] * (model.config.size // BLOCK) ** 2


def choose_device(device: str) -> torch.device:
    """Device of the float networks: "auto" prefers CUDA."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"device {device!r}: expected auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device here", hint="use --device cpu")
    return torch.device(device)


def _parse(data: bytes) -> tuple[_Kind, Any, dict[str, Tensor]]:
    metadata = parse_metadata(data)  # its size is checked there, and the format
    kind = _KINDS[metadata["format"]]
    config = kind.config(**json.loads(metadata["config"]))
    for name, value in asdict(config).items():
        if name == "detail":
            legal = type(value) is str
        elif name in kind.words:
            legal = value in kind.words[name]
        else:
            legal = type(value) is int and kind.least(name) <= value <= kind.largest.get(name, 1)
        if not legal:
            raise ValueError(f"config {name} = {value!r}")
    if isinstance(config, VectorConfig) and config.fault:
        raise ValueError(f"config {config.fault}")
    return kind, config, load_tensors(data)


def _build(kind: _Kind, config: Any, tensors: dict[str, Tensor]) -> tuple[Model, FrequencyTables]:
    frequencies = _integers(tensors.pop("tables.frequencies"), "tables.frequencies")
    half_widths = _integers(tensors.pop("tables.half_widths"), "tables.half_widths")
    tables = FrequencyTables(frequencies.numpy().astype(np.int64), half_widths.numpy())
    if tables.num_tables != NUM_TABLES:
        raise ValueError(f"{tables.num_tables} tables, expected {NUM_TABLES}")
    with _building, torch.random.fork_rng(devices=[]):  # the process's random numbers are its own
        model: Model = kind.model(config).eval().requires_grad_(False)
    expected = model.state_dict()
    if set(expected) != set(tensors):
        raise ValueError(f"tensors differ: {sorted(set(expected) ^ set(tensors))[:4]}")
    for name, value in tensors.items():
        if value.shape != expected[name].shape:
            raise ValueError(f"{name}: shape {list(value.shape)}")
    units = _integer_parameters(model)
    state = {}
    for name, value in tensors.items():
        if name in units:
            value = _integers(value, name).float() / units[name]
        elif value.dtype != kind.floats or not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name}: not finite {kind.floats}")
        state[name] = value.float()
    model.load_state_dict(state, assign=True)
    check_bound(model)
    _check_ratio(model)
    return model, tables


def _check_ratio(model: Model) -> None:
    """Symbols that are lifted by hostile weights stay within what the format can say."""
    if isinstance(model, SpatialModel) and model.config.kinematic:
        ratio = model.dynamics_prior.ratio
        if not bool(((ratio >= 1) & (ratio <= LARGEST_RATIO)).all()):
            raise ValueError(f"dynamics_prior.ratio: not within 1…{LARGEST_RATIO}")


def _integers(value: Tensor, name: str) -> Tensor:
    limit = 2**24
    inside = (value >= -limit) & (value <= limit)
    if value.dtype != torch.int32 or not bool(inside.all()):
        raise ValueError(f"{name}: not int32 within ±2**24")
    return value
