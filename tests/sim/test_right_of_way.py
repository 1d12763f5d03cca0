"""Built-in drivers before a junction give way to those who come on the main road, and take a gap that is large enough.

Cars that others move come round a roundabout's ring at a steady pace, past the mouth at which the driver waits.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.roads import Priority, RoadNetwork

PACE = 6.0  # [m/s] of those in the ring
SEEN = 55.0  # [m] before the mouth where they come into being


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("roundabout")


def mouth(network: RoadNetwork) -> tuple[int, list[int]]:
    """A lane into a ring, and the lanes of the main road past it: some before, the one that it meets, some after."""
    lanes = network.lanes
    entries = (lanes["priority"] == Priority.YIELD) & (lanes["junction"] >= 0) & (lanes["length"] > 5.0)
    entry = int(np.flatnonzero(entries)[0])
    way = [first_on_main(network, network.conflicts(entry))]
    while lanes["length"][way[:-1]].sum() < SEEN + 5.0:
        way.insert(0, first_on_main(network, network.predecessors(way[0])))
    for _ in range(2):
        way.append(first_on_main(network, network.successors(way[-1])))
    return entry, way


def before(network: RoadNetwork, lane: int, metres: float) -> tuple[float, float, float]:
    """x, y [m] and yaw [rad] so far before the beginning of a lane."""
    while True:
        (lane,) = network.predecessors(lane).tolist()
        if network.lanes["length"][lane] > metres:
            return network.point(lane, float(network.lanes["length"][lane]) - metres)[:3]
        metres -= float(network.lanes["length"][lane])


def first_on_main(network: RoadNetwork, lanes: NDArray[np.int32]) -> int:
    return next(int(lane) for lane in lanes if network.lanes["priority"][lane] == Priority.MAIN)


def entered_after(town: Town, gaps: list[float], seconds: float = 40.0) -> tuple[float, list[float]]:
    """When [s] the driver is in the mouth, and when each of those in the ring passes it; they follow each other by
    `gaps` [s], the first comes past when the driver has come to the line."""
    network = town.network
    entry, way = mouth(network)
    xy = np.concatenate([network.xy[network.points(lane)] for lane in way])
    xy = xy[np.r_[True, np.hypot(*np.diff(xy, axis=0).T) > 1e-3]]
    s = np.r_[0.0, np.hypot(*np.diff(xy, axis=0).T).cumsum()]
    place = network.lanes["length"][way[:-3]].sum()  # where the lane begins that the mouth meets
    sim = Simulation(town)
    x, y, yaw = before(network, entry, 30.0)
    driver = sim.row(sim.spawn("vehicle.audi.tt", (x, y), yaw, autopilot=3))
    arrivals = 6.0 + np.cumsum([0.0, *gaps]) if gaps else np.zeros(0)
    others: dict[int, int] = {}
    while sim.time < seconds:
        for k, arrival in enumerate(arrivals):
            at = place + PACE * (sim.time - arrival)
            if not place - SEEN < at < s[-1] - 1.0:
                if k in others:
                    sim.remove(others.pop(k))
                continue
            here, ahead = (np.array([np.interp(a, s, xy[:, 0]), np.interp(a, s, xy[:, 1])]) for a in (at, at + 0.5))
            yaw = float(np.arctan2(*(ahead - here)[::-1]))
            if k not in others:
                others[k] = sim.spawn("vehicle.mini.cooper_s_2021", here, yaw)
                sim.set_physics(others[k], False)
            sim.place(others[k], here, yaw, (PACE * np.cos(yaw), PACE * np.sin(yaw), 0.0))
            sim.bodies["speed"][sim.row(others[k])] = PACE
        sim.step()
        assert len(sim.contacts) == 0
        if sim.bodies["lane"][driver] == entry:
            return sim.time, arrivals.tolist()
    return np.inf, arrivals.tolist()


def test_it_goes_at_once_when_nobody_comes(town: Town) -> None:
    assert entered_after(town, [])[0] < 8.0


def test_it_waits_until_the_last_of_a_row_has_passed(town: Town) -> None:
    entered, passed = entered_after(town, [2.0] * 5)
    assert passed[-1] - 0.5 < entered < passed[-1] + 10.0


def test_it_takes_a_gap_that_is_large_enough(town: Town) -> None:
    entered, passed = entered_after(town, [2.0, 2.0, 12.0, 2.0])
    assert passed[2] - 0.5 < entered < passed[3] - 4.0
