"""Nodes, edges and cross-sections: what a town's style says, before it becomes roads.

A style places nodes (junctions) and edges (streets between them, with a reference line from node to node and a
profile). `layout_roads.py` cuts the edges back at the nodes and makes roads of them, `layout_junction.py` joins them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from roadcraft.sim.embedded.opendrive import Lane, Line, Road, RoadMap, Section, Signal, Width, constant, taper
from roadcraft.sim.planview import Plan, Pose

SHORT = 55.0  # [m] streets below have no zones: all of them is one
ZONE = 20.0  # [m] before a junction in which lane lines are solid and nobody parks
TURN_ZONE = 20.0  # [m] of a left-turn lane that may not be left any more
TURN_ENTRY = 42.0  # [m] before that in which one changes into it
TAPER = 14.0  # [m] of the entry over which the lane widens
PARKING_TAPER = 8.0  # [m] over which parking lanes widen
SOLID = Line("solid")
BROKEN = Line("broken", change="both")


class Control(Enum):
    """How a junction is ruled."""

    LIGHT = "light"
    ALL_STOP = "all stop"
    MINOR_STOP = "minor stop"  # a stop sign on the arms that are not the main road
    YIELD = "yield"  # the same with a yield sign
    FREE = "free"  # no sign and nothing crosses: where ramps leave and join the two edges of `main`


@dataclass(frozen=True)
class Side:
    """The lanes of one direction, from the middle outwards."""

    lanes: int = 1
    width: float = 3.5  # [m] of each driving lane
    shoulder: float = 0.0  # [m]
    parking: float = 0.0  # [m] 0: none
    sidewalk: float = 2.5  # [m] 0: none


@dataclass(frozen=True)
class Profile:
    """A street's cross-section. `turn_lane` opens the median for a left-turn lane at junctions."""

    right: Side = Side()
    left: Side = Side()
    median: float = 0.0  # [m]
    turn_lane: bool = False
    center: str = "broken"  # the yellow line between the directions, where there is no median
    speed: float = 40.0  # [km/h]
    kind: str = "town"  # OpenDRIVE road type

    def side(self, sign: int) -> Side:
        return self.right if sign < 0 else self.left

    def outer_center(self, sign: int) -> float:
        """Distance [m] of the outermost driving lane's centre from the reference line."""
        side = self.side(sign)
        return self.median / 2 + (side.lanes - 0.5) * side.width

    def half_width(self, sign: int, parking: bool = False) -> float:
        """[m] from the reference line to the outer edge, sidewalk included."""
        side = self.side(sign)
        return (
            self.median / 2
            + side.lanes * side.width
            + side.shoulder
            + side.sidewalk
            + (side.parking if parking else 0.0)
        )


@dataclass
class Node:
    """A junction at a place."""

    xy: tuple[float, float]
    control: Control = Control.MINOR_STOP
    main: tuple[int, ...] = ()  # edges of the main road; empty: the two arms that lie straightest
    crosswalks: bool = True
    radius: float = 9.0  # [m] of right turns at the lane centre


@dataclass
class Edge:
    """A street from node `a` to node `b` (indices) along a plan that begins and ends at their centres."""

    a: int
    b: int
    plan: Plan
    profile: Profile
    name: str = ""
    trims: tuple[float | None, float | None] = (None, None)  # [m] cut off at either end; None: as the node needs it


@dataclass(frozen=True)
class Surroundings:
    """What stands beside the streets. Pairs are the least and the most."""

    built: float = 0.9  # share of the street's length with buildings
    lot: tuple[float, float] = (12.0, 26.0)  # [m] width of a building along the street
    depth: tuple[float, float] = (10.0, 16.0)  # [m]
    floors: tuple[int, int] = (2, 6)
    setback: tuple[float, float] = (3.0, 6.0)  # [m] from the sidewalk to the wall
    tree_gap: float = 13.0  # [m] between street trees
    lamp_gap: float = 32.0  # [m] between street lamps
    woods: float = 0.002  # trees per square metre away from the street
    parked: float = 0.6  # share of parking places taken


@dataclass
class Layout:
    """What a style returns."""

    name: str
    surroundings: Surroundings = Surroundings()
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


@dataclass(frozen=True)
class Approach:
    """A signal and the arm of a junction that it speaks to."""

    signal: Signal
    pose: Pose  # of the street's end on its reference line, heading into the junction
    lateral: float  # [m] of the outermost incoming lane's centre in that frame


@dataclass
class Build:
    """A town while it is being built: the map so far, and fresh ids."""

    layout: Layout
    rng: np.random.Generator
    town: RoadMap
    streets: list[Road] = field(default_factory=list)  # one an edge
    approaches: list[Approach] = field(default_factory=list)
    next_id: int = 0

    def fresh(self) -> int:
        self.next_id += 1
        return self.next_id


def sections(profile: Profile, length: float, turn_start: bool, turn_end: bool) -> tuple[Section, ...]:
    """The lane sections of a street: approach zones at both ends, left-turn lanes in them where asked."""
    turns = {"start": turn_start, "end": turn_end}
    if length < SHORT and not (turn_start or turn_end):
        lanes = [tuple(_side_lanes(profile, sign, "short", length, turns)) for sign in (-1, 1)]
        return (Section(0.0, lanes[0], lanes[1], _center_line(profile, "short", turns)),)
    scale = min(1.0, length / (2.4 * (TURN_ZONE + TURN_ENTRY if turn_start or turn_end else ZONE)))
    zone_start, zone_end = ((TURN_ZONE if turn else ZONE) * scale for turn in (turn_start, turn_end))
    spans: list[tuple[float, str]] = [(0.0, "start")]
    if turn_start:
        spans.append((zone_start, "start taper"))
        zone_start += TURN_ENTRY * scale
    spans.append((zone_start, "middle"))
    if turn_end:
        spans.append((length - zone_end - TURN_ENTRY * scale, "end taper"))
    spans.append((length - zone_end, "end"))
    ends = [s for s, _ in spans[1:]] + [length]
    return tuple(
        Section(
            s,
            tuple(_side_lanes(profile, -1, span, end - s, turns)),
            tuple(_side_lanes(profile, 1, span, end - s, turns)),
            _center_line(profile, span, turns),
        )
        for (s, span), end in zip(spans, ends, strict=True)
    )


def lane_offset(
    profile: Profile, length: float, rows: tuple[Section, ...], turn_start: bool, turn_end: bool
) -> tuple[Width, ...]:
    """Shifts the lanes where a turn lane takes the other direction's half of the median."""
    half = profile.median / 2
    out: list[Width] = []
    if turn_start:
        end = rows[2].s
        length_ = _taper_length(end - rows[1].s)
        out += [Width(0.0, -half), taper(end - length_, length_, -half, 0.0), Width(end, 0.0)]
    if turn_end:
        out += [] if turn_start else [Width(0.0, 0.0)]
        at = rows[-2].s
        length_ = _taper_length(rows[-1].s - at)
        out += [taper(at, length_, 0.0, half), Width(at + length_, half)]
    return tuple(out)


def _taper_length(entry: float) -> float:
    """[m] over which a turn lane of an entry of some length widens."""
    return entry * TAPER / TURN_ENTRY


def _tapered(where: str, length: float, middle: float, junction: float) -> tuple[Width, ...]:
    """A width that changes where the entry begins, as seen from the middle of the street."""
    part = _taper_length(length)
    if where == "end":
        return taper(0.0, part, middle, junction), Width(part, junction)
    return Width(0.0, junction), taper(length - part, part, junction, middle)


def _center_line(profile: Profile, span: str, turns: dict[str, bool]) -> Line:
    one_way = profile.left.lanes == 0 or profile.right.lanes == 0
    if profile.median > 0:
        at_turn = turns.get(span.split()[0], False)
        return Line("solid", "yellow") if at_turn else Line()
    if one_way:
        return Line("solid", "yellow")
    if profile.center == "none":
        return Line()
    if span != "middle" and profile.center == "broken":
        return Line("solid", "yellow")
    return Line(profile.center, "yellow")  # as in CARLA's towns: who overtakes across it does not change lanes


def _side_lanes(profile: Profile, sign: int, span: str, length: float, turns: dict[str, bool]) -> list[Lane]:
    """The lanes of one direction in a section of `length`, from the middle outwards."""
    side = profile.side(sign)
    approach = "end" if sign < 0 else "start"  # where this direction's traffic meets the junction
    lanes = _median_lanes(profile, span, length, approach, turns) if profile.median > 0 else []
    for index in range(side.lanes):
        outermost = index == side.lanes - 1
        line = SOLID if outermost or span in (approach, "short") else BROKEN
        lanes.append(Lane(f"drive {index}", "driving", constant(side.width), line))
    if side.shoulder > 0:
        lanes.append(Lane("shoulder", "shoulder", constant(side.shoulder)))
    if side.parking > 0 and span == "middle" and length > 4 * PARKING_TAPER:
        end = length - PARKING_TAPER
        full = side.parking
        widths = (
            taper(0.0, PARKING_TAPER, 0.0, full),
            Width(PARKING_TAPER, full),
            taper(end, PARKING_TAPER, full, 0.0),
        )
        lanes.append(Lane("parking", "parking", widths))
    if side.sidewalk > 0:
        lanes.append(Lane("sidewalk", "sidewalk", constant(side.sidewalk)))
    return lanes


def _median_lanes(profile: Profile, span: str, length: float, approach: str, turns: dict[str, bool]) -> list[Lane]:
    """This direction's half of the median, or the turn lane that takes all of it before a junction."""
    full, half = profile.median, profile.median / 2
    where = span.split()[0]
    if not turns.get(where, False):
        return [Lane("median", "median", constant(half), Line("solid", "yellow"))]
    tapering = span.endswith("taper")
    if where == approach:  # the turn lane is this direction's own
        if not tapering:
            return [Lane("turn", "driving", constant(full), SOLID)]
        return [Lane("turn", "driving", _tapered(where, length, half, full), BROKEN)]
    if tapering:
        return [Lane("median", "median", _tapered(where, length, half, 0.0), Line("solid", "yellow"))]
    return []
