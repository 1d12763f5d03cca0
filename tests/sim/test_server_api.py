"""What CARLA's own tests and examples ask, step by step through the real client: physics, attachments, blueprints."""

from __future__ import annotations

import math
from typing import Any

import pytest

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
EGO = "vehicle.lincoln.mkz_2020"


def ticks(world: Any, count: int) -> None:
    for _ in range(count):
        world.tick()


def with_tyres(car: Any, friction: float) -> Any:
    """The car's physics without drag, on other tyres."""
    control = car.get_physics_control()
    wheels = control.wheels
    for wheel in wheels:
        wheel.tire_friction = friction
    control.wheels, control.drag_coefficient = wheels, 0.0
    return control


def test_without_friction_nothing_brakes_at_all(world: Any) -> None:
    """CARLA's friction tests allow 1e-3 m/s."""
    car = world.spawn_actor(world.get_blueprint_library().find(EGO), world.get_map().get_spawn_points()[0])
    ticks(world, 12)
    car.apply_physics_control(with_tyres(car, 0.0))
    car.set_target_velocity(13.0 * car.get_transform().get_forward_vector())
    ticks(world, 100)
    assert car.get_velocity().length() == pytest.approx(13.0, abs=1e-3)
    assert car.get_physics_control().wheels[0].tire_friction == 0.0


def test_tyre_friction_is_a_coefficient_of_friction(world: Any) -> None:
    """Tyres of 0.5 brake with half of the weight, and sticky ones with no more than a dry road gives."""
    car = world.spawn_actor(world.get_blueprint_library().find(EGO), world.get_map().get_spawn_points()[0])
    ticks(world, 12)
    forward = car.get_transform().get_forward_vector()
    for friction, most in ((0.5, 0.5), (3.5, 1.0), (5.0, 1.0)):
        car.apply_control(carla.VehicleControl())
        car.apply_physics_control(with_tyres(car, friction))
        car.set_target_velocity(15.0 * forward)
        world.tick()
        car.apply_control(carla.VehicleControl(brake=1.0))
        before = car.get_velocity().dot(forward)
        ticks(world, 10)
        loss = (before - car.get_velocity().dot(forward)) / 0.5
        assert 0.9 * most * 9.81 < loss < 1.1 * most * 9.81 + 0.3


def test_a_trigger_changes_tyres_inside_and_gives_them_back(world: Any) -> None:
    blueprint = world.get_blueprint_library().find("static.trigger.friction")
    assert blueprint.get_attribute("friction").as_float() == 3.5
    assert blueprint.get_attribute("extent_x").as_float() == 1.0  # [cm]
    for name, value in (("friction", 5.0), ("extent_x", 300.0), ("extent_y", 300.0), ("extent_z", 700.0)):
        blueprint.set_attribute(name, str(value))
    place = world.get_map().get_spawn_points()[0]
    car = world.spawn_actor(world.get_blueprint_library().find(EGO), place)
    ticks(world, 12)
    car.apply_physics_control(with_tyres(car, 0.0))
    world.spawn_actor(blueprint, carla.Transform(place.location + 20.0 * place.get_forward_vector()))
    car.set_target_velocity(10.0 * place.get_forward_vector())
    seen = []
    for _ in range(80):
        world.tick()
        friction = car.get_physics_control().wheels[0].tire_friction
        if not seen or friction != seen[-1]:
            seen.append(friction)
    assert seen == [0.0, 5.0, 0.0]


def test_sensors_outlive_their_car(world: Any) -> None:
    """As in CARLA, whose engine detaches what hangs on an actor that is destroyed."""
    library = world.get_blueprint_library()
    car = world.spawn_actor(library.find(EGO), world.get_map().get_spawn_points()[0])
    eye = world.spawn_actor(library.find("sensor.other.gnss"), carla.Transform(carla.Location(z=2.0)), attach_to=car)
    bump = world.spawn_actor(library.find("sensor.other.collision"), carla.Transform(), attach_to=car)
    fixes: list[Any] = []
    eye.listen(fixes.append)
    bump.listen(lambda event: None)
    ticks(world, 3)
    where = eye.get_location()
    assert car.destroy()
    ticks(world, 3)
    present = {actor.id for actor in world.get_actors()}
    assert {eye.id, bump.id} < present
    assert car.id not in present
    assert eye.get_location().distance(where) < 0.05
    eye.set_location(where + carla.Location(z=1.0))
    world.tick()
    assert eye.get_location().z == pytest.approx(where.z + 1.0, abs=0.05)
    heard = len(fixes)
    ticks(world, 3)
    assert len(fixes) > heard
    assert eye.destroy()
    assert bump.destroy()
    world.tick()
    assert not {eye.id, bump.id} & {actor.id for actor in world.get_actors()}


def test_roles_are_carlas(world: Any) -> None:
    roles = {b.id: b.get_attribute("role_name").recommended_values for b in world.get_blueprint_library()}
    assert roles["sensor.other.imu"] == roles["controller.ai.walker"] == ["default"]
    assert roles["sensor.camera.rgb"][:2] == ["front", "back"]
    assert roles[EGO] == ["autopilot", "scenario", "ego_vehicle"]


def test_bones_of_a_bike_are_those_of_its_skeleton(world: Any) -> None:
    bike = world.spawn_actor(
        world.get_blueprint_library().find("vehicle.yamaha.yzf"), world.get_map().get_spawn_points()[0]
    )
    world.tick()
    assert bike.get_bone_names() == ["Bike_Rig", "FrontWheel", "RearWheel"]
    _, front, rear = bike.get_bone_relative_transforms()
    assert front.location.x > 0.3 > -0.3 > rear.location.x
    assert math.isclose(front.location.y, 0.0, abs_tol=1e-6)
