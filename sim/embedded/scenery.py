"""What stands beside the roads: buildings, trees, posts, parked cars, read from a map's OpenDRIVE objects."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief import Ground, Plane, height_at
from roadcraft.sim.geometry import wrap
from roadcraft.sim.reference_line import ReferenceLine
from roadcraft.sim.roads import RoadNetwork


class Shape(IntEnum):
    """How a thing is drawn. `extent` are half sizes and `xyz` the foot below its middle, but for LAMP and SIGNAL."""

    BOX = 0  # walls, benches, boxes
    CYLINDER = 1  # posts
    TREE = 2  # trunk and crown; only the trunk (TRUNK_RADIUS) is solid
    BUILDING = 3  # box with windows; `style` chooses facade and roof
    CAR = 4  # parked car; `style` chooses the model
    LAMP = 5  # street lamp: the post stands at `xyz`, its arm reaches 2 extent[0] along `yaw`; `style` LAMP_OFF: dark
    SIGNAL = 6  # traffic light: post at `xyz`, arm of 2 extent[0] along `yaw`, head at its end; see `signal`
    SIGN = 7  # traffic sign: post at `xyz`, plate on top facing those who drive along `yaw`; see `signal`
    BUSH = 8  # hedge or bush


TRUNK_RADIUS = 0.25  # [m]
LAMP_OFF = 255  # `style` of a lamp that is off
POLE, VEGETATION, BUILDING, CAR, STATIC_TAG, FENCE, GUARD_RAIL = 6, 9, 3, 14, 20, 5, 28  # CARLA's semantic tags

STATIC = np.dtype(
    [
        ("id", np.uint32),  # OpenDRIVE object id
        ("shape", np.uint8),  # Shape
        ("tag", np.uint8),  # CARLA's semantic tag
        ("xyz", np.float64, 3),  # [m] foot: on the ground, below its middle (posts: below the post)
        ("yaw", np.float64),  # [rad]
        ("extent", np.float64, 3),  # [m] half sizes: along yaw, across, up
        ("color", np.uint8, 3),  # RGB
        ("style", np.uint8),
        ("solid", np.bool_),  # stops a car
        ("signal", np.int32),  # row in the network's `signals` that hangs on it, -1
    ]
)

# By OpenDRIVE object type: shape, tag, solid, default colour, default half sizes.
TYPES = {
    "building": (Shape.BUILDING, BUILDING, True, (170, 160, 150), (6.0, 5.0, 4.0)),
    "tree": (Shape.TREE, VEGETATION, True, (60, 95, 45), (2.0, 2.0, 3.0)),
    "vegetation": (Shape.BUSH, VEGETATION, False, (70, 105, 55), (1.0, 1.0, 0.6)),
    "pole": (Shape.CYLINDER, POLE, True, (110, 112, 115), (0.12, 0.12, 2.5)),
    "car": (Shape.CAR, CAR, True, (150, 150, 155), (2.2, 0.9, 0.75)),
    "barrier": (Shape.BOX, GUARD_RAIL, True, (160, 162, 165), (2.0, 0.1, 0.4)),
    "railing": (Shape.BOX, FENCE, True, (120, 122, 125), (2.0, 0.05, 0.5)),
    "obstacle": (Shape.BOX, STATIC_TAG, True, (150, 130, 110), (0.5, 0.5, 0.5)),
}
NAMES = {"TrafficLight": Shape.SIGNAL, "TrafficSign": Shape.SIGN, "StreetLamp": Shape.LAMP}

LEVEL = (Shape.BUILDING, Shape.BOX, Shape.BUSH)  # what is level, however steep the ground
FOOT = [(u / 2, v / 2) for u in range(-2, 3) for v in range(-2, 3)]  # places under a base, in half sizes


@dataclass(frozen=True, slots=True)
class Scenery:
    """All standing things of a town."""

    static: NDArray[np.void]  # (K,) STATIC

    @property
    def solids(self) -> NDArray[np.void]:
        """The rows that stop a car."""
        return self.static[self.static["solid"]]


def read_scenery(text: str, network: RoadNetwork, ground: Ground | None = None) -> Scenery:
    """The standing things of an OpenDRIVE text; objects of unknown types are left out.

    A map without any gets houses, trees and lamps along its roads; signals that nothing carries get posts. On a ground
    with hills things stand at their own place; without a ground, or on a plane, as high as their road.
    """
    from roadcraft.sim.embedded import scenery_fill

    signals = {str(ident): row for row, ident in enumerate(network.signals["id"])}
    rows, offsets = [], []
    for road in ET.fromstring(text.encode()).iter("road"):
        line = ReferenceLine(road)
        for element in road.findall("objects/object"):
            if element.get("type") in TYPES:
                rows.append(_row(element, line.place(element), signals))
                offsets.append(float(element.get("zOffset", 0)))
    static = np.array(rows, STATIC)
    more = [scenery_fill.posts(network, set(static["signal"].tolist()))]
    if np.isin(static["shape"], (Shape.SIGNAL, Shape.SIGN)).all():
        more.append(scenery_fill.fill(network))
    static = np.concatenate([static, *more])
    if ground is not None and not isinstance(ground, Plane):
        _settle(static, offsets, ground)
    return Scenery(static)


def _settle(static: NDArray[np.void], offsets: list[float], ground: Ground) -> None:
    """Puts things (K,) STATIC on the ground, the first of them `offsets` [m] higher; no corner hangs in the air."""
    for k, row in enumerate(static):
        (x, y, _), c, s = row["xyz"].tolist(), np.cos(row["yaw"]), np.sin(row["yaw"])
        wide, deep = row["extent"][:2] if row["shape"] in LEVEL else (0.0, 0.0)
        under = [height_at(ground, x + u * wide * c - v * deep * s, y + u * wide * s + v * deep * c) for u, v in FOOT]
        row["xyz"][2] = min(under) + (offsets[k] if k < len(offsets) else 0.0)
        if row["shape"] == Shape.BUILDING:
            row["extent"][2] += (max(under) - min(under)) / 2


def _row(element: ET.Element, pose: NDArray[np.float64], signals: dict[str, int]) -> tuple:
    """One STATIC row of an <object> at x, y, z, heading."""
    shape, tag, solid, color, half = TYPES[element.get("type", "")]
    shape = NAMES.get(element.get("name", ""), shape)
    subtype = element.get("subtype", "")
    radius = element.get("radius")
    names = ("radius", "radius") if radius is not None else ("length", "width")
    scale = 1.0 if radius is not None else 0.5
    extent = [float(element.get(name, 0)) * scale for name in names] + [float(element.get("height", 0)) / 2]
    if shape not in NAMES.values():
        extent = [e if e > 0 else h for e, h in zip(extent, half, strict=True)]
    paint = element.find("userData[@code='color']")
    if paint is not None:
        red, green, blue = bytes.fromhex(paint.get("value", "808080"))
        color = (red, green, blue)
    return (
        int(element.get("id", 0)),
        shape,
        tag,
        tuple(pose[:3]),
        wrap(pose[3]),
        tuple(extent),
        color,
        int(subtype) % 256 if subtype.isdigit() and shape not in NAMES.values() else 0,
        solid,
        signals.get(subtype, -1) if shape in (Shape.SIGNAL, Shape.SIGN) else -1,
    )
