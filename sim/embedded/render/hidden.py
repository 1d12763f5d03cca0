"""What is hidden by all that was drawn so far: the least 1/z of each square of the image.

A thing whose screen box lies in squares all of which are nearer than its nearest corner cannot be seen, and its faces
need not be looked at. `note_tiles` takes stock once houses and near bodies, which hide most of a street, are drawn.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.lanes import LANES, least, load, lowest
from roadcraft.sim.embedded.render.raster import NEAR, SQUARE

MARGIN = np.float32(1.001)  # of 1/depth: a face reaches half a pixel beyond its corners


@kernel
def clear_tiles(canvas):
    """Nothing is hidden."""
    for row in range(canvas.tile.shape[0]):
        for col in range(canvas.tile.shape[1]):
            canvas.tile[row, col] = 0


@kernel
def note_tiles(canvas):
    """Fills `canvas.tile` from what is drawn; images less than a square wide stay without."""
    iz, tile = canvas.iz, canvas.tile
    height, width = iz.shape
    if width < LANES:
        return
    for i in range(tile.shape[0]):
        first = i * SQUARE
        last = min(first + SQUARE, height)
        for j in range(tile.shape[1]):
            col = min(j * SQUARE, width - LANES)
            found = load(iz, first * width + col)
            for row in range(first + 1, last):
                found = least(found, load(iz, row * width + col))
            tile[i, j] = lowest(found)


@part
def box_hidden(canvas, left, right, top, bottom, nearest):
    """Whether nothing can be seen of what lies in this box of the screen, `nearest` [m] away or farther."""
    if nearest < NEAR:
        return False
    tile, scale = canvas.tile, np.float32(1 / SQUARE)
    height, width = canvas.word.shape
    if right < 0 or bottom < 0 or left > np.float32(width) or top > np.float32(height):
        return True
    j0, j1 = np.int64(max(left, np.float32(0.0)) * scale), np.int64(min(right, np.float32(width - 1)) * scale)
    i0, i1 = np.int64(max(top, np.float32(0.0)) * scale), np.int64(min(bottom, np.float32(height - 1)) * scale)
    limit = MARGIN / nearest
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
