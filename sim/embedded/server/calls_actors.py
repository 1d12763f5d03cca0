"""Calls about actors of any kind: spawning, destroying, moving, pushing."""

from __future__ import annotations

from math import radians
from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.blueprints import MESH
from roadcraft.sim.embedded.server.calls import Result, Status, call
from roadcraft.sim.embedded.server.sensors import looks
from roadcraft.sim.embedded.server.wire import Pose, Vector, box_wire, flag, pose, text, u8, u32, vector
from roadcraft.sim.errors import UserError

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

VALUE, VOID = Result.VALUE, Result.VOID
BODIES = (Category.VEHICLE, Category.WALKER, Category.PROP)

attribute = wire.fields(text, u8, text)
description = wire.fields(u32, text, wire.listed(attribute, 256))
Description = tuple[int, str, list[Any]]


# ---------------------------------------------------------------------------------------------- coming and going
def spawn(server: Server, what: Description, where: Pose, parent: int = 0, attachment: int = 0) -> Actor:
    """A new actor, with its sensor where it is one. Raises UserError, and then there is no new actor."""
    actor = server.live.spawn(what[1], what[2], where, parent, attachment)
    try:
        server.sensors.equip(actor)
    except UserError:
        server.live.destroy(actor.id)
        raise
    if actor.type_id == MESH:
        path = actor.attributes["mesh_path"]
        server.note(f"{MESH}: this server has no Unreal meshes; the actor of '{path:.200}' is neither seen nor met")
    server.hurry()
    return actor


@call(
    "spawn_actor", VALUE, description, pose,
    note="in asynchronous mode without a fixed step a tick follows at once, so that its snapshot is there before the "
    "client's next answer",
)  # fmt: skip
def spawn_actor(server: Server, what: Description, where: Pose) -> list[Any]:
    return spawn(server, what, where).wire(server.port + 1)


@call(
    "spawn_actor_with_parent", VALUE, description, pose, u32, wire.anything, wire.anything,
    note="tied props ride along and touch nothing; tied vehicles and walkers do while their physics is off",
)  # fmt: skip
def spawn_actor_with_parent(
    server: Server, what: Description, where: Pose, parent: int, attachment: Any, socket_name: Any
) -> list[Any]:
    # The attachment of a command may be uninitialised memory, so any value is taken; unknown ones are rigid.
    return spawn(server, what, where, parent, attachment).wire(server.port + 1)


@call("destroy_actor", VALUE, u32, note="what was attached to it stays where it is, as in CARLA; props are met again")
def destroy_actor(server: Server, number: int) -> bool:
    server.sensors.forget(server.live.destroy(number))
    return True


@call("get_actors_by_id", VALUE, wire.listed(u32))
def actors_by_id(server: Server, numbers: list[int]) -> list[Any]:
    known = server.live.actors.by_id
    return [known[number].wire(server.port + 1) for number in numbers if number in known]


@call("get_spectator", VALUE)
def spectator(server: Server) -> list[Any]:
    return server.live.spectator.wire(server.port + 1)


@call(
    "get_actor_bounding_box",
    VALUE,
    u32,
    note="of vehicles, walkers and props also when they are gone, of the last 256 such: the TrafficManager may ask a "
    "moment late, and an error would end its process",
)
def bounding_box(server: Server, number: int) -> list[Any]:
    actor = server.live.actors.seen(number)
    return box_wire(actor.centre, actor.extent, actor.id)


# ------------------------------------------------------------------------------------------------------- placing
@call("set_actor_transform", VOID, u32, pose)
def set_transform(server: Server, number: int, where: Pose) -> None:
    server.live.place(server.live.actors.get(number), where)


@call("set_actor_location", VOID, u32, vector)
def set_location(server: Server, number: int, where: Vector) -> None:
    actor = server.live.actors.get(number)
    server.live.place(actor, Pose(*where, *server.live.pose_of(actor)[3:]))


@call("set_actor_target_velocity", VOID, u32, vector)
def set_velocity(server: Server, number: int, velocity: Vector) -> None:
    server.live.simulation.set_velocity(server.live.actors.get(number, *BODIES).id, velocity)


@call("set_actor_target_angular_velocity", VOID, u32, wire.axial, status=Status.PARTLY, note="about the vertical axis")
def set_angular_velocity(server: Server, number: int, degrees_s: Vector) -> None:
    server.live.simulation.set_yaw_rate(server.live.actors.get(number, *BODIES).id, radians(degrees_s[2]))


@call("enable_actor_constant_velocity", VOID, u32, vector, note="in the actor's own frame, as in CARLA")
def enable_constant_velocity(server: Server, number: int, velocity: Vector) -> None:
    server.live.simulation.set_constant_velocity(
        server.live.actors.get(number, Category.VEHICLE, Category.WALKER).id, velocity
    )


@call("disable_actor_constant_velocity", VOID, u32)
def disable_constant_velocity(server: Server, number: int) -> None:
    server.live.simulation.set_constant_velocity(
        server.live.actors.get(number, Category.VEHICLE, Category.WALKER).id, None
    )


# -------------------------------------------------------------------------------------------------------- pushing
@call("add_actor_impulse", VOID, u32, vector)
def add_impulse(server: Server, number: int, impulse: Vector) -> None:
    server.live.simulation.add_impulse(server.live.actors.get(number, *BODIES).id, impulse)


@call("add_actor_impulse_at_location", VOID, u32, vector, vector)
def add_impulse_at(server: Server, number: int, impulse: Vector, where: Vector) -> None:
    server.live.simulation.add_impulse(server.live.actors.get(number, *BODIES).id, impulse, where)


@call("add_actor_force", VOID, u32, vector, note="acts during the next tick")
def add_force(server: Server, number: int, force: Vector) -> None:
    server.live.simulation.add_force(server.live.actors.get(number, *BODIES).id, force)


@call("add_actor_force_at_location", VOID, u32, vector, vector)
def add_force_at(server: Server, number: int, force: Vector, where: Vector) -> None:
    server.live.simulation.add_force(server.live.actors.get(number, *BODIES).id, force, where)


@call("add_actor_angular_impulse", VOID, u32, wire.axial, status=Status.PARTLY, note="about the vertical axis")
def add_angular_impulse(server: Server, number: int, impulse: Vector) -> None:
    server.live.simulation.add_angular_impulse(server.live.actors.get(number, *BODIES).id, impulse[2])


@call(
    "add_actor_torque", VOID, u32, wire.axial, status=Status.PARTLY,
    note="about the vertical axis; sent by `command.ApplyTorque` alone, for the client's `add_torque` calls "
    "add_actor_angular_impulse: what it is given acts at once, as N m s",
)  # fmt: skip
def add_torque(server: Server, number: int, torque: Vector) -> None:
    server.live.simulation.add_torque(server.live.actors.get(number, *BODIES).id, torque[2])


# ------------------------------------------------------------------------------------------------------- switches
@call(
    "set_actor_simulate_physics", VOID, u32, flag,
    note="of bodies that are gone, of the last 256, without effect: the TrafficManager may ask a moment late, and an "
    "error would end its process",
)  # fmt: skip
def simulate_physics(server: Server, number: int, on: bool) -> None:
    if server.live.actors.seen(number).is_body and number in server.live.actors.by_id:
        server.live.simulation.set_physics(number, on)


@call("set_actor_collisions", VOID, u32, flag)
def collisions(server: Server, number: int, on: bool) -> None:
    actor = server.live.actors.get(number)
    if actor.is_body:
        server.live.set_collides(actor, on)


@call("set_actor_enable_gravity", VOID, u32, flag)
def enable_gravity(server: Server, number: int, on: bool) -> None:
    actor = server.live.actors.get(number)
    if actor.is_body:
        server.live.simulation.set_gravity(number, on)


@call("set_actor_dead", VOID, u32, note="a walker falls, lies and is gone after 10 s, as in CARLA")
def set_dead(server: Server, number: int) -> None:
    server.live.let_die(server.live.actors.get(number, Category.WALKER))


@call(
    "set_ignored_vehicles", VOID, u32, wire.listed(u32),
    note="of cameras, lidars, radars and obstacle sensors; refused for others; vehicles that are gone are skipped",
)  # fmt: skip
def ignore_vehicles(server: Server, number: int, vehicles: list[int]) -> None:
    """A sensor looks through these vehicles from now on, and through no others."""
    actors = server.live.actors
    sensor = actors.get(number, Category.SENSOR)
    if not looks(sensor):
        raise UserError(f"actor {number} ({sensor.type_id}) sees no vehicles, so it cannot ignore any")
    there = sorted({each for each in vehicles if each in actors.by_id})
    sensor.ignored = tuple(actors.get(each, Category.VEHICLE).id for each in there)


@call("set_actor_autopilot", VOID, u32, flag, note="the client's TrafficManager drives: the server has nothing to do")
def autopilot(server: Server, number: int, on: bool) -> None:
    server.live.actors.get(number, Category.VEHICLE)
