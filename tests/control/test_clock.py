"""How fast the machine is does not change the drive: the same episode is the same drive on a busy one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fakes import FakeWorld, percept_of

from roadcraft.control.drivers import NetworkDriver
from roadcraft.perception.percept import Percept
from roadcraft.sim.messages import Episode, Observation, Tick


class Engine:
    """Perceives a fake world's ticks; says that it took so many seconds."""

    name, precision = "fake", "f32"

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.tick: Tick | None = None

    def reset(self) -> None:
        pass

    def __call__(self, observation: Observation) -> Percept:
        assert self.tick is not None
        return replace(percept_of(self.tick), latency=self.latency)


def drive(latency: float) -> list[tuple[float, ...]]:
    """Controls and vetoes of twenty ticks."""
    engine, world, said = Engine(latency), FakeWorld(200.0), []
    driver = NetworkDriver(engine)
    tick = world.reset(Episode("grid", seed=1))
    for _ in range(20):
        engine.tick = tick
        decision = driver(tick)
        said.append((*driver.stack.features.vector(np.zeros(2, np.float32)), decision.control, decision.veto))
        tick = world.step(decision.control)
    return said


def test_a_slow_engine_in_a_world_that_waits_drives_the_same() -> None:
    assert drive(0.001) == drive(0.1) == drive(2.0)
