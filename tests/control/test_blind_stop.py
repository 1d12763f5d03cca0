"""Perception that fails while the car drives: it stops in its own lane and hits nobody, whatever fails and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from roadcraft.control.drivers import NetworkDriver
from roadcraft.perception.percept import OBJECT, Percept
from roadcraft.perception.truth import TruthPerception
from roadcraft.sim.embedded.world import EmbeddedWorld
from roadcraft.sim.episodes import episode_from_seed
from roadcraft.sim.messages import Camera, Observation, Tick, Traffic
from roadcraft.sim.referee import Referee

FAILS, LOOKS, ENDS = 120, 100, 260  # ticks: perception fails; pictures are drawn from; the end
REASONS = {
    "raises": "missing_percept",
    "nan": "invalid_percept",
    "freezes": "frozen_image",
    "black": "dark_image",
}


class Failing:
    """An engine that sees what is there until tick FAILS."""

    name, precision = "failing", "f32"

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.tick: Tick | None = None  # that is looked at
        self._truth = TruthPerception(None)
        self._last: Percept | None = None

    def reset(self) -> None:
        """Begins anew."""
        self._truth.reset(0)

    def __call__(self, observation: Observation) -> Percept:
        assert self.tick is not None
        number, fails = self.tick.facts.frame, self.fault if self.failing else ""
        if fails == "raises":
            raise RuntimeError("the runtime is gone")
        if fails == "freezes":
            assert self._last is not None
            return replace(self._last, frame=number, time=observation.time)
        percept = self._last = self._truth(self.tick)
        if fails == "nan":
            return replace(percept, lanes_ego=np.full((4, 10), np.nan), light=np.full(4, np.nan), confidence=np.nan)
        if fails == "black":
            return replace(
                percept, lanes_ego=np.full((4, 10), np.nan), lane_prob=np.zeros(4), objects=np.zeros(0, OBJECT)
            )
        return percept

    failing = False

    def shown(self, tick: Tick, before: Tick) -> Tick:
        """The tick as the failing camera shows it."""
        rgb = tick.observation.rgb
        if self.failing and self.fault == "freezes":
            rgb = before.observation.rgb
        if self.failing and self.fault == "black":
            assert rgb is not None
            rgb = np.zeros_like(rgb)
        return replace(tick, observation=replace(tick.observation, rgb=rgb))


@pytest.fixture(scope="module")
def world() -> Iterator[EmbeddedWorld]:
    place = EmbeddedWorld()
    yield place
    place.close()


@pytest.mark.parametrize("fault", REASONS)
def test_the_car_stops_in_its_lane_when_perception_fails(fault: str, world: EmbeddedWorld) -> None:
    episode = episode_from_seed(2000, camera=Camera(320, 180), traffic=Traffic(30, 20), scenarios=(), weather="clear")
    engine = Failing(fault)
    driver, referee = NetworkDriver(engine), Referee()
    world.looking = False
    tick = world.reset(episode)
    referee(tick.facts)
    vetoes, asides, before = set(), [], tick
    for k in range(ENDS):
        if k == FAILS:
            assert tick.observation.ego.speed > 4.0
        engine.failing = k >= FAILS
        before = engine.shown(tick, before)
        engine.tick = tick
        decision = driver(before)
        if k >= FAILS + 10:
            vetoes.add(decision.veto)
        world.looking = k + 1 >= LOOKS
        tick = world.step(decision.control)
        verdict = referee(tick.facts)
        if k >= FAILS:
            asides.append(tick.facts.lateral_error)
    assert vetoes == {REASONS[fault]}
    assert tick.observation.ego.speed < 0.1
    assert np.abs(asides).max() < 0.6
    assert sum(verdict.infractions.values()) == 0, verdict.infractions
