"""The compiled part of `truth.py`: which actors are seen, remembered or missed, and with what errors."""

from __future__ import annotations

import math

import numpy as np

from roadcraft.perception.events import wrapped
from roadcraft.sim.kernels import njit

CAPACITY = 128  # objects tracked at once
NOISES = 7  # standard normals per object: detection, range, bearing, vx, vy, yaw, spare
FAR = 100.0  # [m] nothing is seen beyond
BINS = 256  # columns in which occlusion is counted
MIN_FRACTION = 0.12  # of an object's width, or MIN_PIXELS where pixels were counted, makes it visible
MIN_PIXELS = 25
STANDS = 0.5  # [m/s] below which an actor counts as standing: how fast such are is seen better
LATENTS = NOISES - 1

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


@njit
def _row_of(table, key, now, noise):  # type: ignore[no-untyped-def]
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
def _visible_fractions(xyz, yaw, extent, pose, camera):  # type: ignore[no-untyped-def]
    """Share of each actor's image columns that no nearer actor covers, and its box [pixels] (NaN out of view)."""
    n = xyz.shape[0]
    boxes = np.full((n, 4), np.nan)
    depth = np.full(n, np.inf)
    c, s = math.cos(pose[2]), math.sin(pose[2])
    cp, sp = math.cos(camera[3]), math.sin(camera[3])
    f, w, h = camera[4], camera[5], camera[6]
    for i in range(n):
        dx, dy = xyz[i, 0] - pose[0], xyz[i, 1] - pose[1]
        x, y = c * dx + s * dy - camera[0], c * dy - s * dx - camera[1]
        z = -camera[2]
        if x < -extent[i, 0] or math.hypot(x, y) > FAR:
            continue
        cy, sy = math.cos(yaw[i] - pose[2]), math.sin(yaw[i] - pose[2])
        left, top, right, bottom = math.inf, math.inf, -math.inf, -math.inf
        for k in range(8):
            lx = extent[i, 0] if k & 1 else -extent[i, 0]
            ly = extent[i, 1] if k & 2 else -extent[i, 1]
            lz = 2 * extent[i, 2] if k & 4 else 0.0
            px, py, pz = x + cy * lx - sy * ly, y + sy * lx + cy * ly, z + lz
            d = max(cp * px - sp * pz, 0.3)
            u, v = w / 2 - f * py / d, h / 2 - f * (sp * px + cp * pz) / d
            left, right, top, bottom = min(left, u), max(right, u), min(top, v), max(bottom, v)
        left, right, top, bottom = max(left, 0.0), min(right, w), max(top, 0.0), min(bottom, h)
        if x + extent[i, 0] < 0.5 or right - left < 1.0 or bottom - top < 1.0:
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


@njit
def _normal_cdf(z):  # type: ignore[no-untyped-def]
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@njit
def sense(  # type: ignore[no-untyped-def]
    ids,
    kinds,
    xyz,
    yaw,
    velocity,
    extent,
    visible_px,
    pose,
    velocity_ego,
    now,
    camera,
    noise,
    scales,
    edges,
    detect,
    range_sigma,
    velocity_sigma,
    table,
    next_track,
    path_times,
    out_kind,
    out_box,
    out_xy,
    out_yaw,
    out_size,
    out_velocity,
    out_score,
    out_track,
    out_path,
    out_sigma,
):
    """Fills the out arrays (columns of OBJECT) and returns how many objects there are.

    camera: x, y, z [m], pitch [rad], focal, width, height [pixels]. scales: keep and fresh of the latent processes,
    bearing and yaw sigma [rad], hold [s]. edges, detect (3, D), range_sigma, velocity_sigma (2, D; of those who move
    and of those who stand): see `ErrorModel`.
    """
    keep, fresh, bearing_sigma, yaw_sigma, hold = scales
    fraction, boxes = _visible_fractions(xyz, yaw, extent, pose, camera)
    c, s = math.cos(pose[2]), math.sin(pose[2])
    count = 0
    for i in range(ids.shape[0]):
        if kinds[i] > 5:
            continue
        in_view = not math.isnan(boxes[i, 0])
        dx, dy = xyz[i, 0] - pose[0], xyz[i, 1] - pose[1]
        distance = math.hypot(dx, dy)
        if not in_view and distance > FAR:
            continue
        row = table[_row_of(table, ids[i], now, noise[i])]
        if row.stamp < now:
            for j in range(LATENTS):
                row.z[j] = keep * row.z[j] + fresh * noise[i, j]
        row.stamp = now
        near = min(np.searchsorted(edges, distance), edges.shape[0] - 1)
        group = 2 if kinds[i] == 5 else (1 if kinds[i] >= 3 else 0)
        seen = in_view and (visible_px[i] >= MIN_PIXELS if visible_px[i] >= 0 else fraction[i] > MIN_FRACTION)
        p = detect[group, near]
        fresh_sight = seen and (p >= 1.0 or _normal_cdf(row.z[0]) < p)
        if fresh_sight:
            scale = max(0.3, 1.0 + range_sigma[near] * row.z[1])
            turn = bearing_sigma * row.z[2]
            row.xy[0] = pose[0] + scale * (dx * math.cos(turn) - dy * math.sin(turn))
            row.xy[1] = pose[1] + scale * (dx * math.sin(turn) + dy * math.cos(turn))
            stands = 1 if math.hypot(velocity[i, 0], velocity[i, 1]) < STANDS else 0
            row.velocity[0] = velocity[i, 0] + velocity_sigma[stands, near] * row.z[3]
            row.velocity[1] = velocity[i, 1] + velocity_sigma[stands, near] * row.z[4]
            row.seen = now
            if row.track == 0:
                row.track = next_track[0]
                next_track[0] += 1
        if row.track == 0:
            continue
        age = now - row.seen
        if age > hold:
            row.track = 0
            continue
        wx = row.xy[0] + row.velocity[0] * age - pose[0]
        wy = row.xy[1] + row.velocity[1] * age - pose[1]
        out_kind[count] = kinds[i]
        for j in range(4):
            out_box[count, j] = boxes[i, j] if fresh_sight else 0.0
        out_xy[count, 0], out_xy[count, 1] = c * wx + s * wy, c * wy - s * wx
        out_yaw[count] = wrapped(yaw[i] - pose[2] + yaw_sigma * row.z[5])
        out_size[count, 0], out_size[count, 1] = 2 * extent[i, 0], 2 * extent[i, 1]
        vx = c * row.velocity[0] + s * row.velocity[1]
        vy = c * row.velocity[1] - s * row.velocity[0]
        out_velocity[count, 0], out_velocity[count, 1] = vx, vy
        out_score[count] = (0.5 + 0.5 * p) * (1.0 - age / (hold + 0.1))
        out_track[count] = row.track
        for j in range(path_times.shape[0]):
            out_path[count, j, 0] = out_xy[count, 0] + vx * path_times[j]
            out_path[count, j, 1] = out_xy[count, 1] + vy * path_times[j]
            out_sigma[count, j] = 0.3 + 0.8 * path_times[j] + age
        count += 1
    return count
