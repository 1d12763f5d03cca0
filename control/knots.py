"""From the route's points, 10 m apart, to a line that can be driven: straights, arcs at corners, splines elsewhere.

Ten metres between points leave a street corner open: the turn of a junction is shorter than that. But streets are
straight before and after most corners, and the points' spacing along the route is known, so the arc between two
straights is determined: lines A + a u and B - b v meet, and a + b - R (2 tan(theta/2) - theta) is the known length.
Where that does not fit (bends, roundabouts) a Catmull-Rom spline goes through the points.
"""

from __future__ import annotations

from itertools import pairwise
from math import cos, sin, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.geometry import arc_length, resample, wrap
from roadcraft.sim.messages import ROUTE_SPACING

STRAIGHT = 0.02  # rad between two intervals that count as one straight
CORNER = 0.2  # rad, smallest turn that is treated as a corner
SHARPEST = 2.5  # rad, the largest one
RADIUS_MIN = 4.0  # m, tighter than any street's turn
FIT = 0.6  # m that an arc may miss a point by
STEP = 0.5  # m between the points that are made first


def dense(knots: NDArray[np.float64], spacing: float = ROUTE_SPACING) -> NDArray[np.float64]:
    """A line (N, 2), points 1 m apart, through route points (K, 2) [m] that lie `spacing` [m] apart along it."""
    if len(knots) < 3:
        length = arc_length(knots)[-1]
        return resample(knots, np.arange(0.0, length + 1.0))
    line = np.concatenate([*pieces(knots, spacing), knots[-1:]])
    return resample(line, np.arange(0.0, arc_length(line)[-1] + 0.5))


def pieces(knots: NDArray[np.float64], spacing: float) -> list[NDArray[np.float64]]:
    """The line in pieces, each from one knot up to, but without, a later one."""
    steps = np.diff(knots, axis=0)
    yaw = np.arctan2(steps[:, 1], steps[:, 0])
    turns = np.array([abs(wrap(b - a)) for a, b in pairwise(yaw)])
    small = np.concatenate([[False], turns < STRAIGHT, [False]])
    straight = small[:-1] | small[1:]  # by interval
    out, i = [], 0
    while i < len(steps):
        end = i + 1
        if not straight[i]:
            while end < len(steps) and not straight[end]:
                end += 1
            corner = None
            if i > 0 and end < len(steps):
                corner = turn_between(knots[i : end + 1], yaw[i - 1], yaw[end], spacing * (end - i))
            if corner is not None:
                out.append(corner)
                i = end
                continue
        for k in range(i, end):
            flat = np.linspace(knots[k], knots[k + 1], 20, endpoint=False)
            out.append(flat if straight[k] else spline(knots, k))
        i = end
    return out


def turn_between(run: NDArray[np.float64], yaw_in: float, yaw_out: float, length: float) -> NDArray[np.float64] | None:
    """Straight, arc, straight of `length` [m] from the first point of `run` to its last; None where it does not fit."""
    theta = wrap(yaw_out - yaw_in)
    if not CORNER < abs(theta) < SHARPEST:
        return None
    start, end = run[0], run[-1]
    u, v = np.array([cos(yaw_in), sin(yaw_in)]), np.array([cos(yaw_out), sin(yaw_out)])
    across = u[0] * v[1] - u[1] * v[0]
    if abs(across) < 0.1:
        return None
    gap = end - start
    a = (gap[0] * v[1] - gap[1] * v[0]) / across
    b = (u[0] * gap[1] - u[1] * gap[0]) / across
    half = tan(abs(theta) / 2)
    largest = min(a, b) / half
    if largest < RADIUS_MIN:
        return None
    radius = min(largest, max(RADIUS_MIN, (a + b - length) / (2 * half - abs(theta))))
    line = arc_line(start, u, v, a - radius * half, radius, theta)
    for point in run[1:-1]:
        if np.hypot(*(line - point).T).min() > FIT:
            return None
    rest = int(max(1.0, (b - radius * half) / STEP))
    return np.concatenate([line, np.linspace(line[-1], end, rest, endpoint=False)[1:]])


def arc_line(
    start: NDArray[np.float64],
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    before: float,
    radius: float,
    theta: float,
) -> NDArray[np.float64]:
    """From `start` `before` [m] along `u`, then an arc that turns by `theta` [rad] into the direction `v`."""
    straight = start + np.outer(np.arange(0.0, before, STEP), u)
    side = 1.0 if theta > 0 else -1.0
    centre = start + before * u + side * radius * np.array([-u[1], u[0]])
    count = max(3, int(radius * abs(theta) / STEP))
    angle = np.linspace(0.0, theta, count)
    spoke = -side * radius * np.array([-u[1], u[0]])
    c, s = np.cos(angle), np.sin(angle)
    arc = centre + np.stack([spoke[0] * c - spoke[1] * s, spoke[0] * s + spoke[1] * c], -1)
    return np.concatenate([straight, arc])


def spline(knots: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Catmull-Rom from knot `k` to the next one, the end left out."""
    before = knots[k - 1] if k > 0 else 2 * knots[k] - knots[k + 1]
    after = knots[k + 2] if k + 2 < len(knots) else 2 * knots[k + 1] - knots[k]
    p, q = knots[k], knots[k + 1]
    m0, m1 = 0.5 * (q - before), 0.5 * (after - p)
    t = np.linspace(0.0, 1.0, 20, endpoint=False)[:, None]
    h = t * t * (3 - 2 * t)
    return p * (1 - h) + q * h + m0 * t * (1 - t) ** 2 - m1 * t * t * (1 - t)
