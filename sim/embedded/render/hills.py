"""Draws ground with hills: the triangles of its mesh as background, before all else is drawn; and bridges."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import sqrt

import numpy as np

from roadcraft.sim.embedded.relief import ON_DECK
from roadcraft.sim.embedded.render.compiled import by_ground, kernel, part
from roadcraft.sim.embedded.render.draw import shade_face
from roadcraft.sim.embedded.render.hills_rows import DECK
from roadcraft.sim.embedded.render.materials import ROAD, Material
from roadcraft.sim.embedded.render.night import light_at
from roadcraft.sim.embedded.render.raster import FAR_IZ, FIRST_FACADE, NEAR, fill
from roadcraft.sim.embedded.render.things import NIGHT_SHARE, haze_at

CORNERS = 3
BRIDGE = 26  # CARLA's semantic tag
BARE_CONCRETE = int(Material.CONCRETE)
UNPAINTED = np.zeros(3, np.float32)


@part
def plane_drawn(ground, canvas, eye):
    """Of a plane nothing more is drawn than the empty canvas."""


@part
def block_in_view(eye, x, y, z, radius):
    """Whether any of a ball around an offset [m] from the camera can be seen."""
    ax, lens, one = eye.axes, eye.lens, np.float32(1.0)
    depth = ax[2, 0] * x + ax[2, 1] * y + ax[2, 2] * z
    if depth < -radius or (depth - radius) * FAR_IZ > one:
        return False
    across = abs(ax[0, 0] * x + ax[0, 1] * y + ax[0, 2] * z)
    along = abs(ax[1, 0] * x + ax[1, 1] * y + ax[1, 2] * z)
    wide, high = sqrt(one + lens[3] * lens[3]), sqrt(one + lens[4] * lens[4])
    return across - depth * lens[3] <= radius * wide and along - depth * lens[4] <= radius * high


@kernel
def relief_drawn(ground, canvas, eye):
    """Draws the triangles in view."""
    place, frame, blocks, faces = eye.place, ground.frame, ground.blocks, ground.faces
    ox, oy, oz = np.float32(frame[0] - place[0]), np.float32(frame[1] - place[1]), np.float32(-place[2])
    for k in range(blocks.shape[0]):
        block = blocks[k]
        x, y, z = np.float32(block[0] - place[0]), np.float32(block[1] - place[1]), np.float32(block[2] - place[2])
        if block_in_view(eye, x, y, z, np.float32(block[3])):
            for i in range(np.int64(block[4]), np.int64(block[5])):
                draw_triangle(canvas, eye, faces[i], ox, oy, oz, 0)


@part
def plane_decked(ground, canvas, eye, lamps, origin, own):
    """There are no bridges."""


@kernel
def relief_decked(ground, canvas, eye, lamps, origin, own):
    """Draws bridges: their roads as the face DECK, all else as faces like those of other things. What has been marked
    so far is on the ground, not on them."""
    place, frame, blocks, faces = eye.place, ground.frame, ground.deck_blocks, ground.deck_faces
    ox, oy, oz = np.float32(frame[0] - place[0]), np.float32(frame[1] - place[1]), np.float32(-place[2])
    ax, night, drawn = eye.axes, eye.haze[2] > np.float32(0.5), False
    canvas.face[DECK], canvas.faces[0] = ROAD << 24, DECK + 1
    for k in range(blocks.shape[0]):
        block = blocks[k]
        x, y, z = np.float32(block[0] - place[0]), np.float32(block[1] - place[1]), np.float32(block[2] - place[2])
        if not block_in_view(eye, x, y, z, np.float32(block[3])):
            continue
        haze = haze_at(eye, ax[2, 0] * x + ax[2, 1] * y + ax[2, 2] * z)
        for i in range(np.int64(block[4]), np.int64(block[5])):
            face, number = faces[i], canvas.faces[0]
            if face[12] == np.float32(ON_DECK):
                drawn |= draw_triangle(canvas, eye, face, ox, oy, oz, DECK) == 2
            elif number < FIRST_FACADE and draw_triangle(canvas, eye, face, ox, oy, oz, number) == 2:
                if night:
                    eye.local[0] = light_at(eye, lamps, origin, own, face[0] + ox, face[1] + oy) * NIGHT_SHARE
                nx = ax[0, 0] * face[9] + ax[0, 1] * face[10] + ax[0, 2] * face[11]
                ny = ax[1, 0] * face[9] + ax[1, 1] * face[10] + ax[1, 2] * face[11]
                nz = ax[2, 0] * face[9] + ax[2, 1] * face[10] + ax[2, 2] * face[11]
                shade = shade_face(eye, BARE_CONCRETE, nx, ny, nz, UNPAINTED, np.uint32(0), haze, np.uint8(BRIDGE))
                canvas.face[number] = np.uint64(shade)
                canvas.faces[0] = number + 1
    if drawn:
        unmark(canvas)


@part
def unmark(canvas):
    """Empties the mask where there is a bridge."""
    for row in range(np.uint64(canvas.word.shape[0])):
        word, mask = canvas.word[row], canvas.mask[row]
        for col in range(np.uint64(canvas.word.shape[1])):
            if word[col] != 0:
                mask[col] = 0


@part
def draw_triangle(canvas, eye, face, ox, oy, oz, number):
    """Draws one row of Relief.faces, whose places are offset by o from the camera's. What `fill` says of it."""
    nx, ny, nz = face[9], face[10], face[11]
    beyond = -(nx * (face[0] + ox) + ny * (face[1] + oy) + nz * (face[2] + oz))  # > 0: the camera is above it
    if beyond <= 0:
        return 0
    ax, f, cx, cy = eye.axes, eye.lens[0], eye.lens[1], eye.lens[2]
    vx, vy, vz = canvas.vertex[0], canvas.vertex[1], canvas.vertex[2]
    for c in range(np.uint64(CORNERS)):
        x, y, z = face[3 * c] + ox, face[3 * c + 1] + oy, face[3 * c + 2] + oz
        vx[c] = ax[0, 0] * x + ax[0, 1] * y + ax[0, 2] * z
        vy[c] = ax[1, 0] * x + ax[1, 1] * y + ax[1, 2] * z
        vz[c] = ax[2, 0] * x + ax[2, 1] * y + ax[2, 2] * z
    corners = cut_near(canvas, f, cx, cy)
    if corners == 0:
        return 0
    mx = ax[0, 0] * nx + ax[0, 1] * ny + ax[0, 2] * nz
    my = ax[1, 0] * nx + ax[1, 1] * ny + ax[1, 2] * nz
    mz = ax[2, 0] * nx + ax[2, 1] * ny + ax[2, 2] * nz
    scale = np.float32(-1.0) / beyond  # as in `draw.draw_mesh`
    a, b = mx * scale / f, my * scale / f
    return fill(canvas, corners, a, b, mz * scale - a * cx - b * cy, number)


@part
def cut_near(canvas, f, cx, cy):
    """Puts the triangle in `canvas.vertex` into `canvas.polygon`, cut at NEAR. Its number of corners, 0: unseen."""
    x, y, z = canvas.vertex[0], canvas.vertex[1], canvas.vertex[2]
    px, py = canvas.polygon[0], canvas.polygon[1]
    n = 0
    for v in range(np.uint64(CORNERS)):
        u = v + np.uint64(1) if v + np.uint64(1) < np.uint64(CORNERS) else np.uint64(0)
        if z[v] >= NEAR:
            scale = f / z[v]
            px[n], py[n] = cx + x[v] * scale, cy + y[v] * scale
            n += 1
        if (z[v] >= NEAR) != (z[u] >= NEAR):
            share, scale = (NEAR - z[v]) / (z[u] - z[v]), f / NEAR
            px[n], py[n] = cx + scale * (x[v] + share * (x[u] - x[v])), cy + scale * (y[v] + share * (y[u] - y[v]))
            n += 1
    return n


draw_ground = by_ground(plane_drawn, relief_drawn)
draw_bridges = by_ground(plane_decked, relief_decked)
