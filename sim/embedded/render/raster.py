"""Scan conversion of convex faces into two buffers: 1/z of what is nearest, and the number of its face.

Eight pixels of a row, or eight rows of a face's borders, are worked on at once, see `lanes`.
Screen: x to the right, y down, pixel centres at half integers. Camera space: x right, y down, z forward [m].
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import part
from roadcraft.sim.embedded.render.jobs import JOB, JOBS
from roadcraft.sim.embedded.render.lanes import (
    LANES,
    bits,
    count_up,
    highest,
    lanes,
    least,
    load,
    lowest,
    most,
    select,
    spare,
    store,
    to_floats,
    to_ints,
)
from roadcraft.sim.embedded.render.mesh import MAX_CORNERS, MAX_VERTICES

NEAR = np.float32(0.15)  # [m] nothing closer is drawn
FACES = 1 << 15  # faces of one frame; further ones are left out
SLOTS = 256  # facades of one frame, see `facade`; further ones are plain faces
FIRST_FACADE = FACES - SLOTS  # number of the first facade
SEEN = 1 << 13  # standing things of one frame; further ones are left out

FAR_IZ = np.float32(1 / 1000.0)  # [1/m] of the sky, CARLA's far plane
SQUARE = 8  # pixels along the edge of a square of Canvas.tile
RING = 4  # rows of Canvas.pixel
RUN = 64  # pixels of a row that are looked up at once
HUGE = np.float32(1e9)


class Canvas(NamedTuple):
    """Buffers of one image size, filled anew in each frame. Face 0 is the background.

    Those of pixels have numbers to spare after the last, see `lanes`.
    """

    iz: NDArray[np.float32]  # (H, W) 1/z [1/m] of the nearest face so far
    word: NDArray[np.uint32]  # (H, W) its number
    tile: NDArray[np.float32]  # (H / 8, W / 8) the least 1/z of each square of SQUARE x SQUARE pixels, see `hidden`
    pixel: NDArray[np.uint32]  # (RING, W and more) red, green, blue, tag from the lowest byte: the last RING rows
    soft: NDArray[np.uint32]  # (H, W) the same with softened edges: the picture
    mask: NDArray[np.uint8]  # (H, W in whole squares) what falls on the ground: see `shadows`
    face: NDArray[np.uint64]  # (FACES,) colour and tag of each face, above them its body's id
    face_plane: NDArray[np.float32]  # (SLOTS, 14) of facades, see `facade.put_facade`
    line: NDArray[np.float64]  # (6,) how a row runs over the ground, see `ground_rows.lay_line`
    sprite: NDArray[np.float32]  # (SPRITES, 8) glares: screen x, y, 1/z, radius, RGB
    coarse: NDArray[np.float32]  # (H, W / 8 + 2) brightness or wetness of the ground, every eighth pixel
    foot: NDArray[np.int32]  # (W and more,) row in which the thing above the ground ends
    ends: NDArray[np.float32]  # (8, 3) colours at hand
    face_table: NDArray[np.uint32]  # (SLOTS, 128) colours of facades
    place: NDArray[np.int32]  # (3, RUN and more) where the pixels of a run lie on what is looked up
    faces: NDArray[np.int64]  # (4,) number of faces, of facades and of glares so far, of meshes that are queued
    jobs: NDArray[np.void]  # (JOBS,) JOB, the queue
    skyline: NDArray[np.float32]  # (2, W / 4) see `skyline`
    seen: NDArray[np.int64]  # (SEEN,) parts in view
    distance: NDArray[np.float32]  # (SEEN,) their depths
    vertex: NDArray[np.float32]  # (5, MAX_VERTICES and more) x, y, z in camera space, then screen x and y
    polygon: NDArray[np.float32]  # (2, 2 * MAX_CORNERS) screen x, y of the face at hand
    edge: NDArray[np.float32]  # (4, 2 * MAX_CORNERS) the lines through its edges, see `spans`
    run: NDArray[np.int32]  # (2, H and more) its first pixel in each row and the one after its last


def make_canvas(width: int, height: int) -> Canvas:
    """Empty buffers for images of this size."""
    shape, blocks = (height, width), -(-width // SQUARE)
    return Canvas(
        iz=spare(shape, np.float32),
        word=spare(shape, np.uint32),
        tile=np.zeros((-(-height // SQUARE), blocks), np.float32),
        pixel=spare((RING, width + LANES), np.uint32),
        soft=spare(shape, np.uint32),
        mask=spare((height, blocks * SQUARE), np.uint8),
        face=np.zeros(FACES, np.uint64),
        face_plane=np.zeros((SLOTS, 14), np.float32),
        line=np.zeros(6),
        sprite=np.zeros((256, 8), np.float32),
        coarse=spare((height, width // 8 + 3), np.float32),
        foot=spare((width,), np.int32),
        ends=np.zeros((8, 3), np.float32),
        face_table=np.zeros((SLOTS, 128), np.uint32),
        place=np.zeros((3, RUN + LANES), np.int32),
        faces=np.zeros(4, np.int64),
        jobs=np.zeros(JOBS, JOB),
        skyline=np.zeros((2, width // 4 + 1), np.float32),
        seen=np.zeros(SEEN, np.int64),
        distance=np.zeros(SEEN, np.float32),
        vertex=np.zeros((5, MAX_VERTICES + LANES), np.float32),
        polygon=np.zeros((2, 2 * MAX_CORNERS), np.float32),
        edge=np.zeros((4, 2 * MAX_CORNERS), np.float32),
        run=np.zeros((2, height + LANES), np.int32),
    )


@part
def pixel_after(value, limit):
    """The first pixel whose centre does not lie before a coordinate, within [0, limit]."""
    return np.int64(min(max(value, np.float32(0.0)), np.float32(limit)) + np.float32(0.5))


@part
def ring(row):
    """Where a row of the image lies in `canvas.pixel`."""
    return np.uint64(row & (RING - 1))


@part
def lay_edges(canvas, n, first):
    """Fills `canvas.edge` for a polygon whose first row is `first`: where the line through each edge crosses that row
    and its step a row; then HUGE if it is a left border and -HUGE if it is a right one, else the opposite."""
    x, y = canvas.polygon[0], canvas.polygon[1]
    at, slope, left, right = canvas.edge[0], canvas.edge[1], canvas.edge[2], canvas.edge[3]
    one = np.uint64(1)
    for i in range(np.uint64(n)):
        j = i + one if i + one < np.uint64(n) else np.uint64(0)
        down = y[j] - y[i]
        step = (x[j] - x[i]) / down if down != 0 else np.float32(0.0)
        at[i] = x[i] + (np.float32(first) + np.float32(0.5) - y[i]) * step
        slope[i] = step
        left[i] = HUGE if down > 0 else -HUGE
        right[i] = -HUGE if down < 0 else HUGE


@part
def spans(canvas, n):
    """Fills `canvas.run` with what the polygon in `canvas.polygon` (counter-clockwise to the eye) covers.

    Returns its first row and the number of rows, which is 0 if it covers no pixel. The borders in a row are the
    innermost of the lines through the edges, since the polygon is convex.
    """
    x, y, run = canvas.polygon[0], canvas.polygon[1], canvas.run
    height, width = canvas.word.shape
    low, high, left_most, right_most = y[0], y[0], x[0], x[0]
    for i in range(np.uint64(1), np.uint64(n)):
        low, high = min(low, y[i]), max(high, y[i])
        left_most, right_most = min(left_most, x[i]), max(right_most, x[i])
    first, stop = pixel_after(low, height), pixel_after(high, height)
    rows = stop - first
    if rows <= 0 or pixel_after(left_most, width) >= pixel_after(right_most, width):
        return first, np.int64(0)
    lay_edges(canvas, n, first)
    at, slope, left_edge, right_edge = canvas.edge[0], canvas.edge[1], canvas.edge[2], canvas.edge[3]
    half, nothing, wide, covered = np.float32(0.5), np.float32(0.0), np.float32(width), np.uint64(0)
    for k in range(0, rows, LANES):
        number = count_up() + k
        step = to_floats(number)
        left, right = lanes(nothing), lanes(wide)
        for i in range(np.uint64(n)):
            line = step * slope[i] + at[i]
            left = most(least(left_edge[i], line), left)
            right = least(most(right_edge[i], line), right)
        begin, end = to_ints(least(left, wide) + half), to_ints(most(right, nothing) + half)
        store(run, k, begin)
        store(run, run.shape[1] + k, end)
        covered |= bits((end > begin) & (number < rows))
    return first, rows if covered != 0 else np.int64(0)


@part
def fill(canvas, n, a, b, c, face):
    """Draws the polygon in `canvas.polygon` with 1/z = a x + b y + c where it is nearest.

    Returns 0 when it covers no pixel, 1 when something nearer hides all of it, else 2.
    """
    first, rows = spans(canvas, n)
    if rows == 0:
        return 0
    iz, word, width = canvas.iz, canvas.word, canvas.word.shape[1]
    begins, ends = canvas.run[0], canvas.run[1]
    number, half, won = lanes(np.int32(face)), np.float32(0.5), np.uint64(0)
    for k in range(np.uint64(rows)):
        row = first + np.int64(k)
        z0 = c + b * (np.float32(row) + half) + a * half
        start, begin, end = row * width, begins[k], ends[k]
        x, stop = to_floats(count_up() + begin), lanes(np.float32(end))
        for at in range(start + begin, start + end, LANES):
            new, old = x * a + z0, load(iz, at)
            nearer = (new >= old) & (x < stop)
            x += np.float32(LANES)
            store(iz, at, select(nearer, new, old))
            store(word, at, select(nearer, number, load(word, at)))
            won |= bits(nearer)
    return 2 if won != 0 else 1


@part
def project_mesh(canvas, library, mesh, transform, f, cx, cy):
    """Brings a mesh's vertices into camera space and onto the screen.

    Returns the bounds of its screen coordinates (left, right, top, bottom) and its least depth [m]; only when that is
    not below NEAR do the bounds hold.
    """
    start, count = np.int64(library.mesh[mesh, 0]), library.mesh[mesh, 1]
    column, vertex, t = library.column, canvas.vertex, transform
    stride, length = column.shape[1], vertex.shape[1]
    nearest, left, right, top, bottom = lanes(HUGE), lanes(HUGE), lanes(-HUGE), lanes(HUGE), lanes(-HUGE)
    for k in range(0, count, LANES):
        v = start + k
        px, py, pz = load(column, v), load(column, stride + v), load(column, 2 * stride + v)
        x = px * t[0] + py * t[1] + pz * t[2] + t[3]
        y = px * t[4] + py * t[5] + pz * t[6] + t[7]
        depth = px * t[8] + py * t[9] + pz * t[10] + t[11]
        inverse = lanes(f) / depth
        u, w = x * inverse + cx, y * inverse + cy
        store(vertex, k, x)
        store(vertex, length + k, y)
        store(vertex, 2 * length + k, depth)
        store(vertex, 3 * length + k, u)
        store(vertex, 4 * length + k, w)
        among = count_up() < count - k
        nearest = least(select(among, depth, nearest), nearest)
        left, right = least(select(among, u, left), left), most(select(among, u, right), right)
        top, bottom = least(select(among, w, top), top), most(select(among, w, bottom), bottom)
    return lowest(left), highest(right), lowest(top), highest(bottom), lowest(nearest)


@part
def gather_face(canvas, library, first, corners, whole, f, cx, cy):
    """Puts a face's screen polygon into `canvas.polygon`, cut at NEAR. Returns its number of corners, 0: unseen."""
    px, py = canvas.polygon[0], canvas.polygon[1]
    sx, sy = canvas.vertex[3], canvas.vertex[4]
    if whole:
        for k in range(np.uint64(corners)):
            v = np.uint64(library.corner[np.uint64(first) + k])
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
