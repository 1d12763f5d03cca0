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
from roadcraft.sim.messages import ROUTE_SPACING

BEHIND = 4  # points kept behind the car
AHEAD = 11  # points that the dense line reaches ahead
REMAKE = 2.5  # m driven until the line is made anew
NEAR = 8.0  # m within which a sighting is as good as it gets
MATCH = 5.0  # m between a seen point and the one that it is taken for
GOAL = 0.3  # m between the last two points when the last one is the goal


class RouteLine:
    """`update` with each observation; then `line` (N, 2) [m] has points 1 m apart from behind the car on."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """No route yet."""
        self.line = np.zeros((0, 2))
        self.complete = False  # whether the line's end is the goal
        self.version = 0  # grows whenever the line is made anew
        self._points = np.zeros((0, 2))
        self._weights = np.zeros(0)
        self._goal_known = False
        self._made_at = np.zeros(2)

    def update(self, route_ego: NDArray[np.float64], xy: NDArray[np.float64], yaw: float) -> None:
        """Takes the points (20, 2) [m] seen from the GNSS place `xy` (2,) and compass heading `yaw`."""
        c, s = cos(yaw), sin(yaw)
        seen = route_ego @ np.array([[c, s], [-s, c]]) + xy
        steps = np.hypot(*np.diff(seen, axis=0).T)
        ends = np.flatnonzero(steps < GOAL)
        if len(ends):
            seen, self._goal_known = seen[: ends[0] + 1], True
        weights = 1.0 / (NEAR**2 + np.einsum("ij,ij->i", route_ego, route_ego)[: len(seen)])
        if not self._merge(seen, weights):
            self._begin(seen, weights, yaw)
        if not len(self.line) or hypot(*(xy - self._made_at)) > REMAKE:
            self._remake(xy)

    def _begin(self, seen: NDArray[np.float64], weights: NDArray[np.float64], yaw: float) -> None:
        """A new route begins behind the car: straight, as the car stands."""
        self.line = np.zeros((0, 2))
        back = ROUTE_SPACING * np.array([cos(yaw), sin(yaw)])
        self._points = np.concatenate([[seen[0] - 2 * back, seen[0] - back], seen])
        self._weights = np.concatenate([[1.0, 1.0], weights])

    def _merge(self, seen: NDArray[np.float64], weights: NDArray[np.float64]) -> bool:
        """Adds sightings to the known points; False when they are of another route."""
        if not len(self._points):
            return False
        away = np.hypot(*(self._points - seen[0]).T)
        first = int(np.argmin(away))
        if away[first] > MATCH:
            return False
        known = min(len(seen), len(self._points) - first)
        rows = slice(first, first + known)
        self._weights[rows] += weights[:known]
        share = (weights[:known] / self._weights[rows])[:, None]
        self._points[rows] += share * (seen[:known] - self._points[rows])
        if known < len(seen):
            self._points = np.concatenate([self._points, seen[known:]])
            self._weights = np.concatenate([self._weights, weights[known:]])
        return True

    def _remake(self, xy: NDArray[np.float64]) -> None:
        nearest = int(np.argmin(np.hypot(*(self._points - xy).T)))
        drop = max(0, nearest - BEHIND)
        self._points, self._weights = self._points[drop:], self._weights[drop:]
        end = nearest - drop + AHEAD
        self.complete = self._goal_known and end >= len(self._points)
        self.line = dense(self._points[:end])
        self._made_at = xy.copy()
        self.version += 1
