"""CARLA's VehiclePhysicsControl and telemetry, to and from the simulation's `Physics`.

A client may set more than the simulation uses. What it set is remembered and given back, so that reading after writing
gives what was written.
"""

from __future__ import annotations

from dataclasses import replace
from math import cos, degrees, hypot, radians, sin
from typing import TYPE_CHECKING, Any

from roadcraft.sim.embedded.physics import AIR_DENSITY, G, Physics
from roadcraft.sim.embedded.server.actors import Actor
from roadcraft.sim.embedded.server.wire import Pose, compose, fields, flag, listed, location_wire, number, vector
from roadcraft.sim.embedded.vehicle import rpm_at

if TYPE_CHECKING:
    from roadcraft.sim.embedded.server.live import LiveWorld

_pair = fields(number, number)
_wheel = fields(*[number] * 9, vector)
physics_control = fields(
    listed(_pair, 256), number, number, number, number, number, flag, number, number, number,
    listed(fields(number, number, number), 32), number, number, vector, listed(_pair, 256), listed(_wheel, 32), flag,
)  # fmt: skip
CENTIMETRES = 100.0
SHIFT_DOWN, SHIFT_UP = 0.5, 0.65  # shares of max_rpm, CARLA's defaults
WHEEL_DAMPING, LATERAL_LOAD, LONGITUDINAL = 0.25, 2.0, 1000.0  # CARLA's defaults of what has no counterpart here


def wheel_places(physics: Physics) -> list[tuple[float, float, float]]:
    """Front left, front right, rear left, rear right [m] in the body's frame; two-wheelers have both halves in line."""
    x, y = physics.wheelbase / 2, physics.track / 2
    return [(x, y, physics.radius), (x, -y, physics.radius), (-x, y, physics.radius), (-x, -y, physics.radius)]


def encode_physics(live: LiveWorld, actor: Actor) -> list[Any]:
    """What `get_physics_control` answers."""
    physics = live.simulation.physics(actor.id)
    wheels = []
    where = live.pose_of(actor)
    area = 4 * actor.extent[1] * actor.extent[2]
    told = live.told_physics.get(actor.id)
    for k, place in enumerate(wheel_places(physics)):
        front = k < 2
        position = location_wire(compose(where, Pose(*place)).xyz)
        wheel = [
            physics.tire_friction, WHEEL_DAMPING, degrees(physics.max_steer) if front else 0.0,
            physics.radius * CENTIMETRES, physics.max_brake_torque, 0.0 if front else physics.max_hand_brake_torque,
            LATERAL_LOAD, physics.tire_stiffness, LONGITUDINAL,
        ]  # fmt: skip
        if told is not None and k < len(told[15]):
            wheel = list(told[15][k][:9])
        friction = live.friction.at(where)
        if friction is not None:
            wheel[0] = friction
        wheels.append([*wheel, [CENTIMETRES * c for c in position]])
    if told is not None:
        known = [*told[:13], list(location_wire(told[13])), *told[14:]]
        return [*known[:15], wheels, told[16]]
    return [
        [list(pair) for pair in physics.torque_curve], physics.max_rpm, physics.moment_of_inertia,
        physics.damping_full_throttle, physics.damping_zero_engaged, physics.damping_zero_disengaged,
        physics.automatic, physics.gear_switch_time, physics.clutch_strength, physics.final_ratio,
        [[ratio, SHIFT_DOWN, SHIFT_UP] for ratio in physics.gears], physics.mass,
        physics.drag_area / area, location_wire(physics.centre_of_mass),
        [list(pair) for pair in physics.steering_curve], wheels, True,
    ]  # fmt: skip


def decode_physics(live: LiveWorld, actor: Actor, told: tuple[Any, ...]) -> None:
    """Takes over what a client set. Raises UserError for what cannot be."""
    before = live.simulation.physics(actor.id)
    wheels, area = told[15], 4 * actor.extent[1] * actor.extent[2]
    changed = replace(
        before,
        torque_curve=tuple(told[0]) or before.torque_curve,
        max_rpm=told[1],
        moment_of_inertia=told[2],
        damping_full_throttle=told[3],
        damping_zero_engaged=told[4],
        damping_zero_disengaged=told[5],
        automatic=told[6],
        gear_switch_time=told[7],
        clutch_strength=told[8],
        final_ratio=told[9],
        gears=tuple(gear[0] for gear in told[10] if gear[0] > 0) or before.gears,
        mass=told[11],
        drag_area=told[12] * area,
        centre_of_mass=told[13],
        steering_curve=tuple(told[14]) or before.steering_curve,
    )
    if wheels:
        hand = max(wheel[5] for wheel in wheels)
        changed = replace(
            changed,
            tire_friction=min(wheel[0] for wheel in wheels),
            max_steer=radians(max(wheel[2] for wheel in wheels)),
            radius=wheels[0][3] / CENTIMETRES,
            max_brake_torque=sum(wheel[4] for wheel in wheels) / len(wheels),
            max_hand_brake_torque=hand,
            tire_stiffness=wheels[0][7],
        )
    live.simulation.set_vehicle_physics(actor.id, changed)
    live.told_physics[actor.id] = told


def telemetry(live: LiveWorld, actor: Actor) -> list[Any]:
    """What `get_telemetry_data` answers; forces per wheel from the acceleration of the whole."""
    body, physics = live.body(actor), live.simulation.physics(actor.id)
    row = live.simulation.physics_row(actor.id)
    speed, yaw = float(body["speed"]), float(body["yaw"])
    c, s = cos(yaw), sin(yaw)
    ax, ay, _ = body["accel"].tolist()
    vx, vy, _ = body["velocity"].tolist()
    forward, left = ax * c + ay * s, ay * c - ax * s
    slide = vy * c - vx * s
    wheels, height = [], physics.centre_of_mass[2]
    rear_share = 0.5 + (forward * height / (G * physics.wheelbase))
    for k, (x, _y, _z) in enumerate(wheel_places(physics)):
        load = physics.mass * G * (rear_share if k >= 2 else 1.0 - rear_share) / 2
        omega = speed / physics.radius
        slip = (slide + x * float(body["yaw_rate"])) / max(hypot(vx, vy), 1.0)
        angle = float(body["wheel_angle"]) if k < 2 else 0.0
        long_force, lat_force = physics.mass * forward / 4, -physics.mass * left / 4
        wheels.append([
            physics.tire_friction, -(slip - angle), 0.0, omega, load, load / (physics.mass * G / 4),
            long_force * physics.radius, long_force, lat_force, long_force / max(load, 1.0), lat_force / max(load, 1.0),
        ])  # fmt: skip
    gear = int(body["gear"])
    rpm = float(rpm_at(row, speed, gear))
    drag = 0.5 * AIR_DENSITY * physics.drag_area * speed * abs(speed)
    steer = -float(body["steer"])
    return [speed, steer, float(body["throttle"]), float(body["brake"]), rpm, gear, drag, wheels]
