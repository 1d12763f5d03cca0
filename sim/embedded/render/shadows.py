"""Shadows on the ground: of the sun, and the darkness below things, as polygons in the canvas's mask.

A thing's shadow is the convex hull of its outline on the ground and of the same outline moved along the sun's ray.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.relief import ON_DECK, floor_below, relief_height
from roadcraft.sim.embedded.render.compiled import by_ground, kernel, part
from roadcraft.sim.embedded.render.lanes import MARKED, mark
from roadcraft.sim.embedded.render.raster import NEAR, spans

SUN, BELOW = np.uint8(1), np.uint8(2)  # bits of Canvas.mask
HIGHEST, SLACK = np.float32(1e9), np.float32(1.06)  # [m]; by which a shadow's depth may differ from the ground's
LOWEST = -1e9  # [m] height of what casts a shadow on the ground, not on bridges
REACH = np.float32(90.0)  # [m] from the camera to which small things cast shadows
_ANGLE = np.arange(10) * (2 * np.pi / 10)
DISC = np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], -1) * (1 + 0.12 * np.sin(3 * _ANGLE))[:, None]  # a crown's outline
DISC = DISC.astype(np.float32)


@part
def hull(x, y, n, order):
    """Convex hull of n points, counter-clockwise from above, in place (Andrew's monotone chain). Number of corners."""
    for i in range(1, n):  # insertion sort by x, then y
        px, py = x[i], y[i]
        j = i - 1
        while j >= 0 and (x[j] > px or (x[j] == px and y[j] > py)):
            x[j + 1], y[j + 1] = x[j], y[j]
            j -= 1
        x[j + 1], y[j + 1] = px, py
    count = 0
    for turn in range(2):
        floor = count + 1 if turn else 2  # the chain is not undone below this
        for step in range(turn, n):
            i = n - 1 - step if turn else step
            while count >= floor:
                a, b = order[count - 2], order[count - 1]
                if (x[b] - x[a]) * (y[i] - y[a]) - (y[b] - y[a]) * (x[i] - x[a]) > 0:
                    break
                count -= 1
            order[count] = i
            count += 1
    return count - 1  # the first point closes the chain


@part
def plane_below(ground, eye, x, y, z):
    return np.float32(-eye.place[2])


@part
def relief_below(ground, eye, x, y, z):
    return np.float32(floor_below(ground, eye.place[0] + x, eye.place[1] + y, z) - eye.place[2])


below = by_ground(plane_below, relief_below)  # [m] from the camera's height to that of what bears a thing at z


@part
def plane_marked(ground, canvas, eye, x, y, z, n, order, m, bit):
    """Sets a bit of the mask inside of the polygon of m corners in `canvas.polygon`."""
    mask = canvas.mask
    first, rows = spans(canvas, m)
    for k in range(rows):
        start, end = (first + k) * mask.shape[1], np.int64(canvas.run[1, k])
        for col in range(np.int64(canvas.run[0, k]), end, MARKED):
            mark(mask, start + col, end - col, bit)


@part
def relief_marked(ground, canvas, eye, x, y, z, n, order, m, bit):
    """The same where the ground is as far away as the polygon, not on a hill before it. The canvas must hold nothing
    but ground."""
    ax, near, far = eye.axes, HIGHEST, NEAR
    for k in range(n):
        i = order[k]
        depth = ax[2, 0] * x[i] + ax[2, 1] * y[i] + ax[2, 2] * below(ground, eye, x[i], y[i], z)
        near, far = min(near, max(depth, NEAR)), max(far, depth)
    most, least = SLACK / near, np.float32(1.0) / (far * SLACK)
    first, rows = spans(canvas, m)
    for k in range(rows):
        iz, mask = canvas.iz[np.uint64(first + k)], canvas.mask[np.uint64(first + k)]
        for col in range(np.uint64(canvas.run[0, k]), np.uint64(max(canvas.run[0, k], canvas.run[1, k]))):
            if least <= iz[col] <= most:
                mask[col] |= bit


marked = by_ground(plane_marked, relief_marked)


@part
def darken(ground, canvas, eye, x, y, z, n, order, bit):
    """Sets a bit of the mask inside of a convex polygon on what bears a thing at z [m], given around the camera's foot
    [m]."""
    ax, f, cx, cy = eye.axes, eye.lens[0], eye.lens[1], eye.lens[2]
    px, py = canvas.polygon[0], canvas.polygon[1]
    m = 0
    i = order[n - 1]
    down = below(ground, eye, x[i], y[i], z)
    last_depth = ax[2, 0] * x[i] + ax[2, 1] * y[i] + ax[2, 2] * down
    last_x = ax[0, 0] * x[i] + ax[0, 1] * y[i] + ax[0, 2] * down
    last_y = ax[1, 0] * x[i] + ax[1, 1] * y[i] + ax[1, 2] * down
    for k in range(n):
        i = order[k]
        down = below(ground, eye, x[i], y[i], z)
        depth = ax[2, 0] * x[i] + ax[2, 1] * y[i] + ax[2, 2] * down
        sx = ax[0, 0] * x[i] + ax[0, 1] * y[i] + ax[0, 2] * down
        sy = ax[1, 0] * x[i] + ax[1, 1] * y[i] + ax[1, 2] * down
        if (depth >= NEAR) != (last_depth >= NEAR):
            share = (NEAR - last_depth) / (depth - last_depth)
            scale = f / NEAR
            px[m] = cx + scale * (last_x + share * (sx - last_x))
            py[m] = cy + scale * (last_y + share * (sy - last_y))
            m += 1
        if depth >= NEAR:
            px[m], py[m] = cx + f * sx / depth, cy + f * sy / depth
            m += 1
        last_depth, last_x, last_y = depth, sx, sy
    if m >= 3:
        marked(ground, canvas, eye, x, y, z, n, order, m, bit)


@part
def cast(ground, canvas, eye, shape, order, x, y, z, c, s, low, high, shift_x, shift_y):
    """Shadow of a box: half sizes `low` on the ground and `high` at its top, whose shadow is moved by the shift [m]."""
    px, py = shape[0], shape[1]
    for k in range(4):
        u = np.float32(1.0) if k & 1 else np.float32(-1.0)
        v = np.float32(1.0) if k & 2 else np.float32(-1.0)
        ax, ay = u * low[0], v * low[1]
        px[k], py[k] = x + ax * c - ay * s, y + ax * s + ay * c
        bx, by = u * high[0], v * high[1]
        px[4 + k] = x + bx * c - by * s + shift_x
        py[4 + k] = y + bx * s + by * c + shift_y
    n = hull(px, py, 8, order)
    darken(ground, canvas, eye, px, py, z, n, order, SUN)


@part
def cast_disc(ground, canvas, eye, shape, order, x, y, z, radius, bit):
    """A round shadow."""
    px, py = shape[0], shape[1]
    for k in range(len(DISC)):
        px[k], py[k] = x + radius * DISC[k, 0], y + radius * DISC[k, 1]
        order[k] = k
    darken(ground, canvas, eye, px, py, z, len(DISC), order, bit)


@part
def shade_below(ground, canvas, eye, shape, order, x, y, z, c, s, half_x, half_y):
    """The darkness below a thing that stands on a rectangle."""
    px, py = shape[0], shape[1]
    for k in range(4):
        u = half_x if k == 1 or k == 2 else -half_x
        v = half_y if k >= 2 else -half_y
        px[k], py[k] = x + u * c - v * s, y + u * s + v * c
        order[k] = k
    darken(ground, canvas, eye, px, py, z, 4, order, BELOW)


@kernel
def shadow_bodies(ground, canvas, eye, bodies, hide, shape, order, low, high, sunny):
    """Shadows of vehicles, walkers and props."""
    ray_x, ray_y = -eye.light[7, 0] / eye.light[7, 2], -eye.light[7, 1] / eye.light[7, 2]
    ax = eye.axes
    for i in range(bodies.shape[0]):
        body, z = bodies[i], bodies[i]["xyz"][2]
        if body["id"] == 0 or z - floor_below(ground, body["xyz"][0], body["xyz"][1], z) > 0.5:
            continue
        x, y = np.float32(body["xyz"][0] - eye.place[0]), np.float32(body["xyz"][1] - eye.place[1])
        ex, ey, tall = np.float32(body["extent"][0]), np.float32(body["extent"][1]), np.float32(2 * body["extent"][2])
        reach = ex + ey + tall * (abs(ray_x) + abs(ray_y))
        depth = ax[2, 0] * x + ax[2, 1] * y
        side = abs(ax[0, 0] * x + ax[0, 1] * y)
        if depth < -reach or depth > REACH or side - reach > max(depth + reach, np.float32(0.0)) * eye.lens[3]:
            continue
        c, s = np.float32(np.cos(body["yaw"])), np.float32(np.sin(body["yaw"]))
        if body["kind"] == 5:
            ex, ey = tall * np.float32(0.10), tall * np.float32(0.14)
        low[0], low[1] = ex * np.float32(0.97), ey * np.float32(0.95)
        if body["id"] != hide and depth < np.float32(60.0):
            shade_below(ground, canvas, eye, shape, order, x, y, z, c, s, ex * np.float32(1.03), ey * np.float32(1.1))
        if sunny:
            slim = np.float32(0.55) if body["kind"] == 0 else np.float32(0.9)
            high[0], high[1] = ex * slim, ey * np.float32(0.8)
            cast(ground, canvas, eye, shape, order, x, y, z, c, s, low, high, ray_x * tall, ray_y * tall)


@part
def falls_into_view(eye, x, y, reach):
    """Whether anything within `reach` [m] of a place around the camera can lie in the image and near enough."""
    ax = eye.axes
    depth = ax[2, 0] * x + ax[2, 1] * y
    if depth < -reach or depth - reach > REACH:
        return False
    side = abs(ax[0, 0] * x + ax[0, 1] * y)
    return side - reach <= max(depth + reach, np.float32(0.0)) * eye.lens[3]


@kernel
def shadow_parts(ground, canvas, eye, casters, cells, shape, order, low, high, sunny):
    """Shadows of standing things, see `parts.build_casters`."""
    ray_x, ray_y = -eye.light[7, 0] / eye.light[7, 2], -eye.light[7, 1] / eye.light[7, 2]
    stretch = abs(ray_x) + abs(ray_y) if sunny else np.float32(0.0)
    for cell in range(cells.shape[0]):
        x, y = np.float32(cells[cell, 0] - eye.place[0]), np.float32(cells[cell, 1] - eye.place[1])
        if not falls_into_view(eye, x, y, cells[cell, 2] + cells[cell, 3] * stretch):
            continue
        for i in range(np.int64(cells[cell, 4]), np.int64(cells[cell, 5])):
            x, y = np.float32(casters[i, 0] - eye.place[0]), np.float32(casters[i, 1] - eye.place[1])
            ex, ey, tall = casters[i, 4], casters[i, 5], casters[i, 6]
            if not falls_into_view(eye, x, y, ex + ey + tall * stretch):
                continue
            if casters[i, 7] == 0:
                if sunny:
                    c, s = casters[i, 2], casters[i, 3]
                    low[0], low[1], high[0], high[1] = ex, ey, ex, ey
                    cast(ground, canvas, eye, shape, order, x, y, LOWEST, c, s, low, high, ray_x * tall, ray_y * tall)
            elif sunny:
                lift = casters[i, 8]
                cast_disc(ground, canvas, eye, shape, order, x + ray_x * lift, y + ray_y * lift, LOWEST, ex, SUN)
            else:
                cast_disc(ground, canvas, eye, shape, order, x, y, LOWEST, ex * np.float32(0.9), BELOW)


@part
def plane_bridged(ground, canvas, eye, shape, order):
    """There are no bridges."""


@kernel
def relief_bridged(ground, canvas, eye, shape, order):
    """The sun's shadows of bridges on the ground, triangle by triangle. The canvas must hold nothing but ground."""
    ray_x, ray_y = -eye.light[7, 0] / eye.light[7, 2], -eye.light[7, 1] / eye.light[7, 2]
    frame, place, px, py = ground.frame, eye.place, shape[0], shape[1]
    for k in range(ground.deck_blocks.shape[0]):
        block = ground.deck_blocks[k]
        tall = np.float32(block[2] + block[3] - frame[3])
        x, y = np.float32(block[0] - place[0]), np.float32(block[1] - place[1])
        if not falls_into_view(eye, x, y, np.float32(block[3]) + tall * (abs(ray_x) + abs(ray_y))):
            continue
        for i in range(np.int64(block[4]), np.int64(block[5])):
            face = ground.deck_faces[i]
            if face[12] != np.float32(ON_DECK):
                continue
            for c in range(3):
                x, y, z = frame[0] + face[3 * c], frame[1] + face[3 * c + 1], face[3 * c + 2]
                fall = max(z - relief_height(ground, x, y), 0.0)
                fall = max(z - relief_height(ground, x + ray_x * fall, y + ray_y * fall), 0.0)
                px[c], py[c] = x + ray_x * fall - place[0], y + ray_y * fall - place[1]
            n = hull(px, py, 3, order)
            if n >= 3:
                darken(ground, canvas, eye, px, py, LOWEST, n, order, SUN)


shadow_bridges = by_ground(plane_bridged, relief_bridged)
