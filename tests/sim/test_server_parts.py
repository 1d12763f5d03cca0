"""Components, bones and sockets through the real client: where the things are that they are named after."""

from __future__ import annotations

from typing import Any

import pytest

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")


@pytest.fixture
def car(world: Any) -> Any:
    """An Audi TT that steers to the right."""
    points = world.get_map().get_spawn_points()
    actor = world.spawn_actor(world.get_blueprint_library().find("vehicle.audi.tt"), points[0])
    actor.apply_control(carla.VehicleControl(throttle=0.5, steer=0.6))
    for _ in range(30):
        world.tick()
    return actor


def place(transform: Any) -> tuple[float, float, float]:
    return transform.location.x, transform.location.y, transform.location.z


def test_components_are_at_the_things_they_name(car: Any) -> None:
    names = car.get_component_names()
    assert {"VehicleMesh", "VehicleBounds", "front-blinker-r-1"} < set(names)
    box = car.bounding_box
    assert place(car.get_component_relative_transform("VehicleBounds")) == pytest.approx(
        (box.location.x, box.location.y, box.location.z), abs=1e-4
    )
    assert place(car.get_component_world_transform("VehicleMesh")) == pytest.approx(place(car.get_transform()))
    for name, side in (("front-blinker-r-1", 1.0), ("front-blinker-l-1", -1.0)):
        x, y, z = place(car.get_component_relative_transform(name))
        assert x == pytest.approx(box.extent.x, abs=1e-4)
        assert 0.5 * box.extent.y < side * y < box.extent.y  # CARLA's y: right
        assert 0.3 < z < 1.0
        world_place = car.get_transform().transform(carla.Location(x, y, z))
        assert car.get_component_world_transform(name).location.distance(world_place) < 1e-3


def test_an_unknown_component_is_an_error(car: Any) -> None:
    with pytest.raises(RuntimeError, match="has no component 'NonExistent'; it has VehicleMesh"):
        car.get_component_world_transform("NonExistent")


def test_wheel_bones_are_where_the_wheels_are(car: Any) -> None:
    assert car.get_bone_names() == [
        "VehicleBase", "Wheel_Front_Left", "Wheel_Front_Right", "Wheel_Rear_Left", "Wheel_Rear_Right",
    ]  # fmt: skip
    base, *wheels = car.get_bone_world_transforms()
    assert place(base) == pytest.approx(place(car.get_transform()), abs=1e-3)
    for wheel, told in zip(wheels, car.get_physics_control().wheels, strict=True):
        assert place(wheel) == pytest.approx([c / 100 for c in (told.position.x, told.position.y, told.position.z)])
    _, *relative = car.get_bone_relative_transforms()
    angles = [car.get_wheel_steer_angle(getattr(carla.VehicleWheelLocation, n)) for n in ("FL_Wheel", "BL_Wheel")]
    assert angles[0] > 5.0
    assert [wheel.rotation.yaw for wheel in relative[::2]] == pytest.approx(angles, abs=1e-3)
    everywhere = [place(bone) for bone in car.get_vehicle_bone_world_transforms()]
    assert everywhere == [place(bone) for bone in (base, *wheels)]


def test_sockets_are_as_many_as_their_transforms(car: Any) -> None:
    names = car.get_socket_names()
    assert names == car.get_bone_names()
    assert len(names) == len(car.get_socket_world_transforms()) == len(car.get_socket_relative_transforms())


def test_a_walkers_mesh_stands_on_its_feet(world: Any) -> None:
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    walker = world.spawn_actor(library.find("walker.pedestrian.0001"), points[0])
    cone = world.spawn_actor(library.find("static.prop.trafficcone01"), points[1])
    for _ in range(20):
        world.tick()
    assert walker.get_component_names() == ["CollisionCylinder", "CharacterMesh0"]
    feet = walker.get_component_world_transform("CharacterMesh0").location
    assert walker.get_location().z - feet.z == pytest.approx(walker.bounding_box.extent.z, abs=1e-4)
    assert len(walker.get_socket_names()) == len(walker.get_socket_world_transforms()) > 30
    assert cone.get_component_names() == ["StaticMeshComponent0"]
    assert cone.get_bone_names() == []
