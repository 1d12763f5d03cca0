"""Cells over a town: which bodies and which solid things are near a place.

Cells are no smaller than twice the largest body reaches, so that nine of them hold all that can touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, inf, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.scenery import TRUNK_RADIUS, Scenery, Shape
from roadcraft.sim.kernels import kernel

CELL = 12.0  # [m] edge of a cell
EDGE = 60.0  # [m] from the outermost lane to the end of the world
POST_RADIUS = 0.12  # [m]
WIDEST_HULL = (
    1.45  # [m] half of a firetruck's width: CARLA's coach is told 3.9 m wide, in lanes of 3.5, mirrors and all
)

SOLID = np.dtype(
    [("xy", np.float64, 2), ("yaw", np.float64), ("extent", np.float64, 3), ("z", np.float64), ("tag", np.uint8)]
)


CELL_ROW = np.dtype([("head", np.int32), ("first", np.int32), ("last", np.int32)])  # first body, its solids' rows
FRAME = np.dtype(
    [("x", np.float64), ("y", np.float64), ("columns", np.int64), ("rows", np.int64), ("limits", np.float64, 4)]
)
# How the bodies of a cell, and the vehicles of a lane, hang together; one row a body.
CHAIN = np.dtype(
    [
        ("cell", np.int32),  # that it is in
        ("in_cell", np.int32),  # the next body of that cell, -1
        ("lane", np.int32),  # that it is in, -1
        ("in_lane", np.int32),  # the next vehicle of that lane, -1
        ("seen", np.int32),
        ("cos", np.float64),  # of its yaw when it was sorted
        ("sin", np.float64),
    ]
)


@dataclass(frozen=True, slots=True)
class Bins:
    """Cells over the town: which bodies and which solids are in each."""

    frame: NDArray[np.void]  # (1,) FRAME: lower corner, size, limits x0, y0, x1, y1 [m] of the world
    cells: NDArray[np.void]  # (rows * columns,) CELL_ROW
    solids: NDArray[np.void]  # SOLID, cell after cell: one that reaches into several cells is there several times


_RADIUS = {Shape.TREE: TRUNK_RADIUS, Shape.LAMP: POST_RADIUS, Shape.SIGNAL: POST_RADIUS, Shape.SIGN: POST_RADIUS}


def make_bins(xy: NDArray[np.float64], scenery: Scenery) -> Bins:
    """Sorts a town's solids into cells. `xy` (N, 2): the lanes' points."""
    static = scenery.solids
    solids = np.zeros(len(static), SOLID)
    solids["xy"], solids["z"] = static["xyz"][:, :2], static["xyz"][:, 2]
    solids["yaw"], solids["extent"], solids["tag"] = static["yaw"], static["extent"], static["tag"]
    for shape, radius in _RADIUS.items():
        solids["extent"][static["shape"] == shape, :2] = radius
    frame = np.zeros(1, FRAME)
    frame["limits"] = np.concatenate([xy.min(0) - EDGE, xy.max(0) + EDGE])
    low = xy.min(0) - EDGE - CELL
    columns, rows = np.ceil((xy.max(0) + EDGE + CELL - low) / CELL).astype(np.int64)
    frame["x"], frame["y"], frame["columns"], frame["rows"] = low[0], low[1], columns, rows
    inside: list[list[int]] = [[] for _ in range(int(columns * rows))]
    for k, solid in enumerate(solids):
        c, s = abs(cos(solid["yaw"])), abs(sin(solid["yaw"]))
        ex, ey = solid["extent"][:2]
        half = np.array([c * ex + s * ey, s * ex + c * ey]) + 6.0  # bodies reach 6 m from their middle
        a = np.clip(((solid["xy"] - half - low) // CELL).astype(int), 0, (columns - 1, rows - 1))
        b = np.clip(((solid["xy"] + half - low) // CELL).astype(int), 0, (columns - 1, rows - 1))
        for row in range(a[1], b[1] + 1):
            for column in range(a[0], b[0] + 1):
                inside[row * columns + column].append(k)
    cells = np.zeros(len(inside), CELL_ROW)
    cells["last"] = np.cumsum([len(some) for some in inside])
    cells["first"] = cells["last"] - [len(some) for some in inside]
    cells["head"] = -1
    return Bins(frame, cells, solids[[k for some in inside for k in some]])


@kernel
def cell_of(frame, x, y):  # type: ignore[no-untyped-def]
    """The cell at a place; places outside belong to the outermost cells."""
    column = min(max(int((x - frame.x) / CELL), 0), frame.columns - 1)
    row = min(max(int((y - frame.y) / CELL), 0), frame.rows - 1)
    return row * frame.columns + column


@kernel
def fill_bins(bodies, chain, frames, cells):  # type: ignore[no-untyped-def]
    """Sorts all bodies into their cells, lowest row first in each. `chain` has rows also for bodies that are gone."""
    for i in range(chain.shape[0]):
        cells[chain[i].cell].head = -1
    for i in range(bodies.shape[0] - 1, -1, -1):
        if bodies[i].id != 0:
            cell = cell_of(frames[0], bodies[i].xyz[0], bodies[i].xyz[1])
            chain[i].cell, chain[i].in_cell = cell, cells[cell].head
            cells[cell].head = i
            chain[i].cos, chain[i].sin = cos(bodies[i].yaw), sin(bodies[i].yaw)


@kernel
def separation(x, y, yaw, ex, ey, x2, y2, yaw2, ex2, ey2):  # type: ignore[no-untyped-def]
    """(depth [m], normal x, normal y) of two turned rectangles; depth < 0: apart. The normal leads from 1 to 2."""
    dx, dy = x2 - x, y2 - y
    c, s, c2, s2 = cos(yaw), sin(yaw), cos(yaw2), sin(yaw2)
    cc, ss = abs(c * c2 + s * s2), abs(c * s2 - s * c2)
    best, nx, ny = inf, 1.0, 0.0
    for axis in range(4):
        if axis == 0:
            ax, ay, reach = c, s, ex + ex2 * cc + ey2 * ss
        elif axis == 1:
            ax, ay, reach = -s, c, ey + ex2 * ss + ey2 * cc
        elif axis == 2:
            ax, ay, reach = c2, s2, ex2 + ex * cc + ey * ss
        else:
            ax, ay, reach = -s2, c2, ey2 + ex * ss + ey * cc
        along = dx * ax + dy * ay
        depth = reach - abs(along)
        if depth < best:
            best = depth
            sign = 1.0 if along >= 0.0 else -1.0
            nx, ny = sign * ax, sign * ay
            if depth < 0.0:
                return depth, nx, ny
    return best, nx, ny


@kernel
def half_width(b):  # type: ignore[no-untyped-def]
    """[m] of a body, by which it meets others."""
    return min(b.extent[1], WIDEST_HULL)


@kernel
def is_free(bodies, frames, cells, solids, x, y, z, yaw, ex, ey, height):  # type: ignore[no-untyped-def]
    """Row of the body that a box at this place would overlap, -2 for scenery, -1 when the place is free."""
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id == 0 or not b.collides or b.xyz[2] > z + height or b.xyz[2] + 2.0 * b.extent[2] < z:
            continue
        depth, _, _ = separation(x, y, yaw, ex, ey, b.xyz[0], b.xyz[1], b.yaw, b.extent[0], half_width(b))
        if depth > 0.0:
            return i
    cell = cells[cell_of(frames[0], x, y)]
    for k in range(cell.first, cell.last):
        t = solids[k]
        if t.z > z + height or t.z + 2.0 * t.extent[2] < z:
            continue
        depth, _, _ = separation(x, y, yaw, ex, ey, t.xy[0], t.xy[1], t.yaw, t.extent[0], t.extent[1])
        if depth > 0.0:
            return -2
    return -1
