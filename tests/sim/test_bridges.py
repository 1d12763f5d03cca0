"""Roads that cross above each other: the upper one is a deck of its own, the lower one stays free."""

from __future__ import annotations

from math import pi
from pathlib import Path

import numpy as np
import pytest
from hilly import flyover

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.rays import Rays
from roadcraft.sim.embedded.relief import floor_at, height_at
from roadcraft.sim.embedded.render import Renderer, Scene, View
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import Town, load_town

pytest.importorskip("carla", reason="the wheel of the carla client does not exist for this machine")
CAR, LOW, RISE = "vehicle.tesla.model3", 1.0, 6.5
NOBODY = np.zeros(0, BODY)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    path: Path = tmp_path_factory.mktemp("flyover") / "flyover.xodr"
    path.write_text(flyover(RISE))
    return load_town(str(path))


def test_the_ground_is_the_lower_road_and_the_deck_the_upper(town: Town) -> None:
    relief = town.relief
    assert height_at(relief, 1.75, 0.0) == pytest.approx(LOW, abs=0.02)
    assert floor_at(relief, 1.75, 0.0, LOW) == pytest.approx(LOW, abs=0.02)
    assert floor_at(relief, 1.75, 0.0, LOW + RISE) == pytest.approx(LOW + RISE, abs=0.02)
    for x, y in town.network.xy[np.abs(town.network.xy).max(1) < 40]:  # both roads are even there
        assert height_at(relief, x, y) < LOW + RISE + 0.02


def test_rays_meet_the_deck_from_above_and_from_below(town: Town) -> None:
    rays = Rays(town)
    down = rays.cast((1.75, 0.0, 20.0), np.array([[0.0, 0.0, -1.0]]), 50.0, NOBODY)
    assert down.distance[0] == pytest.approx(20.0 - LOW - RISE, abs=0.02)
    assert down.tag[0] == 1
    up = rays.cast((1.75, 0.0, LOW + 1.0), np.array([[0.0, 0.0, 1.0]]), 50.0, NOBODY)
    assert 4.0 < up.distance[0] < RISE - 1.0
    assert up.tag[0] == 26  # CARLA's bridge
    below = rays.cast((-30.0, -1.75, LOW + 1.5), np.array([[1.0, 0.0, 0.0]]), 60.0, NOBODY)
    assert not np.isfinite(below.distance[0])  # the way is free


def test_pictures_show_the_deck_and_the_road_below_it(town: Town) -> None:
    renderer = Renderer(town)
    above = renderer.render(Scene(), View((1.75, 0.0, 20.0), 0.0, pi / 2, 0.0, 33, 33), depth=True, semantic=True)
    assert above.depth[16, 16] == pytest.approx(20.0 - LOW - RISE, abs=0.02)
    assert above.semantic[16, 16] == 1
    ahead = View((-40.0, -1.75, LOW + 1.5), 0.0, 0.0, 0.0, 320, 180, 1.0)
    images = renderer.render(Scene(), ahead, depth=True, semantic=True)
    assert (images.semantic == 26).sum() > 200
    column = images.depth[:, 160]
    row = int(90 + ahead.focal * 1.5 / 60.0)  # the road 20 m behind the bridge
    assert column[row] == pytest.approx(60.0, rel=0.05)
    assert images.semantic[row, 160] in (1, 24)


def test_cars_drive_over_and_under_it(town: Town) -> None:
    world = Simulation(town)
    over = world.spawn(CAR, (1.75, -40.0, floor_at(town.relief, 1.75, -40.0, 9.0) + 0.2), pi / 2)
    under = world.spawn(CAR, (-40.0, -1.75, LOW + 0.2), 0.0)
    for car in (over, under):
        world.control_vehicle(car, 0.6, 0.0, 0.0)
    seen_over = seen_under = False
    for _ in range(300):
        world.step()
        (_, y, z), (x, _, low) = world.body(over)["xyz"].tolist(), world.body(under)["xyz"].tolist()
        if abs(y) < 8:
            seen_over = True
            assert z == pytest.approx(LOW + RISE, abs=0.05)
        if abs(x) < 8:
            seen_under = True
            assert low == pytest.approx(LOW, abs=0.05)
    assert seen_over
    assert seen_under
