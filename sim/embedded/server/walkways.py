"""Where walkers may go, as convex polygons that share their edges: the plan of the navigation mesh.

Sidewalk lanes, chained by their successors, are strips of quadrilaterals. Where a crosswalk meets a sidewalk the strip
is cut at both of its sides, so that the crosswalk is one more quadrilateral with an edge of each strip. Corners are
shared by number, so two polygons are neighbours exactly where they have the same two corners.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.roads import LaneKind, RoadNetwork

SIDEWALK, CROSSWALK = 1, 2  # areas, CARLA's numbers
LONGEST = 12.0  # [m] of a quadrilateral
DEVIATION = 0.06  # [m] that a quadrilateral may stray from the lane's centre
REACH = 3.0  # [m] from a crosswalk's end to the sidewalk's edge, at most
NARROWEST = 0.4  # [m]; nobody walks on less
SHY = 0.5  # [m] that walkers keep from the edge of a sidewalk: cars that pass are less than a metre from its kerb
CUT_GAP = 0.3  # [m] between two cuts


@dataclass(slots=True)
class Plan:
    """P polygons over V corners, whose coordinates are as coarse as in the file (0.5 m at 5000 km from the origin)."""

    corners: list[tuple[float, float, float]] = field(default_factory=list)  # x, y, z [m]
    polygons: list[tuple[int, ...]] = field(default_factory=list)  # corners, counter-clockwise
    areas: list[int] = field(default_factory=list)

    def corner(self, x: float, y: float, z: float) -> int:
        self.corners.append((float(np.float32(x)), float(np.float32(y)), float(np.float32(z))))
        return len(self.corners) - 1

    def add(self, polygon: tuple[int, ...], area: int) -> bool:
        """Takes a polygon in if it is convex, turned as it should be; tells whether it was."""
        points = np.array([self.corners[k][:2] for k in polygon])
        if not convex(points):
            polygon, points = polygon[::-1], points[::-1]
        if not convex(points):
            return False
        self.polygons.append(polygon)
        self.areas.append(area)
        return True


def convex(points: NDArray[np.float64]) -> bool:
    """Whether the corners (N, 2) go counter-clockwise round a convex polygon that is not a mere line."""
    sides = np.roll(points, -1, 0) - points
    after = np.roll(sides, -1, 0)
    cross = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    return bool((cross > -1e-9).all() and cross.sum() > 1e-4)


@dataclass(slots=True)
class Strip:
    """A chain of sidewalk lanes. N centre points; `closed` when its end is its beginning."""

    xy: NDArray[np.float64]  # (N, 2)
    yaw: NDArray[np.float64]  # (N,) unwrapped
    z: NDArray[np.float64]  # (N,)
    half: NDArray[np.float64]  # (N,) half width
    s: NDArray[np.float64]  # (N,)
    closed: bool
    cuts: list[float] = field(default_factory=list)  # arc lengths where a section must be
    spans: list[tuple[float, float]] = field(default_factory=list)  # crosswalk ends: no section inside

    def at(self, s: float, side: float) -> tuple[float, float, float]:
        """x, y, z of the point `side` half widths to the left of the centre."""
        x, y, yaw = (float(np.interp(s, self.s, values)) for values in (self.xy[:, 0], self.xy[:, 1], self.yaw))
        z, half = float(np.interp(s, self.s, self.z)), float(np.interp(s, self.s, self.half))
        return x - side * half * np.sin(yaw), y + side * half * np.cos(yaw), z


def strips(network: RoadNetwork) -> list[Strip]:
    """The chains of sidewalk lanes, each as long as it gets."""
    kinds = network.lanes["kind"]
    walks = [int(k) for k in np.flatnonzero(kinds == LaneKind.SIDEWALK) if _wide(network, int(k))]
    following = {k: _next(network, k, walks) for k in walks}
    heads = set(walks) - set(following.values())
    left, found = set(walks), []
    for first in [k for k in walks if k in heads] + walks:
        if first not in left:
            continue
        chain, lane = [first], following[first]
        left.discard(first)
        while lane in left:
            chain.append(lane)
            left.discard(lane)
            lane = following[lane]
        found.append(_strip(network, chain, closed=lane == first))
    return found


def _wide(network: RoadNetwork, lane: int) -> bool:
    points = network.points(lane)
    return float(network.width[points].min()) >= NARROWEST and points.stop - points.start >= 2


def _next(network: RoadNetwork, lane: int, walks: list[int]) -> int:
    known = set(walks)
    return next((int(k) for k in network.successors(lane) if int(k) in known and int(k) != lane), -1)


def _strip(network: RoadNetwork, chain: list[int], closed: bool) -> Strip:
    rows = np.concatenate([np.arange(p.start, p.stop) for p in map(network.points, chain)])
    xy = network.xy[rows]
    keep = np.concatenate([[True], np.hypot(*np.diff(xy, axis=0).T) > 1e-3])
    rows = rows[keep]
    xy = network.xy[rows]
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    yaw = np.unwrap(network.yaw[rows])
    half = np.maximum(network.width[rows] / 2 - SHY, NARROWEST / 2)
    return Strip(xy, yaw, network.z[rows], half, s, closed)


@dataclass(slots=True)
class Landing:
    """One end of a crosswalk on a strip."""

    strip: int
    side: float  # 1 left, -1 right
    low: float  # arc lengths of its two sides
    high: float


def plan(network: RoadNetwork) -> Plan:
    """All polygons of a town."""
    ways = strips(network)
    crossings = []
    for crosswalk in network.crosswalks:
        ends = _landings(np.asarray(crosswalk, float), ways)
        if ends is not None:
            crossings.append(ends)
            for end in ends:
                ways[end.strip].cuts += [end.low, end.high]
                ways[end.strip].spans.append((end.low, end.high))
    found = Plan()
    edges: list[dict[float, tuple[int, int]]] = [_lay(found, way) for way in ways]
    for a, b in crossings:
        _cross(found, edges, a, b)
    return found


def _landings(crosswalk: NDArray[np.float64], ways: list[Strip]) -> tuple[Landing, Landing] | None:
    """Where the two ends of a four-cornered crosswalk meet sidewalks; None where they do not."""
    if len(crosswalk) != 4:
        return None
    best, found = np.inf, None
    for k in (0, 1):
        first = _landing(crosswalk[k], crosswalk[(k + 1) % 4], ways)
        second = _landing(crosswalk[(k + 2) % 4], crosswalk[(k + 3) % 4], ways)
        if first and second and first[0] + second[0] < best:
            best, found = first[0] + second[0], (first[1], second[1])
    return found


def _landing(p: NDArray[np.float64], q: NDArray[np.float64], ways: list[Strip]) -> tuple[float, Landing] | None:
    """The nearest strip's edge to the side p-q of a crosswalk, with its distance [m]."""
    middle, best, found = (p + q) / 2, REACH, None
    for k, way in enumerate(ways):
        near = int(np.argmin(np.hypot(*(way.xy - middle).T)))
        yaw = way.yaw[near]
        lateral = float((middle - way.xy[near]) @ (-np.sin(yaw), np.cos(yaw)))
        distance = abs(abs(lateral) - way.half[near])
        if distance >= best or np.hypot(*(way.xy[near] - middle)) > REACH + way.half[near]:
            continue
        along = np.array([np.cos(yaw), np.sin(yaw)])
        low, high = sorted(way.s[near] + float((point - way.xy[near]) @ along) for point in (p, q))
        inside = way.s[0] + CUT_GAP < low and high < way.s[-1] - CUT_GAP and high - low > NARROWEST
        apart = all(high + CUT_GAP < a or b + CUT_GAP < low for a, b in way.spans)
        if inside and apart:
            best, found = distance, Landing(k, 1.0 if lateral > 0 else -1.0, low, high)
    return None if found is None else (best, found)


def _sections(way: Strip) -> list[float]:
    """Arc lengths at which a strip is cut: where it bends, where crosswalks land, and not too far apart."""
    chosen = sorted({float(way.s[0]), float(way.s[-1]), *way.cuts})
    spans = set(way.spans)
    found = [chosen[0]]
    for low, high in pairwise(chosen):
        if (low, high) not in spans:
            first, last = np.searchsorted(way.s, (low + CUT_GAP, high - CUT_GAP))
            found += _bends(way, low, high, way.s[first:last].tolist())
        found.append(high)
    return found


def _bends(way: Strip, low: float, high: float, between: list[float]) -> list[float]:
    """The points between two sections that are needed to follow the lane (Ramer, Douglas and Peucker)."""
    if not between:
        return []
    a, b = np.array(way.at(low, 0.0)[:2]), np.array(way.at(high, 0.0)[:2])
    points = way.xy[np.searchsorted(way.s, between)]
    length = max(float(np.hypot(*(b - a))), 1e-9)
    off = np.abs((points - a) @ np.array([-(b - a)[1], (b - a)[0]]) / length)
    k = int(off.argmax())
    if off[k] <= DEVIATION:
        if high - low <= LONGEST:
            return []
        k = len(between) // 2
    return [*_bends(way, low, between[k], between[:k]), between[k], *_bends(way, between[k], high, between[k + 1 :])]


def _lay(found: Plan, way: Strip) -> dict[float, tuple[int, int]]:
    """Adds a strip's polygons; the left and right corner of each section."""
    sections = _sections(way)
    corners = {s: (found.corner(*way.at(s, 1.0)), found.corner(*way.at(s, -1.0))) for s in sections}
    if way.closed and np.hypot(*(way.xy[0] - way.xy[-1])) < 0.05:
        corners[sections[-1]] = corners[sections[0]]
    for a, b in pairwise(sections):
        (left, right), (far_left, far_right) = corners[a], corners[b]
        found.add((left, right, far_right, far_left), SIDEWALK)
    return corners


def _cross(found: Plan, edges: list[dict[float, tuple[int, int]]], a: Landing, b: Landing) -> None:
    """Adds a crosswalk between two landings."""
    first, second = ([edges[end.strip][s][0 if end.side > 0 else 1] for s in (end.low, end.high)] for end in (a, b))
    for other in (second, second[::-1]):
        if found.add((*first, *other), CROSSWALK):
            return
