"""Calls about traffic lights and street lights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.actors import Category
from roadcraft.sim.embedded.server.calls import Result, Status, accept, call
from roadcraft.sim.embedded.server.surroundings import head_box
from roadcraft.sim.embedded.server.wire import flag, number, text, u8, u32
from roadcraft.sim.messages import LightState

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

VALUE, VOID = Result.VALUE, Result.VOID
light_state = wire.integer(0, int(LightState.UNKNOWN))


def _row(server: Server, actor: int) -> int:
    return server.live.actors.get(actor, Category.LIGHT).signal


@call("set_traffic_light_state", VOID, u32, light_state)
def set_state(server: Server, actor: int, state: int) -> None:
    server.live.simulation.lights.set_state(_row(server, actor), LightState(state))


@call("set_traffic_light_green_time", VOID, u32, number)
def set_green_time(server: Server, actor: int, seconds: float) -> None:
    server.live.simulation.lights.set_times(_row(server, actor), green=seconds)


@call("set_traffic_light_yellow_time", VOID, u32, number)
def set_yellow_time(server: Server, actor: int, seconds: float) -> None:
    server.live.simulation.lights.set_times(_row(server, actor), yellow=seconds)


@call("set_traffic_light_red_time", VOID, u32, number)
def set_red_time(server: Server, actor: int, seconds: float) -> None:
    server.live.simulation.lights.set_times(_row(server, actor), red=seconds)


@call("freeze_traffic_light", VOID, u32, flag)
def freeze(server: Server, actor: int, frozen: bool) -> None:
    server.live.simulation.lights.freeze(_row(server, actor), frozen)


@call("freeze_all_traffic_lights", VOID, flag)
def freeze_all(server: Server, frozen: bool) -> None:
    server.live.simulation.lights.freeze(None, frozen)


@call("reset_traffic_light_group", VOID, u32)
def reset_group(server: Server, actor: int) -> None:
    server.live.simulation.lights.reset_group(_row(server, actor))


@call("reset_all_traffic_lights", VOID)
def reset_all(server: Server) -> None:
    server.live.simulation.lights.reset(server.live.seed)


@call("get_group_traffic_lights", VALUE, u32)
def group(server: Server, actor: int) -> list[int]:
    light = server.live.actors.get(actor, Category.LIGHT)
    return [other.id for other in server.live.group(light)]


@call("get_light_boxes", VALUE, u32)
def light_boxes(server: Server, actor: int) -> list[Any]:
    """The head of the light, in the world."""
    return [head_box(server.live, server.live.actors.get(actor, Category.LIGHT))]


# ------------------------------------------------------------------------------------------------------ street lights
@call("query_lights_state", VALUE, text)
def query_lights(server: Server, client: str) -> list[Any]:
    return server.live.street_lights.wire()


_color = wire.fields(u8, u8, u8)
_lamp = wire.fields(u32, wire.vector, wire.any_number, u8, _color, flag)


@call(
    "update_lights_state", VOID, text, wire.listed(_lamp, 8192), flag, status=Status.PARTLY,
    note="remembered and told to all clients; by night pictures show which lamps are on, not their brightness and "
    "colour; the next picture after one was switched takes a second longer",
)  # fmt: skip
def update_lights(server: Server, client: str, lamps: list[Any], discard: bool) -> None:
    server.live.street_lights.update(lamps)
    server.live.shown.switch_off(server.live.street_lights.off)
    server.lights_changed()


accept(
    "update_day_night_cycle",
    VOID,
    None,
    "in pictures lamps that are on follow the sun's altitude",
    text,
    flag,
)
