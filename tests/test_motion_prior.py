"""Motion of predicted contents, coded from coarse to fine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bitstream import MalformedError, SymbolDecoder, SymbolEncoder
from dsaecodec.codec.threads import limited_threads
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.spatial import gop_coder
from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.gop_coder import code_content, code_motion, fixed, fixed_content
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion_prior import fineness_of, refinements
from dsaecodec.spatial.synthesis import Yuv

CPU = torch.device("cpu")
SIZES = [(1, 1), (1, 9), (9, 1), (5, 7), (8, 16), (17, 10), (34, 60)]
QUALITY = 50


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(None, "cpu")


def content(loaded: LoadedModel, motion: torch.Tensor) -> ContentSymbols:
    size = motion.shape[2:]
    half = [(side + 1) // 2 for side in size]
    model = loaded.spatial
    hyper = torch.zeros(1, model.config.hyper_channels, *half, dtype=torch.float64)
    return ContentSymbols(hyper, torch.zeros(1, 384, *size, dtype=torch.float64), motion)


def some_motion(size, unit: int = 1, seed: int = 0) -> torch.Tensor:
    """A pan, and blocks that differ from it."""
    rng = np.random.default_rng(seed)
    motion = np.full((1, 2, *size), 23.0) + (rng.random((1, 2, *size)) < 0.2) * rng.integers(-9, 9)
    return unit * torch.from_numpy(motion)


def coded(loaded: LoadedModel, motion: torch.Tensor) -> bytes:
    coder = SymbolEncoder(loaded.tables)
    targets = fixed_content(content(loaded, motion))
    with limited_threads(1):
        code_content(loaded.spatial, coder, motion.shape[2:], QUALITY, targets)
    return coder.finish()


@pytest.mark.parametrize("size", SIZES)
def test_every_block_is_refined_once(size):
    positions = torch.cat([step.positions for step in refinements(*size, CPU)])
    assert sorted(positions.tolist()) == list(range(size[0] * size[1]))


@pytest.mark.parametrize("size", SIZES)
def test_all_but_the_coarsest_lie_beside_known_ones(size):
    known: set[tuple[int, int]] = set()
    for spacing, lattice, positions in refinements(*size, CPU):
        cells = [divmod(int(p), size[1]) for p in positions]
        for y, x in cells:
            near = {(y + dy * spacing, x + dx * spacing) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
            assert near & known or spacing == 8
            assert (y // spacing % 2, x // spacing % 2) == (lattice.top, lattice.left)
        known |= set(cells)


@pytest.mark.parametrize("unit", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (17, 10)])
def test_motion_comes_back_however_fine_it_is(loaded, size, unit):
    motion = some_motion(size, unit)
    assert fineness_of(motion) == {1: 2, 2: 1, 4: 0, 8: 0}[unit]
    decoder = SymbolDecoder(coded(loaded, motion), loaded.tables)
    with limited_threads(1):
        again = code_content(loaded.spatial, decoder, size, QUALITY, None)
    decoder.finish()
    assert again.motion.equal(motion)


def test_pans_cost_about_the_same_however_fast_they_are(loaded):
    """Their vectors are said once, where nothing is known yet."""

    def size_of(motion: torch.Tensor) -> int:
        coder = SymbolEncoder(loaded.tables)
        code_motion(loaded.spatial, coder, (17, 30), QUALITY, fixed(motion))
        return len(coder.finish())

    slow, fast = (size_of(torch.full((1, 2, 17, 30), n).double()) for n in (1, 91))
    assert abs(fast - slow) < 40
    rng = np.random.default_rng(1)
    chaos = torch.from_numpy(rng.integers(-91, 92, (1, 2, 17, 30)).astype(float))
    assert 5 * max(slow, fast) < size_of(chaos)


def test_the_prior_of_dynamics_begins_with_the_nearest_of_its_steps(loaded):
    motion = (
        torch.tensor([-7, -6, -5, -2, -1, 0, 1, 2, 5, 6, 7]).view(1, 1, 1, -1).expand(1, 2, 1, -1)
    )
    half = [-2, -1, -1, 0, 0, 0, 0, 1, 1, 2, 2]
    assert loaded.spatial.dynamics_prior.half_of(motion)[0, 0, 0].tolist() == half
    state = loaded.spatial.dynamics_prior.init_state(1, (1, 11), motion=motion)
    assert state.z1[0, 2].tolist() == state.z1[0, 3].tolist() == half
    old = load_model("natural-7", "cpu").spatial.dynamics_prior
    far = torch.tensor([[[[-(2**31), 2**31 - 1, 3]] * 2]]).flatten(0, 1)
    assert old.half_of(far).tolist() == far.tolist()


@pytest.mark.parametrize("fineness", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_what_is_less_fine_than_said_is_refused(loaded, fineness, size):
    """The same motion has one way to be said."""
    coder, motion = SymbolEncoder(loaded.tables), some_motion(size, 2)
    gop_coder._code_answer(coder, 3, 1 + fineness)
    code_motion(loaded.spatial, coder, size, QUALITY, fixed(motion), fineness)
    decoder = SymbolDecoder(coder.finish(), loaded.tables)
    expected = f"expected {fineness} as said"
    with pytest.raises(MalformedError, match=expected), limited_threads(1):
        code_content(loaded.spatial, decoder, size, QUALITY, None)


class Says:
    """A decoder that hears the content is predicted, as finely as can be, and then one number."""

    def __init__(self, number: int) -> None:
        self.told = [1, number]

    def code(self, table, symbols):
        return np.full(table.shape, self.told.pop(0) if self.told else 0, np.int32)


@pytest.mark.parametrize("sign", [-1, 1])
def test_motion_has_an_end(loaded, sign):
    far = torch.full((1, 2, 1, 1), sign * (2.0**20 - 1), dtype=torch.float64)
    decoder = SymbolDecoder(coded(loaded, far), loaded.tables)
    with limited_threads(1):
        assert code_content(loaded.spatial, decoder, (1, 1), QUALITY, None).motion.equal(far)
        with pytest.raises(MalformedError, match="f_motion: found 10485"):
            code_content(loaded.spatial, Says(sign * (2**20 + 9)), (1, 1), QUALITY, None)


@torch.no_grad()
def test_pictures_move_by_as_much_as_the_dynamics_say(loaded):
    """Four symbols of a precise model are one of others, whose steps z_t has."""
    model, plain = loaded.spatial, load_model("natural-8", "cpu").spatial
    noise = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(1)) * 200 - 100
    f_hat = model.content_posterior(Yuv(noise, torch.zeros(1, 2, 32, 48)))
    planes = model.synthesize_content(f_hat, QUALITY)
    moved = [
        m.predict_content(planes, torch.full((1, 2, 4, 6), n), QUALITY).luma
        for m, n in ((plain, 3.0), (model, 12.0), (model, 13.0))
    ]
    assert torch.allclose(moved[0], moved[1], atol=1e-3)
    assert float((moved[1] - moved[2]).abs().mean()) > 1


def test_a_model_that_becomes_precise_says_the_rest_as_before(loaded):
    plain = load_model("natural-7", "cpu").spatial
    model = SpatialModel(replace(plain.config, precise=1))
    model.load_state_dict(model.widened(plain.state_dict()))
    state = plain.state_dict()
    assert all(
        value.equal(state[name]) for name, value in model.state_dict().items() if name in state
    )
    assert {name.split(".")[0] for name in model.state_dict() if name not in state} == {
        "motion_prior"
    }
