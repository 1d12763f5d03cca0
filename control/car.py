"""The car we drive, as its driver knows it: where its ends are, how pedals and steering answer.

A stack is fitted to its vehicle; ours is the default ego, a Lincoln MKZ 2020 (bicycle model, Rajamani, "Vehicle
Dynamics and Control", ch. 2). The functions are jitted so that the features and the environment can call them.
"""

from __future__ import annotations

from math import atan, cos, radians, sin, tan

from numba import njit

WHEELBASE = 2.86  # m, Lincoln MKZ 2020
REAR_AXLE = 1.43  # m behind the actor's origin
HALF_LENGTH = 2.45  # m
HALF_WIDTH = 0.92  # m, without mirrors (1.06 with)
FULL_LOCK = radians(70.0)  # rad of the front wheels at |steer| = 1, as CARLA gives this car
ACCEL_MAX = 3.0  # m/s^2 that the policy may ask for
BRAKE_MAX = 8.0  # m/s^2 of a full brake on a dry road
DRAG = 0.12  # m/s^2 of rolling resistance
DRAG_SQUARE = 0.0006  # 1/m: air drag = DRAG_SQUARE * v^2


@njit(cache=True)
def steer_for(curvature: float, speed: float) -> float:
    """Steering [-1, 1] (left positive) that drives an arc of `curvature` [1/m] at `speed` [m/s]."""
    understeer = 1.0 + 0.0015 * speed * speed
    steer = atan(curvature * WHEELBASE * understeer) / FULL_LOCK
    return min(1.0, max(-1.0, steer))


@njit(cache=True)
def curvature_of(steer: float, speed: float) -> float:
    """Inverse of `steer_for`: curvature [1/m] that `steer` drives at `speed` [m/s]."""
    return tan(steer * FULL_LOCK) / (WHEELBASE * (1.0 + 0.0015 * speed * speed))


@njit(cache=True)
def throttle_for(accel: float, speed: float) -> float:
    """Throttle [0, 1] for an acceleration [m/s^2] at `speed` [m/s]; 0 where rolling out is already too slow."""
    need = accel + DRAG + DRAG_SQUARE * speed * speed
    return min(1.0, max(0.0, need / full_throttle(speed)))


@njit(cache=True)
def full_throttle(speed: float) -> float:
    """Acceleration [m/s^2] that a full throttle gives at `speed` [m/s]: traction first, then power."""
    return min(5.0, 60.0 / max(speed, 1.0))


@njit(cache=True)
def brake_for(accel: float, speed: float) -> float:
    """Brake [0, 1] for an acceleration [m/s^2], negative slows down. Standing, it holds the car."""
    need = -accel - DRAG - DRAG_SQUARE * speed * speed
    if accel <= 0.0 and abs(speed) < 0.3:
        return max(0.5, min(1.0, need / BRAKE_MAX))
    return min(1.0, max(0.0, need / BRAKE_MAX))


@njit(cache=True)
def rear_axle_arc(x: float, y: float) -> float:
    """Curvature [1/m] of the arc from the rear axle, tangent to the car, through the ego-frame point (x, y) [m].

    Pure pursuit (Coulter 1992): 2 sin(alpha) / distance.
    """
    dx = x + REAR_AXLE
    square = dx * dx + y * y
    return 2.0 * y / max(square, 1.0)


@njit(cache=True)
def advance(x: float, y: float, yaw: float, curvature: float, distance: float) -> tuple[float, float, float]:
    """A pose after driving `distance` [m] on an arc."""
    turn = curvature * distance
    if abs(turn) < 1e-6:
        return x + distance * cos(yaw), y + distance * sin(yaw), yaw
    x += (sin(yaw + turn) - sin(yaw)) / curvature
    y += (cos(yaw) - cos(yaw + turn)) / curvature
    return x, y, yaw + turn
