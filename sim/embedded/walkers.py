"""Built-in walkers: pedestrians whose `autopilot` is not 0.

They stroll from place to place along the footpaths, keep to the right, wait at the kerb until the light is red for cars
and no car comes, walk on once they have begun, and stop for what stands or drives right before them. One in eight
crosses the road where it likes.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.draws import draw
from roadcraft.sim.embedded.bins import CELL
from roadcraft.sim.embedded.footpaths import ALONG, JAYWALK, Footpaths
from roadcraft.sim.kernels import kernel
from roadcraft.sim.messages import Kind, LightState
from roadcraft.sim.norm import norm

ARRIVED = 0.5  # [m] from a place
JAYWALKERS = 0.125  # share of walkers
MARGIN = 2.0  # s that a walker wants to be across before a car comes
LOOK = 70.0  # [m] along the road that a walker looks for cars
BORED = 30.0  # s at the kerb after which a walker goes another way
AIR = 0.4  # [m] that walkers keep from things
NOTHING, STANDING, MOVING = 0, 1, 2
FIRST_LOOK = 0.5  # s between two looks at the kerb
_PEDESTRIAN, _RED = int(Kind.PEDESTRIAN), int(LightState.RED)

STROLLER = np.dtype(
    [
        ("random", np.uint64),  # state of its own random numbers
        ("origin", np.int32),  # place that it comes from, -1: has no way
        ("target", np.int32),  # place that it goes to
        ("kind", np.uint8),  # of the edge between them
        ("edge", np.int32),
        ("pace", np.float64),  # [m/s]
        ("aside", np.float64),  # [m] to the right of the way
        ("jaywalks", np.bool_),
        ("waits", np.bool_),  # stands at the kerb
        ("clock", np.float64),  # [s] since it stopped
    ]
)


def engage(paths: Footpaths, bodies: NDArray[np.void], strollers: NDArray[np.void], row: int) -> None:
    """A walker with the seed `bodies[row]["autopilot"]` sets out from where it is."""
    _start(bodies[row : row + 1], strollers[row : row + 1], paths.nodes, paths.edges)


@kernel
def _start(bodies, strollers, nodes, edges):  # type: ignore[no-untyped-def]
    b, w = bodies[0], strollers[0]
    w.random = np.uint64(b.autopilot)
    draw(w)
    child = b.extent[2] < 0.8
    w.pace = (1.0 if child else 1.1) + 0.6 * draw(w)
    w.aside = 0.1 + 0.6 * draw(w)
    w.jaywalks = draw(w) < JAYWALKERS
    w.waits, w.clock = False, 0.0
    w.origin, w.target, w.edge, w.kind = -1, -1, -1, ALONG
    best = 50.0
    for k in range(nodes.shape[0]):
        distance = norm(nodes[k].x - b.xyz[0], nodes[k].y - b.xyz[1])
        if distance < best and _leads_along(nodes[k], edges):
            best, w.target = distance, k
    w.origin = w.target


@kernel
def _leads_along(node, edges):  # type: ignore[no-untyped-def]
    """Whether a place lies on a sidewalk: the ends of crosswalks do not."""
    along = 0
    for e in range(node.first, node.last):
        along += 1 if edges[e].kind == ALONG else 0
    return along >= 2


@kernel
def _choose(w, nodes, edges):  # type: ignore[no-untyped-def]
    """The next edge from the place just reached: never straight back, unless there is no other."""
    node = nodes[w.target]
    total = 0.0
    for e in range(node.first, node.last):
        total += _weight(w, edges[e])
    pick, chosen = draw(w) * total, node.first
    for e in range(node.first, node.last):
        weight = _weight(w, edges[e])
        if weight > 0.0:
            chosen = e
            pick -= weight
            if pick < 0.0:
                break
    w.origin, w.target, w.kind, w.edge = w.target, edges[chosen].to, edges[chosen].kind, chosen
    w.waits = w.kind != ALONG
    w.clock = 0.0


@kernel
def _weight(w, edge):  # type: ignore[no-untyped-def]
    if edge.to == w.origin:
        return 1e-9
    if edge.kind == JAYWALK:
        return 0.3 if w.jaywalks else 0.0
    return 1.0


@kernel
def _may_cross(bodies, b, w, nodes, edges, signals, lights):  # type: ignore[no-untyped-def]
    """Whether all lights stop the cars and none comes before the walker is across."""
    edge = edges[w.edge]
    for k in range(edge.first, edge.last):
        if lights[signals[k]].state != _RED:
            return False
    ax, ay = nodes[w.origin].x, nodes[w.origin].y
    ux, uy = (nodes[w.target].x - ax) / edge.length, (nodes[w.target].y - ay) / edge.length
    needed = edge.length / w.pace + (MARGIN if w.kind != JAYWALK else 1.0)
    for j in range(bodies.shape[0]):
        e = bodies[j]
        if e.id == 0 or e.kind >= _PEDESTRIAN:
            continue
        dx, dy = e.xyz[0] - ax, e.xyz[1] - ay
        if dx * dx + dy * dy > LOOK * LOOK:
            continue
        along, across = dx * ux + dy * uy, dy * ux - dx * uy
        reach = e.extent[0] + 1.0
        if -1.0 < along < edge.length + 1.0 and abs(across) < reach:
            return False  # it stands on the way
        vl, va = e.velocity[0] * ux + e.velocity[1] * uy, e.velocity[1] * ux - e.velocity[0] * uy
        if across * va >= -0.05:
            continue  # it drives away or stands
        hit = (abs(across) - reach) / abs(va)
        at = along + vl * max(hit, 0.0)
        if hit < needed and -3.0 < at < edge.length + 3.0:
            return False
    return True


@kernel
def _inside(x, y, tx, ty, yaw, ex, ey):  # type: ignore[no-untyped-def]
    """Whether a place is in a turned rectangle, with a little air around."""
    dx, dy = x - tx, y - ty
    reach = ex + ey + 2.0 * AIR
    if abs(dx) > reach or abs(dy) > reach:
        return False
    c, s = cos(yaw), sin(yaw)
    return abs(c * dx + s * dy) < ex + AIR and abs(c * dy - s * dx) < ey + AIR


@kernel
def _before(bodies, i, dx, dy, chain, frame, cells, solids):  # type: ignore[no-untyped-def]
    """What is within a step in the direction (dx, dy): NOTHING, MOVING or STANDING."""
    b = bodies[i]
    x, y = b.xyz[0] + 0.9 * dx, b.xyz[1] + 0.9 * dy
    column = min(max(int((x - frame.x) / CELL), 0), frame.columns - 1)
    row = min(max(int((y - frame.y) / CELL), 0), frame.rows - 1)
    here = cells[row * frame.columns + column]
    for k in range(here.first, here.last):
        if _inside(x, y, solids[k].xy[0], solids[k].xy[1], solids[k].yaw, solids[k].extent[0], solids[k].extent[1]):
            return STANDING
    found = NOTHING
    for r in range(max(row - 1, 0), min(row + 2, frame.rows)):
        for c in range(max(column - 1, 0), min(column + 2, frame.columns)):
            j = cells[r * frame.columns + c].head
            while j >= 0:
                e = bodies[j]
                if e.kind != _PEDESTRIAN and e.collides:
                    vx, vy = 0.5 * e.velocity[0], 0.5 * e.velocity[1]  # half a second on
                    if _inside(x, y, e.xyz[0], e.xyz[1], e.yaw, e.extent[0], e.extent[1]):
                        found = max(found, STANDING if vx == 0.0 and vy == 0.0 else MOVING)
                    elif _inside(x, y, e.xyz[0] + vx, e.xyz[1] + vy, e.yaw, e.extent[0], e.extent[1]):
                        found = MOVING
                j = chain[j].in_cell
    return found


@kernel
def stroll(bodies, strollers, nodes, edges, signals, chain, frames, cells, solids, lights, dt):  # type: ignore[no-untyped-def]
    """All built-in walkers choose direction and speed."""
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id == 0 or b.autopilot == 0 or b.kind != _PEDESTRIAN:
            continue
        w = strollers[i]
        if w.target < 0:
            b.target_speed = 0.0
            continue
        _step(bodies, i, b, w, nodes, edges, signals, chain, frames[0], cells, solids, lights, dt)


@kernel
def _step(bodies, i, b, w, nodes, edges, signals, chain, frame, cells, solids, lights, dt):  # type: ignore[no-untyped-def]
    if w.waits:
        b.target_speed = 0.0
        before = w.clock
        w.clock += dt
        if int(w.clock / FIRST_LOOK) > int(before / FIRST_LOOK):
            if _may_cross(bodies, b, w, nodes, edges, signals, lights):
                w.waits, w.clock = False, 0.0
            elif w.clock > BORED:
                w.origin, w.target = w.target, w.origin
                _choose(w, nodes, edges)
        return
    tx, ty = _goal(w, nodes)
    dx, dy = tx - b.xyz[0], ty - b.xyz[1]
    distance = norm(dx, dy)
    if distance < ARRIVED:
        _choose(w, nodes, edges)
        return
    dx, dy = dx / distance, dy / distance
    before = _before(bodies, i, dx, dy, chain, frame, cells, solids)
    if before == STANDING:  # round it
        for k in range(4):
            turn = (-0.7, 0.7, -1.4, 1.4)[k]
            ux, uy = dx * cos(turn) - dy * sin(turn), dx * sin(turn) + dy * cos(turn)
            if _before(bodies, i, ux, uy, chain, frame, cells, solids) == NOTHING:
                dx, dy, before = ux, uy, NOTHING
                break
    b.target_direction[0], b.target_direction[1] = dx, dy
    if before != NOTHING:
        b.target_speed = 0.0
        w.clock += dt
        if w.clock > (6.0 if before == STANDING or w.kind == ALONG else 20.0):  # turn round
            w.origin, w.target = w.target, w.origin
            w.clock = 0.0
        return
    w.clock = 0.0
    b.target_speed = w.pace * (1.2 if w.kind == JAYWALK else 1.0)


@kernel
def _goal(w, nodes):  # type: ignore[no-untyped-def]
    """The place aimed at: `aside` to the right of the way there."""
    a, t = nodes[w.origin], nodes[w.target]
    dx, dy = t.x - a.x, t.y - a.y
    length = norm(dx, dy)
    if length < 0.1:
        return t.x, t.y
    return t.x + w.aside * dy / length, t.y - w.aside * dx / length
