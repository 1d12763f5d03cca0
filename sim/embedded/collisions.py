"""Who touches whom: boxes on the ground, impulses with friction, contacts of the tick.

Broad phase: a grid of cells no smaller than twice the largest body, so that nine cells hold all that can touch.
Narrow phase: separating axes of two turned rectangles. Where two things met during the tick at speed, they are moved
back along their relative velocity to find the side that touched first: nothing passes through anything at 30 m/s.
"""

from __future__ import annotations

from math import ceil, cos, hypot, inf, sin
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from roadcraft.sim.embedded.scenery import TRUNK_RADIUS, Scenery, Shape
from roadcraft.sim.messages import Kind

CELL = 12.0  # [m] edge of a cell
RESTITUTION = 0.1
FRICTION = 0.4  # metal on metal
FALL_IMPULSE = 30.0  # [N s] that throws a walker over
LYING_TIME = 8.0  # s that the walker then stays down
EDGE = 60.0  # [m] from the outermost lane to the end of the world
POST_RADIUS = 0.12  # [m]
MAX_CONTACTS = 512  # of one tick
_BACK_STEPS = 8
_PEDESTRIAN, _STATIC = int(Kind.PEDESTRIAN), int(Kind.STATIC)

CONTACTS = np.dtype(
    [
        ("a", np.uint32),  # actor id; each pair is told twice, once from either side
        ("b", np.uint32),  # actor id of the other, 0 for scenery and the world's edge
        ("kind", np.uint8),  # messages.Kind of b
        ("tag", np.uint8),  # CARLA's semantic tag of b when it is scenery, else 0
        ("point", np.float64, 3),  # [m] world
        ("normal", np.float64, 2),  # from b towards a
        ("impulse", np.float64),  # [N s] on a, along the normal
    ]
)
SOLID = np.dtype(
    [("xy", np.float64, 2), ("yaw", np.float64), ("extent", np.float64, 3), ("z", np.float64), ("tag", np.uint8)]
)


class Bins(NamedTuple):
    """Cells over the town: which bodies and which solids are in each."""

    origin: NDArray[np.float64]  # (2,) [m] lower corner
    shape: NDArray[np.int64]  # (2,) columns, rows
    head: NDArray[np.int32]  # (cells,) first body of each cell, -1
    after: NDArray[np.int32]  # (capacity,) next body in the same cell, -1
    start: NDArray[np.int32]  # (cells + 1,) CSR of the solids near each cell
    items: NDArray[np.int32]
    solids: NDArray[np.void]  # (K,) SOLID
    limits: NDArray[np.float64]  # (4,) x0, y0, x1, y1 [m] the world's edge


_RADIUS = {Shape.TREE: TRUNK_RADIUS, Shape.LAMP: POST_RADIUS, Shape.SIGNAL: POST_RADIUS, Shape.SIGN: POST_RADIUS}


def make_bins(xy: NDArray[np.float64], scenery: Scenery, capacity: int) -> Bins:
    """Sorts a town's solids into cells. `xy` (N, 2): the lanes' points."""
    static = scenery.solids
    solids = np.zeros(len(static), SOLID)
    solids["xy"], solids["z"] = static["xyz"][:, :2], static["xyz"][:, 2]
    solids["yaw"], solids["extent"], solids["tag"] = static["yaw"], static["extent"], static["tag"]
    for shape, radius in _RADIUS.items():
        solids["extent"][static["shape"] == shape, :2] = radius
    limits = np.concatenate([xy.min(0) - EDGE, xy.max(0) + EDGE])
    origin = limits[:2] - CELL
    shape_ = np.ceil((limits[2:] + CELL - origin) / CELL).astype(np.int64)
    cells: list[list[int]] = [[] for _ in range(int(shape_[0] * shape_[1]))]
    for k, solid in enumerate(solids):
        c, s = abs(cos(solid["yaw"])), abs(sin(solid["yaw"]))
        ex, ey = solid["extent"][:2]
        half = np.array([c * ex + s * ey, s * ex + c * ey]) + 6.0  # bodies reach 6 m from their middle
        low = np.clip(((solid["xy"] - half - origin) // CELL).astype(int), 0, shape_ - 1)
        high = np.clip(((solid["xy"] + half - origin) // CELL).astype(int), 0, shape_ - 1)
        for row in range(low[1], high[1] + 1):
            for column in range(low[0], high[0] + 1):
                cells[row * shape_[0] + column].append(k)
    start = np.concatenate([[0], np.cumsum([len(cell) for cell in cells])]).astype(np.int32)
    items = np.array([k for cell in cells for k in cell], np.int32)
    return Bins(
        origin, shape_, np.full(len(cells), -1, np.int32), np.full(capacity, -1, np.int32), start, items, solids, limits
    )


@njit(cache=True)
def cell_of(bins, x, y):  # type: ignore[no-untyped-def]
    """The cell at a place; places outside belong to the outermost cells."""
    column = min(max(int((x - bins.origin[0]) / CELL), 0), bins.shape[0] - 1)
    row = min(max(int((y - bins.origin[1]) / CELL), 0), bins.shape[1] - 1)
    return row * bins.shape[0] + column


@njit(cache=True)
def fill_bins(bodies, bins):  # type: ignore[no-untyped-def]
    """Sorts all bodies into their cells, lowest row first in each."""
    bins.head[:] = -1
    for i in range(bodies.shape[0] - 1, -1, -1):
        if bodies[i].id != 0:
            cell = cell_of(bins, bodies[i].xyz[0], bodies[i].xyz[1])
            bins.after[i] = bins.head[cell]
            bins.head[cell] = i


@njit(cache=True)
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


@njit(cache=True)
def _corners_inside(x, y, yaw, ex, ey, x2, y2, yaw2, ex2, ey2):  # type: ignore[no-untyped-def]
    """(sum of x, sum of y, count) of the corners of rectangle 1 in rectangle 2, which is taken 5 cm larger."""
    c, s, c2, s2 = cos(yaw), sin(yaw), cos(yaw2), sin(yaw2)
    px, py, count = 0.0, 0.0, 0
    for corner in range(4):
        lx = ex if corner & 1 else -ex
        ly = ey if corner & 2 else -ey
        wx, wy = x + c * lx - s * ly, y + s * lx + c * ly
        dx, dy = wx - x2, wy - y2
        if abs(c2 * dx + s2 * dy) <= ex2 + 0.05 and abs(c2 * dy - s2 * dx) <= ey2 + 0.05:
            px, py, count = px + wx, py + wy, count + 1
    return px, py, count


@njit(cache=True)
def _touch(x, y, yaw, ex, ey, vx, vy, x2, y2, yaw2, ex2, ey2, dt):  # type: ignore[no-untyped-def]
    """(depth, normal, point) of two rectangles that overlap or met during the last dt [s]; depth < 0 if not.

    (vx, vy) [m/s] is the velocity of 1 as seen from 2.
    """
    depth, nx, ny = separation(x, y, yaw, ex, ey, x2, y2, yaw2, ex2, ey2)
    travel = hypot(vx, vy) * dt
    back = 0.0
    thickness = max(min(ex, ey) + min(ex2, ey2), 0.1)
    if depth < 0.0 and travel < thickness:
        return depth, nx, ny, 0.0, 0.0
    if travel > 0.05:
        # Finely enough that the smaller thing cannot slip between two places.
        steps = max(_BACK_STEPS, ceil(travel / thickness))
        touched = depth >= 0.0
        for k in range(1, steps + 1):
            t = dt * k / steps
            earlier, ax, ay = separation(x - vx * t, y - vy * t, yaw, ex, ey, x2, y2, yaw2, ex2, ey2)
            if earlier >= 0.0:
                nx, ny, back, touched = ax, ay, t, True
            elif touched:
                break
        if not touched:
            return -1.0, nx, ny, 0.0, 0.0
        depth = max(_reach(nx, ny, yaw, ex, ey) + _reach(nx, ny, yaw2, ex2, ey2) - ((x2 - x) * nx + (y2 - y) * ny), 0.0)
    x, y = x - vx * back, y - vy * back
    px, py, count = _corners_inside(x, y, yaw, ex, ey, x2, y2, yaw2, ex2, ey2)
    qx, qy, more = _corners_inside(x2, y2, yaw2, ex2, ey2, x, y, yaw, ex, ey)
    if count + more == 0:
        reach = _reach(nx, ny, yaw, ex, ey)
        return depth, nx, ny, x + nx * reach, y + ny * reach
    return depth, nx, ny, (px + qx) / (count + more), (py + qy) / (count + more)


@njit(cache=True)
def _reach(nx, ny, yaw, ex, ey):  # type: ignore[no-untyped-def]
    """How far a turned rectangle reaches from its middle along a unit vector [m]."""
    c, s = cos(yaw), sin(yaw)
    return ex * abs(nx * c + ny * s) + ey * abs(ny * c - nx * s)


@njit(cache=True)
def _record(contacts, count, a, b, kind, tag, px, py, z, nx, ny, impulse):  # type: ignore[no-untyped-def]
    if count[0] >= contacts.shape[0]:
        return
    row = contacts[count[0]]
    row.a, row.b, row.kind, row.tag, row.impulse = a, b, kind, tag, impulse
    row.point[0], row.point[1], row.point[2] = px, py, z
    row.normal[0], row.normal[1] = nx, ny
    count[0] += 1


@njit(cache=True)
def _push(b, p, jx, jy, px, py, dt):  # type: ignore[no-untyped-def]
    """Gives body b the impulse (jx, jy) [N s] at the place (px, py)."""
    b.velocity[0] += jx / p.mass
    b.velocity[1] += jy / p.mass
    b.accel[0] += jx / p.mass / dt
    b.accel[1] += jy / p.mass / dt
    if b.kind != _PEDESTRIAN:
        b.yaw_rate += ((px - b.xyz[0]) * jy - (py - b.xyz[1]) * jx) / p.inertia
    b.speed = b.velocity[0] * cos(b.yaw) + b.velocity[1] * sin(b.yaw)


@njit(cache=True)
def _compliance(b, p, px, py, nx, ny):  # type: ignore[no-untyped-def]
    """Speed [m/s] along the normal at a place per impulse [N s] there; 0 for what cannot be moved."""
    if not b.physics:
        return 0.0
    if b.kind == _PEDESTRIAN:
        return 1.0 / p.mass
    arm = (px - b.xyz[0]) * ny - (py - b.xyz[1]) * nx
    return 1.0 / p.mass + arm * arm / p.inertia


@njit(cache=True)
def _velocity_at(b, px, py):  # type: ignore[no-untyped-def]
    rate = 0.0 if b.kind == _PEDESTRIAN else b.yaw_rate
    return b.velocity[0] - rate * (py - b.xyz[1]), b.velocity[1] + rate * (px - b.xyz[0])


@njit(cache=True)
def _impulses(approach, slide, along, across):  # type: ignore[no-untyped-def]
    """(normal, tangential) impulse [N s] for closing and sliding speeds [m/s], and compliances."""
    normal = (1.0 + (RESTITUTION if approach > 1.0 else 0.0)) * approach / max(along, 1e-12)
    tangential = min(max(-slide / max(across, 1e-12), -FRICTION * normal), FRICTION * normal)
    return normal, tangential


@njit(cache=True)
def _hit_solid(b, p, solid, dt, contacts, count):  # type: ignore[no-untyped-def]
    if b.xyz[2] > solid.z + 2.0 * solid.extent[2] or b.xyz[2] + 2.0 * b.extent[2] < solid.z:
        return
    reach = hypot(b.extent[0], b.extent[1]) + hypot(solid.extent[0], solid.extent[1])
    dx, dy = solid.xy[0] - b.xyz[0], solid.xy[1] - b.xyz[1]
    travel = (abs(b.velocity[0]) + abs(b.velocity[1])) * dt
    if dx * dx + dy * dy > (reach + travel) * (reach + travel):
        return
    depth, nx, ny, px, py = _touch(
        b.xyz[0], b.xyz[1], b.yaw, b.extent[0], b.extent[1], b.velocity[0], b.velocity[1],
        solid.xy[0], solid.xy[1], solid.yaw, solid.extent[0], solid.extent[1], dt,
    )  # fmt: skip
    if depth < 0.0:
        return
    _stop_at(b, p, depth, nx, ny, px, py, solid.tag, dt, contacts, count)


@njit(cache=True)
def _stop_at(b, p, depth, nx, ny, px, py, tag, dt, contacts, count):  # type: ignore[no-untyped-def]
    """Body b has met something immovable; the normal leads into it."""
    vx, vy = _velocity_at(b, px, py)
    approach = vx * nx + vy * ny
    if b.physics:
        b.xyz[0] -= depth * nx
        b.xyz[1] -= depth * ny
    if approach <= 0.01:
        return
    along, across = _compliance(b, p, px, py, nx, ny), _compliance(b, p, px, py, -ny, nx)
    normal, tangential = _impulses(approach, vy * nx - vx * ny, along, across)
    if b.physics:
        _push(b, p, -normal * nx - tangential * ny, -normal * ny + tangential * nx, px, py, dt)
    _record(contacts, count, b.id, 0, _STATIC, tag, px, py, b.xyz[2] + 0.5, -nx, -ny, normal)


@njit(cache=True)
def _hit_body(a, p, b, q, dt, contacts, count):  # type: ignore[no-untyped-def]
    """Lets two bodies meet; returns whether (a, b) were thrown over."""
    if a.xyz[2] > b.xyz[2] + 2.0 * b.extent[2] or b.xyz[2] > a.xyz[2] + 2.0 * a.extent[2]:
        return False, False
    reach = hypot(a.extent[0], a.extent[1]) + hypot(b.extent[0], b.extent[1])
    vx, vy = a.velocity[0] - b.velocity[0], a.velocity[1] - b.velocity[1]
    dx, dy = b.xyz[0] - a.xyz[0], b.xyz[1] - a.xyz[1]
    travel = (abs(vx) + abs(vy)) * dt
    if dx * dx + dy * dy > (reach + travel) * (reach + travel):
        return False, False
    depth, nx, ny, px, py = _touch(
        a.xyz[0], a.xyz[1], a.yaw, a.extent[0], a.extent[1], vx, vy,
        b.xyz[0], b.xyz[1], b.yaw, b.extent[0], b.extent[1], dt,
    )  # fmt: skip
    if depth < 0.0:
        return False, False
    along = _compliance(a, p, px, py, nx, ny) + _compliance(b, q, px, py, nx, ny)
    if along == 0.0:
        return False, False
    across = _compliance(a, p, px, py, -ny, nx) + _compliance(b, q, px, py, -ny, nx)
    ux, uy = _velocity_at(a, px, py)
    wx, wy = _velocity_at(b, px, py)
    approach = (ux - wx) * nx + (uy - wy) * ny
    light_a = 1.0 / p.mass if a.physics else 0.0
    light_b = 1.0 / q.mass if b.physics else 0.0
    share = light_a / max(light_a + light_b, 1e-12)
    a.xyz[0] -= share * depth * nx
    a.xyz[1] -= share * depth * ny
    b.xyz[0] += (1.0 - share) * depth * nx
    b.xyz[1] += (1.0 - share) * depth * ny
    if approach <= 0.01:
        return False, False
    slide = (uy - wy) * nx - (ux - wx) * ny
    normal, tangential = _impulses(approach, slide, along, across)
    jx, jy = normal * nx + tangential * ny, normal * ny - tangential * nx
    if a.physics:
        _push(a, p, -jx, -jy, px, py, dt)
    if b.physics:
        _push(b, q, jx, jy, px, py, dt)
    z = max(a.xyz[2], b.xyz[2]) + 0.5
    _record(contacts, count, a.id, b.id, b.kind, 0, px, py, z, -nx, -ny, normal)
    _record(contacts, count, b.id, a.id, a.kind, 0, px, py, z, nx, ny, normal)
    thrown = normal > FALL_IMPULSE
    return thrown and a.kind == _PEDESTRIAN, thrown and b.kind == _PEDESTRIAN


@njit(cache=True)
def _hit_edge(b, p, limits, dt, contacts, count):  # type: ignore[no-untyped-def]
    for axis in range(2):
        low, high = b.xyz[axis] - limits[axis], limits[axis + 2] - b.xyz[axis]
        if low < 0.0 or high < 0.0:
            nx, ny = (1.0, 0.0) if axis == 0 else (0.0, 1.0)
            sign = -1.0 if low < 0.0 else 1.0
            _stop_at(b, p, max(-low, -high), sign * nx, sign * ny, b.xyz[0], b.xyz[1], 0, dt, contacts, count)


@njit(cache=True)
def is_free(bodies, bins, x, y, z, yaw, ex, ey, height):  # type: ignore[no-untyped-def]
    """Row of the body that a box at this place would overlap, -2 for scenery, -1 when the place is free."""
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id == 0 or not b.collides or b.xyz[2] > z + height or b.xyz[2] + 2.0 * b.extent[2] < z:
            continue
        depth, _, _ = separation(x, y, yaw, ex, ey, b.xyz[0], b.xyz[1], b.yaw, b.extent[0], b.extent[1])
        if depth > 0.0:
            return i
    cell = cell_of(bins, x, y)
    for k in range(bins.start[cell], bins.start[cell + 1]):
        solid = bins.solids[bins.items[k]]
        if solid.z > z + height or solid.z + 2.0 * solid.extent[2] < z:
            continue
        depth, _, _ = separation(
            x, y, yaw, ex, ey, solid.xy[0], solid.xy[1], solid.yaw, solid.extent[0], solid.extent[1]
        )
        if depth > 0.0:
            return -2
    return -1


@njit(cache=True)
def collide(bodies, physics, motion, bins, dt, contacts, count):  # type: ignore[no-untyped-def]
    """All collisions of one tick, row by row. Walkers that are thrown over get `motion.down` set.

    Bodies must be sorted into `bins`. Writes `contacts` and their number, `count[0]`.
    """
    count[0] = 0
    columns, rows = bins.shape[0], bins.shape[1]
    for i in range(bodies.shape[0]):
        a = bodies[i]
        if a.id == 0 or not a.collides:
            continue
        cell = cell_of(bins, a.xyz[0], a.xyz[1])
        moves = a.velocity[0] != 0.0 or a.velocity[1] != 0.0 or a.yaw_rate != 0.0
        if moves:
            for k in range(bins.start[cell], bins.start[cell + 1]):
                _hit_solid(a, physics[i], bins.solids[bins.items[k]], dt, contacts, count)
            _hit_edge(a, physics[i], bins.limits, dt, contacts, count)
        column, row = cell % columns, cell // columns
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                j = bins.head[r * columns + c]
                while j >= 0:
                    b = bodies[j]
                    apart = a.kind == _PEDESTRIAN and b.kind == _PEDESTRIAN
                    if j > i and b.collides and not apart:
                        down_a, down_b = _hit_body(a, physics[i], b, physics[j], dt, contacts, count)
                        if down_a:
                            motion[i].down = LYING_TIME
                        if down_b:
                            motion[j].down = LYING_TIME
                    j = bins.after[j]
