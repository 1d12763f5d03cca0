"""Who stands before a walker that stays beside the way passes him after a while; before others he stays."""

from __future__ import annotations

import numpy as np
import pytest
from control_scenes import observation, percept, seen

from roadcraft.control.features import Features
from roadcraft.control.layout import part
from roadcraft.control.passing import LENGTH, PATIENCE, calm
from roadcraft.control.spacetime import OTHER
from roadcraft.sim.messages import DT, Kind

WAITS = round(PATIENCE / DT)  # percepts
AT = 4.5  # m ahead: in front of the bumper
BESIDE = -1.6  # m: clear of our flank by half a metre


def advice(features: Features) -> float:
    """The acceleration that the features' own rule allows, of full braking."""
    return float(features.vector(np.zeros(2, np.float32))[part("advice")][0])


def watch(features: Features, first: int, times: int, speed: float, y: float, aside: float = 0.0) -> None:
    """So many percepts of a walker at (AT, y) [m] who moves `aside` [m/s]."""
    walker = seen(AT, y, (0.0, aside), Kind.PEDESTRIAN)
    for frame in range(first, first + times):
        features.update(observation(frame, speed), percept(frame, objects=walker))


def test_a_car_that_stood_before_a_waiting_walker_passes_him() -> None:
    features = Features()
    watch(features, 0, WAITS - 5, 0.0, BESIDE)
    assert advice(features) < 0.0
    watch(features, WAITS - 5, 10, 0.0, BESIDE)
    assert advice(features) > 0.0


@pytest.mark.parametrize(("y", "aside"), [(-1.0, 0.0), (0.0, 0.0), (BESIDE, 1.0)])
def test_who_is_in_the_way_or_sets_off_is_waited_for(y: float, aside: float) -> None:
    features = Features()
    watch(features, 0, 3 * WAITS, 0.0, y, aside)
    assert advice(features) < 0.0


def test_who_sets_off_while_the_car_passes_stops_it() -> None:
    features = Features()
    watch(features, 0, 2 * WAITS, 0.0, BESIDE)
    watch(features, 2 * WAITS, 1, 1.0, BESIDE, 1.0)
    assert advice(features) < 0.0


def test_a_car_that_rolls_does_not_learn_to_pass_and_one_that_passed_keeps_air_again() -> None:
    features = Features()
    watch(features, 0, 3 * WAITS, 1.0, BESIDE)
    assert advice(features) < 0.0
    watch(features, 3 * WAITS, 2 * WAITS, 0.0, BESIDE)
    assert advice(features) > 0.0
    watch(features, 5 * WAITS, round(LENGTH / DT) + WAITS, 1.0, BESIDE)
    assert advice(features) < 0.0


@pytest.mark.parametrize(
    ("y", "aside", "walker", "expected"),
    [
        (BESIDE, 0.0, True, True),
        (BESIDE, -0.8, True, True),  # goes away
        (-BESIDE, 0.8, True, True),
        (BESIDE, 0.8, True, False),  # comes
        (-BESIDE, -0.8, True, False),
        (-1.0, 0.0, True, False),  # in the way
        (BESIDE, 0.0, False, False),
    ],
)
def test_only_walkers_who_stay_beside_the_way_are_calm(y: float, aside: float, walker: bool, expected: bool) -> None:
    other = np.zeros(1, OTHER)
    other["xy"], other["velocity"], other["walker"] = (6.0, y), (0.0, aside), walker
    path = np.stack([np.arange(60.0), np.zeros(60)], -1)
    assert calm(path, other).tolist() == [expected]
