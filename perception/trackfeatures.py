"""What is known of each tracked object, as numbers for the model that foresees: `foresight.py`.

Besides the filter's and the network's own estimates these are slopes over the last half, one and two seconds: how the
raw places moved, and how the box grew (a car that comes nearer by a tenth a second closes at a tenth of its distance a
second), where the object is beside the corridor that the ego is going to drive, and what tells that it is seen in part:
the shape of its box, and how far its last detection was from where the filter has it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.events import path_position
from roadcraft.perception.percept import EVENTS
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import LightState

WINDOWS = np.array([0.5, 1.0, 2.0])  # [s]
LEAST, SPAN = 3, 0.25  # detections, and share of a window between the first and the last of them, for a slope
CLOSING = 15.0  # [m/s] beyond which a closing speed told by a box's growth is none
FEATURES = 52
# Of the features, those that change their sign when the scene is seen in a mirror.
MIRRORED = (1, 3, 9, 17, 20, 22, 24, 25, 27, 37, 38, 39, 47)
SCENE_FEATURES = 10 + len(EVENTS)
SCENE_MIRRORED = (1,)
LONG_AGO, FORGOTTEN = 5.0, 1.0  # [s] since a light changed that tell nothing more; out of sight, after which it has not
SURE = 0.7  # probability from which a light has a state
METRES, SPEED = 30.0, 5.0  # [m], [m/s] that count as 1


@njit
def slopes(trail: NDArray[np.float64], now: float) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Slopes (3,) of x, y [m/s] and of the box's log height [1/s] of a trail (TRAIL, 4) over WINDOWS, and the share of
    each window that the trail covers; zeros where there is too little of it."""
    vx, vy, growth, covered = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    for k in range(len(WINDOWS)):
        n = 0
        while n < len(trail) and trail[n, 0] >= now - WINDOWS[k] - 1e-6:
            n += 1
        if n == 0:
            continue
        covered[k] = (trail[0, 0] - trail[n - 1, 0]) / WINDOWS[k]
        if n < LEAST or covered[k] < SPAN:
            continue
        middle = trail[:n, 0].mean()
        square = 0.0
        for i in range(n):
            t = trail[i, 0] - middle
            square += t * t
            vx[k] += t * trail[i, 1]
            vy[k] += t * trail[i, 2]
            growth[k] += t * trail[i, 3]
        vx[k], vy[k], growth[k] = vx[k] / square, vy[k] / square, growth[k] / square
        if math.isnan(growth[k]):
            growth[k] = 0.0
    return vx, vy, growth, covered


@njit
def fill(
    out: NDArray[np.float32],
    now: float,
    ego: NDArray[np.float64],
    signs: NDArray[np.float64],
    path: NDArray[np.float64],
    objects: NDArray[np.void],
    tracks: NDArray[np.void],
) -> None:
    """Fills (N, FEATURES) of objects (N,) OBJECT and their tracks (N,) TRACK. `ego`: speed [m/s], yaw rate [rad/s],
    seconds since the last frame, heading in the odometry frame [rad]. `signs`: the light's probabilities (4,) and
    distance [m]. `path` (60, 2) [m]: the corridor. What the network said itself counts for objects seen `now`."""
    speed, yaw_rate, dt, heading = ego
    c, s = math.cos(heading), math.sin(heading)
    for i in range(len(out)):
        f, o, t = out[i], objects[i], tracks[i]
        x, y = float(o.xy_ego[0]), float(o.xy_ego[1])
        vx, vy = float(o.velocity_ego[0]), float(o.velocity_ego[1])
        f[0], f[1], f[2], f[3] = x / METRES, y / METRES, vx / SPEED, vy / SPEED
        f[4] = math.log(math.sqrt(t.cov[0, 0] + t.cov[1, 1]) + 0.1)
        f[5] = math.log(math.sqrt(t.cov[2, 2]) + 0.1)
        f[6], f[7] = now - t.seen, min(t.hits, 20) / 10.0
        f[8], f[9] = math.cos(o.yaw_ego), math.sin(o.yaw_ego)
        f[10], f[11] = o.size[0] / 4.0, o.size[1] / 4.0
        group = t.last.group
        f[12], f[13], f[14] = group == 0, group == 1, group == 2
        f[15] = t.score
        if t.seen >= now:
            f[16], f[17] = t.last.velocity_ego[0] / SPEED, t.last.velocity_ego[1] / SPEED
            f[18] = math.log(t.last.velocity_sigma + 0.1)
            f[19], f[20] = t.last.bend[-1, 0] / 3.0, t.last.bend[-1, 1] / 3.0
        else:
            f[16], f[17], f[18], f[19], f[20] = f[2], f[3], 0.0, 0.0, 0.0
        along, aside, direction = path_position(path, x, y)
        f[21], f[22] = along / METRES, min(max(aside / 4.0, -3.0), 3.0)
        f[23], f[24] = math.cos(o.yaw_ego - direction), math.sin(o.yaw_ego - direction)
        f[25] = (vy * math.cos(direction) - vx * math.sin(direction)) / 3.0
        f[26], f[27], f[28] = speed / SPEED, yaw_rate * 3.0, dt
        f[29], f[30], f[31], f[32] = signs[0], signs[1], signs[2], signs[3]
        f[33] = min(signs[4], 60.0) / METRES
        wx, wy, growth, covered = slopes(t.trail, now)
        away = math.hypot(x, y)
        for k in range(3):
            f[34 + k] = (c * wx[k] + s * wy[k]) / SPEED
            f[37 + k] = (c * wy[k] - s * wx[k]) / SPEED
            radial = speed * x / max(away, 1.0) - growth[k] * away if growth[k] != 0.0 else 0.0
            f[40 + k] = min(max(radial, -CLOSING), CLOSING) / SPEED
            f[43 + k] = covered[k]
        _last_seen(f, t, x, y, c, s)


@njit
def _last_seen(f, t, x, y, c, s):  # type: ignore[no-untyped-def]
    """Fills the last six features, of an object at `x`, `y` [m]: how far its last detection was from where the filter
    has it, along the line of sight and to its left, and of what shape, how sure and how covered it was. `c`, `s`:
    cosine and sine of the heading in the odometry frame."""
    dx, dy = t.trail[0, 1] - t.mean[0], t.trail[0, 2] - t.mean[1]
    dx, dy = c * dx + s * dy, c * dy - s * dx
    away = max(math.hypot(x, y), 1.0)
    f[46] = min(max((x * dx + y * dy) / away / 3.0, -3.0), 3.0)
    f[47] = min(max((x * dy - y * dx) / away / 3.0, -3.0), 3.0)
    wide, high = t.last.box[2] - t.last.box[0], t.last.box[3] - t.last.box[1]
    f[48] = math.log(max(wide, 1.0) / max(high, 1.0))
    f[49] = math.log(t.last.range_sigma + 0.1)
    f[50], f[51] = t.last.score, t.covered


class LightWatch:
    """How long ago the light that is said became another one. Forgets all at `reset()`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Before the first frame."""
        self._state, self._seen, self._changed = -1, -math.inf, -math.inf

    def __call__(self, light: NDArray[np.float64], time: float) -> tuple[float, bool]:
        """Seconds since the change, at most LONG_AGO, and whether it is surely yellow now, from the probabilities (4,)
        at `time` [s]. A light that was out of sight for longer than FORGOTTEN has not changed, whatever it is then."""
        state = int(light[:3].argmax()) if light[:3].max() > SURE else -1
        if state >= 0:
            if state != self._state and time - self._seen < FORGOTTEN:
                self._changed = time
            self._state, self._seen = state, time
        return min(time - self._changed, LONG_AGO), state == LightState.YELLOW


def scene_features(
    speed: float,
    yaw_rate: float,
    dt: float,
    light: NDArray[np.float64],
    distance: float,
    events: NDArray[np.float64],
    changed: tuple[float, bool],
) -> NDArray[np.float32]:
    """(SCENE_FEATURES,) of what concerns all: the ego's motion, the light (4,) with the distance [m] of its line and
    what the LightWatch says of it, and the network's own opinion of the events."""
    far = min(distance, 60.0) / METRES
    since, yellow = changed
    return np.array([speed / SPEED, yaw_rate * 3.0, *light, far, *events, dt, since / LONG_AGO, yellow], np.float32)
