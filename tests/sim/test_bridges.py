"""Roads that cross above each other: the upper one is a deck of its own, the lower one stays free."""

from __future__ import annotations

from math import atan, pi
from pathlib import Path

import numpy as np
import pytest
from hilly import flyover
from test_render_truth import compare, ground_class

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import INDEX, find
from roadcraft.sim.embedded.rays import Rays
from roadcraft.sim.embedded.relief import floor_at, height_at
from roadcraft.sim.embedded.render import Images, Renderer, Scene, View
from roadcraft.sim.embedded.render.ground import load_decks, load_ground
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.messages import Weather

pytest.importorskip("carla", reason="the wheel of the carla client does not exist for this machine")
CAR, LOW, RISE = "vehicle.tesla.model3", 1.0, 6.5
HALF = 5.5  # [m] half of the roads' width, with their sidewalks
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


@pytest.fixture(scope="module")
def renderer(town: Town) -> Renderer:
    return Renderer(town)


def seen(renderer: Renderer, xyz: tuple[float, float, float], **wanted: bool) -> Images:
    """A picture straight down, 0.02 m a pixel on the deck, up: along x."""
    height = xyz[2] - LOW - RISE
    return renderer.render(Scene(), View(xyz, 0.0, pi / 2, 0.0, 400, 400, 2 * atan(4.0 / height)), **wanted)


def test_a_deck_has_the_lines_and_the_sidewalks_of_its_road(renderer: Renderer) -> None:
    classes = seen(renderer, (4.0, 8.0, 15.0), semantic=True).semantic[:, 200]
    x = 4.0 + (199.5 - np.arange(400)) * 0.02
    found = {tag: x[classes == tag] for tag in (1, 2, 24, 26)}
    assert found[24].mean() == pytest.approx(3.5 - 0.075 - 0.03, abs=0.04)  # wholly on the lane, beside the kerb
    assert np.ptp(found[24]) == pytest.approx(0.15, abs=0.06)
    assert (found[2].min(), found[2].max()) == pytest.approx((3.5, HALF), abs=0.06)
    assert found[1].max() < 3.5
    assert found[26].min() == pytest.approx(HALF, abs=0.06)


def test_the_road_on_a_deck_is_not_painted_under_it(town: Town) -> None:
    ground = load_ground(town.network)
    along = np.stack([np.full(60, 1.75), np.linspace(7.0, 10.0, 60)], -1)  # beside the lower road, below the deck
    assert (ground_class(ground, along) == 10).all()
    assert (ground_class(load_decks(town.network), along) == 1).all()
    assert (ground_class(ground, along[:, ::-1]) == 1).all()


def test_parapets_stand_along_both_edges_outside_of_the_lanes(town: Town) -> None:
    rays = Rays(town)
    for side in (-1.0, 1.0):
        for y in np.linspace(-8.0, 8.0, 9):
            start, there = (side * 2.0, y, LOW + RISE + 0.5), np.array([[side, 0.0, 0.0]])
            hit = rays.cast(start, there, 20.0, NOBODY)
            assert hit.distance[0] == pytest.approx(HALF - 2.0, abs=0.02)
            assert hit.tag[0] == 26
            over = rays.cast((side * 2.0, y, LOW + RISE + 0.9), there, 20.0, NOBODY)
            assert not np.isfinite(over.distance[0])
            back = rays.cast((side * 15.0, y, LOW + RISE + 0.5), -there, 20.0, NOBODY)
            assert back.distance[0] == pytest.approx(15.0 - HALF - 0.2, abs=0.02)
    for x in (-3.4, 0.0, 3.4):  # nothing stands across the road where the bridge begins
        assert not np.isfinite(
            rays.cast((x, 0.0, LOW + RISE + 0.4), np.array([[0.0, 1.0, 0.0]]), 29.0, NOBODY).distance[0]
        )


def test_a_deck_casts_its_shadow_on_the_road_below(renderer: Renderer, town: Town) -> None:
    high = Weather(sun_altitude_angle=80.0, sun_azimuth_angle=90.0)
    view = View((-30.0, -1.75, LOW + 2.0), 0.0, 0.1, 0.0, 320, 180, 1.0)
    images = renderer.render(Scene(weather=high), view, semantic=True, depth=True)
    road, depth = images.semantic[:, 160] == 1, images.depth[:, 160].copy()
    light = images.rgb[:, 160].sum(1).astype(float)
    under = light[road & (np.abs(depth - 30.0) < 4.0)].mean()
    before = light[road & (depth < 20.0)].mean()
    assert under < 0.75 * before
    on_top = renderer.render(Scene(weather=high), View((1.75, -5.0, LOW + RISE + 2.0), pi / 2, 0.5, 0.0, 320, 180, 1.0))
    lit = on_top.rgb[100:, 160].sum(1).astype(float)
    assert lit.mean() == pytest.approx(before, rel=0.15)


def test_headlights_shine_on_the_deck_and_not_on_the_road_below(renderer: Renderer) -> None:
    def lit(z: float) -> np.ndarray:
        """How much brighter a car on the deck makes a road."""
        bodies = np.zeros(1, BODY)
        bodies["id"], bodies["blueprint"], bodies["extent"] = 7, INDEX[CAR], find(CAR).extent
        bodies["xyz"], bodies["yaw"], bodies["lights"] = (1.75, -9.0, LOW + RISE), pi / 2, 2
        night = Weather(sun_altitude_angle=-60.0)
        view = View((1.75, 6.0, z + 3.0), -pi / 2, 0.5, 0.0, 96, 54, 0.8)
        dark = renderer.render(Scene(weather=night), view).rgb.astype(int).copy()
        return renderer.render(Scene(bodies, weather=night), view).rgb.astype(int).sum(2) - dark.sum(2)

    assert np.median(lit(LOW + RISE)[30:]) > 20
    assert np.abs(lit(LOW)[30:]).max() <= 1


def test_a_car_on_a_deck_darkens_it(renderer: Renderer) -> None:
    bodies = np.zeros(1, BODY)
    bodies["id"], bodies["blueprint"], bodies["extent"] = 7, INDEX[CAR], find(CAR).extent
    bodies["xyz"], bodies["yaw"] = (1.75, 0.0, LOW + RISE), pi / 2
    view = View((1.75, -12.0, LOW + RISE + 4.0), pi / 2, 0.3, 0.0, 160, 120, 0.8)
    bare = renderer.render(Scene(), view).rgb.astype(int).copy()
    images = renderer.render(Scene(bodies), view, instance=True)
    darker = (images.rgb.astype(int).sum(2) < bare.sum(2) - 60) & (images.instance == 0)
    assert darker.sum() > 50


VIEWS = (  # along the deck, across it, from beside and above, from below
    View((1.75, -16.0, LOW + RISE + 1.6), pi / 2, 0.1, 0.02, 256, 144, 1.2),
    View((-2.0, 3.0, LOW + RISE + 2.5), -0.6, 0.3, 0.0, 256, 144, 1.2),
    View((14.0, -6.0, LOW + RISE + 7.0), 2.6, 0.5, -0.03, 256, 144, 1.2),
    View((-18.0, -1.75, LOW + 1.6), 0.1, -0.2, 0.0, 256, 144, 1.2),
)


def test_pictures_of_bridges_equal_plain_ray_casting(renderer: Renderer, town: Town) -> None:
    shares = np.array([compare(renderer, town, seed, view) for seed, view in enumerate(VIEWS)])
    assert shares[:, 0].mean() <= 0.005
    assert shares[:, 1].mean() <= 0.005
