"""How torch is set up while a codec computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dsaecodec.errors import ConfigError


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Use `threads` CPU threads inside, without gradients, and restore torch's setting after.

    Raises:
        ConfigError: fewer than one thread.
    """
    before = torch.get_num_threads()
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"{threads} threads: expected 1 or more")
        torch.set_num_threads(threads)
    try:
        # full float32 on GPUs too: pixels must agree between machines
        cudnn = torch.backends.cudnn
        with torch.no_grad(), cudnn.flags(enabled=cudnn.enabled, allow_tf32=False):
            yield
    finally:
        if threads is not None:
            torch.set_num_threads(before)
