"""Where paint lies on the road: lane lines of every OpenDRIVE type, crosswalks, turn arrows."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from math import inf, isinf

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import Command
from roadcraft.sim.roads import LaneKind, RoadNetwork

LINE_WIDTH = 0.15  # [m] where the file says nothing
DASH, GAP = 3.0, 6.0  # [m] of broken lines
DOT, DOT_GAP = 0.2, 1.2  # [m] of Botts' dots
EDGE_GAP = 0.03  # [m] between a line at the roadway's edge and the kerb
APART = 0.11  # [m] from the middle of a double line to the middle of each of its lines
BAR, BAR_GAP = 0.5, 0.5  # [m] of zebra crossings
ARROW_LENGTH, ARROW_SPACING, ARROW_BACK = (
    4.2,
    24.0,
    7.0,
)  # [m]; the last from a lane's end to the arrow's tip
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stripe:
    """A painted line along `xy` (n, 2) [m]."""

    xy: Points
    width: float  # [m]
    color: str = "white"  # as OpenDRIVE has it: a key of palette.PAINTS, anything else is white

    def borders(self) -> tuple[Points, Points]:
        direction = np.gradient(self.xy, axis=0)
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
        normal = np.stack([-direction[:, 1], direction[:, 0]], -1) * self.width / 2
        return self.xy + normal, self.xy - normal


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a road mark: pieces of `length`, the first `begin` behind the mark's own, `space` apart [m]."""

    offset: float  # [m] from the lane's border
    color: str  # as OpenDRIVE has it, in small letters
    width: float  # [m]
    length: float = inf
    space: float = 0.0
    begin: float = 0.0
    once: bool = False  # one piece only


@dataclass(frozen=True, slots=True)
class RoadMark:
    """An OpenDRIVE roadMark: from `begin` [m] of its lane section on."""

    begin: float
    kind: str
    width: float
    lines: tuple[Line, ...]
    described: bool  # the file says what it is made of: its offsets are to the road's left


def road_marks(root: ET.Element) -> dict[tuple[int, int, int], list[RoadMark]]:
    """The marks at the outer border of each (road, section, lane id); lane 0 is the middle line."""
    marks: dict[tuple[int, int, int], list[RoadMark]] = {}
    for road in root.iter("road"):
        for section, element in enumerate(road.iter("laneSection")):
            for lane in element.iter("lane"):
                key = (int(road.get("id", "0")), section, int(lane.get("id", "0")))
                marks[key] = [_road_mark(mark) for mark in lane.iter("roadMark")]
    return marks


def _road_mark(mark: ET.Element) -> RoadMark:
    color = mark.get("color", "white").lower()
    usual = LINE_WIDTH * (2 if mark.get("weight") == "bold" else 1)
    width = _number(mark, "width") or usual
    begin, described = _number(mark, "sOffset"), _described(mark, color, width)
    kind = mark.get("type", "none")
    return RoadMark(begin, kind, width, described or _named(kind, color, width), bool(described))


def _number(element: ET.Element, name: str) -> float:
    return float(element.get(name) or "0")


def _described(mark: ET.Element, color: str, width: float) -> tuple[Line, ...]:
    """The lines that a mark's <type> or <explicit> tells one by one."""
    lines = []
    for parent in (*mark.findall("type"), *mark.findall("explicit")):
        for line in parent.findall("line"):
            lines.append(
                Line(
                    _number(line, "tOffset"),
                    line.get("color", color).lower(),
                    _number(line, "width") or _number(parent, "width") or width,
                    _number(line, "length") or inf,
                    _number(line, "space"),
                    _number(line, "sOffset"),
                    parent.tag == "explicit",
                )
            )
    return tuple(lines)


def _named(kind: str, color: str, width: float) -> tuple[Line, ...]:
    """The lines that an OpenDRIVE type is made of, the first on the inside. Edges, kerbs and grass have no paint."""
    solid, broken = (inf, 0.0, 0.0), (DASH, GAP, GAP / 2)
    types: dict[str, list[tuple[float, tuple[float, float, float]]]] = {
        "solid": [(0.0, solid)],
        "broken": [(0.0, broken)],
        "solid solid": [(APART, solid), (-APART, solid)],
        "solid broken": [(APART, solid), (-APART, broken)],
        "broken solid": [(APART, broken), (-APART, solid)],
        "broken broken": [(APART, broken), (-APART, broken)],
        "botts dots": [(0.0, (DOT, DOT_GAP, DOT_GAP / 2))],
    }
    return tuple(Line(offset, color, width, *pieces) for offset, pieces in types.get(kind, []))


def lane_stripes(network: RoadNetwork, root: ET.Element, reaches: list[Points] | None = None) -> list[Stripe]:
    """All lane lines. Each lane paints its outer border, on its right; lane -1 (else 1) also the middle line.

    `reaches`: for each lane (K, 2) the stretches [m] along it that have lines, if not all of it.
    """
    marks = road_marks(root)
    present = {(int(r["road"]), int(r["section"]), int(r["lane_id"])) for r in network.lanes}
    stripes: list[Stripe] = []
    for index, lane in enumerate(network.lanes):
        key = (int(lane["road"]), int(lane["section"]), int(lane["lane_id"]))
        some = None if reaches is None else reaches[index]
        _along(network, index, -1.0, marks.get(key, []), key[2] > 0, some, stripes)
        if key[2] == -1 or (key[2] == 1 and (key[0], key[1], -1) not in present):
            _along(network, index, 1.0, marks.get((*key[:2], 0), []), key[2] > 0, some, stripes)
    return stripes


def _along(
    network: RoadNetwork,
    lane: int,
    side: float,
    marks: list[RoadMark],
    reversed_lane: bool,
    some: Points | None,
    stripes: list[Stripe],
) -> None:
    """Adds the stripes on one border of a lane, left (1) or right (-1), within the stretches `some`."""
    at = network.points(lane)
    yaw, s = network.yaw[at], network.s[at]
    normal = np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    border = network.xy[at] + normal * (side * network.width[at, None] / 2)
    length = float(s[-1])
    outer = int(network.lanes["right"][lane])
    outermost = outer < 0 or network.lanes["kind"][outer] == LaneKind.SIDEWALK  # its line lies wholly on the lane
    for i, mark in enumerate(marks):
        begin, end = mark.begin, marks[i + 1].begin if i + 1 < len(marks) else length
        if end - begin < 0.05:
            continue
        inward = mark.width / 2 + EDGE_GAP if outermost and side < 0 else 0.0
        turned = reversed_lane and (mark.described or side > 0)
        for line in mark.lines:
            path = border + normal * (inward - line.offset if turned else inward + line.offset)
            for a, b in _pieces(begin, min(end, length), line):
                low, high = (length - b, length - a) if reversed_lane else (a, b)
                for first, last in [(low, high)] if some is None else _within(low, high, some):
                    stripes.append(Stripe(_cut(path, s, first, last), line.width, line.color))


def _pieces(begin: float, end: float, line: Line) -> list[tuple[float, float]]:
    """The painted stretches of a line of a mark from `begin` to `end` [m]."""
    first = begin + line.begin
    starts = [first] if line.once or isinf(line.length) else np.arange(first, end, line.length + line.space)
    return [(float(a), float(min(a + line.length, end))) for a in starts if a < end]


def _within(low: float, high: float, some: Points) -> list[tuple[float, float]]:
    """What the stretches (K, 2) have in common with one from `low` to `high`."""
    cut = np.clip(some, low, high)
    return [(float(a), float(b)) for a, b in cut if b - a > 0.01]


def _cut(path: Points, s: Points, low: float, high: float) -> Points:
    """The points of a path from arc length `low` to `high`."""
    inside = s[(s > low + 0.01) & (s < high - 0.01)]
    at = np.concatenate([[low], inside, [high]])
    return np.stack([np.interp(at, s, path[:, 0]), np.interp(at, s, path[:, 1])], -1)


def zebra(crosswalks: tuple[Points, ...]) -> list[Points]:
    """Bars of zebra crossings: convex polygons (4, 2). A crosswalk's longer sides are those across the road."""
    bars = []
    for walk in crosswalks:
        corners = _rectangle(walk)
        if corners is None:
            continue
        a, b, c, d = corners  # a -> b is the long side
        length = float(np.linalg.norm(b - a))
        count = max(1, int((length - 0.2) / (BAR + BAR_GAP)))
        pad = (length - count * (BAR + BAR_GAP) + BAR_GAP) / 2
        for i in range(count):
            low, high = (
                (pad + i * (BAR + BAR_GAP)) / length,
                (pad + i * (BAR + BAR_GAP) + BAR) / length,
            )
            bars.append(
                np.array(
                    [
                        a + (b - a) * low,
                        a + (b - a) * high,
                        d + (c - d) * high,
                        d + (c - d) * low,
                    ]
                )
            )
    return bars


def _rectangle(walk: Points) -> Points | None:
    """Four corners of a crosswalk, its first side being a long one."""
    points = np.asarray(walk, float)
    if len(points) > 4 and np.allclose(points[0], points[-1]):
        points = points[:-1]
    if len(points) < 4:
        return None
    if len(points) > 4:  # any polygon: its box along the longest side
        sides = np.roll(points, -1, 0) - points
        along = sides[np.argmax(np.linalg.norm(sides, axis=1))]
        along /= np.linalg.norm(along)
        frame = np.array([along, [-along[1], along[0]]])
        low, high = (points @ frame.T).min(0), (points @ frame.T).max(0)
        points = np.array([low, [high[0], low[1]], high, [low[0], high[1]]]) @ frame
    if np.linalg.norm(points[1] - points[0]) < np.linalg.norm(points[2] - points[1]):
        points = np.roll(points, -1, 0)
    return points


# Arrows in metres: x along the lane, y to the left; convex pieces.
_SHAFT = [(-2.1, -0.075), (1.0, -0.075), (1.0, 0.075), (-2.1, 0.075)]
_AHEAD = [_SHAFT, [(0.9, -0.3), (2.1, 0.0), (0.9, 0.3)]]
_TURN = [
    [(-2.1, -0.075), (0.3, -0.075), (0.3, 0.075), (-2.1, 0.075)],
    [(0.15, 0.0), (0.55, 0.3), (0.45, 0.45), (0.0, 0.1)],
    [(0.4, 0.3), (0.55, 0.3), (0.55, 0.5), (0.4, 0.5)],
    [(0.1, 0.45), (0.9, 0.45), (0.48, 1.05)],
]


def turn_arrows(network: RoadNetwork, reaches: list[Points] | None = None) -> list[Points]:
    """Arrows before junctions on roads where several lanes lead the same way; `reaches` as in `lane_stripes`."""
    polygons: list[Points] = []
    for index, lane in enumerate(network.lanes):
        if lane["junction"] >= 0 or lane["kind"] != LaneKind.DRIVING:
            continue
        turns = {int(network.lanes["turn"][n]) for n in network.successors(index)}
        turns &= {Command.LEFT, Command.RIGHT, Command.STRAIGHT}
        beside = [int(lane[side]) for side in ("left", "right") if lane[side] >= 0]
        if not turns or not any(network.lanes["kind"][n] == LaneKind.DRIVING for n in beside):
            continue
        for back in (ARROW_BACK, ARROW_BACK + ARROW_SPACING):
            place = _before_end(network, index, back + ARROW_LENGTH / 2)
            if place is None:
                continue
            on, s = place
            if reaches is None or _within(s - ARROW_LENGTH / 2, s + ARROW_LENGTH / 2, reaches[on]):
                polygons += _arrow(turns, *network.point(on, s)[:3])
    return polygons


def _before_end(network: RoadNetwork, lane: int, back: float) -> tuple[int, float] | None:
    """A lane, or the one that leads into it alone, and how far along it [m] one is `back` [m] before the lane's end;
    None where an arrow would be cut off."""
    length = float(network.lanes["length"][lane])
    while back > length:
        back -= length
        before = network.predecessors(lane)
        if len(before) != 1 or len(network.successors(int(before[0]))) != 1:
            return None
        lane = int(before[0])
        length = float(network.lanes["length"][lane])
        if network.lanes["junction"][lane] >= 0:
            return None
    if back + ARROW_LENGTH / 2 > length:
        return None
    return lane, length - back


def _arrow(turns: set[int], x: float, y: float, yaw: float) -> list[Points]:
    pieces = [np.array(p) for p in _AHEAD] if Command.STRAIGHT in turns else []
    if Command.LEFT in turns:
        pieces += [np.array(p) for p in _TURN]
    if Command.RIGHT in turns:
        pieces += [np.array(p) * (1, -1) for p in _TURN]
    c, s = np.cos(yaw), np.sin(yaw)
    return [p @ np.array([[c, s], [-s, c]]) + (x, y) for p in pieces]
