"""One built-in driver: what it remembers, the way it will take, how it steers along it."""

from __future__ import annotations

from math import atan

import numpy as np

from roadcraft.sim.draws import draw
from roadcraft.sim.kernels import kernel
from roadcraft.sim.norm import norm
from roadcraft.sim.roads import DRIVING, nearest_lane

PATH = 10  # lanes of the way ahead
SAMPLES = 28  # points of the way ahead at which obstacles are looked for
LANE_CHANGE_TIME = 3.5  # s

DRIVER = np.dtype(
    [
        ("random", np.uint64),  # state of its own random numbers
        ("path", np.int32, PATH),  # lanes ahead, the present one first
        ("lanes", np.int32),  # how many of them are known
        ("lateral", np.float64),  # [m] from the centre of its lane, left positive
        ("offset", np.float64),  # [m] where in its lane it wants to be; fades to 0 (lane changes begin with a jump)
        ("fading", np.float64),  # [m/s] by which it fades
        ("eagerness", np.float64),  # wanted speed as a share of what is allowed
        ("headway", np.float64),  # [s] to the car in front
        ("gap", np.float64),  # [m] to the car in front when standing
        ("accel", np.float64),  # [m/s^2]
        ("granted", np.int32),  # junction lane that it may enter or is in, -1
        ("arrived", np.float64),  # [s] when it came to stand before the junction, -1: not yet
        ("stopped", np.int32),  # lane whose stop sign it has obeyed, -1
        ("standing", np.float64),  # [s] since it last moved
        ("blocker", np.int32),  # row of the body that it stands for, -1
        ("thinks", np.bool_),  # looks around in this tick
        ("limit", np.float64),  # [m/s^2] that others, lights and signs allow, as last thought
        ("rest", np.float64),  # [s] until it thinks of changing lanes again
    ]
)


@kernel
def engage(grid, b, d):  # type: ignore[no-untyped-def]
    """Puts a driver with the seed `b.autopilot` into body b: character, lane, nothing granted."""
    d.random = np.uint64(b.autopilot)
    draw(d)
    d.eagerness = 0.6 + 0.2 * draw(d)  # CARLA's TrafficManager drives 30 % below the limit unless told otherwise
    d.headway = 1.2 + 0.6 * draw(d)
    d.gap = 2.0 + 1.0 * draw(d)
    d.accel = 1.6 + 0.8 * draw(d)
    d.rest = 4.0 * draw(d)
    d.thinks, d.limit = draw(d) < 0.5, 0.0
    locate(grid, b, d)


@kernel
def locate(grid, b, d):  # type: ignore[no-untyped-def]
    """Finds the lane anew, and forgets the way."""
    lane, s, lateral = nearest_lane(grid, b.xyz[0], b.xyz[1], b.yaw, True, DRIVING)
    b.lane, b.lane_s = lane, s
    d.lateral = lateral
    d.offset = min(max(lateral, -6.0), 6.0)
    d.fading = max(abs(d.offset) / LANE_CHANGE_TIME, 0.1)
    d.path[0], d.lanes = lane, 1 if lane >= 0 else 0
    d.granted, d.stopped, d.blocker, d.arrived = -1, -1, -1, -1.0


@kernel
def point_before(lanes, points, lane, s):  # type: ignore[no-untyped-def]
    """Row of the last point of a lane, but one, that is not beyond arc length s. Points are denser in bends."""
    low, high = lanes[lane].first, lanes[lane].last - 1
    while low < high:
        middle = (low + high + 1) // 2
        if points[middle].s <= s:
            low = middle
        else:
            high = middle - 1
    return low


@kernel
def _follow(lanes, points, lane, s, x, y):  # type: ignore[no-untyped-def]
    """(s, lateral, past the end) of a place near arc length `s` on a lane, searched forwards from 1 m behind."""
    last = lanes[lane].last
    a = point_before(lanes, points, lane, s - 1.0)
    best, found, lateral, over = 1e18, s, 0.0, False
    for i in range(a, min(a + 12, last)):
        ax, ay = points[i].x, points[i].y
        dx, dy = points[i + 1].x - ax, points[i + 1].y - ay
        square = max(dx * dx + dy * dy, 1e-12)
        t = ((x - ax) * dx + (y - ay) * dy) / square
        u = min(max(t, 0.0), 1.0)
        gx, gy = x - ax - u * dx, y - ay - u * dy
        distance = gx * gx + gy * gy
        if distance > best:
            break
        if distance < best:
            best = distance
            found = points[i].s + u * (points[i + 1].s - points[i].s)
            lateral = (dx * (y - ay) - dy * (x - ax)) / np.sqrt(square)
            over = i == last - 1 and t >= 1.0
    return found, lateral, over


@kernel
def advance_on_path(lanes, points, b, d):  # type: ignore[no-untyped-def]
    """Notes where the body is on its way; False when it is lost."""
    if d.lanes == 0 or b.lane != d.path[0]:
        return False
    for _ in range(3):
        s, lateral, over = _follow(lanes, points, d.path[0], b.lane_s, b.xyz[0], b.xyz[1])
        b.lane_s, d.lateral = s, lateral
        if not over or d.lanes < 2:
            break
        for k in range(d.lanes - 1):
            d.path[k] = d.path[k + 1]
        d.lanes -= 1
        if d.granted == b.lane:
            d.granted = -1
        b.lane, b.lane_s = d.path[0], 0.0
    off = abs(d.lateral - d.offset)
    if off > 1.2:  # pushed aside: come back smoothly
        d.offset = d.lateral
        d.fading = max(abs(d.offset) / LANE_CHANGE_TIME, 0.1)
    return off < 4.0


@kernel
def extend_path(lanes, links, b, d, horizon):  # type: ignore[no-untyped-def]
    """Chooses lanes at random until `horizon` [m] of way are known."""
    known = -b.lane_s
    for k in range(d.lanes):
        known += lanes[d.path[k]].length
    while known < horizon and d.lanes < PATH:
        last = d.path[d.lanes - 1]
        start, end = lanes[last].successors[0], lanes[last].successors[1]
        choices = 0
        for k in range(start, end):
            choices += 1 if lanes[links[k]].endless else 0
        if choices == 0:
            return
        pick = int(draw(d) * choices)
        for k in range(start, end):
            if lanes[links[k]].endless:
                if pick == 0:
                    d.path[d.lanes] = links[k]
                pick -= 1
        known += lanes[d.path[d.lanes]].length
        d.lanes += 1


@kernel
def sample_path(lanes, points, b, d, here, spacing, way, first, most):  # type: ignore[no-untyped-def]
    """How many of the points that lie every `spacing` [m] along the way, from the body on, are known, `most` at most.
    Fills `way` (SAMPLES, 4) from row `first` on: x, y, cos, sin of each.

    `here`: row of the last point of its lane that it has passed.
    """
    count = 0
    fading = d.fading * spacing / max(b.speed, 3.0)  # [m] of the offset from one point to the next
    k, lane, s = 0, d.path[0], b.lane_s
    i = here
    while count < most:
        while s > lanes[lane].length:
            k += 1
            if k >= d.lanes:
                return count
            s -= lanes[lane].length
            lane = d.path[k]
            i = lanes[lane].first
        if count >= first:
            while i < lanes[lane].last - 1 and points[i + 1].s <= s:
                i += 1
            t = (s - points[i].s) / max(points[i + 1].s - points[i].s, 1e-9)
            a, z = points[i], points[i + 1]
            c, n = a.cos + t * (z.cos - a.cos), a.sin + t * (z.sin - a.sin)
            left = max(abs(d.offset) - fading * count, 0.0)
            shift = left if d.offset > 0.0 else -left
            way[count, 0] = a.x + t * (z.x - a.x) - shift * n
            way[count, 1] = a.y + t * (z.y - a.y) + shift * c
            way[count, 2], way[count, 3] = c, n
        count += 1
        s += spacing
    return count


@kernel
def steers_by(b, p, spacing, count):  # type: ignore[no-untyped-def]
    """Where among `count` points of the way, every `spacing` [m], the one lies that the body is steered towards."""
    ahead = 3.2 + 0.35 * max(b.speed, 0.0)
    return min(max((ahead - p.rear) / spacing, 0.0), count - 2.001)


@kernel
def sample_to_steer(lanes, points, b, d, p, here, spacing, way, most):  # type: ignore[no-untyped-def]
    """As `sample_path`, but fills only what `steering` reads."""
    first = int(steers_by(b, p, spacing, most))
    known = min(first + 4, most)  # of which steering takes rows `first` and `first` + 1
    count = sample_path(lanes, points, b, d, here, spacing, way, first, known)
    if count < known:  # the way ends, and steering looks nearer
        count = sample_path(lanes, points, b, d, here, spacing, way, 0, known)
    return count


@kernel
def steering(b, at, p, spacing, way, count):  # type: ignore[no-untyped-def]
    """Wheel angle [rad] that leads the middle along the way: pure pursuit (Coulter 1992) by the rear axle.

    In a bend of radius R the rear axle runs rear^2 / 2R further inside than the middle, so that is where it is led.
    `at` is the body's row of CHAIN.
    """
    if count < 3:
        return 0.0
    x, y = b.xyz[0] - p.rear * at.cos, b.xyz[1] - p.rear * at.sin
    place = steers_by(b, p, spacing, count)
    i = int(place)
    t = place - i
    here, there = way[i], way[i + 1]
    curvature = (here[2] * there[3] - here[3] * there[2]) / spacing
    inside = 0.5 * p.rear * p.rear * min(max(curvature, -0.2), 0.2)
    tx = here[0] + t * (there[0] - here[0]) - inside * here[3] - x
    ty = here[1] + t * (there[1] - here[1]) + inside * here[2] - y
    distance = max(norm(tx, ty), 0.5)
    side = (at.cos * ty - at.sin * tx) / distance
    return atan((p.front + p.rear) * 2.0 * side / distance)


@kernel
def allowed_speed(lanes, points, b, d, here, slowing):  # type: ignore[no-untyped-def]
    """Speed [m/s] that limits and bends of the known way allow here, past point `here` of the lane."""
    lane = d.path[0]
    speed = points[here].limit
    distance = lanes[lane].length - b.lane_s
    for k in range(1, d.lanes):
        lane = d.path[k]
        ahead = points[lanes[lane].first].limit
        speed = min(speed, np.sqrt(ahead * ahead + 2.0 * slowing * max(distance, 0.0)))
        distance += lanes[lane].length
    return speed
