"""From the route's points, 10 m apart, to a line that can be driven: straights, arcs at corners, splines elsewhere.

Ten metres between points leave a street corner open: the turn of a junction is shorter than that. But streets are
straight before and after most corners, and the points' spacing along the route is known, so the arc between two
straights is determined: lines A + a u and B - b v meet, and a + b - R (2 tan(theta/2) - theta) is the known length.
Where that does not fit (bends, roundabouts) a Catmull-Rom spline goes through the points.
"""

from __future__ import annotations

from math import atan2, ceil, cos, sin, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.geometry import wrap
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import ROUTE_SPACING
from roadcraft.sim.norm import norm

STRAIGHT = 0.02  # rad between two intervals that count as one straight
CORNER = 0.2  # rad, smallest turn that is treated as a corner
SHARPEST = 2.5  # rad, the largest one
RADIUS_MIN = 4.0  # m, tighter than any street's turn
FIT = 0.6  # m that an arc may miss a point by
STEP = 0.5  # m between the points that are made first
PIECE = 20  # points made first between two knots that no arc joins
ROOM = 4096  # points made first, at most: a line of 2 km


@njit
def dense(knots: NDArray[np.float64], spacing: float = ROUTE_SPACING) -> NDArray[np.float64]:
    """A line (N, 2), points 1 m apart, through route points (K, 2) [m] that lie `spacing` [m] apart along it."""
    line = np.empty((ROOM, 2))
    count, end = 0, len(knots) - 1
    if end >= 2:
        count = _pieces(knots, spacing, line)
    elif end == 1:
        count = _put(line, count, knots[0, 0], knots[0, 1])
    count = _put(line, count, knots[end, 0], knots[end, 1])
    return _resampled(line[:count], 1.0 if end < 2 else 0.5)


@njit
def _resampled(line: NDArray[np.float64], beyond: float) -> NDArray[np.float64]:
    """Points every metre of a line (N, 2), the last one less than `beyond` [m] after its end, held there."""
    s = np.zeros(len(line))
    for i in range(1, len(line)):
        s[i] = s[i - 1] + norm(line[i, 0] - line[i - 1, 0], line[i, 1] - line[i - 1, 1])
    last = len(line) - 1
    out = np.empty((ceil(s[last] + beyond), 2))
    i = 0
    for k in range(len(out)):
        while i < last and s[i + 1] <= k:
            i += 1
        if i == last:
            out[k] = line[last]
            continue
        for axis in range(2):
            slope = (line[i + 1, axis] - line[i, axis]) / (s[i + 1] - s[i])
            out[k, axis] = slope * (k - s[i]) + line[i, axis]
    return out


@njit
def _put(line: NDArray[np.float64], count: int, x: float, y: float) -> int:
    """Adds a point; the new count. What finds no room is left out."""
    if count < len(line):
        line[count, 0], line[count, 1] = x, y
        count += 1
    return count


@njit
def _pieces(knots: NDArray[np.float64], spacing: float, line: NDArray[np.float64]) -> int:
    """Fills `line` with all but the last knot's point, from knot to knot; returns how many points."""
    n = len(knots) - 1  # intervals
    yaw = np.empty(n)
    for i in range(n):
        yaw[i] = atan2(knots[i + 1, 1] - knots[i, 1], knots[i + 1, 0] - knots[i, 0])
    straight = np.zeros(n, np.bool_)
    for i in range(n - 1):
        if abs(wrap(yaw[i + 1] - yaw[i])) < STRAIGHT:
            straight[i] = straight[i + 1] = True
    count, i = 0, 0
    while i < n:
        end = i + 1
        if not straight[i]:
            while end < n and not straight[end]:
                end += 1
            if i > 0 and end < n:
                made = _turn(knots[i : end + 1], yaw[i - 1], yaw[end], spacing * (end - i), line[count:])
                if made > 0:
                    count += made
                    i = end
                    continue
        for k in range(i, end):
            count = _flat(knots, k, line, count) if straight[k] else _spline(knots, k, line, count)
        i = end
    return count


@njit
def _turn(run: NDArray[np.float64], yaw_in: float, yaw_out: float, length: float, line: NDArray[np.float64]) -> int:
    """Straight, arc, straight of `length` [m] from the first point of `run` up to, but without, its last.

    Fills `line` and returns the number of points, 0 where such a turn does not fit.
    """
    theta = wrap(yaw_out - yaw_in)
    if not CORNER < abs(theta) < SHARPEST:
        return 0
    ux, uy, vx, vy = cos(yaw_in), sin(yaw_in), cos(yaw_out), sin(yaw_out)
    across = ux * vy - uy * vx
    if abs(across) < 0.1:
        return 0
    end = run[len(run) - 1]
    gx, gy = end[0] - run[0, 0], end[1] - run[0, 1]
    a = (gx * vy - gy * vx) / across
    b = (ux * gy - uy * gx) / across
    half = tan(abs(theta) / 2)
    largest = min(a, b) / half
    if largest < RADIUS_MIN:
        return 0
    radius = min(largest, max(RADIUS_MIN, (a + b - length) / (2 * half - abs(theta))))
    count = _arc(run[0], ux, uy, a - radius * half, radius, theta, line)
    for k in range(1, len(run) - 1):
        nearest = np.inf
        for j in range(count):
            nearest = min(nearest, norm(line[j, 0] - run[k, 0], line[j, 1] - run[k, 1]))
        if nearest > FIT:
            return 0
    rest = int(max(1.0, (b - radius * half) / STEP))
    x, y = line[count - 1, 0], line[count - 1, 1]
    for k in range(1, rest):
        count = _put(line, count, k * ((end[0] - x) / rest) + x, k * ((end[1] - y) / rest) + y)
    return count


@njit
def _arc(
    start: NDArray[np.float64],
    ux: float,
    uy: float,
    before: float,
    radius: float,
    theta: float,
    line: NDArray[np.float64],
) -> int:
    """From `start` `before` [m] along (ux, uy), then an arc that turns by `theta` [rad]; the number of points."""
    count = 0
    for k in range(ceil(before / STEP)):
        count = _put(line, count, start[0] + k * STEP * ux, start[1] + k * STEP * uy)
    side = 1.0 if theta > 0 else -1.0
    cx, cy = start[0] + before * ux - side * radius * uy, start[1] + before * uy + side * radius * ux
    sx, sy = side * radius * uy, -side * radius * ux
    points = max(3, int(radius * abs(theta) / STEP))
    for k in range(points):
        angle = theta if k == points - 1 else k * (theta / (points - 1))
        c, s = cos(angle), sin(angle)
        count = _put(line, count, cx + (sx * c - sy * s), cy + (sx * s + sy * c))
    return count


@njit
def _flat(knots: NDArray[np.float64], k: int, line: NDArray[np.float64], count: int) -> int:
    """Straight from knot `k` to the next one, the end left out; the new count."""
    p, q = knots[k], knots[k + 1]
    for i in range(PIECE):
        x, y = i * ((q[0] - p[0]) / PIECE) + p[0], i * ((q[1] - p[1]) / PIECE) + p[1]
        count = _put(line, count, x, y)
    return count


@njit
def _spline(knots: NDArray[np.float64], k: int, line: NDArray[np.float64], count: int) -> int:
    """Catmull-Rom from knot `k` to the next one, the end left out; the new count."""
    p, q, last = knots[k], knots[k + 1], len(knots) - 1
    point = np.empty(2)
    for i in range(PIECE):
        t = i / PIECE
        h = t * t * (3 - 2 * t)
        for axis in range(2):
            before = knots[k - 1, axis] if k > 0 else 2 * p[axis] - q[axis]
            after = knots[k + 2, axis] if k + 2 <= last else 2 * q[axis] - p[axis]
            m0, m1 = 0.5 * (q[axis] - before), 0.5 * (after - p[axis])
            point[axis] = p[axis] * (1 - h) + q[axis] * h + m0 * t * (1 - t) ** 2 - m1 * t * t * (1 - t)
        count = _put(line, count, point[0], point[1])
    return count
