"""Cameras of the embedded server: formats, agreement with each other and with where things are, who gets what."""

from __future__ import annotations

import math
import queue
from typing import Any

import numpy as np
import pytest

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
EGO, LEAD = "vehicle.lincoln.mkz_2020", "vehicle.audi.tt"
WIDTH, HEIGHT, FOV = 160, 90, 90.0
GAP = 20.0  # m between the origins of the two cars
KINDS = ("rgb", "depth", "semantic_segmentation", "instance_segmentation")
CAR, ROADS, SKY = 14, 1, 11  # CARLA's semantic tags


class Eye:
    """A camera and the images that came from it."""

    def __init__(self, world: Any, kind: str, parent: Any, place: Any, **attributes: Any) -> None:
        blueprint = world.get_blueprint_library().find(f"sensor.camera.{kind}")
        for name, value in {"image_size_x": WIDTH, "image_size_y": HEIGHT, "fov": FOV, **attributes}.items():
            blueprint.set_attribute(name, str(value))
        self.sensor = world.spawn_actor(blueprint, place, attach_to=parent)
        self.images: queue.Queue[Any] = queue.Queue()
        self.sensor.listen(self.images.put)

    def next(self) -> Any:
        return self.images.get(timeout=60.0)


def pixels(image: Any) -> np.ndarray:
    """(H, W, 4) BGRA."""
    return np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)


def identities(bgra: np.ndarray) -> np.ndarray:
    """(H, W) actor ids of an instance image."""
    low, high = bgra[..., 1].astype(int), bgra[..., 0].astype(int)
    return low + 256 * high


def metres(image: Any) -> np.ndarray:
    """(H, W) of a depth image, decoded as CARLA's documentation says."""
    b, g, r = (pixels(image)[..., k].astype(float) for k in range(3))
    return 1000.0 * (r + 256 * g + 65536 * b) / (2**24 - 1)


@pytest.fixture
def scene(world: Any) -> Any:
    """The ego with four cameras at one place, and a car ahead."""
    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    ego = world.spawn_actor(library.find(EGO), place)
    place.location += GAP * place.get_forward_vector()
    lead = world.spawn_actor(library.find(LEAD), place)
    for _ in range(20):
        world.tick()  # both have come down from their spawn points
    front = carla.Transform(carla.Location(x=1.2, z=1.5))
    eyes = {kind: Eye(world, kind, ego, front) for kind in KINDS}
    yield world, ego, lead, eyes
    for eye in eyes.values():
        eye.sensor.stop()


def test_four_cameras_agree_with_each_other_and_the_world(scene: Any) -> None:
    world, ego, lead, eyes = scene
    frame = world.tick()
    images = {kind: eye.next() for kind, eye in eyes.items()}
    for image in images.values():
        assert (image.frame, image.width, image.height, image.fov) == (frame, WIDTH, HEIGHT, FOV)
        assert image.transform.location.distance(ego.get_location()) == pytest.approx(math.hypot(1.2, 1.5), abs=0.01)
    tags = pixels(images["semantic_segmentation"])[..., 2]
    instance = pixels(images["instance_segmentation"])
    ids = identities(instance)
    depth = metres(images["depth"])
    assert (instance[..., 2] == tags).all()
    ahead = ids == lead.id
    assert ahead.sum() > 30
    assert (tags[ahead] == CAR).all()
    # The near end of the car ahead, from the camera.
    expected = GAP - 1.2 - lead.bounding_box.extent.x
    assert depth[ahead].min() == pytest.approx(expected, abs=0.3)
    _, columns = np.nonzero(ahead)
    assert columns.mean() == pytest.approx(WIDTH / 2, abs=2.0)
    # A road pixel in the middle of the bottom row: the ground plane under a camera 1.5 m up.
    focal = WIDTH / 2 / math.tan(math.radians(FOV) / 2)
    row = HEIGHT - 1
    assert tags[row, WIDTH // 2] == ROADS
    assert depth[row, WIDTH // 2] == pytest.approx(1.5 * focal / (row + 0.5 - HEIGHT / 2), rel=0.03)
    assert depth[tags == SKY].min() > 999.0
    colours = pixels(images["rgb"])
    assert (colours[..., 3] == 255).all()
    assert colours[..., :3].std() > 10.0


def test_nobody_is_rendered_for_who_does_not_listen(scene: Any) -> None:
    world, _, _, eyes = scene
    for eye in eyes.values():
        eye.sensor.stop()
    for _ in range(3):
        world.tick()
    assert all(eye.images.empty() for eye in eyes.values())
    eyes["rgb"].sensor.listen(eyes["rgb"].images.put)
    frame = world.tick()
    assert eyes["rgb"].next().frame == frame


def test_the_first_tick_after_listen_has_an_image(scene: Any) -> None:
    world, ego, _, _ = scene
    for _ in range(5):
        eye = Eye(world, "depth", ego, carla.Transform(carla.Location(x=2.0, z=1.0)))
        frame = world.tick()
        assert eye.next().frame == frame
        eye.sensor.destroy()


def test_sensor_tick_is_the_time_between_images(world: Any) -> None:
    eye = Eye(world, "rgb", None, carla.Transform(carla.Location(z=20.0)), sensor_tick=0.2)
    frames = [world.tick() for _ in range(12)]
    got = [eye.next().frame for _ in range(3)]
    eye.sensor.stop()
    assert got == frames[0:12:4]


def test_two_clients_see_the_same_images(scene: Any, server: Any) -> None:
    world, _, _, eyes = scene
    second = carla.Client("127.0.0.1", server.port, 2)
    second.set_timeout(30.0)
    theirs: queue.Queue[Any] = queue.Queue()
    other = second.get_world().get_actor(eyes["rgb"].sensor.id)
    other.listen(theirs.put)
    world.tick()
    mine, others = eyes["rgb"].next(), theirs.get(timeout=20.0)
    other.stop()
    assert mine.frame == others.frame
    assert bytes(mine.raw_data) == bytes(others.raw_data)


def test_a_spring_arm_looks_back_at_its_holder(world: Any) -> None:
    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    ego = world.spawn_actor(library.find(EGO), place)
    blueprint = library.find("sensor.camera.instance_segmentation")
    blueprint.set_attribute("image_size_x", str(WIDTH))
    blueprint.set_attribute("image_size_y", str(HEIGHT))
    arm = carla.Transform(carla.Location(x=-6.0, z=3.0))
    sensor = world.spawn_actor(blueprint, arm, attach_to=ego, attachment_type=carla.AttachmentType.SpringArm)
    images: queue.Queue[Any] = queue.Queue()
    sensor.listen(images.put)
    world.tick()
    seen = pixels(images.get(timeout=20.0))
    sensor.stop()
    ids = identities(seen)
    rows, columns = np.nonzero(ids == ego.id)
    assert len(rows) > 100
    assert columns.mean() == pytest.approx(WIDTH / 2, abs=2.0)
    assert abs(rows.mean() - HEIGHT / 2) < HEIGHT / 5


def test_how_long_the_server_ran_freely_does_not_show(world: Any) -> None:
    """Indicators and rain begin anew with synchronous mode: the same calls give the same pictures."""
    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    car = world.spawn_actor(library.find(EGO), place)
    car.set_simulate_physics(False)
    car.set_light_state(carla.VehicleLightState(carla.VehicleLightState.LeftBlinker))
    world.freeze_all_traffic_lights(True)
    world.set_weather(carla.WeatherParameters(precipitation=80.0, cloudiness=90.0, sun_altitude_angle=45.0))
    eye = Eye(world, "rgb", car, carla.Transform(carla.Location(x=-6.0, z=1.5)))
    settings, films = world.get_settings(), []
    for freely in (3, 8, 12):
        settings.synchronous_mode = False
        world.apply_settings(settings)
        for _ in range(freely):
            world.wait_for_tick(60.0)
        settings.synchronous_mode = True
        first = world.apply_settings(settings)
        while eye.next().frame < first:
            pass
        films.append([pixels(shot(world, eye)).copy() for _ in range(20)])
    assert len({film.tobytes() for film in films[0]}) > 2  # it blinks and rains
    for film in films[1:]:
        assert [image.tobytes() for image in film] == [image.tobytes() for image in films[0]]


def shot(world: Any, eye: Eye) -> Any:
    """The picture of one tick."""
    frame = world.tick()
    while (image := eye.next()).frame < frame:
        pass
    return image
