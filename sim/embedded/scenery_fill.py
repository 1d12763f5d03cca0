"""Scenery for maps that have none: houses, trees and street lamps along the roads, posts under lights and signs."""

from __future__ import annotations

from math import atan2, ceil, cos, hypot, pi, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.cache import digest
from roadcraft.sim.embedded.scenery import BUILDING, POLE, STATIC, VEGETATION, Shape
from roadcraft.sim.roads import ANY_KIND, LaneKind, RoadNetwork, SignalKind

CLEARANCE = 1.5  # [m] from anything placed to the next lane of any kind
SETBACK = (5.0, 9.0)  # [m] from the outermost lane to a wall
LAMP_GAP, TREE_GAP = 36.0, 15.0  # [m]
FACADES = ((201, 183, 156), (181, 83, 60), (154, 154, 148), (216, 207, 192), (166, 123, 91), (127, 138, 145))
MAX_LENGTH = 20_000.0  # [m] of roadside that is furnished
NEAR = 2.0  # [m] between things
Row = tuple


class Fill:
    """The things placed so far, and where they are."""

    def __init__(self, network: RoadNetwork) -> None:
        self.network = network
        self.rng = np.random.default_rng(int(digest(network.xodr)[:12], 16))
        self.rows: list[Row] = []
        self.taken: set[tuple[int, int]] = set()
        self.next_id = 1_000_000_000  # ids of a map's own objects are smaller

    def free(self, places: NDArray[np.float64]) -> bool:
        """Whether no lane and no thing is near any of the places (k, 2)."""
        for x, y in places:
            if (int(x // NEAR), int(y // NEAR)) in self.taken:
                return False
            lane, s, _ = self.network.nearest((x, y), kinds=ANY_KIND)
            if lane >= 0:
                px, py, _, width = self.network.point(lane, s)
                if hypot(px - x, py - y) < width / 2 + CLEARANCE:
                    return False
        return True

    def add(
        self, shape: Shape, tag: int, places: NDArray[np.float64], pose: Row, extent: Row, color: Row, style: int = 0
    ) -> None:
        """A thing at `pose` (x, y, z, yaw) that covers `places`, if there is room."""
        if not self.free(places):
            return
        self.taken |= {(int(x // NEAR), int(y // NEAR)) for x, y in places}
        self.rows.append((self.next_id, shape, tag, pose[:3], pose[3], extent, color, style, True, -1))
        self.next_id += 1


def fill(network: RoadNetwork) -> NDArray[np.void]:
    """(K,) STATIC rows, the same for the same map."""
    state, length = Fill(network), 0.0
    lanes = network.lanes
    roadside = (lanes["right"] < 0) & (lanes["junction"] < 0) & (lanes["kind"] != LaneKind.OTHER)
    for lane in np.flatnonzero(roadside):
        length += float(lanes["length"][lane])
        if length < MAX_LENGTH:
            _houses(state, int(lane))
    for lane in np.flatnonzero(roadside):
        _row(state, int(lane), LAMP_GAP, 0.0)
        _row(state, int(lane), TREE_GAP, 7.0)
    return np.array(state.rows, STATIC)


def _beside(network: RoadNetwork, lane: int, s: float, gap: float) -> tuple[float, float, float, float]:
    """x, y, z, yaw of the lane `gap` [m] to the right of its outer border at arc length `s`."""
    x, y, yaw, width = network.point(lane, s)
    rows = network.points(lane)
    z = float(np.interp(s, network.s[rows], network.z[rows]))
    side = width / 2 + gap
    return x + side * sin(yaw), y - side * cos(yaw), z, yaw


def _houses(state: Fill, lane: int) -> None:
    s, end = 0.0, float(state.network.lanes["length"][lane])
    while s < end:
        width, depth, height = state.rng.uniform((9.0, 8.0, 4.0), (20.0, 14.0, 14.0))
        gap = state.rng.uniform(*SETBACK) + depth / 2
        x, y, z, yaw = _beside(state.network, lane, min(s + width / 2, end), gap)
        u, v = np.meshgrid(np.linspace(-0.5, 0.5, ceil(width / 2)), np.linspace(-0.5, 0.5, ceil(depth / 2)))
        u, v = u.ravel() * width, v.ravel() * depth
        places = np.stack([x + u * cos(yaw) - v * sin(yaw), y + u * sin(yaw) + v * cos(yaw)], -1)
        color = FACADES[int(state.rng.integers(len(FACADES)))]
        extent = (width / 2, depth / 2, height / 2)
        state.add(Shape.BUILDING, BUILDING, places, (x, y, z, yaw), extent, color, int(state.rng.integers(4)))
        s += width + state.rng.uniform(2.0, 8.0)


def _row(state: Fill, lane: int, gap: float, offset: float) -> None:
    """Street lamps (offset 0) or trees at equal distances."""
    for s in np.arange(gap / 2 + offset, float(state.network.lanes["length"][lane]), gap):
        x, y, z, yaw = _beside(state.network, lane, float(s), 1.6 if offset == 0 else 2.4)
        place = np.array([(x, y)])
        if offset == 0:
            state.add(Shape.LAMP, POLE, place, (x, y, z, yaw + pi / 2), (1.5, 0.1, 3.75), (110, 112, 115))
        else:
            radius = float(state.rng.uniform(1.2, 1.9))
            style = int(state.rng.integers(3))
            state.add(
                Shape.TREE, VEGETATION, place, (x, y, z, yaw), (radius, radius, 1.5 + radius), (60, 95, 45), style
            )


def posts(network: RoadNetwork, have: set[int]) -> NDArray[np.void]:
    """A post under each signal that no object of the map carries (`have`: rows of `signals` that are carried)."""
    rows = []
    for k, signal in enumerate(network.signals):
        if k in have:
            continue
        x, y, z = (float(value) for value in signal["xyz"])
        lane, s, _ = network.nearest((x, y), kinds=ANY_KIND)
        at = network.points(lane) if lane >= 0 else slice(0, 1)
        ground = float(np.interp(s, network.s[at], network.z[at]))
        light = signal["kind"] == SignalKind.LIGHT
        yaw = float(signal["yaw"]) + (pi if light else 0.0)
        extent = (0.0, 0.125 if light else 0.375, max(z - ground, 2.0) / 2)
        shape = Shape.SIGNAL if light else Shape.SIGN
        rows.append(
            (
                2_000_000_000 + k,
                shape,
                POLE,
                (x, y, ground),
                atan2(sin(yaw), cos(yaw)),
                extent,
                (110, 112, 115),
                0,
                True,
                k,
            )
        )
    return np.array(rows, STATIC)
