"""What built-in drivers know of the roads: the network's arrays, speeds that bends allow, where junction lanes meet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from roadcraft.sim.roads import LaneGrid, LaneKind, RoadNetwork

LATERAL = 2.2  # m/s^2 that drivers accept in bends
SLOWING = 2.0  # m/s^2 by which they slow down for them
ZONE_MARGIN = 1.2  # [m] added to either end of a zone where two lanes meet
HALF_CAR = 1.1  # [m] half a wide car's width with some air


class Graph(NamedTuple):
    """L lanes, N centre points, C conflicts (as in the network's CSR)."""

    grid: LaneGrid
    lanes: NDArray[np.void]  # (L,) LANE
    succ_start: NDArray[np.int32]
    succ: NDArray[np.int32]
    pred_start: NDArray[np.int32]
    pred: NDArray[np.int32]
    conflict_start: NDArray[np.int32]
    conflict: NDArray[np.int32]
    zone: NDArray[np.float64]  # (C, 4) [m] from, to on this lane; from, to on the other
    limit: NDArray[np.float64]  # (N,) [m/s] that speed limits and the lane's bends from here on allow
    endless: NDArray[np.bool_]  # (L,) a driver can go on for ever from here


@njit(cache=True)
def _zones(grid, starts, conflict, zone):  # type: ignore[no-untyped-def]
    """Where a car in one lane is closer than two half widths to the centre line of the other."""
    for lane in range(starts.shape[0] - 1):
        first, count = grid.first[lane], grid.counts[lane]
        for k in range(starts[lane], starts[lane + 1]):
            other = conflict[k]
            a0, a1, b0, b1 = 1e9, -1e9, 1e9, -1e9
            for i in range(first, first + count):
                for j in range(grid.first[other], grid.first[other] + grid.counts[other]):
                    dx, dy = grid.xy[i, 0] - grid.xy[j, 0], grid.xy[i, 1] - grid.xy[j, 1]
                    if dx * dx + dy * dy < 4.0 * HALF_CAR * HALF_CAR:
                        a0, a1 = min(a0, grid.s[i]), max(a1, grid.s[i])
                        b0, b1 = min(b0, grid.s[j]), max(b1, grid.s[j])
            zone[k, 0], zone[k, 1] = a0 - ZONE_MARGIN, a1 + ZONE_MARGIN
            zone[k, 2], zone[k, 3] = b0 - ZONE_MARGIN, b1 + ZONE_MARGIN


@njit(cache=True)
def _limits(grid, speed_limit, limit):  # type: ignore[no-untyped-def]
    """sqrt(a_lat / curvature), capped by the sign, lowered backwards so that SLOWING is enough."""
    for lane in range(grid.first.shape[0]):
        first, last = grid.first[lane], grid.first[lane] + grid.counts[lane] - 1
        for i in range(first, last + 1):
            # Over 3 m to either side: the curvature of single segments is noise.
            a, b = max(i - 3, first), min(i + 3, last)
            turn = grid.yaw[b] - grid.yaw[a]
            turn -= 2 * np.pi * np.floor(turn / (2 * np.pi) + 0.5)
            curvature = abs(turn) / max(grid.s[b] - grid.s[a], 0.1)
            limit[i] = min(speed_limit[lane], np.sqrt(LATERAL / max(curvature, 1e-4)))
        for i in range(last - 1, first - 1, -1):
            reach = np.sqrt(limit[i + 1] ** 2 + 2 * SLOWING * (grid.s[i + 1] - grid.s[i]))
            limit[i] = min(limit[i], reach)


def _endless(network: RoadNetwork) -> NDArray[np.bool_]:
    """Lanes from which some way never ends: what remains when dead ends are cut off again and again."""
    alive = network.lanes["kind"] == LaneKind.DRIVING
    while True:
        keep = alive.copy()
        for lane in np.flatnonzero(alive):
            onward = any(alive[other] for other in network.successors(lane))
            keep[lane] = onward or any(alive[other] and other != lane for other in network.changes(lane))
        if (keep == alive).all():
            return keep if keep.any() else network.lanes["kind"] == LaneKind.DRIVING
        alive = keep


def make_graph(network: RoadNetwork) -> Graph:
    zone = np.zeros((len(network.conflict), 4))
    _zones(network.grid, network.conflict_start, network.conflict, zone)
    limit = np.zeros(len(network.xy))
    _limits(network.grid, np.ascontiguousarray(network.lanes["speed_limit"]), limit)
    return Graph(
        network.grid,
        network.lanes,
        network.succ_start,
        network.succ,
        network.pred_start,
        network.pred,
        network.conflict_start,
        network.conflict,
        zone,
        limit,
        _endless(network),
    )
