"""Whom a driver must not run into: the Intelligent Driver Model, and the corridor that a vehicle is going to sweep."""

from __future__ import annotations

from math import inf, sqrt

from roadcraft.sim.embedded.bins import CELL
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Kind

COMFORT = 2.5  # m/s^2, b of the model
HARDEST = 9.0  # m/s^2 at which drivers brake
SIDE = 0.25  # [m] of air that a driver wants on either side
LOOKAHEAD = 2.5  # s ahead that those who cross are looked for
LONGEST = 2.0  # of the spacing of the way's points: how far apart they can be, in bends and where the way leads aside
SQUEEZE = 8.0  # s of standing after which a driver needs no air at all
CLOSE = 1e-6  # [m] to an edge within which rounding decides
_PEDESTRIAN = int(Kind.PEDESTRIAN)


@kernel
def idm(speed, wanted, accel, headway, still, gap, leader):  # type: ignore[no-untyped-def]
    """Acceleration [m/s^2] of the Intelligent Driver Model; `gap` [m] to a leader with speed `leader`, inf: none."""
    free = accel * (1.0 - (speed / max(wanted, 0.1)) ** 4)
    free = max(free, -COMFORT)
    if gap == inf:
        return free
    star = still + max(0.0, speed * headway + speed * (speed - leader) / (2.0 * sqrt(accel * COMFORT)))
    close = accel * (1.0 - (star / max(gap, 0.1)) ** 2)
    return max(min(free, close), -HARDEST)


@kernel
def _overlap(dx, dy, c, s, half, wide, ec, es, ex, ey):  # type: ignore[no-untyped-def]
    """How far [m] two turned rectangles overlap along the first one's axis; below 0: they do not touch.

    (dx, dy) leads from the first, with axis (c, s), to the second, with axis (ec, es).
    """
    along, across = dx * c + dy * s, dy * c - dx * s
    cc, ss = abs(c * ec + s * es), abs(c * es - s * ec)
    overlap = half + ex * cc + ey * ss - abs(along)
    if overlap < 0.0 or wide + ex * ss + ey * cc < abs(across):
        return -1.0
    if ex + half * cc + wide * ss < abs(dx * ec + dy * es) or ey + half * ss + wide * cc < abs(dy * ec - dx * es):
        return -1.0
    return overlap


@kernel
def _sweep(b, at, e, there, way, count, spacing, rear, side):  # type: ignore[no-untyped-def]
    """(gap [m], speed along the way [m/s]) to body e if the corridor of b meets it; (inf, 0) if it does not.

    The middle keeps to the way, and points where the way led when the rear axle, `rear` [m] behind, was there. `side`
    [m] of air are wanted on either side. at, there: the CHAIN rows of b and e.
    """
    vx, vy = e.velocity[0], e.velocity[1]
    walker = e.kind == _PEDESTRIAN
    half, wide = b.extent[0], b.extent[1] + (2.0 * SIDE if walker else side)
    ex, ey = e.extent[0], e.extent[1]
    lag = max(int(rear / spacing + 0.5), 1)
    reach = half + wide + ex + ey
    moving = vx * vx + vy * vy > 0.04 and (walker or e.autopilot == 0)
    pace = abs(vx) + abs(vy)
    passes = 1.0 / (LONGEST * spacing)  # points in each metre, at least
    farthest = 1.42 * (reach + (LOOKAHEAD * pace if moving else 0.0))  # 1.42: along two axes instead of straight
    k = -1
    while k < count - 1:
        k += 1
        d = k * spacing
        dx, dy = e.xyz[0] - way[k, 0], e.xyz[1] - way[k, 1]
        square = dx * dx + dy * dy
        if square > farthest * farthest:  # nor is it near the next points, which are not far from here
            k += int((sqrt(square) - farthest) * passes)
            continue
        c, s = (way[k - lag, 2], way[k - lag, 3]) if k >= lag else (at.cos, at.sin)
        along = vx * c + vy * s
        # Those who cross are also looked for where they will be when b comes here.
        ahead = 0.0
        if moving:
            across = abs(vy * c - vx * s)
            if walker and across > 0.2:
                ahead = min(max(d - half, 0.0) / max(b.speed, 1.5), LOOKAHEAD)
            elif not walker and across > 1.0:
                ahead = min(max(d - half, 0.0) / max(b.speed, 1.5), 1.0)
        far = ex + ey + ahead * pace + CLOSE
        if abs(dx * c + dy * s) > half + far or abs(dy * c - dx * s) > wide + far:
            continue
        for step in range(3 if ahead > 0.05 else 1):
            x, y = dx + 0.5 * step * ahead * vx, dy + 0.5 * step * ahead * vy
            overlap = _overlap(x, y, c, s, half, wide, there.cos, there.sin, ex, ey)
            if overlap < 0.0:
                continue
            if k == 0 and x * c + y * s < 0.0:
                return inf, 0.0  # it is behind
            return max(d - overlap, 0.0) - (0.8 if walker else 0.0), (0.0 if walker else along)
    return inf, 0.0


@kernel
def obstacle(i, bodies, drivers, chain, frame, cells, way, count, spacing, rear, wanted):  # type: ignore[no-untyped-def]
    """(acceleration [m/s^2], row) that the most hindering body in driver i's corridor allows; row -1: none."""
    b, d = bodies[i], drivers[i]
    worst, blocker = inf, -1
    side = SIDE * max(1.0 - d.standing / SQUEEZE, 0.0)  # who stands long dares more
    columns, rows = frame.columns, frame.rows
    last_column, last_row = -9, -9
    west, east, south, north = inf, -inf, inf, -inf  # [m] of the last cell
    for k in range(count):
        x, y = way[k, 0] - frame.x, way[k, 1] - frame.y
        if west < x < east and south < y < north:
            continue
        column = min(max(int(x / CELL), 0), columns - 1)
        row = min(max(int(y / CELL), 0), rows - 1)
        if row == last_row and column == last_column:
            continue
        west, east = column * CELL + CLOSE, (column + 1) * CELL - CLOSE
        south, north = row * CELL + CLOSE, (row + 1) * CELL - CLOSE
        before_column, before_row = last_column, last_row
        last_column, last_row = column, row
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                if abs(r - before_row) <= 1 and abs(c - before_column) <= 1:
                    continue  # looked into just now
                j = cells[r * columns + c].head
                while j >= 0:
                    if j != i and chain[j].seen != i and bodies[j].collides:
                        chain[j].seen = i
                        gap, leader = _sweep(b, chain[i], bodies[j], chain[j], way, count, spacing, rear, side)
                        if gap < inf:
                            still = 1.2 if bodies[j].kind == _PEDESTRIAN else d.gap
                            a = idm(b.speed, wanted, d.accel, d.headway, still, gap, leader)
                            if a < worst:
                                worst, blocker = a, j
                    j = chain[j].in_cell
    return worst, blocker
