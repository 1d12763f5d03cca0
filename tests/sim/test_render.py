"""What every picture must satisfy, whatever is in it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import CATALOGUE
from roadcraft.sim.embedded.render import Images, Renderer, Scene, View
from roadcraft.sim.embedded.render.frame import render_frame
from roadcraft.sim.embedded.render.lanes import LANES
from roadcraft.sim.embedded.render.models import MODEL_OF, build
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind, LightState, Weather
from roadcraft.sim.roads import LaneKind, SignalKind

NIGHT = Weather(sun_altitude_angle=-40.0, cloudiness=10.0)
RAIN = Weather(cloudiness=90.0, precipitation=80.0, precipitation_deposits=60.0, wetness=80.0, fog_density=10.0)
FOG = Weather(fog_density=60.0, cloudiness=60.0)
WEATHERS = {
    "day": Weather(),
    "night": NIGHT,
    "rain": RAIN,
    "fog": FOG,
    "rain at night": replace(RAIN, sun_altitude_angle=-40),
}
ALL = {"rgb": True, "semantic": True, "instance": True, "depth": True, "bgra": True}


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("grid")


@pytest.fixture(scope="module")
def renderer(town: Town) -> Renderer:
    return Renderer(town)


def spawn_body(
    number: int, name: str, town: Town, ahead: float, left: float = 0.0, lights: int = 0
) -> NDArray[np.void]:
    """A body on the first spawn point's street, as seen from there."""
    x, y, yaw = town.network.spawns[0]
    index = next(i for i, blueprint in enumerate(CATALOGUE) if blueprint.id == name)
    row = np.zeros(1, BODY)
    row["id"], row["blueprint"], row["kind"], row["lights"] = number, index, CATALOGUE[index].kind, lights
    row["xyz"] = x + ahead * np.cos(yaw), y + ahead * np.sin(yaw), 0
    row["yaw"], row["extent"], row["color"] = yaw, CATALOGUE[index].extent, (60, 80, 160)
    return row


def street_view(town: Town, **changes: float) -> View:
    x, y, yaw = town.network.spawns[0]
    return replace(View((x, y, 1.5), yaw, width=256, height=144), **changes)  # type: ignore[arg-type]


def crowd(town: Town, seed: int = 0) -> NDArray[np.void]:
    rng = np.random.default_rng(seed)
    network = town.network
    rows = np.zeros(50, BODY)
    lanes = np.flatnonzero(network.lanes["kind"] == LaneKind.DRIVING)
    for i, row in enumerate(rows):
        lane = int(rng.choice(lanes))
        x, y, yaw, _ = network.point(lane, rng.uniform(0, network.lanes["length"][lane]))
        index = int(rng.integers(len(CATALOGUE)))
        row["id"], row["blueprint"], row["kind"] = 10 + i, index, CATALOGUE[index].kind
        row["xyz"], row["yaw"], row["extent"] = (x, y, 0), yaw, CATALOGUE[index].extent
        row["color"], row["lights"] = rng.integers(0, 255, 3), rng.integers(0, 64)
    return rows


def copied(images: Images) -> Images:
    arrays = (getattr(images, field.name) for field in fields(Images))
    return Images(*(None if array is None else array.copy() for array in arrays))


def equal(a: Images, b: Images) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Images))


def test_any_subset_of_images_is_the_same_as_all_of_them(renderer: Renderer, town: Town) -> None:
    scene, view = Scene(crowd(town)), street_view(town)
    whole = copied(renderer.render(scene, view, **ALL))
    for name in ALL:
        alone = renderer.render(scene, view, **dict.fromkeys(ALL, False) | {name: True})
        assert np.array_equal(getattr(alone, name), getattr(whole, name)), name
        assert all(getattr(alone, other) is None for other in ALL if other != name)


def test_weather_changes_colours_and_nothing_else(renderer: Renderer, town: Town) -> None:
    view = street_view(town)
    pictures = {
        name: copied(renderer.render(Scene(crowd(town), weather=w), view, **ALL)) for name, w in WEATHERS.items()
    }
    day = pictures.pop("day")
    for name, picture in pictures.items():
        for label in ("semantic", "instance", "depth"):
            assert np.array_equal(getattr(picture, label), getattr(day, label)), (name, label)
        assert np.abs(picture.rgb.astype(int) - day.rgb).mean() > 8, name
    assert pictures["night"].rgb.mean() < 0.5 * day.rgb.mean()
    assert pictures["fog"].rgb.std() < day.rgb.std()


def test_instances_agree_with_classes(renderer: Renderer, town: Town) -> None:
    bodies = crowd(town)
    allowed = {int(b["id"]): {CATALOGUE[b["blueprint"]].semantic_tag} for b in bodies}
    for body in bodies:
        if body["kind"] in (Kind.MOTORCYCLE, Kind.BICYCLE):
            allowed[int(body["id"])].add(13)  # its rider
        if CATALOGUE[body["blueprint"]].kind == Kind.PROP:
            allowed[int(body["id"])] |= {8, 21}
    seen = 0
    for yaw in np.linspace(0, 6, 7):
        images = renderer.render(Scene(bodies), street_view(town, yaw=yaw), **ALL)
        assert images.instance is not None
        assert images.semantic is not None
        for number in np.unique(images.instance):
            if number:
                seen += 1
                assert set(np.unique(images.semantic[images.instance == number])) <= allowed[int(number)]
        assert not images.instance[np.isin(images.semantic, (1, 2, 10, 11, 24))].any()
    assert seen > 5


def test_hidden_body_leaves_no_trace_in_labels(renderer: Renderer, town: Town) -> None:
    ego, other = spawn_body(1, "vehicle.lincoln.mkz_2020", town, 6), spawn_body(2, "vehicle.audi.tt", town, 14)
    view = street_view(town)
    without = copied(renderer.render(Scene(other), view, **ALL))
    hidden = copied(renderer.render(Scene(np.concatenate([ego, other])), view, **ALL, hide=1))
    shown = renderer.render(Scene(np.concatenate([ego, other])), view, **ALL)
    for label in ("semantic", "instance", "depth"):
        assert np.array_equal(getattr(hidden, label), getattr(without, label)), label
    assert (shown.instance == 1).sum() > 1000


def test_two_cameras_do_not_disturb_each_other(renderer: Renderer, town: Town) -> None:
    scene = Scene(crowd(town))
    small, large = street_view(town), street_view(town, width=320, height=200, yaw=1.0, roll=0.1, pitch=0.2)
    first = copied(renderer.render(scene, small, **ALL))
    renderer.render(scene, large, **ALL)
    assert equal(first, renderer.render(scene, small, **ALL))


def test_arrays_of_a_caller_may_be_frozen_or_have_gaps(renderer: Renderer, town: Town) -> None:
    bodies = crowd(town)
    first = copied(renderer.render(Scene(bodies), street_view(town)))
    kinds = len(render_frame.signatures)
    frozen = bodies.copy()
    frozen.flags.writeable = False
    assert equal(first, renderer.render(Scene(frozen), street_view(town)))
    sparse = np.repeat(bodies, 2)[::2]
    assert equal(first, renderer.render(Scene(sparse, np.zeros(6, np.uint8)[::2]), street_view(town)))
    assert len(render_frame.signatures) == kinds


@pytest.mark.parametrize("width", [254, 252, 250])
def test_narrower_picture_is_cut_out_of_a_wider_one(renderer: Renderer, town: Town, width: int) -> None:
    """Whatever its rows' length is in vectors of eight."""
    wide = street_view(town, fov=2 * np.arctan(1.0))
    narrow = replace(wide, width=width, fov=2 * np.arctan(width / wide.width))
    edge = (wide.width - width) // 2
    for weather in WEATHERS.values():
        whole = copied(renderer.render(Scene(crowd(town), weather=weather), wide, semantic=True, instance=True))
        part = renderer.render(Scene(crowd(town), weather=weather), narrow, semantic=True, instance=True)
        for label in ("semantic", "instance"):
            same = getattr(part, label) == getattr(whole, label)[:, edge:-edge]
            assert min(same[:, :LANES].mean(), same[:, -LANES:].mean(), same.mean()) > 0.99, label


@pytest.mark.parametrize("width", [254, 252, 250])
def test_no_row_of_a_picture_runs_into_another(renderer: Renderer, town: Town, width: int) -> None:
    wide = street_view(town, fov=2 * np.arctan(1.0))
    narrow = replace(wide, width=width, fov=2 * np.arctan(width / wide.width))
    edge = (wide.width - width) // 2
    whole = copied(renderer.render(Scene(crowd(town)), wide))
    part = renderer.render(Scene(crowd(town)), narrow)
    assert whole.rgb is not None
    assert part.rgb is not None
    near = np.abs(part.rgb.astype(int) - whole.rgb[:, edge:-edge]).max(2) <= 8
    inner = near[:, 1:-1]
    places = [inner[:, :LANES], inner[:, -LANES:], inner[0], inner[-1], inner[0, :LANES], inner[-1, :LANES]]
    assert min(place.mean() for place in places) > 0.95


@pytest.mark.parametrize("width", [250, 256])
def test_bgra_holds_the_same_colours_as_rgb(renderer: Renderer, town: Town, width: int) -> None:
    view = street_view(town, width=width)
    for weather in WEATHERS.values():
        images = renderer.render(Scene(crowd(town), weather=weather), view, bgra=True)
        assert images.bgra is not None
        pixels = images.bgra.view(np.uint8).reshape(view.height, view.width, 4)
        assert np.array_equal(pixels[..., 2::-1], images.rgb)
        assert (pixels[..., 3] == 255).all()


def test_twin_processes_draw_the_same_bits() -> None:
    folder = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {folder!r}); import test_render; print(test_render.fingerprint())"
    twins = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert twins[0].stdout == twins[1].stdout
    assert len(twins[0].stdout) > 60


def fingerprint() -> str:
    town = load_town("grid")
    renderer = Renderer(town)
    state = hashlib.sha256()
    for k, weather in enumerate(WEATHERS.values()):
        lights = np.full(len(town.network.signals), k % 3, np.uint8)
        scene = Scene(crowd(town, k), lights, weather, 3.7 * k)
        images = renderer.render(scene, street_view(town, yaw=1.3 * k, roll=0.05), **ALL)
        for name in ALL:
            state.update(np.ascontiguousarray(getattr(images, name)).tobytes())
    return state.hexdigest()


@pytest.mark.parametrize(("state", "channel"), [(LightState.RED, 0), (LightState.GREEN, 1)])
def test_lit_lamp_is_seen_from_forty_metres(renderer: Renderer, town: Town, state: LightState, channel: int) -> None:
    signals = town.network.signals
    index = int(np.flatnonzero(signals["kind"] == SignalKind.LIGHT)[0])
    x, y, z = signals["xyz"][index]
    yaw = signals["yaw"][index]
    view = View((x - 40 * np.cos(yaw), y - 40 * np.sin(yaw), z - 1), yaw, width=640, height=360)
    pictures = []
    for lit in (state, LightState.OFF):
        lights = np.full(len(signals), int(lit), np.uint8)
        pictures.append(renderer.render(Scene(light_states=lights), view).rgb.astype(int))
    change = (pictures[0] - pictures[1])[:, 300:340]
    assert (change[..., channel] > 80).sum() >= 5
    assert change[..., channel].sum() > 1.5 * change[..., 1 - channel].sum()


def test_brake_lights_and_indicators_light_up(renderer: Renderer, town: Town) -> None:
    view = street_view(town)

    def rear(lights: int) -> NDArray[np.int64]:
        body = spawn_body(1, "vehicle.lincoln.mkz_2020", town, 10, lights=lights)
        return renderer.render(Scene(body), view).rgb.astype(np.int64)

    dark, braking, left, right = rear(0), rear(8), rear(32), rear(16)
    assert (braking - dark)[..., 0].sum() > 2 * (braking - dark)[..., 2].sum() > 0
    columns = [np.abs(picture - dark).sum((0, 2)) for picture in (left, right)]
    centres = [np.average(np.arange(256), weights=c) for c in columns]
    assert centres[0] < 127 < centres[1]


def test_walkers_walk(renderer: Renderer, town: Town) -> None:
    def legs(stride: float) -> NDArray[np.uint32]:
        walker = spawn_body(7, "walker.pedestrian.0001", town, 6)
        walker["stride"], walker["speed"], walker["yaw"] = stride, 1.4, walker["yaw"] + 1.5
        return renderer.render(Scene(walker), street_view(town), rgb=False, instance=True).instance.copy()

    assert ((legs(0.0) == 7) != (legs(np.pi / 2) == 7)).sum() > 40


def test_depth_of_a_wall_of_known_distance(renderer: Renderer, town: Town) -> None:
    box = spawn_body(5, "vehicle.carlamotors.european_hgv", town, 20)
    images = renderer.render(Scene(box), street_view(town), depth=True, instance=True)
    assert images.depth is not None
    expected = 20 - box["extent"][0, 0]
    assert images.depth[images.instance == 5].min() == pytest.approx(expected, rel=0.01)
    assert images.depth.max() == pytest.approx(1000.0)


@pytest.mark.parametrize("change", [{"width": 0}, {"height": 100_000}, {"fov": 0.0}, {"fov": 3.2}])
def test_impossible_cameras_are_refused(renderer: Renderer, town: Town, change: dict[str, float]) -> None:
    with pytest.raises(UserError, match="camera"):
        renderer.render(Scene(), street_view(town, **change))


def test_bodies_of_another_type_are_refused(renderer: Renderer, town: Town) -> None:
    with pytest.raises(ValueError, match="Scene"):
        renderer.render(Scene(np.zeros(3)), street_view(town))


@pytest.mark.parametrize("view", [
    View((0, 0, 1.5), 0.0, -1.5, 0.0, 64, 36),
    View((0, 0, 300.0), 0.0, 1.5, 0.0, 64, 36),
    View((1e4, -1e4, 2.0), 2.0, 0.0, 3.0, 64, 36),
    View((0, 0, -3.0), 2.0, 0.0, 0.0, 64, 36),
    View((0, 0, 1.5), 0.0, 0.0, 1.57, 63, 35, 2.9),
])  # fmt: skip
def test_cameras_anywhere_give_finite_pictures(renderer: Renderer, town: Town, view: View) -> None:
    for weather in WEATHERS.values():
        images = renderer.render(Scene(crowd(town), weather=weather), view, **ALL)
        assert images.depth is not None
        assert np.isfinite(images.depth).all()
        assert images.depth.min() > 0


def test_every_blueprint_has_a_body_of_its_size(renderer: Renderer, town: Town) -> None:
    library, models, _ = build()
    for blueprint, model in zip(CATALOGUE, MODEL_OF, strict=True):
        for mesh in models.mesh[model]:
            first, count, _, _ = library.mesh[mesh]
            points = library.vertex[first : first + count]
            assert points.max(0) == pytest.approx((1, 1, 1), abs=0.15), blueprint.id
            assert points.min(0) == pytest.approx((-1, -1, 0), abs=0.15), blueprint.id
