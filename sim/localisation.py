"""Where the ego believes to be: GNSS, IMU and wheel sensors with their errors, the same in every world.

The GNSS error is an Ornstein-Uhlenbeck process a horizontal axis: standard deviation 1 m, correlation time 60 s, begun
in its stationary state. The others are white. All are drawn from the episode's seed, a fixed number a tick.
"""

from __future__ import annotations

from math import cos, exp, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.messages import DT, Ego

GNSS_SIGMA = 1.0  # m each axis
GNSS_TIME = 60.0  # s, correlation time
YAW_SIGMA = radians(0.2)  # rad
SPEED_SIGMA = 0.02  # m/s
YAW_RATE_SIGMA = 0.002  # rad/s
ACCEL_SIGMA = 0.05  # m/s^2
BLOCK = 1024  # ticks whose noise is drawn at once


class Localisation:
    """Call it once a tick."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 0x6055])
        self._offset = self._random.normal(0.0, GNSS_SIGMA, 2)
        self._noise: list[list[float]] = []
        self._decay = exp(-DT / GNSS_TIME)
        self._kick = GNSS_SIGMA * sqrt(1.0 - self._decay**2)

    def __call__(
        self,
        pose: NDArray[np.float64],
        velocity: NDArray[np.float64],
        accel: NDArray[np.float64],
        yaw_rate: float,
        steer: float,
    ) -> Ego:
        """The ego's own state from the true `pose` (x, y, yaw), `velocity` (2,) and `accel` (2,), world frame."""
        if not self._noise:
            self._noise = self._random.standard_normal((BLOCK, 7)).tolist()
        noise = self._noise.pop()
        self._offset[0] = self._offset[0] * self._decay + self._kick * noise[0]
        self._offset[1] = self._offset[1] * self._decay + self._kick * noise[1]
        yaw = float(pose[2])
        c, s = cos(yaw), sin(yaw)
        ax, ay = float(accel[0]), float(accel[1])
        return Ego(
            xy_world=pose[:2] + self._offset,
            yaw_world=yaw + YAW_SIGMA * noise[2],
            speed=float(velocity[0]) * c + float(velocity[1]) * s + SPEED_SIGMA * noise[3],
            yaw_rate=yaw_rate + YAW_RATE_SIGMA * noise[4],
            accel_ego=np.array((ax * c + ay * s + ACCEL_SIGMA * noise[5], ay * c - ax * s + ACCEL_SIGMA * noise[6])),
            steer=steer,
        )
