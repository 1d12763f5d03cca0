"""Bench2Drive's comfort: the share of two-second windows in which the drive stays within what people find pleasant.

At 10 Hz, smoothed and differentiated with a Savitzky-Golay filter of 7 samples and degree 2 (Savitzky and Golay, 1964);
the limits are nuPlan's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_TIME = 0.1  # s
WINDOW = 20  # samples
FILTER_LENGTH = 7  # samples
FILTER_DEGREE = 2
LON_ACCEL = (-4.05, 2.40)  # m/s^2
LAT_ACCEL = 4.89  # m/s^2
JERK = 8.37  # m/s^3
LON_JERK = 4.13  # m/s^3
YAW_RATE = 0.95  # rad/s
YAW_ACCEL = 1.93  # rad/s^2


def savgol(values: NDArray[np.float64], derivative: int = 0, dt: float = SAMPLE_TIME) -> NDArray[np.float64]:
    """Savitzky-Golay filter (length 7, degree 2) of (T,) samples, T >= 7, or its derivative.

    A polynomial is fitted to each window of 7 samples and evaluated at its centre; the first and last three samples are
    evaluated on the first and last window's polynomial.
    """
    if len(values) < FILTER_LENGTH:
        raise ValueError(f"savgol needs {FILTER_LENGTH} samples, got {len(values)}")
    half = FILTER_LENGTH // 2
    offsets = np.arange(-half, half + 1).astype(np.float64) * dt
    fit = np.linalg.pinv(np.vander(offsets, FILTER_DEGREE + 1, increasing=True))  # samples -> polynomial coefficients
    windows = np.lib.stride_tricks.sliding_window_view(values, FILTER_LENGTH)
    coefficients = windows @ fit.T  # (T - 6, 3): c0 + c1 t + c2 t^2 about each window's centre

    def evaluate(c: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
        if derivative == 0:
            return c[0] + c[1] * t + c[2] * t**2
        return c[1] + 2 * c[2] * t if derivative == 1 else np.full(len(t), 2 * c[2])

    middle = coefficients[:, derivative] * (2.0 if derivative == 2 else 1.0)
    head = evaluate(coefficients[0], offsets[:half])
    tail = evaluate(coefficients[-1], offsets[half + 1 :])
    return np.concatenate([head, middle, tail])


def comfort(velocity_ego: NDArray[np.float64], yaw: NDArray[np.float64]) -> float:
    """Share [0, 1] of the 20-sample windows within all limits; NaN when there is no window.

    `velocity_ego` (T, 2) [m/s] and `yaw` (T,) [rad], both at 10 Hz.
    """
    if len(yaw) < WINDOW:
        return float("nan")
    yaw = np.unwrap(yaw)
    vx, vy = velocity_ego.T
    yaw_rate = savgol(yaw, 1)
    lon, lat = savgol(vx, 1) - yaw_rate * vy, savgol(vy, 1) + yaw_rate * vx
    lon_jerk, lat_jerk = savgol(lon, 1), savgol(lat, 1)
    good = (lon > LON_ACCEL[0]) & (lon < LON_ACCEL[1]) & (np.abs(lat) < LAT_ACCEL)
    good &= (np.hypot(lon_jerk, lat_jerk) < JERK) & (np.abs(lon_jerk) < LON_JERK)
    good &= (np.abs(yaw_rate) < YAW_RATE) & (np.abs(savgol(yaw, 2)) < YAW_ACCEL)
    windows = np.lib.stride_tricks.sliding_window_view(good, WINDOW)[::WINDOW]
    return float(windows.all(axis=1).mean())
