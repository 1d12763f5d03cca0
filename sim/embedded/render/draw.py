"""Draws objects: picks their level of detail, transforms, shades and scan-converts their faces."""

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
from roadcraft.sim.embedded.render.hidden import ball_hidden, box_hidden
from roadcraft.sim.embedded.render.materials import MATERIALS
from roadcraft.sim.embedded.render.night import light_at
from roadcraft.sim.embedded.render.raster import (
    FIRST_FACADE,
    NEAR,
    SEEN,
    SLOTS,
    fill,
    gather_face,
    invert_scale,
    project_mesh,
)
from roadcraft.sim.embedded.render.skyline import house_hidden, raise_skyline

TABLE = MATERIALS  # a constant to the compiler
LAMP = np.array([1.0, 0.92, 0.76], np.float32)  # colour of lamplight
NIGHT_SHARE = np.float32(0.8)  # of the lamps' light on the ground that falls on what stands there
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


PART = np.dtype(
    [
        ("model", np.int32),  # row of Models.mesh
        ("xyz", np.float64, 3),  # [m] world
        ("basis", np.float32, 9),  # row-major: unit space to world, orthogonal columns
        ("center", np.float32, 3),  # [m] of the bounding ball, from xyz
        ("radius", np.float32),  # [m]
        (
            "thin",
            np.float32,
        ),  # [m] smallest width: thinner than a third of a pixel is left out
        ("paint", np.float32, 3),  # [0, 1]
        ("tag", np.uint8),
        ("variant", np.uint32),
        ("signal", np.int32),  # row of the light that it shows, -1
        ("style", np.uint8),
        ("wall", np.float32),  # houses: height of the walls in unit space, all else: 0
    ]
)


class Models(NamedTuple):
    """Meshes by level of detail."""

    mesh: NDArray[np.int32]  # (K, 3) near, middling, far
    switch: NDArray[np.float32]  # (K, 2) [pixels] radius on the screen above which the first and the second level show


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
def draw_mesh(
    canvas,
    library,
    eye,
    mesh,
    transform,
    inverse,
    paint,
    lights,
    haze,
    tag,
    owner,
    variant,
    style,
):
    """Draws the visible faces of one mesh."""
    f, cx, cy = eye.lens[0], eye.lens[1], eye.lens[2]
    left, right, top, bottom, nearest = project_mesh(canvas, library, mesh, transform, f, cx, cy)
    if box_hidden(canvas, left, right, top, bottom, nearest):
        return
    whole = nearest >= NEAR
    invert_scale(transform, inverse)
    ex, ey, ez = inverse[9], inverse[10], inverse[11]
    first, count = library.mesh[mesh, 2], library.mesh[mesh, 3]
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


@kernel
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


@kernel
def blend(table, start, first, last, tag):
    """RAMP colours from one to another, from table[start] on."""
    r, g, b = first[0], first[1], first[2]
    dr, dg, db = last[0] - r, last[1] - g, last[2] - b
    for step in range(RAMP):
        share = np.float32(step) * np.float32(1.0 / (RAMP - 1))
        table[start + step] = pack_pixel(r + dr * share, g + dg * share, b + db * share, tag)


@part
def haze_at(eye, depth):
    """Share of haze in front of something at a depth [m]."""
    return np.float32(1.0) - np.float32(np.exp(-eye.haze[3] * max(np.float32(0.0), depth - eye.haze[1])))


@part
def pick_level(models, model, eye, depth, radius):
    """The mesh of a model for its size on the screen."""
    size = eye.lens[0] * radius / max(depth, np.float32(0.5))
    if size > models.switch[model, 0]:
        return models.mesh[model, 0]
    return models.mesh[model, 1] if size > models.switch[model, 1] else models.mesh[model, 2]


@kernel
def parts_in_view(canvas, eye, cells, parts):
    """Fills `canvas.seen`: houses from the front, nearest first, all else from the back. Returns how many of both.

    `cells` (C, 6): centre x, y, z, radius, first and last row of `parts`.
    """
    seen, distance = canvas.seen, canvas.distance
    houses, others = 0, 0
    for c in range(cells.shape[0]):
        x = np.float32(cells[c, 0] - eye.place[0])
        y = np.float32(cells[c, 1] - eye.place[1])
        z = np.float32(cells[c, 2] - eye.place[2])
        if in_view(eye, x, y, z, np.float32(cells[c, 3])) < -1e8:
            continue
        for i in range(int(cells[c, 4]), int(cells[c, 5])):
            part = parts[i]
            center = part["center"]
            x = np.float32(part["xyz"][0] - eye.place[0]) + center[0]
            y = np.float32(part["xyz"][1] - eye.place[1]) + center[1]
            z = np.float32(part["xyz"][2] - eye.place[2]) + center[2]
            depth = in_view(eye, x, y, z, part["radius"])
            if depth < -1e8 or part["thin"] * eye.lens[0] < np.float32(0.2) * depth or houses + others >= SEEN - 1:
                continue
            if part["wall"] > 0:
                k = houses
                while k > 0 and distance[k - 1] > depth:
                    seen[k], distance[k] = seen[k - 1], distance[k - 1]
                    k -= 1
                seen[k], distance[k] = i, depth
                houses += 1
            else:
                others += 1
                seen[SEEN - others], distance[SEEN - others] = i, depth
    return houses, others


@kernel
def draw_parts(canvas, library, models, eye, lamps, origin, own, parts, signals, first, last, transform, inverse):
    """Draws the standing things in `canvas.seen` from `first` to `last`."""
    for k in range(first, last):
        part, depth = parts[canvas.seen[k]], canvas.distance[k]
        x = np.float32(part["xyz"][0] - eye.place[0])
        y = np.float32(part["xyz"][1] - eye.place[1])
        z = np.float32(part["xyz"][2] - eye.place[2])
        center, house = part["center"], part["wall"] > 0
        if not house and ball_hidden(canvas, eye, x + center[0], y + center[1], z + center[2], part["radius"]):
            continue
        to_camera(eye, x, y, z, part["basis"], transform)
        if house:
            if house_hidden(canvas, eye, transform, np.float32(1.05)):
                continue
            raise_skyline(canvas, eye, transform, part["wall"])
        lights = np.uint32(1) if part["signal"] == -2 and eye.haze[2] > np.float32(0.5) else np.uint32(0)
        if 0 <= part["signal"] < signals.shape[0] and signals[part["signal"]] < 3:
            lights = np.uint32(1) << np.uint32(signals[part["signal"]])
        if eye.haze[2] > np.float32(0.5):
            eye.local[0] = light_at(eye, lamps, origin, own, x, y) * NIGHT_SHARE
        mesh = pick_level(models, part["model"], eye, depth, part["radius"])
        haze = haze_at(eye, depth)
        draw_mesh(
            canvas, library, eye, mesh, transform, inverse, part["paint"], lights, haze, part["tag"], np.uint32(0),
            part["variant"], part["style"],
        )  # fmt: skip


@part
def body_basis(body, basis):
    """Unit space -> world of a body: Rz(yaw) Ry(pitch) Rx(roll) times half length, half width and full height."""
    cy, sy = np.float32(cos(body["yaw"])), np.float32(sin(body["yaw"]))
    cp, sp = np.float32(cos(body["pitch"])), np.float32(sin(body["pitch"]))
    cr, sr = np.float32(cos(body["roll"])), np.float32(sin(body["roll"]))
    ex, ey = np.float32(body["extent"][0]), np.float32(body["extent"][1])
    ez = np.float32(2 * body["extent"][2])
    basis[0], basis[1], basis[2] = (
        cy * cp * ex,
        (cy * sp * sr - sy * cr) * ey,
        (cy * sp * cr + sy * sr) * ez,
    )
    basis[3], basis[4], basis[5] = (
        sy * cp * ex,
        (sy * sp * sr + cy * cr) * ey,
        (sy * sp * cr - cy * sr) * ez,
    )
    basis[6], basis[7], basis[8] = -sp * ex, cp * sr * ey, cp * cr * ez


@kernel
def draw_walker(
    canvas,
    library,
    eye,
    body,
    basis,
    walker,
    transform,
    inverse,
    joint,
    paint,
    haze,
    x,
    y,
    z,
):
    """A walker near by: torso, then legs and arms that swing with `stride`. `walker`: meshes of torso, leg, arm."""
    tag, owner, variant = np.uint8(12), body["id"], body["id"]
    unit = min(
        np.float32(body["extent"][2]) * np.float32(0.2), np.float32(body["extent"][0])
    )  # a slim body's half depth
    length = sqrt(basis[0] * basis[0] + basis[3] * basis[3] + basis[6] * basis[6])
    width = sqrt(basis[1] * basis[1] + basis[4] * basis[4] + basis[7] * basis[7])
    half = min(np.float32(body["extent"][2]) * np.float32(0.28), width)
    for k in range(3):  # the bounding box of CARLA's walkers is wider than they are
        basis[3 * k] *= unit / length
        basis[3 * k + 1] *= half / width
    tall = np.float32(2 * body["extent"][2])
    moving = min(np.float32(1.0), np.float32(abs(body["speed"])))
    swing = np.float32(0.5) * np.float32(sin(body["stride"])) * moving
    to_camera(eye, x, y, z, basis, transform)
    draw_mesh(
        canvas,
        library,
        eye,
        walker[0],
        transform,
        inverse,
        paint,
        np.uint32(0),
        haze,
        tag,
        owner,
        variant,
        np.uint8(0),
    )
    for limb in range(4):
        side = np.float32(1.0 if limb % 2 == 0 else -1.0)
        leg = limb < 2
        angle = swing * side if leg else -swing * side * np.float32(0.9)
        pivot = np.float32(0.5 if leg else 0.8) * tall
        offset = np.float32(0.25 if leg else 0.82) * side
        c, s = np.float32(cos(angle)), np.float32(sin(angle))
        for k in range(3):
            fx, fz = (
                basis[3 * k] / unit,
                basis[3 * k + 2] / tall,
            )  # unit vectors of the body's x and z
            # Turned about the joint: x' = c x + s z, z' = c z - s x.
            joint[3 * k] = (c * fx - s * fz) * unit
            joint[3 * k + 1] = basis[3 * k + 1] * np.float32(0.8)
            joint[3 * k + 2] = (c * fz + s * fx) * tall
        ox = basis[1] * offset + (basis[2] / tall - joint[2] / tall) * pivot
        oy = basis[4] * offset + (basis[5] / tall - joint[5] / tall) * pivot
        oz = basis[7] * offset + (basis[8] / tall - joint[8] / tall) * pivot
        to_camera(eye, x + ox, y + oy, z + oz, joint, transform)
        mesh = walker[1] if leg else walker[2]
        draw_mesh(
            canvas,
            library,
            eye,
            mesh,
            transform,
            inverse,
            paint,
            np.uint32(0),
            haze,
            tag,
            owner,
            variant,
            np.uint8(0),
        )


@kernel
def draw_bodies(
    canvas,
    library,
    models,
    model_of,
    walker,
    tags,
    eye,
    lamps,
    origin,
    own,
    bodies,
    hide,
    blink,
    transform,
    inverse,
    basis,
    joint,
    paint,
    least,
    most,
):
    """Draws vehicles, walkers and props whose radius on the screen lies in [least, most) pixels.

    `walker`: meshes of torso, leg, arm, whole; `tags` by kind.
    """
    for i in range(bodies.shape[0]):
        body = bodies[i]
        if body["id"] == 0 or body["id"] == hide:
            continue
        x = np.float32(body["xyz"][0] - eye.place[0])
        y = np.float32(body["xyz"][1] - eye.place[1])
        z = np.float32(body["xyz"][2] - eye.place[2])
        ex, ey, ez = body["extent"][0], body["extent"][1], body["extent"][2]
        radius = np.float32(sqrt(ex * ex + ey * ey + ez * ez))
        depth = in_view(eye, x, y, z + np.float32(ez), radius)
        size = eye.lens[0] * radius / max(depth, NEAR)
        if depth < -1e8 or size < least or size >= most:
            continue
        if ball_hidden(canvas, eye, x, y, z + np.float32(ez), radius * np.float32(1.15)):
            continue
        for k in range(3):
            paint[k] = np.float32(body["color"][k]) * np.float32(1 / 255)
        haze = haze_at(eye, depth)
        if eye.haze[2] > np.float32(0.5):
            eye.local[0] = light_at(eye, lamps, origin, own, x, y) * NIGHT_SHARE
        body_basis(body, basis)
        if body["kind"] == 5:
            if eye.lens[0] * radius > np.float32(9.0) * depth:
                draw_walker(
                    canvas,
                    library,
                    eye,
                    body,
                    basis,
                    walker,
                    transform,
                    inverse,
                    joint,
                    paint,
                    haze,
                    x,
                    y,
                    z,
                )
                continue
            mesh = walker[3]
            lights = np.uint32(0)
            slim_x = min(np.float32(1.0), np.float32(0.2 * ez / ex))
            slim_y = min(np.float32(1.0), np.float32(0.28 * ez / ey))
            for k in range(3):
                basis[3 * k] *= slim_x
                basis[3 * k + 1] *= slim_y
        else:
            model = model_of[body["blueprint"]] if body["blueprint"] >= 0 else model_of[0]
            mesh = pick_level(models, model, eye, depth, radius)
            lights = body["lights"] & (np.uint32(0xFFFFFFFF) if blink else ~np.uint32(16 + 32))
        to_camera(eye, x, y, z, basis, transform)
        draw_mesh(
            canvas, library, eye, mesh, transform, inverse, paint, lights, haze, tags[body["kind"]], body["id"],
            body["id"], np.uint8(0),
        )  # fmt: skip
