"""Softens the stairs along the edges of faces."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import part
from roadcraft.sim.embedded.render.ground_look import TEXEL
from roadcraft.sim.embedded.render.lanes import LANES, load, select, store
from roadcraft.sim.embedded.render.raster import RING, ring

RB, G, TAG = 0x00FF00FF, 0x0000FF00, -0x01000000  # of a pixel as a signed word


@part
def smooth(canvas, row, near):
    """Mixes pixels on either side of an edge into a row of `canvas.soft`: half of the pixel itself, an eighth of each
    neighbour. Both rows beside it must still be in `canvas.pixel`.

    Edges are those of faces and of classes on the ground; from the row `near` on all ground counts, since its texels
    are larger there than a pixel.
    """
    word, pixel, width, stride = canvas.word, canvas.pixel, canvas.word.shape[1], canvas.pixel.shape[1]
    above, here = ((row - 1) & (RING - 1)) * stride, (row & (RING - 1)) * stride
    below = ((row + 1) & (RING - 1)) * stride
    smallest = 0 if row < near else 1  # number of a face that need not be mixed
    for col in range(1, width - 1, LANES):
        c, at = load(pixel, here + col), row * width + col
        left, right = load(pixel, here + col - 1), load(pixel, here + col + 1)
        up, down = load(pixel, above + col), load(pixel, below + col)
        rb = ((c & RB) << 2) + (left & RB) + (right & RB) + (up & RB) + (down & RB)
        g = (c << 2) + left + right + up + down - rb  # what is left of the sum, above it that of the tags
        mixed = ((rb >> 3) & RB) | ((g >> 3) & G) | (c & TAG)
        face = load(word, at)
        change = (face ^ load(word, at + 1)) | (face ^ load(word, at + width)) | (((c ^ right) | (c ^ down)) & TAG)
        store(canvas.soft, at, select((change != 0) | (face < smallest), mixed, c))
    canvas.soft[row, 0], canvas.soft[row, width - 1] = pixel[0, here], pixel[0, here + width - 1]


@part
def copy_row(canvas, row):
    """The first and the last row stay as they are."""
    pixel, start = canvas.pixel[ring(row)], row * canvas.word.shape[1]
    for col in range(0, canvas.word.shape[1], LANES):
        store(canvas.soft, start + col, load(pixel, col))


@part
def near_row(eye, above, height):
    """The row of the image from which on a pixel is smaller than a texel of the ground `above` which the camera is."""
    f, cy, above = eye.lens[0], eye.lens[2], np.float32(max(above, 0.05))
    iz = np.float32(1.0) / (f * np.float32(TEXEL))  # 1/depth there
    down, forward = eye.axes[1, 2], eye.axes[2, 2]
    if down > np.float32(-0.1):  # the image does not stand upright
        return height
    row = cy + f * (iz * above + forward) / -down
    return np.int64(min(max(row, np.float32(0.0)), np.float32(height)))
