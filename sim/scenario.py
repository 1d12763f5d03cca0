"""What every scenario has: a place on the route, a trigger, an end, and the list of what it put on the road."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from math import hypot
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Command, Facts
from roadcraft.sim.movers import Mover, Path, path_of_route
from roadcraft.sim.roads import LaneKind, RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.stage import PlaceTaken, Stage

TIME_LIMIT = 120.0  # s after its beginning by which the ego must have passed a scenario
BEHIND = 40.0  # m behind the ego at which things are taken away
FAR = 90.0  # m from the ego, likewise
REACTION, EASY_BRAKE = 1.2, 4.0  # s, m/s^2
AIR = 20.0  # m more than it takes to stop at which something standing appears
ROOM = 20  # m of the route within which things beside the road find room
PARKING_SHIFTS = (0.0, -2.0, 2.0, -4.0, 4.0, -6.0, 6.0, -8.0, 8.0)  # m along the road at which parking is tried

PAINTS = ((150, 30, 25), (30, 60, 120), (225, 225, 225), (45, 45, 48), (190, 150, 40), (40, 95, 60))
CARS = (
    "vehicle.audi.tt",
    "vehicle.seat.leon",
    "vehicle.toyota.prius",
    "vehicle.mercedes.coupe_2020",
    "vehicle.nissan.micra",
    "vehicle.dodge.charger_2020",
)


class Scenario:
    """One event at arc length `at` [m] of the route. `step` is called once a tick, with the facts of the tick before.

    It sleeps until the ego is `lead` metres before `at`, begins when `begin` says that the stage is free, and runs
    until `run` says that it is over. `happened` tells whether the event itself took place.
    """

    name: ClassVar[str]
    lead: ClassVar[float] = 60.0  # m
    sight: ClassVar[bool] = False  # it begins further ahead where driving is fast: in time to stop for it
    spare: ClassVar[float] = 25.0  # m past which a scenario that could not begin is given up

    def __init__(self, stage: Stage, network: RoadNetwork, route: Route, at: float, seed: int) -> None:
        self.stage, self.network, self.route, self.at = stage, network, route, at
        self.random = np.random.default_rng([seed, 0x5CE7, int(at)])
        lead = max(self.lead, stopping_distance(self.limit()) + AIR) if self.sight else self.lead
        self.wakes_at = at - lead  # arc length [m]
        self.began = self.happened = self.over = self.done = False
        self.since = 0.0  # [s] when it began
        self.late = False
        self.movers: list[Mover] = []
        self.walkers: list[int] = []

    @cached_property
    def way(self) -> Path:
        """The route."""
        return path_of_route(self.route)

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        """Arc lengths [m] of the route where it can happen."""
        raise NotImplementedError

    def begin(self, facts: Facts) -> bool:
        """Puts its things on the road and returns True; False or PlaceTaken: it is asked again in the next tick."""
        raise NotImplementedError

    def run(self, facts: Facts) -> bool:
        """One tick of it; True when the ego has it behind."""
        raise NotImplementedError

    def step(self, facts: Facts) -> tuple[str, ...]:
        """One tick. Returns what the referee must know of."""
        if not self.began:
            self._wait(facts)
            return ()
        if self.over:
            self._clean(facts)
            return ()
        self.over = self.run(facts)
        if not self.over and not self.late and facts.time - self.since > TIME_LIMIT:
            self.late = True
            return ("scenario_timeout",)
        return ()

    def _wait(self, facts: Facts) -> None:
        if facts.progress > self.wakes_at + self.spare:
            self.done = True
        elif facts.progress >= self.wakes_at:
            try:
                self.began = self.begin(facts)
            except PlaceTaken:
                self.remove()
                return
            self.since = facts.time

    def _clean(self, facts: Facts) -> None:
        """Takes away what the ego has left behind."""
        for mover in list(self.movers):
            if mover.ahead(facts) < -BEHIND or mover.distance(facts) > FAR:
                mover.remove()
                self.movers.remove(mover)
        for walker in list(self.walkers):
            where = facts.actors["xyz"][facts.actors["id"] == walker, :2]
            if not len(where) or np.hypot(*(where[0] - facts.pose[:2])) > BEHIND:
                self.stage.remove(walker)
                self.walkers.remove(walker)
        self.done = not self.movers and not self.walkers

    def remove(self) -> None:
        """Takes everything away at once."""
        for mover in self.movers:
            mover.remove()
        for walker in self.walkers:
            self.stage.remove(walker)
        self.movers, self.walkers = [], []

    # ------------------------------------------------------------------------------------------- for the scenarios
    def car(self) -> str:
        return CARS[int(self.random.integers(len(CARS)))]

    def paint(self) -> tuple[int, int, int]:
        return PAINTS[int(self.random.integers(len(PAINTS)))]

    def park(self, blueprint: str, path: Path, aside: float) -> Mover:
        """A standing vehicle `aside` [m] to the left of the route near `at`, where trees and posts leave room for it.

        Moves `at` to where it stands. Raises PlaceTaken where there is no room.
        """
        paint = self.paint()
        for shift in PARKING_SHIFTS:
            with suppress(PlaceTaken):
                mover = Mover(self.stage, blueprint, path, self.at + shift, side=aside, color=paint)
                self.at += shift
                return mover
        raise PlaceTaken(f"no room to park beside the route at {self.at:.0f} m")

    def limit(self) -> float:
        """The speed limit [m/s] where it happens."""
        return float(self.route.speed_limit[min(int(self.at), len(self.route.speed_limit) - 1)])


def stopping_distance(speed: float) -> float:
    """[m] in which who drives at `speed` [m/s] stops without haste."""
    return speed * REACTION + speed**2 / (2 * EASY_BRAKE)


def stretches(route: Route, before: float, after: float, max_turn: float = 0.5) -> NDArray[np.float64]:
    """Arc lengths of the route from `before` m ahead of which to `after` m past which there is no junction.

    Nor a lane change, nor a bend of more than `max_turn` [rad].
    """
    yaw = np.unwrap(route.yaw)
    s = np.arange(before + 5.0, route.length - after - 5.0)
    changing = np.isin(route.command, (Command.CHANGE_LEFT, Command.CHANGE_RIGHT))
    good = []
    for at in s:
        rows = slice(int(at - before), int(at + after) + 1)
        if not (route.junction[rows] | changing[rows]).any() and np.ptp(yaw[rows]) < max_turn:
            good.append(at)
    return np.array(good)


def beside_the_road(network: RoadNetwork, route: Route, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those arc lengths of the route at which no lane for vehicles lies to the right: whoever stands there is out of
    everybody's way, also some metres further on, where there may be more room."""
    free = np.ones(len(places), bool)
    for further in (0, ROOM):
        right = network.lanes["right"][route.lane[np.minimum(places.astype(int) + further, len(route.lane) - 1)]]
        free &= (right < 0) | (network.lanes["kind"][right] != LaneKind.DRIVING)
    return places[free]


def is_free(facts: Facts, pose: tuple[float, float, float], radius: float) -> bool:
    """Whether no actor is within `radius` [m] of a place."""
    return not _is_near(facts.actors, pose[0], pose[1], radius)


@kernel
def _is_near(actors, x, y, radius):  # type: ignore[no-untyped-def]
    near = False
    for i in range(actors.shape[0]):
        near = near or hypot(actors[i].xyz[0] - x, actors[i].xyz[1] - y) < radius
    return near
