"""Ground with hills: pictures, rays and bodies meet the same mesh, and it lies where the roads are."""

from __future__ import annotations

from dataclasses import replace
from math import atan2, pi
from pathlib import Path

import numpy as np
import pytest
from hilly import crest, hilly_town

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import INDEX, find
from roadcraft.sim.embedded.rays import Rays
from roadcraft.sim.embedded.relief import Plane, Relief, height_at
from roadcraft.sim.embedded.render import Renderer, Scene, View
from roadcraft.sim.embedded.scenery import Shape
from roadcraft.sim.embedded.server.derived import normals
from roadcraft.sim.embedded.server.flow import flow
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.roads import LaneKind

pytest.importorskip("carla", reason="the wheel of the carla client does not exist for this machine")
CAR = "vehicle.tesla.model3"
CLIMB, LENGTH = 0.08, 200.0  # of the road over a crest
TOP = LENGTH / 2  # [m] x of its highest place
NOBODY = np.zeros(0, BODY)


def profile(x: float) -> float:
    """Height [m] of the road over the crest, as its file has it."""
    return 3.0 + CLIMB * x - CLIMB / LENGTH * x * x


def load(folder: Path, text: str) -> Town:
    path = folder / "hills.xodr"
    path.write_text(text)
    return load_town(str(path))


@pytest.fixture(scope="module")
def over_crest(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return load(tmp_path_factory.mktemp("crest"), crest(CLIMB, LENGTH))


@pytest.fixture(scope="module")
def suburb(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return load(tmp_path_factory.mktemp("suburb"), hilly_town("suburb"))


@pytest.fixture(scope="module")
def renderer(over_crest: Town) -> Renderer:
    return Renderer(over_crest)


def car_at(x: float, y: float = -1.75) -> np.ndarray:
    """One car on the road over the crest."""
    bodies = np.zeros(1, BODY)
    bodies["id"], bodies["blueprint"], bodies["extent"] = 7, INDEX[CAR], find(CAR).extent
    bodies["xyz"], bodies["color"] = (x, y, profile(x)), (200, 30, 30)
    return bodies


def test_a_flat_town_is_a_plane() -> None:
    assert isinstance(load_town("grid").relief, Plane)


def test_lanes_wider_than_the_land_around_lie_on_the_mesh(tmp_path: Path) -> None:
    """Clients send maps too: none may write beyond the grid."""
    town = load(tmp_path, crest(CLIMB, LENGTH, width=900.0))
    for y in (-890.0, -450.0, 450.0, 890.0):
        assert height_at(town.relief, TOP, y) == pytest.approx(profile(TOP), abs=0.02)


def test_the_mesh_lies_on_the_lanes(suburb: Town) -> None:
    """Outside of junctions, where roads of different heights meet in one place."""
    network = suburb.network
    assert np.ptp(network.z) > 8
    off = np.array([height_at(suburb.relief, x, y) for x, y in network.xy]) - network.z
    assert np.abs(off[network.lanes["junction"][network.lane_of] < 0]).max() < 0.02
    assert np.quantile(np.abs(off), 0.98) < 0.1


def test_the_mesh_has_no_gaps_and_is_what_is_looked_up(suburb: Town) -> None:
    relief = suburb.relief
    assert isinstance(relief, Relief)
    rng = np.random.default_rng(0)
    some, share = rng.integers(len(relief.faces), size=500), rng.dirichlet([1, 1, 1], 500)
    places = (relief.faces[some, :9].reshape(-1, 3, 3) * share[:, :, None]).sum(1) + np.append(relief.frame[:2], 0.0)
    assert max(abs(height_at(relief, x, y) - z) for x, y, z in places.tolist()) < 1e-4
    edges: dict[tuple, int] = {}
    corners = np.round(relief.faces[:, :9].reshape(-1, 3, 3), 3)
    for face in corners.tolist():
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            edges[tuple(a), tuple(b)] = edges.get((tuple(a), tuple(b)), 0) + 1
    alone = [a for (a, b), _ in edges.items() if (b, a) not in edges]
    assert set(edges.values()) == {1}
    assert all(abs(z - relief.frame[3]) < 2e-3 for _, _, z in alone)  # all others lie between two triangles


def test_the_land_is_without_cliffs_and_ends_as_a_plane(suburb: Town) -> None:
    relief = suburb.relief
    slope = np.hypot(*np.gradient(relief.z, float(relief.frame[2])))
    assert slope.max() < 0.5
    assert relief.z.min() == pytest.approx(relief.frame[3])
    assert (relief.z[[0, -1]] == np.float32(relief.frame[3])).all()
    x, y = suburb.network.xy.max(0) + 5000.0
    assert height_at(relief, x, y) == relief.frame[3]


def test_things_stand_on_the_ground(suburb: Town) -> None:
    static, relief = suburb.scenery.static, suburb.relief
    for row in static[static["shape"] != Shape.BUILDING]:
        if row["shape"] in (Shape.TREE, Shape.LAMP, Shape.SIGNAL, Shape.SIGN, Shape.CYLINDER):
            assert row["xyz"][2] == pytest.approx(height_at(relief, *row["xyz"][:2]), abs=1e-6)
    houses = static[static["shape"] == Shape.BUILDING]
    assert len(houses) > 30
    for row in houses:
        c, s = np.cos(row["yaw"]), np.sin(row["yaw"])
        corners = row["extent"][:2] * [(1, 1), (1, -1), (-1, -1), (-1, 1)] @ [[c, s], [-s, c]] + row["xyz"][:2]
        under = [height_at(relief, x, y) for x, y in corners]
        assert row["xyz"][2] <= min(under) + 1e-6
        assert max(under) < row["xyz"][2] + row["extent"][2]  # not sunk


def test_lights_and_signs_are_above_the_ground(suburb: Town) -> None:
    signals = suburb.network.signals
    assert len(signals) > 5
    for x, y, z in signals["xyz"].tolist():
        assert 1.5 < z - height_at(suburb.relief, x, y) < 7.0


@pytest.mark.parametrize("x", [20.0, 70.0, 100.0, 165.0])
def test_looking_down_one_sees_the_road_as_far_below_as_it_is(renderer: Renderer, x: float) -> None:
    view = View((x, -1.75, profile(x) + 10.0), 0.0, pi / 2, 0.0, 65, 65)
    images = renderer.render(Scene(), view, depth=True, semantic=True)
    assert images.depth[32, 32] == pytest.approx(10.0, abs=0.02)
    assert images.semantic[32, 32] == 1
    assert images.depth.max() < 20.0


def test_rays_meet_the_road_where_its_profile_is(over_crest: Town) -> None:
    eye = np.array([60.0, -1.75, profile(60.0) + 1.8])
    turn, fall = np.meshgrid(np.linspace(-pi, pi, 400), np.linspace(-0.4, 0.0, 24))
    rays = np.stack([np.cos(fall) * np.cos(turn), np.cos(fall) * np.sin(turn), np.sin(fall)], -1).reshape(-1, 3)
    hits = Rays(over_crest).cast(eye, rays, 100.0, NOBODY)
    met = eye + rays * np.where(np.isfinite(hits.distance), hits.distance, 0.0)[:, None]
    road = (hits.tag == 1) & (hits.id == 0) & (met[:, 0] > 0) & (met[:, 0] < LENGTH)
    met = met[road]
    assert road.sum() > 500
    assert np.ptp(met[:, 0]) > 60
    assert np.abs(met[:, 2] - profile(met[:, 0])).max() < 0.02
    slope = CLIMB - 2 * CLIMB / LENGTH * met[:, 0]
    normal = np.stack([-slope, 0 * slope, 0 * slope + 1], -1) / np.hypot(slope, 1)[:, None]
    assert hits.cosine[road] == pytest.approx(-(normal * rays[road]).sum(1), abs=0.01)


def test_rays_and_pictures_meet_the_same(over_crest: Town, renderer: Renderer) -> None:
    view = View((40.0, -1.75, profile(40.0) + 1.6), 0.2, -0.02, 0.05, 96, 54, 1.3)
    depth = renderer.render(Scene(car_at(60.0)), view, depth=True).depth
    u, v = np.meshgrid(np.arange(96) + 0.5 - 48, np.arange(54) + 0.5 - 27)
    rays = (np.stack([u, v, np.full_like(u, view.focal)], -1) / view.focal).reshape(-1, 3) @ view.axes
    length = np.linalg.norm(rays, axis=1)
    hits = Rays(over_crest).cast(view.xyz, rays / length[:, None], 400.0, car_at(60.0))
    both = np.isin(hits.tag, (1, 2, 10))  # ground
    off = np.abs(hits.distance / length / depth.ravel() - 1)[both]
    assert both.mean() > 0.3
    assert (off < 0.01).mean() > 0.99  # the rest are edges of things


def test_a_car_behind_a_crest_is_hidden(renderer: Renderer) -> None:
    x = TOP - 70.0
    view = View((x, -1.75, profile(x) + 0.9), 0.0, 0.0, 0.0, 320, 180, 0.5)
    hidden = renderer.render(Scene(car_at(TOP + 75.0)), view, instance=True).instance
    assert not (hidden == 7).any()
    seen = renderer.render(Scene(car_at(TOP - 5.0)), view, instance=True).instance
    assert (seen == 7).sum() > 50
    high = replace(view, xyz=(x, -1.75, profile(x) + 8.0))
    assert (renderer.render(Scene(car_at(TOP + 75.0)), high, instance=True).instance == 7).any()


def test_normals_lean_with_the_slope(renderer: Renderer) -> None:
    x = 40.0
    view = View((x, -1.75, profile(x) + 8.0), 0.0, pi / 2, 0.0, 65, 65, 0.2)
    depth, out = renderer.render(Scene(), view, depth=True).depth, np.zeros((65, 65, 4), np.uint8)
    normals(depth, view.focal, view.axes, out)
    nx, ny, nz = (np.median(out[..., k].astype(float)) / 127.5 - 1 for k in (2, 1, 0))
    assert -atan2(nx, nz) == pytest.approx(CLIMB - 2 * CLIMB / LENGTH * x, abs=0.012)
    assert abs(ny) < 0.02


def test_shadows_lie_on_the_slope(renderer: Renderer) -> None:
    """Below a car it is dark where it stands, however high that is."""
    bodies = car_at(150.0)
    view = View((142.0, -1.75, profile(142.0) + 6.0), 0.0, 0.6, 0.0, 160, 120, 1.0)
    bare = renderer.render(Scene(), view).rgb.astype(int).copy()
    images = renderer.render(Scene(bodies), view, instance=True, depth=True)
    darker = (images.rgb.astype(int).sum(2) < bare.sum(2) - 60) & (images.instance == 0)
    rows, columns = np.nonzero(darker)
    assert len(rows) > 30
    u, v = (columns + 0.5 - 80) / view.focal, (rows + 0.5 - 60) / view.focal
    rays = np.stack([u, v, np.ones_like(u)], -1) @ view.axes * images.depth[rows, columns][:, None]
    places = rays + view.xyz
    assert np.hypot(places[:, 0] - 150.0, places[:, 1] + 1.75).max() < 6.0


def test_cars_and_walkers_stand_on_the_hill(over_crest: Town) -> None:
    world = Simulation(over_crest)
    car = world.spawn(CAR, (40.0, -1.75, profile(40.0) + 0.3), 0.0)
    walker = world.spawn("walker.pedestrian.0001", (150.0, -4.5, profile(150.0) + 1.0), 0.0)
    world.control_vehicle(car, 0.0, 0.0, 1.0)
    for _ in range(20):
        world.step()
    body = world.body(car)
    assert body["xyz"][2] == pytest.approx(profile(body["xyz"][0]), abs=0.02)
    assert body["pitch"] == pytest.approx(-(CLIMB - 2 * CLIMB / LENGTH * body["xyz"][0]), abs=0.01)
    assert body["roll"] == pytest.approx(0.0, abs=0.01)
    on_foot = world.body(walker)
    assert on_foot["xyz"][2] == pytest.approx(profile(on_foot["xyz"][0]), abs=0.02)


def test_drivers_stay_on_the_road(suburb: Town) -> None:
    world = Simulation(suburb, 3)
    cars = []
    for k in range(8):
        x, y, yaw = suburb.network.spawns[3 * k]
        cars.append(world.spawn(CAR, (x, y), yaw, autopilot=k + 1))
    for _ in range(400):
        world.step()
    for car in cars:
        (x, y, z), speed = world.body(car)["xyz"].tolist(), world.body(car)["speed"]
        lane, s, lateral = suburb.network.nearest((x, y))
        at = suburb.network.points(lane)
        assert abs(lateral) < 2.0
        assert z == pytest.approx(height_at(suburb.relief, x, y), abs=0.05 + 0.02 * abs(speed))
        assert z == pytest.approx(np.interp(s, suburb.network.s[at], suburb.network.z[at]), abs=0.25)


def test_walkers_have_footpaths_on_hills(over_crest: Town) -> None:
    assert (over_crest.network.lanes["kind"] == LaneKind.SIDEWALK).sum() == 2
    assert len(over_crest.network.spawns) > 0


def test_flow_on_a_slope_is_how_far_its_points_came(renderer: Renderer) -> None:
    """A camera climbs to the crest and turns: each pixel of the road came from where that place of the road was."""
    before = View((29.2, -1.9, profile(29.2) + 1.6), 0.01, -0.03, 0.01, 160, 96, 1.2)
    now = View((30.0, -1.75, profile(30.0) + 1.6), 0.02, -0.02, 0.0, 160, 96, 1.2)
    images = renderer.render(Scene(), now, depth=True, instance=True, semantic=True)
    out, nobody = np.zeros((96, 160, 2), np.float32), np.zeros(1, np.int64)
    places = np.array(now.xyz), now.axes, np.array(before.xyz), before.axes
    flow(images.depth, images.instance, now.focal, *places, nobody, np.eye(3)[None], np.zeros((1, 3)), out)
    u, v = np.meshgrid(np.arange(160) + 0.5 - 80, np.arange(96) + 0.5 - 48)
    rays = np.stack([u, v, np.full_like(u, now.focal)], -1) @ now.axes
    # Where a ray is as high as the parabola: a t^2 + b t + c = 0 for eye + t ray, the first place ahead.
    bend = CLIMB / LENGTH
    a, b = bend * rays[..., 0] ** 2, rays[..., 2] - (CLIMB - 2 * bend * 30.0) * rays[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (-b - np.sqrt(b * b - 4 * a * 1.6)) / (2 * a)
    points = rays * t[..., None] + now.xyz
    road = np.isin(images.semantic, (1, 24)) & (t > 0) & (points[..., 0] < TOP)
    assert road.sum() > 2000
    assert np.ptp(points[road][:, 2]) > 0.5  # not level
    x, y, z = np.moveaxis((points[road] - before.xyz) @ before.axes.T, -1, 0)
    came = np.stack([u[road] - before.focal * x / z, v[road] - before.focal * y / z], -1)
    seen = out[road] * (80, -48)
    assert np.abs(came).max() > 4
    assert np.median(np.abs(seen - came)) < 0.02
    assert np.quantile(np.abs(seen - came), 0.99) < 0.25
