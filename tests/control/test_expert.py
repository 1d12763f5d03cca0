"""The expert and its kernels: known situations, and the geometry under them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from control_scenes import actor, tick
from numpy.typing import NDArray

from roadcraft.control import spacetime
from roadcraft.control.car import REAR_AXLE, accel_of, brake_for, curvature_of, steer_for, throttle_for
from roadcraft.control.expert import ExpertDriver
from roadcraft.control.knots import dense
from roadcraft.control.paths import curvatures, curve_speed, project, pursue, stations
from roadcraft.sim.geometry import world_to_ego
from roadcraft.sim.messages import Kind, LightState


def arc(radius: float, points: int = 60) -> NDArray[np.float64]:
    """A left turn (points, 2), 1 m apart."""
    angle = np.arange(points) / radius
    return radius * np.stack([np.sin(angle), 1 - np.cos(angle)], -1)


def accel(driver: ExpertDriver, **fields: object) -> float:
    speed = float(fields.pop("speed", 8.0))  # type: ignore[arg-type]
    control = driver(tick(speed=speed, **fields)).control
    return accel_of(control.throttle, control.brake, speed)


@pytest.mark.parametrize("speed", [0.0, 3.0, 8.0, 15.0, 25.0])
@pytest.mark.parametrize("curvature", [-0.15, -0.01, 0.0, 0.002, 0.1])
def test_steering_inverts(speed: float, curvature: float) -> None:
    assert curvature_of(steer_for(curvature, speed), speed) == pytest.approx(curvature, abs=1e-9)


@pytest.mark.parametrize("speed", [2.0, 8.0, 15.0])
@pytest.mark.parametrize("wanted", [-7.0, -2.0, 0.0, 1.0, 2.0])
def test_pedals_invert(speed: float, wanted: float) -> None:
    assert accel_of(throttle_for(wanted, speed), brake_for(wanted, speed), speed) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("radius", [8.0, 20.0, 100.0])
def test_curvature_of_an_arc(radius: float) -> None:
    assert curvatures(arc(radius, 40))[5:-5] == pytest.approx(1 / radius, rel=1e-6)


@pytest.mark.parametrize(("radius", "speed"), [(8.0, 4.0), (15.0, 6.0), (60.0, 12.0)])
def test_pursuit_keeps_a_bicycle_on_an_arc(radius: float, speed: float) -> None:
    world = np.concatenate([np.stack([np.arange(-20.0, 0.0), np.zeros(20)], -1), arc(radius, 40)])
    rear, yaw, errors = np.array([-15.0, 0.0]), 0.0, []
    for _ in range(int(35.0 / speed / 0.05)):
        heading = np.array([np.cos(yaw), np.sin(yaw)])
        pose = np.array([*(rear + REAR_AXLE * heading), yaw])
        ahead = world[int(np.hypot(*(world - pose[:2]).T).argmin()) :]
        curvature = pursue(world_to_ego(ahead, pose), speed)
        yaw += curvature * speed * 0.05
        rear = rear + speed * 0.05 * heading
        errors.append(abs(project(world, stations(world), *pose[:2])[1]))
    assert max(errors) < 0.3


def test_projection_has_its_sign_on_the_left() -> None:
    path = arc(20.0)
    s, lateral = project(path, stations(path), *(path[10] + 0.5 * (np.array([0.0, 20.0]) - path[10]) / 20.0))
    assert s == pytest.approx(10.0, abs=0.1)
    assert lateral == pytest.approx(0.5, abs=0.02)


def test_the_nearest_place_is_found_on_a_path_that_comes_back() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        turns = np.cumsum(random.normal(0.0, 0.08, 60) + random.uniform(-0.2, 0.2))
        path = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], -1), axis=0)
        fine = np.concatenate([np.linspace(a, b, 50) for a, b in pairwise(path)])
        place = path[int(random.integers(60))] + random.normal(0.0, 6.0, 2)
        _, lateral = project(path, stations(path), *place)
        assert abs(lateral) == pytest.approx(np.hypot(*(fine - place).T).min(), abs=0.02)


def test_a_curve_is_met_at_its_own_speed() -> None:
    assert curve_speed(arc(10.0), 15.0) == pytest.approx((2.5 * 10) ** 0.5, rel=0.05)
    straight = np.stack([np.arange(30.0), np.zeros(30)], -1)
    far = np.concatenate([straight, arc(10.0, 30) + np.array([30.0, 0.0])])
    assert 9.0 < curve_speed(far, 15.0) < 13.0


@pytest.mark.parametrize("radius", [6.0, 9.0, 15.0])
@pytest.mark.parametrize("phase", [0.0, 3.0, 7.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_corner_is_found_between_points_ten_metres_apart(radius: float, phase: float, side: int) -> None:
    at = np.arange(phase, 100.0, 10.0)
    turn = radius * np.pi / 2
    s = np.arange(0.0, 100.0, 0.1)
    yaw = np.clip(s - 40.0, 0.0, turn) / radius * side
    true = np.cumsum(0.1 * np.stack([np.cos(yaw), np.sin(yaw)], -1), 0)
    line = dense(true[(at * 10).astype(int)])
    near = np.hypot(*(line[:, None] - true[None]).transpose(2, 0, 1)).min(1)
    assert near.max() < 0.6
    assert np.hypot(*np.diff(line, axis=0).T)[:-1] == pytest.approx(1.0, abs=0.05)


def test_a_free_road_is_driven_up_to_the_limit() -> None:
    assert accel(ExpertDriver(), speed=5.0) > 0.5
    assert accel(ExpertDriver(), speed=16.0) < -0.2


@pytest.mark.parametrize("light", [LightState.RED, LightState.YELLOW])
def test_it_stops_for_red_and_for_yellow_in_time(light: LightState) -> None:
    assert accel(ExpertDriver(), light=light, light_distance=15.0, light_id="1") < -1.5
    assert accel(ExpertDriver(), light=LightState.GREEN, light_distance=15.0, light_id="1") > 0.0


def test_it_passes_a_yellow_light_that_comes_too_late() -> None:
    assert accel(ExpertDriver(), light=LightState.YELLOW, light_distance=3.0, light_id="1") > -0.3


def test_it_goes_on_after_a_full_stop_at_a_stop_sign() -> None:
    driver = ExpertDriver()
    assert accel(driver, speed=8.0, stop_distance=12.0, stop_id="s") < -1.5
    assert accel(driver, speed=0.0, stop_distance=0.8, stop_id="s") > 0.5


def test_it_keeps_its_distance() -> None:
    assert accel(ExpertDriver(), actors=actor(14.0, 0.0)) < -2.0
    assert accel(ExpertDriver(), actors=actor(40.0, 0.0, (8.0, 0.0))) > -0.5
    assert accel(ExpertDriver(), actors=actor(14.0, 3.5)) > 0.0


def test_it_yields_to_whoever_will_cross() -> None:
    crossing = actor(18.0, -10.0, (0.0, 5.0))
    assert accel(ExpertDriver(), actors=crossing) < -0.5
    gone = actor(18.0, -10.0, (0.0, -5.0))
    assert accel(ExpertDriver(), actors=gone) > 0.5
    walker = actor(14.0, -4.0, (0.0, 1.4), Kind.PEDESTRIAN)
    assert accel(ExpertDriver(), actors=walker) < -1.0


def test_it_passes_a_calm_walker_beside_its_way() -> None:
    assert accel(ExpertDriver(), speed=0.0, actors=actor(6.0, 1.7, (-1.2, 0.0), Kind.PEDESTRIAN)) > 0.5
    assert accel(ExpertDriver(), speed=5.0, actors=actor(6.0, 1.7, (0.0, -1.2), Kind.PEDESTRIAN)) < -1.0
    assert accel(ExpertDriver(), speed=0.0, actors=actor(4.5, 0.6, (0.0, 0.0), Kind.PEDESTRIAN)) < 0.1


def test_conflict_time_is_when_the_bumper_arrives() -> None:
    taken = np.full((1, spacetime.MOMENTS + 1, 2), [30.0, 32.0])
    room = 30.0 - spacetime.HALF_LENGTH - spacetime.GAP_AHEAD
    assert spacetime.conflict_time(taken, 10.0, 0.0, 20.0) == pytest.approx(room / 10.0, abs=spacetime.STEP)
    assert spacetime.conflict_time(taken, 10.0, -4.0, 20.0) >= spacetime.FREE


def test_reset_forgets() -> None:
    driver = ExpertDriver()
    accel(driver, speed=0.0, stop_distance=0.8, stop_id="s")
    driver.reset()
    assert accel(driver, speed=8.0, stop_distance=12.0, stop_id="s") < -1.5
