"""The filter of a track: constant velocity with white acceleration (Bar-Shalom, Li, Kirubarajan 2001, section 6.3).

Its state is x, y [m], vx, vy [m/s] in the odometry frame. Range and bearing of a detection err differently and so does
the velocity that the network reads from its own memory.
"""

from __future__ import annotations

import math

import numpy as np

from roadcraft.sim.kernels import njit

ACCEL = np.array([2.5, 2.0, 1.2])  # [m/s^2] how hard vehicles, cyclists and pedestrians manoeuvre
BEARING_SIGMA = 0.008  # [rad]
START_SPEED = np.array([6.0, 4.0, 1.5])  # [m/s] what a new object's speed may be
CORRELATION = 0.6  # [s] in which the network's error in a velocity forgets itself


@njit
def predict(mean, cov, group, dt):  # type: ignore[no-untyped-def]
    """Moves a state (4,) with its covariance (4, 4) `dt` [s] on, in place."""
    noise = ACCEL[group] ** 2
    for i in range(2):
        mean[i] += dt * mean[i + 2]
        for j in range(2):
            cov[i, j] += dt * (cov[i, j + 2] + cov[i + 2, j]) + dt * dt * cov[i + 2, j + 2]
            cov[i, j + 2] += dt * cov[i + 2, j + 2]
            cov[i + 2, j] += dt * cov[i + 2, j + 2]
        cov[i, i] += noise * dt**4 / 4
        cov[i, i + 2] += noise * dt**3 / 2
        cov[i + 2, i] += noise * dt**3 / 2
        cov[i + 2, i + 2] += noise * dt**2


@njit
def measure(d, pose, z, r):  # type: ignore[no-untyped-def]
    """Fills z (4,) and its covariance r (4, 4) with what a DETECTION says, seen from the ego's pose x, y, yaw."""
    c, s = math.cos(pose[2]), math.sin(pose[2])
    x, y = float(d.xy_ego[0]), float(d.xy_ego[1])
    vx, vy = float(d.velocity_ego[0]), float(d.velocity_ego[1])
    ahead, aside = c * x - s * y, s * x + c * y
    z[0], z[1], z[2], z[3] = pose[0] + ahead, pose[1] + aside, c * vx - s * vy, s * vx + c * vy
    distance = math.hypot(x, y)
    ahead, aside = ahead / max(distance, 0.1), aside / max(distance, 0.1)
    along, across = max(d.range_sigma, 0.15) ** 2, (BEARING_SIGMA * distance + 0.1) ** 2
    r[:] = 0.0
    r[0, 0] = across + (along - across) * ahead * ahead
    r[1, 1] = across + (along - across) * aside * aside
    r[0, 1] = r[1, 0] = (along - across) * ahead * aside
    r[2, 2] = r[3, 3] = max(d.velocity_sigma, 0.3) ** 2


@njit
def begin(z, r, group, mean, cov):  # type: ignore[no-untyped-def]
    """Fills a new state: the network's velocity, as far as it can be believed, beside "about still"."""
    prior, noise = START_SPEED[group] ** 2, r[2, 2]
    cov[:] = 0.0
    for i in range(2):
        mean[i], mean[i + 2] = z[i], z[i + 2] * prior / (prior + noise)
        cov[i, 0], cov[i, 1] = r[i, 0], r[i, 1]
        cov[i + 2, i + 2] = prior * noise / (prior + noise)


@njit
def correct(mean, cov, z, r, dt, gain, room):  # type: ignore[no-untyped-def]
    """Takes in a measurement `dt` [s] after the last one, in place. gain, room: (4, 4) to work in."""
    repeats = max(1.0, CORRELATION / max(dt, 1e-3))  # frames in a row repeat an error
    for i in range(4):
        for j in range(4):
            room[i, j] = cov[i, j] + r[i, j] * (repeats if i >= 2 else 1.0)
    _invert(room)
    _product(cov, room, gain)
    x, y, vx, vy = z[0] - mean[0], z[1] - mean[1], z[2] - mean[2], z[3] - mean[3]
    for i in range(4):
        mean[i] += gain[i, 0] * x + gain[i, 1] * y + gain[i, 2] * vx + gain[i, 3] * vy
    _product(gain, cov, room)
    for i in range(4):
        for j in range(4):
            cov[i, j] -= room[i, j]


@njit
def _product(a, b, out):  # type: ignore[no-untyped-def]
    for i in range(4):
        for j in range(4):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j] + a[i, 3] * b[3, j]


@njit
def _invert(a):  # type: ignore[no-untyped-def]
    """Inverts a positive definite matrix in place, by Gauss and Jordan: such need no pivots."""
    for k in range(len(a)):
        pivot = 1.0 / a[k, k]
        a[k, k] = 1.0
        for j in range(len(a)):
            a[k, j] *= pivot
        for i in range(len(a)):
            if i != k:
                factor = a[i, k]
                a[i, k] = 0.0
                for j in range(len(a)):
                    a[i, j] -= factor * a[k, j]
