"""Which things are in view: picks their level of detail, places them before the camera and queues their meshes."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import cos, sin, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import kernel, part
from roadcraft.sim.embedded.render.draw import in_view, to_camera
from roadcraft.sim.embedded.render.hidden import ball_hidden
from roadcraft.sim.embedded.render.jobs import put_job
from roadcraft.sim.embedded.render.night import light_at
from roadcraft.sim.embedded.render.raster import NEAR, SEEN
from roadcraft.sim.embedded.render.skyline import house_hidden, raise_skyline

NIGHT_SHARE = np.float32(0.8)  # of the lamps' light on the ground that falls on what stands there

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
def queue_parts(canvas, models, eye, lamps, origin, own, parts, signals, first, last, transform):
    """Queues the standing things in `canvas.seen` from `first` to `last`."""
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
        put_job(
            canvas, eye, mesh, transform, part["paint"], lights, haze, part["tag"], np.uint32(0), part["variant"],
            part["style"],
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


@part
def _point(basis, unit, half, tall, pose, share, c, s, joint):
    """Turns a limb's axes `joint` (9,): it hangs along (-s, 0, -c) in the body's frame as the walker walks, and points
    along `pose` (3,) by `share`."""
    walks = np.float32(1.0) - share
    x, y, z = share * pose[0] - walks * s, share * pose[1], share * pose[2] - walks * c
    length = sqrt(x * x + y * y + z * z)
    if length < np.float32(1e-3):
        return
    x, y, z = x / length, y / length, z / length
    k = np.float32(1.0) / max(np.float32(1.0) - z, np.float32(1e-3))  # the shortest turn from straight down
    for row in range(3):
        fx, fy, fz = basis[3 * row] / unit, basis[3 * row + 1] / half, basis[3 * row + 2] / tall
        joint[3 * row] = ((np.float32(1.0) - k * x * x) * fx - k * x * y * fy + x * fz) * unit
        across = (np.float32(1.0) - k * y * y) * fy - k * x * y * fx + y * fz
        joint[3 * row + 1] = across * half * np.float32(0.8)
        joint[3 * row + 2] = -(x * fx + y * fy + z * fz) * tall


@part
def queue_walker(canvas, eye, body, basis, walker, transform, joint, paint, haze, x, y, z):
    """A walker near by: torso, then legs and arms that swing with `stride`, or point where its owner wants.

    `walker`: meshes of torso, leg, arm."""
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
    posed, limbs = body["posed"], body["limbs"]
    to_camera(eye, x, y, z, basis, transform)
    put_job(canvas, eye, walker[0], transform, paint, np.uint32(0), haze, tag, owner, variant, np.uint8(0))
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
            # Turned about the joint: x' = c x - s z, z' = c z + s x.
            joint[3 * k] = (c * fx - s * fz) * unit
            joint[3 * k + 1] = basis[3 * k + 1] * np.float32(0.8)
            joint[3 * k + 2] = (c * fz + s * fx) * tall
        if posed > np.float32(0.0):
            _point(basis, unit, half, tall, limbs[limb], posed, c, s, joint)
        ox = basis[1] * offset + (basis[2] / tall - joint[2] / tall) * pivot
        oy = basis[4] * offset + (basis[5] / tall - joint[5] / tall) * pivot
        oz = basis[7] * offset + (basis[8] / tall - joint[8] / tall) * pivot
        to_camera(eye, x + ox, y + oy, z + oz, joint, transform)
        mesh = walker[1] if leg else walker[2]
        put_job(canvas, eye, mesh, transform, paint, np.uint32(0), haze, tag, owner, variant, np.uint8(0))


@kernel
def queue_bodies(
    canvas, models, model_of, walker, tags, eye, lamps, origin, own, bodies, hide, blink, transform, basis, joint,
    paint, least, most,
):  # fmt: skip
    """Queues vehicles, walkers and props whose radius on the screen lies in [least, most) pixels.

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
                queue_walker(canvas, eye, body, basis, walker, transform, joint, paint, haze, x, y, z)
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
        tag, number = tags[body["kind"]], body["id"]
        put_job(canvas, eye, mesh, transform, paint, lights, haze, tag, number, number, np.uint8(0))
