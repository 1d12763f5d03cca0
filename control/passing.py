"""Who stands before a pedestrian that stays beside the way passes him after a while.

A pedestrian may turn on the spot, so that much air is kept to him; somebody who waits at a kerb for a gap in the
traffic would hold the car up for ever. A car that has stood before him long enough keeps, for some metres, no more air
to him than to a car: so slow, it still stops for whoever sets off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.control.car import HALF_WIDTH
from roadcraft.control.paths import headings, project, stations
from roadcraft.sim.kernels import njit

PATIENCE = 4.0  # s of standing
STANDS = 0.3  # m/s, slower than which the car stands
AHEAD = 12.0  # m before us within which somebody holds the car up
LENGTH = 8.0  # m that are driven past him
BESIDE = HALF_WIDTH + 0.45  # m from the path, beyond which a walker is beside it ...
CLOSING = 0.3  # m/s ... and calm while it comes closer more slowly


@njit
def calm(path: NDArray[np.float64], others: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which (N,) of `others` (N,) OTHER are walkers beside the path (T, 2) [m] who do not come closer."""
    out = np.zeros(len(others), np.bool_)
    s, yaw = stations(path), headings(path)
    for i in range(len(others)):
        o = others[i]
        if not o.walker:
            continue
        at, lateral = project(path, s, o.xy[0], o.xy[1])
        along = yaw[min(len(path) - 1, int(at))]
        closing = -np.sign(lateral) * (o.velocity[1] * np.cos(along) - o.velocity[0] * np.sin(along))
        out[i] = abs(lateral) >= BESIDE and closing <= CLOSING
    return out


class Passing:
    """Call it once a percept; it remembers for how long the car has stood, and how far it has come since."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new episode."""
        self._stood = 0.0  # s
        self._left = 0.0  # m that are still driven so

    def __call__(
        self, path: NDArray[np.float64], others: NDArray[np.void], speed: float, moved: float, dt: float
    ) -> None:
        """Marks in place which of `others` (N,) OTHER are passed on the path (T, 2) [m]. `speed` [m/s]; `moved` [m]
        and `dt` [s] since the last percept."""
        if speed >= STANDS and self._left == 0.0:
            self._stood = max(0.0, self._stood - dt)
            return
        beside = calm(path, others)
        held = speed < STANDS and bool((beside & (np.abs(others["xy"][:, 0] - 0.5 * AHEAD) < 0.5 * AHEAD)).any())
        # Who fidgets is not calm in every percept.
        self._stood = self._stood + dt if held else max(0.0, self._stood - dt)
        self._left = LENGTH if self._stood > PATIENCE else max(0.0, self._left - moved)
        others["passed"] = beside & (self._left > 0.0)
