"""A vehicle in the plane: a single-track model with tyres that saturate.

States: velocity of the centre of mass and yaw rate. One substep of h seconds, in the frame of the body half a step on:

    loads      Fz_f = m (g b - a_x h_cg) / L           Fz_r = m (g a + a_x h_cg) / L
    tyres      F_y = -K u_y,  u = velocity of the contact point in the wheel's frame,
               K |u_y| = F_max brush(C tan(slip) / F_max),  F_max = sqrt((mu F_z)^2 - F_x^2), |F_x| <= mu_x F_z
    motion     (M + h T(K)) u1 = M u0 + h F             solved for u1 = (v_x, v_y, r)

The brush model is Fiala's (Pacejka, Tyre and Vehicle Dynamics, 3.2): x - x|x|/3 + x^3/27 below full sliding at x = 3.
Taking the lateral forces implicitly in the secant stiffness K makes the step stable at every speed: towards standstill
the tyres become rolling constraints (a kinematic bicycle) and a car pushed sideways is held by Coulomb friction.
Brakes and rolling resistance can stop a vehicle but never push it, and like all that the tyres do they need grip: on
tyres without friction, and without gravity, a vehicle glides on.

Throttle to acceleration: see `drive_force`; `pedals_for` inverts it.
"""

from __future__ import annotations

from math import atan, cos, sin, sqrt, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.physics import (
    MAX_GEARS,
    STEERING_SAMPLES,
    STEERING_SPEED,
    TORQUE_SAMPLES,
    G,
)
from roadcraft.sim.kernels import kernel

SUBSTEP = 0.0125  # s, the longest
CALM_SUBSTEP = 0.025  # s, for built-in drivers, who never come near the limit
CREEP = 0.02  # m/s, below this a held vehicle stands still
RPM_PER_RADIAN = 60.0 / (2.0 * np.pi)
_LAUNCH = 0.35  # share of max_rpm at which the clutch slips when starting
_EPS = 1e-3  # m/s, keeps the secant stiffness finite at standstill


@kernel
def _sample(table, samples, x):  # type: ignore[no-untyped-def]
    """The evenly sampled `table` at x in [0, 1], linear, clamped."""
    at = min(max(x, 0.0), 1.0) * (samples - 1)
    k = min(int(at), samples - 2)
    return table[k] + (at - k) * (table[k + 1] - table[k])


@kernel
def gear_at(p, speed):  # type: ignore[no-untyped-def]
    """The gear (1..n) that an automatic box holds at that speed [m/s]: the lowest below its shift speed."""
    gear = 1
    while gear < p.gears and abs(speed) / p.radius * RPM_PER_RADIAN * p.ratio[gear - 1] > p.shift_rpm:
        gear += 1
    return gear


@kernel
def rpm_at(p, speed, gear):  # type: ignore[no-untyped-def]
    """Engine speed [1/min] in that gear (-1 reverse, 0 neutral), with a clutch that slips when starting."""
    if gear == 0:
        return 0.15 * p.max_rpm
    ratio = p.reverse_ratio if gear < 0 else p.ratio[min(gear, MAX_GEARS) - 1]
    return abs(speed) / p.radius * RPM_PER_RADIAN * ratio


@kernel
def drive_force(p, speed, throttle, gear):  # type: ignore[no-untyped-def]
    """(force [N] of the engine at the wheels, effective mass [kg] of vehicle and turning parts).

    Force = throttle * T(rpm) * ratio * efficiency / radius, minus the drag of the closed engine, which fades with the
    throttle; nothing above max_rpm. Turning parts count as in Gillespie, Fundamentals of Vehicle Dynamics, 2.2:
    mass factor 1 + 0.04 + 0.0025 ratio^2. `gear` as in `rpm_at`; the force acts towards the gear's direction.
    """
    if gear == 0:
        return 0.0, 1.04 * p.mass
    ratio = p.reverse_ratio if gear < 0 else p.ratio[min(gear, p.gears) - 1]
    rpm = rpm_at(p, speed, gear)
    torque = 0.0
    if rpm < p.max_rpm:
        torque = throttle * _sample(p.torque, TORQUE_SAMPLES, max(rpm / p.max_rpm, _LAUNCH))
    force = torque * ratio * p.efficiency / p.radius
    closed = (1.0 - throttle) * p.engine_drag * min(rpm / p.max_rpm, 1.0) * ratio / p.radius
    factor = 1.04 + 0.0025 * ratio * ratio if p.mass > 500.0 else 1.04
    direction = -1.0 if gear < 0 else 1.0
    moving = 1.0 if speed > 0.0 else -1.0
    return direction * force - moving * closed, factor * p.mass


@kernel
def wheel_angle_for(p, steer, speed):  # type: ignore[no-untyped-def]
    """Angle [rad] of the single-track wheel for a steering command in [-1, 1] at that speed [m/s].

    The command is CARLA's: a share of the inner wheel's lock, scaled by the steering curve.
    """
    inner = abs(steer) * p.max_steer * _sample(p.steering, STEERING_SAMPLES, abs(speed) / STEERING_SPEED)
    if inner < 1e-9:
        return 0.0
    angle = atan(1.0 / (1.0 / tan(inner) + p.half_track))
    return angle if steer > 0.0 else -angle


@kernel
def steer_for(p, angle, speed):  # type: ignore[no-untyped-def]
    """The steering command in [-1, 1] that gives that single-track wheel angle [rad]: inverts `wheel_angle_for`."""
    if abs(angle) < 1e-9:
        return 0.0
    inner = atan(1.0 / max(1.0 / tan(min(abs(angle), 1.5)) - p.half_track, 1e-6))
    full = p.max_steer * _sample(p.steering, STEERING_SAMPLES, abs(speed) / STEERING_SPEED)
    steer = min(inner / max(full, 1e-9), 1.0)
    return steer if angle > 0.0 else -steer


@kernel
def acceleration(p, speed, throttle, brake):  # type: ignore[no-untyped-def]
    """Acceleration [m/s^2] straight ahead on dry road at speed >= 0 for the pedals in [0, 1]."""
    force, mass = drive_force(p, speed, throttle, gear_at(p, speed))
    grip = p.friction * p.mass * G
    force = min(max(force, -grip), grip)
    held = min(brake * p.max_brake, grip)
    if brake > 0.0:  # the clutch is open
        force, mass = max(force, 0.0), p.mass
    held += p.rolling * p.mass * G
    force -= p.drag * speed * speed
    if speed == 0.0 and force <= held:
        return 0.0
    return (force - held) / mass


@kernel
def pedals_for(p, speed, wanted):  # type: ignore[no-untyped-def]
    """(throttle, brake) in [0, 1] for an acceleration [m/s^2] at speed >= 0: inverts `acceleration` where it can."""
    gear = gear_at(p, speed)
    coasting, mass = drive_force(p, speed, 0.0, gear)
    full, _ = drive_force(p, speed, 1.0, gear)
    resist = p.rolling * p.mass * G + p.drag * speed * speed
    if wanted * mass >= coasting - resist:
        throttle = (wanted * mass + resist - coasting) / max(full - coasting, 1.0)
        return min(throttle, 1.0), 0.0
    return 0.0, min(max((-resist - wanted * p.mass) / max(p.max_brake, 1.0), 0.0), 1.0)


@kernel
def _secant(u_x, u_y, load, grip, stiffness):  # type: ignore[no-untyped-def]
    """Lateral force per lateral speed [N s/m] of a tyre whose contact point moves with (u_x, u_y)."""
    along = max(abs(u_x), _EPS)
    slip = abs(u_y) / along
    x = stiffness * load * slip / max(grip, 1.0)
    if x < 1e-6:
        return stiffness * load / along
    brush = 1.0 if x >= 3.0 else x - x * x / 3.0 + x * x * x / 27.0
    return grip * brush / (slip * along)


@kernel
def advance(b, p, dt, grip_factor):  # type: ignore[no-untyped-def]
    """Moves body `b` (a BODY record) by dt [s] under its controls. `grip_factor` scales the road's friction.

    Writes xyz (x, y), yaw, velocity, yaw_rate, accel, speed, wheel_angle, gear.
    """
    steps = max(int(np.ceil(dt / (SUBSTEP if b.autopilot == 0 else CALM_SUBSTEP) - 1e-9)), 1)
    h = dt / steps
    xyz, vel, acc = b.xyz, b.velocity, b.accel
    c, s = cos(b.yaw), sin(b.yaw)
    x, y = xyz[0] + p.offset * c, xyz[1] + p.offset * s  # centre of mass
    yaw, r = b.yaw, b.yaw_rate
    vx, vy = vel[0] - r * p.offset * s, vel[1] + r * p.offset * c
    ax = acc[0] * c + acc[1] * s
    vx0, vy0 = vel[0], vel[1]
    angle = b.wheel_angle
    base = p.front + p.rear
    mu, mu_x = p.cornering * grip_factor, p.friction * grip_factor
    for _ in range(steps):
        mid = yaw + 0.5 * h * r
        c, s = cos(mid), sin(mid)
        u, v = c * vx + s * vy, c * vy - s * vx
        wanted = wheel_angle_for(p, b.steer, u)
        angle += min(max(wanted - angle, -p.steer_rate * h), p.steer_rate * h)
        if not b.manual_gear:
            b.gear = -1 if b.reverse else gear_at(p, u)
        force, mass = drive_force(p, u, b.throttle, b.gear)
        if b.throttle == 0.0 and b.brake > 0.0:  # the clutch is open
            force, mass = 0.0, p.mass
        transfer = min(max(ax, -12.0), 12.0) * p.height / G
        weight = p.mass * G if b.gravity else 0.0
        load_f = weight * min(max((p.rear - transfer) / base, 0.05), 0.95)
        load_r = weight - load_f
        grip_f, grip_r, grip_x = mu * load_f, mu * load_r, mu_x * weight
        held = b.brake * p.max_brake
        if b.hand_brake:
            held += min(p.max_hand_brake, mu_x * load_r)
        sliding = sqrt(u * u + v * v)  # locked wheels rub against the motion, whichever way they point
        held = min(held, grip_x * (abs(u) / sliding if sliding > CREEP else 1.0))
        force = min(max(force, -grip_x), grip_x)
        braking = held if abs(u) > CREEP else min(held, abs(force))
        along = force - (braking if u > 0.0 else -braking)
        share = min(abs(along) / max(grip_f + grip_r, 1.0), 0.98)
        side = sqrt(1.0 - share * share)
        hand = 0.3 if b.hand_brake and abs(u) > 1.0 else 1.0  # locked rear wheels slide
        resist = held + min(p.rolling * p.mass * G, grip_x)
        # Contact points: rear (u, v - rear r); front, turned by the wheel angle.
        cd, sd = cos(angle), sin(angle)
        front_y = v + p.front * r
        k_f = _secant(u * cd + front_y * sd, front_y * cd - u * sd, load_f, side * grip_f, p.stiffness)
        k_r = _secant(u, v - p.rear * r, load_r, hand * side * grip_r, p.stiffness)
        # (M + h T) (u1, v1, r1) = M (u, v, r) + h F;  T = k_f n n' + k_r m m' with n = (-sd, cd, front cd).
        n3 = p.front * cd
        a11, a12, a13 = mass + h * k_f * sd * sd, -h * k_f * sd * cd, -h * k_f * sd * n3
        a22 = p.mass + h * (k_f * cd * cd + k_r)
        a23 = h * (k_f * cd * n3 - k_r * p.rear)
        a33 = p.inertia + h * (k_f * n3 * n3 + k_r * p.rear * p.rear)
        f1 = mass * u + h * (force - p.drag * u * abs(u))
        f2, f3 = p.mass * v, p.inertia * r
        # Symmetric elimination.
        m12, m13 = a12 / a11, a13 / a11
        a22, a23, a33 = a22 - m12 * a12, a23 - m12 * a13, a33 - m13 * a13
        f2, f3 = f2 - m12 * f1, f3 - m13 * f1
        m23 = a23 / a22
        r1 = (f3 - m23 * f2) / (a33 - m23 * a23)
        v1 = (f2 - a23 * r1) / a22
        u1 = (f1 - a12 * v1 - a13 * r1) / a11
        # Coulomb: brakes and rolling resistance take speed away, down to nothing.
        loss = h * resist / mass
        if abs(u1) <= loss:
            u1 = 0.0
            if abs(v1) < CREEP and abs(r1) < CREEP:
                v1, r1 = 0.0, 0.0
        else:
            u1 -= loss if u1 > 0.0 else -loss
        ax = (u1 - u) / h
        r = r1
        vx, vy = c * u1 - s * v1, s * u1 + c * v1
        x += h * vx
        y += h * vy
        yaw += h * r
    b.yaw = yaw - 2.0 * np.pi * np.floor((yaw + np.pi) / (2.0 * np.pi))
    c, s = cos(yaw), sin(yaw)
    xyz[0], xyz[1] = x - p.offset * c, y - p.offset * s
    vel[0], vel[1] = vx + r * p.offset * s, vy - r * p.offset * c
    acc[0], acc[1] = (vel[0] - vx0) / dt, (vel[1] - vy0) / dt
    b.yaw_rate = r
    b.speed = vel[0] * c + vel[1] * s
    b.wheel_angle = angle
    if p.leans:
        b.roll = -atan(b.speed * r / G)  # rider and machine lean into the turn


def turning_radius(p: NDArray[np.void], steer: float, speed: float = 0.0) -> float:
    """Radius [m] of the rear axle's circle at creeping speed: wheelbase / tan(wheel angle)."""
    return float((p["front"] + p["rear"]) / tan(abs(wheel_angle_for(p, steer, speed))))
