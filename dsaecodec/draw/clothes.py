"""What a character wears: six trousers or skirts with their shoes, six tops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dsaecodec.draw.body import trunk_widths
from dsaecodec.draw.pixel_art import OUTLINE, Layer, X, Y, cloth, disc, limb
from dsaecodec.draw.skeleton import Joint, Pose


class _Bottom(NamedTuple):
    """Materials, "" for none."""

    thigh: str
    shin: str
    shoe: str
    stripes: str = ""
    skirt: str = ""
    hem: float = 0.0  # of the skirt, pixels below the hips
    flare: float = 0.0  # half width of the hem
    loose: float = 0.4  # pixels around the leg


_BOTTOMS = (
    _Bottom("denim", "denim", "leather"),
    _Bottom("sand", "", "", loose=1.0),
    _Bottom("", "", "white", skirt="rose", hem=7.5, flare=10.0),
    _Bottom("", "", "leather", skirt="plum", hem=13.5, flare=9.0),
    _Bottom("lime", "lime", "ink", stripes="forest", loose=0.1),
    _Bottom("leather", "iron", "iron", loose=0.9),
)


class _Top(NamedTuple):
    """Materials, "" for none."""

    cloth: str
    sleeve: str  # of the upper arm
    cuff: str  # of the forearm
    stripes: str = ""
    hem: float = 0.0  # pixels below the hips, negative above
    flare: float = 0.4  # how much wider than the trunk at the hem
    sign: str = ""  # what is on the chest, or beside it


_TOPS = (
    _Top("linen", "linen", "", hem=-0.5, sign="heart"),
    _Top("crimson", "crimson", "crimson", hem=6.0, flare=2.2, sign="buttons"),
    _Top("orange", "", "", hem=-3.5, sign="neckline"),
    _Top("navy", "navy", "navy", stripes="white", hem=0.5),
    _Top("silver", "silver", "", hem=-1.0, sign="pauldrons"),
    _Top("teal", "teal", "", hem=0.0, sign="cape"),
)


def draw_bottom(value: int, pose: Pose) -> Layer:
    """Legs, shoes, skirt, belt, and a pouch on the left of the belt."""
    kind, layer = _BOTTOMS[value], Layer()
    for side in "lr":
        _leg(layer, pose, side, kind)
    pelvis, (_, width) = pose.joints["pelvis"], trunk_widths(pose)
    level = pose.level("trunk", above=1)
    if kind.skirt:
        knees = (pose.joints["knee_l"].x + pose.joints["knee_r"].x) / 2
        hem = ((pelvis.x + knees) / 2, pelvis.y + kind.hem)
        flare = kind.flare - (1.5 if pose.facing else 0)
        layer.paint(cloth((pelvis.x, pelvis.y - 3), hem, width, flare), level, kind.skirt)
    else:
        hips = cloth((pelvis.x, pelvis.y - 3), (pelvis.x, pelvis.y + 3), width + 0.3, width + 0.6)
        stripes = (Y - pelvis.y) % 4 < 2 if kind.stripes else None
        layer.paint(hips, level, kind.thigh)
        if kind.stripes:
            layer.paint(hips, level, kind.stripes, stripes)
    _belt(layer, pose, width)
    return layer


def _leg(layer: Layer, pose: Pose, side: str, kind: _Bottom) -> None:
    level, loose = pose.level(f"leg_{side}", above=1), kind.loose
    hip, knee, foot, toe = (
        pose.joints[f"{name}_{side}"] for name in ("hip", "knee", "foot", "toe")
    )
    if kind.shoe:
        layer.paint(limb(foot, toe, 2.7, 2.5), level, kind.shoe)
        ankle = _between(knee, foot, 0.45)
        layer.paint(limb(ankle, foot, 2.6, 2.6), level, kind.shoe)
    parts = ((knee, foot, kind.shin), (hip, knee, kind.thigh))
    for start, end, material in parts:
        if material:
            stop = _between(start, end, 0.75) if end is foot else end
            shape = limb(start, stop, 2.8 + loose, 2.6 + loose)
            layer.paint(shape, level, material)
            if kind.stripes:
                layer.paint(shape, level, kind.stripes, (Y - pose.joints["pelvis"].y) % 4 < 2)


def _belt(layer: Layer, pose: Pose, width: float) -> None:
    pelvis = pose.joints["pelvis"]
    x, y = round(pelvis.x), round(pelvis.y)
    level = pose.level("trunk", above=5)
    layer.paint(cloth((x, y - 4), (x, y - 1), width + 0.6, width + 0.6), level, "leather")
    if pose.facing == 0:
        layer.dot(x - 1, y - 3, level, "gold", size=2)
        layer.dot(x, y - 3, level, "gold", size=2)
    if pose.facing <= 0:
        place = x + 5 if pose.facing == 0 else x
        layer.paint(cloth((place, y - 3), (place, y + 3), 2.6, 3.0), level + 1, "sand")
        layer.dot(place, y - 1, level + 1, "sand", OUTLINE)


def draw_top(value: int, pose: Pose) -> Layer:
    """Sleeves, trunk, and what marks the kind."""
    kind, layer = _TOPS[value], Layer()
    chest, pelvis = pose.joints["chest"], pose.joints["pelvis"]
    stripes = (Y - chest.y) % 4 < 2 if kind.stripes else None
    for side in "lr":
        level = pose.level(f"arm_{side}", above=2)
        shoulder, elbow, hand = (pose.joints[f"{n}_{side}"] for n in ("shoulder", "elbow", "hand"))
        for start, end, material in ((elbow, hand, kind.cuff), (shoulder, elbow, kind.sleeve)):
            if material:
                sleeve = limb(start, end, 2.8, 2.7)
                layer.paint(sleeve, level, material)
                if kind.stripes:
                    layer.paint(sleeve, level, kind.stripes, stripes)
    first, last = trunk_widths(pose)
    hem = (pelvis.x, pelvis.y + kind.hem)
    trunk = cloth((chest.x, chest.y - 1), hem, first + 0.5, last + kind.flare)
    level = pose.level("trunk", above=2)
    layer.paint(trunk, level, kind.cloth)
    if kind.stripes:
        layer.paint(trunk, level, kind.stripes, stripes)
    _sign(layer, pose, kind.sign)
    return layer


def _sign(layer: Layer, pose: Pose, sign: str) -> None:
    chest, pelvis = pose.joints["chest"], pose.joints["pelvis"]
    x, y = round(chest.x), round(chest.y)
    level = pose.level("trunk", above=3)
    ahead = x + 2 * pose.facing
    if sign == "heart":
        for column, row in ((-2, 4), (-1, 4), (0, 4), (1, 4), (-1, 5), (0, 5), (-2, 3), (1, 3)):
            layer.dot(ahead + column, y + row, level, "crimson")
    elif sign == "buttons":
        for row in (2, 5, 8, 11):
            layer.dot(ahead, y + row, pose.level("trunk", above=7), "gold")
    elif sign == "neckline":
        hole = np.broadcast_to(abs(X - ahead) < 2, (Y - X).shape) & (Y - y < 2)
        layer.keys[hole] = 0
    elif sign == "pauldrons":
        for side in "lr":
            shoulder = pose.joints[f"shoulder_{side}"]
            layer.paint(
                disc(shoulder.x, shoulder.y, 4.2), pose.level(f"arm_{side}", above=3), "gold"
            )
    elif sign == "cape":
        back = (chest.x - 3.5 * pose.facing, chest.y - 1)
        hem = (pelvis.x - 8 * pose.facing, pelvis.y + 9)
        widths = (6.5, 10.5) if pose.facing == 0 else (3.0, 5.0)
        layer.paint(cloth(back, hem, *widths), pose.level("back", above=1), "plum")
        collar = cloth((x, y - 2), (x, y + 2), *(2 * [trunk_widths(pose)[0] + 1.0]))
        layer.paint(collar, level, "gold")


def _between(start: Joint, end: Joint, share: float) -> tuple[float, float]:
    return start.x + share * (end.x - start.x), start.y + share * (end.y - start.y)
