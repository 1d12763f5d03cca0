"""Towns by seed and style: what stands in them, that they are the same each time, and what the cache does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roadcraft.sim import cache
from roadcraft.sim.embedded.layout_ground import rectangle
from roadcraft.sim.embedded.scenery import STATIC, TRUNK_RADIUS, Shape
from roadcraft.sim.embedded.town import STYLES, Town, load_town, town_text
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Command
from roadcraft.sim.roads import ANY_KIND, LaneKind, RoadNetwork, SignalKind


@pytest.fixture(scope="module", params=STYLES)
def town(request: pytest.FixtureRequest) -> Town:
    return load_town(request.param)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ROADCRAFT_CACHE", str(tmp_path))
    return tmp_path


def test_a_town_has_what_a_town_has(town: Town) -> None:
    network = town.network
    junctions = set(network.lanes["junction"][network.lanes["kind"] == LaneKind.DRIVING]) - {-1}
    assert len(junctions) >= 9
    kinds = [int((network.signals["kind"] == kind).sum()) for kind in SignalKind]
    assert kinds[SignalKind.LIGHT] >= 6
    assert kinds[SignalKind.STOP] >= 2
    assert kinds[SignalKind.SPEED] >= 1
    shapes = np.bincount(town.scenery.static["shape"], minlength=len(Shape))
    for shape, least in ((Shape.BUILDING, 30), (Shape.TREE, 50), (Shape.LAMP, 20), (Shape.CAR, 5)):
        assert shapes[shape] >= least, shape.name
    assert shapes[Shape.SIGNAL] == kinds[SignalKind.LIGHT]
    assert shapes[Shape.SIGN] == len(network.signals) - kinds[SignalKind.LIGHT]
    assert network.lanes["speed_limit"].min() > 25 / 3.6
    if town.name != "highway":
        assert network.lanes["speed_limit"].max() < 61 / 3.6
    assert (network.lanes["kind"] == LaneKind.SIDEWALK).sum() > 20


def arms_of(network: RoadNetwork) -> list[int]:
    """How many roads meet in each junction."""
    lanes = network.lanes
    ends: dict[int, set[int]] = {}
    for lane in np.flatnonzero((lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] >= 0)):
        beyond = (*network.predecessors(int(lane)), *network.successors(int(lane)))
        ends.setdefault(int(lanes["junction"][lane]), set()).update(int(lanes["road"][n]) for n in beyond)
    return [len(roads) for roads in ends.values()]


def test_each_style_is_what_it_is_named_for(town: Town) -> None:
    """Curves and T-junctions, several lanes and lanes for turning, rings of one way, ramps off and on."""
    network, lanes = town.network, town.network.lanes
    drives = lanes["kind"] == LaneKind.DRIVING
    roads = np.flatnonzero(drives & (lanes["junction"] < 0))
    bend = np.array([np.abs(np.diff(np.unwrap(network.yaw[network.points(int(k))]))).sum() for k in roads])
    straight = lanes["length"][roads][bend < 0.05].sum() / lanes["length"][roads].sum()
    several = {int(k) for k in roads for side in ("left", "right") if lanes[side][k] >= 0 and drives[lanes[side][k]]}
    only_left = [k for k in several if set(lanes["turn"][network.successors(k)]) == {Command.LEFT}]
    one_way = (lanes["opposite"][roads] < 0) & (lanes["speed_limit"][roads] < 9.0)
    fast = {int(k) for k in roads if lanes["speed_limit"][k] > 20.0}
    slow = {int(k) for k in roads if lanes["speed_limit"][k] < 15.0 and lanes["opposite"][k] < 0}
    off, on = (
        {k for k in slow if any(int(n) in fast for j in step(k) for n in step(int(j)))}
        for step in (network.predecessors, network.successors)
    )
    found = {
        "grid": 4 in arms_of(network) and straight > 0.65 and not several,
        "suburb": set(arms_of(network)) == {3} and straight < 0.6 and not one_way.any(),
        "arterial": len(several) > 50 and len(only_left) >= 8 and not fast,
        "roundabout": (one_way & (bend > 0.3)).sum() >= 12,
        "highway": len(off - on) >= 2 and len(on - off) >= 2 and lanes["speed_limit"].max() > 25.0,
    }
    assert {style for style, true in found.items() if true} == {town.name}, (straight, len(off), len(on))


def footprint(row: np.void) -> np.ndarray:
    """Points of what the thing covers on the ground; parked cars are held in by 0.3 m."""
    if row["shape"] in (Shape.BUILDING, Shape.BOX):
        return rectangle(row["xyz"][:2], row["yaw"], 2 * row["extent"][0], 2 * row["extent"][1], 1.0)
    if row["shape"] == Shape.CAR:
        return rectangle(row["xyz"][:2], row["yaw"], 2 * row["extent"][0] - 0.6, 2 * row["extent"][1] - 0.3, 1.0)
    radius = TRUNK_RADIUS if row["shape"] == Shape.TREE else 0.1
    return rectangle(row["xyz"][:2], row["yaw"], 2 * radius, 2 * radius)


def test_nothing_stands_in_the_way(town: Town) -> None:
    """No lane of any kind and no sidewalk has a thing on it, but parked cars in parking lanes and rails in medians."""
    lanes = town.network.lanes
    for row in town.scenery.solids:
        for place in footprint(row):
            lane, s, lateral = town.network.nearest(place, kinds=ANY_KIND)
            if lane < 0 or abs(lateral) >= town.network.point(lane, s)[3] / 2 - 0.02:
                continue
            x, y, *_ = town.network.point(lane, s)
            if np.hypot(x - place[0], y - place[1]) > abs(lateral) + 0.05:
                continue  # beyond the lane's end
            allowed = {Shape.CAR: LaneKind.PARKING, Shape.BOX: LaneKind.OTHER}.get(Shape(row["shape"]))
            assert allowed is not None, (Shape(row["shape"]).name, row["id"])
            assert lanes["kind"][lane] == allowed, (Shape(row["shape"]).name, row["id"])


def test_things_do_not_stand_in_each_other(town: Town) -> None:
    boxes = town.scenery.static[np.isin(town.scenery.static["shape"], (Shape.BUILDING, Shape.TREE))]
    cells: dict[tuple[int, int], int] = {}
    for row in boxes:
        reach = row["extent"][:2] if row["shape"] == Shape.BUILDING else np.array([TRUNK_RADIUS] * 2)
        for place in rectangle(row["xyz"][:2], row["yaw"], 2 * reach[0], 2 * reach[1]):
            cell = (int(place[0] // 1.0), int(place[1] // 1.0))
            owner = cells.setdefault(cell, int(row["id"]))
            assert owner == row["id"] or abs(place - np.floor(place) - 0.5).max() > 0.2


def test_lights_are_not_hidden(town: Town) -> None:
    """From 40 m before the stop line on, no building and no crown is between the camera and the head."""
    network, static = town.network, town.scenery.static
    tall = static[np.isin(static["shape"], (Shape.BUILDING, Shape.TREE))]
    for lane in np.flatnonzero(network.lanes["signal"] >= 0):
        row = network.lanes[lane]
        head = network.signals["xyz"][row["signal"]]
        for back in (1.0, 15.0, 40.0):
            x, y, *_ = network.point(lane, max(row["signal_s"] - back, 0.0))
            share = np.linspace(0.02, 0.98, 60)[:, None]
            ray = (x, y, 1.5) + share * (head - (x, y, 1.5))
            delta = ray[:, None, :2] - tall["xyz"][None, :, :2]
            c, s = np.cos(tall["yaw"]), np.sin(tall["yaw"])
            along, aside = delta[..., 0] * c + delta[..., 1] * s, delta[..., 1] * c - delta[..., 0] * s
            inside = (np.abs(along) < tall["extent"][:, 0]) & (np.abs(aside) < tall["extent"][:, 1])
            assert not (inside & (ray[:, None, 2] < 2 * tall["extent"][:, 2])).any()


def test_each_light_hangs_where_the_network_says(town: Town) -> None:
    posts = town.scenery.static[town.scenery.static["shape"] == Shape.SIGNAL]
    assert sorted(posts["signal"]) == sorted(np.flatnonzero(town.network.signals["kind"] == SignalKind.LIGHT))
    for post in posts:
        reach = 2 * post["extent"][0]
        head = post["xyz"][:2] + reach * np.array([np.cos(post["yaw"]), np.sin(post["yaw"])])
        assert np.allclose(head, town.network.signals["xyz"][post["signal"]][:2], atol=0.01)
        assert post["extent"][2] * 2 >= 5.0


def test_the_same_seed_makes_the_same_town(empty_cache: Path) -> None:
    first = town_text("grid", 5)
    for file in empty_cache.glob("town-*"):
        file.unlink()
    assert town_text("grid", 5) == first
    assert town_text("grid", 6) != first


def test_the_cache_gives_back_what_was_made(empty_cache: Path) -> None:
    made = load_town("grid-5")
    again = load_town("grid-5")
    assert made.xodr == again.xodr
    for name in ("lanes", "xy", "succ", "signals", "spawns", "conflict"):
        assert np.array_equal(getattr(made.network, name), getattr(again.network, name)), name
    assert all(np.array_equal(a, b) for a, b in zip(made.network.crosswalks, again.network.crosswalks, strict=True))
    assert np.array_equal(made.scenery.static, again.scenery.static)


def test_a_damaged_cache_is_made_again(empty_cache: Path) -> None:
    made = load_town("grid-5")
    for file in empty_cache.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:1000])
    assert np.array_equal(load_town("grid-5").network.xy, made.network.xy)
    assert all(len(file.read_bytes()) > 1000 for file in empty_cache.glob("*.npz"))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail(file: object) -> None:
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError):
        cache.write_atomically(tmp_path / "town.npz", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_cached_town_needs_no_carla(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_town("grid-5")
    monkeypatch.setitem(sys.modules, "carla", None)  # importing it fails
    assert len(load_town("grid-5").network.lanes) > 100
    with pytest.raises(UserError, match="carla"):
        load_town("grid-6")


def test_unknown_towns_are_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"'gird'.*suburb"):
        load_town("gird")
    with pytest.raises(UserError, match=r"nowhere\.xodr"):
        load_town("nowhere.xodr")


def test_a_town_from_a_file_is_the_same_town(tmp_path: Path) -> None:
    town = load_town("suburb")
    path = tmp_path / "mine.xodr"
    path.write_text(town.xodr)
    mine = load_town(str(path))
    assert mine.name == "mine"
    assert np.array_equal(mine.network.lanes, town.network.lanes)
    assert np.array_equal(mine.scenery.static, town.scenery.static)


def test_scenery_rows_are_finite_and_coloured(town: Town) -> None:
    static = town.scenery.static
    assert static.dtype == STATIC
    assert np.isfinite(static["xyz"]).all()
    assert len(np.unique(static["id"])) == len(static)
    assert (static["extent"][:, 2] > 0.2).all()
    assert len(np.unique(static["color"][static["shape"] == Shape.BUILDING], axis=0)) > 4
