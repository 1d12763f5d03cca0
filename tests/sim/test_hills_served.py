"""A hilly OpenDRIVE text through the real client: what sensors measure agrees with what the map says."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import pytest
from hilly import crest

from roadcraft.sim.embedded.server.process import ServerProcess

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")


@pytest.fixture(scope="module")
def world() -> Any:
    with ServerProcess(town="grid", seed=1) as process:
        client = carla.Client("127.0.0.1", process.port, 4)
        client.set_timeout(120.0)
        world = client.generate_opendrive_world(crest())
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        world.tick()
        yield world
        settings.synchronous_mode = False
        world.apply_settings(settings)
        process.check()


def listen(world: Any, kind: str, place: Any, **attributes: str) -> Any:
    """One message of a sensor that stands in the world."""
    blueprint = world.get_blueprint_library().find(kind)
    for name, value in attributes.items():
        blueprint.set_attribute(name, value)
    sensor, told = world.spawn_actor(blueprint, place), queue.Queue()
    sensor.listen(told.put)
    world.tick()
    message = told.get(timeout=60.0)
    sensor.destroy()
    return message


def road_height(world: Any, x: float, y: float) -> float:
    """Of the nearest lane of any kind, by the client's own map."""
    place = carla.Location(x=x, y=y, z=8.0)
    return float(world.get_map().get_waypoint(place, lane_type=carla.LaneType.Any).transform.location.z)


def test_depth_looking_down_is_the_height_above_the_waypoint(world: Any) -> None:
    for x in (30.0, 120.0, 170.0):
        z = road_height(world, x, 1.75)
        place = carla.Transform(carla.Location(x=x, y=1.75, z=z + 12.0), carla.Rotation(pitch=-90.0))
        image = listen(world, "sensor.camera.depth", place, image_size_x="33", image_size_y="33")
        b, g, r, _ = np.frombuffer(image.raw_data, np.uint8).reshape(33, 33, 4)[16, 16].astype(float)
        assert (r + 256 * g + 65536 * b) / (256**3 - 1) * 1000 == pytest.approx(12.0, abs=0.03)


def test_lidar_points_lie_on_the_waypoints(world: Any) -> None:
    x, z = 60.0, road_height(world, 60.0, 1.75) + 2.0
    place = carla.Transform(carla.Location(x=x, y=1.75, z=z))
    scan = listen(
        world, "sensor.lidar.ray_cast", place, channels="16", range="60", rotation_frequency="20",
        points_per_second="100000", lower_fov="-25", upper_fov="0", dropoff_general_rate="0",
        dropoff_intensity_limit="0",
    )  # fmt: skip
    points = np.frombuffer(scan.raw_data, np.float32).reshape(-1, 4)[:, :3] + (x, 1.75, z)
    road = points[(np.abs(points[:, 1]) < 3.4) & (points[:, 0] > 2) & (points[:, 0] < 198)]
    assert len(road) > 200
    off = [road_height(world, float(px), float(py)) - float(pz) for px, py, pz in road[::7]]
    assert np.abs(off).max() < 0.02
    assert np.ptp(road[:, 2]) > 0.5


def test_vehicles_and_walkers_stand_on_the_road(world: Any) -> None:
    blueprints, spots = world.get_blueprint_library(), world.get_map().get_spawn_points()
    assert all(
        abs(spot.location.z - 0.5 - road_height(world, spot.location.x, spot.location.y)) < 0.1 for spot in spots
    )
    car = world.spawn_actor(blueprints.find("vehicle.tesla.model3"), spots[0])
    car.set_autopilot(False)
    path = world.get_random_location_from_navigation()
    assert path.z == pytest.approx(road_height(world, path.x, path.y), abs=0.3)
    person = world.spawn_actor(blueprints.find("walker.pedestrian.0001"), carla.Transform(path + carla.Location(z=1.0)))
    for _ in range(40):
        car.apply_control(carla.VehicleControl(throttle=0.5))
        world.tick()
    place = car.get_transform()
    ahead = place.location + 2.0 * place.get_forward_vector()
    z = road_height(world, place.location.x, place.location.y)
    assert place.location.z == pytest.approx(z, abs=0.05)
    assert ahead.z - place.location.z == pytest.approx(road_height(world, ahead.x, ahead.y) - z, abs=0.03)
    foot = person.get_location()
    assert foot.z - person.bounding_box.extent.z == pytest.approx(road_height(world, foot.x, foot.y), abs=0.05)
    point = world.ground_projection(carla.Location(x=place.location.x + 8.0, y=place.location.y, z=40.0), 60.0)
    assert point.location.z == pytest.approx(road_height(world, point.location.x, point.location.y), abs=0.02)
    for actor in (car, person):
        actor.destroy()
