"""Small hand-made scenes for the tests of control: observations, percepts and facts on a straight road."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.percept import OBJECT, Percept
from roadcraft.sim.messages import (
    ACTOR,
    CONTACT,
    DT,
    LANE_X,
    Command,
    Ego,
    Facts,
    Kind,
    LightState,
    Observation,
    Tick,
)

WIDTH = 3.5  # m of the lanes


def straight_route(offset: float = 0.0) -> NDArray[np.float64]:
    """Route points (20, 2) straight ahead."""
    return np.stack([np.arange(1, 21) * 10.0, np.full(20, offset)], -1)


def lines(offset: float = 0.0) -> NDArray[np.float64]:
    """Three lines (4, 10) of the ego's lane and its left neighbour, the lane's centre at y = `offset`."""
    y = np.array([1.5 * WIDTH, 0.5 * WIDTH, -0.5 * WIDTH, np.nan]) + offset
    return np.repeat(y[:, None], len(LANE_X), 1)


def ego(speed: float = 8.0, xy: tuple[float, float] = (0.0, 0.0), yaw: float = 0.0) -> Ego:
    return Ego(np.array(xy), yaw, speed, 0.0, np.zeros(2), 0.0)


def observation(frame: int = 0, speed: float = 8.0, **fields: Any) -> Observation:
    values: dict[str, Any] = {
        "frame": frame,
        "time": frame * DT,
        "rgb": None,
        "camera": None,
        "ego": ego(speed),
        "route_ego": straight_route(),
        "command": Command.FOLLOW,
    }
    return Observation(**(values | fields))


def percept(frame: int = 0, **fields: Any) -> Percept:
    """What a clear, empty, straight road gives."""
    nothing = np.zeros((0, 0), np.float32)
    values: dict[str, Any] = {
        "frame": frame,
        "time": frame * DT,
        "drivable": nothing,
        "lane_mask": nothing,
        "lanes_ego": lines(1e-3 * (frame % 7)),  # no two frames alike
        "lane_prob": np.array([0.95, 0.95, 0.95, 0.05]),
        "lane_marks": np.array([1, 2, 1, 0], np.uint8),
        "objects": np.zeros(0, OBJECT),
        "light": np.array([0.01, 0.01, 0.01, 0.97]),
        "light_distance": inf,
        "stop_prob": 0.02,
        "stop_distance": inf,
        "events": np.full(5, 0.05),
        "confidence": 1.0,
        "latency": 0.0,
    }
    return Percept(**(values | fields))


def seen(
    x: float, y: float, velocity: tuple[float, float] = (0.0, 0.0), kind: Kind = Kind.CAR, track: int = 1
) -> NDArray[np.void]:
    """One perceived object (1,) OBJECT, heading the way that it moves."""
    row = np.zeros(1, OBJECT)
    row["kind"], row["score"], row["track"] = kind, 0.9, track
    row["xy_ego"], row["velocity_ego"] = (x, y), velocity
    row["yaw_ego"] = np.arctan2(velocity[1], velocity[0]) if any(velocity) else 0.0
    row["size"] = (0.6, 0.6) if kind == Kind.PEDESTRIAN else (4.5, 1.9)
    times = np.array([0.5, 1.0, 1.5, 2.0])[:, None]
    row["path_ego"] = np.array([x, y]) + times * np.array(velocity)
    return row


def actor(x: float, y: float, velocity: tuple[float, float] = (0.0, 0.0), kind: Kind = Kind.CAR) -> NDArray[np.void]:
    """One actor (1,) ACTOR, heading the way that it moves."""
    row = np.zeros(1, ACTOR)
    row["id"], row["kind"], row["xyz"], row["velocity"] = 7, kind, (x, y, 0.0), velocity
    row["yaw"] = np.arctan2(velocity[1], velocity[0]) if any(velocity) else 0.0
    row["extent"] = (0.3, 0.3, 0.9) if kind == Kind.PEDESTRIAN else (2.25, 0.95, 0.75)
    row["visible_px"] = -1
    return row


def facts(frame: int = 0, speed: float = 8.0, **fields: Any) -> Facts:
    """The middle of a straight lane, nobody there."""
    values: dict[str, Any] = {
        "frame": frame,
        "time": frame * DT,
        "pose": np.zeros(3),
        "velocity_ego": np.array([speed, 0.0]),
        "extent": np.array([2.45, 0.92, 0.75]),
        "progress": 50.0,
        "route_length": 500.0,
        "lateral_error": 0.0,
        "heading_error": 0.0,
        "lane_width": WIDTH,
        "off_lane": 0.0,
        "wrong_way": False,
        "speed_limit": 13.9,
        "path_ego": np.stack([np.arange(60.0), np.zeros(60)], -1),
        "junction_distance": inf,
        "lanes_ego": lines(),
        "lane_marks": np.array([1, 2, 1, 0], np.uint8),
        "light": LightState.UNKNOWN,
        "light_distance": inf,
        "light_id": "",
        "stop_distance": inf,
        "stop_id": "",
        "actors": np.zeros(0, ACTOR),
        "contacts": np.zeros(0, CONTACT),
        "crossings": (),
        "background_speed": 8.0,
    }
    return Facts(**(values | fields))


def tick(frame: int = 0, speed: float = 8.0, **fields: Any) -> Tick:
    return Tick(observation(frame, speed), facts(frame, speed, **fields))
