"""Features, planner and localiser: invariances, and errors that are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from control_scenes import WIDTH, lines, observation, percept, seen, straight_route
from numpy.typing import NDArray

from roadcraft.control.features import Features
from roadcraft.control.layout import LAYOUT, SIZE, mirrored, part
from roadcraft.control.localiser import Localiser
from roadcraft.perception.percept import Percept
from roadcraft.sim.localisation import SPEED_SIGMA, Localisation
from roadcraft.sim.messages import DT, LANE_X, Command, Ego, Observation
from roadcraft.sim.referee import STOPPED_SPEED

NO_ACTION = np.zeros(2, np.float32)


def vector(observed: Callable[[int], Observation], perceived: Callable[[int], Percept], ticks: int = 8) -> NDArray[Any]:
    features = Features()
    for frame in range(ticks):
        features.update(observed(frame), perceived(frame))
    return features.vector(NO_ACTION)


def test_the_layout_fills_the_vector() -> None:
    assert sum(size for _, size in LAYOUT) == SIZE
    assert part(LAYOUT[-1][0]).stop == SIZE
    with pytest.raises(KeyError):
        part("nothing")


def test_everything_is_finite_and_within_bounds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        objects = np.concatenate(
            [seen(*rng.uniform(-50, 60, 2), tuple(rng.normal(0, 8, 2)), track=i) for i in range(6)]
        )
        fields = {
            "objects": objects,
            "lanes_ego": rng.normal(0, 5, (4, 10)),
            "light": rng.dirichlet(np.ones(4)),
            "light_distance": rng.uniform(0, 80),
            "stop_prob": rng.random(),
            "stop_distance": rng.uniform(0, 80),
        }
        v = vector(lambda f: observation(f, rng.uniform(-1, 30)), lambda f, fields=fields: percept(f, **fields), 3)
        assert np.isfinite(v).all()
        assert np.abs(v).max() <= 1.0


def test_a_mirrored_scene_gives_the_mirrored_vector() -> None:
    def scene(side: int) -> NDArray[Any]:
        route = np.stack([straight_route()[:, 0], side * 0.002 * straight_route()[:, 0] ** 2], -1)
        command = Command.LEFT if side > 0 else Command.RIGHT
        y = np.array([5.2, 1.7, -1.8, np.nan])
        shape = np.repeat((y if side > 0 else -y[::-1])[:, None], 10, 1)
        chance = np.array([0.9, 0.8, 0.95, 0.05])[:: 1 if side > 0 else -1]
        objects = np.concatenate(
            [seen(20.0, side * 2.0, (3.0, side * 1.0)), seen(9.0, -side * 4.0, (0.0, side * 1.0), track=2)]
        )
        fields = {"lanes_ego": shape, "lane_prob": chance, "objects": objects}
        fields["lane_marks"] = np.array([1, 2, 1, 0], np.uint8)[:: 1 if side > 0 else -1]
        return vector(lambda f: observation(f, 0.0, route_ego=route, command=command), lambda f: percept(f, **fields))

    left, right = scene(1), scene(-1)
    assert mirrored(mirrored(left)) == pytest.approx(left)
    assert mirrored(left) == pytest.approx(right, abs=1e-4)
    assert np.abs(left - right).max() > 0.1


def test_the_scene_may_stand_anywhere_in_the_world() -> None:
    def at(xy: tuple[float, float], yaw: float) -> NDArray[Any]:
        place = Ego(np.array(xy), yaw, 0.0, 0.0, np.zeros(2), 0.0)
        return vector(lambda f: observation(f, ego=place), lambda f: percept(f, objects=seen(15.0, 1.0, (2.0, 0.0))))

    assert at((0.0, 0.0), 0.0) == pytest.approx(at((-230.0, 71.0), 2.1), abs=1e-3)


def test_reset_forgets_everything() -> None:
    features = Features()
    for frame in range(20):
        features.update(observation(frame), percept(frame, lanes_ego=lines(0.8), stop_prob=0.9, stop_distance=5.0))
    features.reset()
    features.update(observation(0), percept(0))
    fresh = Features()
    fresh.update(observation(0), percept(0))
    assert np.array_equal(features.vector(NO_ACTION), fresh.vector(NO_ACTION))


@pytest.mark.parametrize("offset", [-1.2, -0.4, 0.9])
@pytest.mark.parametrize("yaw", [0.0, 1.1, -2.7])
def test_the_gnss_error_across_the_street_is_found(offset: float, yaw: float) -> None:
    """The route, as GNSS shows it, lies beside the lane: the plan moves into the lane."""
    features = Features()
    for frame in range(30):
        place = Ego(np.array([3.0, 8.0]), yaw, 0.0, 0.0, np.zeros(2), 0.0)
        seen_now = observation(frame, ego=place, route_ego=straight_route(-offset))
        features.update(seen_now, percept(frame, lanes_ego=lines()))
    assert np.abs(features.path[:30, 1]).max() < 0.1
    error = features.planner.localiser.error
    assert error @ (-np.sin(yaw), np.cos(yaw)) == pytest.approx(offset, abs=0.1)


def test_drift_of_gnss_is_told_from_motion() -> None:
    """The car drives straight on, GNSS says that it wanders to the left: the error grows by about half of that.

    Errors tend back to nothing, so one that has risen by a metre began, most likely, half a metre below.
    """
    localiser = Localiser()
    for k in range(101):
        xy = np.array([8.0 * k * DT, 0.01 * k])
        localiser.move(Ego(xy, 0.0, 8.0, 0.0, np.zeros(2), 0.0), 0.0, DT)
    assert localiser.error[0] == pytest.approx(0.0, abs=1e-6)
    assert localiser.error[1] == pytest.approx(0.55, abs=0.1)


def test_drift_alone_tells_something_of_the_error() -> None:
    """Large errors come back: after two minutes the estimate is better than none and than all drift added up."""
    misses, errors, sums = [], [], []
    for seed in range(40):
        gnss, localiser, first = Localisation(seed), Localiser(), np.zeros(2)
        for k in range(2400):
            x = 8.0 * k * DT
            ego = gnss(np.array([x, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0]), 0.0)
            localiser.move(replace(ego, speed=8.0, yaw_rate=0.0), 0.0, DT)
            error = ego.xy_world - (x, 0.0)
            first = error if k == 0 else first
        misses.append(localiser.error - error)
        errors.append(error)
        sums.append(error - first - error)
    rms = [float(np.sqrt(np.mean(np.square(each)))) for each in (misses, errors, sums)]
    assert rms[0] < 0.8 * min(rms[1:])


def test_a_lane_change_is_no_gnss_error() -> None:
    """The route leads over to the left lane while the lines are still those of ours: no reason to stay."""
    route = np.stack([np.arange(1, 21) * 10.0, np.clip(0.9 * np.arange(20), 0.0, WIDTH)], -1)
    kept = {}
    for command in (Command.FOLLOW, Command.CHANGE_LEFT):
        features = Features()
        for frame in range(60):
            features.update(observation(frame, 0.0, command=command, route_ego=route), percept(frame))
        kept[command] = float(features.path[30, 1])
    assert kept[Command.CHANGE_LEFT] == pytest.approx(1.8, abs=0.1)
    assert kept[Command.FOLLOW] < kept[Command.CHANGE_LEFT] - 0.1


def test_another_lane_is_not_taken_for_the_routes() -> None:
    """Once the lane is known, a view of the neighbour lane's lines moves nothing by a whole lane."""
    features = Features()
    for frame in range(40):
        moved = lines() if frame < 20 else lines()[[1, 2, 3, 3]]
        features.update(observation(frame, 0.0), percept(frame, lanes_ego=moved, lane_prob=np.full(4, 0.9)))
    assert np.abs(features.path[:20, 1]).max() < 0.5


def test_a_served_stop_sign_lets_the_car_go() -> None:
    features = Features()
    for frame in range(20):
        features.update(observation(frame, 4.0), percept(frame, stop_prob=0.95, stop_distance=5.0 - 4.0 * frame * DT))
    assert features.signs.stop > 0.5
    for frame in range(20, 30):
        features.update(observation(frame, 0.0), percept(frame, stop_prob=0.95, stop_distance=1.0))
    assert features.signs.served
    assert features.signs.stop == 0.0


def test_who_still_rolls_has_not_served_a_stop_sign() -> None:
    """The wheels' sensor errs: a car faster than the full stop that counts may seem slower than it for a tick."""
    features, rolling = Features(), STOPPED_SPEED + 0.5 * SPEED_SIGMA
    noise = np.random.default_rng(0).standard_normal(40)
    for frame, error in enumerate(noise):
        speed = rolling + SPEED_SIGMA * error
        line = max(1.0, 1.8 - rolling * frame * DT)
        features.update(observation(frame, speed), percept(frame, stop_prob=0.95, stop_distance=line))
    assert (rolling + SPEED_SIGMA * noise).min() < STOPPED_SPEED
    assert not features.signs.served


def test_a_car_that_stands_learns_nothing_of_the_lines_distance() -> None:
    """It sees the same picture with the same error again: it must not creep over a line that seems to draw back."""
    features, red = Features(), np.array([0.97, 0.01, 0.01, 0.01])
    for frame in range(20):
        line = 5.0 - 4.0 * frame * DT
        features.update(observation(frame, 4.0), percept(frame, light=red, light_distance=line))
    near = features.signs.light_distance
    assert near == pytest.approx(1.2, abs=0.3)
    for frame in range(20, 220):
        features.update(observation(frame, 0.0), percept(frame, light=red, light_distance=line + 0.02 * (frame - 19)))
    assert features.signs.light_distance == near


def test_a_car_that_goes_at_green_does_not_heed_the_lights_for_others_in_the_junction() -> None:
    """Until it is through: the next junction's light counts again, and so does a red one that it only rolls up to."""
    red, green = np.array([0.97, 0.01, 0.01, 0.01]), np.array([0.01, 0.01, 0.97, 0.01])
    for first, counts in ((green, False), (red, True)):
        features = Features()
        for frame in range(30):
            features.update(observation(frame, 2.0), percept(frame, light=first, light_distance=3.0 - 2.0 * frame * DT))
        for frame in range(30, 60):
            features.update(observation(frame, 2.0), percept(frame, light=red, light_distance=1.0))
        assert (features.signs.light[0] > 0.5) == counts
    features = Features()
    for frame in range(30):
        features.update(observation(frame, 2.0), percept(frame, light=green, light_distance=3.0 - 2.0 * frame * DT))
    for frame in range(30, 60):
        features.update(observation(frame, 2.0), percept(frame, light=red, light_distance=60.0))
    assert features.signs.light[0] > 0.9


@pytest.mark.parametrize(("first", "x", "there"), [(0.8, 5.0, True), (0.4, 5.0, False), (0.8, 11.0, False)])
def test_who_was_certain_is_not_lost_close_before_the_car(first: float, x: float, there: bool) -> None:
    """What is cut off by the picture's edges is hardly told from road."""
    features = Features()
    for frame in range(40):
        at, score = (12.0, first) if frame < 20 else (x, 0.15)
        someone = seen(at, 0.0)
        someone["score"] = score
        features.update(observation(frame, 0.0), percept(frame, objects=someone))
    assert bool(len(features.others)) == there


def test_a_few_green_frames_at_a_red_light_send_nobody_over_the_line() -> None:
    red, green = np.array([0.97, 0.01, 0.01, 0.01]), np.array([0.01, 0.01, 0.97, 0.01])
    features = Features()
    for frame in range(80):
        state = green if 40 <= frame < 46 or frame >= 60 else red
        features.update(observation(frame, 0.0), percept(frame, light=state, light_distance=4.0))
        if 40 <= frame < 60:
            assert features.signs.light[0] > 0.6
    assert features.signs.light[2] > 0.6


def test_a_red_light_out_of_sight_is_remembered_for_a_while() -> None:
    features, gone = Features(), np.array([0.01, 0.01, 0.01, 0.97])
    red = np.array([0.97, 0.01, 0.01, 0.01])
    beliefs = []
    for frame in range(500):
        light = {"light": red, "light_distance": 4.0} if frame < 10 else {"light": gone}
        features.update(observation(frame, 0.0), percept(frame, **light))
        beliefs.append(features.signs.light[0])
    assert min(beliefs[10:300]) > 0.8
    assert beliefs[-1] < 0.1


def test_a_light_that_vanishes_before_a_standing_car_has_changed() -> None:
    """It was seen from that very place for seconds: it did not leave the picture."""
    features, gone = Features(), np.array([0.01, 0.01, 0.01, 0.97])
    red, beliefs = np.array([0.97, 0.01, 0.01, 0.01]), []
    for frame in range(240):
        light = {"light": red, "light_distance": 4.0} if frame < 80 else {"light": gone}
        features.update(observation(frame, 0.0), percept(frame, **light))
        beliefs.append(features.signs.light[0])
    assert min(beliefs[80:150]) > 0.8
    assert beliefs[-1] < 0.1


def test_a_light_that_never_turns_green_is_for_others() -> None:
    features, red, beliefs = Features(), np.array([0.97, 0.01, 0.01, 0.01]), []
    for frame in range(2200):
        features.update(observation(frame, 0.0), percept(frame, light=red, light_distance=3.0))
        beliefs.append(features.signs.light[0])
    assert min(beliefs[20:1900]) > 0.8
    assert max(beliefs[2100:]) < 0.1


def test_the_noise_of_a_standing_car_does_not_move_its_stop_line() -> None:
    features, red = Features(), np.array([0.97, 0.01, 0.01, 0.01])
    for frame in range(1800):
        speed = 0.02 * (frame % 2)
        features.update(observation(frame, speed), percept(frame, light=red, light_distance=0.8))
    assert features.signs.light_distance == pytest.approx(0.8, abs=0.05)


def test_who_stands_before_a_light_that_was_green_heeds_it_when_it_is_red_again() -> None:
    """Somebody crossed in front of the car after it had begun to go."""
    red, green = np.array([0.97, 0.01, 0.01, 0.01]), np.array([0.01, 0.01, 0.97, 0.01])
    features = Features()
    for frame in range(120):
        speed = 1.0 if frame < 30 else 0.0
        left = 2.5 - 0.05 * min(frame, 30)
        state = green if frame < 60 else red
        features.update(observation(frame, speed), percept(frame, light=state, light_distance=left))
    assert features.signs.light[0] > 0.9


def test_lane_lines_are_read_at_the_distances_of_the_message() -> None:
    assert lines().shape[1] == len(LANE_X)
