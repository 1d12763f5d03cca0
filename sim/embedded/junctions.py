"""Right of way: may a driver enter the junction before it?

A driver needs a grant for the junction lane on its way. It gets one when no car is in the way of that lane or has a
grant for a lane that meets it, when those with right of way are far enough off, and when there is room behind the
junction. Grants are given in the order of the rows, so never to two whose ways meet. Cars without a built-in driver
have no grants: they are taken to go where they can, and to have right of way where their lane has.
"""

from __future__ import annotations

from math import cos, sqrt

from roadcraft.sim.embedded.traffic_graph import SAME_PLACE
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Command, LightState
from roadcraft.sim.roads import Priority

CLEARANCE = 1.5  # s between two cars in the same place
LOOK_BACK = 60.0  # [m] before a junction that cars with right of way are looked for
PATIENCE = 25.0  # s of waiting after which a smaller gap will do
ROOM = 2.0  # [m] more than its own length that a driver wants behind the junction
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)
_LEFT = int(Command.LEFT)
_YIELD = int(Priority.YIELD)


@kernel
def travel_time(distance, speed, top, accel):  # type: ignore[no-untyped-def]
    """Seconds for a distance [m] when speeding up from `speed` to `top` [m/s]."""
    if distance <= 0.0:
        return 0.0
    top = max(top, speed, 1.0)
    ramp = (top * top - speed * speed) / (2.0 * accel)
    if ramp >= distance:
        return (sqrt(speed * speed + 2.0 * accel * distance) - speed) / accel
    return (top - speed) / accel + (distance - ramp) / top


@kernel
def _opposite(lanes, points, lane, other):  # type: ignore[no-untyped-def]
    """Whether two junction lanes begin against each other."""
    return cos(points[lanes[lane].first].yaw - points[lanes[other].first].yaw) < -0.5


@kernel
def _yields(lanes, points, lane, other):  # type: ignore[no-untyped-def]
    """Whether traffic in junction lane `lane` must let that in `other` go first."""
    mine, theirs = lanes[lane], lanes[other]
    if mine.priority != theirs.priority:
        return mine.priority < theirs.priority
    return mine.turn == _LEFT and theirs.turn != _LEFT and _opposite(lanes, points, lane, other)


@kernel
def _closed(lanes, links, lights, lane):  # type: ignore[no-untyped-def]
    """Whether the light before a junction lane shows red or yellow."""
    for k in range(lanes[lane].predecessors[0], lanes[lane].predecessors[1]):
        signal = lanes[links[k]].signal
        if signal >= 0 and (lights[signal].state == _RED or lights[signal].state == _YELLOW):
            return True
    return False


@kernel
def _half_sweep(b, track):  # type: ignore[no-untyped-def]
    """Half the width [m] that a body sweeps in a lane: in bends its front swings out.

    With its rear axle on radius R, the outer front corner runs on sqrt((R + w)^2 + F^2).
    """
    if track.bend < 0.01:
        return b.extent[1]
    radius, front = 1.0 / track.bend, 1.55 * b.extent[0]
    return sqrt((radius + b.extent[1]) ** 2 + front * front) - radius


@kernel
def _fit_side_by_side(a, b, lanes, lane, meeting):  # type: ignore[no-untyped-def]
    """Whether body a in junction lane `lane` and b in the one that it meets can pass each other."""
    if meeting.apart < SAME_PLACE:
        return False
    return _half_sweep(a, lanes[lane]) + _half_sweep(b, lanes[meeting.other]) + 0.3 < meeting.apart


@kernel
def _heads_for(d, own, lane, depth):  # type: ignore[no-untyped-def]
    """Whether a body's way leads into `lane`; one without a built-in driver may go anywhere."""
    if not own:
        return True
    found = False
    for k in range(min(d.lanes, depth)):
        found = found or d.path[k] == lane
    return found


@kernel
def _hindered_by(i, j, bodies, drivers, lanes, points, links, meetings, lights, lane, k, to_start, distance, patient):  # type: ignore[no-untyped-def]
    """Whether body j, `distance` [m] before the lane of conflict k, keeps driver i out of `lane`.

    `to_start`: metres from i's middle to the beginning of `lane`.
    """
    other = meetings[k].other
    b, e = bodies[i], bodies[j]
    own = e.autopilot != 0
    if _fit_side_by_side(b, e, lanes, lane, meetings[k]):
        return False
    if own and drivers[j].granted == other:
        return True
    if _closed(lanes, links, lights, other):
        return False
    if own and drivers[j].standing > 1.0:
        # Both wait: who came first goes first, if it can.
        first = drivers[j].arrived >= 0.0 and drivers[j].arrived < drivers[i].arrived and drivers[j].standing < 20.0
        return first and not _yields(lanes, points, other, lane) and distance < 12.0
    if not _yields(lanes, points, lane, other):
        return False
    if e.speed < 0.5:
        return False
    arrival = max(distance + meetings[k].there[0] - e.extent[0], 0.0) / max(e.speed, 1.0)
    top = points[lanes[lane].first].limit
    leave = travel_time(to_start + meetings[k].here[1] + b.extent[0], max(b.speed, 0.0), top, 1.5)
    return arrival < leave + (CLEARANCE if patient else 0.5)


@kernel
def _in_the_way(e, meeting):  # type: ignore[no-untyped-def]
    """Whether a body in the junction lane of a conflict has not yet passed the place where the lanes meet."""
    return e.lane_s - e.extent[0] < meeting.there[1]


@kernel
def _has_room(i, bodies, chain, lanes, links, exit_lane, trusts):  # type: ignore[no-untyped-def]
    """Whether driver i would not have to stand in the junction: room behind it for all that are on their way there.

    trusts: whether it takes who drives there to drive on.
    """
    b = bodies[i]
    need = 2.0 * b.extent[0] + ROOM
    for m in range(lanes[exit_lane].predecessors[0], lanes[exit_lane].predecessors[1]):
        j = lanes[links[m]].head
        while j >= 0:
            if j != i and lanes[links[m]].junction >= 0:
                need += 2.0 * bodies[j].extent[0] + ROOM
            j = chain[j].in_lane
    room, at, current = 0.0, -1, exit_lane
    for _ in range(3):
        j = lanes[current].head
        nearest = 1e9
        while j >= 0:
            if bodies[j].lane_s - bodies[j].extent[0] < nearest and j != i:
                nearest, at = bodies[j].lane_s - bodies[j].extent[0], j
            j = chain[j].in_lane
        if at >= 0:
            room += nearest
            break
        room += lanes[current].length
        if room > need or lanes[current].successors[1] - lanes[current].successors[0] != 1:
            break
        current = links[lanes[current].successors[0]]
    return at < 0 or room > need or (trusts and bodies[at].speed > 3.0)


@kernel
def _lane_hinders(  # type: ignore[no-untyped-def]
    i, bodies, drivers, chain, lanes, points, links, meetings, lights, lane, k, to_start, patient, before, beyond, depth
):
    """Whether some body in lane `before`, which ends `beyond` [m] before the lane of conflict k, keeps driver i out."""
    j = lanes[before].head
    while j >= 0:
        ahead = beyond + lanes[before].length - bodies[j].lane_s
        near = j != i and ahead < LOOK_BACK
        if (
            near
            and _heads_for(drivers[j], bodies[j].autopilot != 0, meetings[k].other, depth)
            and _hindered_by(
                i, j, bodies, drivers, lanes, points, links, meetings, lights, lane, k, to_start, ahead, patient
            )
        ):
            return True
        j = chain[j].in_lane
    return False


@kernel
def _approached(  # type: ignore[no-untyped-def]
    i, bodies, drivers, chain, lanes, points, links, meetings, lights, lane, k, to_start, patient
):
    """Whether some body on its way to the lane of conflict k keeps driver i out: three lanes back, up to LOOK_BACK."""
    other = meetings[k].other
    for m in range(lanes[other].predecessors[0], lanes[other].predecessors[1]):
        first = links[m]
        if _lane_hinders(
            i, bodies, drivers, chain, lanes, points, links, meetings, lights, lane, k, to_start, patient,
            first, 0.0, 2,
        ):  # fmt: skip
            return True
        beyond = lanes[first].length
        if beyond > LOOK_BACK:
            continue
        for n in range(lanes[first].predecessors[0], lanes[first].predecessors[1]):
            second = links[n]
            if _lane_hinders(
                i, bodies, drivers, chain, lanes, points, links, meetings, lights, lane, k, to_start, patient,
                second, beyond, 3,
            ):  # fmt: skip
                return True
            further = beyond + lanes[second].length
            if further > LOOK_BACK:
                continue
            for q in range(lanes[second].predecessors[0], lanes[second].predecessors[1]):
                if _lane_hinders(
                    i, bodies, drivers, chain, lanes, points, links, meetings, lights, lane, k, to_start, patient,
                    links[q], further, 4,
                ):  # fmt: skip
                    return True
    return False


@kernel
def _goes_first(lanes, meetings, lane):  # type: ignore[no-untyped-def]
    """Whether a junction lane has right of way over some that it meets."""
    for k in range(lanes[lane].meetings[0], lanes[lane].meetings[1]):
        if lanes[meetings[k].other].priority < lanes[lane].priority:
            return True
    return False


@kernel
def may_enter(  # type: ignore[no-untyped-def]
    i, bodies, drivers, chain, lanes, points, links, meetings, lights, lane, exit_lane, to_start
):
    """Whether driver i may enter junction lane `lane`, whose beginning is `to_start` [m] ahead of its middle."""
    patient = drivers[i].standing < PATIENCE
    # On a full roundabout each would wait for room behind the next: who has right of way closes up in the end.
    keeps_clear = patient or not _goes_first(lanes, meetings, lane)
    trusts = lanes[lane].priority != _YIELD  # who blocked a roundabout's ring would be blocked by it
    if keeps_clear and exit_lane >= 0 and not _has_room(i, bodies, chain, lanes, links, exit_lane, trusts):
        return False
    for k in range(lanes[lane].meetings[0], lanes[lane].meetings[1]):
        j = lanes[meetings[k].other].head
        while j >= 0:
            inside = j != i and _in_the_way(bodies[j], meetings[k])
            if inside and not _fit_side_by_side(bodies[i], bodies[j], lanes, lane, meetings[k]):
                return False
            j = chain[j].in_lane
        if _approached(i, bodies, drivers, chain, lanes, points, links, meetings, lights, lane, k, to_start, patient):
            return False
    return True
