"""The numbers that make one vehicle: CARLA's VehiclePhysicsControl in SI units, and the row that the kernels read.

`Physics` is what a user may change. `PHYSICS` is the same as one row of plain numbers, with the curves sampled evenly,
so that the kernel needs no search.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import atan, inf, pi, radians, tan

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.catalogue import CATALOGUE, find
from roadcraft.sim.errors import UserError

G = 9.81  # m/s^2
AIR_DENSITY = 1.2  # kg/m^3
TORQUE_SAMPLES = 33
STEERING_SAMPLES = 33
STEERING_SPEED = 64.0  # m/s at the last sample of the steering curve
MAX_GEARS = 8
TIRE_FRICTION = 3.5  # CARLA's default `tire_friction`
DRY_FRICTION = 1.0  # the largest force along a dry road per load, however sticky the tyres are
ROAD_FRICTION = 0.7  # of Unreal's surfaces, by which it multiplies `tire_friction` (UTireConfig::GetTireFriction)

PHYSICS = np.dtype(
    [
        ("mass", np.float64),  # [kg]
        ("inertia", np.float64),  # [kg m^2] about the vertical axis
        ("front", np.float64),  # [m] from the centre of mass to the front axle
        ("rear", np.float64),  # [m] from the centre of mass to the rear axle
        ("height", np.float64),  # [m] of the centre of mass
        ("offset", np.float64),  # [m] of the centre of mass ahead of the body's origin
        ("friction", np.float64),  # largest force per load along a dry road
        ("cornering", np.float64),  # largest force per load in any direction, on a dry road
        ("stiffness", np.float64),  # [1/rad] cornering stiffness of a tyre per newton of load
        ("drag", np.float64),  # [N s^2/m^2] half air density times drag area
        ("rolling", np.float64),  # rolling resistance coefficient
        ("max_brake", np.float64),  # [N] all wheels
        ("max_hand_brake", np.float64),  # [N] rear wheels
        ("max_steer", np.float64),  # [rad] of the inner wheel at lock
        ("half_track", np.float64),  # [m] half the track over the wheelbase, for Ackermann's geometry
        ("steer_rate", np.float64),  # [rad/s] of the wheels
        ("radius", np.float64),  # [m] of a wheel
        ("max_rpm", np.float64),
        ("engine_drag", np.float64),  # [N m] of the closed throttle at max_rpm
        ("shift_rpm", np.float64),  # the gearbox shifts up here
        ("efficiency", np.float64),  # of the drive train
        ("gears", np.int32),
        ("ratio", np.float64, MAX_GEARS),  # gear ratios times the final drive
        ("reverse_ratio", np.float64),
        ("torque", np.float64, TORQUE_SAMPLES),  # [N m] at even steps up to max_rpm
        ("steering", np.float64, STEERING_SAMPLES),  # factor at even steps up to STEERING_SPEED
        ("leans", np.bool_),  # two wheels
    ]
)


@dataclass(frozen=True, slots=True)
class Physics:
    """CARLA's VehiclePhysicsControl, with SI units and radians; one wheel stands for all."""

    mass: float  # [kg]
    wheels: int
    wheelbase: float  # [m]
    track: float  # [m]
    length: float  # [m] of the body, for its moment of inertia
    radius: float  # [m] of a wheel
    centre_of_mass: tuple[float, float, float]  # [m] from the body's origin; x and z count
    torque_curve: tuple[tuple[float, float], ...]  # (rpm, N m)
    max_rpm: float
    gears: tuple[float, ...]  # forward ratios
    reverse_gear: float
    final_ratio: float
    steering_curve: tuple[tuple[float, float], ...]  # (km/h as in CARLA, factor)
    drag_area: float  # [m^2] drag coefficient times frontal area
    max_steer: float  # [rad] of the inner wheel at lock
    max_brake_torque: float  # [N m] a wheel
    max_hand_brake_torque: float  # [N m] a rear wheel
    tire_friction: float = TIRE_FRICTION  # CARLA's scale
    tire_stiffness: float = 15.0  # [1/rad] cornering stiffness per newton of load
    efficiency: float = 0.88  # of the drive train
    rolling: float = 0.012  # rolling resistance coefficient
    moment_of_inertia: float = 1.0  # [kg m^2] of the engine
    damping_full_throttle: float = 0.15
    damping_zero_engaged: float = 2.0
    damping_zero_disengaged: float = 0.35
    automatic: bool = True
    gear_switch_time: float = 0.5  # [s]
    clutch_strength: float = 10.0


_GEARS = {
    "car": (4.58, 2.96, 1.91, 1.45, 1.0, 0.75),
    "truck": (6.7, 3.8, 2.3, 1.5, 1.0, 0.75),
    "motorcycle": (2.7, 2.0, 1.6, 1.35, 1.2, 1.1),
    "bicycle": (2.6, 1.7, 1.25, 1.0),
}
_MAX_RPM = {"car": 6000.0, "truck": 3000.0, "motorcycle": 11000.0, "bicycle": 400.0}
_RADIUS = {"car": 0.34, "truck": 0.48, "motorcycle": 0.31, "bicycle": 0.34}
_TOP_SPEED = {"car": 62.0, "truck": 33.0, "motorcycle": 68.0, "bicycle": 13.0}  # [m/s] at max_rpm in the last gear
# A naturally shaped torque curve: share of the peak torque over share of the largest speed.
_TORQUE_SHAPE = ((0.0, 0.7), (0.15, 0.85), (0.4, 1.0), (0.7, 0.96), (0.9, 0.85), (1.0, 0.7))
_STEERING_CURVE = ((0.0, 1.0), (20.0, 0.9), (60.0, 0.8), (120.0, 0.7))


@lru_cache
def default_physics(blueprint: str) -> Physics:
    """How the vehicle of that blueprint is built, from its mass, size and engine power."""
    b = find(blueprint)
    if not b.is_vehicle:
        raise UserError(f"'{blueprint}' is no vehicle")
    family = "truck" if b.base_type in ("truck", "bus") and b.mass > 4000 else b.base_type
    family = family if family in _GEARS else "car"
    max_rpm, gears, radius = _MAX_RPM[family], _GEARS[family], _RADIUS[family]
    # Power peaks near 0.9 of max_rpm, where the shape has 0.85 of the peak torque.
    peak = b.power / (0.9 * 0.85 * max_rpm * 2 * pi / 60)
    brake = 1.05 * DRY_FRICTION * b.mass * G * radius / b.wheels
    heavy = family == "truck"
    return Physics(
        mass=b.mass,
        wheels=b.wheels,
        wheelbase=b.wheelbase,
        track=0.85 * 2 * b.extent[1] if b.wheels == 4 else 0.0,
        length=2 * b.extent[0],
        radius=radius,
        centre_of_mass=(0.0, 0.0, (0.37 if b.wheels == 4 else 0.4) * 2 * b.extent[2] * (0.85 if heavy else 1.0)),
        torque_curve=tuple((x * max_rpm, y * peak) for x, y in _TORQUE_SHAPE),
        max_rpm=max_rpm,
        gears=gears,
        reverse_gear=gears[0] * 0.8,
        final_ratio=max_rpm * 2 * pi / 60 * radius / (gears[-1] * _TOP_SPEED[family]),
        steering_curve=_STEERING_CURVE,
        drag_area=b.drag_area,
        max_steer=radians(70.0 if b.wheels == 4 and not heavy else 50.0 if heavy else 40.0),
        max_brake_torque=brake * (0.8 if heavy else 1.0),
        max_hand_brake_torque=brake * 1.2,
        tire_stiffness=15.0 if not heavy else 9.0,
    )


def pack(physics: Physics) -> NDArray[np.void]:
    """The kernels' row () PHYSICS. Raises UserError when a value cannot be."""
    _check(physics)
    p = physics
    row = np.zeros((), PHYSICS)
    row["mass"] = p.mass
    row["front"], row["rear"] = p.wheelbase / 2 - p.centre_of_mass[0], p.wheelbase / 2 + p.centre_of_mass[0]
    # A box of the body's length and track: m (l^2 + w^2) / 12; real cars have mass further in, hence 0.9.
    row["inertia"] = 0.9 * p.mass * (p.length**2 + p.track**2) / 12
    row["height"], row["offset"] = max(p.centre_of_mass[2], 0.05), p.centre_of_mass[0]
    row["friction"] = min(p.tire_friction, DRY_FRICTION)
    row["cornering"] = max(row["friction"], min(ROAD_FRICTION * p.tire_friction, _tipping(p)))
    row["stiffness"] = p.tire_stiffness
    row["drag"], row["rolling"] = 0.5 * AIR_DENSITY * p.drag_area, p.rolling
    row["max_brake"] = p.max_brake_torque * p.wheels / p.radius
    row["max_hand_brake"] = p.max_hand_brake_torque * (p.wheels / 2) / p.radius
    row["max_steer"], row["half_track"] = p.max_steer, p.track / 2 / p.wheelbase
    row["steer_rate"] = 6.0 if p.mass < 3500 else 3.0
    row["radius"], row["max_rpm"], row["shift_rpm"] = p.radius, p.max_rpm, 0.8 * p.max_rpm
    rpm, torque = np.array(p.torque_curve, float).T
    row["torque"] = np.interp(np.linspace(0, p.max_rpm, TORQUE_SAMPLES), rpm, torque)
    row["engine_drag"] = 0.06 * p.damping_zero_engaged * float(np.max(torque)) if p.mass > 100 else 0.0
    row["efficiency"] = p.efficiency
    row["gears"] = len(p.gears)
    row["ratio"][: len(p.gears)] = np.array(p.gears) * p.final_ratio
    row["reverse_ratio"] = abs(p.reverse_gear) * p.final_ratio
    speed, factor = np.array(p.steering_curve, float).T
    row["steering"] = np.interp(np.linspace(0, STEERING_SPEED, STEERING_SAMPLES), speed / 3.6, factor)
    row["leans"] = p.wheels == 2
    return row


def _tipping(p: Physics) -> float:
    """Lateral acceleration [g] at which inner wheels would lift: half the track over the height of the centre of mass.
    Vehicles here slide instead; those on two wheels have no more grip sideways than along the road."""
    return p.track / 2 / max(p.centre_of_mass[2], 0.05)


def _check(p: Physics) -> None:
    limits = {
        "mass": (1.0, 1e6),
        "wheelbase": (0.1, 50.0),
        "radius": (0.01, 5.0),
        "max_rpm": (1.0, 1e6),
        "final_ratio": (1e-3, 1e3),
        "tire_friction": (0.0, 100.0),
        "max_steer": (0.0, radians(89.0)),
        "max_brake_torque": (0.0, inf),
        "max_hand_brake_torque": (0.0, inf),
        "drag_area": (0.0, 1e4),
    }
    for name, (low, high) in limits.items():
        value = getattr(p, name)
        if not low <= value <= high:
            raise UserError(f"physics: {name} = {value} is outside [{low:g}, {high:g}]")
    if not 1 <= len(p.gears) <= MAX_GEARS:
        raise UserError(f"physics: {len(p.gears)} gears; between 1 and {MAX_GEARS} are possible")
    for name in ("torque_curve", "steering_curve"):
        curve = np.array(getattr(p, name), float)
        if curve.ndim != 2 or curve.shape[1] != 2 or not np.isfinite(curve).all() or (np.diff(curve[:, 0]) < 0).any():
            raise UserError(f"physics: {name} must be pairs with rising first numbers")


@lru_cache
def _default_rows() -> NDArray[np.void]:
    rows = np.zeros(len(CATALOGUE), PHYSICS)
    for k, blueprint in enumerate(CATALOGUE):
        if blueprint.is_vehicle:
            rows[k] = pack(default_physics(blueprint.id))
        else:
            rows[k]["mass"] = blueprint.mass
            sides = (2 * blueprint.extent[0]) ** 2 + (2 * blueprint.extent[1]) ** 2
            rows[k]["inertia"] = blueprint.mass * sides / 12
            rows[k]["friction"] = 0.7
    rows.setflags(write=False)
    return rows


def default_row(blueprint: int) -> NDArray[np.void]:
    """The row () PHYSICS of CATALOGUE[blueprint]; walkers and props have mass, inertia and friction only."""
    return _default_rows()[blueprint]


def single_track_angle(inner: float, half_track: float) -> float:
    """Angle [rad] of the one wheel that stands for both, from the inner wheel's (Ackermann: cot = cot inner + w/2L)."""
    if inner == 0.0:
        return 0.0
    sign = 1.0 if inner > 0 else -1.0
    return sign * atan(1.0 / (1.0 / tan(abs(inner)) + half_track))


def with_friction(physics: Physics, tire_friction: float) -> Physics:
    """The same vehicle on other tyres or another road."""
    return replace(physics, tire_friction=tire_friction)
