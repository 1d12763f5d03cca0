"""How bodies move in one tick: vehicles by their tyres, walkers by their feet, props by sliding; all fall down."""

from __future__ import annotations

from math import atan2, cos, exp, pi, sin

import numpy as np

from roadcraft.sim.embedded.physics import G
from roadcraft.sim.embedded.relief import floor_below, is_even
from roadcraft.sim.embedded.vehicle import advance, pedals_for, steer_for
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Kind
from roadcraft.sim.norm import norm

WALKER_ACCELERATION = 4.0  # m/s^2
WALKER_TURN = 6.0  # rad/s
STRIDE = 1.4  # [m] that two steps take an adult
_MOTORCYCLE, _BICYCLE, _PEDESTRIAN = int(Kind.MOTORCYCLE), int(Kind.BICYCLE), int(Kind.PEDESTRIAN)
_SPEED_GAIN = 1.5  # 1/s, of the Ackermann controller

# What acts on a body besides its own controls.
MOTION = np.dtype(
    [
        ("force", np.float64, 3),  # [N] world, for the coming tick
        ("torque", np.float64),  # [N m] about the vertical, for the coming tick
        ("gained", np.float64, 3),  # [m/s] velocity that pushes gave since the last tick, which accelerations count
        ("constant", np.bool_),  # keeps `constant_velocity`
        ("constant_velocity", np.float64, 3),  # [m/s] in the body's frame
        ("ackermann", np.bool_),  # driven by the five below instead of pedals
        ("angle", np.float64),  # [rad] wheel angle wanted, left positive
        ("angle_rate", np.float64),  # [rad/s] at most, 0: as fast as the car can
        ("wanted_speed", np.float64),  # [m/s], negative: backwards
        ("wanted_accel", np.float64),  # [m/s^2] at most, 0: 3
        ("jerk", np.float64),  # [m/s^3] at most, 0: any
        ("accel_now", np.float64),  # [m/s^2] that the controller asks for at present
        ("down", np.float64),  # [s] that a walker still lies on the ground
    ]
)


@kernel
def move(bodies, physics, motion, dt, grip):  # type: ignore[no-untyped-def]
    """Moves all bodies along the ground by dt [s]; `grip`: the road's friction as a share of the dry road's."""
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id == 0 or not b.physics:
            continue
        m = motion[i]
        _forces(b, physics[i], m, dt)
        if m.constant:
            _keep_velocity(b, m, dt)
        elif b.kind <= _BICYCLE:
            if m.ackermann:
                _ackermann(b, physics[i], m, dt)
            if b.velocity[2] > -2.0 or not b.gravity:
                advance(b, physics[i], dt, grip)
            else:
                _coast(b, 0.0, dt)
        elif b.kind == _PEDESTRIAN:
            _walk(b, m, dt)
        else:
            _coast(b, physics[i].friction * G, dt)
        if m.gained[0] != 0.0 or m.gained[1] != 0.0:
            b.accel[0] += m.gained[0] / dt
            b.accel[1] += m.gained[1] / dt
            m.gained[0] = m.gained[1] = 0.0


@kernel
def settle(bodies, motion, dt, ground):  # type: ignore[no-untyped-def]
    """Gravity, above a Plane or a Relief."""
    flat = is_even(ground)
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id == 0 or not b.physics:
            continue
        m = motion[i]
        before = b.velocity[2] - m.gained[2]
        if flat and b.xyz[2] == 0.0 and b.velocity[2] == 0.0 and before == 0.0 and not m.constant:
            b.accel[2] = 0.0
            continue
        _fall(b, m, dt, ground)
        b.accel[2] = (b.velocity[2] - before) / dt
        m.gained[2] = 0.0


@kernel
def _forces(b, p, m, dt):  # type: ignore[no-untyped-def]
    """External forces, gone after the tick."""
    if m.force[0] != 0.0 or m.force[1] != 0.0 or m.force[2] != 0.0 or m.torque != 0.0:
        for axis in range(3):
            gain = m.force[axis] / p.mass * dt
            b.velocity[axis] += gain
            m.gained[axis] += gain
            m.force[axis] = 0.0
        b.yaw_rate += m.torque / p.inertia * dt
        m.torque = 0.0


@kernel
def _keep_velocity(b, m, dt):  # type: ignore[no-untyped-def]
    c, s = cos(b.yaw), sin(b.yaw)
    v = m.constant_velocity
    vx, vy = c * v[0] - s * v[1], s * v[0] + c * v[1]
    b.accel[0], b.accel[1] = (vx - b.velocity[0]) / dt, (vy - b.velocity[1]) / dt
    b.velocity[0], b.velocity[1] = vx, vy
    b.xyz[0] += vx * dt
    b.xyz[1] += vy * dt
    b.speed = v[0]
    b.yaw_rate = 0.0


@kernel
def _ackermann(b, p, m, dt):  # type: ignore[no-untyped-def]
    """Steering angle and speed wanted, turned into pedals."""
    back = m.wanted_speed < 0.0
    standing = abs(b.speed) < 0.1
    speed = -b.speed if b.reverse else b.speed
    limit = m.wanted_accel if m.wanted_accel > 0.0 else 3.0
    wanted = min(max(_SPEED_GAIN * (abs(m.wanted_speed) - speed), -limit), limit)
    if back != b.reverse:  # stop before the gear is changed
        if standing:
            b.reverse = back
        wanted = -limit
    if m.jerk > 0.0:
        wanted = min(max(wanted, m.accel_now - m.jerk * dt), m.accel_now + m.jerk * dt)
    m.accel_now = wanted
    b.throttle, b.brake = pedals_for(p, max(speed, 0.0), wanted)
    if m.wanted_speed == 0.0 and standing:
        b.throttle, b.brake = 0.0, 1.0
    angle = m.angle
    if m.angle_rate > 0.0:
        step = m.angle_rate * dt
        angle = min(max(angle, b.wheel_angle - step), b.wheel_angle + step)
    b.steer = steer_for(p, angle, b.speed)


@kernel
def _walk(b, m, dt):  # type: ignore[no-untyped-def]
    """Feet reach the wanted velocity at WALKER_ACCELERATION; who was thrown over slides and lies a while."""
    vx0, vy0 = b.velocity[0], b.velocity[1]
    if m.down > 0.0:
        m.down = max(m.down - dt, 0.0)
        b.pitch = -pi / 2 if m.down > 0.0 else 0.0
        wanted_x, wanted_y, rate = 0.0, 0.0, 0.6 * G
    else:
        wanted_x, wanted_y = b.target_speed * b.target_direction[0], b.target_speed * b.target_direction[1]
        rate = WALKER_ACCELERATION
    dx, dy = wanted_x - vx0, wanted_y - vy0
    change = norm(dx, dy)
    if change > rate * dt:
        dx, dy = dx * rate * dt / change, dy * rate * dt / change
    b.velocity[0], b.velocity[1] = vx0 + dx, vy0 + dy
    b.accel[0], b.accel[1] = dx / dt, dy / dt
    b.xyz[0] += b.velocity[0] * dt
    b.xyz[1] += b.velocity[1] * dt
    pace = norm(b.velocity[0], b.velocity[1])
    b.yaw_rate = 0.0
    if m.down == 0.0:
        if norm(b.target_direction[0], b.target_direction[1]) > 0.1 and b.target_speed > 0.0:
            turn = atan2(b.target_direction[1], b.target_direction[0]) - b.yaw
            turn -= 2.0 * pi * np.floor((turn + pi) / (2.0 * pi))
            b.yaw_rate = min(max(turn / dt, -WALKER_TURN), WALKER_TURN)
            b.yaw += b.yaw_rate * dt
            b.yaw -= 2.0 * pi * np.floor((b.yaw + pi) / (2.0 * pi))
        b.stride = np.float32((b.stride + 2.0 * pi * pace * dt / (STRIDE * b.extent[2] / 0.93)) % (2.0 * pi))
    b.speed = b.velocity[0] * cos(b.yaw) + b.velocity[1] * sin(b.yaw)


@kernel
def _coast(b, slowing, dt):  # type: ignore[no-untyped-def]
    """Slides on, slowed by friction [m/s^2]; turning fades likewise."""
    vx0, vy0 = b.velocity[0], b.velocity[1]
    pace = norm(vx0, vy0)
    keep = max(1.0 - slowing * dt / pace, 0.0) if pace > 1e-9 else 0.0
    b.velocity[0], b.velocity[1] = vx0 * keep, vy0 * keep
    b.accel[0], b.accel[1] = (b.velocity[0] - vx0) / dt, (b.velocity[1] - vy0) / dt
    b.xyz[0] += b.velocity[0] * dt
    b.xyz[1] += b.velocity[1] * dt
    b.yaw += b.yaw_rate * dt
    b.yaw -= 2.0 * pi * np.floor((b.yaw + pi) / (2.0 * pi))
    if slowing > 0.0:
        b.yaw_rate *= exp(-4.0 * dt)
        if pace < 0.05 and abs(b.yaw_rate) < 0.05:
            b.yaw_rate = 0.0
    b.speed = b.velocity[0] * cos(b.yaw) + b.velocity[1] * sin(b.yaw)


@kernel
def _fall(b, m, dt, relief):  # type: ignore[no-untyped-def]
    """Gravity, and the slope of the ground under a vehicle."""
    flat, ground = is_even(relief), floor_below(relief, b.xyz[0], b.xyz[1], b.xyz[2])
    if m.constant and m.constant_velocity[2] != 0.0:
        b.velocity[2] = m.constant_velocity[2]
    elif b.gravity:
        b.velocity[2] -= G * dt
    b.xyz[2] += b.velocity[2] * dt
    if not b.gravity:
        if b.xyz[2] < ground:
            b.xyz[2], b.velocity[2] = ground, max(b.velocity[2], 0.0)
        return
    if b.xyz[2] > ground + 0.05 and not (not flat and b.xyz[2] < ground + 0.5 and b.velocity[2] <= 0.0):
        return
    if b.velocity[2] <= 0.0:
        b.xyz[2], b.velocity[2] = ground, 0.0
    if not flat and b.kind <= _BICYCLE:
        c, s = b.extent[0] * cos(b.yaw), b.extent[0] * sin(b.yaw)
        front = floor_below(relief, b.xyz[0] + c, b.xyz[1] + s, b.xyz[2])
        rear = floor_below(relief, b.xyz[0] - c, b.xyz[1] - s, b.xyz[2])
        b.pitch = -atan2(front - rear, 2.0 * b.extent[0])
        if b.kind < _MOTORCYCLE:
            c, s = b.extent[1] * cos(b.yaw), b.extent[1] * sin(b.yaw)
            left = floor_below(relief, b.xyz[0] - s, b.xyz[1] + c, b.xyz[2])
            right = floor_below(relief, b.xyz[0] + s, b.xyz[1] - c, b.xyz[2])
            b.roll = atan2(left - right, 2.0 * b.extent[1])
        pull = G * sin(b.pitch) * dt  # downhill
        if b.speed != 0.0 or b.brake == 0.0:
            b.velocity[0] += pull * cos(b.yaw)
            b.velocity[1] += pull * sin(b.yaw)
