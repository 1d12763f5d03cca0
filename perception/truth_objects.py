"""Compiled: which actors are seen, remembered or missed, with what errors, and what is seen where there is nothing."""

from __future__ import annotations

import math

import numpy as np

from roadcraft.perception.events import wrapped
from roadcraft.perception.percept import PATH_TIMES
from roadcraft.sim.draws import draw, normal
from roadcraft.sim.kernels import kernel
from roadcraft.sim.norm import norm

CAPACITY = 128  # objects tracked at once
FAR = 100.0  # [m] nothing is seen beyond
BINS = 256  # columns in which occlusion is counted
MIN_FRACTION = 0.12  # of an object's width, or MIN_PIXELS where pixels were counted, makes it visible
MIN_PIXELS = 25
STANDS = 0.5  # [m/s] below which an actor counts as standing: how fast such are is seen better
LATENTS = 6  # standard normals per object: detection, range, bearing, vx, vy, yaw
GHOSTS = 64  # objects born of nothing that live at once
DISTANCES = (10.0, 20.0, 30.0, 40.0, 60.0, 80.0)  # [m] upper edges of the bins of what depends on the distance
_EDGES = np.array(DISTANCES)

TABLE = np.dtype(
    [
        ("id", np.uint32),  # 0: free
        ("z", np.float64, LATENTS),  # latent errors
        ("track", np.int32),  # 0: never seen
        ("seen", np.float64),  # [s] last time
        ("xy", np.float64, 2),  # [m] world, as last seen
        ("velocity", np.float64, 2),  # [m/s] world, as last seen
        ("stamp", np.float64),  # [s] last time the actor was there at all
    ],
    align=True,
)
GHOST = np.dtype([("xy", np.float64, 2), ("end", np.float64), ("track", np.int32)], align=True)  # world [m], [s]


# How an actor appears in the image.
SIGHT = np.dtype(
    [
        ("box", np.float64, 4),  # [pixels] NaN out of view
        ("depth", np.float64),  # [m] from the camera
        ("fraction", np.float64),  # of its columns that no nearer actor covers
        ("next", np.int32),  # of those in view the next one by depth
    ],
    align=True,
)


@kernel
def _row_of(table, key, before, memory):  # type: ignore[no-untyped-def]
    """The table's row of an actor; a new one takes a free row or the one not heard of for longest.

    before: the row of the actor before it: in most ticks the next one is its own.
    """
    for step in range(1, table.shape[0] + 1):
        k = (before + step) % CAPACITY
        if table[k].id == key:
            return k
    spare, oldest = 0, math.inf
    for k in range(table.shape[0]):
        stamp = table[k].stamp if table[k].id != 0 else -1.0
        if stamp < oldest:
            spare, oldest = k, stamp
    table[spare].id = key
    table[spare].track = 0
    for j in range(LATENTS):
        table[spare].z[j] = normal(memory)
    return spare


@kernel
def _frame(a, pose, c, s, camera, cp, sp, sight):  # type: ignore[no-untyped-def]
    """Whether an actor is in view; then its box and depth are noted in `sight`. c, s: of the ego's heading; cp, sp: of
    the camera's pitch."""
    f, w, h = camera[4], camera[5], camera[6]
    dx, dy = a.xyz[0] - pose[0], a.xyz[1] - pose[1]
    x, y = c * dx + s * dy - camera[0], c * dy - s * dx - camera[1]
    z = -camera[2]
    if x + a.extent[0] < 0.5:
        return False
    depth = norm(x, y)
    if depth > FAR:
        return False
    cy, sy = math.cos(a.yaw - pose[2]), math.sin(a.yaw - pose[2])
    left, top, right, bottom = math.inf, math.inf, -math.inf, -math.inf
    for k in range(8):
        lx = a.extent[0] if k & 1 else -a.extent[0]
        ly = a.extent[1] if k & 2 else -a.extent[1]
        lz = 2 * a.extent[2] if k & 4 else 0.0
        px, py, pz = x + cy * lx - sy * ly, y + sy * lx + cy * ly, z + lz
        d = max(cp * px - sp * pz, 0.3)
        u, v = w / 2 - f * py / d, h / 2 - f * (sp * px + cp * pz) / d
        left, right, top, bottom = min(left, u), max(right, u), min(top, v), max(bottom, v)
    left, right, top, bottom = max(left, 0.0), min(right, w), max(top, 0.0), min(bottom, h)
    if right - left < 1.0 or bottom - top < 1.0:
        return False
    sight.box[0], sight.box[1], sight.box[2], sight.box[3] = left, top, right, bottom
    sight.depth = depth
    return True


@kernel
def look(actors, pose, camera, sights, covered):  # type: ignore[no-untyped-def]
    """Fills `sights`, a row of SIGHT for each actor. `covered` (BINS,): working memory."""
    c, s = math.cos(pose[2]), math.sin(pose[2])
    cp, sp = math.cos(camera[3]), math.sin(camera[3])
    nearest = -1
    for i in range(actors.shape[0]):
        sight = sights[i]
        sight.fraction = 0.0
        if not _frame(actors[i], pose, c, s, camera, cp, sp, sight):
            sight.box[:] = np.nan
            continue
        before, after = -1, nearest
        while after >= 0 and sights[after].depth <= sight.depth:
            before, after = after, sights[after].next
        sight.next = after
        if before < 0:
            nearest = i
        else:
            sights[before].next = i
    covered[:] = camera[6]  # lowest row not yet hidden, counted from the image's foot upwards: see below
    while nearest >= 0:
        sight = sights[nearest]
        top, bottom = sight.box[1], sight.box[3]
        first = int(sight.box[0] / camera[5] * BINS)
        last = max(first + 1, math.ceil(sight.box[2] / camera[5] * BINS))
        free = 0.0
        for k in range(first, min(last, BINS)):
            # Nearer things stand lower in the image and hide everything down from their top edge.
            free += min(max((covered[k] - top) / (bottom - top), 0.0), 1.0)
            covered[k] = min(covered[k], top)
        sight.fraction = free / (last - first)
        nearest = sight.next


@kernel
def _normal_cdf(z):  # type: ignore[no-untyped-def]
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@kernel
def bin_of(distance):  # type: ignore[no-untyped-def]
    """The row of a table over DISTANCES."""
    row = 0
    while row < len(_EDGES) - 1 and _EDGES[row] < distance:
        row += 1
    return row


@kernel
def sense(actors, pose, now, camera, keep, fresh, m, table, memory, sights, covered, out):  # type: ignore[no-untyped-def]
    """Fills `out`, rows of OBJECT, and returns how many there are. `sights`, `covered`: working memory of `look`."""
    look(actors, pose, camera, sights, covered)
    c, s = math.cos(pose[2]), math.sin(pose[2])
    count, at = 0, -1
    for i in range(actors.shape[0]):
        a = actors[i]
        if a.kind > 5:
            continue
        in_view = not math.isnan(sights[i].box[0])
        dx, dy = a.xyz[0] - pose[0], a.xyz[1] - pose[1]
        distance = norm(dx, dy)
        if not in_view and distance > FAR:
            continue
        at = _row_of(table, a.id, at, memory)
        row = table[at]
        if row.stamp < now:
            for j in range(LATENTS):
                row.z[j] = keep * row.z[j] + fresh * normal(memory)
        row.stamp = now
        near = bin_of(distance)
        group = 2 if a.kind == 5 else (1 if a.kind >= 3 else 0)
        seen = in_view and (a.visible_px >= MIN_PIXELS if a.visible_px >= 0 else sights[i].fraction > MIN_FRACTION)
        p = m["detect"][group, near]
        fresh_sight = seen and (p >= 1.0 or _normal_cdf(row.z[0]) < p)
        if fresh_sight:
            scale = max(0.3, 1.0 + m["range_sigma"][near] * row.z[1])
            turn = m["bearing_sigma"] * row.z[2]
            row.xy[0] = pose[0] + scale * (dx * math.cos(turn) - dy * math.sin(turn))
            row.xy[1] = pose[1] + scale * (dx * math.sin(turn) + dy * math.cos(turn))
            stands = 1 if norm(a.velocity[0], a.velocity[1]) < STANDS else 0
            row.velocity[0] = a.velocity[0] + m["velocity_sigma"][stands, near] * row.z[3]
            row.velocity[1] = a.velocity[1] + m["velocity_sigma"][stands, near] * row.z[4]
            row.seen = now
            if row.track == 0:
                row.track = memory["next_track"]
                memory["next_track"] += 1
        if row.track == 0:
            continue
        age = now - row.seen
        if age > m["hold"]:
            row.track = 0
            continue
        o = out[count]
        count += 1
        wx = row.xy[0] + row.velocity[0] * age - pose[0]
        wy = row.xy[1] + row.velocity[1] * age - pose[1]
        o.kind = a.kind
        for j in range(4):
            o.box[j] = sights[i].box[j] if fresh_sight else 0.0
        o.xy_ego[0], o.xy_ego[1] = c * wx + s * wy, c * wy - s * wx
        o.yaw_ego = wrapped(a.yaw - pose[2] + m["yaw_sigma"] * row.z[5])
        o.size[0], o.size[1] = 2 * a.extent[0], 2 * a.extent[1]
        vx = c * row.velocity[0] + s * row.velocity[1]
        vy = c * row.velocity[1] - s * row.velocity[0]
        o.velocity_ego[0], o.velocity_ego[1] = vx, vy
        o.score = (0.5 + 0.5 * p) * (1.0 - age / (m["hold"] + 0.1))
        o.track = row.track
        for j in range(len(PATH_TIMES)):
            o.path_ego[j, 0] = o.xy_ego[0] + vx * PATH_TIMES[j]
            o.path_ego[j, 1] = o.xy_ego[1] + vy * PATH_TIMES[j]
            o.path_sigma[j] = 0.3 + 0.8 * PATH_TIMES[j] + age
    return count


@kernel
def with_ghosts(pose, now, m, memory, ghosts, out, count):  # type: ignore[no-untyped-def]
    """Lets ghosts die, and some be born; writes those that live behind the first `count` rows of `out`; returns how
    many rows there now are."""
    c, s = math.cos(pose[2]), math.sin(pose[2])
    live = 0
    for k in range(memory["ghosts"]):
        if ghosts[k].end > now:
            ghosts[live] = ghosts[k]
            live += 1
    if m["false_alarms"] > 0.0 and draw(memory) < m["false_alarms"] and live < GHOSTS:
        distance, bearing = 8.0 + 32.0 * draw(memory), 1.2 * draw(memory) - 0.6
        gx, gy = distance * math.cos(bearing), distance * math.sin(bearing)
        ghosts[live].xy[0], ghosts[live].xy[1] = pose[0] + c * gx - s * gy, pose[1] + s * gx + c * gy
        ghosts[live].end = now - m["false_alarm_life"] * math.log(1.0 - draw(memory))
        ghosts[live].track = memory["next_track"]
        memory["next_track"] += 1
        live += 1
    memory["ghosts"] = live
    for k in range(live):
        o = out[count]
        count += 1
        dx, dy = ghosts[k].xy[0] - pose[0], ghosts[k].xy[1] - pose[1]
        o.kind, o.yaw_ego = 0, 0.0
        o.box[:] = 0.0
        o.xy_ego[0], o.xy_ego[1] = c * dx + s * dy, c * dy - s * dx
        o.size[0], o.size[1] = 4.4, 1.9
        o.velocity_ego[:] = 0.0
        o.score, o.track = 0.4, ghosts[k].track
        for j in range(len(PATH_TIMES)):
            o.path_ego[j, 0], o.path_ego[j, 1] = o.xy_ego[0], o.xy_ego[1]
        o.path_sigma[:] = 1.5
    return count
