"""The speed limits that clients are told: the lanes' own, and in bends what these can be driven at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.roads import LaneKind, RoadNetwork

TURN_ACCELERATION = 4.0  # m/s^2 across, at which bends are told to be driven
CURVE_POINTS = 4  # of a lane, about 4 m, over which its curvature is taken
CURVE_AHEAD = 12  # points of a lane, about 12 m, before a bend from which its speed is told
STRAIGHT = 1e-3  # [rad] between two points of a lane that has no bend


def told_limits(network: RoadNetwork) -> NDArray[np.float64]:
    """(N,) [m/s] the speed limit that a vehicle is told at each lane point.

    In bends and turns it is what they can be driven at: the clients' TrafficManager slows down before a turn, speeds up
    to the limit inside it, and would not stay in its lane.
    """
    limits = network.lanes["speed_limit"][network.lane_of].astype(float)
    for lane in np.flatnonzero(network.lanes["kind"] == LaneKind.DRIVING):
        points = network.points(int(lane))
        turned = np.abs(np.diff(np.unwrap(network.yaw[points])))
        length = np.diff(network.s[points])
        window = min(len(turned), CURVE_POINTS)
        if not window or turned.max() < STRAIGHT:
            continue
        ones = np.ones(window)
        curvature = np.convolve(turned, ones, "same") / np.convolve(length, ones, "same")
        speed = np.sqrt(TURN_ACCELERATION / np.maximum(np.append(curvature, curvature[-1]), 1e-6))
        ahead = [speed[k : k + CURVE_AHEAD].min() for k in range(len(speed))]
        limits[points] = np.minimum(limits[points], ahead)
    return limits
