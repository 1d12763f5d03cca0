"""Built-in drivers change lanes to pass a slower car, and not before one who comes from behind (MOBIL)."""

from __future__ import annotations

import numpy as np
import pytest

from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.roads import LaneKind

SLOW = 6.0  # m/s
CAR, OTHER = "vehicle.audi.tt", "vehicle.mini.cooper_s_2021"


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("highway")


def outer_lane(town: Town) -> int:
    """The slow one of two lanes of the longest stretch of motorway."""
    lanes = town.network.lanes
    drives = lanes["kind"] == LaneKind.DRIVING
    beside = drives[lanes["left"]] & (lanes["left"] >= 0) & ~(drives[lanes["right"]] & (lanes["right"] >= 0))
    return int(np.argmax(lanes["length"] * (drives & beside & (lanes["junction"] < 0) & (lanes["speed_limit"] > 20))))


def changed_after(town: Town, seed: int, *, leader: bool, row: bool = False) -> tuple[float, float]:
    """When [s] a driver is in the inner lane, and by how much [m] the last of those there is ahead of it then. With
    `leader` somebody slow is 25 m ahead of it, with `row` three faster cars come along the inner lane."""
    network, lane = town.network, outer_lane(town)
    inner, sim = int(network.lanes["left"][lane]), Simulation(town)

    def put(name: str, where: int, s: float, speed: float, autopilot: int = 0) -> int:
        x, y, yaw, _ = network.point(where, s)
        number = sim.spawn(name, (x, y), yaw, autopilot=autopilot)
        sim.set_velocity(number, (speed * np.cos(yaw), speed * np.sin(yaw), 0.0))
        if not autopilot:
            sim.set_constant_velocity(number, (speed, 0.0, 0.0))
        return number

    driver = sim.row(put(CAR, lane, 20.0, 12.0, seed))
    if leader:
        put(OTHER, lane, 45.0, SLOW)
    others = [sim.row(put(OTHER, inner, s, 14.0)) for s in (34.0, 19.0, 4.0)] if row else []
    while sim.time < 20.0 and sim.bodies["lane"][driver] != inner:
        if sim.bodies["lane"][driver] not in (lane, inner):
            break
        sim.step()
        assert len(sim.contacts) == 0
    if sim.bodies["lane"][driver] != inner:
        return np.inf, np.inf
    s = [network.nearest(xyz[:2])[1] for xyz in sim.bodies["xyz"][[driver, *others]]]
    return sim.time, min(s[1:], default=np.inf) - s[0]


@pytest.mark.parametrize("seed", range(1, 5))
def test_who_is_slower_ahead_is_passed(town: Town, seed: int) -> None:
    assert changed_after(town, seed, leader=True)[0] < 6.0
    assert changed_after(town, seed, leader=False)[0] == np.inf


@pytest.mark.parametrize("seed", range(1, 5))
def test_who_comes_from_behind_goes_first(town: Town, seed: int) -> None:
    time, ahead = changed_after(town, seed, leader=True, row=True)
    assert time > changed_after(town, seed, leader=True)[0]
    assert 4.0 < ahead < np.inf  # a car's length
