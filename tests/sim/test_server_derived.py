"""Normals, optical flow and events: known answers, agreement with depth and motion, and what the real client gets."""

from __future__ import annotations

import math
import queue
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.render import View
from roadcraft.sim.embedded.server.derived import EVENT, brightness, fire, normals
from roadcraft.sim.embedded.server.flow import flow, motions

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
WIDTH, HEIGHT = 64, 48
HALF = np.array([WIDTH / 2, HEIGHT / 2])


def rays(view: View) -> np.ndarray:
    """(H, W, 3) of the world, one metre along the optical axis."""
    columns, rows = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
    u, v = (columns - view.width / 2) / view.focal, (rows - view.height / 2) / view.focal
    return u[..., None] * view.axes[0] + v[..., None] * view.axes[1] + view.axes[2]


def normals_of(bgra: np.ndarray) -> np.ndarray:
    """(..., 3) in our axes of an image in CARLA's."""
    return (bgra[..., 2::-1] / 127.5 - 1.0) * (1.0, -1.0, 1.0)


def still() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return motions(np.zeros(0, BODY), np.zeros(0, BODY))


def test_normals_of_planes_are_theirs() -> None:
    rng = np.random.default_rng(0)
    view = View((0.0, 0.0, 0.0), 0.7, 0.3, -0.2, WIDTH, HEIGHT, math.radians(80.0))
    for _ in range(20):
        normal = rng.normal(size=3)
        normal /= np.linalg.norm(normal)
        slant = rays(view) @ normal
        normal *= -np.sign(slant[HEIGHT // 2, WIDTH // 2])  # it looks at the camera
        slant = -np.abs(slant) * np.where(np.sign(slant) == np.sign(slant[HEIGHT // 2, WIDTH // 2]), 1.0, np.nan)
        depth = np.nan_to_num(5.0 / -slant, nan=1000.0)
        depth = np.where(depth > 900.0, 1000.0, depth).astype(np.float32)
        out = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
        normals(depth, view.focal, view.axes, out)
        seen = depth < 60.0
        assert np.abs(normals_of(out)[seen] - normal).max() < 0.02
        assert (out[depth > 999.0][:, :3] == 128).all()


def test_flow_of_a_turning_camera_is_the_turn() -> None:
    angle = 0.03
    now, before = View((0, 0, 0), 0.0, width=WIDTH, height=HEIGHT), View((0, 0, 0), angle, width=WIDTH, height=HEIGHT)
    out = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    sky = np.full((HEIGHT, WIDTH), 1000.0, np.float32)
    place = np.zeros(3)
    ids = np.zeros((HEIGHT, WIDTH), np.uint32)
    flow(sky, ids, now.focal, place, now.axes, place, before.axes, *still(), out)
    # The camera turned right, so the world went left; the middle by tan(angle) focal lengths.
    middle = out[HEIGHT // 2 - 1 : HEIGHT // 2 + 1, WIDTH // 2 - 1 : WIDTH // 2 + 1].mean((0, 1)) * HALF
    assert middle == pytest.approx([-math.tan(angle) * now.focal, 0.0], abs=0.01)


def test_flow_of_a_drive_spreads_from_where_it_goes() -> None:
    view = View((5, -3, 1.5), 0.4, width=WIDTH, height=HEIGHT)
    step, wall = 0.5, 12.0  # m driven, m to go
    forward = view.axes[2]
    out = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    depth, ids = np.full((HEIGHT, WIDTH), wall, np.float32), np.zeros((HEIGHT, WIDTH), np.uint32)
    place = np.array(view.xyz)
    flow(depth, ids, view.focal, place, view.axes, place - step * forward, view.axes, *still(), out)
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, np.arange(HEIGHT) + 0.5 - HEIGHT / 2)
    share = step / (wall + step)
    assert out[..., 0] * WIDTH / 2 == pytest.approx(columns * share, abs=1e-4)
    assert -out[..., 1] * HEIGHT / 2 == pytest.approx(rows * share, abs=1e-4)


def test_flow_of_a_body_is_its_own_motion() -> None:
    """A body that moves and turns under a still camera: each point comes from where it was."""
    before, now = np.zeros(2, BODY), np.zeros(2, BODY)
    before["id"], now["id"] = (7, 0), (7, 9)  # 9 is new and has no motion
    before["xyz"][0], now["xyz"][0] = (20.0, 1.0, 0.0), (20.4, 1.3, 0.1)
    before["yaw"][0], now["yaw"][0], now["pitch"][0], now["roll"][0] = 0.5, 0.55, 0.02, -0.01
    slot, turns, shifts = motions(now, before)
    assert len(slot) == 8  # all others stand still
    view = View((0.0, 0.0, 1.5), 0.05, 0.02, 0.01, WIDTH, HEIGHT)
    rng = np.random.default_rng(1)
    depth = rng.uniform(15.0, 25.0, (HEIGHT, WIDTH)).astype(np.float32)
    out = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    place, ids = np.array(view.xyz), np.full((HEIGHT, WIDTH), 7, np.uint32)
    flow(depth, ids, view.focal, place, view.axes, place, view.axes, slot, turns, shifts, out)

    def frame(body: np.void) -> np.ndarray:
        """The body's axes in its columns, from the camera's independent formula."""
        right, down, ahead = View(yaw=body["yaw"], pitch=body["pitch"], roll=body["roll"], xyz=(0, 0, 0)).axes
        return np.stack([ahead, -right, -down], 1)

    points = place + depth[..., None] * rays(view)
    own = (points - now["xyz"][0]) @ frame(now[0])
    old = (own @ frame(before[0]).T + before["xyz"][0] - place) @ view.axes.T
    was = old[..., :2] / old[..., 2:] * view.focal
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, np.arange(HEIGHT) + 0.5 - HEIGHT / 2)
    assert out[..., 0] * WIDTH / 2 == pytest.approx(columns - was[..., 0], abs=1e-3)
    assert -out[..., 1] * HEIGHT / 2 == pytest.approx(rows - was[..., 1], abs=1e-3)


def _fire(old: float, new: float, reference: np.ndarray, rest: int = 0, room: int = 1000) -> np.ndarray:
    events = np.zeros(room, EVENT)
    last = np.full((1, 1), -rest, np.int64)
    thresholds = np.array([[[0.1]], [[0.2]]])
    count = fire(np.array([[old]]), np.array([[new]]), reference, thresholds, 0, 1000, rest, last, events)
    return events[:count]


def test_events_count_the_light_in_thresholds() -> None:
    reference = np.array([[0.0]])
    grown = _fire(0.0, 0.55, reference)
    assert len(grown) == 5
    assert (grown["polarity"] == 1).all()
    assert grown["t"].tolist() == pytest.approx([1000 * 0.1 * k / 0.55 for k in range(1, 6)], abs=1)
    assert reference[0, 0] == pytest.approx(0.5)
    assert len(_fire(0.55, 0.58, reference)) == 0
    assert len(_fire(0.58, 0.61, reference)) == 1  # what was left over counts
    fallen = _fire(0.61, -0.05, reference)
    assert fallen["polarity"].tolist() == [0, 0, 0]
    assert len(_fire(0.0, 1.05, np.array([[0.0]]), rest=400)) == 2  # of crossings each 95 ns, the first and the sixth
    assert len(_fire(0.0, 1.05, np.array([[0.0]]), room=4)) == 4


def test_brightness_is_that_of_the_eye() -> None:
    out, colours = np.zeros((1, 2)), np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8)
    brightness(colours, True, 0.001, out)
    assert out == pytest.approx(np.log([[1.001, 0.001]]))
    brightness(colours, False, 0.001, out)
    assert out == pytest.approx(np.array([[255.0, 0.0]])), "thresholds without the logarithm are levels of a picture"


def test_the_client_gets_normals_flow_and_events(world: Any) -> None:
    """Beside a depth and an instance camera: the road looks up, a passing car flows as far as it moves, lights fire."""
    import carla

    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    ahead, right = place.get_forward_vector(), place.get_right_vector()
    eye = carla.Transform(place.location + carla.Location(z=1.0), place.rotation)
    place.location += 10.0 * ahead - 1.0 * right
    car = world.spawn_actor(library.find("vehicle.lincoln.mkz_2020"), place)
    images: dict[str, queue.Queue[Any]] = {}
    sensors = []
    for kind in ("normals", "optical_flow", "dvs", "depth", "instance_segmentation"):
        blueprint = library.find(f"sensor.camera.{kind}")
        blueprint.set_attribute("image_size_x", "160")
        blueprint.set_attribute("image_size_y", "90")
        images[kind] = queue.Queue()
        sensors.append(world.spawn_actor(blueprint, eye))
        sensors[-1].listen(images[kind].put)
    car.set_simulate_physics(False)
    world.tick()
    for kind in images.keys() - {"dvs"}:  # a tick without events has no message of events
        images[kind].get(timeout=60.0)
    moved = place.location + 0.4 * right
    car.set_location(moved + carla.Location(z=car.get_location().z - moved.z))
    frame = world.tick()
    got = {kind: each.get(timeout=60.0) for kind, each in images.items()}
    for sensor in sensors:
        sensor.stop()
    assert {image.frame for image in got.values()} == {frame}

    def array(kind: str, dtype: type, channels: int) -> np.ndarray:
        return np.frombuffer(got[kind].raw_data, dtype).reshape(90, 160, channels)

    bgra = array("instance_segmentation", np.uint8, 4)
    of_car = bgra[..., 1] + 256 * bgra[..., 0].astype(int) == car.id
    assert of_car.sum() > 100
    looks = normals_of(array("normals", np.uint8, 4))
    assert looks[-1, 80] == pytest.approx([0.0, 0.0, 1.0], abs=0.02)
    motion = array("optical_flow", np.float32, 2)
    b, g, r = (array("depth", np.uint8, 4)[..., k].astype(float) for k in range(3))
    metres = 1000.0 * (r + 256 * g + 65536 * b) / (2**24 - 1)
    # The car slid sideways, so its pixels moved by 0.4 m times the focal length over the depth; nothing else moved.
    assert motion[of_car][:, 0] * 80 == pytest.approx(0.4 * 80 / metres[of_car], rel=0.02)
    assert np.abs(motion[of_car][:, 1] * 45).max() < 0.05
    assert np.abs(motion[~of_car]).max() < 1e-4
    events = np.frombuffer(bytes(got["dvs"].raw_data), EVENT)
    assert len(events) > 20
    assert (np.diff(events["t"]) >= 0).all()
    columns = np.nonzero(of_car)[1]
    assert abs(np.median(events["x"]) - columns.mean()) < 20


def test_the_cosmos_picture_has_the_clients_own_colours(world: Any) -> None:
    """Of traffic as the client's Cityscapes palette paints the tags; all else is black."""
    car = world.spawn_actor(
        world.get_blueprint_library().find("vehicle.audi.tt"), world.get_map().get_spawn_points()[0]
    )
    for _ in range(20):  # it falls onto its wheels
        world.tick()
    pictures = {}
    for name in ("cosmos_visualization", "semantic_segmentation"):
        blueprint = world.get_blueprint_library().find(f"sensor.camera.{name}")
        blueprint.set_attribute("image_size_x", "160")
        blueprint.set_attribute("image_size_y", "96")
        place = carla.Transform(carla.Location(x=-12.0, z=6.0), carla.Rotation(pitch=-20.0))
        camera, found = world.spawn_actor(blueprint, place, attach_to=car), queue.Queue()
        camera.listen(found.put)
        world.tick()
        pictures[name] = found.get(timeout=60.0)
        camera.destroy()
    tags = pictures["semantic_segmentation"]
    tag = np.frombuffer(tags.raw_data, np.uint8).reshape(96, 160, 4)[..., 2].copy()
    tags.convert(carla.ColorConverter.CityScapesPalette)
    painted = np.frombuffer(tags.raw_data, np.uint8).reshape(96, 160, 4)
    seen = np.frombuffer(pictures["cosmos_visualization"].raw_data, np.uint8).reshape(96, 160, 4)
    labels = carla.CityObjectLabel
    told = np.isin(tag, [int(labels.Car), int(labels.RoadLines), int(labels.TrafficLight), int(labels.TrafficSigns)])
    assert (tag == int(labels.Car)).sum() > 100
    assert (tag == int(labels.RoadLines)).any()
    assert (seen[told] == painted[told]).all()
    assert not seen[np.isin(tag, [int(labels.Roads), int(labels.Buildings), int(labels.Sky)])][:, :3].any()
