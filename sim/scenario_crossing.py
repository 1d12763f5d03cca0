"""Scenarios in which somebody crosses our way: on foot, against a red light, or oncoming while we turn left."""

from __future__ import annotations

from contextlib import suppress
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import DT, Command, Facts, LightState
from roadcraft.sim.movers import Mover, Path, path_of_lanes
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.scenario import Scenario, beside_the_road, is_free, stretches
from roadcraft.sim.stage import PlaceTaken

REACTION = 1.0  # s that a careful driver needs
CAREFUL_BRAKE = 5.0  # m/s^2 that a careful driver brakes with
MERGING = 0.7  # cosine of the angle at which ways meet, above which they merge rather than cross
RUN_UP = 70.0  # m of road before a junction that those who cross it come along


class PedestrianCrossing(Scenario):
    """A pedestrian steps out from behind a parked van and crosses the road."""

    name = "pedestrian_crossing"
    WALK = (1.4, 2.2)  # m/s
    MARGIN = 5.0  # m
    HELD = 3.0  # s against something that stands in the way
    CLEAR = (8.0, 1.9)  # m along and across in which nobody else may be; the pedestrian and the van stand further aside

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        return beside_the_road(network, route, stretches(route, 40.0, 20.0))

    def begin(self, facts: Facts) -> bool:
        path = self.way
        half = float(self.route.width[int(self.at)]) / 2
        aside = -half - 1.05
        if not is_free(facts, path.pose(self.at, aside), 8.0):
            return False
        # Where cars are parked already, they hide the pedestrian.
        with suppress(PlaceTaken):
            self.movers = [self.park("vehicle.mercedes.sprinter", path, aside)]
            self.at += 4.0  # just beyond the van
        across = self._hide(path, -half - 0.9)
        self.across = np.array([cos(across), sin(across)])
        self.pace = float(self.random.uniform(*self.WALK))
        self.held, self.turned = 0.0, False
        return True

    def _hide(self, path: Path, aside: float) -> float:
        """Puts the pedestrian beside the road at the next place that has room; the heading [rad] across it."""
        blueprint = f"walker.pedestrian.{1 + int(self.random.integers(40)):04d}"
        for shift in np.arange(0.0, 12.0, 1.0):
            x, y, yaw = path.pose(self.at + shift, aside)
            with suppress(PlaceTaken):
                self.walkers = [self.stage.spawn(blueprint, (x, y, yaw + np.pi / 2))]
                self.at += float(shift)
                return yaw + np.pi / 2
        raise PlaceTaken(f"no room for a pedestrian beside the route at {self.at:.0f} m")

    def run(self, facts: Facts) -> bool:
        gap = self.at - facts.progress - float(facts.extent[0])
        speed = max(float(facts.velocity_ego[0]), 0.0)
        need = speed * REACTION + speed**2 / (2 * CAREFUL_BRAKE)
        if not self.happened and need < gap < need + self.MARGIN:
            self.happened = self._way_free(facts)
            if self.happened:
                self.stage.walk(self.walkers[0], self.across, self.pace)
        elif self.happened and not self.turned:
            self._turn_back(facts)
        return gap < -10.0

    def _turn_back(self, facts: Facts) -> None:
        """Who cannot go on, because somebody stopped in the way, goes back: neither would ever move again."""
        me = facts.actors["id"] == self.walkers[0]
        if not me.any():
            return
        velocity = facts.actors["velocity"][me][0]
        self.held = self.held + DT if float(velocity @ self.across) < 0.3 * self.pace else 0.0
        if self.held > self.HELD:
            self.turned = True
            self.stage.walk(self.walkers[0], -self.across, self.pace)

    def _way_free(self, facts: Facts) -> bool:
        """Whether nobody is in the lane where the pedestrian means to cross: nobody walks into a car that stands there,
        or is just ahead of ours."""
        x, y, yaw = self.way.pose(self.at, 0.0)
        dx, dy = (facts.actors["xyz"][:, :2] - (x, y)).T
        along, aside = dx * cos(yaw) + dy * sin(yaw), dy * cos(yaw) - dx * sin(yaw)
        return not bool(((np.abs(along) < self.CLEAR[0]) & (np.abs(aside) < self.CLEAR[1])).any())


class RedLightRunner(Scenario):
    """While the ego's light is green, a car from the side runs its red light and crosses just ahead."""

    name = "red_light_runner"
    lead = 55.0
    spare = 75.0  # it waits for green as long as the ego has not passed
    AHEAD = 1.2  # s that it is at the crossing before the ego would be
    UPSTREAM = 32.0  # m before the stop line that it starts
    SPEEDS = (6.0, 14.0)  # m/s
    BRAKE, NOSE = 5.0, 3.0  # m/s^2; m from its middle to its bumper and some more
    EGO = 2.5, 10.0  # m/s^2 that the ego may accelerate with, m/s up to which

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        """The stop lines of lights behind which somebody's way crosses the route's."""
        stops = [float(stop["s"]) for stop in route.stops if stop["kind"] == 0 and stop["s"] > 45.0]
        return np.array([s for s in stops if crossing_way(network, route, s, oncoming=False) is not None])

    def begin(self, facts: Facts) -> bool:
        green = facts.light == LightState.GREEN and abs(facts.progress + facts.light_distance - self.at) < 5.0
        if not green or facts.light_distance > 45.0:
            return False
        way = crossing_way(self.network, self.route, self.at, oncoming=False)
        assert way is not None
        path, self.meets, self.line, self.mine = way
        start = max(self.line - self.UPSTREAM, 1.0)
        if not is_free(facts, path.pose(start), 10.0):
            return False
        self.movers = [Mover(self.stage, self.car(), path, start, 9.0, color=self.paint())]
        return True

    def run(self, facts: Facts) -> bool:
        car = self.movers[0]
        left, room = self._ego_arrives(facts), self.meets - car.s
        passed = room < 0.0
        self.happened = self.happened or passed
        wish = float(np.clip(room / max(left - self.AHEAD, 0.3), *self.SPEEDS))
        late = room / self.SPEEDS[1] + 0.5 * self.AHEAD > left  # it would hit the ego's side
        stops = late and car.s + self.NOSE + car.speed**2 / (2 * self.BRAKE) < self.line
        car.drive(facts, 0.0 if stops else 10.0 if passed else wish, accel=4.0, brake=self.BRAKE)
        if car.s >= car.path.length - 1.0:
            car.remove()
            self.movers = []
        return not self.movers or facts.progress > self.mine + 15.0

    def _ego_arrives(self, facts: Facts) -> float:
        """[s] after which the ego is at the crossing if it accelerates as it may."""
        speed, room = max(float(facts.velocity_ego[0]), 0.0), max(self.mine - facts.progress, 0.0)
        accel, top = self.EGO
        top = max(top, speed)
        gathers = (top**2 - speed**2) / (2 * accel)  # m until it is at top speed
        if room < gathers:
            return float((np.sqrt(speed**2 + 2 * accel * room) - speed) / accel)
        return float((top - speed) / accel + (room - gathers) / top)


class LeftTurn(Scenario):
    """The ego turns left without a light of its own while oncoming cars go straight on, then leave a gap."""

    name = "left_turn"
    lead = 40.0
    SPACING = (16.0, 24.0)  # m between the oncoming cars
    SPEED = 9.0  # m/s

    @classmethod
    def places(cls, network: RoadNetwork, route: Route) -> NDArray[np.float64]:
        entries = np.flatnonzero(route.junction[1:] & ~route.junction[:-1]) + 1
        good = []
        for at in entries:
            turns_left = network.lanes["turn"][route.lane[at]] == Command.LEFT
            if turns_left and at > 40 and crossing_way(network, route, float(at) - 1.0, oncoming=True) is not None:
                good.append(float(at))
        return np.array(good)

    def begin(self, facts: Facts) -> bool:
        if facts.light in (LightState.RED, LightState.YELLOW) and facts.light_distance < 60.0:
            return False
        way = crossing_way(self.network, self.route, self.at - 1.0, oncoming=True)
        assert way is not None
        path, meets, line, self.mine = way
        self.meets = meets
        begin, count = line - 10.0, int(self.random.integers(2, 4))
        for _ in range(count):
            if begin < 1.0 or not is_free(facts, path.pose(begin), 9.0):
                break
            self.movers.append(Mover(self.stage, self.car(), path, begin, self.SPEED, color=self.paint()))
            begin -= float(self.random.uniform(*self.SPACING))
        return bool(self.movers)

    def run(self, facts: Facts) -> bool:
        for car in list(self.movers):
            car.drive(facts, self.SPEED)
            near = abs(self.mine - facts.progress) < 35.0
            self.happened = self.happened or (car.s > self.meets and near)
            if car.s >= car.path.length - 1.0:
                car.remove()
                self.movers.remove(car)
        return not self.movers or facts.progress > self.mine + 15.0


def crossing_way(
    network: RoadNetwork, route: Route, entry: float, oncoming: bool
) -> tuple[Path, float, float, float] | None:
    """A straight way through the junction after arc length `entry` of the route that crosses the route's; whoever came
    on one that merges with it would not pass ahead, but come from behind.

    `oncoming`: from opposite, else from a side. Returns its path, the arc length [m] on it of the crossing and of its
    entry into the junction, and the crossing's arc length on the route; None where there is none.
    """
    inside = np.flatnonzero(route.junction & (route.s > entry))
    if not len(inside) or route.s[inside[0]] > entry + 25.0:
        return None
    first = inside[0]
    last = first + int(np.argmin(np.append(route.junction[first:], False)))
    heading = route.yaw[max(first - 3, 0)]
    mine = {int(lane) for lane in route.lane[first:last]}
    others = sorted({int(k) for lane in mine for k in network.conflicts(lane)} - mine)
    for lane in others:
        row = network.lanes[lane]
        before, after = network.predecessors(lane), network.successors(lane)
        if row["turn"] != Command.STRAIGHT or not len(before) or not len(after):
            continue
        upstream = run_up(network, int(before[0]))
        angle = float(np.cos(network.yaw[row["first"]] - heading))
        if (oncoming and angle > -0.8) or (not oncoming and abs(angle) > 0.5):
            continue
        path = path_of_lanes(network, [*upstream, lane, int(after[0])])
        line = float(network.lanes["length"][upstream].sum())
        gaps = np.hypot(*(path.xy[:, None] - route.xy[None, first:last]).transpose(2, 0, 1))
        at, on_route = np.unravel_index(int(np.argmin(gaps)), gaps.shape)
        merges = np.cos(path.yaw[at] - route.yaw[first + on_route]) > MERGING
        if gaps[at, on_route] < 2.0 and line > 35.0 and not merges:
            return path, float(path.s[at]), line, float(route.s[first + on_route])
    return None


def run_up(network: RoadNetwork, lane: int) -> list[int]:
    """The lanes that lead to and through `lane`, back to the last junction or some 70 m."""
    way = [lane]
    while network.lanes["length"][way].sum() < RUN_UP:
        before = [int(k) for k in network.predecessors(way[0]) if network.lanes["junction"][k] < 0]
        if not before or before[0] in way:
            break
        way.insert(0, before[0])
    return way
