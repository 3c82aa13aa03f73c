"""The exact priors of vectors against plain integers, and in any order and batch."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from dsaecodec.model_io import load_model
from dsaecodec.vector.model import VectorModel
from tests.referee import compand


class Referee:
    """The priors in NumPy int64, from the equations and the numbers in the file."""

    def __init__(self, path: Path) -> None:
        self.tensors = {k: v.astype(np.int64) for k, v in load_file(path).items() if "prior" in k}

    def layer(self, name: str, x: np.ndarray, low: int | None, high: int | None) -> np.ndarray:
        total = self.tensors[f"{name}.weight"] @ x + self.tensors[f"{name}.bias"]
        assert np.abs(total).max() < 2**24
        total = (total + 512) >> 10
        return total if low is None else np.clip(total, low, high)

    def numbers(self, name, context, base, symbols, quality):
        """(mean, index) of each number of one vector."""
        count, found = len(symbols), []
        base = np.clip(base, -(2**22), 2**22)
        for c in range(count):
            innovation = seen(symbols - ((base + 2) >> 2), quality)
            before = np.where(np.arange(count) < c, innovation, 0)
            place = 127 * (np.arange(count) == c)
            hidden = self.layer(
                f"{name}.mix", np.concatenate([context, before, place, [quality]]), 0, 255
            )
            delta, index = self.layer(f"{name}.head", hidden, None, None)
            index = np.clip(index + (3 * (quality - 50)) // 16, 0, 39)
            found.append((base[c] + said(delta, quality), index))
        return found

    def dynamics(self, z: np.ndarray, quality: int):
        """(mean, index) of each number of z [T, C]."""
        width = len(self.tensors["dynamics_prior.candidate.bias"])
        z1 = z2 = np.zeros(z.shape[1], np.int64)
        hidden = cell = np.zeros(width, np.int64)
        known, found = 0, []
        for now in z:
            stay, go = np.split(self.layer("dynamics_prior.base", hidden, 0, 64), 2)
            wide = self.layer("dynamics_prior.mix", hidden, 0, 255)
            expected = self.layer("dynamics_prior.head", wide, None, None)
            base = ((stay * z1 + go * (z1 - z2) + 8) >> 4) + said(expected, quality)
            context = np.concatenate([hidden, [known]])
            found += self.numbers("dynamics_prior.numbers", context, base, now, quality)
            inputs = np.concatenate([seen(now, quality), seen(now - z1, quality), hidden])
            keep, write, show = np.split(self.layer("dynamics_prior.gates", inputs, 0, 64), 3)
            candidate = 8 * self.layer("dynamics_prior.candidate", inputs, -127, 127)
            cell = np.clip((keep * cell + write * candidate + 32) >> 6, -1016, 1016)
            hidden = (show * cell + 256) >> 9
            z1, z2, known = now, z1, 127
        return found


def seen(symbols: np.ndarray, quality: int) -> np.ndarray:
    worth = int(Fraction(2) ** 10 * power_of_two(Fraction(30 - quality, 16)) + Fraction(1, 2))
    return compand((symbols * worth + 32) >> 6)


def said(latents: np.ndarray, quality: int) -> np.ndarray:
    worth = int(Fraction(2) ** 8 * power_of_two(Fraction(quality - 30, 16)) + Fraction(1, 2))
    return (np.clip(latents, -2047, 2047) * worth + 2048) >> 12


def power_of_two(exponent: Fraction) -> Fraction:
    """With more digits than matter."""
    with localcontext() as context:
        context.prec = 60
        return Fraction(Decimal(2) ** (Decimal(exponent.numerator) / exponent.denominator))


def some_symbols(seed: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.5, 3.0, 200.0, 2.0**19], size=shape, p=[0.6, 0.3, 0.08, 0.02])
    return np.clip(np.round(rng.laplace(0, scale)), -(2**20), 2**20).astype(np.int64)


@pytest.fixture(scope="module")
def model(vector_folder: Path) -> VectorModel:
    return load_model(str(vector_folder / "small.safetensors")).vector


def one_by_one(model: VectorModel, z: np.ndarray, quality: int):
    """What a coder is asked, number by number."""
    asked, state = [], model.dynamics_prior.init_state(len(z))
    tensor = torch.from_numpy(z).double()
    qualities = torch.full((len(z),), float(quality), dtype=torch.float64)
    for t in range(z.shape[1]):
        numbers = iter(tensor[:, t].T)

        def exchange(mean, index, numbers=numbers):
            asked.append((mean.long().numpy(), index.long().numpy()))
            return next(numbers)[:, None]

        coded = model.dynamics_prior.code(state, qualities, exchange)
        state = model.dynamics_prior.update(state, coded, qualities)
    return asked


@pytest.mark.parametrize("quality", [0, 37, 50, 100])
@pytest.mark.parametrize("batch", [1, 15, 16, 32])
def test_dynamics_equal_plain_integers(model, vector_folder, quality, batch):
    z = some_symbols(batch, batch, 6, 3)
    referee = Referee(vector_folder / "small.safetensors")
    expected = [referee.dynamics(clip, quality) for clip in z]
    for place, (mean, index) in enumerate(one_by_one(model, z, quality)):
        for clip in range(batch):
            assert (mean[clip, 0], index[clip, 0]) == expected[clip][place]


def test_content_equals_plain_integers(model, vector_folder):
    f = some_symbols(1, 8, 5)
    referee, asked = Referee(vector_folder / "small.safetensors"), []
    numbers = iter(torch.from_numpy(f).double().T)

    def exchange(mean, index):
        asked.append((mean.long().numpy(), index.long().numpy()))
        return next(numbers)[:, None]

    model.content_prior.code(torch.full((8,), 61.0, dtype=torch.float64), exchange)
    nothing = np.zeros(0, np.int64)
    for clip in range(8):
        zeros = np.zeros(5, np.int64)
        expected = referee.numbers("content_prior.numbers", nothing, zeros, f[clip], 61)
        assert [(mean[clip, 0], index[clip, 0]) for mean, index in asked] == expected


def test_training_sees_what_is_coded(model):
    """All numbers at once, in float32, are what the coder is told one after the other."""
    z = np.clip(some_symbols(5, 4, 7, 3), -2000, 2000)
    trained = VectorModel(model.config)
    trained.load_state_dict(model.state_dict())
    trained.float()
    symbols, quality = torch.from_numpy(z).float(), torch.full((4,), 70.0)
    state, at_once = trained.dynamics_prior.init_state(4), []
    for t in range(7):
        mean, index = trained.dynamics_prior.parameters_of(state, symbols[:, t], quality)
        at_once += [(mean[:, c : c + 1], index[:, c : c + 1]) for c in range(3)]
        state = trained.dynamics_prior.update(state, symbols[:, t], quality)
    for (mean, index), (m, i) in zip(one_by_one(model, z, 70), at_once, strict=True):
        assert np.array_equal(mean, m.detach().long()) and np.array_equal(index, i.detach().long())


def test_a_static_prior_remembers_nothing(model):
    from dsaecodec.vector.prior import DynamicsPrior

    prior = DynamicsPrior(3, 8, recurrent=False)
    start = prior.init_state(2)
    after = prior.update(start, torch.ones(2, 3), torch.full((2,), 50.0))
    assert all(torch.equal(a, b) for a, b in zip(start, after, strict=True))
