"""From faces to pixels: looks up the ground, the sky and the facades, then writes the images that were asked for."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import sqrt

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.facade import facade_run
from roadcraft.sim.embedded.render.ground_rows import ground_run, lay_row
from roadcraft.sim.embedded.render.materials import SKY
from roadcraft.sim.embedded.render.raster import BEYOND, FAR_IZ, FIRST_FACADE, inverse_depth, make_key

SKY_SIZE = 512
SKY_PIECE = 16  # pixels
SKY_BITS = np.int32(16)  # of the fixed-point fraction on the map
SKY_UNIT = np.float32(1 << 16)
RUN = 64  # pixels in a mask
SKY_SCALE = 0.94  # the sky's map reaches a little below the horizon

LOW8, LOW16, LOW24 = np.uint32(0xFF), np.uint32(0xFFFF), np.uint32(0xFFFFFF)
SECOND8, OPAQUE = np.uint32(0xFF00), np.uint32(0xFF000000)
COLORS = np.uint32(1 | 16)  # bits of `wanted` for which colours are needed


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
    pixel, line, mask = canvas.pixel, np.uint64(row), np.int32(SKY_SIZE - 1)
    for first in range(begin, end, SKY_PIECE):
        last = min(first + SKY_PIECE, end)
        x1, y1 = sky_place(bx, by, bz, sx, sy, sz, np.float32(last) + np.float32(0.5) - cx)
        share = np.float32(SKY_UNIT) / np.float32(last - first)
        ix, iy = np.int32((x1 - x0) * share), np.int32((y1 - y0) * share)
        fx, fy = np.int32(x0 * SKY_UNIT), np.int32(y0 * SKY_UNIT)
        for col in range(np.uint64(first), np.uint64(last)):
            pixel[line, col] = sky[np.uint64((fy >> SKY_BITS) & mask), np.uint64((fx >> SKY_BITS) & mask)]
            fx += ix
            fy += iy
        x0, y0 = x1, y1


@part
def sky_place(bx, by, bz, sx, sy, sz, k):
    """Place on the sky's map of the direction b + k s."""
    dx, dy, dz = bx + k * sx, by + k * sy, bz + k * sz
    share = np.float32(SKY_SIZE / 2 * SKY_SCALE) / (sqrt(dx * dx + dy * dy + dz * dz) + dz)
    middle = np.float32(SKY_SIZE / 2)
    return middle + dx * share, middle + dy * share


@kernel
def clear(canvas, eye):
    """Empties the canvas: 1/z of the bare ground, the far plane above the horizon."""
    height, width = canvas.word.shape
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    above = np.float32(max(eye.place[2], 0.05))
    ax = eye.axes
    half = np.float32(0.5)
    step = -ax[0, 2] / (f * above)
    for row in range(np.uint64(height)):
        base = -(ax[2, 2] + (np.float32(row) + half - cy) / f * ax[1, 2]) / above + (half - cx) * step
        key, mask = canvas.key[row], canvas.mask[row]
        for col in range(np.uint64(width)):
            key[col] = make_key(max(FAR_IZ, base + np.float32(col) * step), np.int64(0))
        for col in range(np.uint64(width), np.uint64(canvas.key.shape[1])):
            key[col] = BEYOND
        for col in range(np.uint64(width)):
            mask[col] = 0
    canvas.face_pixel[0] = SKY << 24
    canvas.faces[0] = 1
    canvas.faces[1] = 0
    canvas.faces[2] = 0


@kernel
def resolve(canvas, eye, ground, facades, palette, sky, semantic, instance, depth, wanted):
    """Writes the labels that are wanted, see `frame.render_frame`, and `canvas.word`; for COLORS `canvas.pixel` too."""
    colors, classes = wanted & COLORS != 0, wanted & np.uint32(2) != 0
    height, width = canvas.word.shape
    face_pixel, face_owner = canvas.face_pixel, canvas.face_owner
    for row in range(np.uint64(height)):
        key, word, pixel = canvas.key[row], canvas.word[row], canvas.pixel[row]
        for col in range(np.uint64(width)):
            word[col] = np.uint32(key[col])
        if wanted & np.uint32(8):
            out = depth[row]
            for col in range(np.uint64(width)):
                out[col] = np.float32(1.0) / inverse_depth(key[col])
        if wanted & np.uint32(4):
            owner = instance[row]
            for col in range(np.uint64(width)):
                owner[col] = face_owner[np.uint64(word[col])]
        if not (colors or classes):
            continue
        for col in range(np.uint64(width)):
            pixel[col] = face_pixel[np.uint64(word[col])]
        if classes:
            tag = semantic[row]
            for col in range(np.uint64(width)):
                tag[col] = np.uint8(pixel[col] >> np.uint32(24))
        paint_row(canvas, eye, ground, facades, palette, sky, semantic, colors, classes, np.int64(row))


@part
def paint_row(canvas, eye, ground, facades, palette, sky, semantic, colors, classes, row):
    """Fills in what has no single colour, run after run: ground, sky and facades.

    Runs are found by two masks of RUN pixels: where a face other than the one before begins, and where one is special.
    """
    word, width = canvas.word[np.uint64(row)], canvas.word.shape[1]
    lay_row(canvas.line, eye, ground, row, width)
    one = np.uint64(1)
    for base in range(0, width, RUN):
        count, at = min(width - base, RUN), np.uint64(base)
        change, special = one, np.uint64(0)
        for k in range(one, np.uint64(count)):
            change |= np.uint64(word[at + k] != word[at + k - one]) << k
        for k in range(np.uint64(count)):
            special |= np.uint64(word[at + k] - np.uint32(1) >= np.uint32(FIRST_FACADE - 1)) << k
        starts = change & special
        while starts:
            first = trailing_zeros(starts)
            starts &= starts - one
            last = trailing_zeros(change & ~((np.uint64(2) << first) - one))
            begin, end = base + np.int64(first), base + min(np.int64(last), count)
            face = np.int64(word[np.uint64(begin)])
            if face == 0:
                background(canvas, eye, ground, palette, sky, semantic, classes, row, begin, end)
            elif colors:
                facade_run(canvas, facades, eye.lens[0], face - FIRST_FACADE, row, begin, end)


@part
def background(canvas, eye, ground, palette, sky, semantic, classes, row, begin, end):
    """Colours pixels [begin, end) of a row that no face covers: ground, sky or both. With `classes` those too."""
    key = canvas.key[np.uint64(row)]
    col = begin
    while col < end:
        is_ground = inverse_depth(key[col]) > FAR_IZ
        stop = end
        if (inverse_depth(key[end - 1]) > FAR_IZ) != is_ground:  # the horizon crosses the row
            stop = col + 1
            while stop < end and (inverse_depth(key[stop]) > FAR_IZ) == is_ground:
                stop += 1
        if is_ground:
            ground_run(canvas, eye, ground, palette, semantic, classes, row, col, stop)
        else:
            sky_run(canvas, eye, sky, row, col, stop)
        col = stop


@kernel
def write_rgb(pixel, rgb, words):
    """RGB bytes; `words` are the same bytes as 32-bit words, three of which hold four pixels."""
    height, width = pixel.shape
    quads = words.shape[1] // 3
    for row in range(height):
        for q in range(quads):
            a, b, c, d = (
                pixel[row, 4 * q],
                pixel[row, 4 * q + 1],
                pixel[row, 4 * q + 2],
                pixel[row, 4 * q + 3],
            )
            words[row, 3 * q] = (a & LOW24) | (b << np.uint32(24))
            words[row, 3 * q + 1] = ((b >> np.uint32(8)) & LOW16) | (c << np.uint32(16))
            words[row, 3 * q + 2] = ((c >> np.uint32(16)) & LOW8) | (d << np.uint32(8))
        for col in range(4 * quads, width):
            value = pixel[row, col]
            rgb[row, col, 0] = np.uint8(value)
            rgb[row, col, 1] = np.uint8(value >> np.uint32(8))
            rgb[row, col, 2] = np.uint8(value >> np.uint32(16))


@kernel
def write_bgra(pixel, bgra):
    """Words whose bytes are B, G, R and 255."""
    height, width = pixel.shape
    for row in range(np.uint64(height)):
        line, out = pixel[row], bgra[row]
        for col in range(np.uint64(width)):
            value = line[col]
            out[col] = OPAQUE | (value & LOW8) << np.uint32(16) | (value & SECOND8) | (value >> np.uint32(16)) & LOW8
