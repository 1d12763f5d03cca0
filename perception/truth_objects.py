"""Compiled: which actors are seen, remembered or missed, with what errors, and what is seen where there is nothing."""

from __future__ import annotations

import math

import numpy as np

from roadcraft.perception.events import wrapped
from roadcraft.perception.percept import PATH_TIMES
from roadcraft.sim.kernels import kernel, njit

CAPACITY = 128  # objects tracked at once
NOISES = 7  # standard normals per object: detection, range, bearing, vx, vy, yaw, spare
FAR = 100.0  # [m] nothing is seen beyond
BINS = 256  # columns in which occlusion is counted
MIN_FRACTION = 0.12  # of an object's width, or MIN_PIXELS where pixels were counted, makes it visible
MIN_PIXELS = 25
STANDS = 0.5  # [m/s] below which an actor counts as standing: how fast such are is seen better
LATENTS = NOISES - 1
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


@kernel
def _row_of(table, key, noise):  # type: ignore[no-untyped-def]
    """The table's row of an actor; a new one takes a free row or the one not heard of for longest."""
    spare, oldest = 0, math.inf
    for k in range(table.shape[0]):
        if table[k].id == key:
            return k
        stamp = table[k].stamp if table[k].id != 0 else -1.0
        if stamp < oldest:
            spare, oldest = k, stamp
    table[spare].id = key
    table[spare].track = 0
    for j in range(LATENTS):
        table[spare].z[j] = noise[j]
    return spare


@njit
def _visible_fractions(actors, pose, camera):  # type: ignore[no-untyped-def]
    """Share of each actor's image columns that no nearer actor covers, and its box [pixels] (NaN out of view)."""
    n = actors.shape[0]
    boxes = np.full((n, 4), np.nan)
    depth = np.full(n, np.inf)
    c, s = math.cos(pose[2]), math.sin(pose[2])
    cp, sp = math.cos(camera[3]), math.sin(camera[3])
    f, w, h = camera[4], camera[5], camera[6]
    for i in range(n):
        a = actors[i]
        dx, dy = a.xyz[0] - pose[0], a.xyz[1] - pose[1]
        x, y = c * dx + s * dy - camera[0], c * dy - s * dx - camera[1]
        z = -camera[2]
        if x < -a.extent[0] or math.hypot(x, y) > FAR:
            continue
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
        if x + a.extent[0] < 0.5 or right - left < 1.0 or bottom - top < 1.0:
            continue
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = left, top, right, bottom
        depth[i] = math.hypot(x, y)
    fraction = np.zeros(n)
    covered = np.full(BINS, h)  # lowest row not yet hidden, counted from the image's foot upwards: see below
    for i in np.argsort(depth):
        if depth[i] == math.inf:
            break
        first = int(boxes[i, 0] / w * BINS)
        last = max(first + 1, math.ceil(boxes[i, 2] / w * BINS))
        free = 0.0
        for k in range(first, min(last, BINS)):
            # Nearer things stand lower in the image and hide everything down from their top edge.
            free += min(max((covered[k] - boxes[i, 1]) / (boxes[i, 3] - boxes[i, 1]), 0.0), 1.0)
        fraction[i] = free / (last - first)
        for k in range(first, min(last, BINS)):
            covered[k] = min(covered[k], boxes[i, 1])
    return fraction, boxes


@kernel
def _normal_cdf(z):  # type: ignore[no-untyped-def]
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@njit
def bin_of(distance):  # type: ignore[no-untyped-def]
    """The row of a table over DISTANCES."""
    return min(np.searchsorted(_EDGES, distance), len(_EDGES) - 1)


@njit
def sense(actors, pose, now, camera, noise, keep, fresh, m, table, memory, out):  # type: ignore[no-untyped-def]
    """Fills `out`, rows of OBJECT, and returns how many there are."""
    fraction, boxes = _visible_fractions(actors, pose, camera)
    c, s = math.cos(pose[2]), math.sin(pose[2])
    count = 0
    for i in range(actors.shape[0]):
        a = actors[i]
        if a.kind > 5:
            continue
        in_view = not math.isnan(boxes[i, 0])
        dx, dy = a.xyz[0] - pose[0], a.xyz[1] - pose[1]
        distance = math.hypot(dx, dy)
        if not in_view and distance > FAR:
            continue
        row = table[_row_of(table, a.id, noise[i])]
        if row.stamp < now:
            for j in range(LATENTS):
                row.z[j] = keep * row.z[j] + fresh * noise[i, j]
        row.stamp = now
        near = bin_of(distance)
        group = 2 if a.kind == 5 else (1 if a.kind >= 3 else 0)
        seen = in_view and (a.visible_px >= MIN_PIXELS if a.visible_px >= 0 else fraction[i] > MIN_FRACTION)
        p = m["detect"][group, near]
        fresh_sight = seen and (p >= 1.0 or _normal_cdf(row.z[0]) < p)
        if fresh_sight:
            scale = max(0.3, 1.0 + m["range_sigma"][near] * row.z[1])
            turn = m["bearing_sigma"] * row.z[2]
            row.xy[0] = pose[0] + scale * (dx * math.cos(turn) - dy * math.sin(turn))
            row.xy[1] = pose[1] + scale * (dx * math.sin(turn) + dy * math.cos(turn))
            stands = 1 if math.hypot(a.velocity[0], a.velocity[1]) < STANDS else 0
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
            o.box[j] = boxes[i, j] if fresh_sight else 0.0
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
def with_ghosts(pose, now, born, memory, ghosts, out, count):  # type: ignore[no-untyped-def]
    """Lets ghosts die, and one be born where `born` (distance [m], bearing [rad], end [s]) is no NaN; writes those
    that live behind the first `count` rows of `out`; returns how many rows there now are."""
    c, s = math.cos(pose[2]), math.sin(pose[2])
    live = 0
    for k in range(memory["ghosts"]):
        if ghosts[k].end > now:
            ghosts[live] = ghosts[k]
            live += 1
    if not math.isnan(born[0]) and live < GHOSTS:
        gx, gy = born[0] * math.cos(born[1]), born[0] * math.sin(born[1])
        ghosts[live].xy[0], ghosts[live].xy[1] = pose[0] + c * gx - s * gy, pose[1] + s * gx + c * gy
        ghosts[live].end, ghosts[live].track = born[2], memory["next_track"]
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
