"""A route that comes back to where it has been: the place on it is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.planner import Planner
from roadcraft.sim.messages import ROUTE_POINTS, ROUTE_SPACING, Command, Ego, Observation


def loop(radius: float = 9.0) -> NDArray[np.float64]:
    """Points (N, 2) 1 m apart: 60 m ahead, all round to the left, and back beside where it came from."""
    into = [(x, 0.0) for x in np.arange(-60.0, 0.0)]
    angle = np.arange(-np.pi / 2, 1.4 * np.pi, 1.0 / radius)
    round_ = [(radius * np.cos(a), radius + radius * np.sin(a)) for a in angle]
    x, y = round_[-1]
    back = [(x - k, y + 0.15 * k) for k in np.arange(1.0, 60.0)]
    return np.array([*into, *round_, *back])


def seen(line: NDArray[np.float64], at: int, error: float) -> Observation:
    """What the car observes at the line's point `at`, with a GNSS error [m]."""
    step = line[at + 1] - line[at - 1]
    yaw = float(np.arctan2(step[1], step[0]))
    ahead = line[np.minimum(((at + 9) // 10 + np.arange(ROUTE_POINTS)) * int(ROUTE_SPACING), len(line) - 1)]
    c, s = np.cos(yaw), np.sin(yaw)
    error_xy = error * np.array([0.6, 0.8])
    offset = ahead - line[at]
    route = np.stack([c * offset[:, 0] + s * offset[:, 1], c * offset[:, 1] - s * offset[:, 0]], -1)
    ego = Ego(line[at] + error_xy, yaw, 5.0, 0.0, np.zeros(2), 0.0)
    return Observation(at, at * 0.2, None, None, ego, route, Command.FOLLOW)


def test_the_path_goes_on_from_where_the_car_is_all_round() -> None:
    line = loop()
    for aside in (-1.0, 0.0, 1.0):
        planner = Planner()
        for at in range(5, 100):
            observation = seen(line, at, aside)
            for _ in range(4):  # it may stand, too
                path = planner(observation, None)
            yaw = observation.ego.yaw_world
            c, s = np.cos(yaw), np.sin(yaw)
            ahead = line[at + 5] - line[at]
            there = c * ahead[0] + s * ahead[1], c * ahead[1] - s * ahead[0]
            assert np.hypot(*(path[5] - there)) < 3.0, (aside, at)
