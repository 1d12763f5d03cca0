"""A late percept as of now: what stands there is where it is, who moves went on, what is not late is the very same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import perception_fakes as fake
import pytest
from numpy.typing import NDArray

from roadcraft.perception.percept import OBJECT, PATH_TIMES, Percept
from roadcraft.perception.present import Present
from roadcraft.perception.truth import TruthPerception
from roadcraft.sim.messages import LANE_X, Ego

SPEED, YAW_RATE, DT = 12.0, 0.3, 0.05


def ego(speed: float = SPEED, yaw_rate: float = YAW_RATE) -> Ego:
    return Ego(np.zeros(2), 0.0, speed, yaw_rate, np.zeros(2), 0.0)


def pose(time: float) -> tuple[NDArray[np.float64], float]:
    """Where a car is that drives a circle: place and yaw."""
    yaw, radius = YAW_RATE * time, SPEED / YAW_RATE
    return radius * np.array([np.sin(yaw), 1.0 - np.cos(yaw)]), yaw


def seen_from(time: float, world: NDArray[np.float64]) -> NDArray[np.float64]:
    """World points (N, 2) in the ego frame."""
    at, yaw = pose(time)
    c, s = np.cos(yaw), np.sin(yaw)
    return (world - at) @ np.array([[c, -s], [s, c]])


def percept(time: float, xy_world: NDArray[np.float64], velocity_world: NDArray[np.float64]) -> Percept:
    """What a car on the circle sees of others that keep their velocity."""
    objects = np.zeros(len(xy_world), OBJECT)
    _, yaw = pose(time)
    c, s = np.cos(yaw), np.sin(yaw)
    objects["xy_ego"] = seen_from(time, xy_world + velocity_world * time)
    objects["velocity_ego"] = velocity_world @ np.array([[c, -s], [s, c]])
    for k, ahead in enumerate(PATH_TIMES):
        objects["path_ego"][:, k] = seen_from(time, xy_world + velocity_world * (time + ahead))
    objects["yaw_ego"] = 0.5 - yaw
    base = TruthPerception(None)(fake.tick(0))
    lanes = np.full((4, len(LANE_X)), np.nan)
    return replace(base, frame=round(time / DT), time=time, objects=objects, lanes_ego=lanes)


def test_what_is_seen_late_is_where_it_would_be_seen_now() -> None:
    xy, velocity = np.array([[30.0, 4.0], [12.0, -3.0], [45.0, 10.0]]), np.array([[0.0, 0.0], [8.0, 1.0], [-5.0, 0.0]])
    present = Present()
    for k in range(11):
        present.move(k * DT, ego())
    for age in (1, 4, 8):
        late, now = percept((10 - age) * DT, xy, velocity), percept(10 * DT, xy, velocity)
        got = present(late)
        assert got.age(10 * DT) == pytest.approx(age * DT)  # how old its image is it still says
        for name in ("xy_ego", "velocity_ego", "yaw_ego"):
            np.testing.assert_allclose(got.objects[name], now.objects[name], atol=0.01)
        np.testing.assert_allclose(got.objects["path_ego"], now.objects["path_ego"], atol=0.02)


def test_what_is_not_late_stays_the_very_same() -> None:
    present, seen = Present(), percept(1.0, np.zeros((1, 2)), np.zeros((1, 2)))
    present.move(1.0, ego())
    assert present(seen) is seen
    present.reset()
    present.move(50.0, ego())
    assert present(seen) is seen  # from before what is remembered


def test_lines_and_distances_come_nearer() -> None:
    lanes = np.stack([2.0 + 0.1 * LANE_X, np.full(len(LANE_X), -1.5), 0.01 * LANE_X**2, np.full(len(LANE_X), np.nan)])
    seen = replace(percept(0.0, np.zeros((0, 2)), np.zeros((0, 2))), lanes_ego=lanes, light_distance=20.0)
    seen.lanes_ego[1, 5] = np.nan
    present = Present()
    for k in range(5):
        present.move(k * DT, ego(10.0, 0.0))
    got = present(seen)
    known = np.isfinite(got.lanes_ego)
    assert known[0, :9].all()
    assert not known[:, 9].any()  # nobody saw as far as that
    assert not known[1, 4:6].any()  # beside a point that was not seen
    assert not known[3].any()
    np.testing.assert_allclose(got.lanes_ego[0, :9], 2.0 + 0.1 * (LANE_X[:9] + 2.0))
    np.testing.assert_allclose(got.lanes_ego[2, :9], 0.01 * (LANE_X[:9] + 2.0) ** 2, atol=0.25)
    assert got.light_distance == pytest.approx(18.0)
    assert got.stop_distance == seen.stop_distance == np.inf
