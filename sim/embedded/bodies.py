"""The moving things of the embedded simulator: one structured array, one row a vehicle, walker or prop.

World frame and SI units as in `sim/messages.py`. The array is owned by `state.Simulation`; the renderer, the traffic,
the ray casts and the server read the same rows.
"""

from __future__ import annotations

import numpy as np

BODY = np.dtype(
    [
        ("id", np.uint32),  # actor id, 0 for a free row
        ("kind", np.uint8),  # sim.messages.Kind
        ("blueprint", np.int16),  # index into catalogue.CATALOGUE
        ("color", np.uint8, 3),  # RGB of the paint or the clothes
        ("xyz", np.float64, 3),  # [m] origin: on the ground, below the middle of the bounding box
        ("yaw", np.float64),  # [rad]
        ("pitch", np.float64),  # [rad] positive nose down
        ("roll", np.float64),  # [rad]
        ("velocity", np.float64, 3),  # [m/s] world
        ("yaw_rate", np.float64),  # [rad/s]
        ("accel", np.float64, 3),  # [m/s^2] world, without gravity
        ("extent", np.float64, 3),  # [m] half sizes: length, width, height
        ("speed", np.float64),  # [m/s] along the body's own x axis, signed
        ("steer", np.float64),  # [-1, 1] left positive, as commanded
        ("throttle", np.float64),
        ("brake", np.float64),
        ("hand_brake", np.bool_),
        ("reverse", np.bool_),
        ("gear", np.int32),  # -1 reverse, 0 neutral, 1.. forward
        ("manual_gear", np.bool_),  # the gear is the owner's choice
        ("wheel_angle", np.float64),  # [rad] of the front wheels, left positive
        ("lights", np.uint32),  # CARLA's VehicleLightState bits
        ("physics", np.bool_),  # False: moved only by its owner
        ("collides", np.bool_),
        ("gravity", np.bool_),
        ("autopilot", np.int64),  # 0: driven by its owner; otherwise the seed of the built-in driver
        ("lane", np.int32),  # lane of the road network it is in, -1 when off the road
        ("lane_s", np.float64),  # [m] along that lane
        ("stride", np.float32),  # [rad] phase of a walker's steps
        ("posed", np.float32),  # 0 to 1: by how much a walker's limbs point where its owner wants, not as it walks ...
        ("limbs", np.float32, (4, 3)),  # ... unit vectors in its own frame: legs, arms, left first
        ("target_speed", np.float64),  # [m/s] walkers: as commanded
        ("target_direction", np.float64, 2),  # walkers: unit vector as commanded
    ]
)
