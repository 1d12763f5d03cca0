"""Motion blur: streaks of known lengths, agreement with the mean of many sharp pictures, and what stays sharp."""

from __future__ import annotations

import math
import queue
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.server.blur import room, smear
from roadcraft.sim.embedded.server.cameras import Camera, Cameras
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.errors import UserError

WIDTH, HEIGHT = 320, 180
SHARP = {"motion_blur_intensity": 0.0}
STRONG = {"motion_blur_intensity": 1.0, "motion_blur_max_distortion": 100.0}
DT = 0.05
SHARE = (1 / 30) / DT  # of a tick's motion that STRONG smears
LABELS = ("depth", "semantic_segmentation", "instance_segmentation")


def blurred(grey: np.ndarray, streak: np.ndarray, depth: np.ndarray, longest: float = 100.0) -> np.ndarray:
    """(H, W) grey values smeared by streaks (H, W, 2) [pixels, x right, y down]."""
    height, width = grey.shape
    out = np.zeros((height, width, 4), np.uint8)
    motion = (streak / (width / 2, -height / 2) * 2).astype(np.float32)
    rgb = np.repeat(grey[..., None], 3, -1).astype(np.uint8)
    smear(rgb, depth.astype(np.float32), motion, 0.5, longest, room(width, height), out)
    assert (out[..., 0] == out[..., 1]).all()
    assert (out[..., 0] == out[..., 2]).all()
    return out[..., 0].astype(float)


def ramp(light: np.ndarray) -> tuple[float, float]:
    """Where an edge along the last axis lies [pixels], and over what length it rises, from its steps' moments."""
    steps = np.abs(np.diff(light))
    steps /= steps.sum()
    at = np.arange(len(steps)) + 1.0
    middle = float(steps @ at)
    return middle, math.sqrt(12 * float(steps @ (at - middle) ** 2) + 1)  # a step from pixel to pixel is no pixel long


@pytest.mark.parametrize("length", [0.0, 0.9, 2.24, 5.0, 12.5, 31.0, 90.0])
@pytest.mark.parametrize("upright", [True, False])
def test_an_edge_is_smeared_by_the_length_of_its_streak(length: float, upright: bool) -> None:
    grey = np.full((200, 200), 20.0)
    grey[:, 100:] = 220.0
    streak, depth = np.zeros((200, 200, 2)), np.full((200, 200), 10.0)
    streak[..., 0] = length
    assert (blurred(grey.T, streak, depth) == grey.T).all()  # along an edge nothing is seen of it
    out = blurred(grey, streak, depth) if upright else blurred(grey.T, streak[..., ::-1], depth).T
    middle, long = ramp(out[57] ** 2)
    assert middle == pytest.approx(100.0, abs=0.05)
    assert long == pytest.approx(max(length, 1.0), rel=0.02, abs=0.6)
    if length <= 1.0:
        assert (out == grey).all()


def test_a_streak_is_cut_at_the_longest_and_goes_its_way() -> None:
    grey = np.full((64, 64), 10.0)
    grey[32, 32] = 250.0
    streak = np.zeros((64, 64, 2))
    streak[:] = (30.0, 15.0)
    out = blurred(grey, streak, np.full((64, 64), 10.0), longest=math.hypot(8.0, 4.0))
    rows, columns = np.nonzero(out > 10)
    assert set(columns.tolist()) == set(range(28, 37))
    assert rows == pytest.approx(32 + (columns - 32) / 2, abs=0.51)
    light = (out**2 - 100.0).sum()
    assert light == pytest.approx(250.0**2 - 100.0, rel=0.01)  # none is lost


def bar(depth: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright bar (60 to 100) that moves by 10 pixels before or behind a dark wall at 10 m: grey, streaks, depth."""
    grey, streak, far = np.full((80, 160), 50.0), np.zeros((80, 160, 2)), np.full((80, 160), 10.0)
    grey[:, 60:100], streak[:, 60:100, 0], far[:, 60:100] = 200.0, 10.0, depth
    return grey, streak, far


def test_what_passes_before_a_wall_has_soft_sides_and_the_wall_stays_sharp() -> None:
    out = blurred(*bar(5.0))[40]
    for edge, part in ((60, out[40:80]), (100, out[80:120])):
        middle, long = ramp(part**2)
        assert middle == pytest.approx(edge - (40 if edge == 60 else 80), abs=0.6)
        assert long == pytest.approx(10.0, abs=1.0)
    assert (out[:54] == 50).all()
    assert (out[106:] == 50).all()


def test_what_passes_behind_a_gap_does_not_run_over_its_sides() -> None:
    out = blurred(*bar(20.0))[40]
    assert (out[:60] == 50).all()
    assert (out[100:] == 50).all()
    assert (out[60:100] == 200).all()


# ------------------------------------------------------------------------------------------------- in the server
@pytest.fixture(scope="module")
def live() -> LiveWorld:
    return LiveWorld(load_town("grid"), "", seed=1)


def eye(live: LiveWorld, kind: str = "rgb", turn: float = 0.0, **given: float | str) -> Any:
    """A camera at the first place of the town, turned by `turn` [rad]."""
    x, y, yaw = live.town.network.spawns[0].tolist()
    given = {"image_size_x": WIDTH, "image_size_y": HEIGHT, **given}
    chosen = [[name, 2, str(value)] for name, value in given.items()]
    actor = live.spawn(f"sensor.camera.{kind}", chosen, Pose(x, y, 1.5, yaw + turn))
    actor.sensor = Camera(actor)
    return actor


def turn(actor: Any, angle: float) -> None:
    actor.pose = actor.pose._replace(yaw=actor.pose.yaw + angle)


def shoot(live: LiveWorld, *actors: Any) -> list[np.ndarray]:
    """(H, W, 4) of each camera."""
    size = (HEIGHT, WIDTH, 4)
    found = {a.id: np.frombuffer(bytes(data[1]), np.uint8).reshape(size) for a, data in CAMERAS.images(live, actors)}
    return [found[actor.id] for actor in actors]


CAMERAS = Cameras()


def light(picture: np.ndarray) -> np.ndarray:
    return (picture[..., :3] / 255.0) ** 2


def test_a_camera_that_stands_has_no_blur(live: LiveWorld) -> None:
    actors = eye(live, **SHARP), eye(live, **STRONG), eye(live)
    for _ in range(3):
        live.step(DT)
        sharp, strong, usual = shoot(live, *actors)
        assert (sharp == strong).all()
        assert (sharp == usual).all()


@pytest.mark.parametrize("ticks", [1, 3])
def test_a_turning_camera_sees_the_mean_of_its_turn(live: LiveWorld, ticks: int) -> None:
    """Against the mean of 41 sharp pictures within the shutter's time, however many ticks lie between two pictures."""
    angle = 0.06  # [rad] in a tick
    sharp, *others = eye(live, **SHARP), *(eye(live, **{**STRONG, "motion_blur_intensity": k}) for k in (0.7, 1.0, 1.4))
    shoot(live, *others)
    for _ in range(ticks):
        live.step(DT)
    for actor in (sharp, *others):
        turn(actor, ticks * angle)
    pictures = shoot(live, sharp, *others)
    mean = np.zeros((HEIGHT, WIDTH, 3))
    for t in np.linspace(-0.5, 0.5, 41):
        turn(sharp, t * SHARE * angle)
        mean += light(shoot(live, sharp)[0]) / 41
        turn(sharp, -t * SHARE * angle)
    inside = np.s_[:, 12:-12]  # at the sides half of what passes is not in the picture
    apart, short, right, long = (np.abs(light(picture) - mean)[inside].mean() for picture in pictures)
    assert right < apart / 3
    assert right < 0.8 * min(short, long)


def test_a_passing_car_is_smeared_and_the_street_is_not(live: LiveWorld) -> None:
    x, y, yaw = live.town.network.spawns[0].tolist()
    c, s, way = math.cos(yaw), math.sin(yaw), 1.0  # [m] to the left in a tick

    def at(left: float) -> Pose:
        return Pose(x + 9 * c - left * s, y + 9 * s + left * c, 0.0, yaw + math.pi / 2)

    car = live.spawn("vehicle.lincoln.mkz_2020", [], at(-way))
    live.simulation.set_physics(car.id, False)
    sharp, strong, usual, coarse = (
        eye(live, **given)
        for given in (SHARP, STRONG, {}, {**STRONG, "motion_blur_min_object_screen_size": 100.0})
    )  # fmt: skip
    instance = eye(live, "instance_segmentation")
    shoot(live, strong, usual, coarse)
    live.step(DT)
    live.place(car, at(0.0))
    now, got, little, none, ids = shoot(live, sharp, strong, usual, coarse, instance)
    of_car = ids[..., 1] + 256 * ids[..., 0].astype(int) == car.id
    columns = np.flatnonzero(of_car.any(0))
    mean = np.zeros((HEIGHT, WIDTH, 3))
    for t in np.linspace(-0.5, 0.5, 41):
        live.place(car, at(t * SHARE * way))
        mean += light(shoot(live, sharp)[0]) / 41
    live.destroy(car.id)
    error, apart = np.abs(light(got) - mean).mean(), np.abs(light(now) - mean).mean()
    assert error < apart / 3  # its shadow stays where it is
    changed = np.flatnonzero((got != now).any((0, 2)))
    streak = SHARE * way * (WIDTH / 2) / 8  # of its near side, about 8 m away
    assert columns[0] - changed[0] == pytest.approx(streak / 2, abs=2.5)
    assert changed[-1] - columns[-1] == pytest.approx(streak / 2, abs=2.5)
    # CARLA's default cuts at 0.35 % of the width, 1.1 pixels: hardly anything changes, and nothing that is further off.
    far = np.flatnonzero((little != now).any((0, 2)))
    assert far[0] >= columns[0] - 1
    assert far[-1] <= columns[-1] + 1
    assert (none == now).all()  # a body that is too small moves with the camera, which stands


def test_labels_are_those_of_the_moment(live: LiveWorld) -> None:
    for together in (True, False):
        labels, colours = [eye(live, kind) for kind in LABELS], [eye(live, **STRONG)] * together
        shoot(live, *colours, *labels)
        for actor in (*colours, *labels):
            turn(actor, 0.05)
        live.step(DT)
        pictures = shoot(live, *colours, *labels)
        if together:
            before = pictures[1:]
    assert all((a == b).all() for a, b in zip(before, pictures, strict=True))


def test_two_runs_are_alike() -> None:
    runs = []
    for _ in range(2):
        world = LiveWorld(load_town("grid"), "", seed=3)
        x, y, yaw = world.town.network.spawns[0].tolist()
        car = world.spawn("vehicle.audi.tt", [], Pose(x + 10, y, 0.5, yaw))
        world.simulation.control_vehicle(car.id, 0.3, 1.0, 0.0)
        actor = eye(world, **STRONG, noise_stddev=4.0)
        pictures = []
        for _ in range(6):
            world.step(DT)
            turn(actor, 0.02)
            pictures += shoot(world, actor)
        runs.append(np.stack(pictures))
    assert (runs[0] == runs[1]).all()
    assert (runs[0][-1] != runs[0][-2]).any()


def test_no_blur_asks_nothing_more_of_the_renderer(live: LiveWorld) -> None:
    off = {"enable_postprocess_effects": "false"}
    for given in (SHARP, off, {"motion_blur_max_distortion": 0.0}):
        assert eye(live, **given).sensor.needs == {"bgra"}
    assert eye(live).sensor.needs == {"rgb", "depth", "instance"}


@pytest.mark.parametrize("value", ["-0.1", "nan", "inf"])
def test_what_no_shutter_has_is_refused(live: LiveWorld, value: str) -> None:
    for name in ("motion_blur_intensity", "motion_blur_max_distortion", "motion_blur_min_object_screen_size"):
        with pytest.raises(UserError, match=name):
            eye(live, **{name: value})


def test_the_client_gets_it_and_not_in_a_first_picture(world: Any) -> None:
    """Two cameras, one of them sharp: they differ when they turn, and agree in a first picture and at rest."""
    import carla

    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    place.location.z = 1.5
    sensors, images = [], []
    for given in (SHARP, STRONG):
        blueprint = library.find("sensor.camera.rgb")
        for name, value in {"image_size_x": WIDTH, "image_size_y": HEIGHT, **given}.items():
            blueprint.set_attribute(name, str(value))
        sensors.append(world.spawn_actor(blueprint, place))
        images.append(queue.Queue[Any]())

    def differ(turned: float) -> float:
        place.rotation.yaw += turned
        for sensor in sensors:
            sensor.set_transform(carla.Transform(place.location, place.rotation))
        world.tick()
        sharp, strong = (np.frombuffer(each.get(timeout=60.0).raw_data, np.uint8).astype(int) for each in images)
        return float(np.abs(sharp - strong).mean())

    def listen() -> None:
        for sensor, into in zip(sensors, images, strict=True):
            sensor.listen(into.put)

    listen()
    assert differ(2.0) == 0.0
    assert differ(2.0) > 2.0
    assert differ(0.0) == 0.0
    for sensor in sensors:
        sensor.stop()
    world.tick()
    listen()
    assert differ(2.0) == 0.0
    for sensor in sensors:
        sensor.stop()
