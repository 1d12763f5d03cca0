"""Rain and fog in the finished picture: mirrors of things in the wet road, fog before faces, falling drops."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.ground_paint import noise_map
from roadcraft.sim.embedded.render.lanes import (
    LANES,
    bits,
    count_up,
    lanes,
    least,
    load,
    most,
    pick,
    round_down,
    select,
    store,
    to_floats,
    to_ints,
)
from roadcraft.sim.embedded.render.raster import ring

PUDDLES = 256  # texels along the map of puddles, which repeats
PUDDLE_TEXEL = 0.16  # [m]
STEP = LANES  # pixels between which wetness is blended
FARTHEST = np.float32(1 / 1000.0)  # [1/m] 1/depth up to which there are mirrors
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
def fog_faces(canvas, fog, table, row, last):
    """Puts fog in front of a row's faces by their depth. `fog`: its pixel; `table`: its share, 0 to 256, by depth;
    `last`: number of the last face that is ground."""
    line = np.uint64(row)
    word, iz, pixel = canvas.word[line], canvas.iz[line], canvas.pixel[ring(row)]
    for col in range(np.uint64(canvas.word.shape[1])):
        depth = min(np.float32(1.0 / FOG_STEP) / iz[col], np.float32(FOGS - 1))
        share = table[np.uint64(np.uint32(depth))]
        pixel[col] = blend(pixel[col], fog, share if word[col] > last else np.uint32(0))


@kernel
def mirror(canvas, eye, puddles, wet, depth_of_water):
    """Mirrors what stands above each piece of wet ground in it.

    For every column the lowest row of the thing above (`canvas.foot`) is known; a pixel k rows below it shows the one k
    rows above it, more of it where water stands and where the eye looks along the ground.
    """
    height, width = canvas.word.shape
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax = eye.axes
    half, one = np.float32(0.5), np.float32(1.0)
    above = np.float32(max(eye.place[2], 0.05))
    tilt = -ax[0, 2] / (f * above)
    lay_feet(canvas, -1)
    for row in range(height):
        ky = (np.float32(row) + half - cy) / f
        base = -(ax[2, 2] + ky * ax[1, 2]) / above + (half - cx) * tilt
        middle = base + np.float32(width >> 1) * tilt
        if middle < FARTHEST:
            lay_feet(canvas, row)
            continue
        # Share mirrored by flat water, Schlick's formula with 0.02 at right angles.
        slope = min(above * middle, one)
        glancing = one - slope / np.float32(np.sqrt(one + slope * slope))
        mirrored = np.float32(0.04) + np.float32(0.96) * glancing * glancing * glancing * glancing
        measure_water(canvas, eye, puddles, wet, depth_of_water, row, ky, base, tilt, mirrored)
        mirror_row(canvas, row, 1)


@part
def lay_feet(canvas, row):
    """Notes one row for all columns."""
    for col in range(0, canvas.word.shape[1], LANES):
        store(canvas.foot, col, lanes(np.int32(row)))


@part
def measure_water(canvas, eye, puddles, wet, depth_of_water, row, ky, base, tilt, mirrored):
    """Fills a row of `canvas.coarse` with the share of the mirror, of which flat water shows `mirrored`."""
    ax, f, cx, coarse = eye.axes, eye.lens[0], eye.lens[1], canvas.coarse
    start, nothing, one = row * coarse.shape[1], lanes(np.float32(0.0)), lanes(np.float32(1.0))
    gx, gy = ax[2, 0] + ky * ax[1, 0], ax[2, 1] + ky * ax[1, 1]
    damp = wet * np.float32(0.42)
    for k in range(0, (canvas.word.shape[1] - 1) // STEP + 2, LANES):
        col = to_floats((count_up() + k) * STEP)
        depth = one / most(col * tilt + base, lanes(FARTHEST))
        kx = (col + np.float32(0.5) - cx) / f
        x = (kx * ax[0, 0] + gx) * depth + np.float32(eye.place[0])
        y = (kx * ax[0, 1] + gy) * depth + np.float32(eye.place[1])
        i, j = round_down(y * np.float32(1 / PUDDLE_TEXEL)), round_down(x * np.float32(1 / PUDDLE_TEXEL))
        level = pick(puddles, ((i & (PUDDLES - 1)) * PUDDLES) | (j & (PUDDLES - 1)))
        water = least(most((lanes(depth_of_water) - level) * np.float32(6.0), nothing), one)
        store(coarse, start + k, (water * (np.float32(0.95) - damp) + damp) * mirrored)


@part
def mirror_row(canvas, row, things):
    """Mirrors what `canvas.foot` tells in one row, by the shares in `canvas.coarse`; `things`: the first face that is
    not ground."""
    width, coarse, soft, foot = canvas.word.shape[1], canvas.coarse[np.uint64(row)], canvas.soft, canvas.foot
    number = count_up()
    for k in range((width - 1) // STEP + 1):
        col = k * STEP
        at = row * width + col
        word, old = load(canvas.word, at), load(soft, at)
        last = select(word < things, load(foot, col), lanes(np.int32(row)))
        store(foot, col, last)
        source, tag = (last << 1) - row - (((number + col) * 3 + row * 7) & 1), old >> 24
        wet = (word < things) & ((tag == 1) | (tag == 24) | (tag == 2)) & (source >= 0) & (number < width - col)
        if bits(wet) == 0:
            continue
        first, next_one = coarse[np.uint64(k)] * np.float32(256.0), coarse[np.uint64(k + 1)] * np.float32(256.0)
        share = to_floats(number) * ((next_one - first) * np.float32(1.0 / STEP)) + first
        much = to_ints(share * select(tag == 2, lanes(np.float32(0.5)), lanes(np.float32(1.0))))
        shown = pick(soft, select(wet, source * width + number + col, lanes(np.int32(0))))
        store(soft, at, blend_lanes(old, shown, select(wet, much, lanes(np.int32(0)))))


@part
def blend_lanes(a, b, share):
    """The same as `blend` for lanes."""
    keep = lanes(np.int32(256)) - share
    rb = (((a & RB) * keep + (b & RB) * share) >> 8) & RB
    g = (((a & G) * keep + (b & G) * share) >> 8) & G
    return rb | g | (a & TAG)


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
