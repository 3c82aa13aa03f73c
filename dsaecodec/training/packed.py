"""Shots in one file, for machines that cannot read video: safetensors, uint8.

Tensors "N.luma" [T, H, W] and "N.chroma" [T, 2, H/2, W/2], or of RGB [T, 2, H, W], of shot
N = 0, 1, …; the metadata name the format and list, as JSON, the shots' names and which loop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dsaecodec.errors import InputVideoError
from dsaecodec.output import staged
from dsaecodec.training.shots import MIN_SIDE, Shot

SUFFIX = ".safetensors"
FORMAT = "dsaecodec-shots-1"


def write_pack(path: Path, shots: Sequence[Shot], *, overwrite: bool = False) -> None:
    """Write shots.

    Raises:
        OutputError: see `staged`.
    """
    tensors = {}
    for i, shot in enumerate(shots):
        tensors[f"{i}.luma"] = shot.luma.contiguous()
        tensors[f"{i}.chroma"] = shot.chroma.contiguous()
    metadata = {"format": FORMAT, "names": json.dumps([shot.name for shot in shots])}
    loops = [i for i, shot in enumerate(shots) if shot.loops]
    if loops:
        metadata["loops"] = json.dumps(loops)
    with staged(path, overwrite=overwrite, alone=True) as part:  # the library has its own
        part.touch()
        mode = part.stat().st_mode  # the library's file is for its owner alone
        try:
            save_file(tensors, part, metadata)
            part.chmod(mode)
        except SafetensorError as error:  # its own word for what the system said
            reason = str(error).removeprefix("Error while serializing: I/O error: ")
            raise OSError(None, reason, str(part)) from error


def read_pack(path: Path) -> Iterator[Shot]:
    """Read shots one by one.

    Raises:
        InputVideoError: missing, or no such file.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(f"its metadata do not say format {FORMAT!r}")
            loops = set(json.loads(metadata.get("loops", "[]")))
            for i, name in enumerate(_names(metadata["names"], set(file.keys()))):
                luma, chroma = file.get_tensor(f"{i}.luma"), file.get_tensor(f"{i}.chroma")
                yield _checked(Shot(name, luma, chroma, i in loops))
    except OSError as error:
        reason = str(error).removesuffix(f": {path}")
        raise InputVideoError(f"{path}: cannot be read: {reason}") from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputVideoError(f"{path}: not a file of packed shots ({error})") from error


def _names(text: str, keys: set[str]) -> list[str]:
    """Raises: ValueError: they are not the names of as many shots as there are tensors of."""
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its names are no list of words")
    if keys != {f"{i}.{plane}" for i in range(len(names)) for plane in ("luma", "chroma")}:
        raise ValueError(f"{len(names)} names, {len(keys)} tensors")
    return names


def _checked(shot: Shot) -> Shot:
    """Raises: ValueError: its tensors are not those of a shot."""
    luma, chroma = shot.luma, shot.chroma
    fits = luma.dtype == chroma.dtype == torch.uint8 and luma.ndim == 3 and len(luma) > 0
    if fits:
        count, height, width = luma.shape
        fits = height % 2 == width % 2 == 0 and min(height, width) >= MIN_SIDE
        halves, wholes = [count, 2, height // 2, width // 2], [count, 2, height, width]
        fits = fits and list(chroma.shape) in (halves, wholes)
    if not fits:
        raise ValueError(f"{shot.name}: tensors {list(luma.shape)}, {list(chroma.shape)}")
    return shot
