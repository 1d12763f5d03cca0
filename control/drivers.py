"""Drivers: each turns a tick into a decision. `load_driver` builds one by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from roadcraft.control.car import brake_for, steer_for, throttle_for
from roadcraft.control.decision import Decision
from roadcraft.control.expert import ExpertDriver
from roadcraft.control.paths import pursue
from roadcraft.sim.errors import UserError
from roadcraft.sim.geometry import arc_length, resample
from roadcraft.sim.messages import Control, Driver, Tick

FOLLOWER_SPEED = 7.0  # m/s


class RouteFollower:
    """No perception at all: drives the route as GNSS gives it, at one speed. The floor of the table."""

    def __init__(self, speed: float = FOLLOWER_SPEED) -> None:
        self.speed = speed

    def reset(self) -> None:
        """It remembers nothing."""

    def __call__(self, tick: Tick) -> Decision:
        observation = tick.observation
        route = np.vstack([[0.0, 0.0], observation.route_ego[observation.route_ego[:, 0] > 1.0]])
        path = resample(route, np.arange(min(60.0, arc_length(route)[-1] + 1.0)))
        speed = observation.ego.speed
        left = float(np.hypot(*observation.route_ego[-1]))
        accel = float(np.clip(self.speed - speed, -3.0, 2.0)) if left > 3.0 else -3.0
        curvature = pursue(path, speed) if len(path) > 2 else 0.0
        control = Control(steer_for(curvature, speed), throttle_for(accel, speed), brake_for(accel, speed))
        return Decision(None, path, control, control)


def load_driver(name: str) -> Driver:
    """A driver by name (expert, follower) or from a file: `FILE.py:CLASS`. Unknown names raise UserError."""
    if name == "expert":
        return ExpertDriver()
    if name == "follower":
        return RouteFollower()
    if ":" in name:
        return driver_from_file(name)
    raise UserError(f"unknown driver '{name}': expected network, truth, expert, follower or FILE.py:CLASS")


def driver_from_file(target: str) -> Driver:
    """An instance of a class in any Python file, made without arguments."""
    path, _, name = target.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise UserError(f"driver '{target}': no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise UserError(f"driver '{target}': {path} has no class {name}")
    driver: Driver = getattr(module, name)()
    return driver
