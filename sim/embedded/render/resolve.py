"""From faces to pixels: looks up the ground, the sky and the facades, then writes the images that were asked for."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import sqrt

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from roadcraft.sim.embedded.relief import height as height_of
from roadcraft.sim.embedded.relief import outside
from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.facade import facade_run
from roadcraft.sim.embedded.render.hills_rows import color_deck, color_ground, last_ground, lay_ground
from roadcraft.sim.embedded.render.lanes import (
    LANES,
    bits,
    count_up,
    lanes,
    load,
    most,
    repeat_byte,
    store,
    store_triples,
    to_floats,
)
from roadcraft.sim.embedded.render.materials import SKY
from roadcraft.sim.embedded.render.raster import FAR_IZ, FIRST_FACADE, RUN, ring
from roadcraft.sim.embedded.render.smooth import copy_row, near_row, smooth
from roadcraft.sim.embedded.render.wet import FOGS, fog_faces

SKY_SIZE = 512
SKY_BLOCK_BITS = 2
SKY_BLOCK = 1 << SKY_BLOCK_BITS
SKY_PIECE = 16  # pixels
SKY_BITS = np.int32(16)  # of the fixed-point fraction on the map
SKY_UNIT = np.float32(1 << 16)
SKY_SCALE = 0.94  # the sky's map reaches a little below the horizon

LOW8, SECOND8, OPAQUE = np.uint32(0xFF), np.uint32(0xFF00), np.uint32(0xFF000000)
TAG = np.uint32(24)  # shift of a pixel's tag
# Bits of `wanted`: those for which colours are needed, then labels.
COLORS, CLASSES, INSTANCES, DEPTH = np.uint32(1 | 16), np.uint32(2), np.uint32(4), np.uint32(8)


@part
def sky_run(canvas, eye, sky, row, begin, end):
    """Colours sky pixels [begin, end) of a row from the map of the upper half sphere, exactly at every SKY_PIECE-th
    pixel and along straight lines on the map in between."""
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax = eye.axes
    ky = (np.float32(row) + np.float32(0.5) - cy) / f
    bx, by, bz = (
        ax[2, 0] + ky * ax[1, 0],
        ax[2, 1] + ky * ax[1, 1],
        ax[2, 2] + ky * ax[1, 2],
    )
    sx, sy, sz = ax[0, 0] / f, ax[0, 1] / f, ax[0, 2] / f
    x0, y0 = sky_place(bx, by, bz, sx, sy, sz, np.float32(begin) + np.float32(0.5) - cx)
    pixel, place, mask = canvas.pixel[ring(row)], canvas.place, np.int32(SKY_SIZE - 1)
    for first in range(begin, end, SKY_PIECE):
        last = min(first + SKY_PIECE, end)
        x1, y1 = sky_place(bx, by, bz, sx, sy, sz, np.float32(last) + np.float32(0.5) - cx)
        share = np.float32(SKY_UNIT) / np.float32(last - first)
        ix, iy = np.int32((x1 - x0) * share), np.int32((y1 - y0) * share)
        fx, fy = count_up() * ix + np.int32(x0 * SKY_UNIT), count_up() * iy + np.int32(y0 * SKY_UNIT)
        for k in range(0, last - first, LANES):
            store(place, k, sky_texel((fx >> SKY_BITS) & mask, (fy >> SKY_BITS) & mask))
            fx += LANES * ix
            fy += LANES * iy
        for k in range(0, last - first, LANES):
            for j in range(LANES):
                pixel[np.uint64(first + k + j)] = sky[np.uint64(place[0, np.uint64(k + j)])]
        x0, y0 = x1, y1


@part
def sky_texel(x, y):
    """Where a texel lies in the sky's map: squares of SKY_BLOCK x SKY_BLOCK texels share a line of the cache."""
    low = SKY_BLOCK - 1
    block = (y >> SKY_BLOCK_BITS) * (SKY_SIZE >> SKY_BLOCK_BITS) + (x >> SKY_BLOCK_BITS)
    return (block << (2 * SKY_BLOCK_BITS)) | ((y & low) << SKY_BLOCK_BITS) | (x & low)


@part
def sky_place(bx, by, bz, sx, sy, sz, k):
    """Place on the sky's map of the direction b + k s."""
    dx, dy, dz = bx + k * sx, by + k * sy, bz + k * sz
    share = np.float32(SKY_SIZE / 2 * SKY_SCALE) / (sqrt(dx * dx + dy * dy + dz * dz) + dz)
    middle = np.float32(SKY_SIZE / 2)
    return middle + dx * share, middle + dy * share


@kernel
def clear(canvas, eye, relief):
    """Empties the canvas: 1/z of the bare ground, with hills of the plane beyond; the far plane above the horizon."""
    height, width = canvas.word.shape
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    above = np.float32(max(eye.place[2] - outside(relief), 0.05))
    ax = eye.axes
    half = np.float32(0.5)
    step = -ax[0, 2] / (f * above)
    iz, word = canvas.iz, canvas.word
    nothing = lanes(np.int32(0))
    for row in range(height):
        base = -(ax[2, 2] + (np.float32(row) + half - cy) / f * ax[1, 2]) / above + (half - cx) * step
        for col in range(0, width, LANES):
            at = row * width + col
            store(iz, at, most(to_floats(count_up() + col) * step + base, lanes(FAR_IZ)))
            store(word, at, nothing)
        mask = canvas.mask[row]
        for col in range(np.uint64(width)):
            mask[col] = 0
    canvas.face[0] = SKY << 24
    canvas.faces[0] = 1
    canvas.faces[1] = 0
    canvas.faces[2] = 0
    canvas.faces[3] = 0


@kernel
def resolve(canvas, eye, relief, ground, deck, facades, air, semantic, instance, depth, wanted):
    """Writes the labels that are wanted, see `frame.render_frame`, and for COLORS `canvas.soft`."""
    height, width = canvas.word.shape
    near = near_row(eye, eye.place[2] - height_of(relief, eye.place[0], eye.place[1]), height)
    for row in range(height):
        if wanted & DEPTH:
            for at in range(row * width, (row + 1) * width, LANES):
                store(depth, at, lanes(np.float32(1.0)) / load(canvas.iz, at))
        if wanted & ~DEPTH:
            paint_row(canvas, eye, relief, ground, deck, facades, air, semantic, instance, wanted, row)
        if wanted & COLORS:
            if air.fog[FOGS] > 0:
                fog_faces(canvas, air.fog_pixel[0], air.fog, row, np.uint32(last_ground(relief)))
            if row > 1:
                smooth(canvas, row - 1, near)
            if row == 0 or row == height - 1:
                copy_row(canvas, row)


@part
def paint_row(canvas, eye, relief, ground, deck, facades, air, semantic, instance, wanted, row):
    """Fills in a row run after run: first the colour and the labels of its face, then what has no single colour, which
    are ground, sky and facades.

    Runs are found by a mask of RUN pixels: where a face other than the one before begins. From left to right, since
    each may write up to LANES pixels too many.
    """
    word, width, one = canvas.word, canvas.word.shape[1], np.uint64(1)
    lay_ground(relief, canvas.line, eye, ground, row, width)
    for base in range(0, width, RUN):
        count, start = min(width - base, RUN), row * width + base
        change = np.uint64(0)
        for k in range(0, count, LANES):
            change |= bits(load(word, start + k) != load(word, start + k + 1)) << np.uint64(k)
        starts = (change << one | one) & (~np.uint64(0) >> np.uint64(RUN - count))
        while starts:
            begin = base + np.int64(trailing_zeros(starts))
            starts &= starts - one
            end = base + min(np.int64(trailing_zeros(starts)), count)
            face = np.int64(word[np.uint64(row), np.uint64(begin)])
            lay_color(canvas, semantic, instance, wanted, canvas.face[np.uint64(face)], row, begin, end)
            if face == 0:
                background(canvas, eye, relief, ground, air, semantic, wanted & CLASSES != 0, row, begin, end)
            elif face <= last_ground(relief):
                some = wanted & CLASSES != 0
                color_deck(relief, canvas, eye, deck, air.palette, air.deck_slopes, semantic, some, row, begin, end)
            elif face >= FIRST_FACADE and wanted & COLORS:
                facade_run(canvas, facades, eye.lens[0], face - FIRST_FACADE, row, begin, end)


@part
def lay_color(canvas, semantic, instance, wanted, face, row, begin, end):
    """Gives pixels [begin, end) of a row the colour and the labels of an entry of `canvas.face`."""
    color, owner = lanes(np.uint32(face)), lanes(np.uint32(face >> np.uint64(32)))
    tag = np.uint8(np.uint32(face) >> TAG)
    pixel, start = canvas.pixel[ring(row)], row * canvas.word.shape[1]
    for col in range(begin, end, LANES):
        store(pixel, col, color)
        if wanted & INSTANCES:
            store(instance, start + col, owner)
        if wanted & CLASSES:
            repeat_byte(semantic, start + col, tag)


@part
def background(canvas, eye, relief, ground, air, semantic, classes, row, begin, end):
    """Colours pixels [begin, end) of a row that no face covers: ground, sky or both. With `classes` those too."""
    iz = canvas.iz[np.uint64(row)]
    col = begin
    while col < end:
        is_ground = iz[col] > FAR_IZ
        stop = end
        if (iz[end - 1] > FAR_IZ) != is_ground:  # the horizon crosses the row
            stop = col + 1
            while stop < end and (iz[stop] > FAR_IZ) == is_ground:
                stop += 1
        if is_ground:
            color_ground(relief, canvas, eye, ground, air.palette, air.slopes, semantic, classes, row, col, stop)
        else:
            sky_run(canvas, eye, air.sky, row, col, stop)
        col = stop


@kernel
def write_rgb(pixel, rgb):
    """RGB bytes."""
    height, width = pixel.shape
    for row in range(height):
        for col in range(0, width, LANES):
            at = row * width + col
            store_triples(rgb, 3 * at, load(pixel, at))


@kernel
def write_bgra(pixel, bgra):
    """Words whose bytes are B, G, R and 255."""
    height, width = pixel.shape
    for row in range(np.uint64(height)):
        line, out = pixel[row], bgra[row]
        for col in range(np.uint64(width)):
            value = line[col]
            out[col] = OPAQUE | (value & LOW8) << np.uint32(16) | (value & SECOND8) | (value >> np.uint32(16)) & LOW8
