"""Bodies that have left the world are gone."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.wire import LARGEST, Pose
from roadcraft.sim.embedded.town import load_town


@pytest.mark.parametrize("field", ["xyz", "velocity"])
@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 2 * LARGEST])
def test_what_is_nowhere_or_too_far_is_gone(field: str, value: float, caplog: pytest.LogCaptureFixture) -> None:
    live = LiveWorld(load_town("grid"), "")
    spawns = live.town.network.spawns[:3].tolist()
    first, stays, last = (live.spawn("vehicle.lincoln.mkz_2020", [], Pose(x, y, 1.0, yaw)) for x, y, yaw in spawns)
    for actor, axis in ((first, 0), (last, 2)):
        live.simulation.set_physics(actor.id, False)
        live.body(actor)[field][axis] = value
    with caplog.at_level(logging.WARNING):
        live.step(0.05)
    assert {first.id, last.id}.isdisjoint(live.actors.by_id)
    assert stays.id in live.actors.by_id
    assert [record.args[0] for record in caplog.records] == [first.id, last.id]
    assert np.isfinite(live.body(stays)["xyz"]).all()
    caplog.clear()
    live.step(0.05)
    assert not caplog.records


def test_a_body_that_stays_when_its_actor_is_gone_does_not_stop_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveWorld(load_town("grid"), "")
    x, y, yaw, *_ = live.town.network.spawns[0].tolist()
    actor = live.spawn("vehicle.lincoln.mkz_2020", [], Pose(x, y, 1.0, yaw))
    live.simulation.set_physics(actor.id, False)
    live.body(actor)["xyz"][0] = float("nan")
    monkeypatch.setattr(live.simulation, "remove", lambda number: None)
    for _ in range(2):
        live.step(0.05)
    assert actor.id not in live.actors.by_id
