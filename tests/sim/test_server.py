"""The embedded server through the real CARLA client: worlds, actors, time, traffic lights, weather."""

from __future__ import annotations

import math
import queue
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.catalogue import CATALOGUE, find
from roadcraft.sim.embedded.server.spawn_points import told_spawns
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.messages import Weather
from roadcraft.sim.roads import SignalKind

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
EGO = "vehicle.lincoln.mkz_2020"


def spawn(world: Any, name: str = EGO, at: int = 0, ahead: float = 0.0, **attributes: str) -> Any:
    """A vehicle at a spawn point, or some metres ahead of it."""
    blueprint = world.get_blueprint_library().find(name)
    for key, value in attributes.items():
        blueprint.set_attribute(key, value)
    place = world.get_map().get_spawn_points()[at]
    place.location += ahead * place.get_forward_vector()
    return world.spawn_actor(blueprint, place)


def ticks(world: Any, count: int) -> None:
    for _ in range(count):
        world.tick()


def xyz(vector: Any) -> np.ndarray:
    return np.array([vector.x, vector.y, vector.z])


def test_handshake_and_map(client: Any, world: Any) -> None:
    town = load_town("grid")
    assert client.get_server_version() == client.get_client_version()
    assert world.get_map().name == "Carla/Maps/grid"
    assert world.get_map().to_opendrive() == town.xodr
    points = world.get_map().get_spawn_points()
    for point, (x, y, yaw) in zip(points, told_spawns(town), strict=True):
        assert xyz(point.location)[:2] == pytest.approx([x, -y], abs=1e-3)
        heading = point.get_forward_vector()
        assert [heading.x, heading.y] == pytest.approx([math.cos(yaw), -math.sin(yaw)], abs=1e-4)
        # The client's own map, from the same OpenDRIVE, sees a lane there that leads the same way.
        waypoint = world.get_map().get_waypoint(point.location)
        assert waypoint.transform.location.distance(point.location) < 1.0
        assert waypoint.transform.get_forward_vector().dot(heading) > 0.9


def test_the_library_has_the_catalogue_and_the_sensors(world: Any) -> None:
    library = world.get_blueprint_library()
    names = {blueprint.id for blueprint in library}
    assert {blueprint.id for blueprint in CATALOGUE} < names
    assert {"sensor.camera.rgb", "sensor.other.collision", "controller.ai.walker"} < names
    assert library.find("vehicle.yamaha.yzf").get_attribute("number_of_wheels").as_int() == 2
    assert library.find("sensor.camera.rgb").get_attribute("fov").as_float() == 90.0
    with pytest.raises(ValueError, match="read-only"):
        library.find(EGO).set_attribute("number_of_wheels", "3")


def test_synchronous_ticks_count_frames_and_time(world: Any) -> None:
    before = world.get_snapshot().timestamp
    frames = [world.tick() for _ in range(10)]
    after = world.get_snapshot().timestamp
    assert frames == list(range(before.frame + 1, before.frame + 11))
    assert after.elapsed_seconds - before.elapsed_seconds == pytest.approx(0.5)
    assert after.delta_seconds == pytest.approx(0.05)


def test_asynchronous_ticks_come_by_themselves(client: Any, world: Any) -> None:
    settings = world.get_settings()
    settings.synchronous_mode = False
    for delta in (0.1, 0.02):
        settings.fixed_delta_seconds = delta
        world.apply_settings(settings)
        first, second = world.wait_for_tick(), world.wait_for_tick()
        assert second.timestamp.delta_seconds == pytest.approx(delta)
        assert second.frame > first.frame


def test_spawn_and_destroy(world: Any) -> None:
    car = spawn(world)
    assert car.type_id == EGO
    assert xyz(car.bounding_box.extent) == pytest.approx(find(EGO).extent, abs=1e-4)
    with pytest.raises(RuntimeError, match="Spawn failed because of collision at spawn position"):
        spawn(world)
    world.tick()
    assert car.id in {actor.id for actor in world.get_actors()}
    place = world.get_map().get_spawn_points()[0]
    assert car.get_transform().location.distance_2d(place.location) < 0.01
    assert car.get_transform().rotation.yaw == pytest.approx(place.rotation.yaw, abs=0.01)
    assert car.destroy()
    world.tick()
    assert car.id not in {actor.id for actor in world.get_actors()}
    spawn(world)


def test_the_wire_changes_nothing(world: Any) -> None:
    """A car driven through the client goes exactly where the same calls drive it in this process."""
    car = spawn(world)
    twin = Simulation(load_town("grid"), seed=1)
    place = car.get_world().get_map().get_spawn_points()[0]
    yaw = -math.radians(place.rotation.yaw)
    number = twin.spawn(EGO, (place.location.x, -place.location.y, place.location.z), yaw)
    for k in range(60):
        throttle, steer, brake = (0.8, 0.1 * math.sin(k / 10), 0.0) if k < 50 else (0.0, 0.0, 0.7)
        car.apply_control(carla.VehicleControl(throttle=throttle, steer=-steer, brake=brake))
        twin.control_vehicle(number, throttle, steer, brake)
        world.tick()
        twin.step(0.05)
    body, told = twin.body(number), car.get_transform()
    assert xyz(told.location) == pytest.approx(body["xyz"] * [1, -1, 1], abs=2e-4)
    assert math.radians(told.rotation.yaw) == pytest.approx(-body["yaw"], abs=1e-5)
    assert xyz(car.get_velocity()) == pytest.approx(body["velocity"] * [1, -1, 1], abs=1e-4)
    assert car.get_control().brake == pytest.approx(0.7)


def test_positive_steer_turns_right(world: Any) -> None:
    car = spawn(world)
    world.tick()
    begin = car.get_transform()
    car.apply_control(carla.VehicleControl(throttle=0.5, steer=0.3))
    ticks(world, 30)
    offset = car.get_location() - begin.location
    assert offset.dot(begin.get_right_vector()) > 0.2
    assert car.get_angular_velocity().z > 1.0  # [degrees/s], clockwise from above
    assert car.get_wheel_steer_angle(carla.VehicleWheelLocation.FL_Wheel) > 1.0


def test_controls_without_stickiness_last_one_tick(world: Any) -> None:
    car = spawn(world, sticky_control="false")
    world.tick()
    car.apply_control(carla.VehicleControl(throttle=1.0))
    ticks(world, 2)
    assert car.get_control().throttle == 0.0


def test_snapshots_tell_all_actors_and_no_others(world: Any) -> None:
    cars = [spawn(world, at=k) for k in range(3)]
    frame = world.tick()
    snapshot = world.get_snapshot()
    assert snapshot.frame == frame
    assert {each.id for each in snapshot} == {each.id for each in world.get_actors()}
    assert all(snapshot.has_actor(car.id) for car in cars)
    assert not snapshot.has_actor(10_000_000)


def test_moving_and_pushing(world: Any) -> None:
    car = spawn(world)
    car.set_simulate_physics(False)
    target = carla.Transform(carla.Location(10.0, -20.0, 3.0), carla.Rotation(yaw=30.0, pitch=5.0, roll=-4.0))
    car.set_transform(target)
    world.tick()
    got = car.get_transform()
    assert xyz(got.location) == pytest.approx([10.0, -20.0, 3.0], abs=1e-4)
    assert [got.rotation.pitch, got.rotation.yaw, got.rotation.roll] == pytest.approx([5.0, 30.0, -4.0], abs=1e-3)
    car.set_simulate_physics(True)
    car.set_transform(world.get_map().get_spawn_points()[0])
    ticks(world, 20)
    forward = car.get_transform().get_forward_vector()
    car.set_target_velocity(8.0 * forward)
    world.tick()
    assert car.get_velocity().dot(forward) == pytest.approx(8.0, abs=0.5)
    car.add_impulse(car.get_physics_control().mass * 2.0 * forward)
    before = car.get_velocity().dot(forward)
    world.tick()
    assert car.get_velocity().dot(forward) - before == pytest.approx(2.0, abs=0.5)
    car.enable_constant_velocity(carla.Vector3D(5.0, 0.0, 0.0))
    ticks(world, 10)
    assert car.get_velocity().dot(forward) == pytest.approx(5.0, abs=0.05)


def floating(world: Any) -> Any:
    """A car that nothing holds: above the road, without gravity, and so slow that the air does not count."""
    car = spawn(world)
    car.set_enable_gravity(False)
    place = car.get_transform()
    place.location.z = 5.0
    car.set_transform(place)
    world.tick()
    return car


def test_a_force_acts_through_the_whole_of_a_long_tick(world: Any) -> None:
    """CARLA's vehicle_physics.py counts on it: a force of J / dt for one tick is an impulse J."""
    settings = world.get_settings()
    settings.fixed_delta_seconds = 0.2
    world.apply_settings(settings)
    car = floating(world)
    mass = car.get_physics_control().mass
    before = xyz(car.get_velocity())
    car.add_force(carla.Vector3D(y=2.0 * mass, z=5.0 * mass))
    world.tick()
    assert xyz(car.get_velocity()) - before == pytest.approx([0.0, 0.4, 1.0], abs=2e-3)
    world.tick()
    assert xyz(car.get_velocity()) - before == pytest.approx([0.0, 0.4, 1.0], abs=2e-3), "a force lasts one tick"


def test_forces_give_what_newton_says(world: Any) -> None:
    """F = m a for `get_acceleration`, `get_velocity` and the accelerometer; J = m dv for an impulse."""
    car = floating(world)
    mass = car.get_physics_control().mass
    imu = world.spawn_actor(world.get_blueprint_library().find("sensor.other.imu"), carla.Transform(), attach_to=car)
    felt: queue.Queue[Any] = queue.Queue()
    imu.listen(felt.put)
    for force in ([3.0, 0.0, 0.0], [0.0, -2.0, 0.0], [-1.0, 2.0, 4.0]):
        before = xyz(car.get_velocity())
        car.add_force(carla.Vector3D(*(mass * a for a in force)))
        world.tick()
        assert xyz(car.get_acceleration()) == pytest.approx(force, abs=0.02)
        assert xyz(car.get_velocity()) - before == pytest.approx(0.05 * np.array(force), abs=1e-3)
        turned = math.radians(car.get_transform().rotation.yaw)
        along = math.cos(turned) * force[0] + math.sin(turned) * force[1]
        accelerometer = felt.get(timeout=60.0).accelerometer
        assert [accelerometer.x, accelerometer.z] == pytest.approx([along, 9.81 + force[2]], abs=0.03)
        world.tick()
        felt.get(timeout=60.0)
        assert xyz(car.get_acceleration()) == pytest.approx([0.0, 0.0, 0.0], abs=0.05), "a force lasts one tick"
    before = xyz(car.get_velocity())
    car.add_impulse(carla.Vector3D(y=mass * 0.5))
    world.tick()
    assert xyz(car.get_velocity()) - before == pytest.approx([0.0, 0.5, 0.0], abs=2e-3)
    assert xyz(car.get_acceleration()) == pytest.approx([0.0, 0.5 / 0.05, 0.0], abs=0.05)
    car.set_target_velocity(carla.Vector3D())
    world.tick()
    assert car.get_velocity().length() < 1e-3


def test_a_falling_car_is_accelerated_by_gravity_and_feels_nothing(world: Any) -> None:
    car = floating(world)
    car.set_enable_gravity(True)
    imu = world.spawn_actor(world.get_blueprint_library().find("sensor.other.imu"), carla.Transform(), attach_to=car)
    felt: queue.Queue[Any] = queue.Queue()
    imu.listen(felt.put)
    world.tick()
    assert car.get_acceleration().z == pytest.approx(-9.81, abs=0.01)
    assert felt.get(timeout=60.0).accelerometer.z == pytest.approx(0.0, abs=0.01)
    ticks(world, 30)
    assert car.get_acceleration().z == 0.0


def test_torques_turn(client: Any, world: Any) -> None:
    """A torque for a tick is an angular impulse; both turn clockwise, seen from above, when positive."""
    car = floating(world)

    def turned_by(push: Any) -> float:
        car.set_target_angular_velocity(carla.Vector3D())
        world.tick()
        push()
        world.tick()
        return float(car.get_angular_velocity().z)  # [degrees/s]

    def torque_of(z: float) -> Any:
        return lambda: client.apply_batch_sync([carla.command.ApplyTorque(car.id, carla.Vector3D(z=z))])

    torque = 2000.0
    rate = turned_by(torque_of(torque))
    assert rate > 0.5
    assert turned_by(lambda: car.add_angular_impulse(carla.Vector3D(z=0.05 * torque))) == pytest.approx(rate, rel=0.01)
    assert turned_by(torque_of(-2 * torque)) == pytest.approx(-2 * rate, rel=0.01)


def test_a_sensor_that_hangs_on_nothing_goes_where_it_is_put(world: Any) -> None:
    eye = world.spawn_actor(world.get_blueprint_library().find("sensor.other.imu"), carla.Transform())
    for x in (3.0, 7.0):
        place = carla.Transform(carla.Location(x=x, y=2.0, z=4.0), carla.Rotation(pitch=-20.0, yaw=30.0))
        eye.set_transform(place)
        world.tick()
        assert eye.get_transform().location.distance(place.location) < 1e-3
        assert abs(eye.get_transform().rotation.yaw - 30.0) < 1e-3


def test_what_is_tied_to_a_car_goes_with_it(world: Any) -> None:
    """As in CARLA, a prop on a roof rides along, and is not in the car's way; a car without physics is towed."""
    car = spawn(world)
    library = world.get_blueprint_library()
    roof, behind = carla.Transform(carla.Location(x=-0.3, z=2.0)), carla.Transform(carla.Location(x=-8.0))
    box = world.spawn_actor(library.find("static.prop.box01"), roof, attach_to=car)
    trailer = world.spawn_actor(library.find("vehicle.audi.tt"), behind, attach_to=car)
    trailer.set_simulate_physics(False)
    world.tick()
    start = car.get_location()
    car.apply_control(carla.VehicleControl(throttle=1.0))
    ticks(world, 40)
    assert car.get_location().distance(start) > 3.0
    for tied, where in ((box, roof), (trailer, behind)):
        assert xyz(tied.get_location()) == pytest.approx(xyz(car.get_transform().transform(where.location)), abs=1e-2)
    assert box.parent.id == car.id
    box.set_location(car.get_location() + carla.Location(z=3.0))
    ticks(world, 10)
    assert box.get_location().z - car.get_location().z == pytest.approx(3.0, abs=1e-2)


def test_batches_answer_each_command(client: Any, world: Any) -> None:
    points = world.get_map().get_spawn_points()
    blueprint = world.get_blueprint_library().find(EGO)
    velocity = 4.0 * points[0].get_forward_vector()
    command = carla.command
    first = command.SpawnActor(blueprint, points[0]).then(command.ApplyTargetVelocity(command.FutureActor, velocity))
    answers = client.apply_batch_sync([first, command.SpawnActor(blueprint, points[0]), command.DestroyActor(999_999)])
    assert [bool(answer.error) for answer in answers] == [False, True, True]
    assert "collision at spawn position" in answers[1].error
    assert "999999" in answers[2].error
    world.tick()
    car = world.get_actor(answers[0].actor_id)
    assert car.get_velocity().length() == pytest.approx(4.0, abs=0.3)
    client.apply_batch_sync([
        command.ApplyVehicleControl(car, carla.VehicleControl(brake=1.0)),
        command.ApplyTransform(car, points[1]),
    ])  # fmt: skip
    world.tick()
    assert car.get_control().brake == 1.0
    assert car.get_location().distance_2d(points[1].location) < 0.5


def test_traffic_lights(world: Any) -> None:
    lights = list(world.get_actors().filter("traffic.traffic_light"))
    network = load_town("grid").network
    assert {light.get_opendrive_id() for light in lights} == set(
        network.signals["id"][network.signals["kind"] == SignalKind.LIGHT]
    )
    light = lights[0]
    group = light.get_group_traffic_lights()
    assert light.id in {other.id for other in group}
    assert len(group) > 1
    light.set_state(carla.TrafficLightState.Yellow)
    light.freeze(True)
    light.set_green_time(4.0)
    ticks(world, 100)
    assert light.state == carla.TrafficLightState.Yellow
    assert light.is_frozen()
    assert light.get_green_time() == 4.0
    light.freeze(False)
    world.reset_all_traffic_lights()
    seen = set()
    for _ in range(400):
        world.tick()
        seen.add(light.state)
        green = [other for other in group if other.state == carla.TrafficLightState.Green]
        assert len(green) < len(group), "everybody has green"
    assert seen == {carla.TrafficLightState.Red, carla.TrafficLightState.Yellow, carla.TrafficLightState.Green}


def test_a_light_tells_where_it_is_obeyed(world: Any) -> None:
    for light in world.get_actors().filter("traffic.traffic_light"):
        stops = light.get_stop_waypoints()
        assert stops
        volume = light.get_transform().transform(light.trigger_volume.location)
        assert min(volume.distance_2d(stop.transform.location) for stop in stops) < 15.0
        assert light.get_light_boxes()[0].extent.z > 0


def test_the_level_has_the_heads_of_its_lights(world: Any) -> None:
    """Not the road before them, which is their trigger volume."""
    lights = world.get_actors().filter("traffic.traffic_light")
    boxes = world.get_level_bbs(carla.CityObjectLabel.TrafficLight)
    heads = [light.get_light_boxes()[0] for light in lights]
    assert len(boxes) == len(heads) > 0
    for head in heads:
        assert head.location.z > 3.0
        assert any(box.location == head.location and box.extent == head.extent for box in boxes)


def test_a_vehicle_knows_its_light(world: Any) -> None:
    light = world.get_actors().filter("traffic.traffic_light")[0]
    stop = light.get_affected_lane_waypoints()[0]
    car = spawn(world, at=20)
    car.set_simulate_physics(False)
    place = stop.previous(6.0)[0].transform
    car.set_transform(place)
    light.set_state(carla.TrafficLightState.Red)
    light.freeze(True)
    world.tick()
    car.set_simulate_physics(True)
    world.tick()
    assert car.is_at_traffic_light()
    assert car.get_traffic_light().id == light.id
    assert car.get_traffic_light_state() == carla.TrafficLightState.Red
    assert car.get_speed_limit() > 10.0


def test_walkers_walk(world: Any) -> None:
    blueprint = world.get_blueprint_library().find("walker.pedestrian.0003")
    place = world.get_map().get_spawn_points()[3]
    place.location += carla.Location(z=1.0)
    walker = world.spawn_actor(blueprint, place)
    ticks(world, 20)
    begin = walker.get_location()
    assert begin.z == pytest.approx(walker.bounding_box.extent.z, abs=0.3)  # its origin is its middle
    walker.apply_control(carla.WalkerControl(carla.Vector3D(0.0, 1.0, 0.0), 1.5))
    ticks(world, 60)
    assert walker.get_velocity().y == pytest.approx(1.5, abs=0.05)
    assert walker.get_location().y - begin.y == pytest.approx(1.5 * 3.0, abs=0.6)
    assert walker.get_control().speed == pytest.approx(1.5)
    assert walker.get_transform().rotation.yaw == pytest.approx(90.0, abs=1.0)


def test_lamps_come_back_as_they_were_set(world: Any) -> None:
    car = spawn(world)
    car.set_light_state(carla.VehicleLightState.LowBeam)
    world.tick()
    assert car.get_light_state() == carla.VehicleLightState.LowBeam
    assert world.get_vehicles_light_states()[car.id] == carla.VehicleLightState.LowBeam


def test_weather_comes_back_as_it_was_set(world: Any) -> None:
    wanted = carla.WeatherParameters(*(float(k) for k in range(1, len(astuple(Weather())) + 1)))
    world.set_weather(wanted)
    world.tick()
    assert world.get_weather() == wanted


def test_a_collision_tells_both(world: Any) -> None:
    car, other = spawn(world, at=0), spawn(world, at=0, ahead=15.0)
    blueprint = world.get_blueprint_library().find("sensor.other.collision")
    sensors = [world.spawn_actor(blueprint, carla.Transform(), attach_to=actor) for actor in (car, other)]
    events: list[queue.Queue[Any]] = [queue.Queue(), queue.Queue()]
    for sensor, found in zip(sensors, events, strict=True):
        sensor.listen(found.put)
    forward = world.get_map().get_spawn_points()[0].get_forward_vector()
    car.set_target_velocity(12.0 * forward)
    ticks(world, 60)
    mine, theirs = (found.get(timeout=5.0) for found in events)
    for sensor in sensors:
        sensor.destroy()
    assert (mine.actor.id, mine.other_actor.id) == (car.id, other.id)
    assert (theirs.actor.id, theirs.other_actor.id) == (other.id, car.id)
    assert mine.frame == theirs.frame
    assert mine.normal_impulse.dot(forward) < -1000.0  # [N s], against the way it drove
    assert xyz(mine.normal_impulse) == pytest.approx(-xyz(theirs.normal_impulse), rel=1e-4, abs=1.0)


def test_the_server_drives_its_own(world: Any) -> None:
    car = spawn(world, at=5, server_autopilot="7")
    begin = (world.tick(), car.get_location())[1]
    ticks(world, 100)
    assert car.get_location().distance(begin) > 5.0


def test_physics_control_comes_back_as_it_was_set(world: Any) -> None:
    car = spawn(world)
    physics = car.get_physics_control()
    assert len(physics.wheels) == 4
    physics.mass, physics.drag_coefficient = 2500.0, 0.5
    wheels = physics.wheels
    for wheel in wheels:
        wheel.tire_friction = 1.25
    physics.wheels = wheels
    car.apply_physics_control(physics)
    world.tick()
    told = car.get_physics_control()
    assert told.mass == 2500.0
    assert told.drag_coefficient == 0.5
    assert [wheel.tire_friction for wheel in told.wheels] == [1.25] * 4
    assert [pair.x for pair in told.torque_curve] == [pair.x for pair in physics.torque_curve]
    car.apply_control(carla.VehicleControl(throttle=1.0))
    ticks(world, 40)
    telemetry = car.get_telemetry_data()
    assert telemetry.speed == pytest.approx(car.get_velocity().length(), rel=0.02)
    assert telemetry.engine_rpm > 500.0
    assert sum(wheel.tire_load for wheel in telemetry.wheels) == pytest.approx(2500.0 * 9.81, rel=0.02)


def test_what_cannot_be_is_refused_with_a_reason(client: Any, world: Any) -> None:
    with pytest.raises(RuntimeError, match="no texture for 'house'"):
        world.apply_color_texture_to_object("house", carla.MaterialParameter.Diffuse, carla.TextureColor(2, 2))
    with pytest.raises(RuntimeError, match=r"Town03\.xodr"):
        client.load_world("Town03")
    with pytest.raises(RuntimeError, match="'nowhere' not found"):
        client.load_world("nowhere")
    camera = world.get_blueprint_library().find("sensor.camera.rgb")
    camera.set_attribute("image_size_x", "1000000")
    with pytest.raises(RuntimeError, match="1000000"):
        world.spawn_actor(camera, carla.Transform())


def test_without_grip_or_weight_a_car_glides_on(world: Any) -> None:
    """As in CARLA: tyres without friction, and cars without gravity, neither slow down nor turn."""
    slippery = spawn(world)
    control = slippery.get_physics_control()
    wheels = control.wheels
    for wheel in wheels:
        wheel.tire_friction = 0.0
    control.wheels, control.drag_coefficient = wheels, 0.0
    floating = spawn(world, at=1)
    thin = floating.get_physics_control()
    thin.drag_coefficient = 0.0
    floating.set_enable_gravity(False)
    slippery.apply_physics_control(control)
    floating.apply_physics_control(thin)
    ticks(world, 12)
    speed = 15.0
    for car in (slippery, floating):
        car.set_target_velocity(speed * car.get_transform().get_forward_vector())
        car.apply_control(carla.VehicleControl(brake=1.0, steer=1.0))
    for _ in range(20):
        world.tick()
        for car in (slippery, floating):
            assert abs(car.get_velocity().length() - speed) < 1e-2
            assert abs(car.get_angular_velocity().z) < 0.5
