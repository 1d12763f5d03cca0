"""Glare around lit lamps: noted while faces are drawn, added to the picture afterwards."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.render.compiled import kernel, part

SPRITES = 256
DAY, NIGHT = np.float32(0.34), np.float32(0.62)  # [m] radius of the glare


@part
def note_glare(canvas, eye, corners, a, b, c, glow, strength):
    """Notes the glare of the lamp in `canvas.polygon`, whose 1/z is a x + b y + c."""
    count = canvas.faces[2]
    if count >= SPRITES:
        return
    x, y = np.float32(0.0), np.float32(0.0)
    for k in range(corners):
        x += canvas.polygon[0, k]
        y += canvas.polygon[1, k]
    x, y = x / np.float32(corners), y / np.float32(corners)
    iz = a * x + b * y + c
    sprite = canvas.sprite[count]
    sprite[0], sprite[1], sprite[2] = x, y, iz
    night = eye.haze[2] > np.float32(0.5)
    sprite[3] = max(eye.lens[0] * iz * (NIGHT if night else DAY), np.float32(1.2))
    for k in range(3):
        sprite[4 + k] = glow[k] * strength * (np.float32(0.9) if night else np.float32(0.55))
    canvas.faces[2] = count + 1


@kernel
def draw_glare(canvas):
    """Adds all glares whose lamp can be seen."""
    pixel = canvas.soft
    height, width = pixel.shape
    for k in range(canvas.faces[2]):
        sprite = canvas.sprite[k]
        x, y, radius = sprite[0], sprite[1], sprite[3]
        col, row = np.int64(x), np.int64(y)
        if not (0 <= col < width and 0 <= row < height) or canvas.iz[row, col] > sprite[2] * np.float32(1.04):
            continue
        inverse = np.float32(1.0) / (radius * radius)
        for v in range(max(0, np.int64(y - radius)), min(height, np.int64(y + radius) + 2)):
            dy = np.float32(v) + np.float32(0.5) - y
            for u in range(max(0, np.int64(x - radius)), min(width, np.int64(x + radius) + 2)):
                dx = np.float32(u) + np.float32(0.5) - x
                near = np.float32(1.0) - (dx * dx + dy * dy) * inverse
                if near > 0:
                    near *= near * near * np.float32(255.0)
                    old = pixel[v, u]
                    r = min((old & np.uint32(255)) + np.uint32(sprite[4] * near), np.uint32(255))
                    g = min(((old >> np.uint32(8)) & np.uint32(255)) + np.uint32(sprite[5] * near), np.uint32(255))
                    b = min(((old >> np.uint32(16)) & np.uint32(255)) + np.uint32(sprite[6] * near), np.uint32(255))
                    tag = old & np.uint32(0xFF000000)
                    pixel[v, u] = r | (g << np.uint32(8)) | (b << np.uint32(16)) | tag
