"""The planned path: the route's points made dense, moved to where the lane lines say that the lane is."""

from __future__ import annotations

from math import cos, hypot, sin

import numpy as np
from numba import njit
from numpy.typing import NDArray

from roadcraft.control.knots import dense
from roadcraft.control.localiser import Localiser
from roadcraft.perception.percept import Percept
from roadcraft.sim.messages import LANE_X, PATH_POINTS, ROUTE_SPACING, Observation

KEPT = 6  # knots kept behind the car
WINDOW = 25  # m of the line ahead of the last place that are searched for the present one


@njit(cache=True)
def place_on(line: NDArray[np.float64], x: float, y: float, start: int, window: int) -> int:
    """Index of the line's point nearest to (x, y), at or after `start`, within `window` points."""
    best, best_i = 1e18, start
    for i in range(max(0, start - 3), min(len(line), start + window)):
        d = (line[i, 0] - x) ** 2 + (line[i, 1] - y) ** 2
        if d < best:
            best, best_i = d, i
    return best_i


@njit(cache=True)
def path_from(line: NDArray[np.float64], start: int, x: float, y: float, yaw: float) -> NDArray[np.float64]:
    """The next 60 points (60, 2) of the line in the ego frame; beyond its end they go straight on."""
    path = np.empty((PATH_POINTS, 2))
    c, s = cos(yaw), sin(yaw)
    last = len(line) - 1
    for i in range(PATH_POINTS):
        j = min(start + i, last)
        px, py = line[j, 0], line[j, 1]
        over = start + i - last
        if over > 0 and last > 0:
            dx, dy = px - line[last - 1, 0], py - line[last - 1, 1]
            length = max(1e-6, (dx * dx + dy * dy) ** 0.5)
            px, py = px + over * dx / length, py + over * dy / length
        path[i, 0] = (px - x) * c + (py - y) * s
        path[i, 1] = (py - y) * c - (px - x) * s
    return path


@njit(cache=True)
def lateral_at(path: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The path's y [m] at the distances x = `at` [m] ahead; NaN once it has turned away."""
    y = np.full(len(at), np.nan)
    i = 0
    for k in range(len(at)):
        while i < len(path) - 1 and path[i + 1, 0] < at[k]:
            if path[i + 1, 0] < path[i, 0] - 0.3:
                return y
            i += 1
        if i == len(path) - 1:
            return y
        dx = path[i + 1, 0] - path[i, 0]
        if dx < 0.3:
            return y
        y[k] = path[i, 1] + (at[k] - path[i, 0]) / dx * (path[i + 1, 1] - path[i, 1])
        if abs(path[i + 1, 1] - path[i, 1]) > 0.4 * dx:
            y[k] = np.nan  # the lane's centre at x says little where the path runs across
    return y


class Planner:
    """Keeps the route as a dense line in GNSS coordinates and hands out the path ahead of the true position."""

    def __init__(self) -> None:
        self.localiser = Localiser()
        self.reset()

    def reset(self) -> None:
        """Forgets route and position."""
        self.localiser.reset()
        self._knots = np.zeros((0, 2))
        self._line = np.zeros((0, 2))
        self._place = 0
        self._complete = False
        self.residual = float("nan")  # [m] lane centre minus plan in the last percept

    def __call__(self, observation: Observation, percept: Percept | None) -> NDArray[np.float64]:
        """The path (60, 2) [m], ego frame, 1 m apart, from beside the ego on. No percept: the last error holds."""
        ego = observation.ego
        self._extend(observation)
        path = self._path(ego.xy_world, ego.yaw_world)
        self.residual = float("nan")
        if percept is not None:
            plan_y = lateral_at(path, LANE_X)
            self.residual = self.localiser(percept.lanes_ego, percept.lane_prob, plan_y, ego.yaw_world)
            path = self._path(ego.xy_world, ego.yaw_world)
        return path

    @property
    def left(self) -> float:
        """Length [m] of the known line ahead of the car; the route's end where it is `complete`."""
        return float(len(self._line) - 1 - self._place)

    @property
    def complete(self) -> bool:
        """Whether the line's end is the goal."""
        return self._complete

    def _path(self, xy_gnss: NDArray[np.float64], yaw: float) -> NDArray[np.float64]:
        x, y = xy_gnss - self.localiser.error
        self._place = place_on(self._line, x, y, self._place, WINDOW)
        return path_from(self._line, self._place, x, y, yaw)

    def _extend(self, observation: Observation) -> None:
        """Adds the route's new points, each about 10 m beyond the last knot, and makes the line anew when there are."""
        if self._complete:
            return
        ego, route = observation.ego, observation.route_ego
        c, s = cos(ego.yaw_world), sin(ego.yaw_world)
        world = route @ np.array([[c, s], [-s, c]]) + ego.xy_world
        added = [self._knots] if len(self._knots) else [self._first(world)]
        last = added[0][-1]
        fresh = world[-3:] if len(self._knots) else world[1:]
        for point in fresh:
            ahead = len(added) > 1 or not len(self._knots) or _ahead(self._knots, point)
            if hypot(*(point - last)) > 0.6 * ROUTE_SPACING and ahead:
                added.append(point[None])
                last = point
        self._complete = bool(np.allclose(world[-1], world[-2], atol=0.05))
        if self._complete and hypot(*(world[-1] - last)) > 0.5:
            added.append(world[-1:])
        if len(added) == 1 and len(self._line):
            return
        self._knots = np.concatenate(added)
        self._remake()

    def _first(self, world: NDArray[np.float64]) -> NDArray[np.float64]:
        """The first knots: one behind the first point, so that the line begins behind the car."""
        step = world[1] - world[0]
        return np.stack([world[0] - 2 * step, world[0] - step, world[0]])

    def _remake(self) -> None:
        """The dense line of the knots from a few behind the car on; the car's place on it is found again."""
        here = self._line[self._place] if len(self._line) else self._knots[2]
        if len(self._line):
            nearest = int(np.argmin(np.hypot(*(self._knots - here).T)))
            self._knots = self._knots[max(0, nearest - KEPT) :]
        self._line = dense(self._knots)
        self._place = int(np.argmin(np.hypot(*(self._line - here).T)[: (KEPT + 2) * int(ROUTE_SPACING)]))


def _ahead(knots: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    """Whether a point continues the knots instead of lying on their last interval."""
    step = knots[-1] - knots[-2]
    return bool((point - knots[-1]) @ step > 0.3 * ROUTE_SPACING * hypot(*step))
