"""A percept that arrives late, as of now: what stood there is moved by the way that the car has gone since the image,
who moves goes on along the path that was predicted for him. The masks stay as they were seen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roadcraft.perception.delay import ROUNDING
from roadcraft.perception.percept import PATH_TIMES, Percept
from roadcraft.sim.messages import LANE_X, Ego

REMEMBERED = 2.0  # s of the car's own way
_TIMES = np.concatenate([[0.0], PATH_TIMES])


class Present:
    """Sums up the car's way from its speed and yaw rate; `move` once a tick, then ask."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self._way: deque[tuple[float, float, float, float]] = deque()  # time [s], x, y [m], yaw [rad] since the reset

    def move(self, now: float, ego: Ego) -> None:
        """The car's speed and yaw rate at `now` [s], since the last call."""
        if not self._way:
            self._way.append((now, 0.0, 0.0, 0.0))
            return
        before, x, y, yaw = self._way[-1]
        dt = now - before
        middle, step = yaw + 0.5 * ego.yaw_rate * dt, ego.speed * dt
        self._way.append((now, x + step * np.cos(middle), y + step * np.sin(middle), yaw + ego.yaw_rate * dt))
        while self._way[-1][0] - self._way[0][0] > REMEMBERED:
            self._way.popleft()

    def __call__(self, percept: Percept) -> Percept:
        """The percept as of the last `move`; the very same when its image is no older, or older than is remembered."""
        now = self._way[-1][0]
        age = percept.age(now)
        if age <= ROUNDING or percept.time < self._way[0][0] - ROUNDING:
            return percept
        times, *pose = np.array(self._way).T
        then = np.array([np.interp(percept.time, times, values) for values in pose])
        turned = self._way[-1][3] - then[2]
        back = rotation(then[2])
        gone = (np.array(self._way[-1][1:3]) - then[:2]) @ back  # [m] in the ego frame of the image
        turn = rotation(turned)
        objects = percept.objects.copy()
        path = np.concatenate([objects["xy_ego"][:, None], objects["path_ego"]], 1).astype(float)
        path = (later(path, age) - gone) @ turn
        objects["xy_ego"], objects["path_ego"] = path[:, 0], path[:, 1:]
        objects["velocity_ego"] = objects["velocity_ego"] @ turn
        objects["yaw_ego"] = (objects["yaw_ego"] - turned + np.pi) % (2 * np.pi) - np.pi
        return replace(
            percept,
            lanes_ego=moved_lanes(percept.lanes_ego, gone, turn),
            objects=objects,
            light_distance=max(percept.light_distance - float(gone[0]), 0.0),
            stop_distance=max(percept.stop_distance - float(gone[0]), 0.0),
        )


def rotation(yaw: float) -> NDArray[np.float64]:
    """Matrix whose product from the right brings rows (N, 2) into axes turned by `yaw` [rad]."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s], [s, c]])


def later(path: NDArray[np.float64], age: float) -> NDArray[np.float64]:
    """Places (N, 5, 2) at 0 s and PATH_TIMES as of `age` [s] later; beyond its end a path goes straight on."""
    at = _TIMES + age
    right = np.clip(np.searchsorted(_TIMES, at), 1, len(_TIMES) - 1)
    share = ((at - _TIMES[right - 1]) / (_TIMES[right] - _TIMES[right - 1]))[:, None]
    return np.asarray(path[:, right - 1] * (1.0 - share) + path[:, right] * share)


def moved_lanes(
    lanes: NDArray[np.float64], gone: NDArray[np.float64], turn: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Lines (4, 10) [m] at LANE_X, seen from where the car is now; NaN where no two seen points are beside."""
    points = (np.stack(np.broadcast_arrays(LANE_X, lanes), -1) - gone) @ turn
    out = np.full_like(lanes, np.nan)
    for line, (x, y) in enumerate(zip(points[..., 0], points[..., 1], strict=True)):
        seen = np.isfinite(y)
        x = np.where(seen, x, LANE_X - gone[0])
        there = np.interp(LANE_X, x, seen.astype(float), left=0.0, right=0.0) > 1.0 - 1e-9
        out[line] = np.where(there, np.interp(LANE_X, x, np.where(seen, y, 0.0)), np.nan)
    return out
