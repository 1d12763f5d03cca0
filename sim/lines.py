"""The painted lines along a route, seen from the ego: where they are ahead of it, lane by lane, until the paint ends.

At each route point the borders of the lanes beside each other are kept as offsets from the route: three beyond the
route's lane to the left, its own two, three to the right. A lane change of the route shifts which border is which;
`shift` undoes that, so that a line is followed by its place on the road.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.kernels import kernel, njit
from roadcraft.sim.messages import LANE_LINES, LANE_X, Mark
from roadcraft.sim.roads import LaneGrid, RoadNetwork, lane_point
from roadcraft.sim.routes import Route

BORDERS = 8  # a route point: 3 further left, left, right, 3 further right
OWN = 3  # index of the left border of the route's lane
REACH = 70  # route points followed ahead
FIRST_PAINT = 15.0  # m ahead; lines that begin further away belong to the road after the junction
PAINTED = Mark.NONE  # anything above is paint


def route_borders(
    network: RoadNetwork, route: Route
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.int64]]:
    """Offsets (N, 8) [m] left of the route (NaN where there is no lane), their marks (N, 8), the lane shift (N,)."""
    lanes = network.lanes
    names = ("left", "right", "opposite", "left_mark", "right_mark", "length")
    left, right, opposite, left_mark, right_mark, length = (np.ascontiguousarray(lanes[name]) for name in names)
    offsets, marks = _borders(
        network.grid,
        left,
        right,
        opposite,
        left_mark,
        right_mark,
        length,
        route.xy,
        route.yaw,
        route.lane,
        route.lane_s,
    )
    before, after = route.lane[:-1], route.lane[1:]
    change = np.where(after == left[before], 1, np.where(after == right[before], -1, 0))
    change[before == after] = 0
    return offsets, marks, np.concatenate([[0], np.cumsum(change)]).astype(np.int64)


@njit
def _borders(
    grid: LaneGrid,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    opposite: NDArray[np.int32],
    left_mark: NDArray[np.uint8],
    right_mark: NDArray[np.uint8],
    length: NDArray[np.float64],
    xy: NDArray[np.float64],
    yaw: NDArray[np.float64],
    lane: NDArray[np.int32],
    lane_s: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    offsets = np.full((len(xy), BORDERS), np.nan)
    marks = np.zeros((len(xy), BORDERS), np.uint8)
    for i in range(len(xy)):
        nx, ny = -np.sin(yaw[i]), np.cos(yaw[i])
        base = lane[i]
        part = lane_s[i] / max(length[base], 1e-6)
        x, y, _, width = lane_point(grid, base, lane_s[i])
        centre = (x - xy[i, 0]) * nx + (y - xy[i, 1]) * ny
        offsets[i, OWN], marks[i, OWN] = centre + width / 2, left_mark[base]
        offsets[i, OWN + 1], marks[i, OWN + 1] = centre - width / 2, right_mark[base]
        for side in (1, -1):
            at, reverse = base, False
            for k in range(3):
                if side == 1 and not reverse:
                    following = left[at]
                    if following < 0:
                        following, reverse = opposite[at], True
                else:
                    following = right[at]
                if following < 0:
                    break
                at = following
                x, y, _, width = lane_point(grid, at, (1.0 - part if reverse else part) * length[at])
                centre = (x - xy[i, 0]) * nx + (y - xy[i, 1]) * ny
                border = OWN - 1 - k if side == 1 else OWN + 2 + k
                offsets[i, border] = centre + side * width / 2
                marks[i, border] = left_mark[at] if side == 1 and not reverse else right_mark[at]
    return offsets, marks


@kernel
def lane_slot(borders: NDArray[np.float64], lateral: float) -> int:
    """Which lane of one route point's borders (8,) the offset lies in: the index of that lane's left border."""
    slot = OWN
    while slot > 1 and lateral > borders[slot] and not np.isnan(borders[slot - 1]):
        slot -= 1
    while slot < BORDERS - 3 and lateral < borders[slot + 1] and not np.isnan(borders[slot + 2]):
        slot += 1
    return slot


@kernel
def lines_ahead(
    points: NDArray[np.void],
    index: int,
    lateral: float,
    pose: tuple[float, float, float],
    lines: NDArray[np.float64],
    kinds: NDArray[np.uint8],
) -> None:
    """Fills `lines` (4, 10) with offsets [m] at LANE_X in the ego frame, NaN where there is no paint, and `kinds` (4,)
    with the lines' marks.

    `points` (N,) are the route's tracking.POINT, `index` is the one beside the ego, `lateral` [m] the ego's offset from
    it.
    """
    lines[:] = np.nan
    kinds[:] = 0
    slot = lane_slot(points[index].offsets, lateral)
    x0, y0, heading = pose
    c, s = np.cos(heading), np.sin(heading)
    begin, end = max(index - 2, 0), min(index + REACH, len(points))
    for line in range(LANE_LINES):
        at, begun = 0, False
        before_x, before_y, before_mark = np.nan, 0.0, 0
        for i in range(begin, end):
            point = points[i]
            border = slot - 1 + line + point.shift - points[index].shift
            mark, offset = 0, 0.0
            if 0 <= border < BORDERS:
                offset = point.offsets[border]
                mark = 0 if np.isnan(offset) else point.marks[border]
            dx = point.xy[0] - point.sin * offset - x0
            dy = point.xy[1] + point.cos * offset - y0
            x, y = dx * c + dy * s, dy * c - dx * s
            painted = mark != 0 and before_mark != 0
            if begun and not painted and x > LANE_X[0]:
                break
            if not begun and i - index > FIRST_PAINT:
                break
            while at < len(LANE_X) and LANE_X[at] <= x:
                if before_x < LANE_X[at] and painted:
                    t = (LANE_X[at] - before_x) / (x - before_x)
                    lines[line, at] = before_y + t * (y - before_y)
                    if not begun:
                        begun, kinds[line] = True, mark
                at += 1
            if x < before_x:  # the route turns back
                break
            before_x, before_y, before_mark = x, y, mark
