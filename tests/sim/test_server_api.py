"""What CARLA's own tests and examples ask, step by step through the real client: physics, attachments, blueprints."""

from __future__ import annotations

import math
import queue
from typing import Any

import numpy as np
import pytest
from raw_client import RawClient

from roadcraft.sim.embedded.server.process import ServerProcess

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


def test_a_car_that_is_gone_still_tells_its_box(world: Any) -> None:
    """A client's TrafficManager asks for it in its own thread, maybe a moment late; an error ends its process."""
    car = world.spawn_actor(
        world.get_blueprint_library().find("vehicle.audi.tt"), world.get_map().get_spawn_points()[0]
    )
    world.tick()
    extent = car.bounding_box.extent
    other = world.get_actor(car.id)
    car.destroy()
    world.tick()
    assert other.bounding_box.extent == extent
    imu = world.spawn_actor(world.get_blueprint_library().find("sensor.other.imu"), carla.Transform())
    world.tick()
    other = world.get_actor(imu.id)
    imu.destroy()
    with pytest.raises(RuntimeError, match=f"actor {other.id} not found"):
        _ = other.bounding_box


def test_the_physics_of_a_car_that_is_gone_may_be_switched(world: Any) -> None:
    """The TrafficManager does that for cars that were destroyed a moment before; an error would end its process."""
    car = world.spawn_actor(world.get_blueprint_library().find(EGO), world.get_map().get_spawn_points()[0])
    world.tick()
    other = world.get_actor(car.id)
    car.destroy()
    other.set_simulate_physics(True)
    sensor = world.spawn_actor(world.get_blueprint_library().find("sensor.other.imu"), carla.Transform())
    world.tick()
    other = world.get_actor(sensor.id)
    sensor.destroy()
    with pytest.raises(RuntimeError, match=f"actor {other.id} not found"):
        other.set_simulate_physics(True)


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


def test_bones_are_told_in_the_mesh_and_sockets_in_the_actor(world: Any) -> None:
    """As by Unreal's GetBoneTransform in component space and GetSocketTransform in RTS_Actor."""
    walker = world.spawn_actor(
        world.get_blueprint_library().find("walker.pedestrian.0001"), world.get_map().get_spawn_points()[0]
    )
    ticks(world, 20)
    actor, mesh = walker.get_transform(), walker.get_component_world_transform("CharacterMesh0")
    for frame, told in (
        (mesh, walker.get_bone_relative_transforms()),
        (actor, walker.get_socket_relative_transforms()),
    ):
        for one, place in zip(told, walker.get_bone_world_transforms(), strict=True):
            assert frame.transform(one.location).distance(place.location) < 1e-3


def test_lidar_points_on_a_car_are_within_its_box(world: Any) -> None:
    """To a millimetre, as CARLA's check_lidar_bb.py wants it."""
    library = world.get_blueprint_library()
    blueprint, kinds = library.find("sensor.lidar.ray_cast_semantic"), ("vehicle.lincoln.mkz_2020", "vehicle.audi.a2")
    for name, value in (("points_per_second", 200_000), ("range", 60), ("upper_fov", 5.0), ("rotation_frequency", 20)):
        blueprint.set_attribute(name, str(value))
    place = world.get_map().get_spawn_points()[0]
    lidar = world.spawn_actor(blueprint, carla.Transform(place.location + carla.Location(z=1.0), place.rotation))
    scans: Any = queue.Queue()
    lidar.listen(scans.put)
    ahead = place.get_forward_vector()
    cars = [
        world.spawn_actor(library.find(kind), carla.Transform(place.location + way * ahead, place.rotation))
        for kind, way in zip(kinds, (-9.0, 9.0), strict=True)
    ]
    ticks(world, 15)
    frame = world.tick()
    scan = next(scan for scan in iter(lambda: scans.get(timeout=120.0), None) if scan.frame == frame)
    kind = np.dtype([("xyz", "<f4", 3), ("cosine", "<f4"), ("id", "<u4"), ("tag", "<u4")])
    points = np.frombuffer(scan.raw_data, kind)
    for car in cars:
        own = points["xyz"][points["id"] == car.id]
        assert len(own) > 50
        own = np.c_[own, np.ones(len(own))] @ np.array(scan.transform.get_matrix()).T
        own = (own @ np.array(car.get_transform().get_inverse_matrix()).T)[:, :3]
        corners = np.array([[v.x, v.y, v.z] for v in car.bounding_box.get_local_vertices()])
        assert (own > corners.min(0) - 1e-3).all()
        assert (own < corners.max(0) + 1e-3).all()


def test_a_sensor_looks_through_the_vehicles_that_it_ignores(world: Any) -> None:
    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    car = world.spawn_actor(library.find(EGO), place)
    eye = carla.Transform(place.location - 8.0 * place.get_forward_vector() + carla.Location(z=1.0), place.rotation)
    camera = library.find("sensor.camera.instance_segmentation")
    camera.set_attribute("image_size_x", "160")
    camera.set_attribute("image_size_y", "90")
    eyes = [world.spawn_actor(camera, eye) for _ in range(2)]
    lidar = world.spawn_actor(library.find("sensor.lidar.ray_cast_semantic"), eye)
    pictures: list[Any] = [queue.Queue() for _ in range(3)]
    for sensor, heard in zip((*eyes, lidar), pictures, strict=True):
        sensor.listen(heard.put)

    def seen() -> list[bool]:
        """Whether the car is there, for each of the three sensors."""
        world.tick()
        first, second, scan = (heard.get(timeout=120.0) for heard in pictures)
        found = [14 in np.frombuffer(image.raw_data, np.uint8).reshape(-1, 4)[:, 2] for image in (first, second)]
        return [*found, any(point.object_idx == car.id for point in scan)]

    assert seen() == [True, True, True]
    eyes[0].set_ignored_vehicles([car.id])
    lidar.set_ignored_vehicles([car.id])
    assert seen() == [False, True, False]
    eyes[0].set_ignored_vehicles([])
    assert seen() == [True, True, False]
    with pytest.raises(RuntimeError, match="is no vehicle"):
        eyes[0].set_ignored_vehicles([lidar.id])
    gone = world.spawn_actor(library.find(EGO), world.get_map().get_spawn_points()[1])
    gone.destroy()
    eyes[0].set_ignored_vehicles([gone.id, car.id])
    assert seen() == [False, True, False]


@pytest.mark.parametrize("kind", ["other.gnss", "other.imu", "other.collision", "other.lane_invasion"])
def test_what_sees_nothing_cannot_ignore_vehicles(world: Any, server: ServerProcess, kind: str) -> None:
    """Asked by hand, because the client's lane invasion sensor has no such method."""
    library = world.get_blueprint_library()
    car = world.spawn_actor(library.find(EGO), world.get_map().get_spawn_points()[0])
    sensor = world.spawn_actor(library.find(f"sensor.{kind}"), carla.Transform(), attach_to=car)
    with RawClient(server.port) as raw, pytest.raises(RuntimeError, match="sees no vehicles"):
        raw.call("set_ignored_vehicles", sensor.id, [car.id])


@pytest.mark.parametrize(
    "kind", ["camera.rgb", "camera.depth", "camera.dvs", "lidar.ray_cast", "other.radar", "other.obstacle"]
)
def test_what_sees_can_ignore_vehicles(world: Any, kind: str) -> None:
    library = world.get_blueprint_library()
    car = world.spawn_actor(library.find(EGO), world.get_map().get_spawn_points()[0])
    world.spawn_actor(library.find(f"sensor.{kind}"), carla.Transform(), attach_to=car).set_ignored_vehicles([car.id])


def test_gbuffers_are_refused_with_the_reason(world: Any) -> None:
    camera = world.spawn_actor(world.get_blueprint_library().find("sensor.camera.rgb"), carla.Transform())
    with pytest.raises(RuntimeError, match="no deferred renderer"):
        camera.enable_gbuffers(True)


def test_props_stand_where_they_are_put(world: Any) -> None:
    """CARLA's test_sync_mode.py wants the very place, in the air too; physics is off until it is switched on."""
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    machine = world.spawn_actor(library.find("static.prop.vendingmachine"), points[0])
    world.tick()
    for x, y, z in ((3, 270, 120), (151, 8, 0), (20, 40, 299)):
        machine.set_transform(carla.Transform(carla.Location(x, y, z)))
        world.tick()
        there = machine.get_transform().location
        assert (there.x, there.y, there.z) == (x, y, z)
    machine.add_impulse(carla.Vector3D(x=1e4))
    machine.add_force(carla.Vector3D(x=1e6))
    ticks(world, 3)
    assert machine.get_velocity().length() == 0.0
    assert machine.get_transform().location.z == 299
    machine.set_simulate_physics(True)
    ticks(world, 20)
    assert machine.get_transform().location.z == pytest.approx(299 - 0.5 * 9.81, abs=0.5)
    assert machine.get_velocity().x == 0.0


def test_a_car_meets_a_prop_that_stands(world: Any) -> None:
    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[0]
    ground = place.location - carla.Location(z=place.location.z)
    machine = world.spawn_actor(
        library.find("static.prop.vendingmachine"), carla.Transform(ground + 12.0 * place.get_forward_vector())
    )
    car = world.spawn_actor(library.find(EGO), place)
    ticks(world, 12)
    before, events = machine.get_location(), []
    bump = world.spawn_actor(library.find("sensor.other.collision"), carla.Transform(), attach_to=car)
    bump.listen(events.append)
    car.set_target_velocity(8.0 * place.get_forward_vector())
    ticks(world, 40)
    assert [event.other_actor.id for event in events][:1] == [machine.id]
    assert machine.get_location() == before
    assert car.get_location().distance(place.location) < 12.0


def test_the_preset_default_is_the_weather_of_the_map(world: Any) -> None:
    camera = world.get_blueprint_library().find("sensor.camera.rgb")
    camera.set_attribute("image_size_x", "160")
    camera.set_attribute("image_size_y", "90")
    eye = world.spawn_actor(camera, world.get_map().get_spawn_points()[0])
    pictures: Any = queue.Queue()
    eye.listen(pictures.put)
    light = []
    usual = carla.WeatherParameters(
        cloudiness=5.0, wind_intensity=10.0, sun_azimuth_angle=-1.0, sun_altitude_angle=45.0, fog_density=2.0,
        fog_distance=0.75, fog_falloff=0.1, scattering_intensity=1.0, mie_scattering_scale=0.03,
    )  # fmt: skip
    for weather in (usual, carla.WeatherParameters.ClearNight, carla.WeatherParameters.Default):
        world.set_weather(weather)
        world.tick()
        light.append(np.frombuffer(pictures.get(timeout=120.0).raw_data, np.uint8).mean())
    assert world.get_weather() == carla.WeatherParameters.Default
    assert light[2] == pytest.approx(light[0], abs=2.0)
    assert light[1] < 0.8 * light[0]


def test_no_weather_stops_a_camera(world: Any) -> None:
    """What cannot be acts as the nearest that can be, and is told as it was set."""
    camera = world.get_blueprint_library().find("sensor.camera.rgb")
    camera.set_attribute("image_size_x", "64")
    camera.set_attribute("image_size_y", "36")
    eye = world.spawn_actor(camera, world.get_map().get_spawn_points()[0])
    pictures: Any = queue.Queue()
    eye.listen(pictures.put)
    names = [name for name in dir(carla.WeatherParameters) if name.islower() and not name.startswith("_")]
    for value in (-100.0, 1e9):
        for name in names:
            weather = carla.WeatherParameters.ClearNoon
            wild = carla.WeatherParameters(**{each: getattr(weather, each) for each in names} | {name: value})
            world.set_weather(wild)
            frame = world.tick()
            assert pictures.get(timeout=120.0).frame == frame
            assert getattr(world.get_weather(), name) == pytest.approx(value)


def test_who_leaves_the_world_is_gone_and_the_server_stays(world: Any) -> None:
    """An engine with negative power throws a car out of all bounds."""
    library, points = world.get_blueprint_library(), world.get_map().get_spawn_points()
    car = world.spawn_actor(library.find(EGO), points[0])
    eye = world.spawn_actor(library.find("sensor.other.imu"), carla.Transform(), attach_to=car)
    eye.listen(lambda data: None)
    ticks(world, 5)
    car.set_simulate_physics(False)
    car.set_location(carla.Location(x=9.9e6))
    world.tick()
    assert car.id in {actor.id for actor in world.get_actors()}
    car.set_simulate_physics(True)
    car.set_target_velocity(carla.Vector3D(x=9e6))
    ticks(world, 3)
    present = {actor.id for actor in world.get_actors()}
    assert car.id not in present
    assert eye.id in present
