"""The floor of every table: a driver without any perception."""

from __future__ import annotations

import numpy as np

from roadcraft.control.car import brake_for, steer_for, throttle_for
from roadcraft.control.decision import Decision
from roadcraft.control.paths import pursue
from roadcraft.sim.geometry import arc_length, resample
from roadcraft.sim.messages import Control, Tick

SPEED = 7.0  # m/s


class RouteFollower:
    """Drives the route's points as GNSS gives them, at one speed: shows how hard the routes are."""

    def __init__(self, speed: float = SPEED) -> None:
        self.speed = speed

    def reset(self) -> None:
        """It remembers nothing."""

    def __call__(self, tick: Tick) -> Decision:
        observation = tick.observation
        ahead = observation.route_ego[observation.route_ego[:, 0] > 1.0]
        route = np.concatenate([[[0.0, 0.0]], ahead, [[1.0, 0.0]] if not len(ahead) else np.zeros((0, 2))])
        path = resample(route, np.arange(min(60.0, arc_length(route)[-1] + 1.0)))
        speed = observation.ego.speed
        left = float(np.hypot(*observation.route_ego[-1]))
        accel = float(np.clip(self.speed - speed, -3.0, 2.0)) if left > 3.0 else -3.0
        curvature = pursue(path, speed) if len(path) > 2 else 0.0
        control = Control(steer_for(curvature, speed), throttle_for(accel, speed), brake_for(accel, speed))
        return Decision(None, path, control, control)
