"""Weights as files: safetensors of half precision, with what they are in the metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.latents.model import LatentConfig, LatentModel

FOLDER = Path(__file__).parent / "weights"


def weights_path(group: str, variant: str) -> Path:
    """Where the shipped weights of a set and variant are."""
    return FOLDER / f"{group}-{variant}.safetensors"


def identity(path: Path) -> str:
    """The first 8 hexadecimal digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def write_weights(model: LatentModel, path: Path, about: Mapping[str, str]) -> None:
    """Write a model as float16.

    Args:
        model: any variant.
        path: of the file.
        about: what else the file says of itself.
    """
    tensors = {name: p.detach().half().contiguous() for name, p in model.state_dict().items()}
    metadata = {"config": json.dumps(asdict(model.config)), **about}
    save_file(tensors, path, metadata)


def read_weights(path: Path) -> LatentModel:
    """The model of a file, ready to code.

    Raises:
        OSError: there is no such file.
    """
    with safe_open(path, "pt") as file:
        model = LatentModel(LatentConfig(**json.loads(file.metadata()["config"])))
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    model.load_state_dict(tensors)
    model.requires_grad_(False)
    return model.eval().to(torch.float32)
