"""Draws meshes: transforms, shades and scan-converts their faces."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import cos, sin, sqrt, tan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.facade import GLASSES, RAMP, put_facade
from roadcraft.sim.embedded.render.glare import note_glare
from roadcraft.sim.embedded.render.hidden import box_hidden
from roadcraft.sim.embedded.render.jobs import JOBS_QUEUED
from roadcraft.sim.embedded.render.materials import MATERIALS
from roadcraft.sim.embedded.render.raster import (
    FIRST_FACADE,
    NEAR,
    SLOTS,
    fill,
    gather_face,
    invert_scale,
    project_mesh,
)

TABLE = MATERIALS  # a constant to the compiler
LAMP = np.array([1.0, 0.92, 0.76], np.float32)  # colour of lamplight
FACADE_RANGE = np.float32(1.2)  # [m a pixel of focal length] beyond which a wall has one colour
# Kinds of windows: shares of the horizon and of the zenith that they mirror, colour (3), lamp behind at night (3).
PANE = np.array(
    [
        [0.10, 0.22, 0.06, 0.07, 0.08, 0.0, 0.0, 0.0],
        [0.22, 0.20, 0.05, 0.06, 0.07, 0.0, 0.0, 0.0],
        [0.05, 0.12, 0.16, 0.15, 0.13, 0.92, 0.72, 0.40],
        [0.04, 0.10, 0.05, 0.06, 0.07, 0.30, 0.24, 0.16],
    ],
    np.float32,
)


class Eye(NamedTuple):
    """One camera and the light, for the kernels; filled by `look`."""

    place: NDArray[np.float64]  # (3,) [m] world
    axes: NDArray[np.float32]  # (3, 3) rows right, down, forward
    lens: NDArray[np.float32]  # (6,) focal length, cx, cy [pixels], tangents of the half angles, far limit [m]
    light: NDArray[np.float32]  # (8, 3) sun and up (camera space), direct, ambient, horizon, fog, zenith, sun (world)
    haze: NDArray[np.float32]  # (4,) density [1/m], start [m], night [0, 1], density that faces are drawn with
    local: NDArray[np.float32]  # (2,) brightness by lamps at the thing at hand; bits of a palette's states and codes


FAR = 400.0  # [m] beyond which objects are left out


def make_eye() -> Eye:
    f4 = np.float32
    axes, lens, light = np.zeros((3, 3), f4), np.zeros(6, f4), np.zeros((8, 3), f4)
    return Eye(np.zeros(3), axes, lens, light, np.zeros(4, f4), np.zeros(2, f4))


@kernel
def look(eye, camera, size, lamp, air):
    """Points an eye. `camera`: x, y, z, yaw, pitch, roll, fov; `size`: width, height; `lamp`: rows of Eye.light, the
    first two in the world's axes; `air`: Eye.haze."""
    cy, sy, cp, sp = cos(camera[3]), sin(camera[3]), cos(camera[4]), sin(camera[4])
    cr, sr, tangent = cos(camera[5]), sin(camera[5]), tan(camera[6] / 2)
    ax = eye.axes
    ax[0, 0], ax[0, 1], ax[0, 2] = sy * cr - cy * sp * sr, -sy * sp * sr - cy * cr, -cp * sr
    ax[1, 0], ax[1, 1], ax[1, 2] = -cy * sp * cr - sy * sr, cy * sr - sy * sp * cr, -cp * cr
    ax[2, 0], ax[2, 1], ax[2, 2] = cy * cp, sy * cp, -sp
    for k in range(3):
        eye.place[k] = camera[k]
        eye.light[0, k] = ax[k, 0] * lamp[0, 0] + ax[k, 1] * lamp[0, 1] + ax[k, 2] * lamp[0, 2]
        eye.light[1, k] = ax[k, 0] * lamp[1, 0] + ax[k, 1] * lamp[1, 1] + ax[k, 2] * lamp[1, 2]
        for row in range(2, 8):
            eye.light[row, k] = lamp[row, k]
        eye.haze[k] = air[k]
    eye.haze[3], eye.local[0], eye.local[1] = air[3], 0.0, air[4]
    eye.lens[0], eye.lens[1], eye.lens[2] = size[0] / (2 * tangent), size[0] / 2, size[1] / 2
    eye.lens[3], eye.lens[4], eye.lens[5] = tangent, tangent * size[1] / size[0], FAR


@part
def in_view(eye, x, y, z, radius):
    """Camera-space depth of a ball's centre if any of it can be seen, else -1e9."""
    ax, lens = eye.axes, eye.lens
    depth = ax[2, 0] * x + ax[2, 1] * y + ax[2, 2] * z
    if depth < -radius or depth - radius > lens[5]:
        return np.float32(-1e9)
    across = abs(ax[0, 0] * x + ax[0, 1] * y + ax[0, 2] * z)
    if across - depth * lens[3] > radius * sqrt(np.float32(1.0) + lens[3] * lens[3]):
        return np.float32(-1e9)
    along = abs(ax[1, 0] * x + ax[1, 1] * y + ax[1, 2] * z)
    if along - depth * lens[4] > radius * sqrt(np.float32(1.0) + lens[4] * lens[4]):
        return np.float32(-1e9)
    return depth


@part
def to_camera(eye, x, y, z, basis, transform):
    """Unit space -> camera space (3x4, row-major) from unit space -> world at an offset from the camera."""
    ax = eye.axes
    for i in range(3):
        for k in range(3):
            transform[4 * i + k] = ax[i, 0] * basis[k] + ax[i, 1] * basis[3 + k] + ax[i, 2] * basis[6 + k]
        transform[4 * i + 3] = ax[i, 0] * x + ax[i, 1] * y + ax[i, 2] * z


@part
def byte(value):
    return np.uint32(min(max(value, np.float32(0.0)), np.float32(1.0)) * np.float32(255.0) + np.float32(0.5))


@part
def pack_pixel(r, g, b, tag):
    return byte(r) | (byte(g) << np.uint32(8)) | (byte(b) << np.uint32(16)) | (np.uint32(tag) << np.uint32(24))


@part
def shade_face(eye, row, nx, ny, nz, paint, lights, haze, tag):
    """Colour of a face of a material in the light; (nx, ny, nz) is its unit normal in camera space."""
    material = TABLE[row]
    light = eye.light
    if material["tag"]:
        tag = material["tag"]
    glow = np.float32(0.0)
    if lights & material["bright_bits"]:
        glow = np.float32(1.0)
    elif lights & material["dim_bits"]:
        glow = np.float32(0.55)
    sun = max(np.float32(0.0), nx * light[0, 0] + ny * light[0, 1] + nz * light[0, 2])
    up = nx * light[1, 0] + ny * light[1, 1] + nz * light[1, 2]
    fill_light = np.float32(0.86) + np.float32(0.22) * up
    out0, out1, out2 = np.float32(0), np.float32(0), np.float32(0)
    keep = np.float32(1.0) - haze
    lamp = eye.local[0] * (np.float32(0.35) + np.float32(0.65) * max(np.float32(0.0), -nz))
    gloss = material["gloss"] * (np.float32(0.55) + np.float32(0.45) * max(np.float32(0.0), up))
    for k in range(3):
        base = material["rgb"][k] + (paint[k] - material["rgb"][k]) * material["paint"]
        value = base * (light[3, k] * fill_light + light[2, k] * sun + LAMP[k] * lamp)
        value += gloss * (light[4, k] - value)
        value += glow * (material["glow"][k] - value)
        value = value * keep + light[5, k] * haze
        if k == 0:
            out0 = value
        elif k == 1:
            out1 = value
        else:
            out2 = value
    return pack_pixel(out0, out1, out2, tag)


@kernel
def draw_jobs(canvas, library, eye, inverse):
    """Draws what is queued, see `jobs`, and empties the queue."""
    for k in range(canvas.faces[JOBS_QUEUED]):
        job = canvas.jobs[k]
        eye.local[0] = job["light"]
        draw_mesh(canvas, library, eye, job, inverse)
    canvas.faces[JOBS_QUEUED] = 0


@part
def draw_mesh(canvas, library, eye, job, inverse):
    """Draws the visible faces of one mesh."""
    mesh, transform, paint, lights, haze = job["mesh"], job["transform"], job["paint"], job["lights"], job["haze"]
    tag, owner, variant, style = job["tag"], job["owner"], job["variant"], job["style"]
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    left, right, top, bottom, nearest = project_mesh(canvas, library, mesh, transform, f, cx, cy)
    if box_hidden(canvas, left, right, top, bottom, nearest):
        return
    whole = nearest >= NEAR
    invert_scale(transform, inverse)
    ex, ey, ez = inverse[9], inverse[10], inverse[11]
    first, count = np.uint64(library.mesh[mesh, 2]), np.uint64(library.mesh[mesh, 3])
    for face in range(first, first + count):
        nx, ny, nz, d = (
            library.plane[face, 0],
            library.plane[face, 1],
            library.plane[face, 2],
            library.plane[face, 3],
        )
        beyond = nx * ex + ny * ey + nz * ez - d  # > 0: the camera is on the outer side
        if beyond <= 0:
            continue
        row = library.face[face, 2]
        number, slot = canvas.faces[0], canvas.faces[1]
        if number >= FIRST_FACADE:
            continue
        facade = TABLE[row]["facade"] and slot < SLOTS and transform[11] < f * FACADE_RANGE
        if facade:
            number = FIRST_FACADE + slot
        corners = gather_face(
            canvas,
            library,
            library.face[face, 0],
            library.face[face, 1],
            whole,
            f,
            cx,
            cy,
        )
        if corners == 0:
            continue
        mx = inverse[0] * nx + inverse[1] * ny + inverse[2] * nz
        my = inverse[3] * nx + inverse[4] * ny + inverse[5] * nz
        mz = inverse[6] * nx + inverse[7] * ny + inverse[8] * nz
        # In camera space the face's plane is m . p = -beyond, so 1/z = -(mx (x - cx)/f + my (y - cy)/f + mz) / beyond.
        scale = np.float32(-1.0) / beyond
        a, b = mx * scale / f, my * scale / f
        c = mz * scale - a * cx - b * cy
        found = fill(canvas, corners, a, b, c, number)
        if found == 0:
            continue
        row += np.int64(variant % np.uint32(TABLE[row]["variants"]))
        shining = lights & TABLE[row]["bright_bits"]
        if shining or (eye.haze[2] > np.float32(0.5) and lights & TABLE[row]["dim_bits"]):
            strength = np.float32(1.0) if shining else np.float32(0.45)
            note_glare(canvas, eye, corners, a, b, c, TABLE[row]["glow"], strength)
        if found == 1:
            continue
        length = np.float32(1.0) / sqrt(mx * mx + my * my + mz * mz)
        mx, my, mz = mx * length, my * length, mz * length
        shade = shade_face(eye, row, mx, my, mz, paint, lights, haze, tag)
        canvas.face[number] = np.uint64(shade) | np.uint64(owner) << np.uint64(32)
        if facade:
            canvas.faces[1] = slot + 1
            clad(canvas, eye, slot, inverse, transform, nx, ny, mx, my, mz, paint, haze, tag, variant, style, a, b, c)
        else:
            canvas.faces[0] = number + 1


@part
def clad(canvas, eye, slot, inverse, transform, nx, ny, mx, my, mz, paint, haze, tag, variant, style, a, b, c):
    """Notes the planes of a facade, whose 1/z is a x + b y + c, and fills its table of colours."""
    t = transform
    columns = (0, 1) if abs(ny) > abs(nx) else (1, 0)
    k = columns[0]
    along = np.float32(2.0) * sqrt(t[k] * t[k] + t[4 + k] * t[4 + k] + t[8 + k] * t[8 + k])
    tall = sqrt(t[2] * t[2] + t[6] * t[6] + t[10] * t[10])
    lens = eye.lens
    put_facade(canvas, slot, variant, inverse, nx, ny, lens[0], lens[1], lens[2], along, tall, style, a, b, c)
    light, keep = eye.light, np.float32(1.0) - haze
    sun = max(np.float32(0.0), mx * light[0, 0] + my * light[0, 1] + mz * light[0, 2])
    ends = canvas.ends
    lamp = eye.local[0] * (np.float32(0.35) + np.float32(0.65) * max(np.float32(0.0), -mz))
    for k in range(3):  # wall dark and bright, wall behind glass, then the glasses
        lit = light[3, k] * np.float32(0.95) + light[2, k] * sun + LAMP[k] * lamp
        fog = light[5, k] * haze
        ends[0, k] = paint[k] * lit * np.float32(0.55) * keep + fog
        ends[1, k] = paint[k] * lit * np.float32(1.25) * keep + fog
        ends[2, k] = paint[k] * lit * keep + fog
        for glass in range(GLASSES):
            pane = light[4, k] * PANE[glass, 0] + light[6, k] * PANE[glass, 1] + PANE[glass, 2 + k] * lit
            ends[3 + glass, k] = (pane + eye.haze[2] * PANE[glass, 5 + k]) * keep + fog
    table = canvas.face_table[slot]
    for glass in range(GLASSES):
        blend(table, 2 * glass * RAMP, ends[0], ends[1], tag)
        blend(table, (2 * glass + 1) * RAMP, ends[2], ends[3 + glass], tag)


@part
def blend(table, start, first, last, tag):
    """RAMP colours from one to another, from table[start] on."""
    r, g, b = first[0], first[1], first[2]
    dr, dg, db = last[0] - r, last[1] - g, last[2] - b
    for step in range(RAMP):
        share = np.float32(step) * np.float32(1.0 / (RAMP - 1))
        table[start + step] = pack_pixel(r + dr * share, g + dg * share, b + db * share, tag)
