"""The planned path: the route's points made dense, moved to where the lane lines say that the lane is."""

from __future__ import annotations

from math import cos, isnan, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.localiser import Localiser
from roadcraft.control.routeline import RouteLine
from roadcraft.perception.percept import Percept
from roadcraft.sim.geometry import wrap
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import PATH_POINTS, ROUTE_SPACING, Command, Ego, Observation

COMPASS = 0.1  # share of a compass reading in the heading; the rest is the yaw rate's
LEAVES_LANE = (Command.CHANGE_LEFT, Command.CHANGE_RIGHT)  # meanwhile the route is in no lane's middle
SURE_MIN = 0.2  # confidence below which a percept says nothing about lanes
WINDOW = 10  # m of the line ahead of the last place that are searched for the present one: it may come back to here


@kernel
def place_on(line: NDArray[np.float64], x: float, y: float, start: int, window: int) -> int:
    """Index of the line's point nearest to (x, y), at or after `start`, within `window` points."""
    best, best_i = 1e18, start
    for i in range(max(0, start - 3), min(len(line), start + window)):
        d = (line[i, 0] - x) ** 2 + (line[i, 1] - y) ** 2
        if d < best:
            best, best_i = d, i
    return best_i


@kernel
def path_ahead(
    line: NDArray[np.float64], x: float, y: float, yaw: float, start: int, window: int, path: NDArray[np.float64]
) -> int:
    """The place on the line, found as by `place_on`. Fills `path` (60, 2) with the next points from there on in the ego
    frame; beyond the line's end they go straight on."""
    start = place_on(line, x, y, start, window)
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
    return start


class Planner:
    """Hands out the path ahead of the true position; remembers route, heading and GNSS error."""

    def __init__(self) -> None:
        self.localiser = Localiser()
        self.route = RouteLine()
        self.reset()

    def reset(self) -> None:
        """Forgets route and position."""
        self.localiser.reset()
        self.route.reset()
        self._place, self._version = 0, -1
        self._yaw, self._time = float("nan"), 0.0
        self.residual = float("nan")  # [m] lane centre minus plan in the last percept

    def __call__(
        self, observation: Observation, percept: Percept | None, line_distance: float = float("inf")
    ) -> NDArray[np.float64]:
        """The path (60, 2) [m], ego frame, 1 m apart, from beside the ego on. No percept: the last error holds.

        `line_distance`: from the front bumper to the next stop line that is surely there [m].
        """
        ego = observation.ego
        dt = observation.time - self._time
        yaw = self._heading(ego, dt)
        self._time = observation.time
        self.localiser.move(ego, yaw, dt)
        self.route.update(observation.route_ego, ego.xy_world, ego.yaw_world)
        path = self._path(ego.xy_world, yaw)
        self.residual = float("nan")
        if percept is not None and percept.confidence > SURE_MIN:
            localiser = self.localiser
            if observation.command not in LEAVES_LANE:
                self.residual = localiser.see_lanes(
                    percept.lanes_ego, percept.lane_prob, path, yaw, percept.confidence, percept.lane_marks
                )
            localiser.see_line(line_distance, path, yaw)
            path = self._path(ego.xy_world, yaw)
        return path

    @property
    def left(self) -> float:
        """Length [m] of the known line ahead of the car: up to the goal where it is `complete`."""
        return float(len(self.route.line) - 1 - self._place)

    @property
    def complete(self) -> bool:
        """Whether the known line ends at the goal."""
        return self.route.complete

    def _heading(self, ego: Ego, dt: float) -> float:
        """The heading [rad]: the compass made smooth by the yaw rate."""
        if isnan(self._yaw) or not 0.0 <= dt < 0.5:
            self._yaw = ego.yaw_world
        else:
            self._yaw = wrap(self._yaw + ego.yaw_rate * dt)
        self._yaw = wrap(self._yaw + COMPASS * wrap(ego.yaw_world - self._yaw))
        return self._yaw

    def _path(self, xy_gnss: NDArray[np.float64], yaw: float) -> NDArray[np.float64]:
        x, y = (xy_gnss - self.localiser.error).tolist()
        line = self.route.line
        if self._version != self.route.version:  # a new line: find the place on it anew, near the old one
            self._version = self.route.version
            about = int(1.5 * ROUTE_SPACING)
            self._place = place_on(line, x, y, max(self.route.here - about, 0), 2 * about)
        path = np.empty((PATH_POINTS, 2))
        self._place = path_ahead(line, x, y, yaw, self._place, WINDOW, path)
        return path
