"""Networks of CompressAI with their weights."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.rd.codec import CannotCode

PEERS = {"ssf2020": "ScaleSpaceFlow"}
"""Names on the command line, and of the classes in `compressai.models.video`."""


@lru_cache(maxsize=1)
def load_network(architecture: str, path: Path | None) -> Any:
    """A network ready to code, with the weights of a file, or random ones, always the same.

    Raises:
        CannotCode: CompressAI is not at hand, or the file holds other weights.
    """
    models = video_models()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = getattr(models, PEERS[architecture])()
    if path:
        try:
            network.load_state_dict(_read_weights(path))
        except Exception as error:  # whatever may be wrong with a file of the user's
            reason = str(error).partition("\n")[0]
            raise CannotCode(f"{path}: not a checkpoint of {architecture}: {reason}") from error
    network.update()  # tables of the entropy coder, where the checkpoint has none
    return network.eval()


def _read_weights(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    weights: dict[str, Tensor] = state.get("state_dict", state)  # as of CompressAI's trainer
    return {name.removeprefix("module."): value for name, value in weights.items()}


def compressai_version() -> str:
    """Which one is installed.

    Raises:
        CannotCode: none is.
    """
    try:
        return version("compressai")
    except PackageNotFoundError as error:
        raise CannotCode("CompressAI is not installed: pip install -e '.[bench]'") from error


def video_models() -> ModuleType:
    """CompressAI's video codecs; its import takes seconds.

    It loads torchvision, for data sets alone, and PyPI's torchvision does not load beside PyTorch's
    build for CPUs ("operator torchvision::nms does not exist"). There an empty one takes its place.

    Raises:
        CannotCode: it is not at hand.
    """
    compressai_version()
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("torchvision", "torchvision.transforms"):
            sys.modules[name] = module_from_spec(ModuleSpec(name, None))
        sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]  # type: ignore[attr-defined]
    try:
        from compressai.models import video
    except (ImportError, RuntimeError, AttributeError) as error:
        raise CannotCode(f"CompressAI cannot be loaded: {error}") from error
    models: ModuleType = video
    return models
