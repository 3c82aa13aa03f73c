"""Clips to bytes and back, with a latent model.

A payload is its head, see `head`, and the range coder's bytes: f, then z_t frame by frame, each
symbol under the table of its prior.

Floats decide the tables here: a payload decodes where it was made. Both directions run one loop,
a frame at a time on one thread, so that there they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.latents.head import NUM_LEVELS, pack_head, read_head
from benchmarks.latents.model import BETAS, LatentModel, Latents, Said
from benchmarks.latents.objective import log_rate_of
from bitstream import FrequencyTables, SymbolCoder, SymbolDecoder, SymbolEncoder
from dsaecodec.likelihood import MEAN_UNITS, SCALE_LEVELS, split_mean, table_index
from dsaecodec.tables import build_tables

Frames = NDArray[np.uint8]

assert len(BETAS) == NUM_LEVELS, "a head names every level"
_LARGEST = 2**20  # of a symbol: floats hold it exactly


@dataclass(frozen=True)
class Payload:
    """A coded clip.

    Attributes:
        data: all bytes.
        frames: uint8 [T, 64, 64, 3], what decoding will give.
    """

    data: bytes
    frames: Frames


def encode_clip(model: LatentModel, frames: Frames, level: int) -> Payload:
    """Code a clip.

    Args:
        model: trained weights.
        frames: uint8 [T, 64, 64, 3].
        level: quality 0…4.
    """
    with _one_thread():
        log_rate = _log_rate(level)
        clip = torch.from_numpy(frames).float() / 255
        latents = model.infer(clip[None], log_rate)
        coder = SymbolEncoder(_tables())
        values = _code(model, coder, len(frames), log_rate, latents)
        data = pack_head(level, len(frames)) + coder.finish()
        return Payload(data, _picture(model, values, log_rate))


def decode_clip(model: LatentModel, data: bytes) -> Frames:
    """The frames of a payload: uint8 [T, 64, 64, 3].

    Raises:
        MalformedError: no encoder makes these bytes.
    """
    level, num_frames, begin = read_head(data)
    with _one_thread():
        log_rate = _log_rate(level)
        coder = SymbolDecoder(data[begin:], _tables())
        values = _code(model, coder, num_frames, log_rate, None)
        coder.finish()
        return _picture(model, values, log_rate)


Values = tuple[Tensor | None, Tensor]
"""f_hat [1, F], None without f, and z_hat [1, T, Z]."""


def _code(
    model: LatentModel,
    coder: SymbolCoder,
    num_frames: int,
    log_rate: Tensor,
    latents: Latents | None,
) -> Values:
    """Both directions: code the latents, or decode them where there are none."""
    f_hat = None
    if model.config.f_size:
        known = None if latents is None else latents.f
        symbols = _code_group(coder, model.f_prior(log_rate), known)
        f_hat = symbols * model.f_steps(log_rate[:, None])
    if model.config.variant == "deterministic":
        assert f_hat is not None, "the deterministic variant sends f"
        return f_hat, model.unroll(f_hat, num_frames, log_rate)
    z_hat = [torch.zeros(1, 1, model.config.z_size)]
    state = model.first(1)
    for t in range(num_frames):
        said, state = model.prior(z_hat[-1], log_rate, state)
        known = None if latents is None or latents.z is None else latents.z[:, t : t + 1]
        symbols = _code_group(coder, said, known)
        z_hat.append(symbols * model.z_steps(log_rate[:, None, None]))
    return f_hat, torch.cat(z_hat[1:], 1)


def _code_group(coder: SymbolCoder, said: Said, latent: Tensor | None) -> Tensor:
    """Code one group of symbols under a prior made integer; their values in symbols."""
    mean = (said.mean * MEAN_UNITS).clamp(-_LARGEST, _LARGEST)
    whole, fraction = split_mean(torch.floor(mean + 0.5))
    index = torch.floor(said.index + 0.5).clamp(0, SCALE_LEVELS - 1)
    table = table_index(fraction, index).to(torch.int64).numpy()
    if latent is None:
        left = coder.code(table, None)
    else:
        rounded = torch.floor(latent.clamp(-_LARGEST, _LARGEST) + 0.5)
        left = coder.code(table, (rounded - whole).to(torch.int32).numpy())
    return torch.from_numpy(left) + whole


def _picture(model: LatentModel, values: Values, log_rate: Tensor) -> Frames:
    """Frames uint8 [T, 64, 64, 3] of values of latents."""
    decoded = model.synthesize(*values, log_rate)[0]
    levels: Frames = torch.floor(decoded.clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
    return levels


def _log_rate(level: int) -> Tensor:
    return log_rate_of(torch.tensor([BETAS[level]]))


@cache
def _tables() -> FrequencyTables:
    return build_tables()


@contextmanager
def _one_thread() -> Iterator[None]:
    """No gradients, and one thread as in every other call."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)
