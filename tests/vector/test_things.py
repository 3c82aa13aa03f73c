"""Things are drawn where z says and found where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from dsaecodec.draw import bouncing_balls
from dsaecodec.errors import ConfigError
from dsaecodec.training.config import load_config
from dsaecodec.vector.synthesis import to_blocks, to_pictures
from dsaecodec.vector.things import Places, Things

SIZE = 32


@pytest.fixture
def things() -> Things:
    torch.manual_seed(4)
    model = Things(SIZE, 5, 4, 7)
    with torch.no_grad():
        model.of_f[-1].weight.mul_(50)
    return model


@torch.no_grad()
def drawn(things: Things, f: torch.Tensor, z: torch.Tensor) -> np.ndarray:
    """[N, T, 3, H, W], float64."""
    return to_pictures(things(f, z), SIZE).double().numpy()


def test_pictures_are_sums_of_splines(things):
    f, z = torch.randn(2, 5), torch.randn(2, 3, 4) * 6
    torch.nn.init.normal_(things.bias)
    side = things.side
    assert side == 12
    looks = things.of_f(f).detach().double().numpy().reshape(2, 2, side, 3, side)
    spline = BSpline.basis_element(np.arange(-2, 3), extrapolate=False)
    line, offset = np.arange(SIZE) - (SIZE - 1) / 2, np.arange(side) - (side - 1) / 2
    still = to_pictures(things.bias[:, None, None], SIZE).detach().double().numpy()
    expected = np.broadcast_to(still, (2, 3, 3, SIZE, SIZE)).copy()
    for clip, t, thing in np.ndindex(2, 3, 2):
        place = z[clip, t, [thing, 2 + thing]].double().numpy()
        at = np.nan_to_num(spline(line - place[:, None, None] + offset[:, None]))
        expected[clip, t] += np.einsum("ky,kcl,lx->cyx", at[0], looks[clip, thing], at[1])
    assert np.abs(expected - still).max() > 0.2
    np.testing.assert_allclose(drawn(things, f, z), expected, atol=1e-5)


def test_whole_pixels_move_pictures_unchanged(things):
    f, z = torch.randn(1, 5), torch.randn(1, 1, 4) * 0.5
    moved = z + torch.tensor([2.0, 2.0, -3.0, -3.0])  # two lines down, three columns left
    before, after = drawn(things, f, z), drawn(things, f, moved)
    assert before.std() > 0.01
    np.testing.assert_allclose(after[..., 8:24, 8:24], before[..., 6:22, 11:27], atol=1e-5)


def test_things_far_outside_are_not_seen(things):
    f = torch.randn(1, 5)
    for far in (1e3, -1e6, 1e12):
        assert np.abs(drawn(things, f, torch.full((1, 1, 4), far))).max() == 0


def test_a_disc_is_found_where_it_is():
    """A filter that sees every colour finds the only ball there is."""
    places = Places(1)
    with torch.no_grad():
        places.colours.weight.abs_()
        places.things.weight.abs_()
    clip = bouncing_balls(20, 3, num_balls=1, size=64)
    pictures = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float()
    found, colours = places(pictures)
    assert colours.shape == (20, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(places(pictures)[0], found)
    truth = clip.positions[:, 0] - 32
    assert np.abs(truth).max() > 10
    np.testing.assert_allclose(found.detach().numpy(), truth, atol=0.1)


def test_colours_do_not_depend_on_places():
    places = Places(2)
    clip = bouncing_balls(9, 5, num_balls=1, size=64)
    _, colours = places(torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float())
    assert colours.max() > 1 and colours.std(0).max() < 0.05 * colours.max()


def test_an_odd_number_of_places_is_refused():
    with pytest.raises(ConfigError, match="two for each thing"):
        load_config("balls", fine_tune=False, overrides=["vector.z_channels=7"])


def test_blocks_and_pictures_agree_on_the_mean(things):
    """The bias is what a picture without things shows."""
    picture = torch.rand(1, 1, 3, SIZE, SIZE)
    with torch.no_grad():
        things.bias.copy_(to_blocks(picture)[:, 0, 0])
    far = torch.full((1, 1, 4), 1e3)
    np.testing.assert_allclose(drawn(things, torch.randn(1, 5), far), picture.double().numpy())
