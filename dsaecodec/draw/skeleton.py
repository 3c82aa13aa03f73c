"""The skeleton of a pixel character: where every joint is, of a function of the motion alone.

Three axes belong to the character: `side` (to its left), `up` from the ground, and `ahead`. A limb
points along a swing and a spread, degrees: swing 0 hangs down, 90 points ahead, 180 up; spread
turns it outward. The camera looks slightly down, so what is nearer the viewer is lower in the
picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

SIZE = 64
_GROUND = 60.0
_TILT = 0.3  # how much lower a point is drawn for each pixel it is nearer

_LEFT, _FRONT, _RIGHT = range(3)
_THIGH, _SHIN, _ANKLE = 7.0, 7.0, 2.0
_HIP_SIDE, _SHOULDER_SIDE = 3.2, 6.3
_TRUNK, _HEAD = 12.0, 9.5  # hips to shoulders, shoulders to the middle of the head
_UPPER_ARM, _FOREARM, _BLADE = 6.5, 7.0, 15.0
_BEHIND = -3.5  # a hand this far back is behind the head

Point3 = tuple[float, float, float]


class Joint(NamedTuple):
    """A point of the picture, pixels; the middle of pixel (0, 0) is at (0.5, 0.5).

    Attributes:
        x: to the right.
        y: down.
        depth: towards the viewer.
    """

    x: float
    y: float
    depth: float


@dataclass(frozen=True)
class Pose:
    """One pose.

    Attributes:
        direction: 0 left, 1 front, 2 right.
        joints: by name; those of limbs end in _l and _r, the character's own left and right. The
            joint "blade" is the end of a sword, where there is one.
    """

    direction: int
    joints: dict[str, Joint]

    @property
    def facing(self) -> int:
        """-1 looks left, 0 at the viewer, 1 right."""
        return self.direction - 1

    def level(self, part: str, above: int = 0) -> int:
        """How near the viewer a part is, to be painted over those of lower level.

        Args:
            part: back, trunk, head, leg_l, leg_r, arm_l, arm_r.
            above: 0…7, what covers the part.
        """
        return 8 * (1 + self._order().index(part)) + above

    def _order(self) -> list[str]:
        near, far = ("r", "l") if self.direction == _RIGHT else ("l", "r")
        if self.direction != _FRONT:
            return f"back arm_{far} leg_{far} leg_{near} trunk head arm_{near}".split()
        legs = sorted(("leg_l", "leg_r"), key=lambda leg: self.joints[f"foot{leg[3:]}"].depth)
        arms = sorted(("arm_l", "arm_r"), key=lambda arm: self.joints[f"hand{arm[3:]}"].depth)
        behind = [arm for arm in arms if self.joints[f"hand{arm[3:]}"].depth < _BEHIND]
        return ["back", *behind, *legs, "trunk", "head", *arms[len(behind) :]]


class _Limb(NamedTuple):
    """Swing and spread of a limb's upper and lower part, degrees."""

    swing: float
    spread: float
    lower_swing: float
    lower_spread: float


class _Stance(NamedTuple):
    arm_l: _Limb
    arm_r: _Limb
    leg_l: _Limb
    leg_r: _Limb
    lean: float = 0.0  # of the shoulders, pixels ahead
    blade: tuple[float, float] | None = None


def pose(action: int, direction: int, phase: int) -> Pose:
    """The pose of an action (walk, wave, slash) at a phase 0…7, seen from a direction."""
    stance = (_walk, _wave, _slash)[action](phase)
    points = _points(stance)
    joints = {name: _project(point, direction) for name, point in points.items()}
    return Pose(direction, joints)


def _walk(phase: int) -> _Stance:
    """Legs and arms swing against each other; a leg that comes forward is bent."""

    def leg(turn: float) -> _Limb:
        swing, lift = 30 * math.sin(turn), max(0.0, math.cos(turn))
        return _Limb(swing + 12 * lift, 4, swing - 8 - 48 * lift, 0)

    def arm(turn: float) -> _Limb:
        swing = 38 * math.sin(turn)
        return _Limb(swing - 6, 16, swing + 22, 6)

    turn = 2 * math.pi * phase / 8
    back = turn + math.pi
    return _Stance(arm(back), arm(turn), leg(turn), leg(back), lean=0.6)


_WAVE = (  # arm: swing, spread; forearm: swing, spread; both to the left; knees
    (8, 16, 35, 10, 0, 6),
    (40, 40, 130, 30, 0, 26),
    (90, 50, 165, 25, 0, 14),
    (135, 42, 175, 18, -14, 0),
    (150, 40, 165, 38, 18, 0),
    (150, 42, 172, 16, -20, 8),
    (115, 62, 120, 66, 0, 0),
    (55, 55, 60, 48, 0, 10),
)


def _wave(phase: int) -> _Stance:
    """Both arms go up, sway, and come down outstretched."""
    swing, spread, lower_swing, lower_spread, sway, bend = _WAVE[phase]
    left, right = (
        _Limb(swing, spread + sign * sway, lower_swing, lower_spread + sign * sway)
        for sign in (1, -1)
    )
    leg = _Limb(bend, 6, -bend, 2)
    return _Stance(left, right, leg, leg, lean=0.03 * bend)


_SLASH = (  # arm: swing, spread; forearm; blade; stride; lean
    (15, 22, 75, 6, 150, 4, 4, 0.0),
    (60, 48, 140, 30, 185, 12, 0, -0.8),
    (130, 50, 195, 30, 235, 38, -10, -2.0),
    (150, 30, 165, 14, 180, 10, 8, -0.5),
    (100, 4, 100, -14, 112, -18, 28, 1.6),
    (55, -14, 60, -34, 62, -44, 34, 2.6),
    (30, -16, 40, -58, 30, -78, 26, 2.0),
    (12, 2, 55, -22, 100, -40, 14, 0.8),
)


def _slash(phase: int) -> _Stance:
    """The right hand draws back a sword and cuts down across the body in a lunge."""
    *angles, stride, lean = _SLASH[phase]
    swing, spread, lower_swing, lower_spread, blade_swing, blade_spread = angles
    balance = 10 - stride
    return _Stance(
        arm_l=_Limb(balance, 24, balance + 35, 14),
        arm_r=_Limb(swing, spread, lower_swing, lower_spread),
        leg_l=_Limb(stride, 4, stride - abs(stride), 2),
        leg_r=_Limb(-0.9 * stride, 6, -0.9 * stride - 6, 2),
        lean=lean,
        blade=(blade_swing, blade_spread),
    )


def _points(stance: _Stance) -> dict[str, Point3]:
    """Joints as (side, up, ahead); the lower foot stands on the ground."""
    legs = {"l": stance.leg_l, "r": stance.leg_r}
    arms = {"l": stance.arm_l, "r": stance.arm_r}
    hip_up = _ANKLE + max(-_chain((0, 0, 0), leg, 1, _THIGH, _SHIN)[1][1] for leg in legs.values())
    lean = stance.lean
    points: dict[str, Point3] = {
        "pelvis": (0, hip_up, 0),
        "chest": (0, hip_up + _TRUNK, lean),
        "head": (0, hip_up + _TRUNK + _HEAD, 1.4 * lean),
    }
    for name, sign in (("l", 1), ("r", -1)):
        points[f"hip_{name}"] = (sign * _HIP_SIDE, hip_up, 0)
        points[f"shoulder_{name}"] = (sign * _SHOULDER_SIDE, hip_up + _TRUNK - 1.5, lean)
        hip, shoulder = points[f"hip_{name}"], points[f"shoulder_{name}"]
        knee, foot = _chain(hip, legs[name], sign, _THIGH, _SHIN)
        elbow, hand = _chain(shoulder, arms[name], sign, _UPPER_ARM, _FOREARM)
        points |= {f"knee_{name}": knee, f"foot_{name}": foot}
        points |= {f"elbow_{name}": elbow, f"hand_{name}": hand}
        points[f"toe_{name}"] = (foot[0] + 0.4 * sign, foot[1] - 0.3, foot[2] + 2.6)
    if stance.blade is not None:
        points["blade"] = _along(points["hand_r"], *stance.blade, -1, _BLADE)
    return points


def _chain(
    start: Point3, limb: _Limb, sign: int, upper: float, lower: float
) -> tuple[Point3, Point3]:
    """The middle joint and the end of a limb."""
    middle = _along(start, limb.swing, limb.spread, sign, upper)
    return middle, _along(middle, limb.lower_swing, limb.lower_spread, sign, lower)


def _along(start: Point3, swing: float, spread: float, sign: int, length: float) -> Point3:
    turn, out = math.radians(swing), math.radians(spread)
    return (
        start[0] + length * sign * math.sin(out),
        start[1] - length * math.cos(turn) * math.cos(out),
        start[2] + length * math.sin(turn) * math.cos(out),
    )


def _project(point: Point3, direction: int) -> Joint:
    side, up, ahead = point
    across, depth = {_LEFT: (-ahead, side), _FRONT: (side, ahead), _RIGHT: (ahead, -side)}[
        direction
    ]
    # On a grid, so that no machine's last digit of a sine decides a pixel
    x, y = _snap(SIZE / 2 + across), _snap(_GROUND - up + _TILT * depth)
    return Joint(x, y, _snap(depth))


def _snap(value: float) -> float:
    return round(16 * value) / 16
