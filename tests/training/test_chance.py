"""Random numbers are functions of seed, step and clip, and of nothing else."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from dsaecodec.training.chance import Noise, below, generator_of

SEEDS = [(3, 1, 8, clip) for clip in range(4)]
SHARES = [[(0, 4)], [(0, 2), (2, 4)], [(0, 1), (1, 4)], [(0, 1), (1, 2), (2, 3), (3, 4)]]


def numbers(*seed: int) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=generator_of(*seed), dtype=torch.float64).tolist())


def test_generators_are_stable() -> None:
    """A run that goes on with a later version draws what it would have drawn."""
    assert generator_of(7, 1, 5).initial_seed() == 863741332339969575
    assert numbers(7, 1, 5) == numbers(7, 1, 5)


def test_neighbours_draw_other_numbers() -> None:
    """Also those that differ by zeros at their end, such as a step and its first clip."""
    seeds = [seed for n in range(1, 6) for seed in product((0, 1), repeat=n)]
    seeds += [(1, 0, step) for step in range(2, 50)] + [(2**40,), (2**40 + 1,), (2**32,)]
    drawn = {numbers(*seed) for seed in seeds}
    assert len(drawn) == len(seeds)
    firsts = {values[0] for values in drawn}
    assert len(firsts) == len(seeds)


def test_below_reaches_everything_below() -> None:
    generator = generator_of(1)
    assert {below(5, generator) for _ in range(200)} == set(range(5))
    assert {below(1, generator) for _ in range(5)} == {0}


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("k", [1, 3])
def test_noise_in_parts_is_noise_of_the_whole(shares: list[tuple[int, int]], k: int) -> None:
    """Processes that share a batch draw what one would, block by block and clip by clip."""
    x = torch.linspace(-9, 9, k * 4 * 2 * 3).reshape(k, 4, 2, 3)  # block, clip, …
    by_block = Noise(SEEDS).add(x.flatten(0, 1)).unflatten(0, (k, 4))
    clips_first = x.transpose(0, 1)
    by_clip = Noise(SEEDS).add_by_clip(clips_first.flatten(0, 1)).unflatten(0, (4, k))
    assert by_clip.equal(by_block.transpose(0, 1))
    for begin, end in shares:
        part = Noise(SEEDS[begin:end])
        found = part.add(x[:, begin:end].flatten(0, 1)).unflatten(0, (k, -1))
        assert found.equal(by_block[:, begin:end])
        part = Noise(SEEDS[begin:end])
        found = part.add_by_clip(clips_first[begin:end].flatten(0, 1)).unflatten(0, (-1, k))
        assert found.equal(by_clip[begin:end])


def test_each_call_draws_anew_and_each_clip_its_own() -> None:
    noise, x = Noise(SEEDS), torch.zeros(4, 50)
    drawn = torch.cat([noise.add(x), noise.add(x), noise.add_by_clip(x)])
    assert len(set(drawn.flatten().tolist())) > 0.99 * drawn.numel()


def test_noise_is_uniform_and_passes_gradients() -> None:
    x = torch.full((4, 20_000), 7.25, requires_grad=True)
    noisy = Noise(SEEDS).add(x)
    noise = noisy.detach() - 7.25
    assert noise.abs().max() <= 0.5 and noise.abs().max() > 0.499
    assert abs(float(noise.mean())) < 0.005
    assert float(noise.var()) == pytest.approx(1 / 12, rel=0.02)
    (gradient,) = torch.autograd.grad(noisy.sum(), x)
    assert gradient.equal(torch.ones_like(x))


def test_without_noise_latents_are_rounded() -> None:
    x = torch.tensor([-1.5, -0.51, -0.5, 0.49, 0.5, 2.7], requires_grad=True)
    expected = [-1, -1, 0, 0, 1, 3]
    for add in (Noise(None).add, Noise(None).add_by_clip):
        rounded: Tensor = add(x)
        assert rounded.tolist() == expected and not rounded.requires_grad
