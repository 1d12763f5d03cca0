"""Junctions: connecting roads between any arms, their signs, lights, stop lines and crosswalks.

Lights are split phased: each approach has its own green with everything protected, as CARLA's towns do it. Left turns
then never meet oncoming traffic, and a red light's group shows green to one arm at a time. The head stands on the far
side of the junction, on an arm over the lanes that it speaks to, so that the first car at the stop line sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, inf, pi, sin, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.layout import Approach, Build, Control, Edge, Node
from roadcraft.sim.embedded.opendrive import (
    LIGHT,
    STOP,
    YIELD,
    Connection,
    Controller,
    Junction,
    Lane,
    Link,
    Object,
    Road,
    Section,
    Signal,
    Width,
    taper,
)
from roadcraft.sim.geometry import wrap
from roadcraft.sim.planview import Plan, Pose, connect, offset

TURN_ANGLE = 0.7  # [rad] smaller heading changes are straight on
MIN_SETBACK, FREE_SETBACK = 7.0, 25.0  # [m] from a node to the ends of its streets
FITS = 25  # rounds in which setbacks grow by a metre until right turns are wide enough
CROSSWALK_BEGIN, CROSSWALK_DEPTH = 0.6, 3.0  # [m] from the road's end, and along the road
CROSSWALK_YIELD = 6.5  # [m] from the road's end where one gives way: room for a car to wait
STOP_LINE_GAP = 1.2  # [m] between crosswalk and stop line
STOP_LINE_ALONE = 1.0  # [m] from the road's end to the stop line where there is no crosswalk
STOP_LINE_DEPTH = 0.4  # [m]
HEAD_HEIGHT = 5.2  # [m] of a light's middle
SIGN_HEIGHT = 2.3  # [m] of a plate's middle


@dataclass(frozen=True)
class EndLane:
    """A lane where its road meets the junction. `inner` and `outer` are [m] from the arm's reference line."""

    id: int
    key: str
    kind: str
    inner: float
    outer: float

    @property
    def width(self) -> float:
        return abs(self.outer - self.inner)


@dataclass(frozen=True)
class Arm:
    """A street's end at a junction, in its own frame: heading into the junction, lateral to the left."""

    edge: int
    road: Road
    contact: str
    pose: Pose  # of the reference line's end, heading into the junction
    incoming: tuple[EndLane, ...]  # driving lanes, innermost (leftmost) first
    outgoing: tuple[EndLane, ...]
    walk_in: EndLane | None  # the sidewalk beside the incoming lanes
    walk_out: EndLane | None

    @property
    def angle(self) -> float:
        """The direction in which the street leaves the node [rad]."""
        return wrap(self.pose[2] + pi)

    def s(self, before_end: float) -> float:
        """The road's arc length at a distance [m] from the junction."""
        return self.road.plan.length - before_end if self.contact == "end" else before_end

    def t(self, lateral: float) -> float:
        """The road's lateral coordinate of one in the arm's frame."""
        return lateral if self.contact == "end" else -lateral


def setbacks(node: Node, arms: list[tuple[Edge, str]]) -> list[float]:
    """How far [m] from the node each arm (edge, "start" or "end") ends, so that right turns have the node's radius."""
    given = [edge.trims[0 if end == "start" else 1] for edge, end in arms]
    if node.control is Control.FREE:
        return [FREE_SETBACK if trim is None else trim for trim in given]
    angles = [wrap(e.plan.start[2]) if end == "start" else wrap(e.plan.end[2] + pi) for e, end in arms]
    order = sorted(range(len(arms)), key=lambda i: angles[i])
    out = [MIN_SETBACK] * len(arms)
    for i, j in zip(order, order[1:] + order[:1], strict=True):
        opening = (angles[j] - angles[i]) % (2 * pi)
        if opening > pi - 0.3:
            continue
        (edge_i, end_i), (edge_j, end_j) = arms[i], arms[j]
        lane_i = edge_i.profile.outer_center(-1 if end_i == "end" else 1)  # incoming on arm i
        lane_j = edge_j.profile.outer_center(-1 if end_j == "start" else 1)  # outgoing on arm j
        tangent = node.radius / tan(opening / 2)
        out[i] = max(out[i], (lane_j + lane_i * cos(opening)) / sin(opening) + tangent)
        out[j] = max(out[j], (lane_i + lane_j * cos(opening)) / sin(opening) + tangent)
    out = [least if trim is None else trim for least, trim in zip(out, given, strict=True)]
    for _ in range(FITS):  # streets that bend near the node need more room than their directions at it tell
        tight = [
            k
            for i, j in zip(order, order[1:] + order[:1], strict=True)
            if _corner_radius(arms[i], out[i], arms[j], out[j]) < 0.98 * node.radius
            for k in (i, j)
        ]
        if not tight:
            break
        for k in set(tight):
            out[k] += 1.0 if given[k] is None else 0.0
    return out


def _corner_radius(arm: tuple[Edge, str], trim: float, other: tuple[Edge, str], other_trim: float) -> float:
    """[m] of the tightest bend of the right turn from one arm to another, at the lane's centre."""
    poses = []
    for (edge, end), cut in ((arm, trim), (other, other_trim)):
        x, y, heading = edge.plan.pose(cut if end == "start" else edge.plan.length - cut)
        poses.append((x, y, heading + pi if end == "start" else heading))  # into the junction
    into = offset(poses[0], -arm[0].profile.outer_center(-1 if arm[1] == "end" else 1))
    x, y, heading = offset(poses[1], other[0].profile.outer_center(-1 if other[1] == "start" else 1))
    plan = connect(into, (x, y, heading + pi))
    return min((1 / abs(part.curvature) for part in plan.parts if part.curvature and part.length > 0.3), default=inf)


def width_at(widths: tuple[Width, ...], s: float) -> float:
    row = [w for w in widths if w.at <= s + 1e-9][-1]
    ds = s - row.at
    return row.a + ds * (row.b + ds * (row.c + ds * row.d))


def widths_at(widths: tuple[Width, ...], s: NDArray[np.float64]) -> NDArray[np.float64]:
    """`width_at` for many places."""
    table = np.array([(w.at, w.a, w.b, w.c, w.d) for w in widths])
    row = table[np.clip(np.searchsorted(table[:, 0], s + 1e-9, side="right") - 1, 0, None)]
    ds = s - row[:, 0]
    return row[:, 1] + ds * (row[:, 2] + ds * (row[:, 3] + ds * row[:, 4]))


def make_arm(edge: int, road: Road, contact: str) -> Arm:
    """The end of a road as the junction sees it."""
    at_end = contact == "end"
    x, y, heading = road.plan.end if at_end else road.plan.start
    section = road.sections[-1 if at_end else 0]
    ds = road.plan.length - section.s if at_end else 0.0
    shift = width_at(road.lane_offset, road.plan.length if at_end else 0.0) if road.lane_offset else 0.0
    frame = 1.0 if at_end else -1.0
    ends: dict[int, list[EndLane]] = {}
    for sign in (-1, 1):
        border, lanes = shift, []
        for index, lane in enumerate(section.side(sign)):
            outer = border + sign * width_at(lane.width, ds)
            lanes.append(EndLane(sign * (index + 1), lane.key, lane.kind, frame * border, frame * outer))
            border = outer
        ends[sign] = lanes
    into, away = (ends[-1], ends[1]) if at_end else (ends[1], ends[-1])

    def pick(lanes: list[EndLane], kind: str) -> tuple[EndLane, ...]:
        return tuple(lane for lane in lanes if lane.kind == kind)

    walks = [next(iter(pick(lanes, "sidewalk")), None) for lanes in (into, away)]
    pose = (x, y, wrap(heading if at_end else heading + pi))
    return Arm(edge, road, contact, pose, pick(into, "driving"), pick(away, "driving"), walks[0], walks[1])


def lane_map(arm: Arm, others: list[Arm]) -> list[tuple[EndLane, Arm, EndLane]]:
    """Which incoming lane leads to which outgoing lane."""
    exits: dict[str, list[Arm]] = {"left": [], "straight": [], "right": []}
    for other in others:
        if other.outgoing:
            exits[turn_kind(arm, other)].append(other)
    lanes = list(arm.incoming)
    out: list[tuple[EndLane, Arm, EndLane]] = [(lanes[0], other, other.outgoing[0]) for other in exits["left"]]
    out += [(lanes[-1], other, other.outgoing[-1]) for other in exits["right"]]
    through = lanes[1:] if lanes[0].key == "turn" and exits["left"] and len(lanes) > 1 else lanes
    for other in exits["straight"]:
        count = min(len(through), len(other.outgoing))
        out += [(through[-k], other, other.outgoing[-k]) for k in range(count, 0, -1)]
    for index, lane in enumerate(lanes):
        if all(lane is not used for used, _, _ in out):
            other = (exits["straight"] + exits["right"] + exits["left"])[0]
            out.append((lane, other, other.outgoing[max(index - len(lanes), -len(other.outgoing))]))
    return out


def free_lane_map(arm: Arm, others: list[Arm], main: tuple[int, ...]) -> list[tuple[EndLane, Arm, EndLane]]:
    """The same where ramps leave and join: lanes of the main road go on, counted from the middle, what is left over
    leads into the ramp, and a ramp leads into the outermost lane."""
    ahead = [other for other in others if other.outgoing and abs(wrap(other.angle - arm.pose[2])) < TURN_ANGLE]
    through = next(other for other in ahead if other.edge in main)
    if arm.edge not in main:
        return [(lane, through, through.outgoing[-1]) for lane in arm.incoming]
    ramps = [other for other in ahead if other is not through]
    out = [(lane, through, exit_lane) for lane, exit_lane in zip(arm.incoming, through.outgoing, strict=False)]
    out += [(lane, ramps[0], ramps[0].outgoing[-1]) for lane in arm.incoming[len(out) :]]
    return out


def turn_kind(arm: Arm, other: Arm) -> str:
    turn = wrap(other.angle - arm.pose[2])
    return "straight" if abs(turn) < TURN_ANGLE else "left" if turn > 0 else "right"


def build_junction(build: Build, node: Node, arms: list[Arm]) -> Junction:
    """Joins the arms of a node and rules who goes first."""
    junction = Junction(build.fresh(), f"junction {len(build.town.junctions)}")
    build.town.junctions.append(junction)
    for arm in arms:
        link = Link("junction", junction.id)
        if arm.contact == "end":
            arm.road.successor = link
        else:
            arm.road.predecessor = link
    ring = sorted(arms, key=lambda arm: arm.angle)
    paved: set[int] = set()  # arms whose sidewalk corner is made
    kerbs: list[NDArray[np.float64]] = []  # the junction's outline, corner after corner
    for index, arm in enumerate(ring):
        neighbour = ring[(index + 1) % len(ring)]
        others = [other for other in ring if other is not arm]
        if not arm.incoming:
            ways = []
        elif node.control is Control.FREE:
            ways = free_lane_map(arm, others, node.main)
        else:
            ways = lane_map(arm, others)
        for lane, other, exit_lane in ways:
            outermost = other is neighbour and lane is arm.incoming[-1] and exit_lane is other.outgoing[-1]
            walk = outermost and _walk_fits(arm, other)
            if walk:
                paved.add(index)
            road = _connecting_road(build, junction, arm, lane, other, exit_lane, walk)
            if outermost:
                s = np.linspace(0.0, road.plan.length, 17)
                kerbs.append(road.plan.place(s, -np.interp(s, s[[0, -1]], [lane.width, exit_lane.width])))
        if index not in paved and arm.walk_in and neighbour.walk_out and neighbour is not arm:
            road = _walk_road(build, junction, arm, neighbour)
            kerbs.append(road.plan.place(np.linspace(0.0, road.plan.length, 17), 0.0))
    if len(kerbs) > 1:
        _floor(build, np.concatenate(kerbs))
    _rule(build, junction, node, ring)
    return junction


def _floor(build: Build, outline: NDArray[np.float64]) -> None:
    """The asphalt between the lanes of the junction that was built last, as an object on its last road."""
    road = build.town.roads[-1]
    x, y, heading = road.plan.start
    c, s = cos(heading), sin(heading)
    local = (outline - (x, y)) @ np.array([[c, -s], [s, c]])
    corners = tuple((float(u), float(v)) for u, v in local)
    road.objects.append(Object(build.fresh(), "patch", "JunctionFloor", 0.0, 0.0, corners=corners))


def _walk_fits(arm: Arm, other: Arm) -> bool:
    """Whether both sidewalks lie right beside the lanes."""
    if arm.walk_in is None or other.walk_out is None:
        return False
    return (
        abs(arm.walk_in.inner - arm.incoming[-1].outer) < 0.01
        and abs(other.walk_out.inner - other.outgoing[-1].outer) < 0.01
    )


def _connecting_road(
    build: Build, junction: Junction, arm: Arm, lane: EndLane, other: Arm, exit_lane: EndLane, walk: bool
) -> Road:
    """One lane through the junction; its reference line is the lane's left border."""
    begin = offset(arm.pose, lane.inner)
    end_pose = (other.pose[0], other.pose[1], wrap(other.pose[2] + pi))
    plan = connect(begin, offset(end_pose, -exit_lane.inner))
    lanes = [Lane("drive 0", "driving", (taper(0.0, plan.length, lane.width, exit_lane.width),))]
    links: dict[int, tuple[int | None, int | None]] = {-1: (lane.id, exit_lane.id)}
    if walk and arm.walk_in and other.walk_out:
        widths = (taper(0.0, plan.length, arm.walk_in.width, other.walk_out.width),)
        lanes.append(Lane("sidewalk", "sidewalk", widths))
        links[-2] = (arm.walk_in.id, other.walk_out.id)
    return _add_road(build, junction, arm, other, plan, tuple(lanes), links)


def _walk_road(build: Build, junction: Junction, arm: Arm, other: Arm) -> Road:
    """A corner with nothing but a sidewalk; its reference line is the kerb."""
    assert arm.walk_in is not None
    assert other.walk_out is not None
    end_pose = (other.pose[0], other.pose[1], wrap(other.pose[2] + pi))
    plan = connect(offset(arm.pose, arm.walk_in.inner), offset(end_pose, -other.walk_out.inner))
    widths = (taper(0.0, plan.length, arm.walk_in.width, other.walk_out.width),)
    links: dict[int, tuple[int | None, int | None]] = {-1: (arm.walk_in.id, other.walk_out.id)}
    return _add_road(build, junction, arm, other, plan, (Lane("sidewalk", "sidewalk", widths),), links)


def _add_road(
    build: Build,
    junction: Junction,
    arm: Arm,
    other: Arm,
    plan: Plan,
    lanes: tuple[Lane, ...],
    links: dict[int, tuple[int | None, int | None]],
) -> Road:
    road = Road(build.fresh(), plan, (Section(0.0, lanes),), arm.road.speed, junction.id)
    road.predecessor = Link("road", arm.road.id, arm.contact)
    road.successor = Link("road", other.road.id, other.contact)
    road.lane_links = links
    build.town.roads.append(road)
    pairs = tuple((before, lane_id) for lane_id, (before, _) in links.items() if before is not None)
    junction.connections.append(Connection(arm.road.id, road.id, pairs))
    return road


def _rule(build: Build, junction: Junction, node: Node, ring: list[Arm]) -> None:
    """Signs, lights, stop lines, crosswalks and priorities."""
    main = set(node.main) or main_road(ring)
    minor = [arm for arm in ring if arm.edge not in main]
    approaches = [arm for arm in ring if arm.incoming]
    for arm in ring:
        walkable = node.crosswalks and arm.walk_in is not None and arm.walk_out is not None
        if walkable:
            begin = CROSSWALK_YIELD if node.control is Control.YIELD else CROSSWALK_BEGIN
            _crosswalk(build, arm, begin)
        before = begin + CROSSWALK_DEPTH + STOP_LINE_GAP if walkable else STOP_LINE_ALONE
        if arm not in approaches:
            continue
        if node.control is Control.LIGHT:
            _light(build, junction, arm, before)
        elif node.control is Control.ALL_STOP or (node.control is Control.MINOR_STOP and arm in minor):
            _sign(build, arm, before, STOP, "Sign_Stop")
        elif node.control is Control.YIELD and arm in minor:
            _signal(build, arm, before, YIELD, "Sign_Yield", SIGN_HEIGHT)
    if node.control in (Control.MINOR_STOP, Control.YIELD):
        roads = {arm.road.id: [c.connecting for c in junction.connections if c.incoming == arm.road.id] for arm in ring}
        low = [road for arm in minor for road in roads[arm.road.id]]
        high = [road for arm in ring if arm not in minor for road in roads[arm.road.id]]
        junction.priorities = [(h, lo) for h in high for lo in low]


def main_road(ring: list[Arm]) -> set[int]:
    """The two arms that lie straightest opposite each other."""
    pairs = [(a, b) for i, a in enumerate(ring) for b in ring[i + 1 :]]
    best = min(pairs, key=lambda pair: abs(wrap(pair[0].angle + pi - pair[1].angle)))
    return {best[0].edge, best[1].edge}


def _crosswalk(build: Build, arm: Arm, begin: float) -> None:
    """From kerb to kerb across an arm."""
    lanes = arm.incoming + arm.outgoing
    left = max(max(lane.inner, lane.outer) for lane in lanes)
    right = min(min(lane.inner, lane.outer) for lane in lanes)
    middle, half, depth = (left + right) / 2, (left - right) / 2, CROSSWALK_DEPTH / 2
    corners = ((depth, -half), (depth, half), (-depth, half), (-depth, -half))
    s, t = arm.s(begin + depth), arm.t(middle)
    arm.road.objects.append(
        Object(build.fresh(), "crosswalk", "Crosswalk", s, t, length=2 * depth, width=2 * half, corners=corners)
    )


def _stop_line(build: Build, arm: Arm, before: float) -> None:
    left, right = arm.incoming[0].inner, arm.incoming[-1].outer
    half, depth = abs(left - right) / 2, STOP_LINE_DEPTH / 2
    corners = ((depth, -half), (depth, half), (-depth, half), (-depth, -half))
    s, t = arm.s(before + depth), arm.t((left + right) / 2)
    arm.road.objects.append(
        Object(build.fresh(), "roadMark", "StopLine", s, t, length=2 * depth, width=2 * half, corners=corners)
    )


def _signal(build: Build, arm: Arm, before: float, kind: str, name: str, z: float) -> Signal:
    """A signal at the stop line, beside the road, valid for all incoming lanes."""
    ids = [lane.id for lane in arm.incoming]
    edge = arm.walk_in.outer if arm.walk_in else arm.incoming[-1].outer
    orientation = "+" if arm.contact == "end" else "-"
    signal = Signal(build.fresh(), kind, name, arm.s(before), arm.t(edge - 0.5), orientation, (min(ids), max(ids)), z)
    arm.road.signals.append(signal)
    outermost = arm.incoming[-1]
    build.approaches.append(Approach(signal, arm.pose, (outermost.inner + outermost.outer) / 2))
    return signal


def _sign(build: Build, arm: Arm, before: float, kind: str, name: str) -> None:
    _stop_line(build, arm, before)
    _signal(build, arm, before, kind, name, SIGN_HEIGHT)


def _light(build: Build, junction: Junction, arm: Arm, before: float) -> None:
    _stop_line(build, arm, before)
    signal = _signal(build, arm, before, LIGHT, "Signal_3Light_Post01", HEAD_HEIGHT)
    controller = Controller(build.fresh(), (signal.id,))
    build.town.controllers.append(controller)
    junction.controllers.append(controller.id)
