"""Losses of radio signals against known answers, and what stands in their way in a town."""

from __future__ import annotations

from math import log10

import numpy as np
import pytest

from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.path_loss import (
    Edge,
    PathLoss,
    Sight,
    Way,
    free_space,
    knife_edge,
    two_ray,
)
from roadcraft.sim.embedded.server.radio import Antenna, way
from roadcraft.sim.embedded.server.surroundings import things
from roadcraft.sim.embedded.server.wire import CITY_TAGS, Pose
from roadcraft.sim.embedded.town import load_town

WAVE = 0.0508  # [m] at 5.9 GHz


@pytest.fixture(scope="module")
def live() -> LiveWorld:
    return LiveWorld(load_town("grid"), "grid")


def antenna(x: float, y: float, z: float) -> Antenna:
    return Antenna((x, y, z), z, 0)


def test_free_space_loses_what_every_table_says() -> None:
    assert free_space(1.0, 5.9) == pytest.approx(47.86, abs=0.02)
    assert free_space(1000.0, 2.4) == pytest.approx(100.05, abs=0.02)


def test_an_edge_on_the_line_costs_6_db_and_one_well_below_nothing() -> None:
    """ITU-R P.526: J(0) = 6.03 dB; J(1) = 13.9, J(2.4) = 20.5."""
    assert knife_edge(Edge(30.0, 30.0, 0.0), WAVE) == pytest.approx(6.03, abs=0.01)
    unit = (WAVE * 30.0 * 30.0 / 2.0 / 60.0) ** 0.5  # [m] for which the parameter is 1
    assert knife_edge(Edge(30.0, 30.0, unit), WAVE) == pytest.approx(13.9, abs=0.1)
    assert knife_edge(Edge(30.0, 30.0, 2.4 * unit), WAVE) == pytest.approx(20.5, abs=0.1)
    assert knife_edge(Edge(30.0, 30.0, -2.0 * unit), WAVE) == 0.0


def test_two_rays_swing_around_free_space_and_far_away_cancel() -> None:
    """Beyond 4 pi h h / wavelength each doubling of the distance costs 12 dB, before that 6 on average."""
    near = [two_ray(Way(d, (1.5, 1.5)), WAVE) - free_space(d, 5.9) for d in np.linspace(20.0, 60.0, 400)]
    assert min(near) < -1.0 < 1.0 < max(near)
    far = 100 * 4 * np.pi * 1.5 * 1.5 / WAVE
    assert two_ray(Way(2 * far, (1.5, 1.5)), WAVE) - two_ray(Way(far, (1.5, 1.5)), WAVE) == pytest.approx(
        12.04, abs=0.1
    )


def test_behind_a_building_more_is_lost_than_behind_a_truck_and_there_more_than_in_sight() -> None:
    truck = (Edge(40.0, 40.0, 2.0),)
    for model in ("winner", "geometric"):
        loss = PathLoss(model=model, scenario="urban")
        clear, bent, blocked = (loss(Way(80.0, (1.5, 1.5), sight, edges)) for sight, edges in (
            (Sight.CLEAR, ()), (Sight.VEHICLE, truck), (Sight.BUILDING, ()),
        ))  # fmt: skip
        assert clear + 8 < bent
        assert clear + 8 < blocked
    expected = free_space(1.0, 5.9) + 27.0 * log10(80.0)
    assert PathLoss(model="geometric")(Way(80.0, (1.5, 1.5), Sight.BUILDING)) == pytest.approx(expected)


def test_no_distance_is_too_short() -> None:
    for model in ("winner", "geometric"):
        for sight in Sight:
            assert abs(PathLoss(model=model)(Way(0.0, (0.0, 0.0), sight, (Edge(0.0, 0.0, 0.0),)))) < 300


def test_houses_block_and_open_roads_do_not(live: LiveWorld) -> None:
    house = things(live, CITY_TAGS["buildings"])[0]
    x, y, reach = house.foot.x, house.foot.y, float(np.hypot(*house.extent[:2])) + 2.0
    assert way(live, antenna(x - reach, y, 1.5), antenna(x + reach, y, 1.5)).sight is Sight.BUILDING
    spawn = live.town.network.spawns[0]
    there = spawn[:2] + 30.0 * np.array([np.cos(spawn[2]), np.sin(spawn[2])])
    found = way(live, antenna(*spawn[:2].tolist(), 1.5), antenna(*there.tolist(), 1.5))
    assert (found.sight, found.edges) == (Sight.CLEAR, ())
    assert found.distance == pytest.approx(30.0)


def test_vehicles_bend_the_way_and_people_let_it_through(live: LiveWorld) -> None:
    x, y, yaw = live.town.network.spawns[0].tolist()
    step = np.array([np.cos(yaw), np.sin(yaw)])
    start, end = antenna(x, y, 1.5), antenna(*([x, y] + 40 * step).tolist(), 1.5)
    walker = live.spawn("walker.pedestrian.0001", [], Pose(*([x, y] + 4 * step).tolist(), 1.0, yaw))
    assert way(live, start, end).sight is Sight.CLEAR
    trucks = [
        live.spawn("vehicle.carlamotors.carlacola", [], Pose(*([x, y] + d * step).tolist(), 0.0, yaw)) for d in (12, 28)
    ]
    found = way(live, start, end)
    assert found.sight is Sight.VEHICLE
    assert [edge.before for edge in found.edges] == pytest.approx([12.0, 28.0], abs=0.01)
    assert found.edges[0].above == pytest.approx(2 * trucks[0].extent[2] - 1.5, abs=0.02)
    carried = Antenna(end.xyz, end.height, trucks[1].id)
    assert len(way(live, start, carried).edges) == 1  # its own carrier is not in the way
    prop = live.spawn("static.prop.busstop", [], Pose(*([x, y] + 20 * step).tolist(), 0.0, yaw))
    assert way(live, start, end).sight is Sight.BUILDING
    top = 2 * prop.extent[2] + 0.02  # its own edge is in the way down to the road
    carried, road = Antenna((*([x, y] + 20 * step).tolist(), top), top, prop.id), antenna(*([x, y] + 24 * step), 0.1)
    assert way(live, carried, road).sight is Sight.CLEAR
    assert way(live, carried._replace(body=0), road).sight is Sight.BUILDING
    for actor in (walker, prop, *trucks):
        live.destroy(actor.id)
