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
HIDDEN = 3.0  # m of the way that something hides at least
NEAREST = 0.5  # m of depth; nearer ground is below every picture
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
def road_share(
    path: NDArray[np.float64], mask: NDArray[np.float32], lens: tuple[float, ...], half_width: float
) -> NDArray[np.float64]:
    """Share (T,) of the way across the path (T, 2), `half_width` [m] to each side, that is seen to be road.

    `mask` (h, w) is the probability of drivable area, the optical axis in its middle. What lies below the picture is
    taken to be road, what lies beside it not. Farther than FARTHEST it is 0.
    """
    x, y, z, c, d, focal = lens
    s, yaw = stations(path), headings(path)
    rows, columns = mask.shape
    out = np.zeros(len(path))
    for j in range(len(path)):
        if s[j] > FARTHEST:
            break
        for k in range(POINTS):
            aside = (2.0 * k / (POINTS - 1) - 1.0) * half_width
            px = path[j, 0] - aside * sin(yaw[j]) - x
            py = path[j, 1] + aside * cos(yaw[j]) - y
            depth, up = c * px - d * z, -d * px - c * z
            row = int(np.floor(0.5 * rows - up * focal / max(depth, NEAREST)))
            column = int(np.floor(0.5 * columns - py * focal / max(depth, NEAREST)))
            below = depth < NEAREST or row >= rows
            if below or (0 <= column < columns and row >= 0 and mask[row, column] >= ROAD):
                out[j] += 1.0 / POINTS
    return out


@njit
def clear_length(s: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Station [m] up to which all of the way is road; `s`, `share` (T,)."""
    clear = 0.0
    for j in range(len(s)):
        if share[j] < 0.99:
            break
        clear = s[j]
    return clear


@njit
def road_end(s: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Station [m] from which most of the way is no road for HIDDEN metres: what stands hides the ground behind it,
    and a few wrong cells of the mask are nothing. FREE where there is no such."""
    since = FREE
    for j in range(len(s)):
        if s[j] > FARTHEST:
            break
        if share[j] > 0.5:
            since = FREE
        elif since == FREE:
            since = s[max(j - 1, 0)]
        elif s[j] - since > HIDDEN:
            return since
    return FREE


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
        s = stations(path)
        others = others[~refuted(path, others, clear_length(s, road_share(path, mask, lens, WIDE)))]
        self._end -= moved
        self._look(path, others, road_end(s, road_share(path, mask, lens, NARROW)))
        if self._end >= BLOCKED or explained(path, others, self._end / LIFTED):
            return others
        something = np.zeros(1, OTHER)
        something["xy"], something["half"] = point_at(path, s, self._end), NARROW
        return np.concatenate([others, something])

    def _look(self, path: NDArray[np.float64], others: NDArray[np.void], end: float) -> None:
        """Remembers that the road which is seen ends at station `end` [m], or forgets it where it goes on."""
        turns = abs(headings(path)[min(int(end) + 2, len(path) - 1)]) > ALONG
        blocked = end < BLOCKED and not turns and not explained(path, others, end)
        self._blocked = self._blocked + 1 if blocked else 0
        self._open = self._open + 1 if LIFTED * end > self._end + OPEN else 0
        if self._open >= FEWEST:
            self._end = FREE
        if self._blocked >= FEWEST:
            self._end = max(min(LIFTED * end, self._end), HALF_LENGTH + 0.5)
