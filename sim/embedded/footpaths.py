"""Where built-in walkers walk: a graph of places on sidewalks, joined along them, by crosswalks, and across roads."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, hypot

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.roads import DRIVING, LaneKind, RoadNetwork

SPACING = 6.0  # [m] between places along a sidewalk
ALONG, CROSSING, JAYWALK = 0, 1, 2  # kinds of edges
LONGEST_JAYWALK = 22.0  # [m]
KERB = 0.75  # [m] from the edge of the lane that walkers wait
FROM_JUNCTION = 15.0  # [m] that jaywalkers keep from the ends of a road

NODE = np.dtype([("x", np.float64), ("y", np.float64), ("first", np.int32), ("last", np.int32)])
EDGE = np.dtype(
    [
        ("to", np.int32),
        ("kind", np.uint8),
        ("length", np.float64),  # [m]
        ("first", np.int32),  # its lights are signals[first:last], rows of the network's signals
        ("last", np.int32),
    ]
)


@dataclass(frozen=True, slots=True)
class Footpaths:
    nodes: NDArray[np.void]  # NODE
    edges: NDArray[np.void]  # EDGE, node after node
    signals: NDArray[np.int32]


@dataclass(slots=True)
class _Builder:
    places: list[tuple[float, float]] = field(default_factory=list)
    edges: list[list[tuple[int, int, tuple[int, ...]]]] = field(default_factory=list)  # to, kind, lights

    def place(self, x: float, y: float) -> int:
        self.places.append((float(x), float(y)))
        self.edges.append([])
        return len(self.places) - 1

    def join(self, a: int, b: int, kind: int = ALONG, lights: tuple[int, ...] = ()) -> None:
        self.edges[a].append((b, kind, lights))
        self.edges[b].append((a, kind, lights))

    def nearest(self, xy: NDArray[np.float64], among: list[int]) -> tuple[int, float]:
        """(place, distance [m]) of the nearest of some places."""
        distance = np.hypot(*(np.array([self.places[k] for k in among]) - xy).T)
        best = int(np.argmin(distance))
        return among[best], float(distance[best])


def make_footpaths(network: RoadNetwork, solids: NDArray[np.void]) -> Footpaths:
    """`solids`: scenery.STATIC rows that nobody may be led through."""
    builder = _Builder()
    of_lane = _sidewalks(network, builder)
    on_foot = list(range(len(builder.places)))
    if on_foot:
        for crosswalk in network.crosswalks:
            _crosswalk(network, builder, crosswalk, on_foot)
        _jaywalks(network, builder, of_lane, solids)
    return _pack(builder)


def _sidewalks(network: RoadNetwork, builder: _Builder) -> dict[int, list[int]]:
    """Places along every sidewalk; each lane's, in order."""
    of_lane: dict[int, list[int]] = {}
    for lane in np.flatnonzero(network.lanes["kind"] == LaneKind.SIDEWALK).tolist():
        length = float(network.lanes["length"][lane])
        pieces = max(ceil(length / SPACING), 1)
        of_lane[lane] = [builder.place(*network.point(lane, length * k / pieces)[:2]) for k in range(pieces + 1)]
        for a, b in zip(of_lane[lane][:-1], of_lane[lane][1:], strict=True):
            builder.join(a, b)
    for lane, places in of_lane.items():
        for other in network.successors(lane).tolist():
            if other in of_lane:
                builder.join(places[-1], of_lane[other][0])
    return of_lane


def _crosswalk(network: RoadNetwork, builder: _Builder, polygon: NDArray[np.float64], on_foot: list[int]) -> None:
    """Joins the sidewalks at the two short sides of a crosswalk."""
    following = np.roll(polygon, -1, 0)
    sides = np.argsort(np.hypot(*(following - polygon).T))[:2]
    ends = []
    for side in sides:
        middle = (polygon[side] + following[side]) / 2
        near, distance = builder.nearest(middle, on_foot)
        if distance > SPACING + 2.0:
            return
        kerb = builder.place(*_off_the_road(network, middle, middle - polygon.mean(0)))
        builder.join(near, kerb)
        ends.append(kerb)
    builder.join(ends[0], ends[1], CROSSING, _lights_over(network, polygon))


def _off_the_road(network: RoadNetwork, xy: NDArray[np.float64], outwards: NDArray[np.float64]) -> NDArray[np.float64]:
    """The end of a crosswalk, moved `outwards` to where who waits there is in nobody's way."""
    step = 0.25 * outwards / np.hypot(*outwards)
    for k in range(int(SPACING / 0.25)):
        place = xy + k * step
        lane, s, lateral = network.nearest(place, kinds=DRIVING)
        if lane < 0 or abs(lateral) > network.point(lane, s)[3] / 2 + KERB:
            return place
    return xy


def _inside(polygon: NDArray[np.float64], xy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (N, 2) lie in a convex polygon, in either sense of rotation."""
    edge = np.roll(polygon, -1, 0) - polygon
    delta = xy[:, None, :] - polygon[None]
    side = edge[:, 0] * delta[..., 1] - edge[:, 1] * delta[..., 0]
    return np.asarray((side >= 0).all(1) | (side <= 0).all(1))


def _lights_over(network: RoadNetwork, polygon: NDArray[np.float64]) -> tuple[int, ...]:
    """The lights of the lanes that lead over a crosswalk into the junction."""
    near = np.flatnonzero(np.hypot(*(network.xy - polygon.mean(0)).T) < 20.0)
    lanes = np.unique(network.lane_of[near[_inside(polygon, network.xy[near])]])
    signals = network.lanes["signal"][lanes]
    return tuple(int(signal) for signal in np.unique(signals[signals >= 0]))


def _jaywalks(network: RoadNetwork, builder: _Builder, of_lane: dict[int, list[int]], solids: NDArray[np.void]) -> None:
    """Ways straight across a road, from every third place of a long sidewalk."""
    lanes = network.lanes
    for lane, places in of_lane.items():
        row = lanes[lane]
        if row["junction"] >= 0 or row["lane_id"] < 0 or row["length"] < 2 * FROM_JUNCTION + SPACING:
            continue
        facing = (lanes["road"] == row["road"]) & (lanes["section"] == row["section"]) & (lanes["lane_id"] < 0)
        opposite = [k for other in np.flatnonzero(facing).tolist() for k in of_lane.get(other, [])]
        ends = [builder.places[places[0]], builder.places[places[-1]]]
        for k in places[2:-2:3] if opposite else ():
            x, y = builder.places[k]
            if min(hypot(x - a, y - b) for a, b in ends) < FROM_JUNCTION:
                continue
            other, distance = builder.nearest(np.array([x, y]), opposite)
            if distance < LONGEST_JAYWALK and _is_clear((x, y), builder.places[other], solids):
                builder.join(k, other, JAYWALK)


def _is_clear(a: tuple[float, float], b: tuple[float, float], solids: NDArray[np.void]) -> bool:
    """Whether no solid is within a metre of the straight way between two places."""
    way = np.linspace(a, b, ceil(hypot(a[0] - b[0], a[1] - b[1])) + 1)
    near = np.hypot(*(solids["xyz"][:, :2] - way.mean(0)).T) < 40.0
    for solid in solids[near]:
        dx, dy = (way - solid["xyz"][:2]).T
        c, s = np.cos(solid["yaw"]), np.sin(solid["yaw"])
        inside = (abs(c * dx + s * dy) < solid["extent"][0] + 1.0) & (abs(c * dy - s * dx) < solid["extent"][1] + 1.0)
        if inside.any():
            return False
    return True


def _pack(builder: _Builder) -> Footpaths:
    nodes = np.zeros(len(builder.places), NODE)
    edges = np.zeros(sum(map(len, builder.edges)), EDGE)
    signals: list[int] = []
    row = 0
    for k, (x, y) in enumerate(builder.places):
        nodes[k] = (x, y, row, row + len(builder.edges[k]))
        for to, kind, lights in builder.edges[k]:
            length = hypot(builder.places[to][0] - x, builder.places[to][1] - y)
            edges[row] = (to, kind, length, len(signals), len(signals) + len(lights))
            signals += lights
            row += 1
    return Footpaths(nodes, edges, np.array(signals, np.int32))
