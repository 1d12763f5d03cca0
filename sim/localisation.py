"""Where the ego believes to be: GNSS, IMU and wheel sensors with their errors, the same in every world.

The GNSS error is an Ornstein-Uhlenbeck process a horizontal axis: standard deviation 1 m, correlation time 60 s, begun
in its stationary state. The others are white. All are drawn from the episode's seed, a fixed number a tick.
"""

from __future__ import annotations

from math import cos, exp, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import DT, Ego

GNSS_SIGMA = 1.0  # m each axis
GNSS_TIME = 60.0  # s, correlation time
YAW_SIGMA = radians(0.2)  # rad
SPEED_SIGMA = 0.02  # m/s
YAW_RATE_SIGMA = 0.002  # rad/s
ACCEL_SIGMA = 0.05  # m/s^2
BLOCK = 1024  # ticks whose noise is drawn at once
NOISES = 7  # of each tick
_DECAY = exp(-DT / GNSS_TIME)
_KICK = GNSS_SIGMA * sqrt(1.0 - _DECAY**2)


@kernel
def sense_ego(
    state: NDArray[np.float64],
    noise: NDArray[np.float64],
    row: int,
    offset: NDArray[np.float64],
    xy: NDArray[np.float64],
    accel: NDArray[np.float64],
) -> tuple[float, float, float]:
    """Yaw, speed and yaw rate as sensed in `state` (8,); fills the place `xy` (2,) and `accel` (2,), ego frame.

    `noise` (BLOCK, NOISES): standard normals, of which this tick's are in `row`; `offset` (2,) [m] of GNSS moves on.
    """
    for axis in range(2):
        offset[axis] = offset[axis] * _DECAY + _KICK * noise[row, axis]
        xy[axis] = state[axis] + offset[axis]
    yaw, vx, vy, ax, ay = state[2], state[3], state[4], state[5], state[6]
    c, s = cos(yaw), sin(yaw)
    accel[0] = ax * c + ay * s + ACCEL_SIGMA * noise[row, 5]
    accel[1] = ay * c - ax * s + ACCEL_SIGMA * noise[row, 6]
    speed = vx * c + vy * s + SPEED_SIGMA * noise[row, 3]
    return yaw + YAW_SIGMA * noise[row, 2], speed, state[7] + YAW_RATE_SIGMA * noise[row, 4]


class Localisation:
    """The sensors of one episode."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 0x6055])
        self.offset = self._random.normal(0.0, GNSS_SIGMA, 2)  # [m] east, north
        self._noise, self._row = np.zeros((0, NOISES)), 0

    def draw(self) -> tuple[NDArray[np.float64], int]:
        """The next tick's noise, as `sense_ego` takes it."""
        if self._row == 0:
            self._noise, self._row = self._random.standard_normal((BLOCK, NOISES)), BLOCK
        self._row -= 1
        return self._noise, self._row

    def __call__(self, state: NDArray[np.float64], steer: float) -> Ego:
        """What the ego senses in the next tick, in `state` (8,): x, y [m], yaw [rad], velocity (2,) [m/s], acceleration
        (2,) [m/s^2], yaw rate [rad/s]; world frame."""
        xy, accel = np.empty(2), np.empty(2)
        yaw, speed, yaw_rate = sense_ego(state, *self.draw(), self.offset, xy, accel)
        return Ego(xy, yaw, speed, yaw_rate, accel, steer)
