"""Vehicles and walkers that the server drives itself: the population of `roadcraft serve --vehicles N --walkers N`."""

from __future__ import annotations

import logging

import numpy as np

from roadcraft.sim.embedded.server.blueprints import AUTOPILOT
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.errors import UserError
from roadcraft.sim.population import PAINTS, VEHICLES, WALKERS
from roadcraft.sim.roads import LaneKind

log = logging.getLogger(__name__)

INT, COLOR = 2, 5  # attribute types
SPACING = 8.0  # m between vehicles at the beginning
TRIES = 20  # places tried for each walker


def populate(live: LiveWorld, vehicles: int, walkers: int, seed: int) -> tuple[int, int]:
    """Spawns them all over the town; how many there was room for, which the log tells where it is not all."""
    random = np.random.default_rng([seed, 0x5EED])
    driving, walking = _drivers(live, vehicles, random), _strollers(live, walkers, random)
    if (driving, walking) != (vehicles, walkers):
        log.warning("room for %d of %d vehicles and %d of %d walkers", driving, vehicles, walking, walkers)
    return driving, walking


def _drivers(live: LiveWorld, wanted: int, random: np.random.Generator) -> int:
    names, weights = list(VEHICLES), np.array(list(VEHICLES.values()), float)
    count, taken = 0, np.full((1, 2), np.inf)
    for x, y, yaw in random.permutation(live.town.network.spawns):
        if count == wanted:
            break
        if np.hypot(*(taken - (x, y)).T).min() < SPACING:
            continue
        name = names[int(random.choice(len(names), p=weights / weights.sum()))]
        paint = ",".join(map(str, PAINTS[int(random.integers(len(PAINTS)))]))
        if _spawn(live, name, Pose(float(x), float(y), 0.3, float(yaw)), random, paint):
            taken = np.vstack([taken, (x, y)])
            count += 1
    return count


def _strollers(live: LiveWorld, wanted: int, random: np.random.Generator) -> int:
    network = live.town.network
    sidewalks = np.flatnonzero(network.lanes["kind"][network.lane_of] == LaneKind.SIDEWALK)
    count = 0
    for _ in range(wanted if len(sidewalks) else 0):
        name = f"walker.pedestrian.{int(random.integers(1, WALKERS + 1)):04d}"
        for _ in range(TRIES):
            at = sidewalks[int(random.integers(len(sidewalks)))]
            x, y = network.xy[at].tolist()
            if _spawn(live, name, Pose(x, y, float(network.z[at]) + 1.1, float(network.yaw[at])), random):
                count += 1
                break
    return count


def _spawn(live: LiveWorld, name: str, pose: Pose, random: np.random.Generator, paint: str = "") -> bool:
    attributes = [[AUTOPILOT, INT, str(int(random.integers(1, 2**31)))]]
    if paint:
        attributes.append(["color", COLOR, paint])
    try:
        live.spawn(name, attributes, pose)
    except UserError:
        return False
    return True
