"""What built-in drivers know of the roads, as arrays of records: lanes, their points, links, where lanes meet.

Kernels take these arrays one by one: a tuple of arrays costs compiled code something at every use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import njit
from roadcraft.sim.roads import LaneKind, RoadNetwork

LATERAL = 2.2  # m/s^2 that drivers accept in bends
SLOWING = 2.0  # m/s^2 by which they slow down for them
ZONE_MARGIN = 1.2  # [m] added to either end of a zone where two lanes meet
SAME_PLACE = 2.2  # [m] between two centre lines where cars certainly meet
NEAR = 4.5  # [m] between two centre lines where large cars could touch in bends

TRACK = np.dtype(
    [
        ("first", np.int32),  # rows of its points: first to last
        ("last", np.int32),
        ("length", np.float64),  # [m]
        ("successors", np.int32, 2),  # its successors are links[a:b]
        ("predecessors", np.int32, 2),
        ("meetings", np.int32, 2),  # its rows in the meetings
        ("bend", np.float64),  # [1/m] its largest curvature
        ("junction", np.int32),  # as in roads.LANE, like all below
        ("turn", np.uint8),
        ("priority", np.uint8),
        ("signal", np.int32),
        ("signal_s", np.float64),
        ("stop", np.int32),
        ("stop_s", np.float64),
        ("left", np.int32),  # neighbour that its traffic may change to, -1
        ("right", np.int32),
        ("drives", np.bool_),  # a lane for cars
        ("endless", np.bool_),  # a driver can go on for ever from here
        ("head", np.int32),  # first of the vehicles in it, -1; the next is CHAIN.in_lane
    ]
)
POINT = np.dtype(
    [
        ("x", np.float64),
        ("y", np.float64),
        ("yaw", np.float64),
        ("cos", np.float64),  # of yaw
        ("sin", np.float64),
        ("s", np.float64),
        ("limit", np.float64),  # [m/s] that signs and the lane's bends from here on allow
    ]
)
MEETING = np.dtype(
    [
        ("other", np.int32),  # the lane that this one meets
        ("apart", np.float64),  # [m] how close the two centre lines come
        ("here", np.float64, 2),  # [m] from, to on this lane
        ("there", np.float64, 2),  # the same on the other
    ]
)


@dataclass(frozen=True, slots=True)
class Graph:
    """L lanes, N points."""

    lanes: NDArray[np.void]  # (L,) TRACK
    points: NDArray[np.void]  # (N,) POINT
    links: NDArray[np.int32]  # successors, then predecessors, as in the network's CSR
    meetings: NDArray[np.void]  # MEETING


@njit
def _meet(lanes, points, lane, other, meeting):  # type: ignore[no-untyped-def]
    """Notes how close two lanes come, and the stretches on which they are about that close."""
    apart = 1e9
    for i in range(lanes[lane].first, lanes[lane].last + 1):
        for j in range(lanes[other].first, lanes[other].last + 1):
            dx, dy = points[i].x - points[j].x, points[i].y - points[j].y
            apart = min(apart, np.sqrt(dx * dx + dy * dy))
    within = max(SAME_PLACE, apart + 0.7)
    a0, a1, b0, b1 = 1e9, -1e9, 1e9, -1e9
    for i in range(lanes[lane].first, lanes[lane].last + 1):
        for j in range(lanes[other].first, lanes[other].last + 1):
            dx, dy = points[i].x - points[j].x, points[i].y - points[j].y
            if dx * dx + dy * dy < within * within:
                a0, a1 = min(a0, points[i].s), max(a1, points[i].s)
                b0, b1 = min(b0, points[j].s), max(b1, points[j].s)
    meeting.other, meeting.apart = other, apart
    meeting.here[0], meeting.here[1] = a0 - ZONE_MARGIN, a1 + ZONE_MARGIN
    meeting.there[0], meeting.there[1] = b0 - ZONE_MARGIN, b1 + ZONE_MARGIN


@njit
def _meetings(lanes, points, links, meetings):  # type: ignore[no-untyped-def]
    """Fills TRACK.meetings and MEETING for all lanes of the same junction that come near each other; how many."""
    count = 0
    for lane in range(lanes.shape[0]):
        row = lanes[lane]
        row.meetings[0] = count
        for other in range(lanes.shape[0]):
            if other == lane or row.junction < 0 or lanes[other].junction != row.junction or not row.drives:
                continue
            if not lanes[other].drives or _shares_start(lanes, links, lane, other) or count == meetings.shape[0]:
                continue
            _meet(lanes, points, lane, other, meetings[count])
            if meetings[count].apart < NEAR:
                count += 1
        row.meetings[1] = count
    return count


@njit
def _shares_start(lanes, links, lane, other):  # type: ignore[no-untyped-def]
    """Whether two junction lanes leave the same lane: then one follows the other."""
    for k in range(lanes[lane].predecessors[0], lanes[lane].predecessors[1]):
        for m in range(lanes[other].predecessors[0], lanes[other].predecessors[1]):
            if links[k] == links[m]:
                return True
    return False


@njit
def _limit(lanes, points, signs):  # type: ignore[no-untyped-def]
    """sqrt(a_lat / curvature), capped by the sign, lowered backwards so that SLOWING is enough."""
    for lane in range(lanes.shape[0]):
        first, last = lanes[lane].first, lanes[lane].last
        for i in range(first, last + 1):
            # Over 3 m to either side: the curvature of single segments is noise.
            a, b = max(i - 3, first), min(i + 3, last)
            turn = points[b].yaw - points[a].yaw
            turn -= 2 * np.pi * np.floor(turn / (2 * np.pi) + 0.5)
            curvature = abs(turn) / max(points[b].s - points[a].s, 0.1)
            lanes[lane].bend = max(lanes[lane].bend, curvature)
            points[i].limit = min(signs[lane], np.sqrt(LATERAL / max(curvature, 1e-4)))
        for i in range(last - 1, first - 1, -1):
            reach = np.sqrt(points[i + 1].limit ** 2 + 2 * SLOWING * (points[i + 1].s - points[i].s))
            points[i].limit = min(points[i].limit, reach)


def _endless(network: RoadNetwork) -> NDArray[np.bool_]:
    """Lanes from which some way never ends: what remains when dead ends are cut off again and again."""
    alive = network.lanes["kind"] == LaneKind.DRIVING
    while True:
        keep = alive.copy()
        for lane in np.flatnonzero(alive).tolist():
            onward = any(alive[other] for other in network.successors(lane))
            keep[lane] = onward or any(alive[other] and other != lane for other in network.changes(lane))
        if (keep == alive).all():
            return keep if keep.any() else network.lanes["kind"] == LaneKind.DRIVING
        alive = keep


def make_graph(network: RoadNetwork) -> Graph:
    source = network.lanes
    lanes = np.zeros(len(source), TRACK)
    for name in ("first", "length", "junction", "turn", "priority", "signal", "signal_s", "stop", "stop_s"):
        lanes[name] = source[name]
    lanes["last"] = source["first"] + source["count"] - 1
    lanes["successors"] = np.stack([network.succ_start[:-1], network.succ_start[1:]], -1)
    lanes["predecessors"] = np.stack([network.pred_start[:-1], network.pred_start[1:]], -1) + len(network.succ)
    lanes["drives"] = source["kind"] == LaneKind.DRIVING
    driving = np.append(lanes["drives"], False)
    for side in ("left", "right"):
        change = source[f"change_{side}"] & driving[source[side]]
        lanes[side] = np.where(change, source[side], -1)
    lanes["endless"] = _endless(network)
    lanes["head"] = -1
    points = np.zeros(len(network.xy), POINT)
    points["x"], points["y"] = network.xy.T
    points["yaw"], points["s"] = network.yaw, network.s
    points["cos"], points["sin"] = np.cos(network.yaw), np.sin(network.yaw)
    _limit(lanes, points, np.ascontiguousarray(source["speed_limit"]))
    links = np.concatenate([network.succ, network.pred]).astype(np.int32)
    _, size = np.unique(lanes["junction"][lanes["drives"] & (lanes["junction"] >= 0)], return_counts=True)
    meetings = np.zeros(int((size * size).sum()) + 1, MEETING)
    meetings = meetings[: _meetings(lanes, points, links, meetings)].copy()
    return Graph(lanes, points, links, meetings)
