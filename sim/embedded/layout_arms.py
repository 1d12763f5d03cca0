"""The ends of streets at a junction, and how far from its middle they lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, inf, pi, sin, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.layout import Control, Edge, Node
from roadcraft.sim.embedded.opendrive import Road, Width
from roadcraft.sim.geometry import wrap
from roadcraft.sim.planview import Pose, connect, offset

MIN_SETBACK, FREE_SETBACK = 7.0, 25.0  # [m] from a node to the ends of its streets
FITS = 25  # rounds in which setbacks grow by a metre until right turns are wide enough


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
