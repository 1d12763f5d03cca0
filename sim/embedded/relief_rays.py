"""Where rays meet the ground: a plane, or a mesh over a grid that is walked through cell by cell, and bridges."""

# Kernels take named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import floor, sqrt

from roadcraft.sim.embedded.relief import BARE, SQUARE, by_ground, in_cell, part


@part
def plane_met(ground, ox, oy, oz, dx, dy, dz, nearest, best):
    """(distance, normal x, y, z, what) where a ray from o along d first meets the outside of a ground between `nearest`
    and `best` [m]; what: BARE, ON_DECK, CONCRETE; the distance is `best` where it meets nothing."""
    if dz < -1e-9:
        t = -oz / dz
        if nearest < t < best:
            return t, 0.0, 0.0, 1.0, BARE
    return best, 0.0, 0.0, 1.0, BARE


@part
def in_fine(ground, ou, ov, oz, du, dv, dz, begin, end):
    """(distance, slopes along x and y), per cell, within [begin, end] of a ray whose x, y are counted in cells."""
    z = ground.z
    t = begin
    u, v = ou + t * du, ov + t * dv
    j, i = floor(u), floor(v)
    step_j, step_i = 1 if du > 0 else -1, 1 if dv > 0 else -1
    each_u = 1.0 / abs(du) if abs(du) > 1e-12 else 1e30
    each_v = 1.0 / abs(dv) if abs(dv) > 1e-12 else 1e30
    next_u = t + ((j + 1 - u) if du > 0 else (u - j)) * each_u
    next_v = t + ((i + 1 - v) if dv > 0 else (v - i)) * each_v
    while t < end:
        leave = min(min(next_u, next_v), end)
        if 0 <= i < z.shape[0] - 1 and 0 <= j < z.shape[1] - 1:
            even = (i + j) & 1 == 0
            turn = du - dv if even else du + dv
            cut = (j - i - (ou - ov)) / turn if even else (j + i + 1 - (ou + ov)) / turn
            middle = cut if t < cut < leave else leave
            first = t
            for _ in range(2):
                at = (first + middle) / 2  # tells which half of the cell it is
                level, along, across = in_cell(z, i, j, ou + at * du - j, ov + at * dv - i)
                fall = dz - along * du - across * dv
                if fall < -1e-12:
                    hit = at + (level - oz - at * dz) / fall
                    if first - 1e-6 <= hit <= middle + 1e-6:
                        return hit, along, across
                if middle >= leave:
                    break
                first, middle = middle, leave
        t = leave
        if next_u < next_v:
            next_u, j = next_u + each_u, j + step_j
        else:
            next_v, i = next_v + each_v, i + step_i
    return end, 0.0, 0.0


@part
def hills_met(ground, ox, oy, oz, dx, dy, dz, nearest, best):
    """(distance, slope along x, along y) where a ray meets the mesh or the plane beyond."""
    z, frame, tops = ground.z, ground.frame, ground.tops
    size = 1.0 / frame[2]
    if dz < -1e-9:
        t = (frame[3] - oz) / dz
        best = t if nearest < t < best else best
    ou, ov, du, dv = (ox - frame[0]) * size, (oy - frame[1]) * size, dx * size, dy * size
    # The part of the ray that is above the grid.
    begin, end, wide, high = nearest, best, z.shape[1] - 1.0, z.shape[0] - 1.0
    for axis in range(2):
        o, d, limit = (ou, du, wide) if axis == 0 else (ov, dv, high)
        if abs(d) < 1e-12:
            if o < 0.0 or o > limit:
                return best, 0.0, 0.0
            continue
        a, b = -o / d, (limit - o) / d
        begin, end = max(begin, min(a, b)), min(end, max(a, b))
    if begin >= end:
        return best, 0.0, 0.0
    t, edge = begin, 1.0 / SQUARE
    u, v = (ou + t * du) * edge, (ov + t * dv) * edge
    j, i = floor(u), floor(v)
    step_j, step_i = 1 if du > 0 else -1, 1 if dv > 0 else -1
    each_u = SQUARE / abs(du) if abs(du) > 1e-12 else 1e30
    each_v = SQUARE / abs(dv) if abs(dv) > 1e-12 else 1e30
    next_u = t + ((j + 1 - u) if du > 0 else (u - j)) * each_u
    next_v = t + ((i + 1 - v) if dv > 0 else (v - i)) * each_v
    while t < end:
        leave = min(min(next_u, next_v), end)
        if 0 <= i < tops.shape[0] and 0 <= j < tops.shape[1] and oz + dz * (leave if dz < 0 else t) <= tops[i, j]:
            hit, along, across = in_fine(ground, ou, ov, oz, du, dv, dz, t, leave)
            if hit < leave:
                return hit, along * size, across * size
        t = leave
        if next_u < next_v:
            next_u, j = next_u + each_u, j + step_j
        else:
            next_v, i = next_v + each_v, i + step_i
    return best, 0.0, 0.0


@part
def relief_met(ground, ox, oy, oz, dx, dy, dz, nearest, best):
    """The same as `plane_met`."""
    best, along, across = hills_met(ground, ox, oy, oz, dx, dy, dz, nearest, best)
    size = 1.0 / sqrt(1.0 + along * along + across * across)
    nx, ny, nz, what = -along * size, -across * size, size, BARE
    px, py = ox - ground.frame[0], oy - ground.frame[1]
    for k in range(ground.deck_blocks.shape[0]):
        block = ground.deck_blocks[k]
        cx, cy, cz = block[0] - ox, block[1] - oy, block[2] - oz
        along = cx * dx + cy * dy + cz * dz
        if cx * cx + cy * cy + cz * cz - along * along > block[3] * block[3] or along - block[3] > best:
            continue
        for i in range(int(block[4]), int(block[5])):
            face = ground.deck_faces[i]
            slope = face[9] * dx + face[10] * dy + face[11] * dz
            if slope >= -1e-12:
                continue
            t = (face[9] * (face[0] - px) + face[10] * (face[1] - py) + face[11] * (face[2] - oz)) / slope
            if nearest < t < best and in_triangle(face, px + t * dx, py + t * dy, oz + t * dz):
                best, nx, ny, nz, what = t, float(face[9]), float(face[10]), float(face[11]), int(face[12])
    return best, nx, ny, nz, what


@part
def in_triangle(face, x, y, z):
    """Whether a place in the plane of a row of `Relief.faces` lies within it."""
    for a in range(3):
        b = 3 * ((a + 1) % 3)
        ex, ey, ez = face[b] - face[3 * a], face[b + 1] - face[3 * a + 1], face[b + 2] - face[3 * a + 2]
        qx, qy, qz = x - face[3 * a], y - face[3 * a + 1], z - face[3 * a + 2]
        nx, ny, nz = ey * qz - ez * qy, ez * qx - ex * qz, ex * qy - ey * qx
        if face[9] * nx + face[10] * ny + face[11] * nz < -1e-6:
            return False
    return True


met = by_ground(plane_met, relief_met)
