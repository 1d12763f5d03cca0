"""Routes drawn from a seed: random walks over the lanes, the most varied of which is taken."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Command
from roadcraft.sim.roads import RoadNetwork
from roadcraft.sim.routes import Route, change_length, route_through

WALKS = 40  # random walks to choose from
SPARE = 300.0  # [m] that a walk goes on after the length asked for, so that there is a place to end
AFTER_JUNCTION, BEFORE_JUNCTION = 15.0, 12.0  # [m] between the goal and the junctions before and behind it
STRAIGHT = 0.02  # [rad] heading change over 10 m that still is straight
CHANGE_SHARE = 0.3  # of the streets with several lanes on which the walk changes lanes
JUNCTIONS = 3  # that a route crosses at least, where the town has them


@dataclass(frozen=True)
class _Walk:
    lanes: list[int]
    start_s: float
    score: float


def draw_route(network: RoadNetwork, seed: int, length: float, start: int | None) -> Route:
    """See `routes.route_from_seed`."""
    if start is not None and not 0 <= start < len(network.spawns):
        raise UserError(f"{network.name} has spawn points 0 to {len(network.spawns) - 1}, not {start}")
    if len(network.spawns) == 0:
        raise UserError(f"{network.name} has no place to spawn a car")
    rng = np.random.default_rng([seed, 7])
    starts = _starts(network) if start is None else np.array([start])
    of = _Lanes.of(network)
    walks = [_walk(network, of, rng, length, int(rng.choice(starts))) for _ in range(WALKS)]
    walks.sort(key=lambda walk: -walk.score)
    for junctions in (JUNCTIONS, 0):
        for walk in walks:
            route = route_through(network, walk.lanes, walk.start_s)
            end = _goal(route, length, junctions)
            if end is not None:
                return route.until(end)
    raise UserError(f"{network.name}: no route of {length:g} m found from seed {seed}; ask for a shorter one")


def _starts(network: RoadNetwork) -> NDArray[np.int64]:
    """The spawn points on straight road, or all where there are none."""
    straight = []
    for x, y, yaw in network.spawns:
        lane, s, _ = network.nearest((x, y), yaw)
        ahead = network.point(lane, s + 8.0)[2] - network.point(lane, s - 4.0)[2]
        straight.append(abs((ahead + np.pi) % (2 * np.pi) - np.pi) < STRAIGHT)
    return np.flatnonzero(straight) if any(straight) else np.arange(len(network.spawns))


@dataclass(frozen=True)
class _Lanes:
    """What walks ask of each lane, as lists: they ask for one number at a time, ten thousands of times."""

    length: list[float]  # [m]
    road: list[int]
    junction: list[int]
    turn: list[int]
    signal: list[int]
    stop: list[int]
    speed_limit: list[float]  # [m/s]
    successors: list[list[int]]
    changes: list[list[int]]
    change_length: list[float]  # [m]

    @staticmethod
    def of(network: RoadNetwork) -> _Lanes:
        rows, lanes = network.lanes, range(len(network.lanes))
        return _Lanes(
            length=rows["length"].tolist(),
            road=rows["road"].tolist(),
            junction=rows["junction"].tolist(),
            turn=rows["turn"].tolist(),
            signal=rows["signal"].tolist(),
            stop=rows["stop"].tolist(),
            speed_limit=rows["speed_limit"].tolist(),
            successors=[network.successors(lane).tolist() for lane in lanes],
            changes=[network.changes(lane) for lane in lanes],
            change_length=[change_length(network, lane) for lane in lanes],
        )


def _walk(network: RoadNetwork, of: _Lanes, rng: np.random.Generator, length: float, start: int) -> _Walk:
    """A random way over the lanes that prefers streets and kinds of turn that it has not had yet.

    It goes on for SPARE metres after `length`, but is judged by what it meets before.
    """
    x, y, yaw = network.spawns[start]
    lane, start_s, _ = network.nearest((x, y), yaw)
    lanes, left = [lane], length - (of.length[lane] - start_s)
    turns: dict[int, int] = {}
    roads = {of.road[lane]: 1}
    changed, at = True, start_s  # no lane change on the street on which it begins
    score = None
    while left > -SPARE:
        if score is None and left < 0:
            score = _score(of, lanes, roads, turns)
        sides, stretch = of.changes[lane], of.change_length[lane]
        room = of.length[lane] - at
        if sides and not changed and room > 0.9 * stretch and rng.random() < CHANGE_SHARE:
            lane, at, changed = sides[int(rng.integers(len(sides)))], at + stretch, True
            lanes.append(lane)
            continue
        after = of.successors[lane]
        if not after:
            if not sides:
                break
            lane = sides[int(rng.integers(len(sides)))]  # this lane ends: leave it
            lanes.append(lane)
            continue
        lane, at = _drawn(after, [_wish(of, n, roads, turns) for n in after], rng.random()), 0.0
        lanes.append(lane)
        left -= of.length[lane]
        road = of.road[lane]
        if road != of.road[lanes[-2]]:
            changed = False
            roads[road] = roads.get(road, 0) + 1
            if of.junction[lane] >= 0:
                turns[of.turn[lane]] = turns.get(of.turn[lane], 0) + 1
    return _Walk(lanes, start_s, _score(of, lanes, roads, turns) - 10.0 if score is None else score)


def _drawn(things: list[int], weights: list[float], draw: float) -> int:
    """One of `things`, as likely as its weight is large, by a number `draw` in [0, 1)."""
    total = sum(weights)
    reached = list(accumulate(weight / total for weight in weights))
    return things[bisect_right([some / reached[-1] for some in reached], draw)]


def _wish(of: _Lanes, lane: int, roads: dict[int, int], turns: dict[int, int]) -> float:
    """How welcome a next lane is: rare turns and new streets are."""
    weight = 1.0
    if of.junction[lane] >= 0:
        weight /= 1.0 + turns.get(of.turn[lane], 0)
    seen = max(roads.get(of.road[n], 0) for n in (lane, *of.successors[lane]))
    return weight * 0.05**seen


def _score(of: _Lanes, lanes: list[int], roads: dict[int, int], turns: dict[int, int]) -> float:
    """How much there is to see on the way."""
    kinds = sum(turns.get(int(k), 0) > 0 for k in (Command.LEFT, Command.RIGHT, Command.STRAIGHT))
    lights = sum(of.signal[lane] >= 0 for lane in lanes)
    signs = sum(of.stop[lane] >= 0 for lane in lanes)
    again = sum(count - 1 for count in roads.values())
    speeds = len({of.speed_limit[lane] for lane in lanes})
    few = max(JUNCTIONS - sum(turns.values()), 0)
    return kinds + 0.7 * speeds + min(lights, 2) + 0.5 * min(signs, 1) - 2.0 * again - 2.0 * few


def _goal(route: Route, length: float, junctions: int) -> float | None:
    """The first arc length [m] from `length` on that lies on straight road between junctions, behind so many."""
    inside = np.flatnonzero(route.junction)
    entered = np.flatnonzero(np.diff(route.junction.astype(int)) == 1)
    if len(entered) < junctions:
        return None
    first = max(int(np.searchsorted(route.s, length)), int(entered[junctions - 1]) if junctions else 0)
    for k in range(first, len(route.s) - 5):
        gaps = route.s[inside] - route.s[k]
        if np.any((gaps > -AFTER_JUNCTION) & (gaps < BEFORE_JUNCTION)) or route.command[k] in (
            Command.CHANGE_LEFT,
            Command.CHANGE_RIGHT,
        ):
            continue
        bend = route.yaw[max(k - 10, 0) : k + 6] - route.yaw[k]
        if np.abs((bend + np.pi) % (2 * np.pi) - np.pi).max() < STRAIGHT:
            return float(route.s[k])
    return None
