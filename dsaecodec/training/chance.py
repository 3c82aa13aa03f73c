"""Everything random in training, as a function of seed, step and clip.

No generator lives longer than a step. So a run that stops and goes on draws what it would have
drawn, and several processes draw what one would, each for its own share of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def generator_of(*numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that the numbers seed; their count too, as NumPy takes (7, 1) for (7, 1, 0)."""
    state = np.random.SeedSequence((len(numbers), *numbers)).generate_state(2, np.uint32)
    seed = int(state[0]) << 31 | int(state[1]) >> 1  # 63 bits: torch's seeds are signed
    return torch.Generator(device).manual_seed(seed)


def below(limit: int, generator: torch.Generator) -> int:
    """A number 0…limit-1."""
    return int(torch.randint(limit, (1,), generator=generator))


class Noise:
    """Additive uniform noise in ±1/2, for each clip of a batch its own.

    Args:
        seeds: numbers of each clip, see `generator_of`; None for rounding in noise's place.
    """

    def __init__(
        self, seeds: Sequence[Sequence[int]] | None, device: torch.device | str = "cpu"
    ) -> None:
        self._generators = (
            None if seeds is None else [generator_of(*numbers, device=device) for numbers in seeds]
        )

    def add(self, x: Tensor) -> Tensor:
        """Noisy latents [k·N, …] of N clips, rounded ones if there is no noise.

        The clips lie in k blocks, one after the other, of all clips each.
        """
        if self._generators is None:
            return torch.floor(x + 0.5).detach()
        per_clip = x.shape[0] // len(self._generators)
        noise = [
            torch.rand(per_clip, *x.shape[1:], generator=g, device=x.device, dtype=x.dtype)
            for g in self._generators
        ]
        return x + torch.stack(noise, 1).flatten(0, 1) - 0.5

    def add_by_clip(self, x: Tensor) -> Tensor:
        """The same for [N·k, …] where each clip's own k lie together."""
        if self._generators is None:
            return self.add(x)
        count = len(self._generators)
        blocks = x.unflatten(0, (count, -1)).transpose(0, 1)
        return (
            self.add(blocks.flatten(0, 1)).unflatten(0, (-1, count)).transpose(0, 1).flatten(0, 1)
        )
