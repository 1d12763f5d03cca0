"""Lane changes by MOBIL (Kesting, Treiber, Helbing 2007): worth it for oneself, bearable for who comes behind.

A driver changes when its acceleration there exceeds that here by THRESHOLD, plus POLITENESS times what the car behind
loses, and nobody behind must brake harder than SAFE. Where its lane ends it must change: then gaps alone count.
"""

from __future__ import annotations

from math import inf, sqrt

from roadcraft.sim.draws import draw
from roadcraft.sim.embedded.driver import LANE_CHANGE_TIME, point_before
from roadcraft.sim.kernels import kernel

THRESHOLD = 0.3  # m/s^2
POLITENESS = 0.3
SAFE = 2.5  # m/s^2
KEEP_RIGHT = 0.15  # m/s^2 that speak for the right lane
INTERVAL = 1.5  # s between two thoughts of it, at least
NOT_BEFORE_JUNCTION = 35.0  # [m]
STRAIGHT = 40.0  # [m] of straight lane that a change wants
_COMFORT = 2.0  # m/s^2


@kernel
def _follow(speed, wanted, accel, headway, still, gap, leader):  # type: ignore[no-untyped-def]
    """The Intelligent Driver Model, as in `traffic.idm`."""
    free = accel * (1.0 - (speed / max(wanted, 0.1)) ** 4)
    if gap == inf:
        return free
    star = still + max(0.0, speed * headway + speed * (speed - leader) / (2.0 * sqrt(accel * _COMFORT)))
    return min(free, accel * (1.0 - (star / max(gap, 0.1)) ** 2))


@kernel
def _neighbours(i, bodies, chain, lanes, links, lane, s):  # type: ignore[no-untyped-def]
    """(row ahead, gap [m], row behind, gap [m]) of the vehicles around arc length s of a lane; row -1, inf: none."""
    front, front_gap, back, back_gap = -1, inf, -1, inf
    half = bodies[i].extent[0]
    for side in range(3):
        current, shift = lane, 0.0
        if side == 1:
            if lanes[lane].successors[0] == lanes[lane].successors[1]:
                continue
            current, shift = links[lanes[lane].successors[0]], lanes[lane].length
        elif side == 2:
            if lanes[lane].predecessors[0] == lanes[lane].predecessors[1]:
                continue
            current = links[lanes[lane].predecessors[0]]
            shift = -lanes[current].length
        j = lanes[current].head
        while j >= 0:
            if j != i:
                along = bodies[j].lane_s + shift - s
                gap = abs(along) - half - bodies[j].extent[0]
                if along >= 0.0 and gap < front_gap:
                    front, front_gap = j, gap
                elif along < 0.0 and gap < back_gap:
                    back, back_gap = j, gap
            j = chain[j].in_lane
    return front, front_gap, back, back_gap


@kernel
def _ends(d, lanes):  # type: ignore[no-untyped-def]
    """Whether the way ends with the lanes known: the lane leads nowhere."""
    last = lanes[d.path[d.lanes - 1]]
    return last.successors[0] == last.successors[1] or not last.endless


@kernel
def _gain(i, bodies, drivers, chain, lanes, links, lane, s, accel, wanted, must):  # type: ignore[no-untyped-def]
    """What a change to a place in a neighbouring lane is worth [m/s^2]; -inf where it is not safe."""
    b, d = bodies[i], drivers[i]
    front, front_gap, back, back_gap = _neighbours(i, bodies, chain, lanes, links, lane, s)
    if front_gap < 2.0 or back_gap < 2.0:
        return -inf
    leader = bodies[front].speed if front >= 0 else 0.0
    here = _follow(b.speed, wanted, d.accel, d.headway, d.gap, front_gap, leader)
    loss = 0.0
    if back >= 0:
        e = bodies[back]
        if abs(drivers[back].offset) > 1.0:
            return -inf  # it changes lanes itself
        behind = _follow(e.speed, max(e.speed, 5.0), 1.8, 1.0, 2.0, back_gap, b.speed)
        if behind < -SAFE:
            return -inf
        loss = max(-behind, 0.0)
    if front >= 0 and here < -SAFE:
        return -inf
    return here - accel - (0.0 if must else POLITENESS * loss)


@kernel
def consider_change(i, bodies, drivers, chain, lanes, points, links, accel, wanted, dt):  # type: ignore[no-untyped-def]
    """Moves driver i to a neighbouring lane when that pays, or when its own ends."""
    b, d = bodies[i], drivers[i]
    d.rest -= dt
    lane = lanes[d.path[0]]
    if d.rest > 0.0 or lane.junction >= 0 or abs(d.offset) > 0.3 or (lane.left < 0 and lane.right < 0):
        return
    d.rest = INTERVAL * (0.7 + 0.6 * draw(d))
    must = not lane.endless or _ends(d, lanes)
    room = lane.length - b.lane_s
    for k in range(1, d.lanes):
        if lanes[d.path[k]].junction >= 0:
            break
        room += lanes[d.path[k]].length
    if not must and (room < NOT_BEFORE_JUNCTION or b.speed < 3.0 or _bends(b, lanes, points)):
        return
    best, chosen, at, lateral = THRESHOLD, -1, 0.0, 0.0
    if must:
        best = -1e9
    for side in range(2):
        other = lane.left if side == 0 else lane.right
        if other < 0 or not lanes[other].drives or (not lanes[other].endless and not must):
            continue
        s, aside = _beside(b, lanes, points, other)
        gain = _gain(i, bodies, drivers, chain, lanes, links, other, s, accel, wanted, must)
        gain += 0.0 if side == 0 else KEEP_RIGHT
        if gain > best:
            best, chosen, at, lateral = gain, other, s, aside
    if chosen >= 0:
        _change(b, d, chosen, at, lateral)


@kernel
def _change(b, d, lane, s, lateral):  # type: ignore[no-untyped-def]
    """From now on the body is in the other lane, off its centre; the offset fades."""
    d.lateral = d.offset = lateral
    d.fading = abs(lateral) / LANE_CHANGE_TIME
    d.path[0], d.lanes = lane, 1
    d.granted = -1
    b.lane, b.lane_s = lane, s


@kernel
def _beside(b, lanes, points, lane):  # type: ignore[no-untyped-def]
    """(s, lateral) [m] of a body in a lane that runs beside its own."""
    row = lanes[lane]
    best, found = 1e18, row.first
    for i in range(row.first, row.last + 1):
        dx, dy = b.xyz[0] - points[i].x, b.xyz[1] - points[i].y
        if dx * dx + dy * dy < best:
            best, found = dx * dx + dy * dy, i
    p = points[found]
    dx, dy = b.xyz[0] - p.x, b.xyz[1] - p.y
    return min(max(p.s + dx * p.cos + dy * p.sin, 0.0), row.length), dy * p.cos - dx * p.sin


@kernel
def _bends(b, lanes, points):  # type: ignore[no-untyped-def]
    """Whether the lane turns within the next STRAIGHT metres."""
    lane = lanes[b.lane]
    i = point_before(lanes, points, b.lane, b.lane_s)
    j = point_before(lanes, points, b.lane, min(b.lane_s + STRAIGHT, lane.length))
    return points[i].cos * points[j].cos + points[i].sin * points[j].sin < 0.985
