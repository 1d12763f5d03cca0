"""Right of way: may a driver enter the junction before it?

A driver needs a grant for the junction lane on its way. It gets one when no car is in the way of that lane or has a
grant for a lane that meets it, when those with right of way are far enough off, and when there is room behind the
junction. Grants are given in the order of the rows, so never to two whose ways meet. Cars without a built-in driver
have no grants: they are taken to go where they can, and to have right of way where their lane has.
"""

from __future__ import annotations

from math import cos, sqrt

from numba import njit

from roadcraft.sim.messages import Command, LightState
from roadcraft.sim.roads import Priority

CLEARANCE = 1.5  # s between two cars in the same place
LOOK_BACK = 60.0  # [m] before a junction that cars with right of way are looked for
PATIENCE = 25.0  # s of waiting after which a smaller gap will do
ROOM = 2.0  # [m] more than its own length that a driver wants behind the junction
_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)
_LEFT = int(Command.LEFT)
_MAIN = int(Priority.MAIN)


@njit(cache=True)
def travel_time(distance, speed, top, accel):  # type: ignore[no-untyped-def]
    """Seconds for a distance [m] when speeding up from `speed` to `top` [m/s]."""
    if distance <= 0.0:
        return 0.0
    top = max(top, speed, 1.0)
    ramp = (top * top - speed * speed) / (2.0 * accel)
    if ramp >= distance:
        return (sqrt(speed * speed + 2.0 * accel * distance) - speed) / accel
    return (top - speed) / accel + (distance - ramp) / top


@njit(cache=True)
def _opposite(graph, lane, other):  # type: ignore[no-untyped-def]
    """Whether two junction lanes begin against each other."""
    grid = graph.grid
    return cos(grid.yaw[grid.first[lane]] - grid.yaw[grid.first[other]]) < -0.5


@njit(cache=True)
def _yields(graph, lane, other):  # type: ignore[no-untyped-def]
    """Whether traffic in junction lane `lane` must let that in `other` go first."""
    mine, theirs = graph.lanes[lane], graph.lanes[other]
    if mine.priority != theirs.priority:
        return mine.priority < theirs.priority
    return mine.turn == _LEFT and theirs.turn != _LEFT and _opposite(graph, lane, other)


@njit(cache=True)
def _closed(graph, lights, lane):  # type: ignore[no-untyped-def]
    """Whether the light before a junction lane shows red or yellow."""
    for k in range(graph.pred_start[lane], graph.pred_start[lane + 1]):
        signal = graph.lanes[graph.pred[k]].signal
        if signal >= 0 and (lights[signal].state == _RED or lights[signal].state == _YELLOW):
            return True
    return False


@njit(cache=True)
def _shares_start(graph, lane, other):  # type: ignore[no-untyped-def]
    """Whether two junction lanes leave the same lane: then one follows the other."""
    for k in range(graph.pred_start[lane], graph.pred_start[lane + 1]):
        for m in range(graph.pred_start[other], graph.pred_start[other + 1]):
            if graph.pred[k] == graph.pred[m]:
                return True
    return False


@njit(cache=True)
def _heads_for(d, own, lane, depth):  # type: ignore[no-untyped-def]
    """Whether a body's way leads into `lane`; one without a built-in driver may go anywhere."""
    if not own:
        return True
    found = False
    for k in range(min(d.lanes, depth)):
        found = found or d.path[k] == lane
    return found


@njit(cache=True)
def _hindered_by(i, j, bodies, drivers, graph, lights, lane, k, to_start, distance, patient):  # type: ignore[no-untyped-def]
    """Whether body j, `distance` [m] before the lane of conflict k, keeps driver i out of `lane`.

    `to_start`: metres from i's middle to the beginning of `lane`.
    """
    other, zone = graph.conflict[k], graph.zone[k]
    b, e = bodies[i], bodies[j]
    own = e.autopilot != 0
    if own and drivers[j].granted == other:
        return True
    if _closed(graph, lights, other):
        return False
    if own and drivers[j].standing > 1.0:
        # Both wait: who came first goes first, if it can.
        first = drivers[j].arrived >= 0.0 and drivers[j].arrived < drivers[i].arrived and drivers[j].standing < 20.0
        return first and not _yields(graph, other, lane) and distance < 12.0
    if not _yields(graph, lane, other):
        return False
    if e.speed < 0.5:
        return False
    arrival = max(distance + zone[2] - e.extent[0], 0.0) / max(e.speed, 1.0)
    top = graph.limit[graph.grid.first[lane]]
    leave = travel_time(to_start + zone[1] + b.extent[0], max(b.speed, 0.0), top, 1.5)
    return arrival < leave + (CLEARANCE if patient else 0.5)


@njit(cache=True)
def _in_the_way(e, d, zone, other):  # type: ignore[no-untyped-def]
    """Whether a body in the junction lane of a conflict has not yet passed the place where the lanes meet."""
    return e.lane_s - e.extent[0] < zone[3]


@njit(cache=True)
def _has_room(i, bodies, drivers, graph, scratch, lane, exit_lane):  # type: ignore[no-untyped-def]
    """Whether driver i would not have to stand in the junction: room behind it for all that are on their way there."""
    b = bodies[i]
    need = 2.0 * b.extent[0] + ROOM
    for m in range(graph.pred_start[exit_lane], graph.pred_start[exit_lane + 1]):
        j = scratch.head[graph.pred[m]]
        while j >= 0:
            if j != i and graph.lanes[graph.pred[m]].junction >= 0:
                need += 2.0 * bodies[j].extent[0] + ROOM
            j = scratch.after[j]
    room, at, current = 0.0, -1, exit_lane
    for _ in range(3):
        j = scratch.head[current]
        nearest = 1e9
        while j >= 0:
            if bodies[j].lane_s - bodies[j].extent[0] < nearest and j != i:
                nearest, at = bodies[j].lane_s - bodies[j].extent[0], j
            j = scratch.after[j]
        if at >= 0:
            room += nearest
            break
        room += graph.lanes[current].length
        if room > need or graph.succ_start[current + 1] - graph.succ_start[current] != 1:
            break
        current = graph.succ[graph.succ_start[current]]
    return at < 0 or room > need or bodies[at].speed > 3.0


@njit(cache=True)
def may_enter(i, bodies, drivers, graph, lights, scratch, lane, exit_lane, to_start):  # type: ignore[no-untyped-def]
    """Whether driver i may enter junction lane `lane`, whose beginning is `to_start` [m] ahead of its middle."""
    d = drivers[i]
    if exit_lane >= 0 and not _has_room(i, bodies, drivers, graph, scratch, lane, exit_lane):
        return False
    patient = d.standing < PATIENCE
    for k in range(graph.conflict_start[lane], graph.conflict_start[lane + 1]):
        other, zone = graph.conflict[k], graph.zone[k]
        if zone[1] < zone[0] or _shares_start(graph, lane, other):
            continue
        j = scratch.head[other]
        while j >= 0:
            if j != i and _in_the_way(bodies[j], drivers[j], zone, other):
                return False
            j = scratch.after[j]
        for m in range(graph.pred_start[other], graph.pred_start[other + 1]):
            before, distance = graph.pred[m], 0.0
            for depth in range(2, 6):
                length = graph.lanes[before].length
                j = scratch.head[before]
                while j >= 0:
                    own = bodies[j].autopilot != 0
                    ahead = distance + length - bodies[j].lane_s
                    near = j != i and ahead < LOOK_BACK and _heads_for(drivers[j], own, other, depth)
                    if near and _hindered_by(i, j, bodies, drivers, graph, lights, lane, k, to_start, ahead, patient):
                        return False
                    j = scratch.after[j]
                distance += length
                single = graph.pred_start[before + 1] - graph.pred_start[before] == 1
                if distance > LOOK_BACK or not single:
                    break
                before = graph.pred[graph.pred_start[before]]
    return True
