"""Looks the ground up: which texels lie under a row of pixels."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import part

TILE_BITS = 7
TILE = 1 << TILE_BITS  # texels along a tile's edge at level 0
LEVELS = 8
DENSE = 3  # from this level on the texels lie in one plain array a level, before in tiles
TEXEL = 0.05  # [m] at level 0
PIECE = 16  # pixels over which a row is taken as straight in texels when the camera is rolled
CHUNK = 16  # pixels that share a level when the camera is rolled
STRAIGHT = np.float32(0.03)  # relative change of depth over a piece up to which that is done
FINEST = np.float32(1.0)  # [texels] width of a pixel up to which a level is fine enough
UNIT = 1 << 16  # fixed-point steps of a texel
HAZES = 64  # palettes from clear air to nothing but fog, for each of STATES_DAY shadows or night.STATES brightnesses
STATES_DAY = 4
ALL, TAG = np.uint32(0xFFFFFFFF), np.uint32(0xFF000000)  # bits of a pixel


class Ground(NamedTuple):
    """The baked ground: codes into a palette at LEVELS sizes of texel."""

    origin: NDArray[np.float64]  # (2,) [m] lower corner of tile (0, 0)
    tiles: NDArray[np.int32]  # (TY, TX) number of the tile that lies there
    data: NDArray[np.uint8]  # level after level; tile after tile or all of it; row after row (y up)
    offset: NDArray[np.int64]  # (LEVELS,) first code of each level


@part
def texel(ground, level, ix, iy):
    """The code at texel (ix, iy) of a level, held at the borders."""
    bits = TILE_BITS - level
    ix = min(max(ix, 0), (ground.tiles.shape[1] << bits) - 1)
    iy = min(max(iy, 0), (ground.tiles.shape[0] << bits) - 1)
    if level >= DENSE:
        return ground.data[ground.offset[level] + iy * (ground.tiles.shape[1] << bits) + ix]
    tile, mask = np.int64(ground.tiles[iy >> bits, ix >> bits]), (1 << bits) - 1
    return ground.data[ground.offset[level] + (tile << (2 * bits)) + ((iy & mask) << bits) + (ix & mask)]


@part
def level_for(across):
    """Level of the pyramid for pixels that are `across` [m] wide on the ground."""
    level = 0
    size = across / np.float32(TEXEL)
    while size > FINEST and level < LEVELS - 1:
        size *= np.float32(0.5)
        level += 1
    return level


@part
def ground_run(canvas, eye, ground, palette, row, begin, end, take):
    """Gives ground pixels [begin, end) of a row the bits `take`: ALL, or TAG from a level finer, for lines are thin."""
    if eye.axes[0, 2] == 0:
        ground_chunk(canvas, eye, ground, palette, row, begin, end, take)
    else:
        for first in range(begin, end, CHUNK):
            ground_chunk(canvas, eye, ground, palette, row, first, min(first + CHUNK, end), take)


@part
def ground_chunk(canvas, eye, ground, palette, row, begin, end, take):
    """The same for pixels that may share a level and a haze."""
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax = eye.axes
    half = np.float32(0.5)
    ky = (np.float32(row) + half - cy) / f
    above = np.float32(max(eye.place[2], 0.05))
    # 1/depth along the row, and the place under a pixel: eye + depth * (forward + ky down + kx right).
    tilt = -ax[0, 2] / (f * above)
    base = -(ax[2, 2] + ky * ax[1, 2]) / above + (half - cx) * tilt
    level = level_for(np.float32(1.0) / (f * (base + np.float32((begin + end) >> 1) * tilt)))
    if take == TAG:
        level = max(level - 1, 0)
    scale = np.float32(1.0 / TEXEL) / np.float32(1 << level)
    depth = np.float32(1.0) / (base + np.float32((begin + end) >> 1) * tilt)
    haze = np.float32(1.0) - np.float32(np.exp(-eye.haze[0] * max(np.float32(0.0), depth - eye.haze[1])))
    tone = np.uint64(np.float32(HAZES - 1) * haze + np.float32(0.5)) << np.uint64(eye.local[1])
    ox = np.float32((eye.place[0] - ground.origin[0]) * scale)
    oy = np.float32((eye.place[1] - ground.origin[1]) * scale)
    gx, gy = (ax[2, 0] + ky * ax[1, 0]) * scale, (ax[2, 1] + ky * ax[1, 1]) * scale
    sx, sy = ax[0, 0] * scale / f, ax[0, 1] * scale / f
    col = begin
    while col < end:
        iz = base + np.float32(col) * tilt
        stop = end
        if abs(tilt) * np.float32(end - col) > STRAIGHT * iz:
            stop = min(end, col + PIECE)
        k0, k1 = np.float32(col) + half - cx, np.float32(stop) + half - cx
        d0 = np.float32(1.0) / iz
        x0, y0 = ox + d0 * (gx + k0 * sx), oy + d0 * (gy + k0 * sy)
        iz1 = base + np.float32(stop) * tilt
        if abs(tilt) * np.float32(stop - col) > STRAIGHT * iz or iz1 <= np.float32(0.0):
            stop = col + 1
            dx, dy = np.float32(0.0), np.float32(0.0)
        else:
            d1 = np.float32(1.0) / iz1
            inverse = np.float32(1.0) / np.float32(stop - col)
            dx = (ox + d1 * (gx + k1 * sx) - x0) * inverse
            dy = (oy + d1 * (gy + k1 * sy) - y0) * inverse
        straight_piece(canvas, ground, palette, tone, level, row, col, stop, x0, y0, dx, dy, take)
        col = stop


@part
def straight_piece(canvas, ground, palette, tone, level, row, begin, end, x, y, dx, dy, take):
    """Gives pixels [begin, end) of a row what lies at texels (x, y), (x + dx, y + dy) and so on: the bits `take`."""
    bits = TILE_BITS - level
    rows, columns = ground.tiles.shape
    wide, high = np.float32(columns << bits), np.float32(rows << bits)
    last = np.float32(end - begin - 1)
    ex, ey = x + last * dx, y + last * dy
    one = np.float32(1.0)
    pixel, mask = canvas.pixel, canvas.mask
    line = np.uint64(row)
    if min(x, ex) < one or min(y, ey) < one or max(x, ex) > wide - one or max(y, ey) > high - one:
        for col in range(begin, end):  # partly outside of the map
            at = np.float32(col - begin)
            code = texel(
                ground,
                level,
                np.int64(np.floor(x + at * dx)),
                np.int64(np.floor(y + at * dy)),
            )
            at = tone | (np.uint64(mask[line, np.uint64(col)]) << np.uint64(8)) | np.uint64(code)
            old = pixel[line, np.uint64(col)]
            pixel[line, np.uint64(col)] = (old & ~take) | (palette[at] & take)
        return
    data = ground.data
    if level >= DENSE:
        fx, fy = np.int64(x * UNIT), np.int64(y * UNIT)
        ix, iy = np.int64(dx * UNIT), np.int64(dy * UNIT)
        start, stride = ground.offset[level], np.int64(columns << bits)
        for col in range(np.uint64(begin), np.uint64(end)):
            code = data[np.uint64(start + (fy >> 16) * stride + (fx >> 16))]
            at = tone | (np.uint64(mask[line, col]) << np.uint64(8)) | np.uint64(code)
            pixel[line, col] = (pixel[line, col] & ~take) | (palette[at] & take)
            fx += ix
            fy += iy
        return
    size = np.float32(1 << bits)
    col = begin
    while col < end:  # tile by tile
        tx, ty = np.int64(x) >> bits, np.int64(y) >> bits
        lx, ly = x - np.float32(tx << bits), y - np.float32(ty << bits)
        reach = np.float32(end - col)
        if dx > np.float32(1e-6):
            reach = min(reach, (size - lx) / dx)
        elif dx < np.float32(-1e-6):
            reach = min(reach, lx / -dx)
        if dy > np.float32(1e-6):
            reach = min(reach, (size - ly) / dy)
        elif dy < np.float32(-1e-6):
            reach = min(reach, ly / -dy)
        count = min(np.int64(reach) + 1, end - col)
        start = np.uint64(ground.offset[level] + (np.int64(ground.tiles[ty, tx]) << (2 * bits)))
        in_tile(pixel, mask, palette, tone, data, start, bits, line, col, col + count, lx, ly, dx, dy, take)
        x += np.float32(count) * dx
        y += np.float32(count) * dy
        col += count


@part
def in_tile(pixel, mask, palette, tone, data, start, bits, line, begin, end, x, y, dx, dy, take):
    """The same inside of one tile, in fixed-point steps."""
    fx, fy = np.int32(x * UNIT), np.int32(y * UNIT)
    ix, iy = np.int32(dx * UNIT), np.int32(dy * UNIT)
    inside = np.int32((1 << bits) - 1)
    for col in range(np.uint64(begin), np.uint64(end)):
        spot = (((fy >> np.int32(16)) & inside) << np.int32(bits)) | ((fx >> np.int32(16)) & inside)
        code = np.uint64(data[start + np.uint64(spot)])
        at = tone | (np.uint64(mask[line, col]) << np.uint64(8)) | code
        pixel[line, col] = (pixel[line, col] & ~take) | (palette[at] & take)
        fx += ix
        fy += iy
