"""Softens the stairs along the edges of faces."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import kernel
from roadcraft.sim.embedded.render.ground_look import TEXEL

RB, G, TAG = np.uint32(0x00FF00FF), np.uint32(0x0000FF00), np.uint32(0xFF000000)
TAG_UNIT = np.uint32(1 << 24)


@kernel
def smooth(word, pixel, soft, near):
    """Mixes pixels on either side of an edge into `soft`: half of the pixel itself, an eighth of each neighbour.

    Edges are those of faces and of classes on the ground; from the row `near` on all ground counts, since its texels
    are larger there than a pixel.
    """
    near = np.uint64(near)
    height, width = np.uint64(word.shape[0]), np.uint64(word.shape[1])
    one, two, three = np.uint64(1), np.uint32(2), np.uint32(3)
    for col in range(width):
        soft[0, col] = pixel[0, col]
        soft[height - one, col] = pixel[height - one, col]
    for row in range(one, height - one):
        soft[row, 0] = pixel[row, 0]
        soft[row, width - one] = pixel[row, width - one]
        for col in range(one, width - one):
            here = word[row, col]
            c, left, right = pixel[row, col], pixel[row, col - one], pixel[row, col + one]
            up, down = pixel[row - one, col], pixel[row + one, col]
            rb = ((c & RB) << two) + (left & RB) + (right & RB) + (up & RB) + (down & RB)
            g = ((c & G) << two) + (left & G) + (right & G) + (up & G) + (down & G)
            mixed = np.uint32(((rb >> three) & RB) | ((g >> three) & G) | (c & TAG))
            same = (here == word[row, col + one]) & (here == word[row + one, col])
            same &= ((c ^ right) | (c ^ down)) < TAG_UNIT
            soft[row, col] = c if same and (here != 0 or row < near) else mixed


@kernel
def near_row(eye, height):
    """The row of the image from which on a pixel is smaller than a texel of the ground."""
    f, cy, above = eye.lens[0], eye.lens[2], np.float32(max(eye.place[2], 0.05))
    iz = np.float32(1.0) / (f * np.float32(TEXEL))  # 1/depth there
    down, forward = eye.axes[1, 2], eye.axes[2, 2]
    if down > np.float32(-0.1):  # the image does not stand upright
        return height
    row = cy + f * (iz * above + forward) / -down
    return np.int64(min(max(row, np.float32(0.0)), np.float32(height)))
