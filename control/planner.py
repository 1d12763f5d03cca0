"""The planned path: the route's points made dense, moved to where the lane lines say that the lane is."""

from __future__ import annotations

from math import cos, isnan, nan, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.localiser import Localiser, note_lanes, note_line, note_move
from roadcraft.control.paths import note_stations
from roadcraft.control.routeline import RouteLine, take_in
from roadcraft.perception.percept import Percept
from roadcraft.sim.geometry import wrap
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import LANE_LINES, LANE_X, PATH_POINTS, ROUTE_SPACING, Command, Mark, Observation

COMPASS = 0.1  # share of a compass reading in the heading; the rest is the yaw rate's
LEAVES_LANE = (Command.CHANGE_LEFT, Command.CHANGE_RIGHT)  # meanwhile the route is in no lane's middle
SURE_MIN = 0.2  # confidence below which a percept says nothing about lanes
_SOLID = int(Mark.SOLID)
_NO_LINES = np.full((LANE_LINES, len(LANE_X)), nan), np.zeros(LANE_LINES), np.zeros(LANE_LINES, np.uint8)
ABOUT = int(1.5 * ROUTE_SPACING)  # m to either side of where it is known to be that a place is looked for on a new line
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


@kernel
def heading(before: float, compass: float, yaw_rate: float, dt: float) -> float:
    """The heading [rad]: the compass made smooth by the yaw rate. `before`: the last one, NaN where there is none."""
    yaw = compass if isnan(before) or not 0.0 <= dt < 0.5 else wrap(before + yaw_rate * dt)
    return wrap(yaw + COMPASS * wrap(compass - yaw))


@kernel
def _move(locations, routes, route_ego, xy, compass, speed, yaw_rate, yaw, dt):  # type: ignore[no-untyped-def]
    """One observation: (heading [rad], whether the route's line must be made anew)."""
    yaw = heading(yaw, compass, yaw_rate, dt)
    note_move(locations[0], xy[0], xy[1], speed, yaw_rate, yaw, dt)
    return yaw, take_in(routes[0], route_ego, xy[0], xy[1], compass)


@kernel
def _aim(  # type: ignore[no-untyped-def]
    locations, line, place, start, window, xy, yaw, lanes, prob, marks, sure, in_lane, line_distance, work, path
):
    """Fills `path` (60, 2) after taking one percept in, where `sure` is enough: (place on the line, residual [m]).

    From `start` on, if that is not negative, the place is looked for anew within `window` points. `work` (2, 60):
    working memory.
    """
    m = locations[0]
    x, y = xy[0] - m.error[0], xy[1] - m.error[1]
    if start >= 0:
        place = place_on(line, x, y, start, window)
    place = path_ahead(line, x, y, yaw, place, WINDOW, path)
    if not sure > SURE_MIN:
        return place, nan
    s = work[0]
    note_stations(path, s)
    residual = note_lanes(m, lanes, prob, path, s, yaw, sure, marks[1] == _SOLID) if in_lane else nan
    note_line(m, line_distance, path, s, work[1], yaw)
    x, y = xy[0] - m.error[0], xy[1] - m.error[1]
    return path_ahead(line, x, y, yaw, place, WINDOW, path), residual


class Planner:
    """Hands out the path ahead of the true position; remembers route, heading and GNSS error."""

    def __init__(self) -> None:
        self.localiser = Localiser()
        self.route = RouteLine()
        self._work = np.zeros((2, PATH_POINTS))
        self.reset()

    def reset(self) -> None:
        """Forgets route and position."""
        self.localiser.reset()
        self.route.reset()
        self._place, self._version = 0, -1
        self._yaw, self._time = nan, 0.0
        self.residual = nan  # [m] lane centre minus plan in the last percept

    def __call__(
        self, observation: Observation, percept: Percept | None, line_distance: float = float("inf")
    ) -> NDArray[np.float64]:
        """The path (60, 2) [m], ego frame, 1 m apart, from beside the ego on. No percept: the last error holds.

        `line_distance`: from the front bumper to the next stop line that is surely there [m].
        """
        ego, route, locations = observation.ego, self.route, self.localiser.memory
        xy = ego.xy_world
        dt, self._time = observation.time - self._time, observation.time
        self._yaw, remake = _move(
            locations, route.memory, observation.route_ego, xy, ego.yaw_world, ego.speed, ego.yaw_rate, self._yaw, dt
        )
        if remake:
            route.remake(xy)
        start = -1
        if self._version != route.version:  # a new line: find the place on it anew, near the old one
            self._version, start = route.version, max(route.here - ABOUT, 0)
        lanes, prob, marks = _NO_LINES
        sure = 0.0
        if percept is not None:
            lanes, prob, marks, sure = percept.lanes_ego, percept.lane_prob, percept.lane_marks, percept.confidence
        path = np.empty((PATH_POINTS, 2))
        in_lane = observation.command not in LEAVES_LANE
        self._place, self.residual = _aim(
            *(locations, route.line, self._place, start, 2 * ABOUT, xy, self._yaw),
            *(lanes, prob, marks, sure, in_lane, line_distance, self._work, path),
        )
        return path

    @property
    def left(self) -> float:
        """Length [m] of the known line ahead of the car: up to the goal where it is `complete`."""
        return float(len(self.route.line) - 1 - self._place)

    @property
    def complete(self) -> bool:
        """Whether the known line ends at the goal."""
        return self.route.complete
