"""Events along a route: each scenario has a name, a trigger and an end, and is written once against `Stage`."""

from __future__ import annotations

from typing import Protocol

from roadcraft.sim.messages import Episode, Facts
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.stage import Stage


class Scenario(Protocol):
    """One event. `step` is called once a tick before the simulation's and returns what the referee must know."""

    done: bool

    def step(self, facts: Facts) -> tuple[str, ...]: ...


class Director:
    """The scenarios of an episode."""

    def __init__(self, stage: Stage, network: RoadNetwork, route: Route, episode: Episode) -> None:
        self.scenarios: list[Scenario] = []
        self.events: tuple[str, ...] = ()  # of this tick: Facts.scenario_events

    def step(self, facts: Facts) -> None:
        """One tick of all scenarios that have not ended."""
        events: list[str] = []
        for scenario in self.scenarios:
            if not scenario.done:
                events += scenario.step(facts)
        self.events = tuple(events)
