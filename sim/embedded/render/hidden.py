"""What is hidden by all that was drawn so far: the farthest key of each square of the image.

A thing whose screen box lies in squares all of which are nearer than its nearest corner cannot be seen, and its faces
need not be looked at. `note_tiles` takes stock once houses and near bodies, which hide most of a street, are drawn.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.raster import BEYOND, LANES, NEAR, make_key

MARGIN = np.float32(1.001)  # of 1/depth: a face reaches half a pixel beyond its corners


@kernel
def clear_tiles(canvas):
    """Nothing is hidden."""
    for row in range(canvas.tile.shape[0]):
        for col in range(canvas.tile.shape[1]):
            canvas.tile[row, col] = 0


@kernel
def note_tiles(canvas):
    """Fills `canvas.tile` from what is drawn."""
    key, tile, least = canvas.key, canvas.tile, canvas.least
    height, width = np.uint64(key.shape[0]), np.uint64(key.shape[1])
    lanes = np.uint64(LANES)
    for first in range(np.uint64(0), height, lanes):
        for col in range(width):
            least[col] = BEYOND
        for row in range(first, min(first + lanes, height)):
            for col in range(width):
                least[col] = min(least[col], key[row, col])
        for block in range(np.uint64(tile.shape[1])):
            found = BEYOND
            for k in range(lanes):
                found = min(found, least[block * lanes + k])
            tile[first // lanes, block] = found


@part
def box_hidden(canvas, left, right, top, bottom, nearest):
    """Whether nothing can be seen of what lies in this box of the screen, `nearest` [m] away or farther."""
    if nearest < NEAR:
        return False
    tile, scale = canvas.tile, np.float32(1 / LANES)
    height, width = canvas.word.shape
    if right < 0 or bottom < 0 or left > np.float32(width) or top > np.float32(height):
        return True
    j0, j1 = np.int64(max(left, np.float32(0.0)) * scale), np.int64(min(right, np.float32(width - 1)) * scale)
    i0, i1 = np.int64(max(top, np.float32(0.0)) * scale), np.int64(min(bottom, np.float32(height - 1)) * scale)
    limit = make_key(MARGIN / nearest, np.int64(0))
    for i in range(np.uint64(i0), np.uint64(i1 + 1)):
        for j in range(np.uint64(j0), np.uint64(j1 + 1)):
            if tile[i, j] <= limit:
                return False
    return True


@part
def ball_hidden(canvas, eye, x, y, z, radius):
    """The same for a ball around an offset [m] from the camera, in the world's axes."""
    ax, f = eye.axes, eye.lens[0]
    depth = ax[2, 0] * x + ax[2, 1] * y + ax[2, 2] * z
    nearest = depth - radius
    if nearest < np.float32(1.0):
        return False
    near, far = f / nearest, f / (depth + radius)
    u = ax[0, 0] * x + ax[0, 1] * y + ax[0, 2] * z
    v = ax[1, 0] * x + ax[1, 1] * y + ax[1, 2] * z
    left, right = u - radius, u + radius
    top, bottom = v - radius, v + radius
    left, right = eye.lens[1] + min(left * near, left * far), eye.lens[1] + max(right * near, right * far)
    top, bottom = eye.lens[2] + min(top * near, top * far), eye.lens[2] + max(bottom * near, bottom * far)
    return box_hidden(canvas, left, right, top, bottom, nearest)
