"""Who will be on our path, and when: the planned path's stations that others occupy over the next seconds.

Others are predicted on arcs of constant speed. A station is taken while the centre of our path there lies inside the
other's footprint grown by our half width and a margin; our length is added along the path. The same kernels serve the
expert (on facts) and the policy's features (on percepts).
"""

from __future__ import annotations

from math import cos, sin, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import HALF_LENGTH, HALF_WIDTH
from roadcraft.control.paths import heading_at, project, stations
from roadcraft.sim.kernels import kernel, njit
from roadcraft.sim.norm import norm

OTHER = np.dtype(
    [
        ("xy", np.float64, 2),  # [m] ego frame, centre
        ("yaw", np.float64),  # [rad] ego frame
        ("half", np.float64, 2),  # [m] half length, half width
        ("velocity", np.float64, 2),  # [m/s] over ground, ego axes
        ("yaw_rate", np.float64),  # [rad/s]
        ("walker", np.bool_),
        ("passed", np.bool_),  # a walker who stays beside our way and is passed, see `passing`
    ]
)
STEP = 0.25  # s between the predicted moments
MOMENTS = 24  # 6 s ahead
TURN_TIME = 2.0  # s for which a turning car is taken to go on turning
SIDE_MARGIN = 0.45  # m beside our flank, for vehicles
STANDING_MARGIN = 0.2  # m beside our flank, for vehicles that stand: they do not come closer
STANDING = 0.5  # m/s below which a vehicle stands
WALKER_MARGIN = 0.9  # m, for pedestrians: they turn on the spot
GAP_AHEAD = 1.5  # m kept in front of whatever crosses
GAP_BEHIND = 1.0  # m behind it
CROSSING = 1.0  # m/s from which an actor on our path can be about to leave it
BESIDE = 1.8  # m along the path: whoever is on it before this is beside us
STOP_BRAKE = 2.0  # m/s^2 of a comfortable stop at a line
OUTSIDE = 1.5  # m beyond an actor's rectangle at which points of the path still matter to where it is entered
FREE = 1e6


@kernel
def occupied(
    path: NDArray[np.float64], s: NDArray[np.float64], x: float, y: float, yaw: float, ahead: float, side: float
) -> tuple[float, float]:
    """First and last station [m] of the path inside a rectangle (half sizes `ahead`, `side`), (FREE, -FREE) if none."""
    c, d = cos(yaw), sin(yaw)
    first, last = FREE, -FREE
    reach = ahead + side + OUTSIDE
    before = FREE  # how far the point before lies outside
    clear = -FREE  # station before which all points are out of reach
    for j in range(len(path)):
        if s[j] < clear:
            continue
        px, py = path[j, 0] - x, path[j, 1] - y
        away = max(abs(px), abs(py)) - reach
        if away > 0.0:
            before, clear = FREE, s[j] + away
            continue
        outside = max(abs(px * c + py * d) - ahead, abs(py * c - px * d) - side)
        if j > 0 and before < FREE and (outside <= 0.0) != (before <= 0.0):
            edge = s[j - 1] + (s[j] - s[j - 1]) * before / (before - outside)
            first, last = min(first, edge), max(last, edge)
        if outside <= 0.0:
            first, last = min(first, s[j]), max(last, s[j])
        before = outside
    return first, last


@kernel
def reaches(path_box: NDArray[np.float64], other: Any, horizon: float) -> bool:
    """Whether an actor can come near the path's bounding box (x0, y0, x1, y1) at all within `horizon` [s]."""
    x, y = other.xy[0], other.xy[1]
    far = norm(other.velocity[0], other.velocity[1]) * horizon + other.half[0] + 3.0
    dx = max(path_box[0] - x, 0.0, x - path_box[2])
    dy = max(path_box[1] - y, 0.0, y - path_box[3])
    return dx * dx + dy * dy < far * far


@njit
def bounds(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounding box (4,) x0, y0, x1, y1 of the path."""
    box = np.array([FREE, FREE, -FREE, -FREE])
    for j in range(len(path)):
        box[0], box[1] = min(box[0], path[j, 0]), min(box[1], path[j, 1])
        box[2], box[3] = max(box[2], path[j, 0]), max(box[3], path[j, 1])
    return box


@njit
def spacetime(path: NDArray[np.float64], others: NDArray[np.void], lead: NDArray[np.float64]) -> NDArray[np.float64]:
    """Stations taken by others: (M, MOMENTS + 1, 2) first and last station [m], one row an actor that matters.

    Fills `lead` (3,): gap [m] from our front bumper to the nearest actor that is on our path now and does not drive
    across it, its speed along the path [m/s], 1 if it is a walker; gap FREE where there is none. Left out of the rows
    are those, whoever is beside us already, and whoever comes from behind us in our direction.
    """
    return spacetime_on(path, stations(path), others, lead)


@njit
def spacetime_on(
    path: NDArray[np.float64],
    s: NDArray[np.float64],
    others: NDArray[np.void],
    lead: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The same for a path whose stations (T,) are known."""
    box = bounds(path)
    taken = np.empty((len(others), MOMENTS + 1, 2))
    rows = 0
    lead[0], lead[1], lead[2] = FREE, 0.0, 0.0
    for i in range(len(others)):
        o = others[i]
        x, y, yaw = o.xy[0], o.xy[1], o.yaw
        speed = norm(o.velocity[0], o.velocity[1])
        if not reaches(box, o, MOMENTS * STEP):
            continue
        if x < 0.0 and cos(yaw) > 0.5 and abs(y) < 2.5:
            continue  # follows us: keeping distance is its task
        turns = o.walker and not o.passed
        side = HALF_WIDTH + (WALKER_MARGIN if turns else SIDE_MARGIN if speed >= STANDING else STANDING_MARGIN)
        first, last = occupied(path, s, x, y, yaw, o.half[0] + side, o.half[1] + side)
        if first < FREE:
            at, _ = project(path, s, x, y)
            j = min(len(path) - 1, max(0, int(at)))
            heading = heading_at(path, j)
            along = o.velocity[0] * cos(heading) + o.velocity[1] * sin(heading)
            crosses = speed > CROSSING and along < 0.7 * speed
            if o.walker or not crosses:
                gap = first + side - HALF_LENGTH
                if gap < lead[0]:
                    lead[0], lead[1], lead[2] = gap, max(along, 0.0), 1.0 if o.walker else 0.0
            if not crosses or first < BESIDE:
                continue
        if speed < 0.15:
            continue
        any_taken = False
        near = o.half[0] + o.half[1] + 2.0 * side + OUTSIDE
        for t in range(MOMENTS + 1):
            first, last = FREE, -FREE
            if box[0] - near <= x <= box[2] + near and box[1] - near <= y <= box[3] + near:
                first, last = occupied(path, s, x, y, yaw, o.half[0] + side, o.half[1] + side)
            taken[rows, t, 0], taken[rows, t, 1] = first, last
            any_taken = any_taken or first < FREE
            turn = o.yaw_rate * STEP if t * STEP < TURN_TIME else 0.0
            c, d = cos(turn), sin(turn)
            if t == 0:
                vx, vy = o.velocity[0], o.velocity[1]
            vx, vy = vx * c - vy * d, vx * d + vy * c
            x, y, yaw = x + vx * STEP, y + vy * STEP, yaw + turn
        if any_taken:
            rows += 1
    return taken[:rows]


@kernel
def conflict_time(taken: NDArray[np.float64], speed: float, accel: float, top: float) -> float:
    """When [s] the ego, accelerating at `accel` up to `top` speed [m/s] (down to 0), first meets a taken station."""
    at, v = 0.0, speed
    for t in range(MOMENTS + 1):
        for i in range(len(taken)):
            if taken[i, t, 0] >= FREE:
                continue
            gap = GAP_AHEAD if v > 0.5 else 0.3
            if at + HALF_LENGTH + gap > taken[i, t, 0] and at - HALF_LENGTH - GAP_BEHIND < taken[i, t, 1]:
                return t * STEP
        following = max(0.0, v + accel * STEP)
        if accel > 0.0:
            following = max(min(following, top), min(v, following))
        at += 0.5 * (v + following) * STEP
        v = following
    return FREE


@kernel
def safe_acceleration(taken: NDArray[np.float64], speed: float, top: float, wish: float) -> float:
    """Largest acceleration [m/s^2] up to `wish` that meets nobody; the one that meets them last where none is free."""
    if len(taken) == 0:
        return wish
    best, best_time = -8.0, -1.0
    for k in range(17):
        accel = wish - k / 16.0 * (wish + 8.0)
        time = conflict_time(taken, speed, accel, top)
        if time >= FREE:
            return accel
        if time > best_time + 1e-9:
            best, best_time = accel, time
    return min(best, -3.0) if best_time > 0.5 else -8.0


@kernel
def follow(speed: float, wish_speed: float, gap: float, lead_speed: float, exponent: float = 4.0) -> float:
    """Acceleration [m/s^2] of the Intelligent Driver Model (Treiber, Hennecke, Helbing 2000), limited to [-8, 2.5].

    The larger the `exponent`, the longer it accelerates fully.
    """
    accel, comfort, headway, jam = 2.5, 2.5, 1.0, 2.5
    wish = max(wish_speed, 0.1)
    free = accel * (1.0 - (speed / wish) ** exponent) if speed <= wish else max(-3.0, -1.5 * (speed - wish))
    if gap >= FREE:
        return free
    if speed < 0.3 and lead_speed < 0.6 and gap < jam + 1.0:
        return -1.0  # stays until the other has gone
    dynamic = jam + max(0.0, speed * headway + speed * (speed - lead_speed) / (2.0 * sqrt(accel * comfort)))
    interaction = accel * (dynamic / max(gap, 0.3)) ** 2
    return max(-8.0, free - interaction)


@kernel
def keep_clear(speed: float, line: float, gap: float, lead_speed: float) -> float:
    """Acceleration [m/s^2] that waits at the line of a light until there is room behind it; FREE when there is.

    Who enters behind somebody slow may still stand on the line when the light turns red. `line`, `gap`: distances
    [m] from the front bumper.
    """
    if not 0.0 < line < 15.0 or lead_speed > 3.0 or gap > line + 2.0 * HALF_LENGTH + 2.0:
        return FREE
    return stop_at(speed, max(0.0, line - 0.5))


@kernel
def stop_at(speed: float, distance: float) -> float:
    """Largest acceleration [m/s^2] with which the front bumper still stops comfortably `distance` [m] ahead."""
    if distance <= 0.1:
        return -3.0
    comfortable = sqrt(2.0 * STOP_BRAKE * distance)
    if speed > comfortable:
        return -min(8.0, 1.05 * speed * speed / (2.0 * distance))
    return 2.5 * (comfortable - speed) - STOP_BRAKE
