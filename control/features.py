"""From percepts to the numbers that the policy sees.

`Features.update` takes every percept (20 Hz): it keeps the planned path, the lights and stop signs and the others on
the road. `Features.vector` makes the observation (SIZE,) from them whenever the policy decides (10 Hz): normalised,
clipped to [-1, 1], mirror symmetric (see `mirrored`). LAYOUT names its parts; its hash goes into a policy's card.
"""

from __future__ import annotations

import hashlib
from math import cos, isnan, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.control import spacetime
from roadcraft.control.car import ACCEL_MAX, BRAKE_MAX, HALF_LENGTH, steer_for
from roadcraft.control.faces import STANDING_SEEN, Faces
from roadcraft.control.freespace import FreeSpace
from roadcraft.control.passing import Passing
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
from roadcraft.control.planner import Planner
from roadcraft.control.signs import SERVED_LENGTH, Signs
from roadcraft.control.spacetime import FREE, OTHER
from roadcraft.perception.percept import Percept
from roadcraft.sim.kernels import Direct, kernel, njit
from roadcraft.sim.messages import DT, PATH_POINTS, Camera, Kind, Mark, Observation
from roadcraft.sim.rows import Rows

AT = np.array([3, 6, 10, 15, 20, 30, 40, 55])  # m along the path where it is looked at
RAMPS = np.array([-4.0, -2.0, 0.0, 2.0])  # m/s^2 tried for when they would meet somebody
VEHICLES, WALKERS = 4, 2  # nearest others that are given one by one
FAST = 28.0  # m/s, faster than any road here
CRUISE = 11.0  # m/s where nothing else is known: the speed limit is not perceived
SCORE_MIN, SCORE_KEPT = 0.3, 0.1  # objects less likely than this are not there; than that, if they were certain ...
SURE = 0.5  # ... with so high a score ...
CLOSE = 9.0, 1.5  # m ... and have since been so close before us, along and across
SLOW = 3.0  # m/s below which a vehicle's velocity is little but its error; of a faster one the heading may be wrong
AGREES = 0.7  # cosine from which heading and velocity agree, about
SLIP = 0.35  # of the speed along its heading, most that a vehicle moves sideways: headings are seen some degrees off

contiguous = np.ascontiguousarray  # as kernels take their arrays

LAYOUT = (
    ("ego", 6),  # speed, longitudinal acceleration, yaw rate, steering, the last action
    ("command", 6),  # one of LEFT RIGHT STRAIGHT FOLLOW CHANGE_LEFT CHANGE_RIGHT
    ("path_y", len(AT)),
    ("path_yaw", len(AT)),
    ("path_curvature", len(AT)),
    ("path", 6),  # lateral offset, heading, pursuit's steering, curve speed, its excess over the speed, metres left
    ("lines_y", 4),  # of the four lane lines, 10 m ahead
    ("lines_prob", 4),
    ("lines_mark", 4),  # 1 broken, -1 solid, 0 not seen
    ("localisation", 3),  # lane centre minus plan, sigma along and across
    ("lead", 5),  # gap, speed, closing speed, walker, the acceleration that follows it
    ("ramps", len(RAMPS)),  # when each would meet somebody
    ("crossing", 3),  # safe acceleration, station and moment of the first conflict at present speed
    ("light", 8),  # red, yellow, green, distance, stopping acceleration, needed deceleration, within reach, keep clear
    ("stop", 4),  # belief, distance, stopping acceleration, served
    ("vehicles", 6 * VEHICLES),
    ("walkers", 5 * WALKERS),
    ("percept", 7),  # events, confidence, age
    ("advice", 1),  # the least of the accelerations above
)
SIZE = sum(size for _, size in LAYOUT)
LAYOUT_HASH = hashlib.sha256(repr((LAYOUT, AT.tolist(), RAMPS.tolist())).encode()).hexdigest()[:16]


def part(name: str) -> slice:
    """Where a named part of LAYOUT stands in the vector."""
    start = 0
    for key, size in LAYOUT:
        if key == name:
            return slice(start, start + size)
        start += size
    raise KeyError(name)


@kernel
def others_from(objects: NDArray[np.void], seen: NDArray[np.int32], others: NDArray[np.void]) -> int:
    """Fills `others` (N,) OTHER from perceived `objects` (N,) OBJECT; returns how many.

    `seen` (K, 3): a track, a count of its frames: one that appeared just now counts only when it is near (a false
    alarm lives for a frame or two), and whether it was certain: whoever was, close before us, is not doubted for being
    cut off by the picture's edges.
    """
    count = 0
    for row in range(len(seen)):
        seen[row, 1] -= 1
        if seen[row, 1] <= 0:
            seen[row, 0] = -1
    for i in range(len(objects)):
        p = objects[i]
        slot, spare = -1, 0
        for row in range(len(seen)):
            if seen[row, 0] == p.track:
                slot = row
            if seen[row, 1] < seen[spare, 1]:
                spare = row
        if slot < 0:
            slot = spare
            seen[slot, 0], seen[slot, 1], seen[slot, 2] = p.track, 0, 0
        seen[slot, 1] = min(seen[slot, 1] + 3, 12)
        near = p.xy_ego[0] < 12.0 and abs(p.xy_ego[1]) < 3.0
        close = 0.0 < p.xy_ego[0] < CLOSE[0] and abs(p.xy_ego[1]) < CLOSE[1]
        if p.score > SURE:
            seen[slot, 2] = 1
        elif not close and p.score < SCORE_MIN:
            seen[slot, 2] = 0
        if p.score < (SCORE_KEPT if seen[slot, 2] else SCORE_MIN) or (seen[slot, 1] < 5 and not near):
            continue
        o = others[count]
        o.xy[0], o.xy[1] = p.xy_ego[0], p.xy_ego[1]
        o.yaw = p.yaw_ego
        o.half[0], o.half[1] = 0.5 * p.size[0], 0.5 * p.size[1]
        o.walker, o.passed = p.kind == Kind.PEDESTRIAN, False
        vx, vy = p.velocity_ego[0], p.velocity_ego[1]
        c, s, pace = np.cos(p.yaw_ego), np.sin(p.yaw_ego), np.hypot(vx, vy)
        along, aside = c * vx + s * vy, c * vy - s * vx
        # Wheels roll where they point, and hardly back: what seems to go aside is error.
        if not o.walker and (pace < SLOW or abs(along) > AGREES * pace):
            along = 0.0 if pace < SLOW and along < 0.0 else along
            aside = min(SLIP * abs(along), max(-SLIP * abs(along), aside))
            vx, vy = c * along - s * aside, s * along + c * aside
        standing = not o.walker and np.hypot(vx, vy) < STANDING_SEEN
        o.velocity[0], o.velocity[1] = (0.0, 0.0) if standing else (vx, vy)
        ax, ay = p.path_ego[1, 0] - p.xy_ego[0], p.path_ego[1, 1] - p.xy_ego[1]
        bx, by = p.path_ego[3, 0] - p.path_ego[1, 0], p.path_ego[3, 1] - p.path_ego[1, 1]
        o.yaw_rate = 0.0
        if ax * ax + ay * ay > 4.0 and bx * bx + by * by > 4.0 and not o.walker:
            turn = np.arctan2(ax * by - ay * bx, ax * bx + ay * by)
            o.yaw_rate = min(1.0, max(-1.0, turn))
        count += 1
    return count


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
    speed, accel_x, yaw_rate, steer, compass = ego
    belief = beliefs[0]
    light = belief.light
    governs = light[0] + light[1] + light[2]
    left, residual = plan
    residual = 0.0 if isnan(residual) else residual
    ce, se = cos(compass), sin(compass)
    p = covariance
    along = ce * (ce * p[0, 0] + se * p[0, 1]) + se * (ce * p[1, 0] + se * p[1, 1])
    across = se * (se * p[0, 0] - ce * p[0, 1]) - ce * (se * p[1, 0] - ce * p[1, 1])
    out[:] = 0.0
    out[0], out[1] = squash(speed, 20.0), squash(accel_x, 8.0)
    out[2], out[3] = squash(yaw_rate, 1.0), squash(steer, 0.6)
    out[4], out[5] = action[0], action[1]
    out[6 + command - 1] = 1.0
    k = 12
    s = stations(path)
    bend = curvatures(path)
    n = len(AT)
    for i in range(n):
        j = min(AT[i], len(path) - 1)
        out[k + i] = squash(path[j, 1], 2.0 + 0.6 * AT[i])
        out[k + n + i] = squash(np.sin(heading_at(path, j)), 1.0)
        out[k + 2 * n + i] = squash(bend[j], 0.15)
    k += 3 * n
    start, offset = project(path, s, 0.0, 0.0)
    arc = pursue_from(path, s, start, speed)
    curves = curve_speed_on(s, bend, FAST)
    top = min(cruise, curves)
    out[k], out[k + 1], out[k + 2] = (
        squash(offset, 2.0),
        squash(heading_at(path, min(2, len(path) - 1)), 0.8),
        squash(steer_for(arc, speed), 0.6),
    )
    out[k + 3], out[k + 4], out[k + 5] = squash(curves, 20.0), squash(curves - speed, 8.0), squash(left, 100.0)
    k += 6
    for i in range(4):
        if prob[i] > 0.5 and not isnan(lanes[i, 2]):
            out[k + i] = squash(lanes[i, 2], 8.0)
            out[k + 8 + i] = 1.0 if marks[i] == Mark.BROKEN else -1.0
        out[k + 4 + i] = prob[i]
    k += 12
    out[k] = squash(residual, 1.5)
    out[k + 1], out[k + 2] = squash(max(along, 0.0) ** 0.5, 1.5), squash(max(across, 0.0) ** 0.5, 1.5)
    k += 3
    lead = np.empty(3)
    taken = spacetime.spacetime_on(path, s, others, lead)
    follow = spacetime.follow(speed, min(curves, FAST), lead[0], lead[1])
    advice = min(follow, spacetime.follow(speed, top, lead[0], lead[1]))
    out[k] = squash(min(lead[0], 60.0), 60.0)
    out[k + 1] = squash(lead[1], 20.0) if lead[0] < FREE else 1.0
    out[k + 2] = squash(speed - lead[1], 15.0) if lead[0] < FREE else -1.0
    out[k + 3], out[k + 4] = lead[2], squash(follow, BRAKE_MAX)
    k += 5
    for i in range(len(RAMPS)):
        out[k + i] = squash(spacetime.conflict_time(taken, speed, RAMPS[i], top), 6.0)
    k += len(RAMPS)
    light_distance, stop_distance = min(belief.light_distance, 1e3), min(belief.stop_distance, 1e3)
    clear_accel = spacetime.keep_clear(speed, light_distance, lead[0], lead[1])
    light_accel = spacetime.stop_at(speed, light_distance - LIGHT_MARGIN) if light_distance > -0.5 else ACCEL_MAX
    stop_accel = spacetime.stop_at(speed, stop_distance - LINE_MARGIN) if stop_distance > -1.0 else ACCEL_MAX
    need = speed * speed / (2.0 * max(light_distance, 0.3)) if light_distance > 0.0 else 0.0
    red = light[0] + (light[1] if need < 4.0 else 0.0)
    if red > 0.5 * max(governs, 0.4):
        advice = min(advice, light_accel)
    if governs > 0.5:
        advice = min(advice, clear_accel)
    if belief.stop > 0.5:
        advice = min(advice, stop_accel)
    advice = min(advice, spacetime.stop_at(speed, left + 1.0))
    safe = spacetime.safe_acceleration(taken, speed, top, max(advice, -8.0))
    advice = min(advice, safe)
    hit = spacetime.conflict_time(taken, speed, 0.0, max(top, speed))
    out[k], out[k + 1] = squash(safe, BRAKE_MAX), squash(hit * speed, 60.0)
    out[k + 2] = squash(hit, 6.0)
    k += 3
    for i in range(3):
        out[k + i] = light[i]
    out[k + 3] = squash(light_distance, 50.0)
    out[k + 4] = squash(light_accel, BRAKE_MAX)
    out[k + 5] = squash(need, 8.0)
    out[k + 6] = 1.0 if light_distance < 60.0 else 0.0
    out[k + 7] = squash(clear_accel, BRAKE_MAX)
    k += 8
    out[k], out[k + 1] = belief.stop, squash(stop_distance, 30.0)
    out[k + 2], out[k + 3] = squash(stop_accel, BRAKE_MAX), 1.0 if belief.since_served < SERVED_LENGTH else 0.0
    k += 4
    nearest(out, k, others)
    k += 6 * VEHICLES + 5 * WALKERS
    for i in range(5):
        out[k + i] = events[i]
    out[k + 5], out[k + 6] = sight[0], squash(sight[1], 0.5)
    k += 7
    out[k] = squash(advice, BRAKE_MAX)


@njit
def nearest(out: NDArray[np.float32], start: int, others: NDArray[np.void]) -> None:
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
        k = start + 6 * slot if not walker else start + 6 * VEHICLES + 5 * (slot - VEHICLES)
        out[k], out[k + 1] = squash(o.xy[0], 60.0), squash(o.xy[1], 20.0)
        fast = 3.0 if walker else 15.0
        out[k + 2], out[k + 3] = squash(o.velocity[0], fast), squash(o.velocity[1], fast)
        if walker:
            out[k + 4] = 1.0
        else:
            out[k + 4], out[k + 5] = np.sin(o.yaw), 1.0


class Features:
    """Keeps what must be remembered between percepts; `reset` forgets it."""

    def __init__(self) -> None:
        self.planner = Planner()
        self.signs = Signs()
        self.faces = Faces()
        self.freespace = FreeSpace()
        self._rows = Rows(OTHER)
        self._others_from, self._fill = Direct(others_from), Direct(fill)
        self.passing = Passing()
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self.planner.reset()
        self.signs.reset()
        self.faces.reset()
        self.freespace.reset()
        self.passing.reset()
        self.path = np.zeros((PATH_POINTS, 2))
        self.others = np.zeros(0, OTHER)
        self._seen = np.zeros((64, 3), np.int32)
        self._observation: Observation | None = None
        self._percept: Percept | None = None
        self._time = -1.0

    def update(self, observation: Observation, percept: Percept) -> None:
        """Takes one tick's observation and percept."""
        dt = DT if self._time < 0.0 else max(0.0, observation.time - self._time)
        self._time = observation.time
        line_distance = self.signs.update(percept, observation.ego.speed, dt)
        self.path = self.planner(observation, percept, line_distance)
        speed = max(0.0, observation.ego.speed)
        self.others = self._others(percept, observation.camera, speed * dt, dt)
        self.passing(self.path, self.others, speed, speed * dt, dt)
        self._observation, self._percept = observation, percept

    def coast(self, observation: Observation) -> None:
        """Takes an observation without a percept: the path moves on, the rest stays as it was."""
        self.path = self.planner(observation, None)
        self.signs.coast(observation.ego.speed, DT)
        self._observation, self._time = observation, observation.time

    def vector(self, last_action: NDArray[np.float32], cruise: float = CRUISE) -> NDArray[np.float32]:
        """The policy's observation (SIZE,) float32 for what `update` saw last."""
        observation, percept = self._observation, self._percept
        if observation is None or percept is None:
            raise ValueError("Features.vector before the first update")
        ego, planner = observation.ego, self.planner
        out = np.empty(SIZE, np.float32)
        self._fill.call(
            out,
            (float(ego.speed), float(ego.accel_ego[0]), float(ego.yaw_rate), float(ego.steer), float(ego.yaw_world)),
            contiguous(last_action, np.float32),
            float(cruise),
            (planner.left - HALF_LENGTH if planner.complete else 200.0, float(planner.residual)),
            planner.localiser.covariance,
            (float(percept.confidence), float(percept.age(observation.time))),
            self.path,
            contiguous(percept.lanes_ego, np.float64),
            contiguous(percept.lane_prob, np.float64),
            contiguous(percept.lane_marks, np.uint8),
            self.signs.belief,
            self.others,
            contiguous(percept.events, np.float64),
            int(observation.command),
        )
        return out

    def _others(self, percept: Percept, camera: Camera | None, moved: float, dt: float) -> NDArray[np.void]:
        objects = self.faces(percept.objects, camera, moved, dt)
        others = self._rows.take(len(objects))
        others = self._rows.keep(self._others_from.call(contiguous(objects), self._seen, others))
        return self.freespace(self.path, others, percept.drivable, camera, moved)


def mirrored(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector of the same scene seen in a mirror: left and right exchanged. Its own inverse."""
    out = vector.copy()
    ego, command = part("ego").start, part("command").start
    out[..., [ego + 2, ego + 3, ego + 4]] *= -1
    left_right = [command + 0, command + 1, command + 4, command + 5]
    out[..., left_right] = vector[..., [command + 1, command + 0, command + 5, command + 4]]
    for name in ("path_y", "path_yaw", "path_curvature"):
        out[..., part(name)] *= -1
    path, place = part("path").start, part("localisation").start
    out[..., [path, path + 1, path + 2, place]] *= -1
    out[..., part("lines_y")] = -vector[..., part("lines_y")][..., ::-1]
    for name in ("lines_prob", "lines_mark"):
        out[..., part(name)] = vector[..., part(name)][..., ::-1]
    for i in range(VEHICLES):
        row = part("vehicles").start + 6 * i
        out[..., [row + 1, row + 3, row + 4]] *= -1
    for i in range(WALKERS):
        row = part("walkers").start + 5 * i
        out[..., [row + 1, row + 3]] *= -1
    return out
