"""How far the road ahead is seen to be free, and who therefore cannot be standing there.

The network tells twice whether something stands in the way: by its vehicles and by the road that it sees. A parked car
cut off by the picture's edge is easily turned or pushed into the way; but a vehicle hides the ground under it, so where
road is seen on our path, nothing stands.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import HALF_WIDTH
from roadcraft.control.paths import headings, project, stations
from roadcraft.control.spacetime import FREE, STANDING, STANDING_MARGIN, occupied
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import Camera

ROAD = 0.5  # probability from which a cell of the mask is road
BESIDE = 0.1  # m beside our flanks that must be road too
POINTS = 5  # across the way that are looked at
FARTHEST = 25.0  # m, beyond which a cell of the mask is longer than a car's place is wrong
BEHIND = 1.0  # m that must be free beyond the first station that somebody seems to take


def lens_of(camera: Camera, columns: int) -> tuple[float, ...]:
    """x, y, z [m] of the camera, cosine and sine of its pitch, its focal length in cells of a mask `columns` wide."""
    x, y, z = camera.xyz_ego
    return x, y, z, cos(camera.pitch), sin(camera.pitch), camera.focal * columns / camera.width


@njit
def clear_length(path: NDArray[np.float64], mask: NDArray[np.float32], lens: tuple[float, ...]) -> float:
    """Station [m] up to which the way along the path (T, 2) is seen to be road, on our width. `mask` (h, w): the
    probability of drivable area, the optical axis in its middle. What lies below the picture is taken to be free."""
    x, y, z, c, d, focal = lens
    s, yaw = stations(path), headings(path)
    rows, columns = mask.shape
    clear = 0.0
    for j in range(len(path)):
        if s[j] > FARTHEST:
            break
        for k in range(POINTS):
            aside = (2.0 * k / (POINTS - 1) - 1.0) * (HALF_WIDTH + BESIDE)
            px = path[j, 0] - aside * sin(yaw[j]) - x
            py = path[j, 1] + aside * cos(yaw[j]) - y
            depth, down = c * px - d * z, -d * px - c * z
            if depth < 0.5:
                continue
            row = int(np.floor(0.5 * rows - down * focal / depth))
            if row >= rows:
                continue
            column = int(np.floor(0.5 * columns - py * focal / depth))
            if not 0 <= column < columns or row < 0 or mask[row, column] < ROAD:
                return clear
        clear = s[j]
    return clear


@njit
def refuted(path: NDArray[np.float64], others: NDArray[np.void], clear: float) -> NDArray[np.bool_]:
    """Which of `others` (N,) OTHER seem to stand in our way from beside it, where it is seen to be free up to `clear`
    [m]. Whoever has his middle on our path, moves or walks is never doubted."""
    s = stations(path)
    out = np.zeros(len(others), np.bool_)
    for i in range(len(others)):
        o = others[i]
        x, y = o.xy[0], o.xy[1]
        if o.walker or o.velocity[0] ** 2 + o.velocity[1] ** 2 >= STANDING**2:
            continue
        _, aside = project(path, s, x, y)
        if abs(aside) < HALF_WIDTH:
            continue
        side = HALF_WIDTH + STANDING_MARGIN
        first, _ = occupied(path, s, x, y, o.yaw, o.half[0] + side, o.half[1] + side)
        out[i] = first < FREE and first + BEHIND < clear
    return out
