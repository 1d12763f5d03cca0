"""Walkers: those who are told where to go, and those who stroll."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from roadcraft.sim.embedded.footpaths import CROSSING, JAYWALK, make_footpaths
from roadcraft.sim.embedded.scenery import Scenery
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.messages import Kind, LightState
from roadcraft.sim.roads import LaneKind

WALKER = "walker.pedestrian.0021"


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("grid")


@pytest.fixture
def sim(town: Town) -> Simulation:
    return Simulation(town)


def test_a_walker_goes_where_it_is_told_and_faces_that_way(town: Town) -> None:
    sim = Simulation(replace(town, scenery=Scenery(town.scenery.static[:0])))
    place = town.network.spawns[0, :2]
    number = sim.spawn(WALKER, place, 0.0)
    sim.control_walker(number, (0.0, 2.0), 1.4)
    for _ in range(100):
        sim.step()
    body = sim.body(number)
    assert body["velocity"][:2] == pytest.approx([0.0, 1.4], abs=1e-3)
    assert body["yaw"] == pytest.approx(pi / 2, abs=1e-3)
    assert body["xyz"][1] - place[1] == pytest.approx(1.4 * 5.0, abs=0.4)
    strides = float(body["stride"])
    sim.step()
    assert float(body["stride"]) != strides
    sim.control_walker(number, (0.0, 0.0), 1.0)
    for _ in range(20):
        sim.step()
    assert (sim.body(number)["velocity"] == 0).all()


@pytest.mark.parametrize("style", ["grid", "arterial", "roundabout"])
def test_walkers_wait_beside_the_road(style: str) -> None:
    town = load_town(style)
    paths = make_footpaths(town.network, town.scenery.solids)
    for edge in paths.edges[paths.edges["kind"] == CROSSING]:
        end = paths.nodes[edge["to"]]
        lane, s, lateral = town.network.nearest((end["x"], end["y"]))
        assert abs(lateral) > town.network.point(lane, s)[3] / 2 + 0.5


def test_footpaths_lead_everywhere_and_back(town: Town) -> None:
    paths = make_footpaths(town.network, town.scenery.solids)
    reached, queue = {0}, [0]
    while queue:
        node = paths.nodes[queue.pop()]
        for edge in paths.edges[node["first"] : node["last"]]:
            if edge["kind"] != JAYWALK and int(edge["to"]) not in reached:
                reached.add(int(edge["to"]))
                queue.append(int(edge["to"]))
    assert len(reached) == len(paths.nodes)
    assert (paths.edges["kind"] == CROSSING).sum() == 2 * len(town.network.crosswalks)
    at_lights = paths.edges[(paths.edges["kind"] == CROSSING) & (paths.edges["last"] > paths.edges["first"])]
    assert len(at_lights) > 0


def test_strollers_stay_on_footpaths_and_cross_at_red_only(sim: Simulation, town: Town) -> None:
    rng = np.random.default_rng(1)
    network = town.network
    sidewalks = np.flatnonzero(network.lanes["kind"] == LaneKind.SIDEWALK)
    for k in range(30):
        lane = int(rng.choice(sidewalks))
        x, y, yaw, _ = network.point(lane, rng.random() * network.lanes["length"][lane])
        sim.spawn(f"walker.pedestrian.{k + 1:04d}", (x, y), yaw, autopilot=k + 1)
    crossings, before = 0, np.zeros(64, bool)
    for _ in range(2400):
        sim.step()
        for row in range(len(sim.bodies)):
            w = sim._strollers[row]
            crossing = w["kind"] == CROSSING and not w["waits"]
            if crossing and not before[row]:
                crossings += 1
                edge = sim._paths.edges[w["edge"]]
                for signal in sim._paths.signals[edge["first"] : edge["last"]]:
                    assert sim.lights.state[signal] == LightState.RED
            before[row] = crossing
    assert crossings >= 5
    for row, b in enumerate(sim.bodies):
        w = sim._strollers[row]
        if w["kind"] == 0:
            lane, _, lateral = network.nearest(b["xyz"][:2], kinds=1 << LaneKind.SIDEWALK)
            assert lane >= 0
            assert abs(lateral) < 4.0
    assert len(sim.contacts) == 0


def test_some_cross_the_road_where_they_like(sim: Simulation, town: Town) -> None:
    """Only those who are made so, and never into a car."""
    rng = np.random.default_rng(4)
    sidewalks = np.flatnonzero(town.network.lanes["kind"] == LaneKind.SIDEWALK)
    for k in range(60):
        lane = int(rng.choice(sidewalks))
        x, y, yaw, _ = town.network.point(lane, rng.random() * town.network.lanes["length"][lane])
        sim.spawn(f"walker.pedestrian.{k % 50 + 1:04d}", (x, y), yaw, autopilot=k + 1)
    may = sim._strollers["jaywalks"][:60].copy()
    assert 2 <= may.sum() <= 15
    did = np.zeros(60, bool)
    for _ in range(3600):
        sim.step()
        did |= (sim._strollers["kind"][:60] == JAYWALK) & ~sim._strollers["waits"][:60]
    assert did.any()
    assert not (did & ~may).any()
    assert len(sim.contacts) == 0


def test_a_stroller_does_not_walk_into_a_car(sim: Simulation, town: Town) -> None:
    lanes = town.network.lanes
    lane = int(np.argmax(np.where(lanes["kind"] == LaneKind.SIDEWALK, lanes["length"], 0)))
    x, y, yaw, _ = town.network.point(lane, lanes["length"][lane] / 2)
    sim.spawn("vehicle.audi.a2", (x, y), yaw + pi / 2)
    for k, side in enumerate((-6.0, 6.0)):
        place = (x + side * np.cos(yaw), y + side * np.sin(yaw))
        sim.spawn(WALKER, place, yaw if side < 0 else yaw + pi, autopilot=k + 10)
    for _ in range(600):
        sim.step()
        assert len(sim.contacts) == 0
    assert (sim.bodies["kind"] == Kind.PEDESTRIAN).sum() == 2


def test_children_walk_more_slowly_than_adults_and_seeds_differ(sim: Simulation, town: Town) -> None:
    lane = int(np.flatnonzero(town.network.lanes["kind"] == LaneKind.SIDEWALK)[0])
    x, y, yaw, _ = town.network.point(lane, 5.0)
    paces = []
    for seed in range(1, 20):
        number = sim.spawn(WALKER, (x, y), yaw, autopilot=seed)
        paces.append(float(sim._strollers[sim.row(number)]["pace"]))
        sim.remove(number)
    assert len(set(paces)) == len(paces)
    assert 1.0 < min(paces) < max(paces) < 2.0
