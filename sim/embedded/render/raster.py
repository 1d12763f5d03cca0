"""Scan conversion of convex faces into a buffer of keys: 1/z in the upper half, the number of the face in the lower.

The greater of two keys is the nearer one, so that a test of depth is one maximum, taken of many pixels at once.
Screen: x to the right, y down, pixel centres at half integers. Camera space: x right, y down, z forward [m].
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import part
from roadcraft.sim.embedded.render.mesh import MAX_CORNERS, MAX_VERTICES

NEAR = np.float32(0.15)  # [m] nothing closer is drawn
FACES = 1 << 15  # faces of one frame; further ones are left out
SLOTS = 256  # facades of one frame, see `facade`; further ones are plain faces
FIRST_FACADE = FACES - SLOTS  # number of the first facade
SEEN = 1 << 13  # standing things of one frame; further ones are left out

FAR_IZ = np.float32(1 / 1000.0)  # [1/m] of the sky, CARLA's far plane
BEYOND = np.int64(2**63 - 1)  # key of the pixels that fill the last block: nearer than all faces
LANES = 8  # pixels along the edge of a square of Canvas.tile
HUGE = np.float32(1e9)


class Canvas(NamedTuple):
    """Buffers of one image size, filled anew in each frame. Face 0 is the background."""

    key: NDArray[np.int64]  # (H, W in whole squares) bits of 1/z [1/m] of the nearest face so far, then its number
    tile: NDArray[np.int64]  # (H / 8, W / 8) the farthest key of each square of LANES x LANES pixels, see `hidden`
    least: NDArray[np.int64]  # (W in whole squares,) the farthest keys of LANES rows
    word: NDArray[np.uint32]  # (H, W) the faces, when all are drawn
    pixel: NDArray[np.uint32]  # (H, W) red, green, blue, tag from the lowest byte
    soft: NDArray[np.uint32]  # (H, W) the same with softened edges: the picture, while `pixel` keeps the classes
    mask: NDArray[np.uint8]  # (H, W in whole squares) what falls on the ground: see `shadows`
    face_pixel: NDArray[np.uint32]  # (FACES,) colour and tag of each face
    face_owner: NDArray[np.uint32]  # (FACES,) body id
    face_plane: NDArray[np.float32]  # (SLOTS, 14) of facades, see `facade.put_facade`
    line: NDArray[np.float64]  # (6,) how a row runs over the ground, see `ground_rows.lay_line`
    sprite: NDArray[np.float32]  # (SPRITES, 8) glares: screen x, y, 1/z, radius, RGB
    coarse: NDArray[np.float32]  # (H, W / 8 + 2) brightness or wetness of the ground, every eighth pixel
    share: NDArray[np.float32]  # (W and more,) how much of `strip` is seen in the row at hand
    strip: NDArray[np.uint32]  # (W,) what is mirrored in it
    foot: NDArray[np.int64]  # (W,) row in which the thing above the ground ends
    ends: NDArray[np.float32]  # (8, 3) colours at hand
    face_table: NDArray[np.uint32]  # (SLOTS, 128) colours of facades
    faces: NDArray[np.int64]  # (3,) number of faces, of facades and of glares so far
    skyline: NDArray[np.float32]  # (2, W / 4) see `skyline`
    seen: NDArray[np.int64]  # (SEEN,) parts in view
    distance: NDArray[np.float32]  # (SEEN,) their depths
    vertex: NDArray[np.float32]  # (5, MAX_VERTICES) x, y, z in camera space, then screen x and y
    polygon: NDArray[np.float32]  # (2, 2 * MAX_CORNERS) screen x, y of the face at hand
    border: NDArray[np.float32]  # (2, H and more) its left and right borders
    run: NDArray[np.int32]  # (2, H and more) its first pixel in each row and the one after its last


def make_canvas(width: int, height: int) -> Canvas:
    """Empty buffers for images of this size."""
    shape, blocks = (height, width), -(-width // LANES)
    return Canvas(
        key=np.zeros((height, blocks * LANES), np.int64),
        tile=np.zeros((-(-height // LANES), blocks), np.int64),
        least=np.zeros(blocks * LANES, np.int64),
        word=np.zeros(shape, np.uint32),
        pixel=np.zeros(shape, np.uint32),
        soft=np.zeros(shape, np.uint32),
        mask=np.zeros((height, blocks * LANES), np.uint8),
        face_pixel=np.zeros(FACES, np.uint32),
        face_owner=np.zeros(FACES, np.uint32),
        face_plane=np.zeros((SLOTS, 14), np.float32),
        line=np.zeros(6),
        sprite=np.zeros((256, 8), np.float32),
        coarse=np.zeros((height, width // 8 + 3), np.float32),
        share=np.zeros((blocks + 1) * LANES, np.float32),
        strip=np.zeros(width, np.uint32),
        foot=np.zeros(width, np.int64),
        ends=np.zeros((8, 3), np.float32),
        face_table=np.zeros((SLOTS, 128), np.uint32),
        faces=np.zeros(3, np.int64),
        skyline=np.zeros((2, width // 4 + 1), np.float32),
        seen=np.zeros(SEEN, np.int64),
        distance=np.zeros(SEEN, np.float32),
        vertex=np.zeros((5, MAX_VERTICES), np.float32),
        polygon=np.zeros((2, 2 * MAX_CORNERS), np.float32),
        border=np.zeros((2, height + LANES), np.float32),
        run=np.zeros((2, height + LANES), np.int32),
    )


@part
def pixel_after(value, limit):
    """The first pixel whose centre does not lie before a coordinate, within [0, limit]."""
    return np.int64(min(max(value, np.float32(0.0)), np.float32(limit)) + np.float32(0.5))


@part
def inverse_depth(key):
    """1/z [1/m] of a key."""
    return np.int32(key >> np.int64(32)).view(np.float32)


@part
def make_key(iz, face):
    """The key of a face at 1/z. What lies behind the eye has a negative key."""
    return (np.int64(np.float32(iz).view(np.int32)) << np.int64(32)) | face


@part
def spans(canvas, n):
    """Fills `canvas.run` with what the polygon in `canvas.polygon` (counter-clockwise to the eye) covers.

    Returns its first row, the number of rows and the length of the longest run, which is not positive if it covers no
    pixel. The borders in a row are the innermost of the lines through the edges, since the polygon is convex.
    """
    x, y = canvas.polygon[0], canvas.polygon[1]
    height, width = canvas.word.shape
    left, right = canvas.border[0], canvas.border[1]
    begins, ends = canvas.run[0], canvas.run[1]
    low, high = y[0], y[0]
    for i in range(1, n):
        low = min(low, y[i])
        high = max(high, y[i])
    first, stop = pixel_after(low, height), pixel_after(high, height)
    rows = stop - first
    if rows <= 0:
        return first, np.int64(0), np.int32(0)
    half = np.float32(0.5)
    for k in range(np.uint64(rows)):
        left[k], right[k] = np.float32(0.0), np.float32(width)
    for i in range(n):
        j = i + 1 if i + 1 < n else 0
        down = y[j] - y[i]
        if down == 0:
            continue
        slope = (x[j] - x[i]) / down
        at = x[i] + (np.float32(first) + half - y[i]) * slope
        if down > 0:
            for k in range(np.uint64(rows)):
                left[k] = max(left[k], at + np.float32(k) * slope)
        else:
            for k in range(np.uint64(rows)):
                right[k] = min(right[k], at + np.float32(k) * slope)
    longest = np.int32(0)
    for k in range(np.uint64(rows)):
        begin = np.int32(min(left[k], np.float32(width)) + half)
        end = np.int32(max(right[k], np.float32(0.0)) + half)
        begins[k], ends[k] = begin, end
        longest = max(longest, end - begin)
    return first, rows, longest


@part
def fill(canvas, n, a, b, c, face):
    """Draws the polygon in `canvas.polygon` with 1/z = a x + b y + c where it is nearest.

    Returns 0 when it covers no pixel, 1 when something nearer hides all of it, else 2.
    """
    first, rows, longest = spans(canvas, n)
    if longest <= 0:
        return 0
    begins, ends = canvas.run[0], canvas.run[1]
    low, half, won = np.int64(face), np.float32(0.5), np.int64(0)
    for k in range(np.uint64(rows)):
        row = np.uint64(first) + k
        key = canvas.key[row]
        z0 = c + b * (np.float32(row) + half) + a * half
        for col in range(np.uint64(begins[k]), np.uint64(ends[k])):
            new, old = make_key(z0 + a * np.float32(col), low), key[col]
            won |= old - new
            key[col] = max(old, new)
    return 2 if won < 0 else 1


@part
def project_mesh(canvas, library, mesh, transform, f, cx, cy):
    """Brings a mesh's vertices into camera space and onto the screen.

    Returns the bounds of its screen coordinates (left, right, top, bottom) and its least depth [m]; only when that is
    not below NEAR do the bounds hold.
    """
    start, count = library.mesh[mesh, 0], library.mesh[mesh, 1]
    x, y, z = canvas.vertex[0], canvas.vertex[1], canvas.vertex[2]
    sx, sy = canvas.vertex[3], canvas.vertex[4]
    t = transform
    t0, t1, t2, t3, t4, t5, t6, t7 = t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]
    t8, t9, t10, t11 = t[8], t[9], t[10], t[11]
    nearest, left, right, top, bottom = HUGE, HUGE, -HUGE, HUGE, -HUGE
    for k in range(np.uint64(count)):
        v = np.uint64(start) + k
        px, py, pz = library.vertex[v, 0], library.vertex[v, 1], library.vertex[v, 2]
        x[k] = t0 * px + t1 * py + t2 * pz + t3
        y[k] = t4 * px + t5 * py + t6 * pz + t7
        depth = t8 * px + t9 * py + t10 * pz + t11
        z[k] = depth
        inverse = f / depth
        u, w = cx + x[k] * inverse, cy + y[k] * inverse
        sx[k], sy[k] = u, w
        nearest = min(nearest, depth)
        left, right, top, bottom = min(left, u), max(right, u), min(top, w), max(bottom, w)
    return left, right, top, bottom, nearest


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
