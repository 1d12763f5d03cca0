"""Who stands on a free way sets off; who stands for a reason stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roadcraft.control.car import BRAKE_MAX
from roadcraft.control.drivers import TruthDriver
from roadcraft.control.layout import SIZE, part
from roadcraft.control.policy import acceleration_for
from roadcraft.control.restart import PATIENCE, ROLLS, STANDS, Restart
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import Traffic

BRAKING = np.array([0.1, -0.5], np.float32)


def vector(advice: float) -> np.ndarray:
    """Features whose own rule allows an acceleration [m/s^2]."""
    found = np.zeros(SIZE, np.float32)
    found[part("advice")] = advice / BRAKE_MAX
    return found


def decide(restart: Restart, advice: float, speed: float, times: int) -> np.ndarray:
    """The last of so many decisions of a policy that brakes."""
    return [restart(speed, vector(advice), BRAKING) for _ in range(times)][-1]


def test_a_policy_that_brakes_on_a_free_way_is_overruled_after_a_while() -> None:
    restart = Restart()
    assert np.array_equal(decide(restart, 2.0, 0.0, PATIENCE), BRAKING)
    action = decide(restart, 2.0, 0.0, 1)
    assert acceleration_for(float(action[1])) == pytest.approx(2.0, abs=1e-5)
    assert action[0] == BRAKING[0]


def test_it_has_the_car_again_when_that_rolls() -> None:
    restart = Restart()
    decide(restart, 2.0, 0.0, PATIENCE + 1)
    assert decide(restart, 2.0, 0.9 * ROLLS, 1)[1] > 0.0
    assert np.array_equal(decide(restart, 2.0, ROLLS, 1), BRAKING)
    assert np.array_equal(decide(restart, 2.0, 0.0, PATIENCE), BRAKING)


@pytest.mark.parametrize(("advice", "speed"), [(0.0, 0.0), (-3.0, 0.0), (2.0, 1.0)])
def test_who_has_a_reason_or_rolls_is_left_alone(advice: float, speed: float) -> None:
    assert np.array_equal(decide(Restart(), advice, speed, 3 * PATIENCE), BRAKING)


def test_a_reason_that_comes_up_ends_it_and_it_waits_anew() -> None:
    restart = Restart()
    decide(restart, 2.0, 0.0, PATIENCE + 1)
    assert np.array_equal(decide(restart, -1.0, 0.0, 1), BRAKING)
    assert np.array_equal(decide(restart, 2.0, 0.0, PATIENCE), BRAKING)
    decide(restart, 2.0, 0.0, PATIENCE + 1)
    restart.reset()
    assert np.array_equal(decide(restart, 2.0, 0.0, 1), BRAKING)


def test_the_stack_leaves_no_car_standing_on_an_empty_road() -> None:
    world, driver = EmbeddedWorld(), TruthDriver(lambda _: BRAKING, None)
    episode = replace(episode_from_seed(10, camera=None), town="grid", traffic=Traffic(0, 0), scenarios=())
    tick, speeds = world.reset(episode), list[float]()
    for _ in range(2 * PATIENCE + 60):
        tick = world.step(driver(tick).control)
        speeds.append(float(tick.facts.velocity_ego[0]))
    assert max(speeds[: 2 * PATIENCE]) < STANDS
    assert max(speeds) > 0.5 * ROLLS
