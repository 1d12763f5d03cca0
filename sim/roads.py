"""The road network as plain arrays: lanes, their centre points, how they connect, signals, crosswalks, spawn points.

Made once from an OpenDRIVE text by `sim/baking.py` through `carla.Map` and cached, so nothing here needs the `carla`
wheel. World frame (OpenDRIVE's, right-handed), SI units. Lanes are oriented in the direction of travel, also those with
a positive OpenDRIVE id, so `s` always grows the way the traffic goes.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import IntEnum
from math import cos, inf, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.errors import UserError
from roadcraft.sim.kernels import kernel
from roadcraft.sim.norm import norm

CELL = 4.0  # [m] edge of a cell of the grid that finds the nearest lane
SEARCH_RADIUS = 100.0  # [m] beyond which a place has no nearest lane
YAW_PENALTY = 2.0  # [m] per unit of 1 - cos(heading difference) when a lane is searched with a heading
LANE_CHANGE_COST = 30.0  # [m] of extra way that a lane change is worth avoiding, in `RoadNetwork.shortest`


class LaneKind(IntEnum):
    DRIVING = 0
    SIDEWALK = 1
    PARKING = 2
    SHOULDER = 3
    BIKING = 4
    OTHER = 5


class SignalKind(IntEnum):
    LIGHT = 0
    STOP = 1
    YIELD = 2
    SPEED = 3


class Priority(IntEnum):
    """Right of way of a junction's lane over those that it meets, lower gives way; equal: first come, or the light."""

    STOP = 0
    YIELD = 1
    MAIN = 2


DRIVING = 1 << LaneKind.DRIVING  # masks for `nearest`
SIDEWALK = 1 << LaneKind.SIDEWALK
PARKING = 1 << LaneKind.PARKING
ANY_KIND = 0xFF

LANE = np.dtype(
    [
        ("first", np.int32),  # first row of its points in `xy`
        ("count", np.int32),  # number of its points, both ends included
        ("road", np.int32),  # OpenDRIVE road id
        ("section", np.int32),  # OpenDRIVE lane section, counted along the road
        ("lane_id", np.int32),  # OpenDRIVE lane id
        ("kind", np.uint8),  # LaneKind
        ("junction", np.int32),  # OpenDRIVE junction id, -1 outside junctions
        ("length", np.float64),  # [m] along the centre
        ("speed_limit", np.float64),  # [m/s]
        ("left", np.int32),  # neighbour lane of the same direction, any kind, -1 when there is none
        ("right", np.int32),
        ("opposite", np.int32),  # innermost driving lane of the other direction beside it, -1 when there is none
        ("left_mark", np.uint8),  # messages.Mark of its border lines, left and right in the direction of travel
        ("right_mark", np.uint8),
        ("left_color", np.uint8),  # 0 white, 1 yellow, 2 other
        ("right_color", np.uint8),
        ("change_left", np.bool_),  # its traffic may change to `left`
        ("change_right", np.bool_),
        ("turn", np.uint8),  # messages.Command of a junction's lane, FOLLOW elsewhere
        ("priority", np.uint8),  # Priority of a junction's lane, MAIN elsewhere
        ("signal", np.int32),  # row in `signals` of the light that governs its end, -1 when there is none
        ("signal_s", np.float64),  # [m] arc length of that stop line on this lane
        ("stop", np.int32),  # the same for a stop sign
        ("stop_s", np.float64),
    ]
)

SIGNAL = np.dtype(
    [
        ("id", "U32"),  # OpenDRIVE signal id
        ("kind", np.uint8),  # SignalKind
        ("xyz", np.float64, 3),  # [m] middle of the head or the plate
        ("yaw", np.float64),  # [rad] heading of the drivers that it speaks to
        ("group", np.int32),  # OpenDRIVE junction id, -1 when it belongs to none
        ("phase", np.int32),  # lights of a group with the same phase are green together; -1 for signs
        ("value", np.float64),  # [m/s] of a speed sign, else 0
    ]
)


class LaneGrid(NamedTuple):
    """What compiled kernels need to find lanes: pass it to `nearest_lane` and `lane_point`."""

    first: NDArray[np.int32]  # (L,)
    counts: NDArray[np.int32]  # (L,)
    kind: NDArray[np.uint8]  # (L,)
    xy: NDArray[np.float64]  # (N, 2)
    yaw: NDArray[np.float64]  # (N,)
    s: NDArray[np.float64]  # (N,)
    width: NDArray[np.float64]  # (N,)
    lane_of: NDArray[np.int32]  # (N,)
    origin: NDArray[np.float64]  # (2,) lower corner of the grid
    shape: NDArray[np.int64]  # (2,) columns (x), rows (y)
    start: NDArray[np.int32]  # (columns * rows + 1,) first entry of each cell in `points`, row after row
    points: NDArray[np.int32]  # (N,) point indices sorted by cell


@kernel
def _scan_cell(
    grid: LaneGrid, column: int, row: int, x: float, y: float, yaw: float, aligned: bool, kinds: int, best: float
) -> tuple[float, int]:
    """The cheapest point of one cell if it beats `best`: (cost, point), or (best, -1)."""
    found = -1
    cell = row * grid.shape[0] + column
    for k in range(grid.start[cell], grid.start[cell + 1]):
        i = grid.points[k]
        dx, dy = grid.xy[i, 0] - x, grid.xy[i, 1] - y
        if dx * dx + dy * dy > 1.001 * best * best:  # most are, so that this comes first
            continue
        if not (kinds >> grid.kind[grid.lane_of[i]]) & 1:
            continue
        cost = norm(dx, dy)
        if aligned and cost < best:
            cost += YAW_PENALTY * (1.0 - cos(grid.yaw[i] - yaw))
        if cost < best:
            best, found = cost, i
    return best, found


@kernel
def nearest_lane(grid: LaneGrid, x: float, y: float, yaw: float, aligned: bool, kinds: int) -> tuple[int, float, float]:
    """The lane at a place: (lane, s [m], lateral offset [m], left positive); (-1, 0, inf) further than 100 m off.

    With `aligned`, lanes that do not lead along `yaw` [rad] count as further away. `kinds` is a mask of LaneKind bits.
    """
    column, row = int((x - grid.origin[0]) // CELL), int((y - grid.origin[1]) // CELL)
    best, found = SEARCH_RADIUS, -1
    ring = 0
    while (ring - 1) * CELL < best:  # everything further out is at least that far
        for r in range(max(row - ring, 0), min(row + ring, grid.shape[1] - 1) + 1):
            step = 1 if abs(r - row) == ring or ring == 0 else 2 * ring
            for c in range(column - ring, column + ring + 1, step):
                if 0 <= c < grid.shape[0]:
                    best, hit = _scan_cell(grid, c, r, x, y, yaw, aligned, kinds, best)
                    if hit >= 0:
                        found = hit
        ring += 1
    if found < 0:
        return -1, 0.0, inf
    lane = grid.lane_of[found]
    s, lateral = _project(grid, lane, found, x, y)
    return lane, s, lateral


@kernel
def _project(grid: LaneGrid, lane: int, i: int, x: float, y: float) -> tuple[float, float]:
    """Arc length and lateral offset of a place on the two segments that meet at point `i` of `lane`."""
    first, last = grid.first[lane], grid.first[lane] + grid.counts[lane] - 1
    best, s, lateral = inf, grid.s[i], 0.0
    for a in range(max(i - 1, first), min(i, last - 1) + 1):
        ax, ay = grid.xy[a, 0], grid.xy[a, 1]
        dx, dy = grid.xy[a + 1, 0] - ax, grid.xy[a + 1, 1] - ay
        length = max(norm(dx, dy), 1e-9)
        t = min(max(((x - ax) * dx + (y - ay) * dy) / (length * length), 0.0), 1.0)
        distance = norm(x - ax - t * dx, y - ay - t * dy)
        if distance < best:
            best = distance
            s = grid.s[a] + t * (grid.s[a + 1] - grid.s[a])
            lateral = (dx * (y - ay) - dy * (x - ax)) / length
    return s, lateral


@kernel
def lane_point(grid: LaneGrid, lane: int, s: float) -> tuple[float, float, float, float]:
    """x, y [m], yaw [rad], width [m] of a lane's centre at arc length `s`, held at its ends."""
    first, last = grid.first[lane], grid.first[lane] + grid.counts[lane] - 1
    step = grid.s[last] / max(last - first, 1)
    a = first + min(max(int(s / max(step, 1e-9)), 0), max(last - first - 1, 0))
    while a > first and grid.s[a] > s:
        a -= 1
    while a < last - 1 and grid.s[a + 1] < s:
        a += 1
    b = min(a + 1, last)
    t = min(max((s - grid.s[a]) / max(grid.s[b] - grid.s[a], 1e-9), 0.0), 1.0)
    turn = grid.yaw[b] - grid.yaw[a]
    turn -= 2 * np.pi * np.floor(turn / (2 * np.pi) + 0.5)
    return (
        grid.xy[a, 0] + t * (grid.xy[b, 0] - grid.xy[a, 0]),
        grid.xy[a, 1] + t * (grid.xy[b, 1] - grid.xy[a, 1]),
        grid.yaw[a] + t * turn,
        grid.width[a] + t * (grid.width[b] - grid.width[a]),
    )


def build_grid(lanes: NDArray[np.void], xy: NDArray, yaw: NDArray, s: NDArray, width: NDArray) -> LaneGrid:
    """Sorts all lane points into cells of CELL metres."""
    origin = xy.min(0) - CELL
    shape = np.asarray(((xy.max(0) + CELL - origin) // CELL).astype(np.int64) + 1)
    column, row = ((xy - origin) // CELL).astype(np.int64).T
    cell = row * shape[0] + column
    order = np.argsort(cell, kind="stable").astype(np.int32)
    start = np.searchsorted(cell[order], np.arange(shape[0] * shape[1] + 1)).astype(np.int32)
    first, count = (np.ascontiguousarray(lanes[name]) for name in ("first", "count"))
    lane_of = np.repeat(np.arange(len(lanes), dtype=np.int32), count)
    kind = np.ascontiguousarray(lanes["kind"])
    return LaneGrid(first, count, kind, xy, yaw, s, width, lane_of, origin, shape, start, order)


@dataclass(frozen=True, slots=True)
class RoadNetwork:
    """A town's lanes. L lanes, N centre points at most 1 m apart, S signals, M spawn points."""

    name: str
    xodr: str  # the OpenDRIVE text that it was made from
    lanes: NDArray[np.void]  # (L,) LANE
    xy: NDArray[np.float64]  # (N, 2) [m]
    z: NDArray[np.float64]  # (N,) [m]
    yaw: NDArray[np.float64]  # (N,) [rad] direction of travel
    s: NDArray[np.float64]  # (N,) [m] from the lane's beginning
    width: NDArray[np.float64]  # (N,) [m]
    succ_start: NDArray[np.int32]  # (L + 1,) successors of lane i are succ[succ_start[i] : succ_start[i + 1]]
    succ: NDArray[np.int32]
    pred_start: NDArray[np.int32]  # (L + 1,)
    pred: NDArray[np.int32]
    conflict_start: NDArray[np.int32]  # (L + 1,) junction lanes whose swept areas meet that of lane i
    conflict: NDArray[np.int32]
    signals: NDArray[np.void]  # (S,) SIGNAL
    stop_lines: NDArray[np.float64]  # (K, 4) [m] x0, y0, x1, y1 of each painted stop line
    crosswalks: tuple[NDArray[np.float64], ...]  # each (k, 2) [m], counter-clockwise, not closed
    spawns: NDArray[np.float64]  # (M, 3) x, y [m], yaw [rad]; the first three have 45 m of straight road ahead
    geo: tuple[float, float]  # latitude, longitude [degrees] of the world's origin
    grid: LaneGrid = field(repr=False)
    floors: tuple[NDArray[np.float64], ...] = ()  # each (k, 2) [m]: asphalt of junctions, between their lanes too

    @property
    def lane_of(self) -> NDArray[np.int32]:
        """(N,) the lane of each point."""
        return self.grid.lane_of

    def nearest(self, xy: ArrayLike, yaw: float | None = None, kinds: int = DRIVING) -> tuple[int, float, float]:
        """(lane, s [m], lateral [m], left positive) of the lane at a place; lane -1 when none is within 100 m.

        With a heading, lanes that lead elsewhere count as further away. `kinds` is a mask such as DRIVING | PARKING.
        """
        x, y = np.asarray(xy, float).tolist()
        return nearest_lane(self.grid, x, y, 0.0 if yaw is None else float(yaw), yaw is not None, kinds)

    def point(self, lane: int, s: float) -> tuple[float, float, float, float]:
        """x, y [m], yaw [rad], width [m] of a lane's centre at arc length `s` [m], held at its ends."""
        return lane_point(self.grid, lane, float(s))

    def points(self, lane: int) -> slice:
        """The rows of a lane's points in `xy`, `yaw`, `s`, `z`, `width`."""
        first = int(self.lanes["first"][lane])
        return slice(first, first + int(self.lanes["count"][lane]))

    def successors(self, lane: int) -> NDArray[np.int32]:
        return self.succ[self.succ_start[lane] : self.succ_start[lane + 1]]

    def predecessors(self, lane: int) -> NDArray[np.int32]:
        return self.pred[self.pred_start[lane] : self.pred_start[lane + 1]]

    def conflicts(self, lane: int) -> NDArray[np.int32]:
        """The junction lanes that a car in this junction lane could collide in, merging ones included."""
        return self.conflict[self.conflict_start[lane] : self.conflict_start[lane + 1]]

    def changes(self, lane: int) -> list[int]:
        """The driving lanes beside it to which its traffic may change."""
        row = self.lanes[lane]
        sides = ((row["left"], row["change_left"]), (row["right"], row["change_right"]))
        return [int(side) for side, allowed in sides if allowed and side >= 0]

    def shortest(self, lane_a: int, lane_b: int) -> list[int]:
        """The lanes from one to another, both included, by length; lane changes where allowed. UserError if none."""
        lengths = self.lanes["length"]
        queue, cost, came = [(0.0, lane_a)], {lane_a: 0.0}, {lane_a: -1}
        while queue:
            travelled, lane = heapq.heappop(queue)
            if lane == lane_b:
                way = [lane]
                while came[way[-1]] >= 0:
                    way.append(came[way[-1]])
                return way[::-1]
            if travelled > cost[lane]:
                continue
            steps = [(int(n), travelled + lengths[lane]) for n in self.successors(lane)]
            steps += [(n, travelled + LANE_CHANGE_COST) for n in self.changes(lane)]
            for other, total in steps:
                if total < cost.get(other, inf):
                    cost[other], came[other] = float(total), lane
                    heapq.heappush(queue, (float(total), other))
        raise UserError(f"{self.name}: no way leads from lane {lane_a} to lane {lane_b}")


def offset_point(x: float, y: float, yaw: float, lateral: float) -> tuple[float, float]:
    """A place `lateral` [m] to the left of a pose."""
    return x - lateral * sin(yaw), y + lateral * cos(yaw)


def network_from_opendrive(text: str, name: str = "map") -> RoadNetwork:
    """Reads an OpenDRIVE text through `carla.Map`, or from the cache when it was read before.

    Raises UserError where the text is broken, and where it is new and the `carla` wheel is not installed.
    """
    from roadcraft.sim.baking import cached_network

    return cached_network(text, name)
