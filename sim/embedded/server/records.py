"""The numbers of a snapshot that change with every tick, filled in by kernels: where bodies are, how they are driven.

In CARLA's frame and units: y to the right, degrees, km/h. Rows are in the order of the snapshot's records.
"""

from __future__ import annotations

from math import ceil, pi

import numpy as np

from roadcraft.sim.kernels import njit

AT_LIGHT = 12.0  # [m] before a stop line from which a vehicle's origin counts as at the light
OVER_LINE = 1.0  # [m] of a vehicle's front past the line, from where it goes on whatever the light shows
KM_H = 3.6  # km/h in a m/s
GREEN = 2  # what a vehicle at no light is told
DEGREES = 180.0 / pi

# One vehicle's controls and the light that it is at, as in the snapshot's record from byte 65 on.
DRIVEN = np.dtype(
    [
        ("throttle", "<f4"),
        ("steer", "<f4"),
        ("brake", "<f4"),
        ("hand_brake", "u1"),
        ("reverse", "u1"),
        ("manual", "u1"),
        ("gear", "<i4"),
        ("speed_limit", "<f4"),  # [km/h]
        ("light_state", "u1"),
        ("has_light", "u1"),
        ("light_actor", "<u4"),
    ]
)


@njit
def fill_motion(bodies, rows, first_walker, last_walker, moved):  # type: ignore[no-untyped-def]  # numba's signature
    """`moved` (n, 15): location, rotation (pitch, yaw, roll), velocity, angular velocity, acceleration of each row."""
    for k in range(rows.shape[0]):
        b, out = bodies[rows[k]], moved[k]
        lift = b.extent[2] if first_walker <= k < last_walker else 0.0  # a walker's origin is its middle
        yaw = 0.0 - b.yaw * DEGREES
        out[0], out[1], out[2] = b.xyz[0] + 0.0, 0.0 - b.xyz[1], np.float64(np.float32(b.xyz[2])) + lift
        out[3], out[4], out[5] = 0.0 - b.pitch * DEGREES, yaw - 360.0 * ceil((yaw - 180.0) / 360.0), b.roll * DEGREES
        out[6], out[7], out[8] = b.velocity[0] + 0.0, 0.0 - b.velocity[1], b.velocity[2] + 0.0
        out[9], out[10], out[11] = 0.0, 0.0, 0.0 - b.yaw_rate * DEGREES
        out[12], out[13], out[14] = b.accel[0] + 0.0, 0.0 - b.accel[1], b.accel[2] + 0.0


@njit
def fill_driven(bodies, rows, lanes, limits, default_limit, states, actors, driven):  # type: ignore[no-untyped-def]
    """`driven` (v,) DRIVEN of the first v rows. `limits` [m/s] of lane points; `states`, `actors` of signals."""
    for k in range(driven.shape[0]):
        b, out = bodies[rows[k]], driven[k]
        out.throttle, out.steer, out.brake = b.throttle, 0.0 - b.steer, b.brake
        out.hand_brake, out.reverse, out.manual, out.gear = b.hand_brake, b.reverse, b.manual_gear, b.gear
        limit, signal = default_limit, -1
        if b.lane >= 0:
            lane = lanes[b.lane]
            share = min(max(b.lane_s / max(lane.length, 1e-6), 0.0), 1.0)
            limit = limits[lane.first + int(np.rint(share * (lane.count - 1)))]
            ahead = lane.signal_s - b.lane_s
            if b.extent[0] - OVER_LINE < ahead < AT_LIGHT:
                signal = lane.signal
        out.speed_limit = limit * KM_H
        out.has_light = signal >= 0
        out.light_state = states[signal] if signal >= 0 else GREEN
        out.light_actor = actors[signal] if signal >= 0 else 0
