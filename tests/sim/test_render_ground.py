"""The baked ground against the OpenDRIVE map that it was baked from, read by another program."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from test_render_markings import STREET

from roadcraft.sim.embedded.render import ground as baking
from roadcraft.sim.embedded.render.ground import load_ground
from roadcraft.sim.embedded.render.ground_look import LEVELS, TEXEL, Ground, texel
from roadcraft.sim.embedded.render.markings import road_marks
from roadcraft.sim.embedded.render.palette import CLASSES, SURFACES
from roadcraft.sim.embedded.town import STYLES, Town, load_town
from roadcraft.sim.roads import LaneKind, network_from_opendrive

carla = pytest.importorskip("carla")

ROAD, SIDEWALK, TERRAIN, LINE = 1, 2, 10, 24


@pytest.fixture(scope="module", params=STYLES)
def town(request: pytest.FixtureRequest) -> Town:
    return load_town(request.param)


@pytest.fixture(scope="module")
def ground(town: Town) -> Ground:
    return load_ground(town.network)


def class_at(ground: Ground, x: float, y: float, level: int = 0) -> int:
    size = TEXEL * 2**level
    code = texel(ground, level, int((x - ground.origin[0]) // size), int((y - ground.origin[1]) // size))
    return int(CLASSES[SURFACES[code]])


def test_classes_are_those_of_the_map(town: Town, ground: Ground) -> None:
    lanes = carla.Map("town", town.xodr)
    rng = np.random.default_rng(0)
    low, high = town.network.xy.min(0) + 2, town.network.xy.max(0) - 2
    kinds = {"Driving": {ROAD, LINE}, "Parking": {ROAD, LINE}, "Shoulder": {ROAD, LINE}, "Biking": {ROAD, LINE}}
    wrong = total = 0
    for x, y in rng.uniform(low, high, (5000, 2)):
        place = lanes.get_waypoint(
            carla.Location(float(x), float(-y), 0), project_to_road=False, lane_type=carla.LaneType.Any
        )
        kind = "nothing" if place is None else str(place.lane_type)
        if place is None and np.hypot(*(town.network.xy - (x, y)).T).min() < 4:
            continue  # carla.Map looks at the lane with the nearest centre only, even when another is wider
        total += 1
        wrong += class_at(ground, x, y) not in kinds.get(kind, {SIDEWALK} if kind == "Sidewalk" else {TERRAIN})
    assert total > 4000
    assert wrong <= 0.01 * total


def test_solid_and_broken_lines_are_painted_on_the_lanes_borders(town: Town, ground: Ground) -> None:
    network = town.network
    marks = road_marks(ET.fromstring(network.xodr))
    shares: dict[str, list[bool]] = {"solid": [], "broken": [], "none": []}
    for index, lane in enumerate(network.lanes):
        if lane["kind"] != LaneKind.DRIVING or lane["junction"] >= 0 or lane["length"] < 20:
            continue
        own = marks[int(lane["road"]), int(lane["section"]), int(lane["lane_id"])]
        if len(own) != 1 or own[0].kind not in shares:
            continue
        for s in np.arange(2.0, lane["length"] - 8, 0.7):
            x, y, yaw, width = network.point(index, s)
            places = [(x + d * np.sin(yaw), y - d * np.cos(yaw)) for d in (width / 2, width / 2 - 0.1)]
            shares[own[0].kind].append(any(class_at(ground, *place) == LINE for place in places))
    assert np.mean(shares["solid"]) > 0.98
    if shares["broken"]:
        assert 0.2 < np.mean(shares["broken"]) < 0.5


def test_stop_lines_and_crosswalks_are_painted(town: Town, ground: Ground) -> None:
    for x0, y0, x1, y1 in town.network.stop_lines:
        assert class_at(ground, (x0 + x1) / 2, (y0 + y1) / 2) == LINE
    for walk in town.network.crosswalks:
        sides = np.roll(walk, -1, 0) - walk
        along = sides[np.argmax(np.hypot(*sides.T))]
        share = np.mean([class_at(ground, *(walk.mean(0) + k * along)) == LINE for k in np.linspace(-0.4, 0.4, 80)])
        assert 0.3 < share < 0.7


def test_coarse_levels_keep_the_classes(ground: Ground, town: Town) -> None:
    rng = np.random.default_rng(1)
    lanes = np.flatnonzero(town.network.lanes["kind"] == LaneKind.DRIVING)
    places = [town.network.point(int(rng.choice(lanes)), rng.uniform(0, 50))[:2] for _ in range(400)]
    for level in range(1, LEVELS - 2):
        same = np.mean([class_at(ground, x, y, level) == class_at(ground, x, y) for x, y in places])
        assert same > 0.85, level


def test_a_baked_ground_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tiles of 0.05 m on disk; a second process takes it from there."""
    monkeypatch.setenv("ROADCRAFT_CACHE", str(tmp_path))
    network = network_from_opendrive(STREET.format(kind="solid", color="white", lines=""), "kept")
    made = load_ground(network)
    (file,) = tmp_path.glob("ground-*.npy")
    assert TEXEL == 0.05
    monkeypatch.setattr(baking, "bake_ground", lambda network: pytest.fail("it is baked again"))
    kept = load_ground(network)
    assert np.array_equal(kept.data, made.data)
    assert np.array_equal(kept.tiles, made.tiles)
    assert file.stat().st_size >= made.data.nbytes
