"""Events along a route, each with a name, a trigger and an end, written once against `Stage` for every world."""

from __future__ import annotations

import numpy as np

from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Episode, Facts
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.scenario import Scenario
from roadcraft.sim.scenario_crossing import LeftTurn, PedestrianCrossing, RedLightRunner
from roadcraft.sim.scenario_road import CutIn, EmergencyVehicle, LeadBrakes, Obstacle, SlowBicycle
from roadcraft.sim.stage import Stage

SCENARIOS: dict[str, type[Scenario]] = {
    kind.name: kind
    for kind in (
        LeadBrakes,
        CutIn,
        PedestrianCrossing,
        Obstacle,
        RedLightRunner,
        SlowBicycle,
        LeftTurn,
        EmergencyVehicle,
    )
}
EPISODE_SCENARIOS = 5  # of an episode drawn from a seed; about three of them find a place
APART = 70.0  # m of route between two of them
REACH = 40.0  # m of route by which a scenario may be off where it was to be, and of its trigger off the route


def scenarios_of(seed: int) -> tuple[str, ...]:
    """The names of a seed's scenarios, all different."""
    chosen = np.random.default_rng([seed, 0x5CE]).permutation(list(SCENARIOS))[:EPISODE_SCENARIOS]
    return tuple(map(str, chosen))


def near(route: Route, places: list[float], trigger: tuple[float, float], lead: float) -> list[float]:
    """Of some arc lengths of the route the one nearest to `lead` [m] past a trigger; none if that is far."""
    away = np.hypot(*(route.xy - trigger).T)
    wanted = float(route.s[np.argmin(away)]) + lead
    best = min(places, key=lambda at: abs(at - wanted), default=np.inf)
    return [best] if abs(best - wanted) <= REACH and away.min() <= REACH else []


class Director:
    """The scenarios of an episode, spread along its route. Those that find no place on it are left out."""

    def __init__(self, stage: Stage, network: RoadNetwork, route: Route, episode: Episode) -> None:
        """Raises UserError for a name that is none."""
        self.scenarios: list[Scenario] = []  # those still to come or running
        self.events: tuple[str, ...] = ()  # of this tick: Facts.scenario_events
        self.all: list[Scenario] = []  # in the order in which the route meets them
        random = np.random.default_rng([episode.seed, 0xD1])
        taken: list[float] = []
        for number, name in enumerate(episode.scenarios):
            if name not in SCENARIOS:
                raise UserError(f"unknown scenario {name!r}: there are {', '.join(SCENARIOS)}")
            places = SCENARIOS[name].places(network, route)
            free = [at for at in places if all(abs(at - other) >= APART for other in taken)]
            if episode.triggers:
                free = near(route, free, episode.triggers[number], SCENARIOS[name].lead)
            if free:
                at = float(free[int(random.integers(len(free)))])
                taken.append(at)
                self.all.append(SCENARIOS[name](stage, network, route, at, episode.seed))
        self.all.sort(key=lambda scenario: scenario.at)
        self.scenarios = list(self.all)
        self._sleeps_until = self._next()

    def step(self, facts: Facts) -> None:
        """One tick of all scenarios that have not ended."""
        self.events = ()
        progress, ended = facts.progress, False
        if progress < self._sleeps_until:
            return
        for scenario in self.scenarios:
            if scenario.began or progress >= scenario.wakes_at:
                self.events += scenario.step(facts)
                ended = ended or scenario.done
        if ended:
            self.scenarios = [scenario for scenario in self.scenarios if not scenario.done]
        self._sleeps_until = self._next()

    def _next(self) -> float:
        """The progress [m] before which nothing happens: that at which the next scenario wakes, if none runs."""
        return min((-np.inf if scenario.began else scenario.wakes_at for scenario in self.scenarios), default=np.inf)
