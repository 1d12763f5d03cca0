"""The supervisor over a grid of situations, and by mutation: each limit, taken away, makes its own case fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from control_scenes import ego, observation, percept, seen

from roadcraft.control.car import accel_of, curvature_of, steer_for, throttle_for
from roadcraft.control.features import Features
from roadcraft.control.paths import curve_speed
from roadcraft.control.supervisor import Limits, Supervisor
from roadcraft.perception.percept import Percept
from roadcraft.sim.messages import DT, Camera, Control, Kind, Observation

YAW_RATE = 0.5  # rad/s
SPEEDS = (3.0, 8.0, 14.0)
RED, GREEN = np.array([0.97, 0.01, 0.01, 0.01]), np.array([0.01, 0.01, 0.97, 0.01])
Scene = Callable[[int], tuple[Observation, Percept]]


def run(scene: Scene, wish: Control, ticks: int = 12, limits: Limits | None = None) -> tuple[Control, str]:
    """What comes out at the last of `ticks` ticks of a scene in which the policy keeps its wish."""
    supervisor, features = Supervisor(limits), Features()
    out, reason = wish, ""
    for frame in range(ticks):
        seen_now, perceived = scene(frame)
        features.update(seen_now, perceived)
        out, reason = supervisor(seen_now, perceived, features, wish)
    return out, reason


def scene(speed: float = 8.0, rgb: Any = None, **fields: Any) -> Scene:
    """The same percept again and again on a straight road; the clock runs."""
    return lambda frame: (observation(frame, speed, rgb=rgb(frame) if rgb else None), percept(frame, **fields))


def bend(begins: float, radius: float = 10.0) -> np.ndarray:
    """Path (60, 2) that goes straight, then left in a circle from `begins` [m] on."""
    s = np.arange(60.0)
    turned = np.maximum(s - begins, 0.0) / radius
    return np.stack([np.minimum(s, begins) + radius * np.sin(turned), radius * (1.0 - np.cos(turned))], -1)


def turning(speed: float) -> Scene:
    """A street that bends to the left 15 m ahead, without lines."""
    route = bend(15.0, 8.0)[10::10]
    route = np.concatenate([route, np.repeat(route[-1:], 20 - len(route), 0)])
    none = np.array([0.05, 0.05, 0.05, 0.05])
    return lambda frame: (observation(frame, speed, route_ego=route), percept(frame, lane_prob=none))


def accel(control: Control, speed: float) -> float:
    return accel_of(control.throttle, control.brake, speed)


def roll(speed: float = 8.0) -> Control:
    """A wish that keeps the speed."""
    return Control(0.0, throttle_for(0.0, speed))


def noise(frame: int) -> np.ndarray:
    return np.random.default_rng(frame).integers(0, 255, (90, 160, 3), np.uint8)


def drives_off(frame: int) -> np.ndarray:
    """The camera of a car that stands for ten frames, then drives."""
    return noise(max(frame - 9, 0))


def others_move(frame: int) -> np.ndarray:
    """The camera of a car that stands while others pass far ahead."""
    picture = noise(0).copy()
    picture[50:60] = noise(frame)[50:60]
    return picture


def turns(pictured: float) -> Scene:
    """A car that turns at YAW_RATE on a textured road while its picture turns at `pictured` [rad/s]."""
    camera = Camera(160, 90)

    def now(frame: int) -> tuple[Observation, Percept]:
        picture = noise(frame)
        far = np.repeat(noise(0)[:50, ::8], 8, 1)
        picture[:50] = np.roll(far, round(frame * pictured * DT * camera.focal), 1)
        car = replace(ego(8.0), yaw_rate=YAW_RATE)
        return observation(frame, 8.0, rgb=picture, camera=camera, ego=car), percept(frame)

    return now


@pytest.mark.parametrize("speed", SPEEDS)
def test_a_free_road_leaves_the_wish_alone(speed: float) -> None:
    assert run(scene(speed), roll(speed)) == (roll(speed), "")


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("kind", [Kind.CAR, Kind.PEDESTRIAN])
def test_an_obstacle_that_needs_hard_braking_gets_it(speed: float, kind: Kind) -> None:
    bumper_to_middle = 2.45 + (0.3 if kind == Kind.PEDESTRIAN else 2.25)
    room = speed * speed / (2 * 6.0) + 0.7
    control, reason = run(scene(speed, objects=seen(room + bumper_to_middle, 0.0, kind=kind)), roll(speed))
    assert reason == "obstacle"
    assert accel(control, speed) < -6.0


@pytest.mark.parametrize("speed", SPEEDS)
def test_an_obstacle_far_away_or_beside_the_lane_does_not_matter(speed: float) -> None:
    for objects in (seen(speed * speed / 4 + 15.0, 0.0), seen(8.0, 3.5), seen(10.0, 0.0, (speed, 0.0))):
        assert run(scene(speed, objects=objects), roll(speed))[1] == ""


def test_somebody_about_to_cross_is_braked_for() -> None:
    objects = seen(10.0, -4.0, (0.0, 4.0))
    assert run(scene(10.0, objects=objects), roll(10.0))[1] == "obstacle"


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("sign", ["light", "stop"])
def test_a_line_is_not_run_over(speed: float, sign: str) -> None:
    distance = speed * speed / (2 * 3.5) + 1.0
    fields: dict[str, Any] = {"light": RED, "light_distance": distance}
    if sign == "stop":
        fields = {"stop_prob": 0.95, "stop_distance": distance}
    control, reason = run(scene(0.0 if speed == 0 else speed, **fields), roll(speed), ticks=4)
    assert reason == {"light": "red_light", "stop": "stop_sign"}[sign]
    assert accel(control, speed) < -2.5


def test_green_is_no_reason_to_stop_and_red_far_away_neither() -> None:
    assert run(scene(8.0, light=GREEN, light_distance=6.0), roll(), ticks=4)[1] == ""
    assert run(scene(8.0, light=RED, light_distance=60.0), roll(), ticks=4)[1] == ""


def test_it_holds_the_car_at_a_red_light() -> None:
    control, reason = run(scene(0.0, light=RED, light_distance=0.2), Control(0.0, 0.6), ticks=6)
    assert (reason, control.throttle) == ("red_light", 0.0)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("steer", [-1.0, -0.4, 0.4, 1.0])
def test_lateral_acceleration_stays_within_its_limit(speed: float, steer: float) -> None:
    control, _ = run(scene(speed), Control(steer), ticks=40)
    assert abs(curvature_of(control.steer, speed)) * speed**2 <= Limits().lateral_accel * 1.05


def test_lateral_jerk_stays_within_its_limit() -> None:
    speed, supervisor, features = 12.0, Supervisor(), Features()
    steers = []
    for frame in range(30):
        seen_now, perceived = scene(speed)(frame)
        features.update(seen_now, perceived)
        wish = Control(steer_for(0.02 if frame >= 10 else -0.02, speed))
        steers.append(supervisor(seen_now, perceived, features, wish)[0].steer)
    lateral = speed**2 * np.array([curvature_of(s, speed) for s in steers])
    over_half_a_second = np.abs(lateral[10:] - lateral[:-10]) / 0.5
    assert over_half_a_second.max() < 2 * 3.0 / 0.5  # reaches the other side no faster than in one window
    assert np.abs(np.diff(lateral)).max() < 1.2


FAULTS: dict[str, dict[str, Any]] = {
    "stale_percept": {"time": -1.0},
    "invalid_percept": {"light": np.full(4, np.nan)},
    "unsure_percept": {"confidence": 0.1},
}


@pytest.mark.parametrize("reason", FAULTS)
@pytest.mark.parametrize("speed", SPEEDS)
def test_who_cannot_see_stops(reason: str, speed: float) -> None:
    def faulty(frame: int) -> tuple[Observation, Percept]:
        return observation(frame, speed), percept(frame, **(FAULTS[reason] if frame > 3 else {}))

    control, why = run(faulty, roll(speed), ticks=8)
    assert why == reason
    assert accel(control, speed) < -3.0


def test_a_missing_percept_stops_the_car_too() -> None:
    supervisor, features = Supervisor(), Features()
    features.update(observation(0), percept(0))
    control, why = supervisor(observation(1), None, features, roll())
    assert (why, control.throttle) == ("missing_percept", 0.0)
    assert control.brake > 0.3


def test_a_dark_or_frozen_picture_stops_the_car() -> None:
    assert run(scene(8.0, rgb=lambda frame: np.zeros((90, 160, 3), np.uint8)), roll())[1] == "dark_image"
    assert run(scene(8.0, rgb=lambda frame: noise(0)), roll())[1] == "frozen_image"
    assert run(scene(8.0, rgb=noise), roll())[1] == ""
    assert run(scene(0.0, rgb=lambda frame: noise(0)), Control(0.0, 0.4))[1] == ""


def test_a_frozen_picture_stays_frozen_when_the_car_stands() -> None:
    supervisor, features = Supervisor(), Features()
    why = ""
    for frame in range(20):
        now, perceived = scene(8.0 if frame < 10 else 0.0, rgb=lambda _: noise(0))(frame)
        features.update(now, perceived)
        _, why = supervisor(now, perceived, features, Control(0.0, 0.5))
    assert why == "frozen_image"


def test_a_picture_that_moves_while_the_car_stands_is_not_believed() -> None:
    assert run(scene(0.0, rgb=drives_off), Control(0.0, 0.5), ticks=40)[1] == "implausible_image"

    def someone_walks(frame: int) -> np.ndarray:
        picture = noise(0).copy()
        picture[40:, frame : frame + 20] = 0
        return picture

    assert run(scene(0.0, rgb=someone_walks), Control(0.0, 0.5), ticks=40)[1] == ""


def test_a_camera_that_fails_again_and_again_is_given_up() -> None:
    supervisor, features, whys = Supervisor(), Features(), []
    for frame in range(120):
        stuck = (frame // 10) % 2 and frame < 80
        now, perceived = scene(8.0, rgb=lambda f, stuck=stuck: noise(f // 10 * 10 if stuck else f))(frame)
        features.update(now, perceived)
        whys.append(supervisor(now, perceived, features, roll())[1])
    assert whys[2] == ""
    assert whys[22] == ""
    assert whys[-1] == "failed_camera"
    supervisor.reset()
    assert supervisor(*scene(8.0, rgb=noise)(0), features, roll())[1] == ""


def test_pictures_of_another_drive_give_the_camera_up() -> None:
    """Whenever the car stands, the pictures go on: three times."""
    for failures, reason in ((3, "failed_camera"), (10**9, "")):
        supervisor, features, why = Supervisor(replace(Limits(), failures=failures)), Features(), ""
        for frame in range(700):
            stands = frame // 80 % 2 == 0 and frame < 500
            now, perceived = scene(0.0 if stands else 8.0, rgb=drives_off)(frame)
            features.update(now, perceived)
            _, why = supervisor(now, perceived, features, roll())
        assert why == reason


def test_a_picture_that_does_not_turn_with_the_car_is_not_believed() -> None:
    assert run(turns(0.0), roll(), ticks=30)[1] == "implausible_image"
    assert run(turns(-YAW_RATE), roll(), ticks=30)[1] == "implausible_image"
    assert run(turns(YAW_RATE), roll(), ticks=30)[1] == ""


def test_a_road_that_stands_while_the_car_rolls_is_not_believed() -> None:
    assert run(scene(8.0, rgb=others_move), roll(), ticks=30)[1] == "implausible_image"
    assert run(scene(1.0, rgb=others_move), roll(1.0), ticks=30)[1] == ""


def test_a_camera_that_is_never_still_may_be_looked_through_at_rest() -> None:
    """Its noise is there from the first picture on: not the road moves."""
    assert run(scene(0.0, rgb=noise), Control(0.0, 0.5), ticks=80)[1] == ""


def test_a_curve_is_reached_slowly_enough() -> None:
    """Whoever wishes to roll on at 11 m/s enters a curve of 10 m no faster than a passenger bears."""
    supervisor, features = Supervisor(), Features()
    speed, left, reasons, frame = 11.0, 40.0, set(), 0
    while left > 0.0:
        now, perceived = scene(speed)(frame)
        features.update(now, perceived)
        features.path = bend(left)
        control, why = supervisor(now, perceived, features, roll(speed))
        reasons.add(why)
        speed, left, frame = speed + accel(control, speed) * DT, left - speed * DT, frame + 1
    assert reasons == {"", "curve"}
    limits = supervisor.limits
    assert 4.0 < speed < (limits.lateral_accel * 10.0) ** 0.5 + limits.curve_excess + 0.5


def test_what_a_curve_is_too_fast_by_is_braked_away_within_a_second() -> None:
    """A curve of 10 m begins 9 m ahead: sqrt(3 * 10 + 2 * 2 * 8) m/s now is fast enough; whoever drives 1.5 m/s more
    brakes with the comfortable 2 m/s^2 and the 1 m/s above the excess that is let pass."""
    now, perceived = scene(5.0)(0)
    supervisor, features = Supervisor(), Features()
    features.update(now, perceived)
    features.path = bend(9.0)
    most = curve_speed(features.path, 1e9, 3.0)
    assert most == pytest.approx((3.0 * 10.0 + 2.0 * 2.0 * 8.0) ** 0.5, abs=0.5)
    speed = most + 1.5
    control, why = supervisor(observation(1, speed), percept(1), features, roll(speed))
    assert why == "curve"
    assert accel(control, speed) == pytest.approx(-3.0, abs=0.05)


def test_a_curve_that_is_slow_enough_is_left_alone() -> None:
    now, perceived = scene(5.0)(0)
    features = Features()
    features.update(now, perceived)
    features.path = bend(10.0)
    assert Supervisor()(now, perceived, features, roll(5.0)) == (roll(5.0), "")


MUTATIONS = {
    "lateral_accel": (1e9, scene(14.0), Control(0.5), 12),
    "lateral_jerk": (1e9, scene(12.0), Control(steer_for(0.02, 12.0)), 2),
    "brake_need": (1e9, scene(8.0, objects=seen(10.5, 0.0)), roll(), 12),
    "gap": (-1.0, scene(1.0, objects=seen(4.9, 0.0, (1.5, 0.0))), roll(1.0), 12),
    "headway": (0.0, scene(2.0, objects=seen(5.1, 0.0, (2.6, 0.0))), roll(2.0), 4),
    "time_to_collision": (-1.0, scene(10.0, objects=seen(10.0, -4.0, (0.0, 4.0))), roll(10.0), 12),
    "line_need": (1e9, scene(8.0, light=RED, light_distance=9.0), roll(), 4),
    "certainty": (2.0, scene(8.0, light=RED, light_distance=9.0), roll(), 4),
    "stale": (1e9, scene(8.0, time=0.0), roll(), 12),
    "frozen": (10**9, scene(1.0, rgb=lambda frame: noise(0)), roll(1.0), 12),
    "moving": (1e9, scene(1.0, rgb=lambda frame: noise(0)), roll(1.0), 12),
    "contrast": (-1.0, scene(8.0, rgb=lambda frame: np.full((90, 160, 3), frame, np.uint8)), roll(), 12),
    "restless": (1e9, scene(0.0, rgb=drives_off), Control(0.0, 0.5), 40),
    "settle": (1e9, scene(0.0, rgb=drives_off), Control(0.0, 0.5), 40),
    "stirs": (1e9, scene(0.0, rgb=drives_off), Control(0.0, 0.5), 40),
    "doubt": (0.0, scene(0.0, rgb=drives_off), Control(0.0, 0.5), 40),
    "rolling": (1e9, scene(8.0, rgb=others_move), roll(), 30),
    "calm": (1e9, scene(8.0, rgb=others_move), roll(), 30),
    "texture": (1e9, scene(8.0, rgb=others_move), roll(), 30),
    "turned": (1e9, turns(0.0), roll(), 30),
    "share": (-1.0, turns(0.0), roll(), 30),
    "span": (0.1, turns(0.0), roll(), 30),
    "peak": (2.0, turns(0.0), roll(), 30),
    "confidence": (-1.0, scene(8.0, confidence=0.1), roll(), 12),
    "curve_excess": (1e9, turning(14.0), roll(14.0), 12),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_limit_matters(name: str) -> None:
    removed, case, wish, ticks = MUTATIONS[name]

    def vetoed(limits: Limits) -> bool:
        supervisor, features, reasons = Supervisor(limits), Features(), set[str]()
        for frame in range(ticks):
            now, perceived = case(frame)
            features.update(now, perceived)
            wished = Control() if name == "lateral_jerk" and frame == 0 else wish
            reasons.add(supervisor(now, perceived, features, wished)[1])
        return reasons != {""}

    assert vetoed(Limits())
    assert not vetoed(replace(Limits(), **{name: removed}))


@pytest.mark.parametrize("name", ["brake", "stop"])
def test_the_strength_of_a_stop_is_its_limit(name: str) -> None:
    case = scene(8.0, objects=seen(8.0, 0.0)) if name == "brake" else scene(8.0, confidence=0.1)
    hard, _ = run(case, roll())
    soft, _ = run(case, roll(), limits=replace(Limits(), **{name: 1.0}))
    assert hard.brake > soft.brake + 0.2


def test_yellow_is_passed_only_where_stopping_would_be_hard() -> None:
    yellow = np.array([0.01, 0.97, 0.01, 0.01])
    near, far = scene(10.0, light=yellow, light_distance=8.0), scene(10.0, light=yellow, light_distance=17.5)
    assert run(near, roll(10.0), ticks=3)[1] == ""
    assert run(far, roll(10.0), ticks=3)[1] == "red_light"
    assert run(near, roll(10.0), ticks=3, limits=replace(Limits(), yellow_need=9.0))[1] == "red_light"
