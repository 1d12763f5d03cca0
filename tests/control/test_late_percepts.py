"""The stack on percepts that arrive late: news is taken in once, decisions are made on the car's present state."""

from __future__ import annotations

import numpy as np
import pytest
from control_scenes import observation, percept, tick

from roadcraft.control.decision import Decision
from roadcraft.control.drivers import Stack, TruthDriver
from roadcraft.control.layout import SIZE
from roadcraft.control.supervisor import Supervisor
from roadcraft.perception.delay import Delay, Latency
from roadcraft.perception.percept import OBJECT

UNEVEN = Latency(((20.0, 20.0, 1.0), (220.0, 220.0, 1.0)))


class Watching:
    """A policy that keeps what it is shown and rolls on."""

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        self.shown.append(vector.copy())
        return np.zeros(2, np.float32)


def driven(stack: Stack, ticks: int) -> list[Decision]:
    """Decisions on a straight road on which the car speeds up."""
    return [stack.decide(observation(i, speed=0.1 * i), percept(i)) for i in range(ticks)]


def test_each_percept_is_taken_in_once() -> None:
    stack = Stack(Watching(), Supervisor(), Delay(UNEVEN, seed=1))
    decisions = driven(stack, 60)
    frames = [d.percept.frame for d in decisions if d.percept is not None]
    assert len(set(frames)) < len(frames)  # some ticks brought nothing new
    assert stack.features.planner.localiser.seen == len(set(frames))


def test_decisions_are_made_on_the_present_speed_and_the_percepts_age() -> None:
    policy = Watching()
    decisions = driven(Stack(policy, Supervisor(), Delay(UNEVEN, seed=1)), 60)
    seeing = [i for i, d in enumerate(decisions) if d.percept is not None]
    for i, vector in zip(seeing[::2], policy.shown, strict=True):
        at = decisions[i].percept
        assert at is not None
        assert vector.shape == (SIZE,)
        assert vector[0] == pytest.approx(0.1 * i / 20.0)
        assert vector[-2] == pytest.approx((i - at.frame) * 0.05 / 0.5)


@pytest.mark.parametrize(
    ("ms", "vetoes"), [(300.0, {"missing_percept", ""}), (301.0, {"missing_percept", "stale_percept"})]
)
def test_the_supervisors_limit_is_on_the_whole_age(ms: float, vetoes: set[str]) -> None:
    decisions = driven(Stack(Watching(), Supervisor(), Delay(Latency.of(ms))), 60)
    assert {d.veto for d in decisions} == vetoes


def test_the_next_episode_has_the_same_delays() -> None:
    driver = TruthDriver(Watching(), seed=5, delay=Delay(UNEVEN, seed=5))

    def frames() -> list[int | None]:
        return [d.percept and d.percept.frame for d in (driver(tick(i)) for i in range(40))]

    assert frames() == frames()


def test_decisions_are_made_on_where_things_are_now() -> None:
    """A wall comes nearer at 10 m/s; the percept is 200 ms old."""
    stack, distances = Stack(Watching(), Supervisor(), Delay(Latency.of(200.0))), []
    for i in range(20):
        wall = np.zeros(1, OBJECT)
        wall["xy_ego"], wall["path_ego"] = (40.0 - 0.5 * i, 0.0), (40.0 - 0.5 * i, 0.0)
        seen = percept(i, objects=wall)
        found = stack.decide(observation(i, speed=10.0), seen).percept
        distances.append(np.nan if found is None else float(found.objects["xy_ego"][0, 0]))
    np.testing.assert_allclose(distances[4:], 40.0 - 0.5 * np.arange(4, 20), atol=1e-3)
