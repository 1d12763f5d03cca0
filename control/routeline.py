"""The route as a line to drive, in GNSS coordinates: kept over time from the 20 points that each observation shows.

The points lie at fixed places of the route, 10 m apart, and each observation shows the next 20 of them through a
compass with an error of its own: each point's place is the mean over all sightings, weighted by distance. The dense
line through them (see `knots.py`) is made anew every few metres.
"""

from __future__ import annotations

from math import cos, hypot, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.knots import dense
from roadcraft.sim.kernels import kernel, njit
from roadcraft.sim.messages import ROUTE_POINTS, ROUTE_SPACING

BEHIND = 4  # points kept behind the car
AHEAD = 11  # points that the dense line reaches ahead
REMAKE = 2.5  # m driven until the line is made anew
NEAR = 8.0  # m within which a sighting is as good as it gets
MATCH = 5.0  # m between a seen point and the one that it is taken for
ONWARDS = 3  # points by which the first of those seen can have advanced since the last look: a route that comes back to
# where it has been, as on a roundabout, has other points near
GOAL = 0.3  # m between the last two points when the last one is the goal

ROOM = 4 * ROUTE_POINTS  # points kept at most


@njit
def take_in(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    count: int,
    last: int,
    route_ego: NDArray[np.float64],
    x: float,
    y: float,
    yaw: float,
) -> tuple[int, int, bool, bool]:
    """Adds the sightings `route_ego` (20, 2) [m], seen from `x`, `y` heading `yaw`, to the `count` known points, of
    which row `last` was the first that was seen before.

    Returns how many points there now are, the row of the first that is seen now, whether a new route begins with it,
    and whether their last is the goal.
    """
    c, s = cos(yaw), sin(yaw)
    seen, goal = np.empty((len(route_ego), 2)), False
    n = 0
    for k in range(len(route_ego)):
        px = route_ego[k, 0] * c - route_ego[k, 1] * s + x
        py = route_ego[k, 0] * s + route_ego[k, 1] * c + y
        goal = k > 0 and hypot(px - seen[k - 1, 0], py - seen[k - 1, 1]) < GOAL
        if goal:
            break
        seen[k, 0], seen[k, 1] = px, py
        n += 1
    first = nearest_point(points, max(last - 1, 0), min(last + ONWARDS + 1, count), seen[0, 0], seen[0, 1])
    begins = first < 0 or hypot(points[first, 0] - seen[0, 0], points[first, 1] - seen[0, 1]) > MATCH
    if begins:  # a new route begins behind the car: straight, as the car stands
        for k in range(2):
            back = (2 - k) * ROUTE_SPACING
            points[k, 0], points[k, 1], weights[k] = seen[0, 0] - back * c, seen[0, 1] - back * s, 1.0
        first = count = 2
    for k in range(min(n, len(points) - first)):
        weight = 1.0 / (NEAR * NEAR + (route_ego[k, 0] * route_ego[k, 0] + route_ego[k, 1] * route_ego[k, 1]))
        row = first + k
        if row == count:
            points[row], weights[row] = seen[k], weight
            count += 1
            continue
        weights[row] += weight
        share = weight / weights[row]
        for axis in range(2):
            points[row, axis] += share * (seen[k, axis] - points[row, axis])
    return count, first, begins, goal


@kernel
def nearest_point(points: NDArray[np.float64], first: int, end: int, x: float, y: float) -> int:
    """Row, from `first` to before `end`, of the point nearest to a place, -1 where there is none."""
    best, row = np.inf, -1
    for i in range(first, end):
        away = hypot(points[i, 0] - x, points[i, 1] - y)
        if away < best:
            best, row = away, i
    return row


class RouteLine:
    """`update` with each observation; then `line` (N, 2) [m] has points 1 m apart from behind the car on."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """No route yet."""
        self.line = np.zeros((0, 2))
        self.complete = False  # whether the line's end is the goal
        self.version = 0  # grows whenever the line is made anew
        self.here = 0  # index into the line that is beside the car, to about ROUTE_SPACING
        self._points, self._weights = np.zeros((ROOM, 2)), np.zeros(ROOM)
        self._first = 0  # row of the first point that was seen last
        self._count = 0  # of the points that are known
        self._goal_known = False
        self._made_at = (0.0, 0.0)

    def update(self, route_ego: NDArray[np.float64], xy: NDArray[np.float64], yaw: float) -> None:
        """Takes the points (20, 2) [m] seen from the GNSS place `xy` (2,) and compass heading `yaw`."""
        x, y = xy.tolist()
        self._count, self._first, begins, goal = take_in(
            self._points, self._weights, self._count, self._first, route_ego, x, y, yaw
        )
        self._goal_known = self._goal_known or goal
        made_x, made_y = self._made_at
        if begins or hypot(x - made_x, y - made_y) > REMAKE:
            self._remake(x, y)

    def _remake(self, x: float, y: float) -> None:
        nearest = nearest_point(self._points, max(self._first - 2, 0), min(self._first + 2, self._count), x, y)
        drop = max(0, nearest - BEHIND)
        if drop:
            self._points[: self._count - drop] = self._points[drop : self._count]
            self._weights[: self._count - drop] = self._weights[drop : self._count]
            self._count -= drop
            self._first -= drop
        self.here = (nearest - drop) * int(ROUTE_SPACING)
        end = nearest - drop + AHEAD
        self.complete = self._goal_known and end >= self._count
        self.line = dense(self._points[: min(end, self._count)])
        self._made_at = (x, y)
        self.version += 1
