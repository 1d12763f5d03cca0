"""Who touches whom: boxes on the ground, impulses with friction, contacts of the tick.

Broad phase: the cells of `bins.py`. Narrow phase: separating axes of two turned rectangles. Where two things met during
the tick at speed, they are moved back along their relative velocity to find the side that touched first: nothing
passes through anything at 30 m/s.
"""

from __future__ import annotations

from math import ceil, cos, sin, sqrt

import numpy as np

from roadcraft.sim.embedded.bins import cell_of, half_width, separation
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Kind
from roadcraft.sim.norm import norm

RESTITUTION = 0.1
FRICTION = 0.4  # metal on metal
FALL_IMPULSE = 30.0  # [N s] that throws a walker over
LYING_TIME = 8.0  # s that the walker then stays down
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


@kernel
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


@kernel
def _touch(x, y, yaw, ex, ey, vx, vy, x2, y2, yaw2, ex2, ey2, dt):  # type: ignore[no-untyped-def]
    """(depth, normal, point) of two rectangles that overlap or met during the last dt [s]; depth < 0 if not.

    (vx, vy) [m/s] is the velocity of 1 as seen from 2.
    """
    depth, nx, ny = separation(x, y, yaw, ex, ey, x2, y2, yaw2, ex2, ey2)
    travel = norm(vx, vy) * dt
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


@kernel
def _reach(nx, ny, yaw, ex, ey):  # type: ignore[no-untyped-def]
    """How far a turned rectangle reaches from its middle along a unit vector [m]."""
    c, s = cos(yaw), sin(yaw)
    return ex * abs(nx * c + ny * s) + ey * abs(ny * c - nx * s)


@kernel
def _record(contacts, count, a, b, kind, tag, px, py, z, nx, ny, impulse):  # type: ignore[no-untyped-def]
    if count[0] >= contacts.shape[0]:
        return
    row = contacts[count[0]]
    row.a, row.b, row.kind, row.tag, row.impulse = a, b, kind, tag, impulse
    row.point[0], row.point[1], row.point[2] = px, py, z
    row.normal[0], row.normal[1] = nx, ny
    count[0] += 1


@kernel
def _push(b, p, jx, jy, px, py, dt):  # type: ignore[no-untyped-def]
    """Gives body b the impulse (jx, jy) [N s] at the place (px, py)."""
    b.velocity[0] += jx / p.mass
    b.velocity[1] += jy / p.mass
    b.accel[0] += jx / p.mass / dt
    b.accel[1] += jy / p.mass / dt
    if b.kind != _PEDESTRIAN:
        b.yaw_rate += ((px - b.xyz[0]) * jy - (py - b.xyz[1]) * jx) / p.inertia
    b.speed = b.velocity[0] * cos(b.yaw) + b.velocity[1] * sin(b.yaw)


@kernel
def _compliance(b, p, px, py, nx, ny):  # type: ignore[no-untyped-def]
    """Speed [m/s] along the normal at a place per impulse [N s] there; 0 for what cannot be moved."""
    if not b.physics:
        return 0.0
    if b.kind == _PEDESTRIAN:
        return 1.0 / p.mass
    arm = (px - b.xyz[0]) * ny - (py - b.xyz[1]) * nx
    return 1.0 / p.mass + arm * arm / p.inertia


@kernel
def _velocity_at(b, px, py):  # type: ignore[no-untyped-def]
    rate = 0.0 if b.kind == _PEDESTRIAN else b.yaw_rate
    return b.velocity[0] - rate * (py - b.xyz[1]), b.velocity[1] + rate * (px - b.xyz[0])


@kernel
def _impulses(approach, slide, along, across):  # type: ignore[no-untyped-def]
    """(normal, tangential) impulse [N s] for closing and sliding speeds [m/s], and compliances."""
    normal = (1.0 + (RESTITUTION if approach > 1.0 else 0.0)) * approach / max(along, 1e-12)
    tangential = min(max(-slide / max(across, 1e-12), -FRICTION * normal), FRICTION * normal)
    return normal, tangential


@kernel
def _radius(thing):  # type: ignore[no-untyped-def]
    """[m] of the circle around a thing's rectangle."""
    return sqrt(thing.extent[0] * thing.extent[0] + thing.extent[1] * thing.extent[1])


@kernel
def _hit_solid(b, p, solid, dt, contacts, count):  # type: ignore[no-untyped-def]
    dx, dy = solid.xy[0] - b.xyz[0], solid.xy[1] - b.xyz[1]
    travel = (abs(b.velocity[0]) + abs(b.velocity[1])) * dt
    far = b.extent[0] + b.extent[1] + solid.extent[0] + solid.extent[1] + travel
    if abs(dx) > far or abs(dy) > far:  # most are, so that this comes first
        return
    if b.xyz[2] > solid.z + 2.0 * solid.extent[2] or b.xyz[2] + 2.0 * b.extent[2] < solid.z:
        return
    reach = _radius(b) + _radius(solid)
    if dx * dx + dy * dy > (reach + travel) * (reach + travel):
        return
    depth, nx, ny, px, py = _touch(
        b.xyz[0], b.xyz[1], b.yaw, b.extent[0], half_width(b), b.velocity[0], b.velocity[1],
        solid.xy[0], solid.xy[1], solid.yaw, solid.extent[0], solid.extent[1], dt,
    )  # fmt: skip
    if depth < 0.0:
        return
    _stop_at(b, p, depth, nx, ny, px, py, solid.tag, dt, contacts, count)


@kernel
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


@kernel
def _hit_body(a, p, b, q, dt, contacts, count):  # type: ignore[no-untyped-def]
    """Lets two bodies meet; returns whether (a, b) were thrown over."""
    vx, vy = a.velocity[0] - b.velocity[0], a.velocity[1] - b.velocity[1]
    dx, dy = b.xyz[0] - a.xyz[0], b.xyz[1] - a.xyz[1]
    travel = (abs(vx) + abs(vy)) * dt
    far = a.extent[0] + a.extent[1] + b.extent[0] + b.extent[1] + travel
    if abs(dx) > far or abs(dy) > far:  # most are, so that this comes first
        return False, False
    if a.xyz[2] > b.xyz[2] + 2.0 * b.extent[2] or b.xyz[2] > a.xyz[2] + 2.0 * a.extent[2]:
        return False, False
    reach = _radius(a) + _radius(b)
    if dx * dx + dy * dy > (reach + travel) * (reach + travel):
        return False, False
    depth, nx, ny, px, py = _touch(
        a.xyz[0], a.xyz[1], a.yaw, a.extent[0], half_width(a), vx, vy,
        b.xyz[0], b.xyz[1], b.yaw, b.extent[0], half_width(b), dt,
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


@kernel
def _hit_edge(b, p, limits, dt, contacts, count):  # type: ignore[no-untyped-def]
    for axis in range(2):
        low, high = b.xyz[axis] - limits[axis], limits[axis + 2] - b.xyz[axis]
        if low < 0.0 or high < 0.0:
            nx, ny = (1.0, 0.0) if axis == 0 else (0.0, 1.0)
            sign = -1.0 if low < 0.0 else 1.0
            _stop_at(b, p, max(-low, -high), sign * nx, sign * ny, b.xyz[0], b.xyz[1], 0, dt, contacts, count)


@kernel
def _apart(a, m, b, n):  # type: ignore[no-untyped-def]
    """Whether two bodies do not touch wherever they are: walkers pass each other, who lies is not pushed along."""
    return (a.kind == _PEDESTRIAN and b.kind == _PEDESTRIAN) or m.down > 0.0 or n.down > 0.0


@kernel
def collide(bodies, physics, motion, chain, frames, cells, solids, dt, contacts, count):  # type: ignore[no-untyped-def]
    """All collisions of one tick, row by row. Walkers that are thrown over get `motion.down` set.

    Bodies must be sorted into the cells. Writes `contacts` and their number, `count[0]`.
    """
    count[0] = 0
    frame = frames[0]
    for i in range(bodies.shape[0]):
        a = bodies[i]
        if a.id == 0 or not a.collides:
            continue
        cell = cell_of(frame, a.xyz[0], a.xyz[1])
        if a.velocity[0] != 0.0 or a.velocity[1] != 0.0 or a.yaw_rate != 0.0:
            for k in range(cells[cell].first, cells[cell].last):
                _hit_solid(a, physics[i], solids[k], dt, contacts, count)
            _hit_edge(a, physics[i], frame.limits, dt, contacts, count)
        column, row = cell % frame.columns, cell // frame.columns
        for r in range(max(row - 1, 0), min(row + 2, frame.rows)):
            for c in range(max(column - 1, 0), min(column + 2, frame.columns)):
                j = cells[r * frame.columns + c].head
                while j >= 0:
                    b = bodies[j]
                    if j > i and b.collides and not _apart(a, motion[i], b, motion[j]):
                        down_a, down_b = _hit_body(a, physics[i], b, physics[j], dt, contacts, count)
                        if down_a:
                            motion[i].down = LYING_TIME
                        if down_b:
                            motion[j].down = LYING_TIME
                    j = chain[j].in_cell
