"""Calls about the world as a whole: handshake, maps, time, weather, files, questions about places."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.server import wire
from roadcraft.sim.embedded.server.blueprints import definitions
from roadcraft.sim.embedded.server.calls import Result, Status, accept, call, refuse
from roadcraft.sim.embedded.server.debug_shapes import MOST, Drawing, debug_shape
from roadcraft.sim.embedded.server.maps import OPENDRIVE_MAP
from roadcraft.sim.embedded.server.sensors import FAILURES
from roadcraft.sim.embedded.server.told_map import told_map
from roadcraft.sim.embedded.server.wire import Pose, flag, long_text, number, text, transform_wire, u16, u32
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Weather

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

VALUE, VOID = Result.VALUE, Result.VOID
SPAWN_HEIGHT = 0.5  # [m] above the road, of the spawn points that clients are told
LONGEST_TICK = 10.0  # s that a client may ask one tick to last
MOST_TRAFFIC_MANAGERS = 64
_PERCENT, _TURN, _SCALE = (0.0, 100.0), (-360.0, 360.0), (0.0, 1000.0)
# What can be, in the order of Weather; values beyond are told as they were set and act as the nearest that can be.
WEATHER_LIMITS = (
    _PERCENT, _PERCENT, _PERCENT, _PERCENT, _TURN, (-90.0, 90.0), _PERCENT, _SCALE, _SCALE, _PERCENT, _SCALE, _SCALE,
    _SCALE, _PERCENT,
)  # fmt: skip


# --------------------------------------------------------------------------------------------------------- handshake
@call("version", VALUE)
def version(server: Server) -> str:
    return wire.VERSION


@call("get_episode_info", VALUE)
def episode_info(server: Server) -> list[Any]:
    return [server.live.episode, [wire.token(server.episode_stream, server.port + 1)]]


@call(
    "get_sensor_token", VALUE, u32,
    note=f"a sensor that fails sends nothing in that tick; after {FAILURES} such ticks in a row it is silent for good, "
    "and `listen` raises the reason",
)  # fmt: skip
def sensor_token(server: Server, stream: int) -> list[bytes]:
    if stream in server.sensors.silenced:
        raise UserError(server.sensors.silenced[stream])
    # `listen` asks this and connects afterwards: a synchronous tick waits for that, see `Server._hindered`.
    if server.caller is not None and stream <= server.streams.last:
        server.caller.announced.add(stream)
    return [wire.token(stream, server.port + 1)]


@call("get_actor_definitions", VALUE)
def actor_definitions(server: Server) -> list[Any]:
    return list(definitions())


# -------------------------------------------------------------------------------------------------------------- maps
@call("get_available_maps", VALUE)
def available_maps(server: Server) -> list[str]:
    return server.maps.available()


@call("get_map_info", VALUE, note="spawn points are those on which all vehicles fit, beside each other")
def map_info(server: Server) -> list[Any]:
    ground = server.live.simulation.ground
    told = server.live.told_spawns.tolist()
    spawns = [transform_wire(Pose(x, y, ground(x, y) + SPAWN_HEIGHT, yaw)) for x, y, yaw in told]
    return [f"Carla/Maps/{server.live.map_name}", spawns]


@call("get_map_data", VALUE)
def map_data(server: Server) -> str:
    return told_map(server.live.town)


@call("load_new_episode", VOID, text, flag, u16)
def load_new_episode(server: Server, name: str, reset_settings: bool, layers: int) -> None:
    """An empty name or the present map reloads it."""
    short = name.rstrip("/").split("/")[-1]
    if short == OPENDRIVE_MAP and server.custom_map:  # whatever text came last, also where another has that name now
        server.replace_world(server.custom_town(), OPENDRIVE_MAP, reset_settings, layers)
    elif short in ("", server.live.map_name):
        server.replace_world(server.live.town, server.live.map_name, reset_settings, layers)
    elif short == OPENDRIVE_MAP:
        raise UserError("there is no OpenDRIVE map: call generate_opendrive_world first")
    else:
        loaded, town = server.maps.load(name)
        server.replace_world(town, loaded, reset_settings, layers)


@call(
    "copy_opendrive_to_file", VOID, long_text, wire.anything, status=Status.PARTLY,
    note="the roads are the text's; the parameters of the mesh (walls, extra width, smoothing) have no effect",
)  # fmt: skip
def copy_opendrive(server: Server, xodr: str, parameters: Any) -> None:
    before, server.custom_map = server.custom_map, xodr
    try:
        server.custom_town()  # a broken text is refused here, where the client sees the reason
    except UserError:
        server.custom_map = before
        raise


# -------------------------------------------------------------------------------------------------------------- time
@call("get_episode_settings", VALUE)
def episode_settings(server: Server) -> list[Any]:
    fields = list(astuple(server.settings))
    fields[2] = [False] if fields[2] is None else [True, fields[2]]
    return fields


_settings = wire.fields(
    flag, flag, wire.optional(number), flag, number, wire.i32, wire.any_number, flag, wire.any_number,
    wire.any_number, flag,
)  # fmt: skip


@call(
    "set_episode_settings", VALUE, _settings, status=Status.PARTLY,
    note="synchronous mode, fixed step and no_rendering; ticks longer than 0.05 s are made of several steps; the "
    "settings of substeps, culling, ragdolls and streaming are remembered and told, without effect; unlike CARLA's, "
    "the world goes on by itself, asynchronous, a second after the last client that ticked it has gone",
)  # fmt: skip
def set_episode_settings(server: Server, wanted: tuple[Any, ...]) -> int:
    delta = wanted[2]
    if delta is not None and not 0.0 <= delta <= LONGEST_TICK:
        raise UserError(f"fixed_delta_seconds = {delta} is outside [0, {LONGEST_TICK}]")
    server.change_settings(wanted)
    return server.live.frame


@call("tick_cue", VALUE)
def tick_cue(server: Server) -> int:
    """In asynchronous mode: the next tick, which comes by itself. Synchronous ticks are run by the server's loop."""
    return server.live.frame + 1


# ----------------------------------------------------------------------------------------------------------- weather
@call("get_weather_parameters", VALUE)
def get_weather(server: Server) -> list[float]:
    return list(astuple(server.live.told_weather))


@call(
    "set_weather_parameters", VOID, wire.listed(wire.any_number, 64), status=Status.PARTLY,
    note="all is remembered and told, and the preset Default is the map's own; pictures make nothing of wind, fog "
    "falloff and the three kinds of scattering",
)  # fmt: skip
def set_weather(server: Server, values: list[float]) -> None:
    now, usual = astuple(server.live.told_weather), astuple(Weather())
    told = (*values[: len(now)], *now[len(values) :])
    server.live.told_weather = Weather(*told)
    # CARLA's preset Default, told by a cloudiness of -1, leaves what is -1 to the map.
    meant = [own if told[0] < 0 and value == -1.0 else value for value, own in zip(told, usual, strict=True)]
    within = (min(max(value, low), high) for value, (low, high) in zip(meant, WEATHER_LIMITS, strict=True))
    server.live.simulation.weather = Weather(*within)


@call("get_imui_gravity", VALUE)
def get_gravity(server: Server) -> float:
    return server.live.gravity


@call("set_imui_gravity", VOID, number, note="scales what accelerometers feel")
def set_gravity(server: Server, value: float) -> None:
    server.live.gravity = value


# ----------------------------------------------------------------------------------- files for the client's own cache
@call("get_required_files", VALUE, text)
def required_files(server: Server, folder: str) -> list[str]:
    return server.navigation.required(folder)


@call("request_file", VALUE, text)
def request_file(server: Server, name: str) -> bytes:
    return server.navigation.file(name)


@call("get_navigation_mesh", VALUE)
def navigation_mesh(server: Server) -> bytes:
    return server.navigation.data


# ------------------------------------------------------------------------- traffic managers, which live in the clients
@call("is_traffic_manager_running", VALUE, u16)
def is_traffic_manager_running(server: Server, port: int) -> bool:
    return port in server.traffic_managers


@call("get_traffic_manager_running", VALUE, u16)
def get_traffic_manager_running(server: Server, port: int) -> list[Any]:
    return server.traffic_managers.get(port, ["", 0])


@call("add_traffic_manager_running", VALUE, wire.fields(text, u16))
def add_traffic_manager_running(server: Server, address: tuple[str, int]) -> bool:
    if address[1] in server.traffic_managers or len(server.traffic_managers) >= MOST_TRAFFIC_MANAGERS:
        return False
    server.traffic_managers[address[1]] = list(address)
    return True


@call("destroy_traffic_manager", VOID, u16)
def destroy_traffic_manager(server: Server, port: int) -> None:
    server.traffic_managers.pop(port, None)


# ------------------------------------------------------------------------------------------------ things on the screen
@call(
    "draw_debug_shape", VOID, debug_shape,
    note="seen by colour and event cameras, in the plain colour where CARLA's glow; strings and the HUD's shapes by "
    "none, as CARLA shows them in its window only; a life time below 0, the default, is 1 s, as documented; of more "
    f"lines than {MOST} the last",
)  # fmt: skip
def draw_debug_shape(server: Server, shape: Drawing | None) -> None:
    if shape is not None:
        server.live.debug_shapes.add(shape, server.live.simulation.time, server.live.frame)


@call("clear_debug_shape", VOID)
def clear_debug_shape(server: Server) -> None:
    server.live.debug_shapes.clear()


accept("clear_debug_string", VOID, None, "the server has no screen")
accept("set_annotations_traverse_translucency", VOID, None, "nothing of this server is translucent, glass neither")
refuse("console_command", VALUE, "there is no Unreal console")
refuse("enable_sensor_for_ros", VOID, "this server has no ROS 2 bridge")
refuse("disable_sensor_for_ros", VOID, "this server has no ROS 2 bridge")
accept("is_sensor_enabled_for_ros", VALUE, False, "never: this server has no ROS 2 bridge", u32)
accept("are_gbuffers_enabled", VALUE, False, "never: this server has no deferred renderer", u32)
_NO_GBUFFER = (
    "this server has no deferred renderer, so no GBuffer textures: of materials, occlusion and light maps it keeps "
    "nothing, and colour, depth, normals, motion and tags have cameras of their own"
)
refuse("enable_gbuffers", VOID, _NO_GBUFFER)
refuse("get_gbuffer_token", VALUE, _NO_GBUFFER)
refuse("enable_carsim", VOID, "CarSim is a commercial program that this server does not contain")
refuse("use_carsim_road", VOID, "CarSim is a commercial program that this server does not contain")
refuse("enable_chrono_physics", VOID, "this server has its own vehicle physics and no Chrono")
accept("restore_physx_physics", VOID, None, "the server's own vehicle physics is always on", u32)
