"""Props and bodiless actors through the real client: all of CARLA's are there, seen, met and carried."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import pytest

from roadcraft.sim.embedded.catalogue import PROPS, find
from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.process import ServerProcess
from roadcraft.sim.embedded.server.wire import Pose
from roadcraft.sim.embedded.town import load_town

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
EGO = "vehicle.lincoln.mkz_2020"
DYNAMIC = 21  # CARLA's tag


def place(world: Any, ahead: float = 0.0) -> Any:
    """The first spawn point, or some metres ahead of it."""
    point = world.get_map().get_spawn_points()[0]
    point.location += ahead * point.get_forward_vector()
    return point


def test_the_table_is_carlas() -> None:
    """Known answers of a CARLA 0.9.16 server, and its words for sizes."""
    assert len(PROPS) == 95
    assert {prop.size for prop in PROPS} == {"tiny", "small", "medium", "big"}
    for name, size, extent in (
        ("bike helmet", "tiny", (0.093, 0.139, 0.086)),
        ("foodcart", "big", (1.142, 2.319, 1.787)),
        ("trafficcone01", "small", (0.441, 0.441, 0.567)),
    ):
        prop = find(f"static.prop.{name}")
        assert prop.size == size
        assert prop.extent == pytest.approx(extent, abs=1e-3)


def test_every_prop_can_be_spawned(client: Any, world: Any) -> None:
    """All of the library in one batch, above each other, as CARLA's own smoke test does it."""
    blueprints = world.get_blueprint_library().filter("static.prop.*")
    assert {blueprint.id for blueprint in blueprints} == {*(prop.id for prop in PROPS), "static.prop.mesh"}
    batch = []
    for k, blueprint in enumerate(blueprints):
        where = place(world)
        where.location.z += 20.0 * k
        batch.append(carla.command.SpawnActor(blueprint, where))
    answers = client.apply_batch_sync(batch, False)
    assert not [answer.error for answer in answers if answer.error]
    world.tick()
    actors = world.get_actors([answer.actor_id for answer in answers])
    for actor in actors:
        if actor.type_id != "static.prop.mesh":
            box = actor.bounding_box.extent
            assert (box.x, box.y, box.z) == pytest.approx(find(actor.type_id).extent, abs=1e-4)
            assert actor.attributes["size"] == find(actor.type_id).size
            assert actor.attributes["role_name"] == "prop"


def test_a_prop_is_seen_and_met(world: Any) -> None:
    library = world.get_blueprint_library()
    car = world.spawn_actor(library.find(EGO), place(world))
    machine = world.spawn_actor(library.find("static.prop.atm"), place(world, 12.0))
    blueprint = library.find("sensor.camera.semantic_segmentation")
    for key, value in {"image_size_x": 128, "image_size_y": 128}.items():
        blueprint.set_attribute(key, str(value))
    camera = world.spawn_actor(blueprint, carla.Transform(carla.Location(x=1.5, z=1.6)), attach_to=car)
    collisions = world.spawn_actor(library.find("sensor.other.collision"), carla.Transform(), attach_to=car)
    images: queue.Queue[Any] = queue.Queue()
    hits: queue.Queue[Any] = queue.Queue()
    camera.listen(images.put)
    collisions.listen(hits.put)
    world.tick()
    tags = np.frombuffer(images.get(timeout=60.0).raw_data, np.uint8).reshape(128, 128, 4)[..., 2]
    assert (tags == DYNAMIC).sum() > 40
    camera.stop()
    car.set_target_velocity(12.0 * place(world).get_forward_vector())
    for _ in range(30):
        world.tick()
    assert hits.get(timeout=5.0).other_actor.id == machine.id
    collisions.stop()


def test_an_unreal_mesh_has_no_body_and_the_server_says_so(world: Any, server: ServerProcess) -> None:
    blueprint = world.get_blueprint_library().find("static.prop.mesh")
    chosen = {"mesh_path": "/Game/Carla/Static/SM_Thing.SM_Thing", "mass": "10", "scale": "0.9"}
    for key, value in chosen.items():
        blueprint.set_attribute(key, value)
    mesh = world.spawn_actor(blueprint, place(world))
    car = world.spawn_actor(world.get_blueprint_library().find(EGO), place(world))  # nothing is in its way
    world.tick()
    assert {key: mesh.attributes[key] for key in chosen} == chosen
    assert mesh.bounding_box.extent.x == 0.0
    assert mesh.get_location().distance(place(world).location) < 0.01
    assert mesh.is_alive
    assert car.is_alive
    assert "no Unreal meshes; the actor of '/Game/Carla/Static/SM_Thing.SM_Thing'" in server.tail()


def test_an_empty_actor_carries_sensors(world: Any) -> None:
    """A sensor on an empty actor on a car is where both poses, one after the other, put it."""
    library = world.get_blueprint_library()
    car = world.spawn_actor(library.find(EGO), place(world))
    axle = carla.Transform(carla.Location(x=-1.4, z=0.3), carla.Rotation(yaw=90.0))
    base = world.spawn_actor(library.find("util.actor.empty"), axle, attach_to=car)
    up = carla.Transform(carla.Location(x=0.5, z=1.5))
    sensor = world.spawn_actor(library.find("sensor.other.imu"), up, attach_to=base)
    world.tick()
    car.apply_control(carla.VehicleControl(throttle=0.8, steer=0.3))
    for _ in range(20):
        world.tick()
    assert (base.parent.id, sensor.parent.id) == (car.id, base.id)
    wanted = (np.array(t.get_matrix()) for t in (car.get_transform(), axle, up))
    assert np.array(sensor.get_transform().get_matrix()) == pytest.approx(np.linalg.multi_dot(list(wanted)), abs=1e-3)
    assert base.bounding_box.extent.x == 0.0
    car.destroy()
    world.tick()
    assert {car.id, base.id, sensor.id} & {actor.id for actor in world.get_actors()} == {base.id, sensor.id}


@pytest.mark.parametrize("between", [False, True], ids=["on the car", "on an empty actor on the car"])
@pytest.mark.parametrize("told", [None, False, True])
def test_what_a_vanished_car_carried_is_in_the_way(told: bool | None, between: bool) -> None:
    """A prop that rode along is met once its car is gone, unless a client has switched its collisions off."""
    live = LiveWorld(load_town("grid"), "grid")
    x, y, yaw = live.told_spawns[0].tolist()
    ahead = Pose(x + 12.0 * np.cos(yaw), y + 12.0 * np.sin(yaw), 0.0, yaw)
    carrier = live.spawn(EGO, [], ahead)
    holder = live.spawn("util.actor.empty", [], Pose(), parent=carrier.id) if between else carrier
    machine = live.spawn("static.prop.atm", [], Pose(x=-4.0), parent=holder.id)
    if told is not None:
        live.set_collides(machine, told)
    live.step(0.05)
    live.destroy(carrier.id)
    car = live.spawn(EGO, [], Pose(x, y, 0.0, yaw))
    live.simulation.set_velocity(car.id, (12.0 * np.cos(yaw), 12.0 * np.sin(yaw)))
    met = set()
    for _ in range(30):
        live.step(0.05)
        met |= {machine.id} & {*live.contacts["a"].tolist(), *live.contacts["b"].tolist()}
    assert bool(met) is (told is not False)
