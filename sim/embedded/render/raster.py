"""Scan conversion of convex faces into a depth buffer that keeps 1/z and the number of the face.

Screen: x to the right, y down, pixel centres at half integers. Camera space: x right, y down, z forward [m].
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import part
from roadcraft.sim.embedded.render.mesh import MAX_CORNERS, MAX_VERTICES

NEAR = np.float32(0.15)  # [m] nothing closer is drawn
FACES = 1 << 15  # faces of one frame; further ones are left out
SEEN = 1 << 13  # standing things of one frame; further ones are left out

# Rows of Canvas.face_kind
FLAT, FACADE = 0, 1


class Canvas(NamedTuple):
    """Buffers of one image size, filled anew in each frame. Face 0 is the background."""

    iz: NDArray[np.float32]  # (H, W) [1/m] 1/z of the nearest face so far
    word: NDArray[np.uint32]  # (H, W) the face
    pair: NDArray[np.uint64]  # (H, W / 2) the same, two a word; no columns where W is odd
    pixel: NDArray[np.uint32]  # (H, W) red, green, blue, tag from the lowest byte
    soft: NDArray[np.uint32]  # (H, W) the same with softened edges: the picture, while `pixel` keeps the classes
    mask: NDArray[np.uint8]  # (H, W) what falls on the ground: see `shadows`
    face_pixel: NDArray[np.uint32]  # (FACES,) colour and tag of each face
    face_kind: NDArray[np.uint8]  # (FACES,)
    face_owner: NDArray[np.uint32]  # (FACES,) body id
    face_iz: NDArray[np.float32]  # (FACES, 3) 1/z = a x + b y + c
    face_plane: NDArray[np.float32]  # (FACES, 12) of facades, see `facade.put_facade`
    sprite: NDArray[np.float32]  # (SPRITES, 8) glares: screen x, y, 1/z, radius, RGB
    coarse: NDArray[np.float32]  # (H, W / 8 + 2) brightness or wetness of the ground, every eighth pixel
    foot: NDArray[np.int64]  # (W,) row in which the thing above the ground ends
    ends: NDArray[np.float32]  # (8, 3) colours at hand
    face_table: NDArray[np.uint32]  # (256, 128) colours of facades
    faces: NDArray[np.int64]  # (3,) number of faces, of facades and of glares so far
    skyline: NDArray[np.float32]  # (2, W / 4) see `skyline`
    seen: NDArray[np.int64]  # (SEEN,) parts in view
    distance: NDArray[np.float32]  # (SEEN,) their depths
    vertex: NDArray[np.float32]  # (6, MAX_VERTICES) x, y, z in camera space, then screen x, y and 1/z
    polygon: NDArray[np.float32]  # (2, 2 * MAX_CORNERS) screen x, y of the face at hand
    left: NDArray[np.float32]  # (H,) its left and right borders
    right: NDArray[np.float32]


def make_canvas(width: int, height: int) -> Canvas:
    """Empty buffers for images of this size."""
    shape = (height, width)
    word = np.zeros(shape, np.uint32)
    return Canvas(
        iz=np.zeros(shape, np.float32),
        word=word,
        pair=word.view(np.uint64) if width % 2 == 0 else np.zeros((height, 0), np.uint64),
        pixel=np.zeros(shape, np.uint32),
        soft=np.zeros(shape, np.uint32),
        mask=np.zeros(shape, np.uint8),
        face_pixel=np.zeros(FACES, np.uint32),
        face_kind=np.zeros(FACES, np.uint8),
        face_owner=np.zeros(FACES, np.uint32),
        face_iz=np.zeros((FACES, 3), np.float32),
        face_plane=np.zeros((FACES, 12), np.float32),
        sprite=np.zeros((256, 8), np.float32),
        coarse=np.zeros((height, width // 8 + 3), np.float32),
        foot=np.zeros(width, np.int64),
        ends=np.zeros((8, 3), np.float32),
        face_table=np.zeros((256, 128), np.uint32),
        faces=np.zeros(3, np.int64),
        skyline=np.zeros((2, width // 4 + 1), np.float32),
        seen=np.zeros(SEEN, np.int64),
        distance=np.zeros(SEEN, np.float32),
        vertex=np.zeros((6, MAX_VERTICES), np.float32),
        polygon=np.zeros((2, 2 * MAX_CORNERS), np.float32),
        left=np.zeros(height + 2, np.float32),
        right=np.zeros(height + 2, np.float32),
    )


@part
def pixel_after(value, limit):
    """The first pixel whose centre does not lie before a coordinate, within [0, limit]."""
    return np.int64(min(max(value, np.float32(0.0)), np.float32(limit)) + np.float32(0.5))


@part
def borders(x, y, n, left, right, height):
    """Left and right border of a polygon (counter-clockwise to the eye) in each row. First row and the one after the
    last, which is not greater when it covers none."""
    low, high = y[0], y[0]
    for i in range(1, n):
        low = min(low, y[i])
        high = max(high, y[i])
    half = np.float32(0.5)
    first, stop = pixel_after(low, height), pixel_after(high, height)
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        ya, yb = y[i], y[j]
        down = yb > ya
        a, b = pixel_after(ya, height), pixel_after(yb, height)
        if a == b:
            continue
        slope = (x[j] - x[i]) / (yb - ya)
        if down:
            at = x[i] + (np.float32(a) + half - ya) * slope
            for row in range(a, b):
                left[row] = at
                at += slope
        else:
            at = x[i] + (np.float32(b) + half - ya) * slope
            for row in range(b, a):
                right[row] = at
                at += slope
    return first, stop


@part
def fill(canvas, n, a, b, c, word):
    """Draws the polygon in `canvas.polygon` with 1/z = a x + b y + c where it is nearest. True if it covers a pixel."""
    iz, out = canvas.iz, canvas.word
    height, width = out.shape
    left, right = canvas.left, canvas.right
    first, stop = borders(canvas.polygon[0], canvas.polygon[1], n, left, right, height)
    half = np.float32(0.5)
    drawn = False
    for line in range(first, stop):
        row = np.uint64(line)  # unsigned indices spare the test for negative ones
        begin = np.uint64(pixel_after(left[row], width))
        end = np.uint64(pixel_after(right[row], width))
        drawn |= end > begin
        z0 = c + b * (np.float32(line) + half) + a * half
        for col in range(begin, end):
            value = z0 + a * np.float32(col)
            if value > iz[row, col]:
                iz[row, col] = value
                out[row, col] = word
    return drawn


@part
def project_mesh(canvas, library, mesh, transform, f, cx, cy):
    """Brings a mesh's vertices into camera space and onto the screen. True when all lie beyond NEAR."""
    start, count = library.mesh[mesh, 0], library.mesh[mesh, 1]
    x, y, z = canvas.vertex[0], canvas.vertex[1], canvas.vertex[2]
    sx, sy, iz = canvas.vertex[3], canvas.vertex[4], canvas.vertex[5]
    t = transform
    nearest = np.float32(1e9)
    for k in range(count):
        px, py, pz = (
            library.vertex[start + k, 0],
            library.vertex[start + k, 1],
            library.vertex[start + k, 2],
        )
        x[k] = t[0] * px + t[1] * py + t[2] * pz + t[3]
        y[k] = t[4] * px + t[5] * py + t[6] * pz + t[7]
        depth = t[8] * px + t[9] * py + t[10] * pz + t[11]
        z[k] = depth
        inverse = np.float32(1.0) / depth
        iz[k] = inverse
        sx[k] = cx + f * x[k] * inverse
        sy[k] = cy + f * y[k] * inverse
        nearest = min(nearest, depth)
    return nearest >= NEAR


@part
def gather_face(canvas, library, first, corners, whole, f, cx, cy):
    """Puts a face's screen polygon into `canvas.polygon`, cut at NEAR. Returns its number of corners, 0: unseen."""
    px, py = canvas.polygon[0], canvas.polygon[1]
    sx, sy = canvas.vertex[3], canvas.vertex[4]
    if whole:
        for k in range(corners):
            v = library.corner[first + k]
            px[k], py[k] = sx[v], sy[v]
        return corners
    x, y, z = canvas.vertex[0], canvas.vertex[1], canvas.vertex[2]
    n = 0
    scale = f / NEAR
    for k in range(corners):
        v = library.corner[first + k]
        u = library.corner[first + (k + 1 if k + 1 < corners else 0)]
        if z[v] >= NEAR:
            px[n], py[n] = sx[v], sy[v]
            n += 1
        if (z[v] >= NEAR) != (z[u] >= NEAR):
            share = (NEAR - z[v]) / (z[u] - z[v])
            px[n] = cx + scale * (x[v] + share * (x[u] - x[v]))
            py[n] = cy + scale * (y[v] + share * (y[u] - y[v]))
            n += 1
    return n if n >= 3 else 0


@part
def invert_scale(transform, inverse):
    """For a transform of orthogonal columns: `inverse` gets its columns divided by their squared lengths (9), and the
    camera's place in unit space (3)."""
    for k in range(3):
        a, b, c = transform[k], transform[4 + k], transform[8 + k]
        scale = np.float32(1.0) / (a * a + b * b + c * c)
        inverse[k], inverse[3 + k], inverse[6 + k] = a * scale, b * scale, c * scale
        inverse[9 + k] = -(a * transform[3] + b * transform[7] + c * transform[11]) * scale


@part
def normal_length(x, y, z):
    return sqrt(x * x + y * y + z * z)
