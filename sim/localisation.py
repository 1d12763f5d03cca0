"""Where the ego believes to be: GNSS, IMU and wheel sensors with their errors, the same in every world.

The GNSS error is an Ornstein-Uhlenbeck process a horizontal axis: standard deviation 1 m, correlation time 60 s, begun
in its stationary state. The others are white. All are drawn from the episode's seed, a fixed number a tick.
"""

from __future__ import annotations

from math import cos, exp, radians, sin, sqrt

import numpy as np

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
        self._offset = tuple(self._random.normal(0.0, GNSS_SIGMA, 2).tolist())  # [m] east, north
        self._noise: list[list[float]] = []
        self._decay = exp(-DT / GNSS_TIME)
        self._kick = GNSS_SIGMA * sqrt(1.0 - self._decay**2)

    def __call__(
        self,
        pose: tuple[float, float, float],
        velocity: tuple[float, float],
        accel: tuple[float, float],
        yaw_rate: float,
        steer: float,
    ) -> Ego:
        """The ego's own state from the true `pose` (x, y, yaw), `velocity` and `accel`, world frame."""
        if not self._noise:
            self._noise = self._random.standard_normal((BLOCK, 7)).tolist()
        east, north, turned, faster, turning, forward, left = self._noise.pop()
        dx, dy = self._offset
        self._offset = dx, dy = dx * self._decay + self._kick * east, dy * self._decay + self._kick * north
        (x, y, yaw), (vx, vy), (ax, ay) = pose, velocity, accel
        c, s = cos(yaw), sin(yaw)
        return Ego(
            xy_world=np.array((x + dx, y + dy)),
            yaw_world=yaw + YAW_SIGMA * turned,
            speed=vx * c + vy * s + SPEED_SIGMA * faster,
            yaw_rate=yaw_rate + YAW_RATE_SIGMA * turning,
            accel_ego=np.array((ax * c + ay * s + ACCEL_SIGMA * forward, ay * c - ax * s + ACCEL_SIGMA * left)),
            steer=steer,
        )
