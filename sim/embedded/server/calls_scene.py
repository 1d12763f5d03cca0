"""Calls about the standing things of a town and about what lies along a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server import surroundings, textures, wire
from roadcraft.sim.embedded.server.calls import Result, Status, call
from roadcraft.sim.embedded.server.textures import Parameter
from roadcraft.sim.embedded.server.wire import Vector, anything, listed, number, text, u8, u16, vector

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

VALUE, VOID = Result.VALUE, Result.VOID


@call("get_environment_objects", VALUE, u8, note="under the tags that cameras see; roads in pieces of lanes")
def environment_objects(server: Server, tag: int) -> list[Any]:
    return surroundings.environment_objects(server.live, tag)


@call("get_all_level_BBs", VALUE, u8, note="the same, and actors")
def level_boxes(server: Server, tag: int) -> list[Any]:
    return surroundings.level_boxes(server.live, tag)


@call("get_names_of_all_objects", VALUE)
def names(server: Server) -> list[str]:
    return surroundings.names(server.live)


@call(
    "enable_environment_objects", VOID, wire.listed(wire.u64), wire.flag, status=Status.PARTLY,
    note="a light's head goes with its post, a sign's plate too; hiding roads, sidewalks, paint or terrain is refused",
)  # fmt: skip
def enable_environment_objects(server: Server, numbers: list[int], shown: bool) -> None:
    """Hidden things are neither drawn nor met."""
    try:
        server.live.shown.hide(numbers, shown)
    finally:
        server.live.rearrange()


@call("load_map_layer", VOID, u16)
def load_map_layer(server: Server, layers: int) -> None:
    server.live.shown.load(layers)
    server.live.rearrange()


@call("unload_map_layer", VOID, u16)
def unload_map_layer(server: Server, layers: int) -> None:
    server.live.shown.unload(layers)
    server.live.rearrange()


_PAINT = (
    "the average colour of a diffuse texture, for a standing thing as a whole; not for surfaces, heads of lights and "
    "actors; normals, roughness and emission have no effect"
)


@call("apply_color_texture_to_objects", VOID, listed(text), u8, anything, status=Status.PARTLY, note=_PAINT)
def apply_color_texture(server: Server, names: list[str], parameter: int, texture: Any) -> None:
    _lay(server, names, parameter, textures.average(texture, 1.0))


@call("apply_float_color_texture_to_objects", VOID, listed(text), u8, anything, status=Status.PARTLY, note=_PAINT)
def apply_float_color_texture(server: Server, names: list[str], parameter: int, texture: Any) -> None:
    _lay(server, names, parameter, textures.average(texture, 255.0))


def _lay(server: Server, names: list[str], parameter: int, color: textures.Color | None) -> None:
    if parameter == Parameter.DIFFUSE and color is not None:
        strange = textures.paint(server.live, names, color)
        if strange:
            server.note(f"a client laid a texture on {len(strange)} objects that take none, such as '{strange[0]:.40}'")
    elif color is not None:
        server.note(f"a client laid a texture of kind {parameter} on an object, which has no effect here")


@call("cast_ray", VALUE, vector, vector)
def cast_ray(server: Server, start: Vector, end: Vector) -> list[Any]:
    return surroundings.pierced(server.live, start, end)


@call("project_point", VALUE, vector, vector, number)
def project_point(server: Server, start: Vector, direction: Vector, reach: float) -> list[Any]:
    return surroundings.first_hit(server.live, start, direction, reach)
