"""Colours and classes of ground with hills: each pixel's place follows from its depth, then as on a plane."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief import Ground, Plane
from roadcraft.sim.embedded.render.compiled import by_ground, part
from roadcraft.sim.embedded.render.ground_look import HAZES, TEXEL, TILE_BITS, level_for
from roadcraft.sim.embedded.render.ground_rows import TAGS, ground_run, lay_row
from roadcraft.sim.embedded.render.lanes import (
    LANES,
    count_up,
    lanes,
    least,
    load,
    most,
    pick,
    store,
    to_floats,
    to_ints,
)
from roadcraft.sim.embedded.render.lighting import Light
from roadcraft.sim.embedded.render.raster import ring

EVEN = np.float32(0.04)  # relative change of depth along LANES pixels up to which they have one size of texel
STRIDE = 2  # cells of a relief between those whose brightness is known
FULL = 256  # brightness of level ground
DIMMEST, BRIGHTEST = 0.3, 1.7  # of a slope, level ground has 1
DECK = 1  # number of the one face that is all roads on bridges, where there are hills


def slope_light(ground: Ground, light: Light) -> NDArray[np.int32]:
    """(rows, columns) how bright a slope is, level ground FULL, by the sun's height over it: every STRIDE-th point."""
    if isinstance(ground, Plane) or light.night > 0.5:
        return np.full((1, 1), FULL, np.int32)
    return _slope_light(ground.z, float(ground.frame[2]), light)


def deck_light(ground: Ground, light: Light) -> NDArray[np.int32]:
    """The same of bridges."""
    if isinstance(ground, Plane) or light.night > 0.5 or ground.deck.size == 0:
        return np.full((1, 1), FULL, np.int32)
    return _slope_light(ground.deck, float(ground.frame[2]), light)


def _slope_light(z: NDArray[np.float32], spacing: float, light: Light) -> NDArray[np.int32]:
    """As `slope_light` of a grid of heights; where the slope is not known it counts as level."""
    z, size = z[::STRIDE, ::STRIDE].astype(float), STRIDE * spacing
    across, along = (np.nan_to_num(slope) for slope in np.gradient(z, size))
    up = 1 / np.sqrt(1 + along**2 + across**2)
    sun = np.maximum((light.sun[2] - along * light.sun[0] - across * light.sun[1]) * up, 0.0)
    ambient, direct = float(light.ambient.mean()), float(light.direct.mean())
    level = ambient * (0.86 + 0.22) + direct * max(float(light.sun[2]), 0.0)
    share = (ambient * (0.86 + 0.22 * up) + direct * sun) / level
    return np.ascontiguousarray(np.clip(share, DIMMEST, BRIGHTEST) * FULL, np.int32)


@part
def plane_laid(relief, line, eye, ground, row, width):
    lay_row(line, eye, ground, row, width)


@part
def relief_laid(relief, line, eye, ground, row, width):
    """Nothing is known of a whole row."""


@part
def plane_run(relief, canvas, eye, ground, palette, slopes, semantic, labels, row, begin, end):
    ground_run(canvas, eye, ground, palette, semantic, labels, row, begin, end)


@part
def relief_run(relief, canvas, eye, ground, palette, slopes, semantic, labels, row, begin, end):
    """Colours ground pixels [begin, end) of a row; with `labels` their classes too."""
    iz = canvas.iz[np.uint64(row)]
    for first in range(begin, end, LANES):
        last = min(first + LANES, end)
        near, far = iz[first], iz[first]
        for col in range(np.uint64(first + 1), np.uint64(last)):
            near, far = max(near, iz[col]), min(far, iz[col])
        step = last - first if near - far <= EVEN * near else 1
        for col in range(first, last, step):
            piece(relief, canvas, eye, ground, palette, slopes, semantic, labels, row, col, col + step)


@part
def piece(relief, canvas, eye, ground, palette, slopes, semantic, labels, row, begin, end):
    """The same for LANES pixels or less of nearly one depth."""
    ax, f, half, one = eye.axes, eye.lens[0], np.float32(0.5), np.float32(1.0)
    start = row * canvas.word.shape[1]
    depth = one / canvas.iz[np.uint64(row), np.uint64((begin + end - 1) >> 1)]
    level = level_for(depth / f)
    clear = np.float32(np.exp(-eye.haze[0] * max(np.float32(0.0), depth - eye.haze[1])))
    tone = np.uint64(np.float32(HAZES - 1) * (one - clear) + half) << np.uint64(eye.local[1])
    ky, depths = (np.float32(row) + half - eye.lens[2]) / f, lanes(one) / load(canvas.iz, start + begin)
    kx = (to_floats(count_up() + begin) + (half - eye.lens[1])) / lanes(f)
    gx, gy = ax[2, 0] + ky * ax[1, 0], ax[2, 1] + ky * ax[1, 1]
    x = (kx * ax[0, 0] + gx) * depths + np.float32(eye.place[0] - ground.origin[0])
    y = (kx * ax[0, 1] + gy) * depths + np.float32(eye.place[1] - ground.origin[1])
    place, stride = canvas.place, canvas.place.shape[1]
    fine = max(level - 1, 0)  # of the classes, for lines are thin
    lay_texels(place, stride, ground, level, fine, x, y)
    store(place, 2 * stride, brightness(relief, ground, slopes, x, y))
    line, shadow, data, keep = np.uint64(row), np.uint64(8), ground.data, np.int32(clear * np.float32(FULL))
    pixel, mask, out = canvas.pixel[ring(row)], canvas.mask[line], semantic[line]
    for j in range(np.uint64(end - begin)):
        col = np.uint64(begin) + j
        code = np.uint64(data[np.uint64(np.uint32(place[0, j]))])
        color, state = palette[tone | (np.uint64(mask[col]) << shadow) | code], mask[col]
        lit = np.int32(FULL) + (((place[2, j] - np.int32(FULL)) * keep) >> np.int32(8))
        pixel[col] = scaled(color, np.uint32(lit) if state & np.uint8(1) == 0 else np.uint32(FULL))
        if labels:
            out[col] = TAGS[data[np.uint64(np.uint32(place[1, j]))]]


@part
def lay_texels(place, stride, ground, level, fine, x, y):
    """Fills two rows of `canvas.place` like `ground_rows.lay_places`, for places [m] from the ground's origin."""
    tiles, bits, drop = ground.tiles, TILE_BITS - fine, level - fine
    inside, nothing = (1 << bits) - 1, lanes(np.float32(0.0))
    scale = np.float32(1.0 / TEXEL) / np.float32(1 << fine)
    ix = to_ints(least(most(x * scale, nothing), np.float32((tiles.shape[1] << bits) - 1)))
    iy = to_ints(least(most(y * scale, nothing), np.float32((tiles.shape[0] << bits) - 1)))
    tile = pick(tiles, (iy >> bits) * tiles.shape[1] + (ix >> bits))
    ix, iy = ix & inside, iy & inside
    coarse = ((iy >> drop) << (bits - drop)) | (ix >> drop)
    store(place, 0, (tile << (2 * (bits - drop))) + coarse + ground.offset[level])
    store(place, stride, (tile << (2 * bits)) + ((iy << bits) | ix) + ground.offset[fine])


@part
def brightness(relief, ground, slopes, x, y):
    """Of `slope_light` at places [m] from the ground's origin."""
    scale, nothing = np.float32(1.0 / (STRIDE * relief.frame[2])), lanes(np.float32(0.0))
    u = (x + np.float32(ground.origin[0] - relief.frame[0])) * scale + np.float32(0.5)
    v = (y + np.float32(ground.origin[1] - relief.frame[1])) * scale + np.float32(0.5)
    j = to_ints(least(most(u, nothing), np.float32(slopes.shape[1] - 1)))
    i = to_ints(least(most(v, nothing), np.float32(slopes.shape[0] - 1)))
    return pick(slopes, i * slopes.shape[1] + j)


@part
def scaled(color, share):
    """A pixel with its colours times share / FULL; its tag stays."""
    low, full = np.uint32(255), np.uint32(255)
    r = min(((color & low) * share) >> np.uint32(8), full)
    g = min((((color >> np.uint32(8)) & low) * share) >> np.uint32(8), full)
    b = min((((color >> np.uint32(16)) & low) * share) >> np.uint32(8), full)
    return r | (g << np.uint32(8)) | (b << np.uint32(16)) | (color & np.uint32(0xFF000000))


@part
def plane_last(relief):
    return 0


@part
def relief_last(relief):
    return DECK


@part
def plane_deck_run(relief, canvas, eye, deck, palette, slopes, semantic, labels, row, begin, end):
    """There are no bridges."""


lay_ground = by_ground(plane_laid, relief_laid)
color_ground = by_ground(plane_run, relief_run)
color_deck = by_ground(plane_deck_run, relief_run)  # the same of pixels of the face DECK
last_ground = by_ground(plane_last, relief_last)  # number of the last face that is ground, from 0
