"""Where the car really is: the GNSS error estimated from the lane lines that perception sees.

The route's points lie on lane centres, so the distance between the perceived centre of the ego's lane and the route is
the GNSS error across the street; after a turn the other component shows, and before one the stop line tells it roughly.
A Kalman filter over the error's two world components remembers both; how the error drifts is known from the wheels
(GNSS step minus odometry step). So the corrected route also leads through junctions, where nothing is painted.
"""

from __future__ import annotations

from math import cos, isnan, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import HALF_LENGTH, REAR_AXLE
from roadcraft.control.lanefit import best_lane
from roadcraft.control.paths import heading_at, note_stations
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Ego, Mark

SIGMA = 1.0  # m, standard deviation of the GNSS error ...
DRIFT_TIME = 60.0  # s ... and the time in which it forgets itself (an Ornstein-Uhlenbeck process)
ODOMETRY = 0.03  # m of error after 1 m, growing with the square root of the distance
RIGIDITY = 150.0  # m/s^2 of lateral acceleration per radian of side slip of the rear tyres
LANE_WIDTH = 3.5  # m until a lane has been measured
# From LARGE [m] on a residual must stay the same, within STEADY [m], for so many PERCEPTS: in a turn a line may flash
# up where there is none.
LARGE, STEADY, PERCEPTS = 1.0, 0.5, 5
UNLIKELY = 16.0  # squared sigmas beyond which a lane centre is none that we know
# m from a stop line to the middle of the turn behind it, in our towns; a left turn may cross two lanes or four.
LEFT_AFTER_LINE, WIDE_LEFT_AFTER_LINE, RIGHT_AFTER_LINE = 14.6, 21.4, 12.0
CORNER_SIGMA = 0.7  # m, how much that differs from junction to junction
SQUARE = (1.4, 1.75)  # rad, turns at right angles, for which those distances hold
CORNER_GATE = 2.5  # m beyond which the junction, not GNSS, is another than thought: GNSS errs so far once in eighty
CORNER_AT = (6.0, 3.5)  # m before the line where it is measured, once each ...
CORNER_APART = 20.0  # m of driving: a car that stands there and sees the line now nearer, now further, learns nothing
DISTANCE_SIGMA = 0.25  # relative error of a perceived distance to a line (0.22 measured on validation drives)

# What is remembered between percepts.
MEMORY = np.dtype(
    [
        ("error", np.float64, 2),  # [m] of GNSS, world axes
        ("covariance", np.float64, (2, 2)),  # [m^2] of it
        ("width", np.float64),  # [m] of the lane
        ("seen", np.int64),  # percepts whose lines were used
        ("residual", np.float64),  # [m] in the last percept ...
        ("steady", np.int64),  # ... and for how many percepts it has been much the same
        ("line_before", np.float64),  # [m] to the stop line at the last call
        ("odometer", np.float64),  # [m]
        ("measured", np.float64, 2),  # [m] on the odometer when a line was last measured at each of CORNER_AT
        ("last", np.float64, 3),  # GNSS place [m], speed [m/s]; NaN before the first
    ],
    align=True,
)


@kernel
def corner_ahead(
    path: NDArray[np.float64], s: NDArray[np.float64], turned: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Arc length [m] of the middle of the path's next street corner, its turn [rad], (inf, 0) where there is none; and
    where the path heads now [rad]. `s` (T,) are the path's stations, `turned` (T,) is working memory."""
    n = len(path)
    now = before = heading_at(path, 0)
    turned[0] = 0.0
    for i in range(1, n):
        yaw = heading_at(path, i)
        step = yaw - before
        turned[i] = turned[i - 1] + step - 2.0 * np.pi * np.floor(step / (2.0 * np.pi) + 0.5)
        before = yaw
    for i in range(n - 12):
        if abs(turned[i + 12] - turned[i]) < 0.6:
            continue
        end = i + 12
        while end < n - 1 and abs(turned[end + 1] - turned[end]) > 0.02:
            end += 1
        if end == n - 1:
            return np.inf, 0.0, now
        turn = turned[end] - turned[i]
        for j in range(i, end):
            a, b = abs(turned[j] - turned[i]), abs(turned[j + 1] - turned[i])
            if b >= 0.5 * abs(turn):
                share = (0.5 * abs(turn) - a) / max(b - a, 1e-6)
                return s[j] + share * (s[j + 1] - s[j]), turn, now
    return np.inf, 0.0, now


@kernel
def correct(
    error: NDArray[np.float64], covariance: NDArray[np.float64], normal_yaw: float, residual: float, variance: float
) -> None:
    """Kalman update, in place: along the world direction `normal_yaw` the error is `residual` [m] larger."""
    n = (cos(normal_yaw), sin(normal_yaw))
    px = covariance[0, 0] * n[0] + covariance[0, 1] * n[1]
    py = covariance[1, 0] * n[0] + covariance[1, 1] * n[1]
    scale = n[0] * px + n[1] * py + variance
    gain = (px / scale, py / scale)
    for i in range(2):
        error[i] += gain[i] * residual
        covariance[i, 0] -= gain[i] * px
        covariance[i, 1] -= gain[i] * py


@kernel
def move_on(
    error: NDArray[np.float64],
    covariance: NDArray[np.float64],
    step: tuple[float, float],
    speed: float,
    yaw_rate: float,
    yaw: float,
    dt: float,
) -> None:
    """The car moved for `dt` [s] at `speed`, at last heading `yaw`, and GNSS by `step` [m]: in place.

    What GNSS says beyond what the wheels say is drift. A large error tends back to nothing: drift towards zero tells of
    one, drift away from it of none.
    """
    mid = yaw - 0.5 * dt * yaw_rate
    forward = speed * dt
    left = (REAR_AXLE * yaw_rate - speed * speed * yaw_rate / RIGIDITY) * dt
    c, s = cos(mid), sin(mid)
    drift = (step[0] - (forward * c - left * s), step[1] - (forward * s + left * c))
    slip = ODOMETRY**2 * abs(forward)
    variance = 2.0 * SIGMA**2 * dt / DRIFT_TIME + slip
    if variance > 0.0:
        pull = -dt / DRIFT_TIME
        share = pull / variance  # the innovation's own variance is next to nothing beside it
        g00, g01 = covariance[0, 0] * share, covariance[0, 1] * share
        g10, g11 = covariance[1, 0] * share, covariance[1, 1] * share
        dx, dy = drift[0] - pull * error[0], drift[1] - pull * error[1]
        error[0] += g00 * dx + g01 * dy
        error[1] += g10 * dx + g11 * dy
        for j in range(2):
            a, b = covariance[0, j], covariance[1, j]
            covariance[0, j] -= pull * (g00 * a + g01 * b)
            covariance[1, j] -= pull * (g10 * a + g11 * b)
    for i in range(2):
        error[i] += drift[i]
        covariance[i, i] += slip


@kernel
def note_move(m: Any, x: float, y: float, speed: float, yaw_rate: float, yaw: float, dt: float) -> None:
    """One tick's GNSS place [m], speed [m/s], yaw rate [rad/s] and heading [rad] into the memory (a MEMORY record)."""
    last_x, last_y, before = m.last[0], m.last[1], m.last[2]
    m.last[0], m.last[1], m.last[2] = x, y, speed
    if isnan(last_x):
        return
    mean = 0.5 * (before + speed)
    m.odometer += mean * dt
    move_on(m.error, m.covariance, (x - last_x, y - last_y), mean, yaw_rate, yaw, dt)


@kernel
def note_lanes(
    m: Any,
    lanes: NDArray[np.float64],
    prob: NDArray[np.float64],
    path: NDArray[np.float64],
    s: NDArray[np.float64],
    yaw_world: float,
    sure: float,
    solid: bool,
) -> float:
    """One percept's lines into the memory; returns the residual [m], NaN where none was used. `s` (T,): the path's
    stations."""
    known = m.seen >= 10
    best, cost, width, variance, normal = best_lane(
        lanes, prob, path, s, m.covariance, yaw_world, m.width, solid, known
    )
    m.steady = m.steady + 1 if abs(best - m.residual) < STEADY else 0
    m.residual = best
    doubtful = cost > UNLIKELY or (abs(best) > LARGE and m.steady < PERCEPTS)
    if isnan(best) or (doubtful and known):
        return np.nan
    m.seen += 1
    if not isnan(width) and 2.5 < width < 5.0:
        m.width += 0.05 * (width - m.width)
    correct(m.error, m.covariance, normal, best, variance / max(sure, 0.05))
    return best


@kernel
def note_line(
    m: Any,
    distance: float,
    path: NDArray[np.float64],
    s: NDArray[np.float64],
    turned: NDArray[np.float64],
    yaw_world: float,
) -> None:
    """The distance [m] to a stop line, as perceived in one tick, into the memory. `s` (T,) are the path's stations,
    `turned` (T,) is working memory."""
    before, m.line_before = m.line_before, distance
    crossed = False
    for k in range(len(CORNER_AT)):
        if distance <= CORNER_AT[k] < before and m.odometer - m.measured[k] > CORNER_APART:
            m.measured[k] = m.odometer
            crossed = True
    if not crossed:
        return
    corner, turn, yaw = corner_ahead(path, s, turned)
    if not SQUARE[0] < abs(turn) < SQUARE[1]:
        return
    residual = distance + HALF_LENGTH + (LEFT_AFTER_LINE if turn > 0.0 else RIGHT_AFTER_LINE) - corner
    wide = distance + HALF_LENGTH + WIDE_LEFT_AFTER_LINE - corner
    if turn > 0.0 and abs(wide) < abs(residual):
        residual = wide
    variance = CORNER_SIGMA**2 + (DISTANCE_SIGMA * distance) ** 2
    if abs(residual) < CORNER_GATE:
        correct(m.error, m.covariance, yaw_world + yaw, residual, variance)


@kernel
def _see_lanes(memory, lanes, prob, path, work, yaw_world, sure, solid):  # type: ignore[no-untyped-def]
    note_stations(path, work[0])
    return note_lanes(memory[0], lanes, prob, path, work[0], yaw_world, sure, solid)


@kernel
def _see_line(memory, distance, path, work, yaw_world):  # type: ignore[no-untyped-def]
    note_stations(path, work[0])
    note_line(memory[0], distance, path, work[0], work[1], yaw_world)


@kernel
def _move(memory, x, y, speed, yaw_rate, yaw, dt):  # type: ignore[no-untyped-def]
    note_move(memory[0], x, y, speed, yaw_rate, yaw, dt)


class Localiser:
    """Estimates the GNSS error (2,) [m] in world axes: the true position is `xy_world - error`."""

    def __init__(self) -> None:
        self.memory = np.zeros(1, MEMORY)
        self.error: NDArray[np.float64] = self.memory["error"][0]
        self.covariance: NDArray[np.float64] = self.memory["covariance"][0]
        self.reset()

    def reset(self) -> None:
        """Nothing is known: error 0, sigma 1 m. The car starts in its route's lane."""
        self.memory[:] = np.zeros(1, MEMORY)
        self.covariance[:] = np.eye(2) * SIGMA**2
        self.memory["width"], self.memory["last"] = LANE_WIDTH, np.nan
        self.memory["residual"], self.memory["line_before"], self.memory["measured"] = np.inf, np.inf, -np.inf

    @property
    def seen(self) -> int:
        """Percepts whose lines were used."""
        return int(self.memory["seen"][0])

    def move(self, ego: Ego, yaw: float, dt: float) -> None:
        """The car moved for `dt` [s], now heading `yaw`: what GNSS says beyond what the wheels say is drift."""
        x, y = ego.xy_world.tolist()
        _move(self.memory, x, y, ego.speed, ego.yaw_rate, yaw, dt)

    def see_lanes(
        self,
        lanes: NDArray[np.float64],
        prob: NDArray[np.float64],
        path: NDArray[np.float64],
        yaw_world: float,
        sure: float = 1.0,
        marks: NDArray[np.uint8] | None = None,
    ) -> float:
        """Takes one percept's lines against the present path (T, 2); returns the residual [m], NaN where none was used.

        `sure` in (0, 1] weakens the measurement.
        """
        solid = marks is not None and bool(marks[1] == Mark.SOLID)
        return float(_see_lanes(self.memory, lanes, prob, path, np.empty((2, len(path))), yaw_world, sure, solid))

    def see_line(self, distance: float, path: NDArray[np.float64], yaw_world: float) -> None:
        """Takes the distance [m] from the front bumper to a stop line before a turn: the route turns soon behind it."""
        _see_line(self.memory, distance, path, np.empty((2, len(path))), yaw_world)
