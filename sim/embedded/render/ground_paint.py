"""Compiled painting of the ground's tiles: labels first, then colours, then the pyramid."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.ground_look import LEVELS, TILE, TILE_BITS
from roadcraft.sim.embedded.render.palette import PAINTS
from roadcraft.sim.kernels import njit

GRASS, PAVEMENT, ROADWAY, WHITE = 0, 1, 2, 3  # labels; WHITE is the first of palette.PAINTS
PAINT_RGB = np.array(list(PAINTS.values()), np.float32)
TERRAIN_TILES = 16  # shared tiles of nothing but grass
SURFACE_OF = np.array([0, 1, 2, *[3] * len(PAINTS)], np.uint8)  # label -> index into palette.CLASSES
Texels = NDArray[np.float64]  # (k, 2) places in texels of level 0 from the ground's origin


@njit
def touch_polygon(touched: NDArray[np.bool_], polygon: NDArray[np.float64]) -> None:
    """Marks the tiles under a polygon's bounding box, given in tiles, and a hand's breadth around it."""
    low_x, high_x = floor(polygon[:, 0].min() - 0.05), floor(polygon[:, 0].max() + 0.05)
    low_y, high_y = floor(polygon[:, 1].min() - 0.05), floor(polygon[:, 1].max() + 0.05)
    for y in range(max(low_y, 0), min(high_y + 1, touched.shape[0])):
        for x in range(max(low_x, 0), min(high_x + 1, touched.shape[1])):
            touched[y, x] = True


@njit
def _row_span(polygon: Texels, y: float) -> tuple[int, int]:
    """First and last texel whose centre lies inside a convex polygon on the row of centres y; empty: last < first."""
    low, high = 1e18, -1e18
    n = polygon.shape[0]
    for i in range(n):
        ax, ay = polygon[i]
        bx, by = polygon[(i + 1) % n]
        if (ay <= y) != (by <= y):
            x = ax + (y - ay) * (bx - ax) / (by - ay)
            low, high = min(low, x), max(high, x)
    if high < low:
        return 0, -1
    return ceil(low - 0.5), ceil(high - 0.5) - 1


@njit
def fill_polygon(tiles: NDArray[np.int32], label: NDArray[np.uint8], polygon: Texels, code: int) -> None:
    """Labels the texels of a convex polygon. Shared tiles stay as they are."""
    for row in range(ceil(polygon[:, 1].min() - 0.5), ceil(polygon[:, 1].max() - 0.5)):
        first, last = _row_span(polygon, row + 0.5)
        ty = row >> TILE_BITS
        if ty < 0 or ty >= tiles.shape[0]:
            continue
        for col in range(first, last + 1):
            tx = col >> TILE_BITS
            if 0 <= tx < tiles.shape[1] and tiles[ty, tx] >= TERRAIN_TILES:
                label[tiles[ty, tx], row & (TILE - 1), col & (TILE - 1)] = code


@njit
def paint_strip(
    tiles: NDArray[np.int32],
    label: NDArray[np.uint8],
    lateral: NDArray[np.uint8],
    left: Texels,
    right: Texels,
    code: int,
    lane: bool,
) -> None:
    """Labels the band between two borders (n, 2). With `lane`, also notes how far across it each texel lies."""
    quad = np.empty((3, 2))
    for i in range(left.shape[0] - 1):
        for half in range(2):
            if half == 0:
                quad[0], quad[1], quad[2] = left[i], right[i], right[i + 1]
            else:
                quad[0], quad[1], quad[2] = left[i], right[i + 1], left[i + 1]
            nx, ny = left[i, 0] - right[i, 0], left[i, 1] - right[i, 1]
            width2 = max(nx * nx + ny * ny, 1e-9)
            for row in range(ceil(quad[:, 1].min() - 0.5), ceil(quad[:, 1].max() - 0.5)):
                first, last = _row_span(quad, row + 0.5)
                ty = row >> TILE_BITS
                if ty < 0 or ty >= tiles.shape[0]:
                    continue
                for col in range(first, last + 1):
                    tx = col >> TILE_BITS
                    if tx < 0 or tx >= tiles.shape[1] or tiles[ty, tx] < TERRAIN_TILES:
                        continue
                    tile, y, x = tiles[ty, tx], row & (TILE - 1), col & (TILE - 1)
                    label[tile, y, x] = code
                    if lane:
                        share = ((col + 0.5 - right[i, 0]) * nx + (row + 0.5 - right[i, 1]) * ny) / width2
                        lateral[tile, y, x] = int(min(max(share, 0.0), 1.0) * 254)


@njit
def _hash(x: int, y: int, seed: int) -> float:
    """A fixed pseudo-random number in [0, 1) for a lattice point."""
    h = (x * 374761393 + y * 668265263 + seed * 974634731) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h ^= h >> 16
    return float(h) / 4294967296.0


@njit
def noise_map(size: int, cells: int, seed: int) -> NDArray[np.float32]:
    """Smooth noise in [0, 1] on (size, size), repeating at its borders, with `cells` lattice points along an edge."""
    out = np.empty((size, size), np.float32)
    for i in range(size):
        v = i * cells / size
        y = int(v)
        ty = v - y
        ty = ty * ty * (3 - 2 * ty)
        for j in range(size):
            u = j * cells / size
            x = int(u)
            tx = u - x
            tx = tx * tx * (3 - 2 * tx)
            x1, y1 = (x + 1) % cells, (y + 1) % cells
            low = _hash(x, y, seed) * (1 - tx) + _hash(x1, y, seed) * tx
            high = _hash(x, y1, seed) * (1 - tx) + _hash(x1, y1, seed) * tx
            out[i, j] = low * (1 - ty) + high * ty
    return out


@njit
def _label_at(tiles: NDArray[np.int32], label: NDArray[np.uint8], col: int, row: int) -> int:
    tx, ty = col >> TILE_BITS, row >> TILE_BITS
    if tx < 0 or ty < 0 or tx >= tiles.shape[1] or ty >= tiles.shape[0]:
        return GRASS
    return int(label[tiles[ty, tx], row & (TILE - 1), col & (TILE - 1)])


@njit
def _beside(tiles: NDArray[np.int32], label: NDArray[np.uint8], col: int, row: int, reach: int) -> int:
    """How near roadway lies: `reach` steps of one texel are tried in four directions; 0 where there is none."""
    for step in range(1, reach + 1):
        for dx, dy in ((step, 0), (-step, 0), (0, step), (0, -step)):
            if _label_at(tiles, label, col + dx, row + dy) >= ROADWAY:
                return step
    return 0


MAP = 1024  # texels along the noise maps, 51.2 m


@njit
def _asphalt(lat: float, n0: float, n1: float, n2: float, n3: float, grain: float) -> float:
    """Grey of the roadway: blotches, grain, tyre tracks, oil along the middle, cracks."""
    grey = 92.0 + 13.0 * (n0 - 0.5) + 10.0 * (n1 - 0.5) + 12.0 * (n2 - 0.5) + 19.0 * (grain - 0.5)
    if lat >= 0:
        for track in (-0.235, 0.235):
            d = (lat - 0.5 - track) / 0.085
            grey -= 7.5 * np.exp(-d * d) * (0.6 + 0.8 * n0)
        d = (lat - 0.5) / 0.06
        grey -= 5.0 * np.exp(-d * d) * n1 * 1.6
    crack = abs(n3 - 0.5)
    if crack < 0.006 and n0 > 0.55:
        grey -= 26.0
    return grey


@njit
def _color(
    tiles: NDArray[np.int32],
    label: NDArray[np.uint8],
    col: int,
    row: int,
    what: int,
    lateral: int,
    n: NDArray[np.float32],
    grain: float,
    out: NDArray[np.float32],
) -> None:
    """RGB [0, 255] of one texel; `n` holds the noise values there."""
    grey = _asphalt(lateral / 254 if lateral < 255 else -1.0, n[0], n[1], n[2], n[3], grain)
    if what == ROADWAY:
        out[0], out[1], out[2] = grey, grey, grey + 1.5
    elif what >= WHITE:
        worn = min(max((n[1] + 0.8 * n[2] + 0.9 * grain - 1.72) * 3.0, 0.0), 0.75)
        shade = 1.0 - 0.10 * n[0] - 0.10 * grain
        red, green, blue = PAINT_RGB[what - WHITE]
        out[0] = red * shade * (1 - worn) + grey * worn
        out[1] = green * shade * (1 - worn) + grey * worn
        out[2] = blue * shade * (1 - worn) + grey * worn
    elif what == PAVEMENT:
        near = _beside(tiles, label, col, row, 5)
        base = 152.0 + 16.0 * (n[0] - 0.5) + 14.0 * (n[2] - 0.5) + 16.0 * (grain - 0.5)
        if near == 1 or near == 2:
            base = 108.0 + 14.0 * (grain - 0.5)  # the kerb's upright face
        elif near > 2:
            base = 184.0 + 12.0 * (grain - 0.5)
        elif col % 20 == 0 or row % 20 == 0:
            base -= 34.0  # joints between slabs of one metre
        else:
            base += 14.0 * (_hash(col // 20, row // 20, 9) - 0.5)
        out[0], out[1], out[2] = base, base - 2, base - 7
    else:
        dry, tuft = (
            n[0] * 1.2 - 0.2 + 0.3 * (n[1] - 0.5),
            n[2] - 0.5 + 0.9 * (grain - 0.5),
        )
        dry = min(max(dry, 0.0), 1.0)
        out[0] = 74.0 + 44.0 * dry + 30.0 * tuft
        out[1] = 102.0 + 14.0 * dry + 34.0 * tuft
        out[2] = 44.0 + 18.0 * dry + 20.0 * tuft


@njit
def finish_tiles(
    tiles: NDArray[np.int32],
    where: NDArray[np.int32],
    label: NDArray[np.uint8],
    lateral: NDArray[np.uint8],
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    codes: NDArray[np.uint8],
) -> None:
    """Colours every tile and builds its pyramid. `where` (tiles, 2): column and row of each tile in the map."""
    maps = np.empty((4, MAP, MAP), np.float32)
    maps[0] = noise_map(MAP, 11, 1)
    maps[1] = noise_map(MAP, 41, 2)
    maps[2] = noise_map(MAP, 190, 3)
    maps[3] = 0.6 * noise_map(MAP, 16, 4) + 0.3 * noise_map(MAP, 47, 5) + 0.1 * noise_map(MAP, 131, 6)
    rgb = np.empty((TILE, TILE, 3), np.float32)
    surface = np.empty((TILE, TILE), np.uint8)
    n = np.empty(4, np.float32)
    out = np.empty(3, np.float32)
    for tile in range(where.shape[0]):
        for y in range(TILE):
            for x in range(TILE):
                col, row = where[tile, 0] * TILE + x, where[tile, 1] * TILE + y
                for k in range(4):
                    n[k] = maps[k, row % MAP, col % MAP]
                if tile < TERRAIN_TILES:
                    n[0] = 0.5  # seen side by side in any order: nothing that varies slowly
                what = label[tile, y, x]
                _color(
                    tiles,
                    label,
                    col,
                    row,
                    what,
                    lateral[tile, y, x],
                    n,
                    _hash(col, row, 17),
                    out,
                )
                surface[y, x] = SURFACE_OF[what]
                rgb[y, x] = out
        _pyramid(tile, rgb, surface, data, offsets, codes)


@njit
def _pyramid(
    tile: int,
    rgb: NDArray[np.float32],
    surface: NDArray[np.uint8],
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    codes: NDArray[np.uint8],
) -> None:
    """Writes a tile's codes at all levels: colours are averaged, classes are those of one texel near the middle."""
    size = TILE
    for level in range(LEVELS):
        start = offsets[level] + tile * size * size
        for y in range(size):
            for x in range(size):
                i = min(max(int(rgb[y, x, 0]), 0), 255) >> 2
                j = min(max(int(rgb[y, x, 1]), 0), 255) >> 2
                k = min(max(int(rgb[y, x, 2]), 0), 255) >> 2
                data[start + y * size + x] = codes[surface[y, x], i, j, k]
        size //= 2
        pick = level & 1
        for y in range(size):
            for x in range(size):
                surface[y, x] = surface[2 * y + pick, 2 * x + pick]
                for c in range(3):
                    total = rgb[2 * y, 2 * x, c] + rgb[2 * y, 2 * x + 1, c]
                    rgb[y, x, c] = 0.25 * (total + rgb[2 * y + 1, 2 * x, c] + rgb[2 * y + 1, 2 * x + 1, c])
