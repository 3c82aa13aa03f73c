"""What a character is: six bodies, from a human to a robot, and the sword that all wield."""

from __future__ import annotations

from typing import NamedTuple

from dsaecodec.draw.pixel_art import OUTLINE, PLAIN, Layer, cloth, disc, ellipse, limb
from dsaecodec.draw.skeleton import Pose

HEAD = (8.6, 8.2)  # radii across and down


class _Body(NamedTuple):
    skin: str
    girth: float  # of the limbs, pixels added to the radius
    ears: str
    eyes: str


_BODIES = (
    _Body("fair", 0.0, "round", "dark"),
    _Body("brown", 0.2, "round", "wide"),
    _Body("green", 0.2, "pointed", "dark"),
    _Body("red", 0.0, "horns", "slit"),
    _Body("bone", -0.5, "none", "sockets"),
    _Body("steel", 0.3, "bolts", "visor"),
)


def draw_body(value: int, pose: Pose) -> Layer:
    """Skin: limbs, trunk, head, ears or horns, face."""
    body, layer = _BODIES[value], Layer()
    for side in "lr":
        _limbs(layer, pose, side, body)
    trunk = cloth(pose.joints["chest"], pose.joints["pelvis"], *trunk_widths(pose))
    layer.paint(trunk, pose.level("trunk"), body.skin)
    x, y = head_center(pose)
    layer.paint(ellipse(x, y, *HEAD), pose.level("head"), body.skin)
    _ears(layer, pose, body)
    _face(layer, pose, body)
    return layer


def head_center(pose: Pose) -> tuple[int, int]:
    """On whole pixels, so that a face does not flicker as it moves."""
    return round(pose.joints["head"].x), round(pose.joints["head"].y)


def trunk_widths(pose: Pose) -> tuple[float, float]:
    """Half widths of the trunk at shoulders and hips."""
    return (6.4, 5.2) if pose.facing == 0 else (4.6, 4.2)


def _limbs(layer: Layer, pose: Pose, side: str, body: _Body) -> None:
    joints, girth = pose.joints, body.girth
    leg, arm = pose.level(f"leg_{side}"), pose.level(f"arm_{side}")
    hip, knee, foot = (joints[f"{name}_{side}"] for name in ("hip", "knee", "foot"))
    shoulder, elbow, hand = (joints[f"{name}_{side}"] for name in ("shoulder", "elbow", "hand"))
    layer.paint(limb(foot, joints[f"toe_{side}"], 2.3, 2.1), leg, body.skin)
    layer.paint(limb(knee, foot, 2.4 + girth, 2.2 + girth), leg, body.skin)
    layer.paint(limb(hip, knee, 2.8 + girth, 2.5 + girth), leg, body.skin)
    layer.paint(limb(elbow, hand, 2.1 + girth, 2.0 + girth), arm, body.skin)
    layer.paint(limb(shoulder, elbow, 2.3 + girth, 2.2 + girth), arm, body.skin)
    layer.paint(disc(hand.x, hand.y, 2.6), arm + 3, body.skin)  # over a sleeve's end


def _ears(layer: Layer, pose: Pose, body: _Body) -> None:
    """Over the hair, so that they tell bodies apart under any."""
    x, y = head_center(pose)
    level = pose.level("head", above=7)
    for sign in (-1, 1) if pose.facing == 0 else (0,):
        edge = x + sign * HEAD[0] - 1.5 * pose.facing
        if body.ears == "round":
            layer.paint(ellipse(edge, y + 1.5, 2.0, 2.6), level, body.skin)
        elif body.ears == "pointed":
            outward = sign or -pose.facing
            tip = (edge + 5.5 * outward, y - 4.5)
            layer.paint(limb((edge, y + 1.5), tip, 2.8, 0.7), level, body.skin)
        elif body.ears == "bolts":
            layer.paint(disc(edge, y + 1.0, 2.9), level, "gold")
        elif body.ears == "horns":
            _horn(layer, edge - 1.6 * sign, y - 5.5, sign or -pose.facing, level)


def _horn(layer: Layer, x: float, y: float, outward: int, level: int) -> None:
    layer.paint(limb((x, y), (x + 3 * outward, y - 2.5), 2.3, 1.8), level, "linen")
    layer.paint(
        limb((x + 3 * outward, y - 2.5), (x + 2.4 * outward, y - 7), 1.8, 0.8), level, "linen"
    )


def _face(layer: Layer, pose: Pose, body: _Body) -> None:
    x, y = head_center(pose)
    level = pose.level("head", above=1)
    if body.eyes == "visor":
        left = x - 6 if pose.facing <= 0 else x - 1
        for column in range(12 if pose.facing == 0 else 8):
            shine = PLAIN if 1 <= column % 6 <= 4 else OUTLINE
            layer.dot(left + column, y, level, "glow", shine, 3)
        return
    columns = (x - 4, x + 3) if pose.facing == 0 else (x + (4 if pose.facing > 0 else -5),)
    for column in columns:
        _eye(layer, column, y, level, body.eyes, 1 if column >= x else -1)
    mouth = (x - 1, x) if pose.facing == 0 else (x + (5 if pose.facing > 0 else -6),)
    for column in mouth:
        layer.dot(column, y + 5, level, body.skin, OUTLINE)


def _eye(layer: Layer, column: int, y: int, level: int, kind: str, outward: int) -> None:
    if kind == "sockets":
        for offset in (0, outward):
            layer.dot(column + offset, y - 1, level, "ink", size=4)
    elif kind == "slit":
        layer.dot(column, y, level, "gold", size=2)
        layer.dot(column + outward, y, level, "gold", size=2)
        layer.dot(column, y - 1, level, "ink")
    elif kind == "wide":
        layer.dot(column, y, level, "ink", size=3)
        layer.dot(column + outward, y, level, "white", size=3)
    else:
        layer.dot(column, y, level, "ink", size=3)


def draw_sword(pose: Pose) -> Layer:
    """In the right hand, where the pose has one."""
    layer = Layer()
    if "blade" not in pose.joints:
        return layer
    hand, tip = pose.joints["hand_r"], pose.joints["blade"]
    dx, dy = tip.x - hand.x, tip.y - hand.y
    level = pose.level("arm_r", above=1)
    layer.paint(limb(hand, tip, 1.9, 1.1), level, "silver")
    guard = (hand.x + 0.22 * dx, hand.y + 0.22 * dy)
    scale = 3.2 / max((dx * dx + dy * dy) ** 0.5, 4.0)
    across = (-dy * scale, dx * scale)
    one, other = ((guard[0] + sign * across[0], guard[1] + sign * across[1]) for sign in (-1, 1))
    layer.paint(limb(one, other, 1.3, 1.3), level + 1, "gold")
    return layer
