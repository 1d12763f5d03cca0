"""Light of lamps on ground with hills, by night, and mirrors in its wet road: as `night` and `wet` have it for a plane,
but for each pixel's place, which follows from its depth.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.relief import floor_below
from roadcraft.sim.embedded.render.compiled import by_ground, kernel, part
from roadcraft.sim.embedded.render.hills_rows import DECK
from roadcraft.sim.embedded.render.lanes import (
    LANES,
    count_up,
    lanes,
    least,
    load,
    most,
    pick,
    round_down,
    select,
    store,
    store_bytes,
    to_floats,
    to_ints,
)
from roadcraft.sim.embedded.render.night import (
    BEAM,
    DARK,
    FAINT,
    LOW_OR_HIGH,
    RANGE,
    STATES,
    STEP,
    beam_lanes,
    lamp_lanes,
    light_ground,
)
from roadcraft.sim.embedded.render.raster import FAR_IZ
from roadcraft.sim.embedded.render.wet import FARTHEST, PUDDLE_TEXEL, PUDDLES, lay_feet, mirror, mirror_row

LEAST = np.float32(0.03)  # [rad] at which hills are seen for their mirrors
LIFT = np.float32(3.0)  # [m] by which the land under a pool of light may rise or fall
APART = np.float32(4.0)  # [m] above or below a car from which its headlights light nothing: another road


@part
def depth_lanes(canvas, row, first, least_iz):
    """Columns of every STEP-th pixel from the `first`-th on, their 1/depth, their depths [m], at most 1/least_iz."""
    width = canvas.word.shape[1]
    col = (count_up() + first) * STEP
    iz = pick(canvas.iz, select(col < width, col, lanes(np.int32(width - 1))) + row * width)
    return to_floats(col), iz, lanes(np.float32(1.0)) / most(iz, lanes(least_iz))


@part
def spot_lanes(eye, row, col, depth):
    """Places [m] from the camera of pixels at columns and depths of a row."""
    ax, f, half = eye.axes, eye.lens[0], np.float32(0.5)
    ky, kx = (np.float32(row) + half - eye.lens[2]) / f, (col + (half - eye.lens[1])) / lanes(f)
    gx, gy = ax[2, 0] + ky * ax[1, 0], ax[2, 1] + ky * ax[1, 1]
    return (kx * ax[0, 0] + gx) * depth, (kx * ax[0, 1] + gy) * depth


@part
def rise_lanes(eye, row, col, depth):
    """How far [m] above the camera those places are."""
    ax, f, half = eye.axes, eye.lens[0], np.float32(0.5)
    ky, kx = (np.float32(row) + half - eye.lens[2]) / f, (col + (half - eye.lens[1])) / lanes(f)
    return (kx * ax[0, 2] + (ax[2, 2] + ky * ax[1, 2])) * depth


@kernel
def relief_lit(ground, canvas, eye, lamps, origin, bodies, hide, own):
    """The same as `night.light_ground`, of a canvas that holds nothing but ground and bridges."""
    height, width = canvas.word.shape
    coarse, half, samples, nothing = canvas.coarse, np.float32(0.5), (width - 1) // STEP + 2, lanes(np.float32(0.0))
    for row in range(height):
        for k in range(0, samples, LANES):
            col, iz, depth = depth_lanes(canvas, row, k, DARK)
            x, y = spot_lanes(eye, row, col, depth)
            east, north = np.float32(eye.place[0] - origin[0]) - half, np.float32(eye.place[1] - origin[1]) - half
            light = lamp_lanes(lamps, x + east, y + north)
            dx, dy = x - own[0], y - own[1]
            light += beam_lanes(dx * own[2] + dy * own[3], dy * own[2] - dx * own[3])
            store(coarse, row * coarse.shape[1] + k, select(iz > DARK, light, nothing))
    for i in range(bodies.shape[0]):
        body = bodies[i]
        if body["id"] != 0 and body["id"] != hide and body["kind"] < 5 and body["lights"] & np.uint32(LOW_OR_HIGH):
            add_beam(ground, canvas, eye, body, samples)
    number, one = to_floats(count_up()), np.float32(1.0)
    for row in range(height):
        start, light = row * canvas.mask.shape[1], coarse[np.uint64(row)]
        for k in range(samples - 1):
            a, b = min(light[k], one) * np.float32(STATES - 1), min(light[k + 1], one) * np.float32(STATES - 1)
            step = (b - a) * np.float32(1.0 / STEP)
            store_bytes(canvas.mask, start + k * STEP, to_ints(number * step + (a + half)))


@part
def add_beam(ground, canvas, eye, body, samples):
    """Adds one car's headlights inside of the screen box of their pool."""
    c, s = np.float32(np.cos(body["yaw"])), np.float32(np.sin(body["yaw"]))
    front, height = np.float32(body["extent"][0]), canvas.word.shape[0]
    x0 = np.float32(body["xyz"][0] - eye.place[0]) + c * front
    y0 = np.float32(body["xyz"][1] - eye.place[1]) + s * front
    if x0 * x0 + y0 * y0 > np.float32(RANGE * RANGE):
        return
    ax, f, cx, cy = eye.axes, eye.lens[0], eye.lens[1], eye.lens[2]
    left, right, top, bottom = np.float32(1e9), np.float32(-1e9), np.float32(1e9), np.float32(-1e9)
    for corner in range(8):
        along = np.float32(BEAM * 0.8) if corner & 1 else np.float32(0.3)
        side = (np.float32(12.0) if corner & 1 else np.float32(3.0)) * np.float32(1.0 if corner & 2 else -1.0)
        x, y = x0 + along * c - side * s, y0 + along * s + side * c
        down = np.float32(floor_below(ground, eye.place[0] + x, eye.place[1] + y, body["xyz"][2]) - eye.place[2])
        down += LIFT if corner & 4 else -LIFT
        z = max(ax[2, 0] * x + ax[2, 1] * y + ax[2, 2] * down, np.float32(0.5))
        u = cx + f * (ax[0, 0] * x + ax[0, 1] * y + ax[0, 2] * down) / z
        v = cy + f * (ax[1, 0] * x + ax[1, 1] * y + ax[1, 2] * down) / z
        left, right, top, bottom = min(left, u), max(right, u), min(top, v), max(bottom, v)
    first = np.int64(max(left * np.float32(1.0 / STEP), np.float32(0.0)))
    last = np.int64(min(right * np.float32(1.0 / STEP) + np.float32(2.0), np.float32(samples)))
    nothing, level = lanes(np.float32(0.0)), np.float32(body["xyz"][2] - eye.place[2])
    for row in range(np.int64(max(top, np.float32(0.0))), np.int64(min(bottom + np.float32(1.0), np.float32(height)))):
        for k in range(first, last, LANES):
            col, iz, depth = depth_lanes(canvas, row, k, FAINT)
            x, y = spot_lanes(eye, row, col, depth)
            x, y, off = x - x0, y - y0, rise_lanes(eye, row, col, depth) - level
            added = beam_lanes(x * c + y * s, y * c - x * s) * np.float32(0.7)
            at = row * canvas.coarse.shape[1] + k
            among = (iz > FAINT) & (off < APART) & (off > -APART) & (count_up() < last - k)
            store(canvas.coarse, at, load(canvas.coarse, at) + select(among, added, nothing))


@kernel
def relief_mirrored(ground, canvas, eye, puddles, wet, depth_of_water):
    """The same as `wet.mirror`."""
    height, width = canvas.word.shape
    ax, f, cy, one, half = eye.axes, eye.lens[0], eye.lens[2], np.float32(1.0), np.float32(0.5)
    lay_feet(canvas, -1)
    for row in range(height):
        for col in range(0, width, LANES):
            at = row * width + col
            old = load(canvas.foot, col)
            background = select(load(canvas.iz, at) > FAR_IZ, old, lanes(np.int32(row)))
            store(canvas.foot, col, select(load(canvas.word, at) < DECK + 1, background, old))
        slope = min(max(-(ax[2, 2] + (np.float32(row) + half - cy) / f * ax[1, 2]), LEAST), one)
        glancing = one - slope / np.float32(np.sqrt(one + slope * slope))
        mirrored = np.float32(0.04) + np.float32(0.96) * glancing * glancing * glancing * glancing
        measure_water(canvas, eye, puddles, wet, depth_of_water, row, mirrored)
        mirror_row(canvas, row, DECK + 1)


@part
def measure_water(canvas, eye, puddles, wet, depth_of_water, row, mirrored):
    """Fills a row of `canvas.coarse` with the share of the mirror, of which flat water shows `mirrored`."""
    nothing, one, damp = lanes(np.float32(0.0)), lanes(np.float32(1.0)), wet * np.float32(0.42)
    for k in range(0, (canvas.word.shape[1] - 1) // STEP + 2, LANES):
        col, _, depth = depth_lanes(canvas, row, k, FARTHEST)
        x, y = spot_lanes(eye, row, col, depth)
        scale = np.float32(1 / PUDDLE_TEXEL)
        i, j = round_down((y + np.float32(eye.place[1])) * scale), round_down((x + np.float32(eye.place[0])) * scale)
        level = pick(puddles, ((i & (PUDDLES - 1)) * PUDDLES) | (j & (PUDDLES - 1)))
        water = least(most((lanes(depth_of_water) - level) * np.float32(6.0), nothing), one)
        store(canvas.coarse, row * canvas.coarse.shape[1] + k, (water * (np.float32(0.95) - damp) + damp) * mirrored)


@part
def plane_lit(ground, canvas, eye, lamps, origin, bodies, hide, own):
    light_ground(canvas, eye, lamps, origin, bodies, hide, own)


@part
def plane_mirrored(ground, canvas, eye, puddles, wet, depth_of_water):
    mirror(canvas, eye, puddles, wet, depth_of_water)


light_by_night = by_ground(plane_lit, relief_lit)
mirror_things = by_ground(plane_mirrored, relief_mirrored)
