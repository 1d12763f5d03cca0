"""What houses hide: for every strip of the image the height up to which walls stand in it, and how far they are.

A house behind a wall that does not reach above it on the screen cannot be seen, since walls reach down to ground that
is nearer. Houses are drawn from front to back and raise the skyline as they go.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import part
from roadcraft.sim.embedded.render.raster import NEAR

STRIP = 4  # pixels
NOTHING = np.float32(1e9)


@part
def clear_skyline(canvas):
    for k in range(canvas.skyline.shape[1]):
        canvas.skyline[0, k] = NOTHING
        canvas.skyline[1, k] = np.float32(0.0)


@part
def hidden(canvas, left, right, top, depth):
    """Whether all of a screen box (upper edge `top`) whose nearest point is at `depth` lies below the skyline."""
    skyline = canvas.skyline
    strips = skyline.shape[1]
    scale = np.float32(1.0 / STRIP)
    first = np.int64(max(left * scale, np.float32(0.0)))
    last = np.int64(min(max(right * scale, np.float32(-1.0)), np.float32(strips - 1)))
    if last < first:
        return True
    covered = True
    for k in range(first, last + 1):
        covered = covered and top >= skyline[0, k] and depth >= skyline[1, k]
    return covered


@part
def house_hidden(canvas, eye, t, roof):
    """Whether a house is hidden, by its transform (unit space -> camera space) and its height in unit space."""
    f = eye.lens[0]
    left, right, top, depth = NOTHING, -NOTHING, NOTHING, NOTHING
    for corner in range(8):
        u = np.float32(1.04) if corner & 1 else np.float32(-1.04)
        v = np.float32(1.06) if corner & 2 else np.float32(-1.06)
        w = roof if corner & 4 else np.float32(0.0)
        z = t[8] * u + t[9] * v + t[10] * w + t[11]
        if z < np.float32(1.0):
            return False
        inverse = f / z
        x = eye.lens[1] + (t[0] * u + t[1] * v + t[2] * w + t[3]) * inverse
        y = eye.lens[2] + (t[4] * u + t[5] * v + t[6] * w + t[7]) * inverse
        left, right, top, depth = min(left, x), max(right, x), min(top, y), min(depth, z)
    return hidden(canvas, left, right, top, depth)


@part
def raise_skyline(canvas, eye, t, wall):
    """Adds the walls of a house, up to the height `wall` in unit space."""
    f = eye.lens[0]
    skyline = canvas.skyline
    strips = skyline.shape[1]
    for side in range(4):
        ua, va = np.float32(1 - 2 * (side == 0 or side == 3)), np.float32(1 - 2 * (side == 0 or side == 1))
        ub, vb = np.float32(1 - 2 * (side == 2 or side == 3)), np.float32(1 - 2 * (side == 0 or side == 3))
        za, zb = t[8] * ua + t[9] * va + t[11], t[8] * ub + t[9] * vb + t[11]
        zc, zd = za + t[10] * wall, zb + t[10] * wall
        if min(min(za, zb), min(zc, zd)) < NEAR:
            continue
        xa, xb = t[0] * ua + t[1] * va + t[3], t[0] * ub + t[1] * vb + t[3]
        a, b = max(xa / za, (xa + t[2] * wall) / zc), min(xb / zb, (xb + t[2] * wall) / zd)
        if b <= a:  # turned away
            continue
        ya, yb = t[4] * ua + t[5] * va + t[7] + t[6] * wall, t[4] * ub + t[5] * vb + t[7] + t[6] * wall
        top = eye.lens[2] + f * max(ya / zc, yb / zd)
        depth = max(max(za, zb), max(zc, zd))
        scale = np.float32(1.0 / STRIP)
        first = np.int64(max((eye.lens[1] + f * a) * scale, np.float32(-0.999)) + np.float32(0.999))
        last = np.int64(min((eye.lens[1] + f * b) * scale, np.float32(strips)))
        for k in range(first, last):
            if top < skyline[0, k]:
                skyline[0, k] = top
                skyline[1, k] = max(skyline[1, k], depth)
