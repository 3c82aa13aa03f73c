"""Labelled characters and balls: the labels are true, the physics is exact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dsaecodec.draw import bouncing_balls, draw_character, random_characters
from dsaecodec.draw.characters import (
    ACTIONS,
    ATTRIBUTES,
    CYCLE,
    DIRECTIONS,
    NUM_CHARACTERS,
    Character,
    split_characters,
)

MOTIONS = list(itertools.product(range(len(ACTIONS)), range(len(DIRECTIONS))))


def test_numbers_name_characters_and_the_split_is_whole() -> None:
    characters = {Character.from_index(n) for n in range(NUM_CHARACTERS)}
    assert len(characters) == NUM_CHARACTERS
    for n in (0, 7, 700, 1295):
        body, bottom, top, hair = Character.from_index(n)
        assert body * 216 + bottom * 36 + top * 6 + hair == n
    train, held_out = split_characters()
    assert (len(train), len(held_out)) == (1000, 296)
    assert sorted(train + held_out) == list(range(NUM_CHARACTERS))


def test_a_clip_is_poses_in_order_from_a_phase() -> None:
    character = Character(1, 2, 3, 4)
    for action, direction in MOTIONS:
        cycle = draw_character(character, action, direction, CYCLE)
        assert cycle.shape == (CYCLE, 64, 64, 3) and cycle.dtype == np.uint8
        clip = draw_character(character, action, direction, 19, phase=5)
        for t, frame in enumerate(clip):
            assert np.array_equal(frame, cycle[(5 + t) % CYCLE])


def test_every_pose_and_every_motion_differs() -> None:
    character = Character(0, 0, 0, 0)
    frames = [
        frame.tobytes() for a, d in MOTIONS for frame in draw_character(character, a, d, CYCLE)
    ]
    assert len(set(frames)) == len(MOTIONS) * CYCLE


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_value_of_an_attribute_shows_from_all_sides(attribute: str) -> None:
    for action, direction in MOTIONS:
        clips = [
            draw_character(Character(0, 0, 0, 0)._replace(**{attribute: v}), action, direction, 8)
            for v in range(6)
        ]
        for one, other in itertools.combinations(clips, 2):
            changed = np.any(one != other, axis=3).sum(axis=(1, 2))
            assert changed.min() >= 8  # pixels of every frame


def test_left_is_not_right_in_a_mirror() -> None:
    left, right = (draw_character(Character(2, 3, 1, 5), 0, d, CYCLE) for d in (0, 2))
    mirrored = right[:, :, ::-1]
    assert not any(np.array_equal(mirrored[p], left[q]) for p in range(8) for q in range(8))


def test_random_clips_are_what_their_labels_say() -> None:
    pools = split_characters()
    for held_out in (False, True):
        clips = list(random_characters(20, 5, seed=3, held_out=held_out))
        again = list(random_characters(20, 5, seed=3, held_out=held_out))
        for clip, same in zip(clips, again, strict=True):
            assert clip.labels == same.labels and np.array_equal(clip.frames, same.frames)
            look = Character(*(clip.labels[name] for name in ATTRIBUTES))
            motion = clip.labels["action"], clip.labels["direction"]
            drawn = draw_character(look, *motion, 5, clip.labels["phase"])
            assert np.array_equal(clip.frames, drawn)
            number = look.body * 216 + look.bottom * 36 + look.top * 6 + look.hair
            assert number in pools[held_out]
        assert len({c.labels["phase"] for c in clips}) > 3
    aligned = random_characters(9, 2, 1, held_out=True, random_phase=False)
    assert {c.labels["phase"] for c in aligned} == {0}


def test_balls_keep_energy_stay_inside_and_never_overlap() -> None:
    for seed, count in ((0, 1), (1, 2), (2, 3), (3, 6)):
        clip = bouncing_balls(1000, seed, count)
        masses = clip.radii**2
        energy = (masses[:, None] * clip.velocities**2).sum(axis=(1, 2))
        assert np.abs(energy / energy[0] - 1).max() < 1e-9
        low, high = clip.radii[:, None], 64 - clip.radii[:, None]
        assert (clip.positions >= low - 1e-9).all() and (clip.positions <= high + 1e-9).all()
        for i, j in itertools.combinations(range(count), 2):
            apart = np.hypot(*(clip.positions[:, i] - clip.positions[:, j]).T)
            assert apart.min() >= clip.radii[i] + clip.radii[j] - 1e-9
        assert np.abs(np.diff(np.sign(clip.velocities), axis=0)).any()  # they do bounce


def test_a_longer_clip_of_balls_begins_with_the_shorter() -> None:
    short, longer = bouncing_balls(5, 4), bouncing_balls(12, 4)
    assert np.array_equal(short.frames, longer.frames[:5])
    assert np.array_equal(short.positions, longer.positions[:5])
    assert not np.array_equal(bouncing_balls(5, 5).frames, short.frames)


def test_balls_agree_with_small_steps_of_time() -> None:
    """An independent simulation: stiff springs instead of events, until errors have grown."""
    clip = bouncing_balls(30, 11)
    x, v, radii = clip.positions[0].copy(), clip.velocities[0].copy(), clip.radii
    masses, steps, stiffness = radii[:, None] ** 2, 6_000, 1e6
    for t in range(1, 9):
        for _ in range(steps):
            force = stiffness * (np.maximum(radii[:, None] - x, 0))
            force -= stiffness * (np.maximum(x - (64 - radii[:, None]), 0))
            for i, j in itertools.combinations(range(len(radii)), 2):
                gap = x[j] - x[i]
                distance = np.hypot(*gap)
                push = stiffness * max(radii[i] + radii[j] - distance, 0) * gap / distance
                force[i] -= push
                force[j] += push
            v += force / masses / steps
            x += v / steps
        assert np.abs(x - clip.positions[t]).max() < 0.1, t


def test_a_ball_is_drawn_where_it_is() -> None:
    clip = bouncing_balls(6, 8, num_balls=1, size=40)
    grid = np.arange(40) + 0.5
    for frame, position in zip(clip.frames, clip.positions, strict=True):
        weight = frame.astype(float).sum(axis=2)
        center = [
            (weight * grid[:, None]).sum() / weight.sum(),
            (weight * grid[None]).sum() / weight.sum(),
        ]
        assert np.abs(center - position[0]).max() < 0.1
