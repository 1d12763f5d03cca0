"""Background traffic: vehicles on lanes and walkers on sidewalks, drawn from a seed, more of them near the route.

Only the public `Stage` is used, so every world is populated alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import Traffic
from roadcraft.sim.roads import DRIVING, SIDEWALK, RoadNetwork
from roadcraft.sim.routes import Route
from roadcraft.sim.stage import BACKGROUND, PlaceTaken, Stage

# Blueprints and how often they are met; bicycles and motorcycles are few, as in CARLA's own traffic scripts.
# CARLA's one bus is left out: 3.94 m wide, it fits no lane, and two of them or a queue beside one lock for good.
VEHICLES = {
    "vehicle.audi.tt": 3,
    "vehicle.bmw.grandtourer": 3,
    "vehicle.chevrolet.impala": 2,
    "vehicle.citroen.c3": 3,
    "vehicle.dodge.charger_2020": 2,
    "vehicle.ford.mustang": 2,
    "vehicle.jeep.wrangler_rubicon": 2,
    "vehicle.mercedes.coupe_2020": 3,
    "vehicle.mini.cooper_s_2021": 3,
    "vehicle.nissan.micra": 3,
    "vehicle.nissan.patrol_2021": 2,
    "vehicle.seat.leon": 3,
    "vehicle.tesla.model3": 3,
    "vehicle.toyota.prius": 3,
    "vehicle.volkswagen.t2_2021": 2,
    "vehicle.mercedes.sprinter": 2,
    "vehicle.carlamotors.carlacola": 3,
    "vehicle.yamaha.yzf": 1,
    "vehicle.vespa.zx125": 1,
    "vehicle.gazelle.omafiets": 1,
    "vehicle.bh.crossbike": 1,
}
TWO_WHEELERS = 4  # the last of them
PAINTS = ((17, 37, 103), (137, 0, 0), (38, 38, 38), (158, 158, 158), (225, 225, 225), (23, 69, 52), (196, 176, 140))
WALKERS = 52  # walker.pedestrian.0001 to 0052
START_FREE = 15.0  # m around the ego's start without vehicles
ROUTE_FREE = 30.0  # m of the route's beginning without vehicles
LINE_FREE = 4.0  # m before the end of a lane without vehicles: no one stands in a junction's mouth
GAP = 9.0  # m between vehicles
NEAR = 60.0  # m from the route: the streets that the ego sees
NEAR_SHARE = 0.6  # of the vehicles and walkers that are put there
TRIES = 40  # places tried for each


def populate(stage: Stage, network: RoadNetwork, route: Route, traffic: Traffic, seed: int) -> list[int]:
    """Spawns the traffic and returns the actors' numbers; fewer than asked for where a town is full.

    Vehicles stand at least 15 m from the ego's start and not on the first 30 m of its route.
    """
    random = np.random.default_rng([seed, 0x70B5])
    taken = [(float(x), float(y)) for x, y in route.xy[: int(ROUTE_FREE)]]
    vehicles = _places(network, route, DRIVING, LINE_FREE)
    walkers = _places(network, route, SIDEWALK, 0.0)
    actors = []
    names, odds = list(VEHICLES), odds_of(traffic.two_wheelers)
    for _ in range(traffic.vehicles):
        name = names[int(random.choice(len(names), p=odds))]
        color = PAINTS[int(random.integers(len(PAINTS)))]
        driver = int(random.integers(1, 2**31))
        gap = np.array([START_FREE] + [GAP] * (len(taken) - 1))
        actor = _put(stage, random, vehicles, taken, gap, name, driver, color)
        if actor:
            actors.append(actor)
    on_foot = [(np.inf, np.inf)]
    for _ in range(traffic.walkers):
        name = f"walker.pedestrian.{int(random.integers(1, WALKERS + 1)):04d}"
        driver = int(random.integers(1, 2**31))
        actor = _put(stage, random, walkers, on_foot, np.full(len(on_foot), 1.5), name, driver, None)
        if actor:
            actors.append(actor)
    return actors


def odds_of(two_wheelers: float | None) -> NDArray[np.float64]:
    """Probability of each of VEHICLES, with that share of motorcycles and bicycles."""
    weights = np.array(list(VEHICLES.values()), float)
    odds = weights / weights.sum()
    if two_wheelers is not None:
        odds[:-TWO_WHEELERS] *= (1.0 - two_wheelers) / odds[:-TWO_WHEELERS].sum()
        odds[-TWO_WHEELERS:] *= two_wheelers / odds[-TWO_WHEELERS:].sum()
    return odds


def _places(
    network: RoadNetwork, route: Route, kinds: int, margin: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Lane points (K, 3) x, y, yaw outside junctions where something may stand, and which are near the route."""
    lanes, lane = network.lanes, network.lane_of
    fits = ((kinds >> lanes["kind"][lane]) & 1).astype(bool) & (lanes["junction"][lane] < 0)
    fits &= (network.s > margin) & (network.s < lanes["length"][lane] - margin)
    points = np.column_stack([network.xy, network.yaw])[fits]
    coarse = route.xy[::5]
    away = np.full(len(points), np.inf)
    for x, y in coarse:
        np.minimum(away, np.hypot(points[:, 0] - x, points[:, 1] - y), out=away)
    return points, away < NEAR


def _put(
    stage: Stage,
    random: np.random.Generator,
    places: tuple[NDArray[np.float64], NDArray[np.bool_]],
    taken: list[tuple[float, float]],
    gaps: NDArray[np.float64],
    name: str,
    driver: int,
    color: tuple[int, int, int] | None,
) -> int:
    """One actor at a free place, entered into `taken`; 0 when none was found."""
    points, near = places
    if random.random() < NEAR_SHARE and near.any():
        points = points[near]
    if not len(points):
        return 0
    others = np.array(taken)
    for _ in range(TRIES):
        pose = points[int(random.integers(len(points)))]
        if (np.hypot(*(others - pose[:2]).T) < gaps).any():
            continue
        try:
            actor = stage.spawn(name, pose, autopilot=driver, role=BACKGROUND, color=color)
        except PlaceTaken:
            continue
        taken.append((float(pose[0]), float(pose[1])))
        return actor
    return 0
