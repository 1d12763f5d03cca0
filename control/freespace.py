"""How far the road ahead is seen to be free; who therefore cannot be standing there, and where something must be.

The network tells twice whether something stands in the way: by its objects and by the road that it sees. A parked car
cut off by the picture's edge is easily turned or pushed into the way, and a motorcycle before a car is easily missed.
But whatever stands hides the ground behind it: where road is seen on our path, nothing stands, and where the road ends
though the path goes on, something does.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import HALF_LENGTH, HALF_WIDTH
from roadcraft.control.paths import headings, point_at, project, stations
from roadcraft.control.spacetime import FREE, OTHER, STANDING, STANDING_MARGIN, occupied
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import Camera

ROAD = 0.5  # probability from which a cell of the mask is road
WIDE, NARROW = HALF_WIDTH + 0.1, 0.5  # m to each side of the path: room to pass, and where nothing may be
POINTS = 5  # across the way that are looked at
FARTHEST = 25.0  # m, beyond which a cell of the mask is longer than a car's place is wrong
LIFTED = 0.8  # share of the length seen free that is sure to be: road is seen under a bumper 0.3 m high
BEHIND = 1.0  # m that must be free beyond the first station that somebody seems to take
BLOCKED = 18.0  # m within which the end of the road is an obstacle ...
ALONG = 0.3  # rad ... where the path does not turn by more: at a corner its own error may lead over a kerb
EXPLAINED = 1.5  # m beyond the end of the road within which a known object explains it
OPEN = 2.5  # m of road that must be seen behind the remembered end: more than the nearest row of the mask
FEWEST = 3  # percepts in a row that must find the road blocked, or open again


def lens_of(camera: Camera, columns: int) -> tuple[float, ...]:
    """x, y, z [m] of the camera, cosine and sine of its pitch, its focal length in cells of a mask `columns` wide."""
    x, y, z = camera.xyz_ego
    return x, y, z, cos(camera.pitch), sin(camera.pitch), camera.focal * columns / camera.width


@njit
def clear_length(
    path: NDArray[np.float64], mask: NDArray[np.float32], lens: tuple[float, ...], half_width: float
) -> float:
    """Station [m] up to which the way along the path (T, 2), `half_width` [m] to each side, is seen to be road.

    `mask` (h, w) is the probability of drivable area, the optical axis in its middle. What lies below the picture is
    taken to be free.
    """
    x, y, z, c, d, focal = lens
    s, yaw = stations(path), headings(path)
    rows, columns = mask.shape
    clear = 0.0
    for j in range(len(path)):
        if s[j] > FARTHEST:
            break
        for k in range(POINTS):
            aside = (2.0 * k / (POINTS - 1) - 1.0) * half_width
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
    """Which of `others` (N,) OTHER seem to stand in our way from beside it, where road is seen up to `clear` [m].
    Whoever has his middle on our path, moves or walks is never doubted."""
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
        out[i] = first < FREE and first + BEHIND < LIFTED * clear
    return out


@njit
def explained(path: NDArray[np.float64], others: NDArray[np.void], end: float) -> bool:
    """Whether one of `others` (N,) OTHER is on our path not farther than the `end` [m] of the road that is seen."""
    s = stations(path)
    for i in range(len(others)):
        o = others[i]
        first, _ = occupied(path, s, o.xy[0], o.xy[1], o.yaw, o.half[0] + HALF_WIDTH, o.half[1] + HALF_WIDTH)
        if first + HALF_WIDTH < end + EXPLAINED:
            return True
    return False


class FreeSpace:
    """Corrects the others on the road by the road that is seen. What stands where it ends is remembered until road is
    seen there: the nearest metres lie below the picture."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self._end = FREE  # m along the path to what is remembered
        self._blocked = self._open = 0  # percepts in a row

    def __call__(
        self,
        path: NDArray[np.float64],
        others: NDArray[np.void],
        mask: NDArray[np.float32],
        camera: Camera | None,
        moved: float,
    ) -> NDArray[np.void]:
        """`others` (N,) OTHER without those that stand where road is seen on the path (T, 2) [m], and with something
        that stands where the road ends. `moved` [m] since the last percept. A mask of size 0 tells nothing."""
        if not mask.size or camera is None:
            return others
        lens = lens_of(camera, mask.shape[1])
        others = others[~refuted(path, others, clear_length(path, mask, lens, WIDE))]
        self._end -= moved
        self._look(path, others, clear_length(path, mask, lens, NARROW))
        if self._end >= BLOCKED or explained(path, others, self._end / LIFTED):
            return others
        something = np.zeros(1, OTHER)
        something["xy"], something["half"] = point_at(path, stations(path), self._end), NARROW
        return np.concatenate([others, something])

    def _look(self, path: NDArray[np.float64], others: NDArray[np.void], clear: float) -> None:
        """Remembers where the road that is seen up to `clear` [m] is blocked, or forgets it where it is not."""
        turns = abs(headings(path)[min(int(clear) + 2, len(path) - 1)]) > ALONG
        blocked = clear < BLOCKED and not turns and not explained(path, others, clear)
        self._blocked = self._blocked + 1 if blocked else 0
        self._open = self._open + 1 if LIFTED * clear > self._end + OPEN else 0
        if self._open >= FEWEST:
            self._end = FREE
        if self._blocked >= FEWEST:
            self._end = max(min(LIFTED * clear, self._end), HALF_LENGTH + 0.5)
