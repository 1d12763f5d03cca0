"""Every command of a batch does what its call does, as the real client sends it."""

from __future__ import annotations

from typing import Any

import pytest
from test_server import spawn, ticks, xyz

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
command = carla.command


@pytest.fixture
def send(client: Any, world: Any) -> Any:
    """Sends commands, asserts that all were taken, and ticks."""

    def now(*commands: Any) -> None:
        answers = client.apply_batch_sync(list(commands))
        assert [answer.error for answer in answers] == [""] * len(commands)
        world.tick()

    return now


def test_places_and_speeds(world: Any, send: Any) -> None:
    car = spawn(world)
    ticks(world, 20)
    place = world.get_map().get_spawn_points()[3]
    send(command.ApplyTransform(car, place))
    assert car.get_location().distance_2d(place.location) < 0.1
    send(command.ApplyTargetVelocity(car, carla.Vector3D(x=3.0)))
    assert car.get_velocity().length() == pytest.approx(3.0, abs=0.3)
    send(command.SetSimulatePhysics(car, False), command.ApplyTransform(car, carla.Transform(carla.Location(z=9.0))))
    ticks(world, 5)
    assert xyz(car.get_location()) == pytest.approx([0.0, 0.0, 9.0], abs=1e-4), "without physics it hangs there"
    send(command.SetSimulatePhysics(car, True), command.SetEnableGravity(car, False))
    assert car.get_location().z == pytest.approx(9.0, abs=1e-3), "without gravity too"
    send(command.SetEnableGravity(car, True))
    assert car.get_velocity().z < -0.4


def test_pushes(world: Any, send: Any) -> None:
    car = spawn(world)
    car.set_enable_gravity(False)
    car.set_location(car.get_location() + carla.Location(z=5.0))
    world.tick()
    mass = car.get_physics_control().mass
    send(command.ApplyImpulse(car, carla.Vector3D(y=0.2 * mass)))
    assert car.get_velocity().y == pytest.approx(0.2, abs=5e-3)
    send(command.ApplyForce(car, carla.Vector3D(y=4.0 * mass)))
    assert car.get_velocity().y == pytest.approx(0.4, abs=5e-3)
    send(command.ApplyTargetAngularVelocity(car, carla.Vector3D(z=30.0)))
    assert car.get_angular_velocity().z == pytest.approx(30.0, rel=0.02)
    before = car.get_angular_velocity().z
    send(command.ApplyAngularImpulse(car, carla.Vector3D(z=500.0)))
    assert car.get_angular_velocity().z > before + 1.0
    before = car.get_angular_velocity().z
    send(command.ApplyTorque(car, carla.Vector3D(z=-10_000.0)))
    assert car.get_angular_velocity().z < before - 1.0


def test_driving(world: Any, send: Any) -> None:
    car = spawn(world)
    send(command.ApplyVehicleControl(car, carla.VehicleControl(throttle=0.7, steer=-0.1)))
    assert car.get_control().throttle == pytest.approx(0.7)
    assert car.get_control().steer == pytest.approx(-0.1)
    ticks(world, 40)
    assert car.get_velocity().length() > 2.0
    send(command.ApplyVehicleAckermannControl(car, carla.VehicleAckermannControl(speed=6.0, acceleration=3.0)))
    ticks(world, 100)
    assert car.get_velocity().length() == pytest.approx(6.0, abs=0.3)
    physics = car.get_physics_control()
    physics.mass = 3210.0
    send(command.ApplyVehiclePhysicsControl(car, physics))
    assert car.get_physics_control().mass == 3210.0
    send(command.SetVehicleLightState(car, carla.VehicleLightState.Fog))
    assert car.get_light_state() == carla.VehicleLightState.Position, "the client's command takes a truth value"


def test_walking(world: Any, send: Any) -> None:
    blueprint = world.get_blueprint_library().find("walker.pedestrian.0003")
    world.set_pedestrians_seed(1)  # not at a wall, as chance would have it now and then
    place = world.get_random_location_from_navigation()
    someone = world.spawn_actor(blueprint, carla.Transform(place + carla.Location(z=1.0)))
    ticks(world, 10)
    send(command.ApplyWalkerControl(someone, carla.WalkerControl(carla.Vector3D(x=1.0), 1.2)))
    ticks(world, 20)
    assert someone.get_velocity().x == pytest.approx(1.2, abs=0.05)
    ahead = someone.get_transform()
    ahead.location.y += 0.05
    ahead.rotation.yaw = 90.0
    send(command.ApplyWalkerState(someone, ahead, 1.0))
    assert someone.get_location().distance_2d(ahead.location) < 0.1
    assert someone.get_velocity().y == pytest.approx(1.0, abs=0.05)
    send(command.DestroyActor(someone))
    assert someone.id not in {actor.id for actor in world.get_actors()}


def test_a_chain_is_for_the_new_actor(client: Any, world: Any) -> None:
    """The commands after a spawn are about what it spawned; a parent may be given; one that fails fails alone."""
    library, place = world.get_blueprint_library(), world.get_map().get_spawn_points()[2]
    order = (
        command.SpawnActor(library.find("vehicle.audi.tt"), place)
        .then(command.ApplyTargetVelocity(command.FutureActor, 5.0 * place.get_forward_vector()))
        .then(command.SetVehicleLightState(command.FutureActor, carla.VehicleLightState.Position))
    )
    made, again = client.apply_batch_sync([order, command.SpawnActor(library.find("vehicle.audi.tt"), place)])
    assert "collision at spawn position" in again.error
    world.tick()
    car = world.get_actor(made.actor_id)
    assert car.get_velocity().length() == pytest.approx(5.0, abs=0.3)
    assert car.get_light_state() == carla.VehicleLightState.Position
    (eye,) = client.apply_batch_sync([command.SpawnActor(library.find("sensor.other.imu"), carla.Transform(), car)])
    world.tick()
    assert world.get_actor(eye.actor_id).parent.id == car.id
    (orphan,) = client.apply_batch_sync(
        [command.SpawnActor(library.find("sensor.other.imu"), carla.Transform(), 987654)]
    )
    assert "987654 not found" in orphan.error


def test_a_spawn_answers_with_its_actor_whatever_follows(client: Any, world: Any) -> None:
    """As in CARLA: an id that nobody is told could not be destroyed."""
    blueprint = world.get_blueprint_library().filter("walker.*")[0]
    wrong = command.ApplyVehicleControl(command.FutureActor, carla.VehicleControl())
    right = command.ApplyWalkerControl(command.FutureActor, carla.WalkerControl(carla.Vector3D(x=1.0), 2.0))
    place = world.get_map().get_spawn_points()[7]
    (answer,) = client.apply_batch_sync([command.SpawnActor(blueprint, place).then(wrong).then(right)])
    assert not answer.error
    ticks(world, 20)
    walker = world.get_actor(answer.actor_id)
    assert walker.get_velocity().x == pytest.approx(2.0, abs=0.1), "what follows is still done"
    assert walker.destroy()
