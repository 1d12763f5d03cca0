"""The car we drive, as its driver knows it: where its ends are, how pedals and steering answer.

A stack is fitted to its vehicle; ours is the default ego, CARLA's Lincoln MKZ 2020. Steering: bicycle model (Rajamani,
"Vehicle Dynamics and Control", ch. 2) behind CARLA's steering curve and Ackermann's geometry. Pedals: straight lines
fitted to step responses. The functions are jitted so that the features and the environment can call them.
"""

from __future__ import annotations

from math import atan, radians, tan

from roadcraft.sim.kernels import kernel

WHEELBASE = 2.85  # m
REAR_AXLE = 1.425  # m behind the actor's origin
HALF_LENGTH = 2.45  # m
HALF_WIDTH = 0.92  # m
HALF_TRACK = 0.27  # of the wheelbase
FULL_LOCK = radians(70.0)  # rad of the inner wheel at |steer| = 1
ACCEL_MAX = 3.0  # m/s^2 that a driver may ask for
BRAKE_MAX = 8.0  # m/s^2 likewise; the tyres hold about 9.8 on a dry road
FULL_BRAKE = 10.3  # m/s^2 of brake = 1, fitted
FULL_THROTTLE = 5.3  # m/s^2 of throttle = 1 below 12 m/s, fitted
POWER = 66.0  # W/kg: above, acceleration is this over speed, fitted
ROLLING = 0.12  # m/s^2 of rolling resistance
COAST = 0.5  # m/s^2 of a closed throttle above 7 m/s, less below


@kernel
def lock_at(speed: float) -> float:
    """Inner wheel's angle [rad] at full steering, CARLA's: 1, .9, .8, .7 of 70 degrees at 0, 20, 60, 120 km/h."""
    kmh = abs(speed) * 3.6
    if kmh < 20.0:
        share = 1.0 - 0.1 * kmh / 20.0
    elif kmh < 60.0:
        share = 0.9 - 0.1 * (kmh - 20.0) / 40.0
    else:
        share = 0.8 - 0.1 * min(1.0, (kmh - 60.0) / 60.0)
    return share * FULL_LOCK


@kernel
def steer_for(curvature: float, speed: float) -> float:
    """Steering [-1, 1] (left positive) that drives an arc of `curvature` [1/m] at `speed` [m/s]."""
    tangent = abs(curvature) * WHEELBASE
    if tangent < 1e-9:
        return 0.0
    inner = atan(1.0 / max(1.0 / tangent - HALF_TRACK, 0.05))
    steer = min(1.0, inner / lock_at(speed))
    return steer if curvature > 0.0 else -steer


@kernel
def curvature_of(steer: float, speed: float) -> float:
    """Inverse of `steer_for`: curvature [1/m] of the arc that `steer` drives at `speed` [m/s]."""
    inner = abs(steer) * lock_at(speed)
    if inner < 1e-9:
        return 0.0
    curvature = 1.0 / (WHEELBASE * (1.0 / tan(inner) + HALF_TRACK))
    return curvature if steer > 0.0 else -curvature


@kernel
def coasting(speed: float) -> float:
    """Deceleration [m/s^2] >= 0 with no pedal pressed."""
    return ROLLING + COAST * min(1.0, abs(speed) / 7.0)


@kernel
def throttle_for(accel: float, speed: float) -> float:
    """Throttle [0, 1] for an acceleration [m/s^2] at `speed` [m/s]; 0 where rolling out is already too slow."""
    full = min(FULL_THROTTLE, POWER / max(abs(speed), 1.0))
    if accel <= -0.05 and speed < 1.0:
        return 0.0
    return min(1.0, max(0.0, (accel + coasting(speed)) / full))


@kernel
def brake_for(accel: float, speed: float) -> float:
    """Brake [0, 1] for an acceleration [m/s^2], negative slows down. Standing, it holds the car."""
    if accel <= 0.0 and abs(speed) < 0.3:
        return max(0.3, min(1.0, -accel / FULL_BRAKE))
    if accel > -coasting(speed):
        return 0.0
    return min(1.0, max(0.0, (-accel - ROLLING) / FULL_BRAKE))


@kernel
def rear_axle_arc(x: float, y: float) -> float:
    """Curvature [1/m] of the arc from the rear axle, tangent to the car, through the ego-frame point (x, y) [m].

    Pure pursuit (Coulter 1992): 2 sin(alpha) / distance.
    """
    dx = x + REAR_AXLE
    return 2.0 * y / max(dx * dx + y * y, 1.0)


@kernel
def accel_of(throttle: float, brake: float, speed: float) -> float:
    """Acceleration [m/s^2] that these pedals give at `speed` [m/s]: inverts `throttle_for` and `brake_for`."""
    if brake > 0.0:
        return -ROLLING - brake * FULL_BRAKE
    return throttle * min(FULL_THROTTLE, POWER / max(abs(speed), 1.0)) - coasting(speed)
