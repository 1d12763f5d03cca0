"""Background cars that are stuck for good go elsewhere, as CARLA's TrafficManager takes away who stood for 90 s.

A car that was pushed off its lane, or that waits for one that waits for it, would stand to the end and everybody behind
it too. Who stands for a reason that ends, such as a red light, stands for less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.roads import LaneKind, RoadNetwork

STUCK = 90.0  # s
LOOK_EVERY = 20  # ticks
AWAY, CLEAR, SHORTEST = 60.0, 15.0, 12.0  # m from where it stood; m from everybody else; m of lane
TRIES = 50
_NOBODY = np.zeros(0, np.int64)


def stuck(bodies: NDArray[np.void], drivers: NDArray[np.void]) -> NDArray[np.int64]:
    """The rows of built-in drivers that have been standing for too long."""
    standing = drivers["standing"][: len(bodies)]
    if standing.max(initial=0.0) <= STUCK:  # as most of the time
        return _NOBODY
    return np.flatnonzero((standing > STUCK) & (bodies["autopilot"] != 0) & (bodies["id"] != 0))


def elsewhere(
    network: RoadNetwork, bodies: NDArray[np.void], row: int, frame: int
) -> tuple[NDArray[np.float64], float] | None:
    """A place (x, y) [m] and yaw [rad] in the middle of a lane, with nobody near; None when the town is full.

    Drawn from the body's own seed and the frame.
    """
    body, lanes = bodies[row], network.lanes
    good = np.flatnonzero((lanes["kind"] == LaneKind.DRIVING) & (lanes["junction"] < 0) & (lanes["length"] > SHORTEST))
    random = np.random.default_rng([int(body["autopilot"]), frame])
    others = bodies["xyz"][(bodies["id"] != 0) & (bodies["id"] != body["id"]), :2]
    for lane in random.choice(good, min(TRIES, len(good)), replace=False):
        rows = network.points(lane)
        middle = (rows.start + rows.stop) // 2
        xy = network.xy[middle]
        if np.hypot(*(xy - body["xyz"][:2])) < AWAY or (np.hypot(*(others - xy).T) < CLEAR).any():
            continue
        return xy, float(network.yaw[middle])
    return None
