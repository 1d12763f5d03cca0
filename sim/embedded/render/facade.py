"""Facades: a cell of wall with its window, repeated along a house's walls and looked up when pixels are resolved.

A texel is a code: a shade of wall, or RAMP and a blend from wall to window. A face has a table of its colours for each
of GLASSES kinds of window. Which kind a cell has follows from its place, so that at night some windows are lit.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.lanes import LANES, count_up, lanes, most, select, store, to_floats, to_ints
from roadcraft.sim.embedded.render.raster import ring

CELL = 32  # texels along a cell's edge at level 0
CELL_BITS = 5
LEVELS = 6
STOREY = 3.1  # [m]
BAY = 3.0  # [m] roughly, of a cell's width
RAMP = 16  # shades of wall, and steps of a blend
GLASSES = 4
KIND_BITS = 16 + 5  # the kind of window above a code (below 2 * RAMP) above a place on the textures
STYLES = 4
UNIT = np.float32(1 << 16)
GROUND_FLOOR = 1 << 16  # of the height in cells, at which the first storey begins
FLOOR = LEVELS * CELL * CELL  # texels of a floor


def textures() -> NDArray[np.uint8]:
    """(STYLES, 2, LEVELS, CELL * CELL) codes in one row; the second index is 0 on the ground floor, 1 above."""
    out = np.zeros((STYLES, 2, LEVELS, CELL * CELL), np.uint8)
    for style in range(STYLES):
        for floor in range(2):
            shade, glass = _cell(style, floor)
            for level in range(LEVELS):
                wall = np.clip(np.rint(shade * (RAMP - 1)), 0, RAMP - 1).astype(np.uint8)
                blend = np.clip(np.rint(glass * (RAMP - 1)), 0, RAMP - 1).astype(np.uint8)
                codes = np.where(blend > 0, RAMP + blend, wall)
                out[style, floor, level, : codes.size] = codes.ravel()
                shade, glass = (_half(a) if len(a) > 1 else a for a in (shade, glass))
    return out.ravel()


def _half(a: NDArray[np.float64]) -> NDArray[np.float64]:
    n = len(a) // 2
    return a.reshape(n, 2, n, 2).mean((1, 3))


def _cell(style: int, floor: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shade of the wall [0, 1] and share of glass [0, 1]; row 0 is the lowest."""
    rng = np.random.default_rng(10 * style + floor)
    shade = 0.62 + 0.10 * rng.random((CELL, CELL))
    if style in (0, 2):  # courses of brick
        shade[::2] -= 0.07
        shade[:, ::4] -= 0.03
    glass = np.zeros((CELL, CELL))
    left, right, low, high = [(10, 22, 10, 25), (6, 26, 9, 26), (3, 29, 10, 27), (8, 24, 4, 27)][style]
    if floor == 0 and style in (1, 2):
        left, right, low, high = 2, 30, 4, 26  # shop windows
    elif floor == 0:
        left, right, low, high = 9, 23, 9, 25
    shade[low - 2 : low, left - 2 : right + 2] = 1.0  # sill
    shade[low : high + 1, left - 1 : right + 1] = 0.9  # frame
    shade[high + 1 : high + 2, left - 1 : right + 1] = 0.3  # shadow of the lintel
    glass[low:high, left:right] = 1.0
    glass[low:high, (left + right) // 2] = 0.25
    if style != 2:
        glass[low + (high - low) * 2 // 3, left:right] = 0.25
    glass[high - 2 : high, left:right] *= 0.86
    shade[0] -= 0.12 if style in (1, 3) else 0.0  # the floor's edge
    return shade, glass


@kernel
def put_facade(canvas, slot, row, inverse, nx, ny, f, cx, cy, along, tall, style, a, b, c):
    """Notes the planes of s (along the wall) and t (upwards) of a facade, in cells: each is (A x + B y + C) z + D.

    `inverse` is that of the mesh's transform; (nx, ny) its normal in unit space; `along` and `tall` are the wall's
    length and height [m]; (a, b, c) give its 1/z.
    """
    plane = canvas.face_plane[slot]
    cells = max(np.float32(1.0), np.float32(np.floor(along / np.float32(BAY) + np.float32(0.5)))) * np.float32(0.5)
    floors = max(np.float32(1.0), np.float32(np.floor(tall / np.float32(STOREY) + np.float32(0.5))))
    axis = 0 if abs(ny) > abs(nx) else 1
    for k in range(2):
        column, scale = (axis, cells) if k == 0 else (2, floors)
        p, q, r = inverse[column], inverse[3 + column], inverse[6 + column]
        plane[4 * k] = p * scale / f
        plane[4 * k + 1] = q * scale / f
        plane[4 * k + 2] = (r - p * cx / f - q * cy / f) * scale
        plane[4 * k + 3] = inverse[9 + column] * scale + (cells if k == 0 else np.float32(0.0))
    plane[8], plane[9], plane[10] = a, b, c
    plane[11] = np.float32(style % STYLES)
    plane[12] = np.float32(row & 0xFFFF)
    plane[13] = along / (cells + cells)  # [m] width of a cell


@part
def facade_run(canvas, codes, f, slot, line, begin, end):
    """Colours pixels [begin, end) of a row that show a facade."""
    plane, table = canvas.face_plane[slot], canvas.face_table[slot]
    seed = np.int32(plane[12])
    row = np.float32(line) + np.float32(0.5)
    s0, s_step = (plane[1] * row + plane[2]) * UNIT, plane[0] * UNIT
    t0, t_step = (plane[5] * row + plane[6]) * UNIT, plane[4] * UNIT
    a, iz0 = plane[8], plane[10] + plane[9] * row
    size = plane[13] * np.float32(1 / CELL) * f * (iz0 + a * np.float32((begin + end) >> 1))  # pixels a texel
    level = 0
    while size < np.float32(0.75) and level < LEVELS - 1:
        size += size
        level += 1
    base = np.int32(((np.int32(plane[11]) * 2) * LEVELS + level) * CELL * CELL)
    bits = np.int32(CELL_BITS - level)
    shift = np.int32(16 - (CELL_BITS - level))
    side = np.int32((CELL >> level) - 1)
    pixel, place = canvas.pixel[ring(line)], canvas.place
    for k in range(0, end - begin, LANES):
        x = to_floats(count_up() + (begin + k)) + np.float32(0.5)
        z = lanes(np.float32(1.0)) / most(x * a + iz0, lanes(np.float32(1e-4)))
        fs, ft = to_ints((x * s_step + s0) * z + plane[3] * UNIT), to_ints((x * t_step + t0) * z + plane[7] * UNIT)
        texel = (((ft >> shift) & side) << bits) | ((fs >> shift) & side)
        texel = texel + select(ft >= GROUND_FLOOR, lanes(np.int32(FLOOR)), lanes(np.int32(0))) + base
        seen = (fs >> 16) * 73 + (ft >> 16) * 151 + seed
        kind = ((seen * 2654435) >> 11) & (GLASSES - 1)
        store(place, k, (kind << KIND_BITS) | texel)
    for k in range(0, end - begin, LANES):
        for j in range(LANES):
            at = np.uint64(place[0, np.uint64(k + j)])
            code = (at >> np.uint64(16)) | np.uint64(codes[at & np.uint64(0xFFFF)])
            pixel[np.uint64(begin + k + j)] = table[code]
