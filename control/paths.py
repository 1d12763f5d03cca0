"""Kernels over a planned path: points (T, 2) [m] in the ego frame, about 1 m apart, from beside the ego on."""

from __future__ import annotations

from math import atan2, sqrt

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import rear_axle_arc
from roadcraft.sim.kernels import kernel, njit
from roadcraft.sim.norm import norm

LATERAL_ACCEL = 2.5  # m/s^2 in curves that a passenger accepts (Bae et al. 2019: below 3)
COMFORT_BRAKE = 2.0  # m/s^2
FAR_OFF = 9.0  # m^2 from a place, beyond which parts of a path are passed over when its nearest point is looked for
LINE_MARGIN, LIGHT_MARGIN = 0.8, 1.6  # m between the bumper and the line of a stop sign, of a light: whoever stands
# over the latter no longer sees the light that is for him


@njit
def stations(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Arc length (T,) [m] of each point."""
    s = np.empty(len(path))
    note_stations(path, s)
    return s


@kernel
def note_stations(path: NDArray[np.float64], s: NDArray[np.float64]) -> None:
    """Fills `s` (T,) with them."""
    s[0] = 0.0
    for i in range(1, len(path)):
        s[i] = s[i - 1] + norm(path[i, 0] - path[i - 1, 0], path[i, 1] - path[i - 1, 1])


@njit
def headings(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction (T,) [rad] of the path at each point; a repeated last point keeps the direction before it."""
    yaw = np.empty(len(path))
    for i in range(len(path)):
        yaw[i] = heading_at(path, i)
    return yaw


@kernel
def heading_at(path: NDArray[np.float64], i: int) -> float:
    """The same at one of the points."""
    n = len(path)
    while i >= 0:
        a, b = max(0, i - 1), min(n - 1, i + 1)
        dx, dy = path[b, 0] - path[a, 0], path[b, 1] - path[a, 1]
        if dx * dx + dy * dy > 0.01:
            return atan2(dy, dx)
        i -= 1
    return 0.0


@njit
def curvatures(path: NDArray[np.float64], reach: int = 2) -> NDArray[np.float64]:
    """Curvature (T,) [1/m] of the circle through points `reach` before, at and after each point (Menger)."""
    n = len(path)
    k = np.zeros(n)
    for i in range(n):
        a, b = i - reach, i + reach
        if a < 0 or b >= n:
            continue
        ux, uy = path[i, 0] - path[a, 0], path[i, 1] - path[a, 1]
        vx, vy = path[b, 0] - path[i, 0], path[b, 1] - path[i, 1]
        product = sqrt((ux * ux + uy * uy) * (vx * vx + vy * vy) * ((ux + vx) ** 2 + (uy + vy) ** 2))
        if product > 1e-3:
            k[i] = 2.0 * (ux * vy - uy * vx) / product
    for i in range(min(reach, n - reach - 1)):
        k[i] = k[reach]
    return k


@kernel
def point_at(path: NDArray[np.float64], s: NDArray[np.float64], at: float) -> tuple[float, float]:
    """The path's point at arc length `at` [m]; beyond the end it goes straight on."""
    n = len(path)
    i = 1
    while i < n - 1 and s[i] < at:
        i += 1
    while i > 1 and s[i] - s[i - 1] < 1e-6:
        i -= 1
    length = max(s[i] - s[i - 1], 1e-6)
    u = (at - s[i - 1]) / length
    return path[i - 1, 0] + u * (path[i, 0] - path[i - 1, 0]), path[i - 1, 1] + u * (path[i, 1] - path[i - 1, 1])


@kernel
def nearest_on(path: NDArray[np.float64], s: NDArray[np.float64], x: float, y: float) -> tuple[int, float, float]:
    """Where on the path a place is nearest: the point before, the share of the way to the next; and how far to the left
    of it the place lies [m]. `s` (T,): the path's stations."""
    best, at, share, left = 1e18, 0, 0.0, False
    clear = -1.0  # [m] station up to which nothing more can be as near
    for i in range(len(path) - 1):
        if s[i + 1] < clear:
            continue
        ux, uy = path[i + 1, 0] - path[i, 0], path[i + 1, 1] - path[i, 1]
        square = ux * ux + uy * uy
        if square < 1e-9:
            continue
        vx, vy = x - path[i, 0], y - path[i, 1]
        along = vx * ux + vy * uy
        u = 0.0 if along <= 0.0 else 1.0 if along >= square else along / square
        ex, ey = vx - u * ux, vy - u * uy
        d2 = ex * ex + ey * ey
        if d2 < best:
            best, at, share, left = d2, i, u, ux * vy - uy * vx > 0
        elif vx * vx + vy * vy > 4.0 * best + FAR_OFF:
            clear = s[i] + sqrt(vx * vx + vy * vy) - sqrt(best) - 1e-6
    if best == 1e18:
        return 0, 0.0, 0.0
    return at, share, sqrt(best) * (1.0 if left else -1.0)


@kernel
def project(path: NDArray[np.float64], s: NDArray[np.float64], x: float, y: float) -> tuple[float, float]:
    """Arc length and lateral offset (left positive) [m] of a point against the path."""
    i, u, offset = nearest_on(path, s, x, y)
    ux, uy = path[i + 1, 0] - path[i, 0], path[i + 1, 1] - path[i, 1]
    return s[i] + u * sqrt(ux * ux + uy * uy), offset


@njit
def pursue(path: NDArray[np.float64], speed: float) -> float:
    """Curvature [1/m] that follows the path: pure pursuit from the rear axle, looking 0.5 s + 2 m ahead."""
    s = stations(path)
    start, _ = project(path, s, 0.0, 0.0)
    return pursue_from(path, s, start, speed)


@kernel
def pursue_from(path: NDArray[np.float64], s: NDArray[np.float64], start: float, speed: float) -> float:
    """The same for a car at arc length `start` of the path."""
    look = min(18.0, max(3.0, 2.0 + 0.5 * abs(speed)))
    x, y = point_at(path, s, start + look)
    return rear_axle_arc(x, y)


@njit
def curve_speed(path: NDArray[np.float64], limit: float, lateral_accel: float = LATERAL_ACCEL) -> float:
    """Fastest speed [m/s] now from which every curve ahead can be met with comfortable braking; at most `limit`."""
    return curve_speed_on(stations(path), curvatures(path), limit, lateral_accel)


@kernel
def curve_speed_on(
    s: NDArray[np.float64], k: NDArray[np.float64], limit: float, lateral_accel: float = LATERAL_ACCEL
) -> float:
    """The same for a path's stations and curvatures (T,)."""
    v = limit
    for i in range(len(s)):
        square = lateral_accel / max(abs(k[i]), 1e-4)  # of the speed there
        slowing = 2.0 * COMFORT_BRAKE * max(0.0, s[i] - 1.0)
        if square + slowing > 1.001 * v * v:  # most are, and roots take long
            continue
        in_curve = sqrt(square)
        v = min(v, sqrt(in_curve * in_curve + slowing))
    return v
