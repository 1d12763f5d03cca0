"""Rain and fog in the finished picture: mirrors of things in the wet road, fog before faces, falling drops."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.ground_paint import noise_map
from roadcraft.sim.embedded.render.raster import ring

PUDDLES = 256  # texels along the map of puddles, which repeats
PUDDLE_TEXEL = 0.16  # [m]
STEP = 8  # pixels between which wetness is blended
FOGS = 512  # entries of the table of fog by depth
FOG_STEP = 0.5  # [m] between them
RB, G = np.uint32(0x00FF00FF), np.uint32(0x0000FF00)
TAG = np.uint32(0xFF000000)


def puddle_map() -> NDArray[np.float32]:
    """(PUDDLES, PUDDLES) height of the water [0, 1], repeating."""
    octaves = ((7, 0.6), (19, 0.3), (64, 0.1))
    return sum(share * noise_map(PUDDLES, cells, 64 + cells) for cells, share in octaves)


@part
def blend(a, b, share):
    """Pixel a with a share (0 to 256) of the colour of pixel b; keeps a's tag."""
    keep = np.uint32(256) - share
    rb = (((a & RB) * keep + (b & RB) * share) >> np.uint32(8)) & RB
    g = (((a & G) * keep + (b & G) * share) >> np.uint32(8)) & G
    return rb | g | (a & TAG)


@part
def fog_faces(canvas, fog, table, row):
    """Puts fog in front of a row's faces by their depth. `fog`: its pixel; `table`: its share, 0 to 256, by depth."""
    line = np.uint64(row)
    word, iz, pixel = canvas.word[line], canvas.iz[line], canvas.pixel[ring(row)]
    for col in range(np.uint64(canvas.word.shape[1])):
        depth = min(np.float32(1.0 / FOG_STEP) / iz[col], np.float32(FOGS - 1))
        share = table[np.uint64(np.uint32(depth))]
        pixel[col] = blend(pixel[col], fog, share if word[col] != 0 else np.uint32(0))


@kernel
def mirror(canvas, eye, puddles, wet, depth_of_water, shine):
    """Mirrors what stands above each piece of wet ground in it.

    For every column the lowest row of the thing above (`canvas.foot`) is known; a pixel k rows below it shows the one k
    rows above it, more of it where water stands and where the eye looks along the ground.
    """
    height, width = canvas.word.shape
    word, foot, coarse = canvas.word, canvas.foot, canvas.coarse
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax = eye.axes
    half = np.float32(0.5)
    above = np.float32(max(eye.place[2], 0.05))
    tilt = -ax[0, 2] / (f * above)
    samples = (width - 1) // STEP + 2
    for col in range(width):
        foot[col] = -1
    for row in range(height):
        ky = (np.float32(row) + half - cy) / f
        base = -(ax[2, 2] + ky * ax[1, 2]) / above + (half - cx) * tilt
        middle = base + np.float32(width >> 1) * tilt
        if middle < np.float32(1 / 1000.0):
            for col in range(width):
                foot[col] = row
            continue
        # Share mirrored by flat water, Schlick's formula with 0.02 at right angles.
        slope = min(above * middle, np.float32(1.0))
        glancing = np.float32(1.0) - slope / np.float32(np.sqrt(np.float32(1.0) + slope * slope))
        mirrored = np.float32(0.04) + np.float32(0.96) * glancing * glancing * glancing * glancing
        gx, gy = ax[2, 0] + ky * ax[1, 0], ax[2, 1] + ky * ax[1, 1]
        for k in range(samples):
            iz = max(base + np.float32(k * STEP) * tilt, np.float32(1 / 1000.0))
            depth = np.float32(1.0) / iz
            kx = (np.float32(k * STEP) + half - cx) / f
            x = np.float32(eye.place[0]) + depth * (gx + kx * ax[0, 0])
            y = np.float32(eye.place[1]) + depth * (gy + kx * ax[0, 1])
            i = np.int64(np.floor(y * np.float32(1 / PUDDLE_TEXEL))) & (PUDDLES - 1)
            j = np.int64(np.floor(x * np.float32(1 / PUDDLE_TEXEL))) & (PUDDLES - 1)
            water = min(max((depth_of_water - puddles[i, j]) * np.float32(6.0), np.float32(0.0)), np.float32(1.0))
            coarse[row, k] = mirrored * (wet * np.float32(0.42) + (np.float32(0.95) - wet * np.float32(0.42)) * water)
        for col in range(np.uint64(width)):
            foot[col] = row if word[np.uint64(row), col] != 0 else foot[col]
        mirror_row(canvas, row, samples, shine)


@part
def mirror_row(canvas, row, samples, shine):
    """Mirrors what `canvas.foot` tells in one row, by the shares in `canvas.coarse`. Without branches: as vectors, but
    for the pixels of other rows."""
    width, line = canvas.word.shape[1], np.uint64(row)
    pixel, foot, share, strip = canvas.soft, canvas.foot, canvas.share, canvas.strip
    word, here, coarse = canvas.word[line], canvas.soft[line], canvas.coarse[line]
    for k in range(np.uint64(samples - 1)):
        a = coarse[k] * np.float32(256.0) * shine
        step = (coarse[k + np.uint64(1)] * np.float32(256.0) * shine - a) * np.float32(1.0 / STEP)
        for j in range(np.uint64(STEP)):
            share[k * np.uint64(STEP) + j] = a + step * np.float32(j)
    dither = np.int64(row * 7)
    for col in range(np.uint64(width)):
        source = 2 * foot[col] - row - ((dither + np.int64(col) * 3) & 1)
        strip[col] = pixel[np.uint64(max(source, 0)), col]
    for col in range(np.uint64(width)):
        old = here[col]
        tag = old >> np.uint32(24)
        source = 2 * foot[col] - row - ((dither + np.int64(col) * 3) & 1)
        wet = (word[col] == 0) & ((tag == 1) | (tag == 24) | (tag == 2)) & (source >= 0)
        much = np.uint32(np.int32(share[col] * (np.float32(0.5) if tag == 2 else np.float32(1.0))))
        here[col] = blend(old, strip[col], much if wet else np.uint32(0))


@part
def scramble(value):
    """A fixed pseudo-random 32-bit number for another."""
    h = np.uint32(value)
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x45D9F3B))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x45D9F3B))
    return np.uint32(h ^ (h >> np.uint32(16)))


@kernel
def rain(canvas, strength, moment, gray):
    """Falling drops as slanting streaks, the same for the same moment. `gray` is their colour."""
    pixel = canvas.soft
    height, width = pixel.shape
    count = np.int64(strength * np.float32(width * height) * np.float32(0.0035)) + 1
    scale = np.float32(height) * np.float32(1 / 360.0)
    for k in range(count):
        seed = scramble(np.uint32(moment) * np.uint32(7919) + np.uint32(k))
        near = np.float32((seed >> np.uint32(24)) & np.uint32(255)) * np.float32(1 / 255.0)
        u = np.float32(scramble(seed) % np.uint32(width))
        v = np.int64(scramble(seed + np.uint32(1)) % np.uint32(height + 40)) - 40
        length = np.int64((np.float32(6.0) + np.float32(26.0) * near * near) * scale) + 1
        share = np.uint32(np.float32(26.0) + np.float32(46.0) * (np.float32(1.0) - near))
        slant = np.float32(0.10)
        for j in range(length):
            row = v + j
            col = np.int64(u + slant * np.float32(j))
            if 0 <= row < height and 0 <= col < width:
                pixel[row, col] = blend(pixel[row, col], gray, share)
