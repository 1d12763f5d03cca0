"""Writes the policy's vector (`layout`) part by part."""

from __future__ import annotations

from math import cos, isnan, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.control import spacetime
from roadcraft.control.car import ACCEL_MAX, BRAKE_MAX, steer_for
from roadcraft.control.layout import AT, RAMPS, VEHICLES, WALKERS, part
from roadcraft.control.paths import (
    LIGHT_MARGIN,
    LINE_MARGIN,
    curvatures,
    curve_speed_on,
    heading_at,
    project,
    pursue_from,
    stations,
)
from roadcraft.control.signs import SERVED_LENGTH
from roadcraft.control.spacetime import FREE
from roadcraft.sim.kernels import kernel, njit
from roadcraft.sim.messages import Mark

FAST = 28.0  # m/s, faster than any road here
EGO, COMMAND, PATH_Y, PATH_YAW = (part(name).start for name in ("ego", "command", "path_y", "path_yaw"))
PATH_CURVATURE, PATH = part("path_curvature").start, part("path").start
LINES_Y, LINES_PROB, LINES_MARK = (part(name).start for name in ("lines_y", "lines_prob", "lines_mark"))
PLACE, LEAD, TRIED = part("localisation").start, part("lead").start, part("ramps").start
CROSSING, LIGHT, STOP = (part(name).start for name in ("crossing", "light", "stop"))
NEAREST_VEHICLES, NEAREST_WALKERS = part("vehicles").start, part("walkers").start
PERCEPT, ADVICE = part("percept").start, part("advice").start


@kernel
def squash(value: float, scale: float) -> float:
    """value / scale, clipped to [-1, 1]."""
    return min(1.0, max(-1.0, value / scale))


@njit
def fill(
    out: NDArray[np.float32],
    ego: tuple[float, float, float, float, float],
    action: NDArray[np.float32],
    cruise: float,
    plan: tuple[float, float],
    covariance: NDArray[np.float64],
    sight: tuple[float, float],
    path: NDArray[np.float64],
    lanes: NDArray[np.float64],
    prob: NDArray[np.float64],
    marks: NDArray[np.uint8],
    beliefs: NDArray[np.void],
    others: NDArray[np.void],
    events: NDArray[np.float64],
    command: int,
) -> None:
    """Writes the vector.

    `ego`: speed, longitudinal acceleration, yaw rate, steering, compass heading. `plan`: metres left, residual [m], NaN
    where there is none; `covariance` (2, 2) [m^2] of the place. `sight`: the percept's confidence and age [s]; `lanes`
    (4, 10), `prob`, `marks`, `events` are its own. `beliefs` (1,) signs.BELIEF.
    """
    speed, left = ego[0], plan[0]
    s, bend, lead = stations(path), curvatures(path), np.empty(3)
    curves = curve_speed_on(s, bend, FAST)
    top = min(cruise, curves)
    taken = spacetime.spacetime_on(path, s, others, lead)
    out[:] = 0.0
    _ego(out, ego, action, command)
    _path(out, path, s, bend, speed, curves, left)
    _lines(out, lanes, prob, marks)
    _place(out, plan[1], ego[4], covariance)
    follow = _lead(out, lead, taken, speed, curves, top)
    advice = min(follow, spacetime.follow(speed, top, lead[0], lead[1]))
    advice = min(advice, _light(out, beliefs[0], speed, lead))
    advice = min(advice, _stop(out, beliefs[0], speed))
    advice = min(advice, spacetime.stop_at(speed, left + 1.0))
    advice = min(advice, _crossing(out, taken, speed, top, advice))
    nearest(out, others)
    for i in range(5):
        out[PERCEPT + i] = events[i]
    out[PERCEPT + 5], out[PERCEPT + 6] = sight[0], squash(sight[1], 0.5)
    out[ADVICE] = squash(advice, BRAKE_MAX)


@kernel
def _ego(out: Any, ego: Any, action: Any, command: int) -> None:
    speed, accel_x, yaw_rate, steer, _ = ego
    out[EGO], out[EGO + 1] = squash(speed, 20.0), squash(accel_x, 8.0)
    out[EGO + 2], out[EGO + 3] = squash(yaw_rate, 1.0), squash(steer, 0.6)
    out[EGO + 4], out[EGO + 5] = action[0], action[1]
    out[COMMAND + command - 1] = 1.0


@kernel
def _path(out: Any, path: Any, s: Any, bend: Any, speed: float, curves: float, left: float) -> None:
    for i in range(len(AT)):
        j = min(AT[i], len(path) - 1)
        out[PATH_Y + i] = squash(path[j, 1], 2.0 + 0.6 * AT[i])
        out[PATH_YAW + i] = squash(np.sin(heading_at(path, j)), 1.0)
        out[PATH_CURVATURE + i] = squash(bend[j], 0.15)
    start, offset = project(path, s, 0.0, 0.0)
    arc = pursue_from(path, s, start, speed)
    out[PATH] = squash(offset, 2.0)
    out[PATH + 1] = squash(heading_at(path, min(2, len(path) - 1)), 0.8)
    out[PATH + 2] = squash(steer_for(arc, speed), 0.6)
    out[PATH + 3], out[PATH + 4] = squash(curves, 20.0), squash(curves - speed, 8.0)
    out[PATH + 5] = squash(left, 100.0)


@kernel
def _lines(out: Any, lanes: Any, prob: Any, marks: Any) -> None:
    for i in range(4):
        if prob[i] > 0.5 and not isnan(lanes[i, 2]):
            out[LINES_Y + i] = squash(lanes[i, 2], 8.0)
            out[LINES_MARK + i] = 1.0 if marks[i] == Mark.BROKEN else -1.0
        out[LINES_PROB + i] = prob[i]


@kernel
def _place(out: Any, residual: float, compass: float, p: Any) -> None:
    ce, se = cos(compass), sin(compass)
    along = ce * (ce * p[0, 0] + se * p[0, 1]) + se * (ce * p[1, 0] + se * p[1, 1])
    across = se * (se * p[0, 0] - ce * p[0, 1]) - ce * (se * p[1, 0] - ce * p[1, 1])
    out[PLACE] = 0.0 if isnan(residual) else squash(residual, 1.5)
    out[PLACE + 1], out[PLACE + 2] = squash(max(along, 0.0) ** 0.5, 1.5), squash(max(across, 0.0) ** 0.5, 1.5)


@kernel
def _lead(out: Any, lead: Any, taken: Any, speed: float, curves: float, top: float) -> float:
    """Who is ahead, and when each of RAMPS would meet somebody; returns the acceleration [m/s^2] that follows."""
    follow = spacetime.follow(speed, min(curves, FAST), lead[0], lead[1])
    out[LEAD] = squash(min(lead[0], 60.0), 60.0)
    out[LEAD + 1] = squash(lead[1], 20.0) if lead[0] < FREE else 1.0
    out[LEAD + 2] = squash(speed - lead[1], 15.0) if lead[0] < FREE else -1.0
    out[LEAD + 3], out[LEAD + 4] = lead[2], squash(follow, BRAKE_MAX)
    for i in range(len(RAMPS)):
        out[TRIED + i] = squash(spacetime.conflict_time(taken, speed, RAMPS[i], top), 6.0)
    return follow


@kernel
def _light(out: Any, belief: Any, speed: float, lead: Any) -> float:
    """Returns the largest acceleration [m/s^2] that the light that governs us allows."""
    light, distance, most = belief.light, min(belief.light_distance, 1e3), FREE
    clear = spacetime.keep_clear(speed, distance, lead[0], lead[1])
    stopping = spacetime.stop_at(speed, distance - LIGHT_MARGIN) if distance > -0.5 else ACCEL_MAX
    need = speed * speed / (2.0 * max(distance, 0.3)) if distance > 0.0 else 0.0
    governs = light[0] + light[1] + light[2]
    if light[0] + (light[1] if need < 4.0 else 0.0) > 0.5 * max(governs, 0.4):
        most = min(most, stopping)
    if governs > 0.5:
        most = min(most, clear)
    for i in range(3):
        out[LIGHT + i] = light[i]
    out[LIGHT + 3], out[LIGHT + 4] = squash(distance, 50.0), squash(stopping, BRAKE_MAX)
    out[LIGHT + 5], out[LIGHT + 6] = squash(need, 8.0), 1.0 if distance < 60.0 else 0.0
    out[LIGHT + 7] = squash(clear, BRAKE_MAX)
    return most


@kernel
def _stop(out: Any, belief: Any, speed: float) -> float:
    """The same for the stop sign."""
    distance = min(belief.stop_distance, 1e3)
    stopping = spacetime.stop_at(speed, distance - LINE_MARGIN) if distance > -1.0 else ACCEL_MAX
    out[STOP], out[STOP + 1], out[STOP + 2] = belief.stop, squash(distance, 30.0), squash(stopping, BRAKE_MAX)
    out[STOP + 3] = 1.0 if belief.since_served < SERVED_LENGTH else 0.0
    return stopping if belief.stop > 0.5 else FREE


@kernel
def _crossing(out: Any, taken: Any, speed: float, top: float, wanted: float) -> float:
    """Returns the acceleration [m/s^2] up to the one `wanted` that meets nobody."""
    safe = spacetime.safe_acceleration(taken, speed, top, max(wanted, -8.0))
    hit = spacetime.conflict_time(taken, speed, 0.0, max(top, speed))
    out[CROSSING], out[CROSSING + 1] = squash(safe, BRAKE_MAX), squash(hit * speed, 60.0)
    out[CROSSING + 2] = squash(hit, 6.0)
    return safe


@njit
def nearest(out: NDArray[np.float32], others: NDArray[np.void]) -> None:
    """The nearest vehicles (x, y, v_x, v_y, sin yaw, there) and walkers (x, y, v_x, v_y, there) ahead, by distance."""
    used = np.zeros(len(others), np.bool_)
    for slot in range(VEHICLES + WALKERS):
        walker = slot >= VEHICLES
        best, row = 60.0**2, -1
        for i in range(len(others)):
            o = others[i]
            d = o.xy[0] ** 2 + 4.0 * o.xy[1] ** 2
            if not used[i] and o.walker == walker and o.xy[0] > -4.0 and d < best:
                best, row = d, i
        if row < 0:
            continue
        used[row] = True
        o = others[row]
        k = NEAREST_WALKERS + 5 * (slot - VEHICLES) if walker else NEAREST_VEHICLES + 6 * slot
        out[k], out[k + 1] = squash(o.xy[0], 60.0), squash(o.xy[1], 20.0)
        fast = 3.0 if walker else 15.0
        out[k + 2], out[k + 3] = squash(o.velocity[0], fast), squash(o.velocity[1], fast)
        if walker:
            out[k + 4] = 1.0
        else:
            out[k + 4], out[k + 5] = np.sin(o.yaw), 1.0
