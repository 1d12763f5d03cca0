"""From faces to pixels: looks up the ground, the sky and the facades, then writes the images that were asked for."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import floor, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.raster import COMPILE, FACE_MASK

TILE = 128  # texels along a tile's edge at level 0
TILE_BITS = 7
LEVELS = 8
TEXEL = 0.05  # [m] at level 0
FAR_IZ = np.float32(1 / 1000.0)  # [1/m] of the sky, CARLA's far plane
SKY_SIZE = 512
SKY_SCALE = 0.94  # the sky's map reaches a little below the horizon


class Ground(NamedTuple):
    """The baked ground: codes into a palette, in tiles, at LEVELS sizes of texel."""

    origin: NDArray[np.float64]  # (2,) [m] lower corner of tile (0, 0)
    tiles: NDArray[np.int32]  # (TY, TX) number of the tile that lies there
    data: NDArray[np.uint8]  # level after level, tile after tile, row after row (y up)
    offset: NDArray[np.int64]  # (LEVELS,) first code of each level


@njit(**COMPILE)
def texel(ground, level, ix, iy):
    """The code at texel (ix, iy) of a level, held at the borders."""
    bits = TILE_BITS - level
    tx, ty = ix >> bits, iy >> bits
    tx = min(max(tx, 0), ground.tiles.shape[1] - 1)
    ty = min(max(ty, 0), ground.tiles.shape[0] - 1)
    mask = (1 << bits) - 1
    return ground.data[
        ground.offset[level] + (np.int64(ground.tiles[ty, tx]) << (2 * bits)) + ((iy & mask) << bits) + (ix & mask)
    ]


@njit(**COMPILE)
def ground_run(canvas, eye, ground, palette, row, begin, end):
    """Colours ground pixels [begin, end) of a row."""
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax = eye.axes
    half = np.float32(0.5)
    ky = (np.float32(row) + half - cy) / f
    iz = canvas.iz[row]
    middle = (begin + end) >> 1
    depth = np.float32(1.0) / iz[middle]
    across = depth / f
    level = 0
    size = across / np.float32(TEXEL)
    while size > np.float32(1.5) and level < LEVELS - 1:
        size *= half
        level += 1
    inverse = np.float32(1.0 / TEXEL) / np.float32(1 << level)
    # World = eye + depth * (forward + kx right + ky down); in texels from the origin.
    ox = np.float32((eye.place[0] - ground.origin[0]) * inverse)
    oy = np.float32((eye.place[1] - ground.origin[1]) * inverse)
    gx, gy = (ax[2, 0] + ky * ax[1, 0]) * inverse, (ax[2, 1] + ky * ax[1, 1]) * inverse
    sx, sy = ax[0, 0] * inverse / f, ax[0, 1] * inverse / f
    pixel, mask = canvas.pixel[row], canvas.mask[row]
    for col in range(begin, end):
        k = np.float32(col) + half - cx
        depth = np.float32(1.0) / iz[col]
        ix = floor(ox + depth * (gx + k * sx))
        iy = floor(oy + depth * (gy + k * sy))
        pixel[col] = palette[mask[col], texel(ground, level, ix, iy)]


@njit(**COMPILE)
def sky_run(canvas, eye, sky, row, begin, end):
    """Colours sky pixels [begin, end) of a row from the map of the upper half sphere."""
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax = eye.axes
    half = np.float32(0.5)
    ky = (np.float32(row) + half - cy) / f
    bx, by, bz = ax[2, 0] + ky * ax[1, 0], ax[2, 1] + ky * ax[1, 1], ax[2, 2] + ky * ax[1, 2]
    sx, sy, sz = ax[0, 0] / f, ax[0, 1] / f, ax[0, 2] / f
    middle, scale = np.float32(SKY_SIZE / 2), np.float32(SKY_SIZE / 2 * SKY_SCALE)
    top = np.float32(SKY_SIZE - 1)
    pixel = canvas.pixel[row]
    for col in range(begin, end):
        k = np.float32(col) + half - cx
        dx, dy, dz = bx + k * sx, by + k * sy, bz + k * sz
        share = scale / (sqrt(dx * dx + dy * dy + dz * dz) + dz)
        ix = np.int32(min(max(middle + dx * share, np.float32(0.0)), top))
        iy = np.int32(min(max(middle + dy * share, np.float32(0.0)), top))
        pixel[col] = sky[iy, ix]


@njit(**COMPILE)
def background(canvas, eye, ground, palette, sky, row, begin, end):
    """Colours pixels [begin, end) of a row that no face covers: ground, sky or both."""
    iz = canvas.iz[row]
    col = begin
    while col < end:
        is_ground = iz[col] > FAR_IZ
        stop = end
        if (iz[end - 1] > FAR_IZ) != is_ground:  # the horizon crosses the row
            stop = col + 1
            while stop < end and (iz[stop] > FAR_IZ) == is_ground:
                stop += 1
        if is_ground:
            ground_run(canvas, eye, ground, palette, row, col, stop)
        else:
            sky_run(canvas, eye, sky, row, col, stop)
        col = stop


@njit(**COMPILE)
def clear(canvas, eye):
    """Empties the canvas: 1/z of the bare ground, the far plane above the horizon."""
    height, width = canvas.word.shape
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    above = np.float32(max(eye.place[2], 0.05))
    ax = eye.axes
    half = np.float32(0.5)
    step = -ax[0, 2] / (f * above)
    for row in range(height):
        base = -(ax[2, 2] + (np.float32(row) + half - cy) / f * ax[1, 2]) / above + (half - cx) * step
        iz, word = canvas.iz[row], canvas.word[row]
        for col in range(width):
            iz[col] = max(FAR_IZ, base + np.float32(col) * step)
            word[col] = 0
    canvas.faces[0] = 1


@njit(**COMPILE)
def color_rows(canvas, eye, ground, palette, sky):
    """Fills `canvas.pixel`."""
    height, width = canvas.word.shape
    for row in range(height):
        word, pixel = canvas.word[row], canvas.pixel[row]
        col = 0
        while col < width:
            face = word[col] & FACE_MASK
            begin = col
            col += 1
            while col < width and (word[col] & FACE_MASK) == face:
                col += 1
            if face == 0:
                background(canvas, eye, ground, palette, sky, row, begin, col)
            else:
                color = canvas.face_pixel[face]
                for k in range(begin, col):
                    pixel[k] = color


@njit(**COMPILE)
def write_rgb(canvas, rgb):
    height, width = canvas.word.shape
    for row in range(height):
        pixel, out = canvas.pixel[row], rgb[row]
        for col in range(width):
            value = pixel[col]
            out[col, 0] = np.uint8(value >> np.uint32(16))
            out[col, 1] = np.uint8(value >> np.uint32(8))
            out[col, 2] = np.uint8(value)


@njit(**COMPILE)
def write_semantic(canvas, semantic):
    height, width = canvas.word.shape
    for row in range(height):
        pixel, out = canvas.pixel[row], semantic[row]
        for col in range(width):
            out[col] = np.uint8(pixel[col] >> np.uint32(24))


@njit(**COMPILE)
def write_instance(canvas, instance):
    height, width = canvas.word.shape
    for row in range(height):
        word, out = canvas.word[row], instance[row]
        for col in range(width):
            out[col] = canvas.face_owner[word[col] & FACE_MASK]


@njit(**COMPILE)
def write_depth(canvas, depth):
    height, width = canvas.word.shape
    for row in range(height):
        iz, out = canvas.iz[row], depth[row]
        for col in range(width):
            out[col] = np.float32(1.0) / iz[col]
