"""Built-in drivers: the vehicles whose `autopilot` is not 0.

Each follows lanes drawn by its own seed, keeps its distance by the Intelligent Driver Model (Treiber, Hennecke, Helbing
2000), slows down for bends, stops at red and yellow, at stop signs and where others have right of way, waits for room
behind a junction, and brakes for whatever body is or will soon be in the corridor that it is going to sweep. It works
the same pedals and wheel as anybody else; the tyres do the rest.

    a = a0 (1 - (v / v0)^4 - (s* / s)^2),   s* = s0 + max(0, v T + v dv / (2 sqrt(a0 b)))
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.driver import (
    DRIVER,
    SAMPLES,
    advance_on_path,
    allowed_speed,
    extend_path,
    locate,
    point_before,
    sample_path,
    sample_to_steer,
    steering,
)
from roadcraft.sim.embedded.driver import engage as _engage
from roadcraft.sim.embedded.junctions import may_enter
from roadcraft.sim.embedded.lanechange import consider_change
from roadcraft.sim.embedded.obstacles import idm, obstacle
from roadcraft.sim.embedded.traffic_graph import SLOWING, Graph, make_graph
from roadcraft.sim.embedded.vehicle import pedals_for, steer_for
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Command, Kind, LightState
from roadcraft.sim.roads import DRIVING, LaneGrid, nearest_lane

__all__ = ["DRIVER", "SAMPLES", "Graph", "drive", "engage", "make_graph", "register"]

STEERED = 10  # points of the way that steering needs
CREEP = 0.25  # m/s below which drivers rather stop
START = 0.4  # m/s^2 that are worth setting off for
NO_LINE = 1.5  # [m] before a junction without a line that drivers take for the line
LINE_GAP = 0.8  # [m] before a stop line at which drivers stop
YELLOW_SLOWING = 3.5  # m/s^2 up to which a driver stops at yellow
SIGNAL_DISTANCE = 30.0  # [m] before a turn at which the indicator goes on
POSITION, LOW_BEAM, BRAKE_LIGHT, RIGHT_LIGHT, LEFT_LIGHT = 1, 2, 8, 16, 32  # CARLA's VehicleLightState
_BICYCLE = int(Kind.BICYCLE)
_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)
_LEFT, _RIGHT = int(Command.LEFT), int(Command.RIGHT)


def engage(grid: LaneGrid, bodies: NDArray[np.void], drivers: NDArray[np.void], row: int) -> None:
    """A driver with the seed `bodies[row]["autopilot"]` takes the wheel."""
    _start(grid, bodies, drivers, row)


@kernel
def _start(grid, bodies, drivers, row):  # type: ignore[no-untyped-def]
    _engage(grid, bodies[row], drivers[row])


@kernel
def _place(grid, b, d):  # type: ignore[no-untyped-def]
    """Finds the lane of a vehicle by its place alone."""
    if b.autopilot != 0:
        locate(grid, b, d)
        return
    lane, s, lateral = nearest_lane(grid, b.xyz[0], b.xyz[1], b.yaw, True, DRIVING)
    near = lane >= 0 and abs(lateral) < 3.0
    b.lane, b.lane_s = (lane, s) if near else (-1, 0.0)


@kernel
def _advance_all(bodies, drivers, chain, lanes, points):  # type: ignore[no-untyped-def]
    """Moves built-in drivers along their ways; how many rows, listed in `chain.seen`, must be placed anew."""
    lost = 0
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id == 0 or b.kind > _BICYCLE:
            continue
        if b.autopilot != 0:
            found = advance_on_path(lanes, points, b, drivers[i])
        else:
            found = b.lane >= 0 and b.physics and b.velocity[0] == 0.0 and b.velocity[1] == 0.0
        if not found:
            chain[lost].seen = i
            lost += 1
    return lost


@kernel
def register(bodies, drivers, chain, lanes, points, grid):  # type: ignore[no-untyped-def]
    """Notes the lane that each vehicle is in, and for each lane its vehicles."""
    lost = _advance_all(bodies, drivers, chain, lanes, points)
    for k in range(lost):
        _place(grid, bodies[chain[k].seen], drivers[chain[k].seen])
    for i in range(chain.shape[0]):
        if chain[i].lane >= 0:
            lanes[chain[i].lane].head = -1
            chain[i].lane = -1
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id != 0 and b.kind <= _BICYCLE and b.lane >= 0:
            chain[i].lane, chain[i].in_lane = b.lane, lanes[b.lane].head
            lanes[b.lane].head = i


@kernel
def _stop_before(b, d, wanted, distance):  # type: ignore[no-untyped-def]
    """Acceleration that brings the front to a stand LINE_GAP before a line `distance` [m] ahead of the middle."""
    gap = distance - b.extent[0]
    if gap < LINE_GAP + 1.5 and b.speed < 1.0:
        return -2.0 if gap < LINE_GAP + 0.5 or b.speed > 0.3 else 0.1
    return idm(b.speed, wanted, d.accel, 0.3, LINE_GAP, max(gap, 0.05), 0.0)


@kernel
def _obey(i, bodies, drivers, chain, lanes, points, links, meetings, lights, clock, wanted):  # type: ignore[no-untyped-def]
    """Acceleration that lights, stop signs and right of way on the way ahead allow."""
    b, d = bodies[i], drivers[i]
    allowed = inf
    care = max(b.speed, 0.0) ** 2 / (2.0 * SLOWING) + 12.0  # [m] within which anything matters
    start = -b.lane_s  # of the lane in hand, from b's middle
    for k in range(d.lanes):
        lane = lanes[d.path[k]]
        if start > care:
            break
        if lane.junction < 0 or k > 0 or b.lane_s < 0.0:
            line = start + lane.length - NO_LINE
            if lane.signal >= 0:
                line = start + lane.signal_s
                state = lights[lane.signal].state
                gap = line - b.extent[0]
                stoppable = max(b.speed, 0.0) ** 2 / (2.0 * YELLOW_SLOWING) < gap
                if gap > -1.0 and (state == _RED or (state == _YELLOW and stoppable)):
                    allowed = min(allowed, _stop_before(b, d, wanted, line))
                    d.granted = -1
                    break
            if lane.stop >= 0 and d.stopped != d.path[k]:
                line = start + lane.stop_s
                if line - b.extent[0] > -1.0:
                    allowed = min(allowed, _stop_before(b, d, wanted, line))
                    if line - b.extent[0] < LINE_GAP + 2.5 and abs(b.speed) < 0.08:
                        d.stopped = d.path[k]
                    else:
                        break
            elif lane.stop >= 0:
                line = start + lane.stop_s
            ahead = k + 1
            if ahead < d.lanes and lane.junction < 0 and lanes[d.path[ahead]].junction >= 0:
                enter = d.path[ahead]
                to_start = start + lane.length
                if d.granted != enter and to_start - b.extent[0] > -1.0:
                    exit_lane = d.path[ahead + 1] if ahead + 1 < d.lanes else -1
                    if line - b.extent[0] < 3.0 and abs(b.speed) < 0.5 and d.arrived < 0.0:
                        d.arrived = clock[0]
                    if to_start < care and may_enter(
                        i, bodies, drivers, chain, lanes, points, links, meetings, lights, enter, exit_lane, to_start
                    ):
                        d.granted = enter
                    else:
                        allowed = min(allowed, _stop_before(b, d, wanted, line))
                        break
                elif d.granted == enter and d.standing > 4.0 and line - b.extent[0] > 0.0:
                    d.granted = -1  # something else holds it: let others go meanwhile
        start += lane.length
    return allowed


@kernel
def _mutual(i, drivers, blocker):  # type: ignore[no-untyped-def]
    """Whether the chain of who waits for whom leads back to i, and i has the lowest row in it."""
    j = blocker
    for _ in range(8):
        if j < 0 or drivers[j].standing < 4.0:
            return False
        if j == i:
            return True
        if j < i:
            return False
        j = drivers[j].blocker
    return False


@kernel
def _indicate(b, d, lanes, night, braking):  # type: ignore[no-untyped-def]
    """Brake lights, indicators and lamps."""
    bits = (POSITION | LOW_BEAM) if night else 0
    if braking:
        bits |= BRAKE_LIGHT
    distance = -b.lane_s
    for k in range(min(d.lanes, 4)):
        lane = lanes[d.path[k]]
        if distance > SIGNAL_DISTANCE:
            break
        if lane.junction >= 0 and (lane.turn == _LEFT or lane.turn == _RIGHT):
            bits |= LEFT_LIGHT if lane.turn == _LEFT else RIGHT_LIGHT
            break
        distance += lane.length
    if abs(d.offset) > 1.0 and not bits & (LEFT_LIGHT | RIGHT_LIGHT):
        bits |= LEFT_LIGHT if d.offset < 0.0 else RIGHT_LIGHT
    b.lights = np.uint32(bits)


@kernel
def drive(  # type: ignore[no-untyped-def]
    bodies, physics, drivers, chain, lanes, points, links, meetings, frames, cells, lights, way, clock, night, dt
):
    """All built-in drivers decide, row by row, after `register`. `way` (SAMPLES, 4), `clock` (1,): working memory."""
    clock[0] += dt
    for i in range(bodies.shape[0]):
        chain[i].seen = -1
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id != 0 and b.autopilot != 0 and b.kind <= _BICYCLE:
            _drive_one(
                i, bodies, physics, drivers, chain, lanes, points, links, meetings, frames[0], cells, lights, way,
                clock, night, dt,
            )  # fmt: skip


@kernel
def _drive_one(  # type: ignore[no-untyped-def]
    i, bodies, physics, drivers, chain, lanes, points, links, meetings, frame, cells, lights, way, clock, night, dt
):
    b, d, p = bodies[i], drivers[i], physics[i]
    if d.lanes == 0:
        b.throttle, b.brake, b.steer = 0.0, 1.0, 0.0
        return
    speed = max(b.speed, 0.0)
    fade = d.fading * dt
    d.offset -= min(max(d.offset, -fade), fade)
    d.thinks = not d.thinks  # at every second tick; the hands work at each
    horizon = min(speed * speed / (2.0 * SLOWING) + 1.5 * speed + 18.0, 110.0)
    spacing = max(horizon / (SAMPLES - 1), 1.5)
    if d.thinks or d.lanes < 3:
        extend_path(lanes, links, b, d, horizon + 40.0)
    here = point_before(lanes, points, d.path[0], b.lane_s)
    if d.thinks:
        count = sample_path(lanes, points, b, d, here, spacing, way, 0, SAMPLES)
    else:
        count = sample_to_steer(lanes, points, b, d, p, here, spacing, way, STEERED)
    wanted = max(allowed_speed(lanes, points, b, d, here, SLOWING) * d.eagerness, 1.0)
    if d.thinks:
        seen, blocker = obstacle(i, bodies, drivers, chain, frame, cells, way, count, spacing, p.rear, wanted)
        if blocker >= 0 and d.standing > 4.0 and bodies[blocker].autopilot != 0 and _mutual(i, drivers, blocker):
            seen = max(seen, 0.6)
        d.blocker = blocker if seen <= 0.05 else -1
        d.limit = min(seen, _obey(i, bodies, drivers, chain, lanes, points, links, meetings, lights, clock, wanted))
        if d.lanes == 1 and lanes[d.path[0]].junction < 0:  # the road ends
            d.limit = min(d.limit, _stop_before(b, d, wanted, lanes[d.path[0]].length - b.lane_s))
    a = min(idm(speed, wanted, d.accel, d.headway, d.gap, inf, 0.0), d.limit)
    consider_change(i, bodies, drivers, chain, lanes, points, links, a, wanted, dt)
    angle = steering(b, chain[i], p, spacing, way, count)
    b.steer = np.float32(steer_for(p, angle, speed))
    throttle, brake = pedals_for(p, speed, a)
    if speed < CREEP and a <= (START if d.standing > 0.0 else 0.1):  # the model would creep for ever
        throttle, brake = 0.0, 0.6
    b.throttle, b.brake, b.reverse, b.hand_brake = np.float32(throttle), np.float32(brake), False, False
    if speed < 0.15:
        d.standing += dt
    else:
        d.standing = 0.0
        if speed > 2.0:
            d.arrived = -1.0
            d.stopped = -1 if d.stopped != d.path[0] else d.stopped
    _indicate(b, d, lanes, night, brake > 0.02)
