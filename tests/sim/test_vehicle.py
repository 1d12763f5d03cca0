"""The vehicle against closed forms."""

from __future__ import annotations

from dataclasses import replace
from math import atan, hypot, sqrt, tan

import numpy as np
import pytest
from numba import njit

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import INDEX, VEHICLES, WALKERS, find
from roadcraft.sim.embedded.physics import DRY_FRICTION, PHYSICS, G, default_physics, default_row, pack
from roadcraft.sim.embedded.vehicle import (
    acceleration,
    advance,
    drive_force,
    gear_at,
    pedals_for,
    steer_for,
    turning_radius,
    wheel_angle_for,
)
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind

DT = 0.05
EGO = "vehicle.lincoln.mkz_2020"


@njit
def _run(body, physics, ticks, grip):  # type: ignore[no-untyped-def]
    for _ in range(ticks):
        advance(body[0], physics[0], 0.05, grip)


class Car:
    """One vehicle on an endless plane."""

    def __init__(self, blueprint: str = EGO, speed: float = 0.0, **controls: float) -> None:
        self.body, self.physics = np.zeros(1, BODY), np.zeros(1, PHYSICS)
        self.physics[0] = default_row(INDEX[blueprint])
        self.body["gravity"] = True
        self.body["velocity"][0, 0] = self.body["speed"] = speed
        self.set(**controls)

    def set(self, **controls: float) -> None:
        for name, value in controls.items():
            self.body[name] = value

    def run(self, ticks: int = 1, grip: float = 1.0) -> None:
        _run(self.body, self.physics, ticks, grip)

    def hold(self, speed: float) -> None:
        """One tick with the pedals that lead to that speed."""
        throttle, brake = pedals_for(self.physics[0], max(self.speed, 0.0), speed - self.speed)
        self.set(throttle=throttle, brake=brake)
        self.run()

    def __getattr__(self, name: str) -> float:
        return float(self.body[name][0])


def _mu(car: Car, which: str = "friction") -> float:
    return float(car.physics[which][0])


@pytest.mark.parametrize("steer", [-0.5, -0.1, 0.05, 0.2, 1.0])
def test_at_a_crawl_the_rear_axle_circles_with_wheelbase_over_tangent(steer: float) -> None:
    car = Car(speed=1.5, steer=steer)
    for _ in range(100):
        car.hold(1.5)
    expected = find(EGO).wheelbase / tan(abs(wheel_angle_for(car.physics[0], steer, car.speed)))
    assert car.speed / abs(car.yaw_rate) == pytest.approx(expected, rel=0.05)
    assert turning_radius(car.physics[0], steer, car.speed) == pytest.approx(expected)
    assert np.sign(car.yaw_rate) == np.sign(steer)


@pytest.mark.parametrize("speed", [5.0, 12.0, 20.0])
def test_a_balanced_car_steers_neutrally_well_below_the_limit(speed: float) -> None:
    car = Car(speed=speed)
    car.set(steer=steer_for(car.physics[0], atan(find(EGO).wheelbase * 2.0 / speed**2), speed))  # 2 m/s^2
    for _ in range(80):
        car.set(
            **dict(zip(("throttle", "brake"), pedals_for(car.physics[0], car.speed, speed - car.speed), strict=True))
        )
        car.run()
    assert car.yaw_rate * car.speed == pytest.approx(2.0, rel=0.05)


def test_tyres_give_no_more_than_friction_times_weight() -> None:
    car = Car(speed=25.0, steer=0.6)
    largest = 0.0
    for _ in range(60):
        car.run()
        largest = max(largest, hypot(*car.body["accel"][0, :2]))
    most = _mu(car, "cornering") * G
    assert 0.8 * most < largest < 1.03 * most + 0.5  # air and rolling resistance


@pytest.mark.parametrize(("speed", "grip"), [(10.0, 1.0), (27.78, 1.0), (20.0, 0.5)])
def test_full_braking_needs_the_distance_that_friction_allows(speed: float, grip: float) -> None:
    car = Car(speed=speed, brake=1.0)
    for _ in range(200):
        car.run(grip=grip)
    distance = float(car.body["xyz"][0, 0])
    bound = speed**2 / (2 * _mu(car) * grip * G)
    assert 0.94 * bound < distance < 1.02 * bound


def test_standing_still_is_exact() -> None:
    car = Car(speed=8.0, brake=0.7, steer=0.3)
    car.run(100)
    before = car.body.copy()
    car.run(200)
    assert car.speed == 0.0
    assert (before["xyz"] == car.body["xyz"]).all()
    assert (before["yaw"] == car.body["yaw"]).all()
    for control in ({"brake": 1.0}, {"brake": 0.0}, {"brake": 0.3, "throttle": 0.01}):
        idle = Car(**control)
        idle.run(100)
        assert (idle.body["xyz"] == 0).all(), control


def test_coasting_follows_the_closed_form() -> None:
    """m v' = -(c0 + c1 v^2): v = sqrt(c0/c1) tan(atan(v0 sqrt(c1/c0)) - sqrt(c0 c1) t / m), for a bicycle."""
    bicycle = Car("vehicle.bh.crossbike", speed=8.0)
    p = bicycle.physics[0]
    mass, c0, c1 = 1.04 * float(p["mass"]), float(p["rolling"] * p["mass"]) * G, float(p["drag"])
    for seconds in range(1, 9):
        bicycle.run(20)
        expected = sqrt(c0 / c1) * tan(atan(8.0 * sqrt(c1 / c0)) - sqrt(c0 * c1) * seconds / mass)
        assert bicycle.speed == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(
    "blueprint", ["vehicle.nissan.micra", "vehicle.micro.microlino", "vehicle.mitsubishi.fusorosa"]
)
def test_top_speed_is_where_forces_balance(blueprint: str) -> None:
    car = Car(blueprint, speed=20.0, throttle=1.0)
    car.run(5000)
    p, v = car.physics[0], car.speed
    force, _ = drive_force(p, v, 1.0, gear_at(p, v))
    resist = float(p["drag"]) * v**2 + float(p["rolling"] * p["mass"]) * G
    limited = gear_at(p, v) == int(p["gears"]) and force < resist * 1.05
    assert force == pytest.approx(resist, rel=0.05) or limited


def test_the_ego_accelerates_like_a_saloon() -> None:
    car = Car(throttle=1.0)
    ticks = 0
    while car.speed < 100 / 3.6:
        car.run()
        ticks += 1
    assert 7.0 < ticks * DT < 9.0


@pytest.mark.parametrize(
    "blueprint", [EGO, "vehicle.carlamotors.firetruck", "vehicle.yamaha.yzf", "vehicle.bh.crossbike"]
)
@pytest.mark.parametrize("speed", [0.0, 3.0, 9.0, 25.0])
def test_pedals_give_the_acceleration_that_was_asked_for(blueprint: str, speed: float) -> None:
    p = default_row(INDEX[blueprint])
    row = np.array([p])[0]
    low, high = acceleration(row, speed, 0.0, 1.0), acceleration(row, speed, 1.0, 0.0)
    for wanted in np.linspace(low if speed else 0.05, high, 9)[1:-1]:
        throttle, brake = pedals_for(row, speed, float(wanted))
        assert throttle == 0.0 or brake == 0.0
        assert acceleration(row, speed, throttle, brake) == pytest.approx(wanted, abs=0.02)
        if speed > 2.0:
            car = Car(blueprint, speed=speed, throttle=throttle, brake=brake)
            car.run()
            assert float(car.body["accel"][0, 0]) == pytest.approx(wanted, abs=0.15)


@pytest.mark.parametrize("speed", [0.0, 8.0, 30.0])
def test_steering_inverts(speed: float) -> None:
    row = np.array([default_row(INDEX[EGO])])[0]
    for steer in np.linspace(-1, 1, 21):
        assert steer_for(row, wheel_angle_for(row, float(steer), speed), speed) == pytest.approx(steer, abs=1e-6)


def test_a_car_pushed_sideways_slides_to_a_stop_by_friction() -> None:
    car = Car(brake=1.0)
    car.body["velocity"][0, 1] = 6.0
    car.run(60)
    assert hypot(*car.body["velocity"][0, :2]) == 0.0
    assert float(car.body["xyz"][0, 1]) == pytest.approx(36 / (2 * _mu(car, "cornering") * G), rel=0.1)


def test_reverse_gear_and_brakes_never_push() -> None:
    car = Car(throttle=0.3, reverse=True)
    car.run(60)
    assert car.speed < -1.0
    assert car.gear == -1
    car.set(throttle=0.0, brake=1.0)
    speeds = []
    for _ in range(60):
        car.run()
        speeds.append(car.speed)
    assert max(speeds) <= 0.0
    assert speeds[-1] == 0.0


def test_braking_takes_grip_from_the_rear_wheels_and_power_gives_it_back() -> None:
    """Load transfer m a h / wheelbase: the sideways force of saturated tyres at the rear follows the load there."""
    turned = {}
    for name, controls in (("braking", {"brake": 0.35}), ("rolling", {}), ("power", {"throttle": 0.5})):
        car = Car(speed=25.0, steer=0.25, **controls)
        car.run(12)
        c, s = np.cos(car.yaw), np.sin(car.yaw)
        vx, vy = car.body["velocity"][0, :2]
        turned[name] = abs(np.arctan2(c * vy - s * vx, c * vx + s * vy))
    assert turned["braking"] > turned["rolling"] > turned["power"], turned


def test_the_catalogue_has_every_kind_of_vehicle() -> None:
    assert {b.base_type for b in VEHICLES} == {"car", "van", "truck", "bus", "motorcycle", "bicycle"}
    assert {b.kind for b in VEHICLES} == {Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.MOTORCYCLE, Kind.BICYCLE}


@pytest.mark.parametrize("blueprint", [b.id for b in VEHICLES])
def test_every_vehicle_drives_turns_and_stops(blueprint: str) -> None:
    car = Car(blueprint, throttle=1.0)
    car.run(120)
    assert car.speed > 3.0
    car.set(steer=1.0)
    car.run(60)
    car.set(throttle=0.0, brake=1.0)
    car.run(300)
    assert hypot(*car.body["velocity"][0, :2]) == 0.0
    assert np.isfinite(car.body["xyz"]).all()


def test_physics_that_cannot_be_are_named() -> None:
    physics = default_physics(EGO)
    for name, value in (
        ("mass", -1.0),
        ("radius", 0.0),
        ("gears", ()),
        ("max_steer", 2.0),
        ("drag_area", float("nan")),
    ):
        with pytest.raises(UserError, match=name):
            pack(replace(physics, **{name: value}))
    with pytest.raises(UserError, match="torque_curve"):
        pack(replace(physics, torque_curve=((1000.0, 1.0), (0.0, 1.0))))
    with pytest.raises(UserError, match="no vehicle"):
        default_physics(WALKERS[0].id)
    with pytest.raises(UserError, match=r"no blueprint 'vehicle\.nothing'"):
        find("vehicle.nothing")


def test_heavier_cars_are_slower_and_half_the_grip_doubles_the_way_to_a_stop() -> None:
    physics = default_physics(EGO)
    ways = []
    for changed in (physics, replace(physics, tire_friction=DRY_FRICTION / 2)):
        car = Car(speed=15.0, brake=1.0)
        car.physics[0] = pack(changed)
        car.run(150)
        ways.append(float(car.body["xyz"][0, 0]))
    assert ways[1] == pytest.approx(2 * ways[0], rel=0.05)
    heavy = np.array([pack(replace(physics, mass=2 * physics.mass))])[0]
    assert acceleration(heavy, 10.0, 0.5, 0.0) < acceleration(np.array([pack(physics)])[0], 10.0, 0.5, 0.0)


def test_a_car_corners_as_hard_as_sticky_tyres_and_its_height_allow() -> None:
    """CARLA's tyres of 3.5 hold on a road of 0.7 until the car tips; those of 1.6 slide first; 0.5 hold as along it."""
    physics = default_physics(EGO)
    tipping = physics.track / 2 / physics.centre_of_mass[2]
    assert 1.2 < tipping < 0.7 * 3.5
    for tyres, most in ((3.5, tipping), (1.6, 1.6 * 0.7), (0.5, 0.5)):
        car = Car(speed=25.0, steer=0.6)
        car.physics[0] = pack(replace(physics, tire_friction=tyres))
        sideways = 0.0
        for _ in range(60):
            car.run()
            ax, ay = car.body["accel"][0, :2]
            sideways = max(sideways, abs(ay * np.cos(car.yaw) - ax * np.sin(car.yaw)))
        assert sideways == pytest.approx(most * G, rel=0.1)


def test_a_strong_car_that_slides_is_caught_by_steering_against_it_under_power() -> None:
    """As CARLA's agents do: braking into a turn at 50 km/h, then three quarters of the throttle."""
    car = Car("vehicle.dodge.charger_2020", speed=13.8)
    slips = []
    for steer in (*np.linspace(0.0, 0.8, 8), *[0.8] * 10, *np.linspace(0.7, -0.8, 16), *[-0.8] * 10):
        power = len(slips) >= 20
        car.set(steer=float(steer), throttle=0.75 * power, brake=0.3 * (not power))
        car.run()
        c, s = np.cos(car.yaw), np.sin(car.yaw)
        vx, vy = car.body["velocity"][0, :2]
        slips.append(abs(np.degrees(np.arctan2(c * vy - s * vx, c * vx + s * vy))))
    assert max(slips) < 45
    assert slips[-1] < 15
