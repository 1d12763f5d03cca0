"""Junctions: connecting roads between any arms, with the sidewalks around their corners."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.layout import Build, Control, Node
from roadcraft.sim.embedded.layout_arms import Arm, EndLane
from roadcraft.sim.embedded.layout_signs import rule
from roadcraft.sim.embedded.opendrive import Connection, Junction, Lane, Link, Object, Road, Section, taper
from roadcraft.sim.geometry import wrap
from roadcraft.sim.planview import Plan, connect, offset

TURN_ANGLE = 0.7  # [rad] smaller heading changes are straight on


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
    rule(build, junction, node, ring)
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
