"""Calls about the named parts of an actor: components, bones, and sockets, which are its bones again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server.actors import Category
from roadcraft.sim.embedded.server.calls import Result, Status, call
from roadcraft.sim.embedded.server.parts import Bone, bones, component, components
from roadcraft.sim.embedded.server.wire import compose, relative, text, transform_wire, u32

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

VALUE = Result.VALUE
_COMPONENTS = (
    "of vehicles (mesh, bounds, front indicators where there are lamps), walkers (capsule, mesh) and props (mesh)"
)
_BONES = (
    "of walkers and vehicles (base and wheels, which steer and do not roll; named as in CARLA's tutorial for new "
    "vehicles, whose bikes have pedals and handlebars besides); other actors have none"
)
_SOCKETS = "an actor's bones, which are sockets in Unreal too; CARLA's models have more"


@call("get_actor_component_names", VALUE, u32, status=Status.PARTLY, note=f"{_COMPONENTS}; CARLA's models have more")
def component_names(server: Server, actor: int) -> list[str]:
    return list(components(server.live.actors.get(actor)))


@call("get_actor_component_world_transform", VALUE, u32, text, note="an unknown component is an error, as in CARLA")
def component_world_transform(server: Server, actor: int, name: str) -> list[Any]:
    found = server.live.actors.get(actor)
    return transform_wire(compose(server.live.pose_of(found), component(found, name)))


@call("get_actor_component_relative_transform", VALUE, u32, text, note="relative to the actor")
def component_relative_transform(server: Server, actor: int, name: str) -> list[Any]:
    return transform_wire(component(server.live.actors.get(actor), name))


def _bones(server: Server, actor: int) -> dict[str, Bone]:
    return bones(server.live, server.live.actors.get(actor))


def _names(server: Server, actor: int) -> list[str]:
    return list(_bones(server, actor))


def _world_transforms(server: Server, actor: int) -> list[Any]:
    return [transform_wire(bone.world) for bone in _bones(server, actor).values()]


def _in_the_mesh(server: Server, actor: int) -> list[Any]:
    return [transform_wire(bone.relative) for bone in _bones(server, actor).values()]


def _in_the_actor(server: Server, actor: int) -> list[Any]:
    origin = server.live.pose_of(server.live.actors.get(actor))
    return [transform_wire(relative(origin, bone.world)) for bone in _bones(server, actor).values()]


for _part, _status, _note, _relative in (
    ("bone", Status.DONE, _BONES, _in_the_mesh),
    ("socket", Status.PARTLY, _SOCKETS, _in_the_actor),
):
    call(f"get_actor_{_part}_names", VALUE, u32, status=_status, note=_note)(_names)
    call(f"get_actor_{_part}_world_transforms", VALUE, u32, status=_status, note=_note)(_world_transforms)
    call(f"get_actor_{_part}_relative_transforms", VALUE, u32, status=_status, note=_note)(_relative)


@call("get_vehicle_bone_world_transforms", VALUE, u32, note="base and wheels, in the order of the bones' names")
def vehicle_bone_world_transforms(server: Server, actor: int) -> list[Any]:
    return _world_transforms(server, server.live.actors.get(actor, Category.VEHICLE).id)
