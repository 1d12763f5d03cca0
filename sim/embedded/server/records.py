"""The records of a snapshot, and a kernel that fills in what changes with every tick, in place in the message.

In CARLA's frame and units: y to the right, degrees, km/h. A record is seen as what any actor has (ANY), what moves
(MOTION), and what vehicles, walkers and lights have besides, for which the bytes from 65 on mean something else each.
"""

from __future__ import annotations

from math import ceil, pi

import numpy as np

from roadcraft.sim.kernels import njit

CREEP = 0.002  # [m/s] that who stands before a stop sign and has to wait is told to move: see `stop_signs`
SIZE = 119  # bytes of a record
AT_LIGHT = 12.0  # [m] before a stop line from which a vehicle's origin counts as at the light
OVER_LINE = 1.0  # [m] of a vehicle's front past the line, from where it goes on whatever the light shows
KM_H = 3.6  # km/h in a m/s
GREEN = 2  # what a vehicle at no light is told
RED = 0  # what it is told, as in CARLA, before a stop sign until it may go on, though no light is there
DEGREES = 180.0 / pi


def _part(layout: str) -> np.dtype[np.void]:
    """A record's fields, each given as name, type and first byte."""
    fields = [field.split(":") for field in layout.split()]
    names, kinds, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": kinds, "offsets": list(map(int, offsets)), "itemsize": SIZE})


ANY = _part("id:<u4:0 state:u1:4 sign:S32:65")
MOTION = _part(
    "x:<f4:5 y:<f4:9 z:<f4:13 pitch:<f4:17 yaw:<f4:21 roll:<f4:25 vx:<f4:29 vy:<f4:33 vz:<f4:37 wx:<f4:41 wy:<f4:45 "
    "wz:<f4:49 ax:<f4:53 ay:<f4:57 az:<f4:61"
)
VEHICLE = _part(
    "throttle:<f4:65 steer:<f4:69 brake:<f4:73 hand_brake:u1:77 reverse:u1:78 manual:u1:79 gear:<i4:80 "
    "speed_limit:<f4:84 light_state:u1:88 has_light:u1:89 light_actor:<u4:90"
)
WALKER = _part("dx:<f4:65 dy:<f4:69 dz:<f4:73 speed:<f4:77")
LIGHT = _part("green:<f4:97 yellow:<f4:101 red:<f4:105 elapsed:<f4:109 pole:<u4:113 frozen:u1:117 light:u1:118")


@njit
def fill(  # type: ignore[no-untyped-def]  # numba's signature
    bodies,
    go,
    held,
    batched,
    rows,
    lanes,
    limits,
    default_limit,
    signals,
    light_rows,
    poles,
    actors,
    moved,
    driven,
    walking,
    lights,
):
    """The records of bodies in the order of `rows` (vehicles, walkers, props), and of the lights of `light_rows`.

    `go` (n,) bool: bodies that have made their stop at a sign; `held` (n,) those that are told to creep if they are
    `batched` (n,), by id: controlled in batches. `limits` [m/s] of lane points; `signals` rows of a LightTable;
    `poles`, `actors` of the network's signals. `moved` (rows,)
    MOTION, `driven` (v,) VEHICLE, `walking` (w,) WALKER, `lights` (light_rows,) LIGHT are views of the message.
    """
    vehicles, feet = driven.shape[0], driven.shape[0] + walking.shape[0]
    for k in range(rows.shape[0]):
        b = bodies[rows[k]]
        _motion(b, vehicles <= k < feet, moved[k])
        if k < vehicles:
            if held[rows[k]] and batched[rows[k]] == b.id:
                moved[k].vx += CREEP * np.cos(b.yaw)
                moved[k].vy -= CREEP * np.sin(b.yaw)
            _controls(b, go[rows[k]], lanes, limits, default_limit, signals, actors, driven[k])
        elif k < feet:
            out = walking[k - vehicles]
            out.dx, out.dy, out.speed = b.target_direction[0], 0.0 - b.target_direction[1], b.target_speed
    for k in range(light_rows.shape[0]):
        light, out = signals[light_rows[k]], lights[k]
        out.green, out.yellow, out.red, out.elapsed = light.green, light.yellow, light.red, light.elapsed
        out.frozen, out.light, out.pole = light.frozen, light.state, poles[light_rows[k]]


@njit
def _motion(b, on_foot, out):  # type: ignore[no-untyped-def]
    lift = b.extent[2] if on_foot else 0.0  # a walker's origin is its middle
    yaw = 0.0 - b.yaw * DEGREES
    out.x, out.y, out.z = b.xyz[0] + 0.0, 0.0 - b.xyz[1], np.float64(np.float32(b.xyz[2])) + lift
    out.pitch, out.roll = 0.0 - b.pitch * DEGREES, b.roll * DEGREES
    out.yaw = yaw - 360.0 * ceil((yaw - 180.0) / 360.0)
    out.vx, out.vy, out.vz = b.velocity[0] + 0.0, 0.0 - b.velocity[1], b.velocity[2] + 0.0
    out.wz = 0.0 - b.yaw_rate * DEGREES
    out.ax, out.ay, out.az = b.accel[0] + 0.0, 0.0 - b.accel[1], b.accel[2] + 0.0


@njit
def _controls(b, go, lanes, limits, default_limit, signals, actors, out):  # type: ignore[no-untyped-def]
    """A vehicle's controls, the speed limit where it is, the light that it is at or the stop sign."""
    out.throttle, out.steer, out.brake = b.throttle, 0.0 - b.steer, b.brake
    out.hand_brake, out.reverse, out.manual, out.gear = b.hand_brake, b.reverse, b.manual_gear, b.gear
    limit, signal, halt = default_limit, -1, False
    if b.lane >= 0:
        lane = lanes[b.lane]
        share = min(max(b.lane_s / max(lane.length, 1e-6), 0.0), 1.0)
        limit = limits[lane.first + int(np.rint(share * (lane.count - 1)))]
        ahead = lane.signal_s - b.lane_s
        if b.extent[0] - OVER_LINE < ahead < AT_LIGHT:
            signal = lane.signal
        halt = not go and lane.stop >= 0 and lane.stop_s - b.lane_s < AT_LIGHT
    out.speed_limit = limit * KM_H
    out.has_light = signal >= 0
    out.light_state = signals[signal].state if signal >= 0 else RED if halt else GREEN
    out.light_actor = actors[signal] if signal >= 0 else 0
