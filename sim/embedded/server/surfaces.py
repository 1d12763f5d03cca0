"""Surfaces of a town as CARLA lists them: roads, sidewalks, painted lines, terrain.

Roads and sidewalks come in pieces of lanes, so short and straight that a box lies closely around each; paint line by
line; the terrain as a whole. Imported when first asked for, because the paint is the renderer's.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from math import atan2, cos, hypot, pi, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.ground import MARGIN, strip
from roadcraft.sim.embedded.render.markings import Stripe, lane_stripes, turn_arrows, zebra
from roadcraft.sim.embedded.server.level import SURFACES, Thing
from roadcraft.sim.embedded.server.wire import CITY_TAGS, Pose
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.roads import LaneKind

LONGEST = 20.0  # [m] of a piece
BEND = 0.2  # [rad] that a piece turns at most
THICK = 0.05  # [m] half the height of a flat piece
STOP_LINE = 0.4  # [m] width
_KINDS = {LaneKind.SIDEWALK: "sidewalks", LaneKind.OTHER: "terrain"}  # all others are roads
Points = NDArray[np.float64]
Ground = Callable[[float, float], float]  # height [m] at x, y


def surfaces(town: Town, ground: Ground) -> list[Thing]:
    """Pieces of road and sidewalk, painted lines, the terrain."""
    parts = [*_lanes(town), *_paint(town, ground), _terrain(town)]
    return [
        Thing(SURFACES + k, f"{name}_{k}", CITY_TAGS[tag], centre._replace(z=centre.z - extent[2]), centre, extent)
        for k, (name, tag, centre, extent) in enumerate(parts)
    ]


Part = tuple[str, str, Pose, tuple[float, float, float]]  # name, tag, middle and half sizes of the box


def _lanes(town: Town) -> Iterator[Part]:
    network = town.network
    for lane, row in enumerate(network.lanes):
        tag = _KINDS.get(LaneKind(row["kind"]), "roads")
        if tag != "terrain":
            left, right = strip(network, network.points(lane))
            z = network.z[network.points(lane)]
            name = f"{'Sidewalk' if tag == 'sidewalks' else 'Road'}_{row['road']}_{row['lane_id']}"
            for a, b in cuts((left + right) / 2):
                yield name, tag, *_around(np.concatenate([left[a:b], right[a:b]]), _heading(left, a, b), z[a:b])


def _paint(town: Town, ground: Ground) -> Iterator[Part]:
    network = town.network
    stripes = lane_stripes(network, ET.fromstring(network.xodr))
    stripes += [Stripe(np.stack([line[:2], line[2:]]), STOP_LINE) for line in network.stop_lines]
    for stripe in stripes:
        left, right = stripe.borders()
        for a, b in cuts(stripe.xy):
            yield _painted(np.concatenate([left[a:b], right[a:b]]), _heading(stripe.xy, a, b), ground)
    for polygon in zebra(network.crosswalks) + turn_arrows(network):
        yield _painted(polygon, _heading(polygon, 0, 2), ground)


def _painted(outline: Points, yaw: float, ground: Ground) -> Part:
    x, y = outline.mean(0).tolist()
    return "RoadLine", "road_lines", *_around(outline, yaw, np.array([ground(x, y)]))


def _terrain(town: Town) -> Part:
    low, high = town.network.xy.min(0) - MARGIN, town.network.xy.max(0) + MARGIN
    return "Terrain", "terrain", *_around(np.stack([low, high]), 0.0, town.network.z)


def cuts(xy: Points) -> Iterator[tuple[int, int]]:
    """Slices [a, b) of a line (n, 2) that share their ends: none longer than LONGEST or more bent than BEND."""
    steps = np.diff(xy, axis=0)
    yaws, lengths = np.arctan2(steps[:, 1], steps[:, 0]).tolist(), np.hypot(*steps.T).tolist()
    begin, length = 0, 0.0
    for k, (yaw, step) in enumerate(zip(yaws, lengths, strict=True)):
        turned = abs((yaw - yaws[begin] + pi) % (2 * pi) - pi)
        if k > begin and (length + step > LONGEST or turned > BEND):
            yield begin, k + 1
            begin, length = k, 0.0
        length += step
    yield begin, len(xy)


def _heading(line: Points, a: int, b: int) -> float:
    (x0, y0), (x1, y1) = line[a].tolist(), line[b - 1].tolist()
    return atan2(y1 - y0, x1 - x0) if hypot(x1 - x0, y1 - y0) > 0 else 0.0


def _around(points: Points, yaw: float, z: Points) -> tuple[Pose, tuple[float, float, float]]:
    """The box along `yaw` around points (n, 2) of a surface at heights z: its middle and half sizes."""
    c, s = cos(yaw), sin(yaw)
    local = points @ np.array([[c, -s], [s, c]])
    (u0, v0), (u1, v1) = local.min(0).tolist(), local.max(0).tolist()
    u, v, low, high = (u0 + u1) / 2, (v0 + v1) / 2, float(z.min()), float(z.max())
    middle = Pose(c * u - s * v, s * u + c * v, (low + high) / 2, yaw)
    return middle, ((u1 - u0) / 2, (v1 - v0) / 2, (high - low) / 2 + THICK)
