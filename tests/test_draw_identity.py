"""What drawn sets promise beyond one clip: attributes are apart, and the drawing is one for all."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from dsaecodec.draw import bouncing_balls, draw_character
from dsaecodec.draw.characters import ACTIONS, ATTRIBUTES, CYCLE, DIRECTIONS, Character

MOTIONS = list(itertools.product(range(len(ACTIONS)), range(len(DIRECTIONS))))


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_the_outline_of_an_attribute_does_not_depend_on_the_others(attribute: str) -> None:
    """A character covers what its attributes cover: two that swap one cover the same together."""
    one, other = Character(0, 1, 5, 1), Character(4, 3, 2, 5)
    swapped = [
        one._replace(**{attribute: getattr(other, attribute)}),
        other._replace(**{attribute: getattr(one, attribute)}),
    ]
    for motion in MOTIONS:
        covers = [draw_character(c, *motion, CYCLE).any(axis=3) for c in (one, other, *swapped)]
        assert np.array_equal(covers[0] | covers[1], covers[2] | covers[3])
        assert not np.array_equal(covers[0], covers[2])


def test_two_balls_exchange_momentum_along_the_line_between_them() -> None:
    """Every collision between frames, where it is the only event and no wall is near."""
    found = 0
    for seed in range(12):
        clip = bouncing_balls(200, seed, num_balls=2)
        masses = clip.radii[:, None] ** 2
        momentum = (masses * clip.velocities).sum(axis=1)
        hits = np.abs(np.diff(clip.velocities, axis=0)).min(axis=(1, 2)) > 0
        for t in np.flatnonzero(hits):
            before, after = clip.velocities[t], clip.velocities[t + 1]
            turned = (masses * (after - before))[0]
            if not np.allclose(momentum[t], momentum[t + 1], rtol=0, atol=1e-9):
                continue  # a wall took part as well
            found += 1
            # one event: straight lines from both frames meet in it, the balls touching
            normal = turned / np.linalg.norm(turned)
            closing = (before[1] - before[0]) @ normal
            assert (after[1] - after[0]) @ normal == pytest.approx(-closing, abs=1e-9)
            r, v = clip.positions[t, 0] - clip.positions[t, 1], before[0] - before[1]
            a, b, c = v @ v, r @ v, r @ r - clip.radii.sum() ** 2
            moment = (-b - np.sqrt(b * b - a * c)) / a
            assert 0 <= moment <= 1
            touching = clip.positions[t] + moment * before
            across = (touching[0] - touching[1]) / clip.radii.sum()
            assert np.abs(across - normal).max() < 1e-6
            moved = touching + (1 - moment) * after
            assert np.abs(moved - clip.positions[t + 1]).max() < 1e-9
    assert found > 20


def test_the_drawing_is_the_same_on_every_machine() -> None:
    """Weights and published figures belong to one drawing: another one is another data set."""
    characters, balls = hashlib.sha256(), hashlib.sha256()
    for number, (action, direction) in itertools.product(range(0, 1296, 111), MOTIONS):
        characters.update(draw_character(Character.from_index(number), action, direction, 8))
    for seed in range(8):
        balls.update(bouncing_balls(40, seed).frames)
    assert (characters.hexdigest()[:16], balls.hexdigest()[:16]) == (
        "5bf14b6e1ad4384e",
        "0863e6fa982ebddc",
    )
