"""Where the car really is: the GNSS error estimated from the lane lines that perception sees.

The route's points lie on lane centres, so the distance between the perceived centre of the ego's lane and the route is
the GNSS error across the street; after a turn the other component shows. A Kalman filter over the error's two world
components remembers both, so that the corrected route also leads through junctions, where nothing is painted.
"""

from __future__ import annotations

from math import cos, exp, isnan, sin

import numpy as np
from numba import njit
from numpy.typing import NDArray

from roadcraft.sim.messages import DT, LANE_X

SIGMA = 1.0  # m, standard deviation of the GNSS error (DESIGN)
TAU = 100.0  # s in which it changes; the filter needs the order of magnitude only
LINE_SIGMA = 0.25  # m of one frame's lane centre; its errors last several frames
HALF_SIGMA = 0.4  # m when only one line of the lane is seen
LANE_WIDTH = 3.5  # m until a lane has been measured
NEAR = 6  # entries of LANE_X that are used: up to 20 m
LINE_PROB = 0.5  # a line that is likelier than this exists
GATE = 2.0  # m beyond which a lane centre is another lane's


@njit(cache=True)
def centre_residual(
    lanes: NDArray[np.float64], prob: NDArray[np.float64], plan_y: NDArray[np.float64], width: float, lane: int
) -> tuple[float, float, float]:
    """Lane centre minus plan [m], its variance [m^2] and the lane's measured width [m] (NaN where not measured).

    `lane` is -1 for the lane to the left, 0 for the ego's, 1 for the right one; `plan_y` (10,) is the plan's lateral
    offset at LANE_X. The variance is inf where no line is seen.
    """
    left, right = lane + 1, lane + 2
    total = weight = width_sum = width_weight = 0.0
    both = False
    for i in range(NEAR):
        y_left = y_right = np.nan
        if 0 <= left < 4 and prob[left] > LINE_PROB:
            y_left = lanes[left, i]
        if 0 <= right < 4 and prob[right] > LINE_PROB:
            y_right = lanes[right, i]
        if isnan(plan_y[i]) or (isnan(y_left) and isnan(y_right)):
            continue
        w = 1.0 / (0.1 + 0.0005 * LANE_X[i] ** 2)
        if not isnan(y_left) and not isnan(y_right):
            both = True
            centre = 0.5 * (y_left + y_right)
            width_sum += w * (y_left - y_right)
            width_weight += w
        elif not isnan(y_left):
            centre, w = y_left - 0.5 * width, 0.3 * w
        else:
            centre, w = y_right + 0.5 * width, 0.3 * w
        total += w * (centre - plan_y[i])
        weight += w
    if weight == 0.0:
        return 0.0, np.inf, np.nan
    sigma = LINE_SIGMA if both else HALF_SIGMA
    measured = width_sum / width_weight if width_weight > 0.0 else np.nan
    return total / weight, sigma * sigma, measured


@njit(cache=True)
def drift(error: NDArray[np.float64], covariance: NDArray[np.float64], dt: float) -> None:
    """The error wanders for `dt` [s] (Ornstein-Uhlenbeck), in place."""
    keep = exp(-dt / TAU)
    error *= keep
    covariance *= keep * keep
    grown = SIGMA * SIGMA * (1.0 - keep * keep)
    covariance[0, 0] += grown
    covariance[1, 1] += grown


@njit(cache=True)
def correct(
    error: NDArray[np.float64], covariance: NDArray[np.float64], normal_yaw: float, residual: float, variance: float
) -> None:
    """Kalman update, in place: along the world direction `normal_yaw` the error is `residual` [m] larger."""
    n = np.array([cos(normal_yaw), sin(normal_yaw)])
    pn = covariance @ n
    gain = pn / (n @ pn + variance)
    error += gain * residual
    covariance -= np.outer(gain, pn)


class Localiser:
    """Estimates the GNSS error (2,) [m] in world axes: the true position is `xy_world - error`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing is known: error 0, sigma 1 m. The car starts in its route's lane."""
        self.error = np.zeros(2)
        self.covariance = np.eye(2) * SIGMA**2
        self.width = LANE_WIDTH
        self.seen = 0

    def __call__(
        self,
        lanes: NDArray[np.float64],
        prob: NDArray[np.float64],
        plan_y: NDArray[np.float64],
        yaw_world: float,
        sure: float = 1.0,
        dt: float = DT,
    ) -> float:
        """Takes one percept's lines; returns the residual [m] of the nearest lane centre, NaN where none was used.

        `plan_y` (10,) is the present plan at LANE_X; `sure` in (0, 1] weakens the measurement.
        """
        drift(self.error, self.covariance, dt)
        best, best_variance, best_width = np.nan, np.inf, np.nan
        for lane in (0, -1, 1):
            residual, variance, width = centre_residual(lanes, prob, plan_y, self.width, lane)
            if variance < np.inf and (isnan(best) or abs(residual) < abs(best)):
                best, best_variance, best_width = residual, variance, width
            if lane == 0 and (self.seen < 10 or abs(residual) < 1.2):
                break
        if isnan(best) or (abs(best) > GATE and self.seen >= 10):
            return float("nan")
        self.seen += 1
        if not isnan(best_width) and 2.5 < best_width < 5.0:
            self.width += 0.05 * (best_width - self.width)
        correct(self.error, self.covariance, yaw_world + np.pi / 2, best, best_variance / max(sure, 0.05))
        return best
