"""How far the perceived lane lies from the planned path, and which of the lanes seen is the route's."""

from __future__ import annotations

from math import atan2, cos, isnan, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.paths import heading_at, project
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import LANE_X

LINE_SIGMA = 0.25  # m of one frame's lane centre; its errors last several frames
HALF_SIGMA = 0.4  # m when only one line of the lane is seen
NEAR = 6  # entries of LANE_X that are used: up to 20 m
LINE_PROB = 0.5  # a line that is likelier than this exists
ALONG = 0.15  # rad by which a line's direction may differ from the path's: 1.2 m into a turn it differs by more
OTHER_LANE = 8.0  # of squared sigmas that a neighbouring lane must fit better to be taken for ours ...
ONCOMING = 16.0  # ... and so many more, which is never, for one left of a solid line: others come towards us there


@kernel
def off_course(lanes: NDArray[np.float64], left: int, right: int, i: int, yaw: float) -> bool:
    """Whether a line of the lane between lines `left` and `right` runs in another direction at entry `i` of LANE_X
    than the path, which heads `yaw` [rad] there. Unknown where no neighbouring entry of the line is seen: False."""
    for k in (left, right):
        if not 0 <= k < 4 or isnan(lanes[k, i]):
            continue
        a = i - 1 if i > 0 and not isnan(lanes[k, i - 1]) else i
        b = i + 1 if i + 1 < len(LANE_X) and not isnan(lanes[k, i + 1]) else i
        if a < b and abs(atan2(lanes[k, b] - lanes[k, a], LANE_X[b] - LANE_X[a]) - yaw) > ALONG:
            return True
    return False


@kernel
def centre_residual(
    lanes: NDArray[np.float64],
    prob: NDArray[np.float64],
    path: NDArray[np.float64],
    s: NDArray[np.float64],
    width: float,
    lane: int,
) -> tuple[float, float, float, float]:
    """How far the lane's centre lies left of the path [m], its variance [m^2], the path's heading, the lane's width.

    `lane` is -1 for the lane to the left, 0 for the ego's, 1 for the right one. The variance is inf where no line is
    seen; the width [m] is NaN where not both are.
    """
    left, right = lane + 1, lane + 2
    total = weight = turned = width_sum = width_weight = 0.0
    for i in range(NEAR):
        x = LANE_X[i]
        y_left = y_right = np.nan
        if 0 <= left < 4 and prob[left] > LINE_PROB:
            y_left = lanes[left, i]
        if 0 <= right < 4 and prob[right] > LINE_PROB:
            y_right = lanes[right, i]
        if isnan(y_left) and isnan(y_right):
            continue
        w = 1.0 / (0.1 + 0.0005 * x * x)
        guess = y_left if isnan(y_right) else y_right if isnan(y_left) else 0.5 * (y_left + y_right)
        at, offset = project(path, s, x, guess)
        yaw = heading_at(path, min(len(path) - 1, max(0, int(at + 0.5))))
        across = cos(yaw)
        if across < 0.35:
            continue  # the path runs across: the lines there are another street's
        if off_course(lanes, left, right, i, yaw):
            continue  # a line that goes straight on where we turn
        if isnan(y_right):
            offset, w = offset - 0.5 * width, 0.3 * w
        elif isnan(y_left):
            offset, w = offset + 0.5 * width, 0.3 * w
        else:
            width_sum += w * (y_left - y_right) * across
            width_weight += w
        total += w * offset
        turned += w * yaw
        weight += w
    if weight == 0.0:
        return 0.0, np.inf, 0.0, np.nan
    sigma = LINE_SIGMA if width_weight > 0.0 else HALF_SIGMA
    measured = width_sum / width_weight if width_weight > 0.0 else np.nan
    return total / weight, sigma * sigma, turned / weight, measured


@kernel
def best_lane(
    lanes: NDArray[np.float64],
    prob: NDArray[np.float64],
    path: NDArray[np.float64],
    s: NDArray[np.float64],
    covariance: NDArray[np.float64],
    yaw_world: float,
    width: float,
    solid: bool,
    known: bool,
) -> tuple[float, float, float, float, float]:
    """The lane that fits best to be the route's, of the ego's and, where it is `known` whose is whose, its neighbours.

    Returns its residual [m] (NaN where none was seen), squared sigmas, width [m], variance [m^2] and normal [rad].
    """
    best = measured = np.nan
    cost, variance, normal = np.inf, 0.0, 0.0
    for lane in (0, -1, 1):
        residual, noise, turned, across = centre_residual(lanes, prob, path, s, width, lane)
        if noise == np.inf and lane == 0:
            break  # a neighbour's line alone does not tell whose lane is whose
        direction = yaw_world + turned + np.pi / 2
        c, d = cos(direction), sin(direction)
        spread = (c * covariance[0, 0] + d * covariance[1, 0]) * c + (c * covariance[0, 1] + d * covariance[1, 1]) * d
        against = residual**2 / (spread + noise) + OTHER_LANE * abs(lane)
        against += ONCOMING if lane == -1 and solid else 0.0
        if against < cost:
            best, cost, measured, variance, normal = residual, against, across, noise, direction
        if not known:
            break  # the car starts in its route's lane
    return best, cost, measured, variance, normal
