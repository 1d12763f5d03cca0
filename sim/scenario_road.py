"""Scenarios between junctions: who is ahead of us, beside us or behind us in our own street."""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import DT, Facts, LightState
from roadcraft.sim.movers import Mover
from roadcraft.sim.roads import LaneKind, RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.scenario import Scenario, beside_the_road, is_free, stopping_distance, stretches
from roadcraft.sim.stage import BACKGROUND, PlaceTaken


class LeadBrakes(Scenario):
    """A car drives ahead of the ego, brakes hard to a stop, stands, and drives on."""

    name = "lead_brakes"
    lead = 75.0
    BRAKE = 7.0  # m/s^2
    STAND = 2.5  # s

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        return stretches(route, 55.0, 20.0)

    def begin(self, facts: Facts) -> bool:
        path = self.way
        start = facts.progress + 35.0
        if facts.velocity_ego[0] < 4.0 or not is_free(facts, path.pose(start), 14.0):
            return False
        self.movers = [Mover(self.stage, self.car(), path, start, 0.6 * self.limit(), color=self.paint())]
        self.stopped_at = float("inf")
        return True

    def run(self, facts: Facts) -> bool:
        car = self.movers[0]
        gap = car.s - facts.progress
        close = gap < 12.0 + facts.velocity_ego[0] or car.s > self.at + 5.0
        if not self.happened and not close:
            car.drive(facts, 0.6 * self.limit())
            return False
        self.happened = True
        if car.speed > 0.0:
            car.drive(facts, 0.0, brake=self.BRAKE)
            return False
        self.stopped_at = min(self.stopped_at, facts.time)  # it may have stood already, in a queue
        car.drive(facts, 0.0)
        if facts.time - self.stopped_at < self.STAND:
            return False
        hand_over(car, int(self.random.integers(1, 2**31)))
        self.movers = []
        return True


class Obstacle(Scenario):
    """A van stands in the lane with its hazard lights on. It drives on when the ego has waited behind it a while."""

    name = "obstacle"
    sight = True
    PATIENCE = (6.0, 14.0)  # s that the ego must wait
    QUEUE = 60.0  # m behind it within which the ego waits for it, be it behind others

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        return stretches(route, 50.0, 20.0)

    def begin(self, facts: Facts) -> bool:
        path = self.way
        if not is_free(facts, path.pose(self.at), 12.0):
            return False
        self.movers = [Mover(self.stage, "vehicle.mercedes.sprinter", path, self.at, side=-0.3, color=self.paint())]
        self.patience = float(self.random.uniform(*self.PATIENCE))
        self.waited = 0.0
        return True

    def run(self, facts: Facts) -> bool:
        van = self.movers[0]
        van.show(brake=True, left=int(facts.time / 0.4) % 2 == 0, right=int(facts.time / 0.4) % 2 == 0)
        gap = self.at - facts.progress
        self.happened = self.happened or gap < 25.0
        self.waited += DT * (gap < self.QUEUE and facts.velocity_ego[0] < 1.0)
        if self.waited >= self.patience and gap > 0:
            hand_over(van, int(self.random.integers(1, 2**31)))
            self.movers = []
            return True
        return gap < -15.0


class SlowBicycle(Scenario):
    """A bicycle rides ahead at 4 m/s on the right of the lane, then turns off to the roadside and lets the ego pass."""

    name = "slow_bicycle"
    sight = True
    SPEED = 4.0  # m/s
    RIDE = 25.0  # m that it rides before it makes room

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        return beside_the_road(network, route, stretches(route, 35.0, 40.0))

    def begin(self, facts: Facts) -> bool:
        path = self.way
        if not is_free(facts, path.pose(self.at), 12.0):
            return False
        self.half = float(self.route.width[int(self.at)]) / 2
        blueprint = "vehicle.gazelle.omafiets"
        self.movers = [Mover(self.stage, blueprint, path, self.at, self.SPEED, side=-self.half + 0.9)]
        return True

    def run(self, facts: Facts) -> bool:
        bicycle = self.movers[0]
        gap = bicycle.s - facts.progress
        self.happened = self.happened or gap < 25.0
        off = bicycle.s > self.at + self.RIDE
        aside = -self.half - 0.9
        arrived = bicycle.side < aside + 0.1
        bicycle.drive(facts, 0.0 if arrived else self.SPEED, side=aside if off else None, rate=1.0, heed=False)
        return gap < -10.0


class CutIn(Scenario):
    """A car comes into the ego's lane close ahead: from the lane beside it, or from the roadside."""

    name = "cut_in"
    lead = 75.0
    sight = True
    GAP = 9.0  # m between the bumpers when it comes from the lane beside

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        return stretches(route, 45.0, 40.0)

    def begin(self, facts: Facts) -> bool:
        path = self.way
        lane = self.network.lanes[self.route.lane[int(self.at)]]
        beside = [int(lane["left"]), int(lane["right"])]
        lanes = [k for k in beside if k >= 0 and self.network.lanes["kind"][k] == LaneKind.DRIVING]
        self.width = float(self.route.width[int(self.at)])
        self.moving = bool(lanes)
        if self.moving:
            sign = 1.0 if lanes[0] == beside[0] else -1.0
            start, speed = facts.progress - 12.0, float(facts.velocity_ego[0]) + 1.0
            if speed < 5.0 or start < 0.0 or not is_free(facts, path.pose(start, sign * self.width), 10.0):
                return False
            self.movers = [Mover(self.stage, self.car(), path, start, speed, sign * self.width, self.paint())]
            return True
        aside = -self.width / 2 - 0.75
        if not is_free(facts, path.pose(self.at, aside), 8.0):
            return False
        self.movers = [self.park(self.car(), path, aside)]
        return True

    def run(self, facts: Facts) -> bool:
        car, speed = self.movers[0], float(facts.velocity_ego[0])
        gap = car.s - facts.progress - 5.0
        if self.moving:
            self.happened = self.happened or gap > self.GAP
            wish = max(0.85 * speed, 4.0) if self.happened else min(speed + 3.0, self.limit() + 4.0)
            car.drive(facts, wish, side=0.0 if self.happened else None, rate=1.8)
        else:
            self.happened = self.happened or gap < stopping_distance(speed) + 8.0
            wish = 0.6 * self.limit() if self.happened else 0.0
            car.drive(facts, wish, side=0.0 if self.happened else None, heed=not self.happened or car.speed > 3.0)
        if car.s > self.at + 30.0 and abs(car.side) < 0.1:
            hand_over(car, int(self.random.integers(1, 2**31)))
            self.movers = []
            return True
        return gap < -20.0


class EmergencyVehicle(Scenario):
    """An ambulance comes from behind with its siren on, and overtakes where the lane beside is free.

    Who holds it up for long has not yielded: it asks for nothing but not to be blocked or outrun.
    """

    name = "emergency_vehicle"
    lead = 20.0
    SPEED = 6.0  # m/s faster than the ego
    PAST = 14.0  # m ahead of the ego at which it comes back into the lane
    HELD = 20.0  # s of being held up that are an infraction
    LASTS = 90.0  # s after which it goes elsewhere: where it cannot overtake nobody is to blame
    QUEUE, SLOW = 15.0, 3.0  # m before the ego within which somebody slower than that [m/s] keeps it from making room

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        return stretches(route, 70.0, 60.0)

    def begin(self, facts: Facts) -> bool:
        path = self.way
        start = facts.progress - 45.0
        if start < 2.0 or not is_free(facts, path.pose(start), 12.0):
            return False
        speed = float(facts.velocity_ego[0]) + 2.0
        self.movers = [Mover(self.stage, "vehicle.ford.ambulance", path, start, speed, half=(3.2, 1.2), siren=True)]
        self.width = float(self.route.width[int(self.at)])
        self.held, self.told, self.passing = 0.0, False, False
        return True

    def run(self, facts: Facts) -> bool:
        van, speed = self.movers[0], max(float(facts.velocity_ego[0]), 0.0)
        gap = facts.progress - van.s
        wish = min(speed + self.SPEED, 1.5 * self.limit())
        if not self.passing and 0.0 < gap < 45.0:
            way = (gap + self.PAST) / max(wish - speed, 1.0) * wish
            self.passing = van.s + way + 60.0 < van.path.length and self._beside_is_free(facts, way)
        elif gap < -self.PAST:
            self.passing = False
        self.happened = self.happened or gap < 25.0
        van.drive(facts, wish, side=self.width if self.passing else 0.0, rate=2.2, accel=3.0)
        waits = (facts.light == LightState.RED and facts.light_distance < 40.0) or self._in_a_queue(facts)
        if 0.0 < gap < 25.0 and van.speed < 0.5 * wish and not waits:
            self.held += DT
        if gap < -50.0 or van.s > van.path.length - 40.0 or facts.time - self.since > self.LASTS:
            hand_over(van, int(self.random.integers(1, 2**31)))
            self.movers = []
        return not self.movers

    def step(self, facts: Facts) -> tuple[str, ...]:
        events = super().step(facts)
        if self.began and not self.over and not self.told and self.held > self.HELD:
            self.told = True
            events += ("yield_emergency",)
        return events

    def _in_a_queue(self, facts: Facts) -> bool:
        """Whether somebody just ahead holds the ego up, who so cannot make room."""
        ahead, beside = self._seen_by_the_ego(facts)
        slow = np.hypot(*facts.actors["velocity"].T) < self.SLOW
        return bool((slow & (ahead > 0.0) & (ahead < self.QUEUE) & (np.abs(beside) < self.width / 2)).any())

    def _beside_is_free(self, facts: Facts, way: float) -> bool:
        """Nobody in the lane to the left, and no junction, for the `way` [m] that overtaking takes."""
        if facts.junction_distance < way:
            return False
        ahead, beside = self._seen_by_the_ego(facts)
        others = facts.actors["id"] != self.movers[0].actor
        return not bool((others & (ahead > -25.0) & (ahead < 2 * way) & (np.abs(beside - self.width) < 2.0)).any())

    @staticmethod
    def _seen_by_the_ego(facts: Facts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N,) metres ahead of and to the left of the ego's middle, of each actor."""
        x, y, yaw = facts.pose
        away = facts.actors["xyz"][:, :2] - (x, y)
        return away @ np.array([np.cos(yaw), np.sin(yaw)]), away @ np.array([-np.sin(yaw), np.cos(yaw)])


def hand_over(mover: Mover, seed: int) -> None:
    """Leaves a car to the world's own drivers, at the speed that it has."""
    mover.remove()
    try:
        actor = mover.stage.spawn(mover.blueprint, mover.pose, autopilot=seed, role=BACKGROUND, color=mover.color)
    except PlaceTaken:
        return
    yaw = mover.pose[2]
    mover.stage.move(actor, mover.pose, (mover.speed * cos(yaw), mover.speed * sin(yaw)))
