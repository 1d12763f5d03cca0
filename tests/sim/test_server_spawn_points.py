"""Spawn points as clients are told them."""

from __future__ import annotations

import pytest

from roadcraft.sim.embedded.catalogue import VEHICLES
from roadcraft.sim.embedded.server.spawn_points import told_spawns
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import STYLES, load_town

LONGEST = max(VEHICLES, key=lambda each: each.extent[0])
WIDEST = max((each for each in VEHICLES if each is not LONGEST), key=lambda each: each.extent[1])


@pytest.mark.parametrize("style", STYLES)
def test_every_vehicle_fits_on_every_spawn_point_at_once(style: str) -> None:
    """CARLA's own tests fill all points of a map with each kind of vehicle, and look for them there a tick later."""
    town = load_town(style)
    spawns = told_spawns(town)
    assert len(spawns) > 100
    assert spawns[0].tolist() == town.network.spawns[0].tolist()
    for vehicle in (LONGEST, WIDEST):
        sim = Simulation(town)
        ids = [sim.spawn(vehicle.id, (x, y, 0.5), yaw) for x, y, yaw in spawns.tolist()]
        sim.step()
        assert [sim.bodies["xyz"][sim.row(number), :2].tolist() for number in ids] == spawns[:, :2].tolist()
        assert not len(sim.contacts)
