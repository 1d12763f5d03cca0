"""Light of street lamps and headlights on the ground and on things, by night.

The ground's brightness is worked out at every STEP-th pixel of a row and blended in between; it ends up in the
canvas's mask, where `ground_look` takes it as the state of the palette.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.lanes import (
    LANES,
    count_up,
    lanes,
    least,
    most,
    pick,
    select,
    store,
    store_bytes,
    to_floats,
    to_ints,
)
from roadcraft.sim.embedded.scenery import LAMP_OFF, Scenery, Shape

STEP = LANES  # pixels
FAINT = np.float32(1 / 120.0)  # [1/m] 1/depth below which other cars' headlights do not
DARK = np.float32(1 / 150.0)  # [1/m] 1/depth below which no lamp lights the ground
STATES = 64  # brightnesses of the ground by night
LAMP_ARM = 1.8  # [m] from a street lamp's post to its light
LAMP_RADIUS = 7.0  # [m] of its pool of light
MAP_TEXEL = 1.0  # [m] of the map of street lamps
BEAM = 45.0  # [m] that headlights reach
RANGE = 80.0  # [m] from the camera within which other cars' headlights are followed
LOW_OR_HIGH = 2 | 4  # bits of BODY.lights


def lamp_map(scenery: Scenery, origin: NDArray[np.float64], size: tuple[float, float]) -> NDArray[np.float32]:
    """(rows, columns) brightness of the ground under the street lamps, one texel a metre from `origin`."""
    rows, columns = ceil(size[1] / MAP_TEXEL), ceil(size[0] / MAP_TEXEL)
    out = np.zeros((rows, columns), np.float32)
    reach = int(3 * LAMP_RADIUS / MAP_TEXEL)
    static = scenery.static
    for row in static[(static["shape"] == Shape.LAMP) & (static["style"] != LAMP_OFF)]:
        yaw = float(row["yaw"])
        place = row["xyz"][:2] + LAMP_ARM * np.array([np.cos(yaw), np.sin(yaw)]) - origin
        x0, y0 = (max(int(v / MAP_TEXEL) - reach, 0) for v in place)
        y, x = np.mgrid[y0 : min(y0 + 2 * reach, rows), x0 : min(x0 + 2 * reach, columns)]
        d2 = ((x + 0.5) * MAP_TEXEL - place[0]) ** 2 + ((y + 0.5) * MAP_TEXEL - place[1]) ** 2
        out[y, x] += 0.62 / (1 + d2 / LAMP_RADIUS**2) ** 2
    return out


@part
def lamp_light(lamps, x, y):
    """Brightness by street lamps at a place [m] from the map's origin, blended between its texels."""
    rows, columns = lamps.shape
    u, v = x - np.float32(0.5), y - np.float32(0.5)
    if u < 0 or v < 0 or u >= columns - 1 or v >= rows - 1:
        return np.float32(0.0)
    i, j = np.uint64(v), np.uint64(u)
    one = np.uint64(1)
    s, t = u - np.float32(j), v - np.float32(i)
    low = lamps[i, j] + s * (lamps[i, j + one] - lamps[i, j])
    high = lamps[i + one, j] + s * (lamps[i + one, j + one] - lamps[i + one, j])
    return low + t * (high - low)


@part
def beam(x, y):
    """Brightness on the ground x [m] before and y [m] beside the middle of a pair of dipped headlights."""
    width = np.float32(1.1) + np.float32(0.2) * x
    across = np.float32(1.0) + (y / width) * (y / width)
    along = np.float32(1.0) + (x / np.float32(13.0)) * (x / np.float32(13.0))
    rise = min(x * np.float32(0.22), np.float32(1.0))
    return np.float32(0.95) * rise / (across * across * along) if x >= np.float32(0.3) else np.float32(0.0)


@part
def light_at(eye, lamps, origin, own, x, y):
    """Brightness that lamps and the camera's own headlights (pose `own`: x, y, cos, sin; cos = sin = 0: none) give at
    a place around the camera [m]."""
    light = lamp_light(lamps, x + np.float32(eye.place[0] - origin[0]), y + np.float32(eye.place[1] - origin[1]))
    dx, dy = x - own[0], y - own[1]
    ahead = dx * own[2] + dy * own[3]
    if ahead > 0:
        light += beam(ahead, dy * own[2] - dx * own[3])
    return light


@kernel
def own_lamps(eye, bodies, hide, own):
    """Notes the pose of the headlights of the body that carries the camera, where they are on."""
    own[0] = own[1] = own[2] = own[3] = np.float32(0.0)
    for i in range(bodies.shape[0]):
        body = bodies[i]
        if hide != 0 and body["id"] == hide and body["kind"] < 5 and body["lights"] & np.uint32(LOW_OR_HIGH):
            c, s = np.float32(np.cos(body["yaw"])), np.float32(np.sin(body["yaw"]))
            own[0] = np.float32(body["xyz"][0] - eye.place[0]) + c * np.float32(body["extent"][0])
            own[1] = np.float32(body["xyz"][1] - eye.place[1]) + s * np.float32(body["extent"][0])
            own[2], own[3] = c, s


@kernel
def light_ground(canvas, eye, lamps, origin, bodies, hide, own):
    """Fills the mask with the brightness of the ground, 0 to STATES - 1."""
    height, width = canvas.word.shape
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    ax, half, samples = eye.axes, np.float32(0.5), (width - 1) // STEP + 2
    above = np.float32(max(eye.place[2], 0.05))
    tilt = -ax[0, 2] / (f * above)
    for row in range(height):
        ky = (np.float32(row) + half - cy) / f
        base = -(ax[2, 2] + ky * ax[1, 2]) / above + (half - cx) * tilt
        light_row(canvas, eye, lamps, origin, own, row, ky, base, tilt)
    for i in range(bodies.shape[0]):
        body = bodies[i]
        if body["id"] != 0 and body["id"] != hide and body["kind"] < 5 and body["lights"] & np.uint32(LOW_OR_HIGH):
            add_beam(canvas, eye, body, samples)
    number, coarse = to_floats(count_up()), canvas.coarse
    for row in range(height):
        base = -(ax[2, 2] + (np.float32(row) + half - cy) / f * ax[1, 2]) / above + (half - cx) * tilt
        if max(base, base + np.float32(width) * tilt) <= DARK:  # the mask is empty
            continue
        start, light = row * canvas.mask.shape[1], coarse[np.uint64(row)]
        for k in range(samples - 1):
            a, b = light[np.uint64(k)], light[np.uint64(k + 1)]
            a, b = min(a, np.float32(1.0)) * np.float32(STATES - 1), min(b, np.float32(1.0)) * np.float32(STATES - 1)
            step = (b - a) * np.float32(1.0 / STEP)
            store_bytes(canvas.mask, start + k * STEP, to_ints(number * step + a + half))


@part
def light_row(canvas, eye, lamps, origin, own, row, ky, base, tilt):
    """Fills a row of `canvas.coarse` with what street lamps and the camera's own headlights give, as `light_at`."""
    ax, f, cx, coarse, width = eye.axes, eye.lens[0], eye.lens[1], canvas.coarse, canvas.word.shape[1]
    start, nothing, half = row * coarse.shape[1], lanes(np.float32(0.0)), np.float32(0.5)
    gx, gy = ax[2, 0] + ky * ax[1, 0], ax[2, 1] + ky * ax[1, 1]
    dark = max(base, base + np.float32(width) * tilt) <= DARK
    for k in range(0, (width - 1) // STEP + 2, LANES):
        if dark:
            store(coarse, start + k, nothing)
            continue
        col = to_floats((count_up() + k) * STEP)
        iz = col * tilt + base
        depth = lanes(np.float32(1.0)) / most(iz, lanes(DARK))
        kx = (col + half - cx) / f
        x, y = (kx * ax[0, 0] + gx) * depth, (kx * ax[0, 1] + gy) * depth
        light = lamp_lanes(
            lamps, x + np.float32(eye.place[0] - origin[0]) - half, y + np.float32(eye.place[1] - origin[1]) - half
        )
        dx, dy = x - own[0], y - own[1]
        light += beam_lanes(dx * own[2] + dy * own[3], dy * own[2] - dx * own[3])
        store(coarse, start + k, select(iz > DARK, light, nothing))


@part
def lamp_lanes(lamps, u, v):
    """The same as `lamp_light` for lanes; u, v: in texels' middles."""
    rows, columns = lamps.shape
    nothing = lanes(np.float32(0.0))
    inside = (u >= nothing) & (v >= nothing) & (u < np.float32(columns - 1)) & (v < np.float32(rows - 1))
    u, v = select(inside, u, nothing), select(inside, v, nothing)
    i, j = to_ints(v), to_ints(u)
    s, t, at = u - to_floats(j), v - to_floats(i), i * columns + j
    a, b, c, d = pick(lamps, at), pick(lamps, at + 1), pick(lamps, at + columns), pick(lamps, at + (columns + 1))
    low, high = s * (b - a) + a, s * (d - c) + c
    return select(inside, t * (high - low) + low, nothing)


@part
def beam_lanes(x, y):
    """The same as `beam` for lanes."""
    one = lanes(np.float32(1.0))
    across, along = y / (x * np.float32(0.2) + np.float32(1.1)), x / lanes(np.float32(13.0))
    across = across * across + np.float32(1.0)
    light = least(x * np.float32(0.22), one) * np.float32(0.95) / (across * across * (along * along + np.float32(1.0)))
    return select(x >= np.float32(0.3), light, lanes(np.float32(0.0)))


@part
def add_beam(canvas, eye, body, samples):
    """Adds one car's headlights to the coarse brightness, inside of the screen box of their pool."""
    c, s = np.float32(np.cos(body["yaw"])), np.float32(np.sin(body["yaw"]))
    front = np.float32(body["extent"][0])
    x0 = np.float32(body["xyz"][0] - eye.place[0]) + c * front
    y0 = np.float32(body["xyz"][1] - eye.place[1]) + s * front
    if x0 * x0 + y0 * y0 > np.float32(RANGE * RANGE):
        return
    ax, f, cx, cy = eye.axes, eye.lens[0], eye.lens[1], eye.lens[2]
    down = -np.float32(eye.place[2])
    height = canvas.word.shape[0]
    left, right, top, bottom = np.float32(1e9), np.float32(-1e9), np.float32(1e9), np.float32(-1e9)
    for corner in range(4):
        along = np.float32(BEAM * 0.8) if corner & 1 else np.float32(0.3)
        side = (np.float32(12.0) if corner & 1 else np.float32(3.0)) * np.float32(1.0 if corner & 2 else -1.0)
        x, y = x0 + along * c - side * s, y0 + along * s + side * c
        z = max(ax[2, 0] * x + ax[2, 1] * y + ax[2, 2] * down, np.float32(0.5))
        u = cx + f * (ax[0, 0] * x + ax[0, 1] * y + ax[0, 2] * down) / z
        v = cy + f * (ax[1, 0] * x + ax[1, 1] * y + ax[1, 2] * down) / z
        left, right, top, bottom = min(left, u), max(right, u), min(top, v), max(bottom, v)
    above = np.float32(max(eye.place[2], 0.05))
    tilt = -ax[0, 2] / (f * above)
    half = np.float32(0.5)
    first = np.int64(max(left * np.float32(1.0 / STEP), np.float32(0.0)))
    last = np.int64(min(right * np.float32(1.0 / STEP) + np.float32(2.0), np.float32(samples)))
    for row in range(np.int64(max(top, np.float32(0.0))), np.int64(min(bottom + np.float32(1.0), np.float32(height)))):
        ky = (np.float32(row) + half - cy) / f
        base = -(ax[2, 2] + ky * ax[1, 2]) / above + (half - cx) * tilt
        gx, gy, light = ax[2, 0] + ky * ax[1, 0], ax[2, 1] + ky * ax[1, 1], canvas.coarse[np.uint64(row)]
        right_x, right_y = ax[0, 0], ax[0, 1]
        for k in range(np.uint64(first), np.uint64(last)):  # without branches: as vectors
            column = np.float32(np.int32(k)) * np.float32(STEP)
            iz = base + column * tilt
            depth = np.float32(1.0) / max(iz, FAINT)
            kx = (column + half - cx) / f
            x, y = depth * (gx + kx * right_x) - x0, depth * (gy + kx * right_y) - y0
            added = np.float32(0.7) * beam(x * c + y * s, y * c - x * s)
            light[k] += added if iz > FAINT else np.float32(0.0)
