"""From faces to pixels: looks up the ground, the sky and the facades, then writes the images that were asked for."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import sqrt

import numpy as np

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.facade import facade_run
from roadcraft.sim.embedded.render.ground_look import ALL, ground_run
from roadcraft.sim.embedded.render.raster import FACADE

FAR_IZ = np.float32(1 / 1000.0)  # [1/m] of the sky, CARLA's far plane
SKY_SIZE = 512
SKY_PIECE = 16  # pixels
SKY_BITS = np.int32(16)  # of the fixed-point fraction on the map
SKY_UNIT = np.float32(1 << 16)
SKY_SCALE = 0.94  # the sky's map reaches a little below the horizon

PAIR = np.uint64(0x1_0000_0001)
LOW8, LOW16, LOW24 = np.uint32(0xFF), np.uint32(0xFFFF), np.uint32(0xFFFFFF)


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


@part
def background(canvas, eye, ground, palette, sky, row, begin, end, take):
    """Gives pixels [begin, end) of a row that no face covers the bits `take`: ground, sky or both."""
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
            ground_run(canvas, eye, ground, palette, row, col, stop, take)
        elif take == ALL:
            sky_run(canvas, eye, sky, row, col, stop)
        col = stop


@kernel
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
        iz, word, mask = canvas.iz[row], canvas.word[row], canvas.mask[row]
        for col in range(width):
            iz[col] = max(FAR_IZ, base + np.float32(col) * step)
            word[col] = 0
            mask[col] = 0
    canvas.faces[0] = 1
    canvas.faces[1] = 0
    canvas.faces[2] = 0


@kernel
def color_rows(canvas, eye, ground, facades, palette, sky, take):
    """Fills `canvas.pixel`, run after run of the same face; with `take` TAG the classes of the ground alone."""
    words, pixel, pairs = canvas.word, canvas.pixel, canvas.pair
    paired = pairs.shape[1] > 0
    height, width = np.uint64(words.shape[0]), np.uint64(words.shape[1])
    one = np.uint64(1)
    for row in range(height):
        col = np.uint64(0)
        while col < width:
            face = words[row, col]
            begin = col
            col += one
            both = np.uint64(face) * PAIR
            if col & one and col < width and words[row, col] == face:
                col += one
            if paired and not col & one:
                while col + one < width and pairs[row, col >> one] == both:
                    col += np.uint64(2)
            while col < width and words[row, col] == face:
                col += one
            if face == 0:
                background(
                    canvas,
                    eye,
                    ground,
                    palette,
                    sky,
                    np.int64(row),
                    np.int64(begin),
                    np.int64(col),
                    take,
                )
            elif take != ALL:
                continue
            elif canvas.face_kind[np.uint64(face)] == FACADE:
                facade_run(canvas, facades, eye.lens[0], face, np.int64(row), np.int64(begin), np.int64(col))
            else:
                color = canvas.face_pixel[np.uint64(face)]
                for k in range(begin, col):
                    pixel[row, k] = color


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
def write_semantic(canvas, semantic):
    height, width = canvas.word.shape
    for row in range(height):
        pixel, out = canvas.pixel[row], semantic[row]
        for col in range(width):
            out[col] = np.uint8(pixel[col] >> np.uint32(24))


@kernel
def write_instance(canvas, instance):
    height, width = canvas.word.shape
    for row in range(height):
        word, out = canvas.word[row], instance[row]
        for col in range(width):
            out[col] = canvas.face_owner[word[col]]


@kernel
def write_depth(canvas, depth):
    height, width = canvas.word.shape
    for row in range(height):
        iz, out = canvas.iz[row], depth[row]
        for col in range(width):
            out[col] = np.float32(1.0) / iz[col]
