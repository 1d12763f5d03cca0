"""Doors: cameras and rays see those that are open, as part of their vehicle."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import pytest
from raw_client import RawClient
from test_server import spawn, ticks

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
DOOR, LABELS = carla.VehicleDoor, carla.CityObjectLabel
# How far ahead and to the right of a car's middle the outer part of an open door is, in half lengths and widths.
PLACES = {DOOR.FL: (0.2, -1.5), DOOR.FR: (0.2, 1.5), DOOR.RL: (-0.2, -1.5), DOOR.RR: (-0.2, 1.5)}


def below(world: Any, car: Any, place: tuple[float, float]) -> Any:
    """What a ray meets downwards at a place of a car or beside it."""
    box, pose = car.bounding_box.extent, car.get_transform()
    start = pose.transform(carla.Location(place[0] * box.x, place[1] * box.y, 2.5))
    return world.project_point(start, carla.Vector3D(0.0, 0.0, -1.0), 10.0)


def open_doors(world: Any, car: Any) -> set[Any]:
    """Along a line across each door's sweep something of the car is met."""
    return {
        door
        for door, (ahead, aside) in PLACES.items()
        if any(below(world, car, (ahead + step, aside)).label == LABELS.Car for step in np.linspace(-0.15, 0.15, 61))
    }


def size_in_picture(world: Any, car: Any) -> int:
    """Pixels with the car's id, from above."""
    blueprint = world.get_blueprint_library().find("sensor.camera.instance_segmentation")
    blueprint.set_attribute("image_size_x", "200")
    blueprint.set_attribute("image_size_y", "200")
    above = carla.Transform(car.get_location() + carla.Location(z=9.0), carla.Rotation(pitch=-90.0))
    camera, found = world.spawn_actor(blueprint, above), queue.Queue()
    camera.listen(found.put)
    world.tick()
    pixels = np.frombuffer(found.get(timeout=60.0).raw_data, np.uint8).reshape(200, 200, 4).astype(int)
    camera.destroy()
    own = (pixels[..., 1] + 256 * pixels[..., 0] == car.id & 0xFFFF) & (pixels[..., 2] == int(LABELS.Car))
    return int(own.sum())


def test_open_doors_are_seen_and_shut_ones_are_not(world: Any) -> None:
    car = spawn(world)
    ticks(world, 20)
    shut, lids = size_in_picture(world, car), ((0.7, 0.0), (-0.9, 0.0))
    heights = [below(world, car, lid).location.z for lid in lids]
    assert open_doors(world, car) == set()
    for door in PLACES:
        car.open_door(door)
        assert open_doors(world, car) == {door}
        car.close_door(door)
    car.open_door(DOOR.All)
    assert open_doors(world, car) == set(PLACES)
    assert size_in_picture(world, car) > 1.02 * shut
    for lid, height in zip(lids, heights, strict=True):
        assert below(world, car, lid).location.z > height + 0.3, "bonnet and boot stand open"
    place = car.get_transform()
    place.location.x += 1.0
    car.set_transform(place)
    world.tick()
    assert open_doors(world, car) == set(PLACES), "doors go with their car"
    car.close_door(DOOR.All)
    assert open_doors(world, car) == set()
    assert size_in_picture(world, car) == pytest.approx(shut, rel=0.01)


def test_a_camera_in_the_car_looks_through_its_doors(world: Any) -> None:
    car = spawn(world)
    ticks(world, 20)
    lidar = world.get_blueprint_library().find("sensor.lidar.ray_cast_semantic")
    eye = world.spawn_actor(lidar, carla.Transform(carla.Location(z=1.0)), attach_to=car)
    found: queue.Queue[Any] = queue.Queue()
    eye.listen(found.put)
    car.open_door(DOOR.All)
    world.tick()
    assert car.id not in {point.object_idx for point in found.get(timeout=60.0)}


def test_who_has_no_doors_says_so(server: Any, world: Any) -> None:
    bicycle = spawn(world, "vehicle.bh.crossbike")
    with RawClient(server.port) as client:
        for call in ("open_vehicle_door", "close_vehicle_door"):
            with pytest.raises(RuntimeError, match="has no doors that open"):
                client.call(call, bicycle.id, 6)
        with pytest.raises(RuntimeError, match=r"expected an integer in \[0, 6\]"):
            client.call("open_vehicle_door", bicycle.id, 7)
