"""The route as a line to drive, in GNSS coordinates: kept over time from the 20 points that each observation shows.

The points lie at fixed places of the route, 10 m apart, and each observation shows the next 20 of them through a
compass with an error of its own: each point's place is the mean over all sightings, weighted by distance. The dense
line through them (see `knots.py`) is made anew every few metres.
"""

from __future__ import annotations

from math import cos, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.knots import dense
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import ROUTE_POINTS, ROUTE_SPACING
from roadcraft.sim.norm import norm

BEHIND = 4  # points kept behind the car
AHEAD = 11  # points that the dense line reaches ahead
REMAKE = 2.5  # m driven until the line is made anew
NEAR = 8.0  # m within which a sighting is as good as it gets
MATCH = 5.0  # m between a seen point and the one that it is taken for
ONWARDS = 3  # points by which the first of those seen can have advanced since the last look: a route that comes back to
# where it has been, as on a roundabout, has other points near
GOAL = 0.3  # m between the last two points when the last one is the goal

ROOM = 4 * ROUTE_POINTS  # points kept at most


# What is known of the route.
ROUTE = np.dtype(
    [
        ("points", np.float64, (ROOM, 2)),  # [m]
        ("weights", np.float64, ROOM),
        ("seen", np.float64, (ROUTE_POINTS, 2)),  # [m] working memory
        ("count", np.int64),  # of the points that are known
        ("first", np.int64),  # row of the first point that was seen last
        ("goal", np.bool_),  # the last point is the goal
        ("made_at", np.float64, 2),  # [m] where the line was made
    ],
    align=True,
)


@kernel
def take_in(m: Any, route_ego: NDArray[np.float64], x: float, y: float, yaw: float) -> bool:
    """Adds the sightings `route_ego` (20, 2) [m], seen from `x`, `y` heading `yaw`, to the known points (a ROUTE
    record). Returns whether the line must be made anew."""
    points, weights, seen = m.points, m.weights, m.seen
    c, s = cos(yaw), sin(yaw)
    n = 0
    for k in range(len(route_ego)):
        px = route_ego[k, 0] * c - route_ego[k, 1] * s + x
        py = route_ego[k, 0] * s + route_ego[k, 1] * c + y
        if k > 0 and norm(px - seen[k - 1, 0], py - seen[k - 1, 1]) < GOAL:
            m.goal = True
            break
        seen[k, 0], seen[k, 1] = px, py
        n += 1
    first = nearest_point(points, max(m.first - 1, 0), min(m.first + ONWARDS + 1, m.count), seen[0, 0], seen[0, 1])
    begins = first < 0 or norm(points[first, 0] - seen[0, 0], points[first, 1] - seen[0, 1]) > MATCH
    if begins:  # a new route begins behind the car: straight, as the car stands
        for k in range(2):
            back = (2 - k) * ROUTE_SPACING
            points[k, 0], points[k, 1], weights[k] = seen[0, 0] - back * c, seen[0, 1] - back * s, 1.0
        first = m.count = 2
    for k in range(min(n, ROOM - first)):
        weight = 1.0 / (NEAR * NEAR + (route_ego[k, 0] * route_ego[k, 0] + route_ego[k, 1] * route_ego[k, 1]))
        row = first + k
        if row == m.count:
            points[row, 0], points[row, 1], weights[row] = seen[k, 0], seen[k, 1], weight
            m.count += 1
            continue
        weights[row] += weight
        share = weight / weights[row]
        for axis in range(2):
            points[row, axis] += share * (seen[k, axis] - points[row, axis])
    m.first = first
    return begins or norm(x - m.made_at[0], y - m.made_at[1]) > REMAKE


@kernel
def nearest_point(points: NDArray[np.float64], first: int, end: int, x: float, y: float) -> int:
    """Row, from `first` to before `end`, of the point nearest to a place, -1 where there is none."""
    best, row = np.inf, -1
    for i in range(first, end):
        away = norm(points[i, 0] - x, points[i, 1] - y)
        if away < best:
            best, row = away, i
    return row


@kernel
def _drop(route, x, y):  # type: ignore[no-untyped-def]
    """Forgets points that lie far behind the place; row of the one beside it."""
    m = route[0]
    nearest = nearest_point(m.points, max(m.first - 2, 0), min(m.first + 2, m.count), x, y)
    drop = max(0, nearest - BEHIND)
    if drop > 0:
        for k in range(m.count - drop):
            m.points[k, 0], m.points[k, 1] = m.points[k + drop, 0], m.points[k + drop, 1]
            m.weights[k] = m.weights[k + drop]
        m.count -= drop
        m.first -= drop
    m.made_at[0], m.made_at[1] = x, y
    return nearest - drop, m.count


class RouteLine:
    """After `take_in` has said so, `remake` it; then `line` (N, 2) [m] has points 1 m apart from behind the car on."""

    def __init__(self) -> None:
        self.memory = np.zeros(1, ROUTE)
        self.reset()

    def reset(self) -> None:
        """No route yet."""
        self.memory[:] = np.zeros(1, ROUTE)
        self.line = np.zeros((0, 2))
        self.complete = False  # whether the line's end is the goal
        self.version = 0  # grows whenever the line is made anew
        self.here = 0  # index into the line that is beside the car, to about ROUTE_SPACING

    def remake(self, xy: NDArray[np.float64]) -> None:
        """Makes the line anew at the GNSS place (2,) [m]."""
        nearest, count = _drop(self.memory, *xy.tolist())
        self.here = nearest * int(ROUTE_SPACING)
        end = nearest + AHEAD
        self.complete = bool(self.memory["goal"][0]) and end >= count
        self.line = dense(self.memory["points"][0, : min(end, count)])
        self.version += 1
