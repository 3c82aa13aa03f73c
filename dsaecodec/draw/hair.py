"""Six hairstyles, each told by its outline as well as its colour."""

from __future__ import annotations

import numpy as np

from dsaecodec.draw.body import HEAD, head_center
from dsaecodec.draw.pixel_art import Field, Layer, X, Y, cloth, disc, ellipse, limb
from dsaecodec.draw.skeleton import Pose

_COLOURS = ("chestnut", "blond", "flame", "indigo", "snow", "pink")


def draw_hair(value: int, pose: Pose) -> Layer:
    """Hair: on the head, over the face's upper edge, and down the back where it is long."""
    layer = Layer()
    style = (_parted, _long, _spiked, _bob, _topknot, _twin_tails)[value]
    style(layer, pose, _COLOURS[value])
    return layer


def _cap(pose: Pose, brow: float, nape: float, thick: float = 1.3) -> Field:
    """Hair around a skull: down to the brow in front and to the nape behind, by height."""
    x, y = head_center(pose)
    skull = ellipse(x, y - 0.5, HEAD[0] + thick, HEAD[1] + thick)
    u = (X - x) * pose.facing  # ahead
    if pose.facing == 0:
        edge = np.where(abs(X - x) > HEAD[0] - 2, nape, brow)
    else:
        edge = np.where(u < -2.5, nape, np.where(u < 1, (brow + nape) / 2, brow))
    return np.maximum(skull, Y - y - edge)


def _parted(layer: Layer, pose: Pose, colour: str) -> None:
    """Short, parted on the character's left."""
    x, y = head_center(pose)
    level = pose.level("head", above=4)
    cap = _cap(pose, -3.0, 2.0)
    layer.paint(cap, level, colour)
    if pose.facing == 0:
        fringe = limb((x + 4, y - 6), (x - 6, y - 2), 2.5, 2.0)
        layer.paint(np.maximum(fringe, ellipse(x, y, 10, 10)), level, colour)
    elif pose.facing > 0:  # the far side of the parting is seen: the fringe falls towards us
        layer.paint(limb((x + 1, y - 6), (x + 6, y - 1), 2.5, 1.6), level, colour)


def _long(layer: Layer, pose: Pose, colour: str) -> None:
    """Down to the waist."""
    x, y = head_center(pose)
    pelvis = pose.joints["pelvis"]
    level = pose.level("head", above=4)
    layer.paint(_cap(pose, -3.0, 6.0), level, colour)
    if pose.facing == 0:
        layer.paint(
            cloth((x, y), (x, pelvis.y - 2), 10.2, 8.5), pose.level("back", above=2), colour
        )
        for sign in (-1, 1):
            layer.paint(
                limb((x + 8.2 * sign, y - 2), (x + 8.6 * sign, y + 9), 2.0, 1.6), level, colour
            )
    else:
        tip = (x - 6.5 * pose.facing, pelvis.y - 2)
        layer.paint(limb((x - 5 * pose.facing, y), tip, 4.6, 3.2), level, colour)


def _spiked(layer: Layer, pose: Pose, colour: str) -> None:
    """Spikes that stand up and back."""
    x, y = head_center(pose)
    level = pose.level("head", above=4)
    layer.paint(_cap(pose, -3.5, 0.5, 0.8), level, colour)
    for lean, height in ((-8, 6), (-4, 10), (0, 11), (4, 10), (8, 6)):
        root = (x + 0.75 * lean, y - 5)
        tip = (x + 1.25 * lean - 3 * pose.facing, y - 5 - height)
        layer.paint(limb(root, tip, 3.0, 0.6), level, colour)


def _bob(layer: Layer, pose: Pose, colour: str) -> None:
    """A helmet of hair with a straight fringe, wide at the jaw."""
    x, y = head_center(pose)
    level = pose.level("head", above=4)
    layer.paint(_cap(pose, -1.0, 5.0, 1.8), level, colour)
    if pose.facing == 0:
        for sign in (-1, 1):
            layer.paint(
                cloth((x + 8 * sign, y - 3), (x + 8.8 * sign, y + 8), 2.6, 3.2), level, colour
            )
    else:
        back = x - 4.2 * pose.facing
        layer.paint(cloth((back, y - 3), (back - pose.facing, y + 8), 5.4, 5.6), level, colour)


def _topknot(layer: Layer, pose: Pose, colour: str) -> None:
    """Tied up into a knot, the sides short."""
    x, y = head_center(pose)
    level = pose.level("head", above=4)
    layer.paint(_cap(pose, -5.0, -2.0, 0.7), level, colour)
    knot = x - 2 * pose.facing
    layer.paint(disc(knot, y - 12, 4.3), level, colour)
    layer.paint(limb((knot - 2, y - 8.5), (knot + 2, y - 8.5), 1.4, 1.4), level, "crimson")


def _twin_tails(layer: Layer, pose: Pose, colour: str) -> None:
    """Two tails, one at each side."""
    x, y = head_center(pose)
    level = pose.level("head", above=4)
    layer.paint(_cap(pose, -3.0, 0.0), level, colour)
    sides = (-1, 1) if pose.facing == 0 else (-pose.facing,)
    for sign in sides:
        root = (x + 10 * sign, y - 4) if pose.facing == 0 else (x + 7 * sign, y - 4)
        layer.paint(limb(root, (root[0] + 3 * sign, y + 4), 3.6, 3.4), level, colour)
        layer.paint(
            limb((root[0] + 3 * sign, y + 4), (root[0] + sign, y + 11), 3.4, 1.2), level, colour
        )
        layer.paint(disc(root[0] - sign, root[1], 1.9), level, "crimson")
