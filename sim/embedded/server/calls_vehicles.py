"""Calls about vehicles and walkers: driving, walking, lamps, doors, physics, telemetry."""

from __future__ import annotations

from math import degrees
from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.physics import DRY_FRICTION, ROAD_FRICTION
from roadcraft.sim.embedded.server.actors import Actor, Category
from roadcraft.sim.embedded.server.bones import BONES, bones_wire
from roadcraft.sim.embedded.server.calls import Result, Status, accept, call
from roadcraft.sim.embedded.server.doors import ALL
from roadcraft.sim.embedded.server.live import ACKERMANN_GAINS
from roadcraft.sim.embedded.server.physics_wire import decode_physics, encode_physics, physics_control, telemetry
from roadcraft.sim.embedded.server.wire import (
    Pose,
    fields,
    flag,
    i32,
    integer,
    listed,
    number,
    pose,
    text,
    u8,
    u32,
    vector,
)

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.app import Server

VALUE, VOID = Result.VALUE, Result.VOID


def _vehicle(server: Server, actor: int) -> Actor:
    return server.live.actors.get(actor, Category.VEHICLE)


def _walker(server: Server, actor: int) -> Actor:
    return server.live.actors.get(actor, Category.WALKER)


# ------------------------------------------------------------------------------------------------------- driving
_control = fields(number, number, number, flag, flag, flag, i32)


@call("apply_control_to_vehicle", VOID, u32, _control)
def control_vehicle(server: Server, actor: int, control: tuple[Any, ...]) -> None:
    throttle, steer, brake, hand_brake, reverse, manual, gear = control
    server.live.batched(_vehicle(server, actor).id, False)
    server.live.simulation.control_vehicle(
        actor,
        min(max(throttle, 0.0), 1.0),
        min(max(-steer, -1.0), 1.0),
        min(max(brake, 0.0), 1.0),
        hand_brake=hand_brake,
        reverse=reverse,
        gear=min(max(gear, -1), 16) if manual else None,
    )


@call("apply_ackermann_control_to_vehicle", VOID, u32, fields(number, number, number, number, number))
def control_ackermann(server: Server, actor: int, control: tuple[float, ...]) -> None:
    steer, steer_speed, speed, acceleration, jerk = control
    vehicle = _vehicle(server, actor)
    server.live.simulation.control_ackermann(vehicle.id, -steer, steer_speed, speed, acceleration, jerk)


@call("get_ackermann_controller_settings", VALUE, u32)
def ackermann_settings(server: Server, actor: int) -> list[float]:
    return list(server.live.gains.get(_vehicle(server, actor).id, ACKERMANN_GAINS))


@call(
    "apply_ackermann_controller_settings", VOID, u32, fields(*[number] * 6), status=Status.PARTLY,
    note="remembered and told; the controller here has gains of its own",
)  # fmt: skip
def set_ackermann_settings(server: Server, actor: int, gains: tuple[float, ...]) -> None:
    server.live.gains[_vehicle(server, actor).id] = gains


@call("get_wheel_steer_angle", VALUE, u32, u8)
def wheel_steer_angle(server: Server, actor: int, wheel: int) -> float:
    """Degrees, right positive; the rear wheels do not steer."""
    body = server.live.body(_vehicle(server, actor))
    return 0.0 - degrees(float(body["wheel_angle"])) if wheel < 2 else 0.0


accept("set_wheel_steer_direction", VOID, None, "CARLA turns only the picture of the wheel", u32, u8, number)
accept("set_wheel_pitch_angle", VOID, None, "CARLA turns only the picture of the wheel", u32, u8, number)
accept("get_wheel_pitch_angle", VALUE, 0.0, "0: wheels are drawn without their turning", u32, u8)
accept("show_vehicle_debug_telemetry", VOID, None, "the server has no screen", u32, flag)


# ---------------------------------------------------------------------------------------------------------- parts
@call("get_physics_control", VALUE, u32)
def get_physics(server: Server, actor: int) -> list[Any]:
    return encode_physics(server.live, _vehicle(server, actor))


@call(
    "apply_physics_control", VOID, u32, physics_control, status=Status.PARTLY,
    note="all is remembered and told; the vehicle is one track: wheels share friction, radius and brakes, and damping "
    f"of wheels and sweep_wheel_collision have no effect. A tire_friction above {DRY_FRICTION} helps sideways alone: "
    f"there it counts {ROAD_FRICTION} as on CARLA's roads, up to where the vehicle would tip over",
)  # fmt: skip
def set_physics(server: Server, actor: int, control: tuple[Any, ...]) -> None:
    decode_physics(server.live, _vehicle(server, actor), control)


@call(
    "get_telemetry_data",
    VALUE,
    u32,
    status=Status.PARTLY,
    note="forces on wheels are shares of the whole vehicle's",
)
def get_telemetry(server: Server, actor: int) -> list[Any]:
    return telemetry(server.live, _vehicle(server, actor))


@call("get_vehicle_light_state", VALUE, u32)
def get_lights(server: Server, actor: int) -> list[int]:
    return [int(server.live.body(_vehicle(server, actor))["lights"])]


def light_flags(value: Any) -> int:
    """The flags, bare in a batch and wrapped in a call."""
    return int(u32(value[0] if isinstance(value, (list, tuple)) and value else value))


@call(
    "set_vehicle_light_state", VOID, u32, light_flags, status=Status.PARTLY,
    note="all are remembered and told; pictures show brake lights, indicators, low and high beams",
)  # fmt: skip
def set_lights(server: Server, actor: int, flags: int) -> None:
    server.live.simulation.set_lights(_vehicle(server, actor).id, flags)


@call("get_vehicle_light_states", VALUE)
def all_lights(server: Server) -> list[list[int]]:
    live = server.live
    vehicles = (actor for actor in live.actors if actor.category is Category.VEHICLE)
    return [[actor.id, int(live.body(actor)["lights"])] for actor in vehicles]


_door = integer(0, ALL)
_DOORS = "of vehicles with has_dynamic_doors; cameras and rays see open doors, nothing collides with them"


@call("open_vehicle_door", VOID, u32, _door, status=Status.PARTLY, note=_DOORS)
def open_door(server: Server, actor: int, door: int) -> None:
    server.live.doors.move(_vehicle(server, actor), door, True)


@call("close_vehicle_door", VOID, u32, _door, status=Status.PARTLY, note=_DOORS)
def close_door(server: Server, actor: int, door: int) -> None:
    server.live.doors.move(_vehicle(server, actor), door, False)


# --------------------------------------------------------------------------------------------------------- walkers
@call("apply_control_to_walker", VOID, u32, fields(vector, number, flag))
def control_walker(server: Server, actor: int, control: tuple[Any, ...]) -> None:
    direction, speed, jump = control
    server.live.simulation.control_walker(_walker(server, actor).id, direction[:2], speed, jump)


@call(
    "get_bones_transform", VALUE, u32, status=Status.PARTLY,
    note="CARLA's names; limbs swing as in pictures, and knees, elbows and fingers bend in poses alone",
)  # fmt: skip
def get_bones(server: Server, actor: int) -> list[Any]:
    return [bones_wire(server.live, _walker(server, actor))]


_POSES = "bones tell it; near cameras see each limb point from its joint to hand or foot, without elbow and knee"


@call(
    "set_bones_transform", VOID, u32, fields(listed(fields(text, pose), len(BONES))), status=Status.PARTLY, note=_POSES
)
def set_bones(server: Server, actor: int, bones: tuple[list[tuple[str, Pose]]]) -> None:
    server.live.poses.set(server.live, _walker(server, actor), bones[0])


@call("blend_pose", VOID, u32, number, status=Status.PARTLY, note=_POSES)
def blend_pose(server: Server, actor: int, blend: float) -> None:
    server.live.poses.blend(server.live, _walker(server, actor), blend)


@call("get_pose_from_animation", VOID, u32, status=Status.PARTLY, note=_POSES)
def take_pose(server: Server, actor: int) -> None:
    server.live.poses.take(server.live, _walker(server, actor))
