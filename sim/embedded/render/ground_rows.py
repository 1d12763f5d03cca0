"""Colours and classes of the ground in rows of pixels: where a row runs over the texels, then one look-up a pixel.

Along a row of a camera that stands upright the ground has one depth, so that the place on it moves by equal steps; the
row of a rolled camera is cut into short pieces along which that is nearly so.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.ground_look import HAZES, TEXEL, TILE_BITS, level_for, texel
from roadcraft.sim.embedded.render.lanes import LANES, count_up, load, low_words, pick, store, store_bytes, to_longs
from roadcraft.sim.embedded.render.palette import CLASS_OF
from roadcraft.sim.embedded.render.raster import ring

PIECE = 16  # pixels of a rolled camera's row along which places move by equal steps
STRAIGHT = np.float32(0.03)  # relative change of depth up to which they do
BITS = np.int64(20)  # of the fixed-point fraction of a texel
UNIT = np.float64(1 << 20)
TAGS = CLASS_OF  # a constant to the compiler


@kernel
def lay_line(line, eye, ground, row, begin, end):
    """Notes how pixels [begin, end) of a row run over the ground, which they must show.

    `line` (6,): texels x and y under the pixel `begin`, their steps a pixel, counted at the level of the classes; the
    level of the colours; the palette's first colour.
    """
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax, half, one = eye.axes, np.float32(0.5), np.float32(1.0)
    ky = (np.float32(row) + half - cy) / f
    above = max(np.float32(eye.place[2]), np.float32(0.05))
    # The place under a pixel: eye + depth * (forward + ky down + kx right), where 1/depth is linear in kx.
    tilt = -ax[0, 2] / (f * above)
    base = -(ax[2, 2] + ky * ax[1, 2]) / above + (half - cx) * tilt
    first, last = base + np.float32(begin) * tilt, base + np.float32(end) * tilt
    depth = one / (base + np.float32((begin + end) >> 1) * tilt)
    level = level_for(depth / f)
    haze = one - np.float32(np.exp(-eye.haze[0] * max(np.float32(0.0), depth - eye.haze[1])))
    scale = np.float32(1.0 / TEXEL) / np.float32(1 << max(level - 1, 0))
    gx, gy = (ax[2, 0] + ky * ax[1, 0]) * scale, (ax[2, 1] + ky * ax[1, 1]) * scale
    sx, sy = ax[0, 0] * scale / f, ax[0, 1] * scale / f
    k0, k1 = np.float32(begin) + half - cx, np.float32(end) + half - cx
    d0, d1, share = one / first, one / max(last, first * half), one / np.float32(end - begin)
    x0, y0 = d0 * (gx + k0 * sx), d0 * (gy + k0 * sy)
    line[0], line[1] = (eye.place[0] - ground.origin[0]) * scale + x0, (eye.place[1] - ground.origin[1]) * scale + y0
    line[2], line[3] = (d1 * (gx + k1 * sx) - x0) * share, (d1 * (gy + k1 * sy) - y0) * share
    line[4] = level
    line[5] = np.uint64(np.float32(HAZES - 1) * haze + half) << np.uint64(eye.local[1])


@part
def lay_row(line, eye, ground, row, width):
    """The same for a whole row of an upright camera, if it shows ground."""
    ky = (np.float32(row) + np.float32(0.5) - eye.lens[2]) / eye.lens[0]
    if eye.axes[0, 2] == 0 and eye.axes[2, 2] + ky * eye.axes[1, 2] < 0:
        lay_line(line, eye, ground, row, 0, width)


@part
def ground_run(canvas, eye, ground, palette, semantic, labels, row, begin, end):
    """Colours ground pixels [begin, end) of a row for which `lay_row` was called; with `labels` their classes too."""
    line = canvas.line
    if eye.axes[0, 2] == 0:
        x, y = line[0] + np.float64(begin) * line[2], line[1] + np.float64(begin) * line[3]
        texels(canvas, ground, palette, semantic, labels, row, begin, end, x, y)
        return
    iz = canvas.iz[np.uint64(row)]
    for first in range(begin, end, PIECE):
        last = min(first + PIECE, end)
        a, b = iz[first], iz[last - 1]
        step = last - first if abs(a - b) <= STRAIGHT * min(a, b) else 1
        for col in range(first, last, step):
            lay_line(line, eye, ground, row, col, col + step)
            texels(canvas, ground, palette, semantic, labels, row, col, col + step, line[0], line[1])


@part
def texels(canvas, ground, palette, semantic, labels, row, begin, end, x, y):
    """Pixels [begin, end) of a row show what lies along `canvas.line` from (x, y) on."""
    dx, dy, level, tone = canvas.line[2], canvas.line[3], np.int64(canvas.line[4]), np.uint64(canvas.line[5])
    fine = max(level - 1, 0)  # of the classes, for lines are thin
    bits, coarse = np.int64(TILE_BITS - fine), np.int64(TILE_BITS - level)
    drop = bits - coarse
    tiles, data = ground.tiles, ground.data
    wide, high = np.float64(tiles.shape[1] << bits), np.float64(tiles.shape[0] << bits)
    count = np.float64(end - begin + LANES)
    ex, ey, one = x + count * dx, y + count * dy, np.float64(1.0)
    line, shadow = np.uint64(row), np.uint64(8)
    pixel, mask, out = canvas.pixel[ring(row)], canvas.mask[line], semantic[line]
    if min(x, ex) < one or min(y, ey) < one or max(x, ex) > wide - one or max(y, ey) > high - one:
        for col in range(begin, end):  # partly outside of the map
            ix = np.int64(np.floor(x + np.float64(col - begin) * dx))
            iy = np.int64(np.floor(y + np.float64(col - begin) * dy))
            code = np.uint64(texel(ground, level, ix >> drop, iy >> drop))
            pixel[col] = palette[tone | (np.uint64(mask[col]) << shadow) | code]
            if labels:
                out[col] = TAGS[texel(ground, fine, ix, iy)]
        return
    lay_places(canvas, ground, level, fine, end - begin, x, y)
    place, start = canvas.place, row * canvas.word.shape[1]
    for k in range(0, end - begin, LANES):
        for j in range(LANES):
            col = np.uint64(begin + k + j)
            code = np.uint64(data[np.uint64(np.uint32(place[0, np.uint64(k + j)]))])
            pixel[col] = palette[tone | (np.uint64(mask[col]) << shadow) | code]
    if labels and drop == 0:  # the colour has the class
        for col in range(begin, end, LANES):
            store_bytes(semantic, start + col, load(pixel, col) >> 24)
    elif labels:
        for k in range(0, end - begin, LANES):
            for j in range(LANES):
                code = np.uint64(data[np.uint64(np.uint32(place[1, np.uint64(k + j)]))])
                out[np.uint64(begin + k + j)] = TAGS[code]


@part
def lay_places(canvas, ground, level, fine, count, x, y):
    """Fills `canvas.place` for `count` pixels along `canvas.line` from (x, y) on: where in `ground.data` are the codes
    of their colours, then those of their classes, at the levels `level` and `fine`."""
    place, tiles, bits, drop = canvas.place, ground.tiles, TILE_BITS - fine, level - fine
    colors, classes, inside = ground.offset[level], ground.offset[fine], (1 << bits) - 1
    step_x, step_y = np.int64(canvas.line[2] * UNIT), np.int64(canvas.line[3] * UNIT)
    number = to_longs(count_up())
    fx, fy = number * step_x + np.int64(x * UNIT), number * step_y + np.int64(y * UNIT)
    for k in range(0, count, LANES):
        ix, iy = low_words(fx >> BITS), low_words(fy >> BITS)
        tile = pick(tiles, (iy >> bits) * tiles.shape[1] + (ix >> bits))
        ix, iy = ix & inside, iy & inside
        coarse = ((iy >> drop) << (bits - drop)) | (ix >> drop)
        store(place, k, (tile << (2 * (bits - drop))) + coarse + colors)
        store(place, place.shape[1] + k, (tile << (2 * bits)) + ((iy << bits) | ix) + classes)
        fx += LANES * step_x
        fy += LANES * step_y
