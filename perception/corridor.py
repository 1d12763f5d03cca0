"""Where the car is going to drive, as perception knows it: the lane that is seen, and the route beyond and around it.

The route (`Observation.route_ego`) leads through junctions where nothing is painted, but lies beside the street by the
GNSS error; the lane lines tell by how much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import LANE_X

POINTS = 60  # of a corridor, 1 m apart: as `Facts.path_ego`
HALF_LANE = 1.75  # [m] from a line to the middle of the lane when its other line is not seen
NEAR = 6  # seen lane centres from which the route's error is taken
OTHER_WAY = 1.5  # [m] beside the route beyond which the lane leads elsewhere: it goes straight on where the route turns


@njit
def lane_centres(lanes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lateral offset (10,) [m] at LANE_X of the middle of the ego's lane from lines (4, 10); NaN where neither line of
    it is seen."""
    out = np.empty(lanes.shape[1])
    for i in range(lanes.shape[1]):
        left, right = lanes[1, i], lanes[2, i]
        if np.isnan(left):
            out[i] = right + HALF_LANE
        elif np.isnan(right):
            out[i] = left - HALF_LANE
        else:
            out[i] = 0.5 * (left + right)
    return out


@njit
def resampled(route: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Points (count, 2) 1 m apart along a line (N, 2), from the one nearest to the ego on; beyond its end the last
    repeats. A line without a length is none: straight on then."""
    s = np.zeros(len(route))
    for i in range(1, len(route)):
        s[i] = s[i - 1] + np.hypot(route[i, 0] - route[i - 1, 0], route[i, 1] - route[i - 1, 1])
    if s[-1] < 1.0:
        ahead = np.zeros((count, 2))
        ahead[:, 0] = np.arange(count)
        return ahead
    reach = count + int(s[1]) + 1
    line = np.empty((reach, 2))
    k, nearest, best = 0, 0, np.inf
    for j in range(reach):
        while k < len(route) - 2 and s[k + 1] < j:
            k += 1
        step = s[k + 1] - s[k]
        share = min(max((j - s[k]) / step, 0.0), 1.0) if step > 0.0 else 0.0
        line[j] = route[k] + share * (route[k + 1] - route[k])
        away = line[j, 0] ** 2 + line[j, 1] ** 2
        if j <= reach - count and away < best:
            nearest, best = j, away
    return line[nearest : nearest + count]


@njit
def corridor(lanes: NDArray[np.float64], route: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre (60, 2) [m], 1 m apart, of the strip that the ego is going to drive, in its frame: from lines (4, 10) at
    LANE_X and the route (N, 2), whose error is taken out."""
    centres = lane_centres(lanes)
    path = resampled(route, POINTS)
    errors = np.empty(NEAR)
    seen = 0
    for i in range(len(centres)):
        if np.isnan(centres[i]) or seen == NEAR:
            continue
        for j in range(1, POINTS):
            a, b = path[j - 1], path[j]
            if a[0] <= LANE_X[i] < b[0]:
                errors[seen] = a[1] + (b[1] - a[1]) * (LANE_X[i] - a[0]) / (b[0] - a[0]) - centres[i]
                seen += 1
                break
    path[:, 1] -= np.median(errors[:seen]) if seen > 0 else path[0, 1]
    for j in range(POINTS):
        for i in range(1, len(centres)):
            if LANE_X[i - 1] <= path[j, 0] < LANE_X[i]:
                share = (path[j, 0] - LANE_X[i - 1]) / (LANE_X[i] - LANE_X[i - 1])
                lane = centres[i - 1] + share * (centres[i] - centres[i - 1])
                if abs(lane - path[j, 1]) < OTHER_WAY:  # never where it is NaN
                    path[j, 1] = lane
                break
    return path
