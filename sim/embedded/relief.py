"""How high the ground is: a plane where a map is flat, else a mesh of triangles over a grid of heights.

The mesh is what pictures show, what rays meet and what bodies stand on. Its triangles join points of the grid; heights
of all other points of the grid are those of the mesh there, so that a place is looked up in one cell: each is cut in
two along the diagonal that the mesh has there.
"""

# Kernels take named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from roadcraft.sim.kernels import njit

STEP = 1.0  # [m] below a deck at which one still is on it, not under it
BARE, ON_DECK, CONCRETE = 0, 1, 2  # what a ray meets: the ground, the road on a bridge, the rest of a bridge
SQUARE = 8  # cells along the edge of a square of Relief.tops
OPTIONS = {"error_model": "numpy", "forceinline": True, "_nrt": False, "nogil": True, "boundscheck": False}
part = partial(njit, **OPTIONS)


class Plane(NamedTuple):
    """Ground at z = 0."""

    level: NDArray[np.float64]  # (1,) [m] 0


class Relief(NamedTuple):
    """Ground with hills, in cells of `frame[2]` metres. Beyond the grid it is a plane."""

    z: NDArray[np.float32]  # (rows, columns) [m]
    frame: NDArray[np.float64]  # (4,) x, y of z[0, 0] [m], spacing [m], z [m] of the plane, than which nothing is lower
    tops: NDArray[np.float32]  # (rows / SQUARE, columns / SQUARE) [m] greatest height of each square of cells
    faces: NDArray[np.float32]  # (T, 12) corners x, y, z [m] from the frame's x, y and z = 0, counter-clockwise; normal
    blocks: NDArray[np.float64]  # (K, 6) middle x, y, z, radius [m], first and last row of `faces`
    deck: NDArray[np.float32]  # (rows, columns) [m] height of a bridge, NaN where there is none; (0, 0): no bridges
    deck_faces: NDArray[np.float32]  # (D, 13) the same as `faces` of bridges; last, what a face is: ON_DECK or CONCRETE
    deck_blocks: NDArray[np.float64]  # (B, 6)


Ground = Plane | Relief


def flat() -> Plane:
    return Plane(np.zeros(1))


def by_ground(plane: Any, relief: Any, options: dict[str, Any] = OPTIONS) -> Any:
    """For kernels: a function that is `plane` or `relief`, both compiled, by the type of its first argument, a ground.
    Which it is is known when a kernel is compiled: those of flat towns are as if there were no others."""

    def either(*arguments: Any) -> Any:
        raise NotImplementedError("for kernels only")

    def choose(*arguments: Any) -> Any:
        return (relief if arguments[0].instance_class is Relief else plane).py_func

    overload(either, strict=False, jit_options=options)(choose)
    return either


@part
def in_cell(z, i, j, s, t):
    """(height, slope along x, along y), per cell, of the place (s, t) in [0, 1] of cell (row i, column j)."""
    a, b = np.float64(z[i, j]), np.float64(z[i, j + 1])
    c, d = np.float64(z[i + 1, j]), np.float64(z[i + 1, j + 1])
    if (i + j) & 1 == 0:  # cut from (0, 0) to (1, 1)
        along, across = (b - a, d - b) if s > t else (d - c, c - a)
        return a + s * along + t * across, along, across
    if s + t < 1.0:
        return a + s * (b - a) + t * (c - a), b - a, c - a
    return d + (1.0 - s) * (c - d) + (1.0 - t) * (b - d), d - c, d - b


@part
def relief_height(ground, x, y):
    """Height [m] at a place."""
    z, frame = ground.z, ground.frame
    u, v = (x - frame[0]) / frame[2], (y - frame[1]) / frame[2]
    if not (0.0 <= u < z.shape[1] - 1 and 0.0 <= v < z.shape[0] - 1):
        return frame[3]
    i, j = int(v), int(u)
    return in_cell(z, i, j, u - j, v - i)[0]


@part
def relief_floor(ground, x, y, z):
    """Height [m] of what is below a body at z: of a bridge, unless that is over it, else of the ground."""
    deck, frame = ground.deck, ground.frame
    if deck.shape[0] > 0:
        j, i = int((x - frame[0]) / frame[2] + 0.5), int((y - frame[1]) / frame[2] + 0.5)
        if 0 < i < deck.shape[0] - 1 and 0 < j < deck.shape[1] - 1 and deck[i, j] < z + STEP:  # not where it is NaN
            return deck_height(ground, x, y, i, j)
    return relief_height(ground, x, y)


@part
def deck_height(ground, x, y, i, j):
    """Of the deck near its point (i, j): as `in_cell` where the cell has four points, else of that point."""
    deck, frame = ground.deck, ground.frame
    u, v = (x - frame[0]) / frame[2], (y - frame[1]) / frame[2]
    a, b = int(v), int(u)
    found = in_cell(deck, a, b, u - b, v - a)[0]
    return found if found == found else np.float64(deck[i, j])


@part
def plane_height(ground, x, y):
    return 0.0


@part
def plane_floor(ground, x, y, z):
    return 0.0


@part
def plane_outside(ground):
    return 0.0


@part
def relief_outside(ground):
    return ground.frame[3]


@part
def plane_even(ground):
    return True


@part
def relief_even(ground):
    return False


is_even = by_ground(plane_even, relief_even)  # whether the ground is a plane
outside = by_ground(plane_outside, relief_outside)  # [m] height beyond the grid, below which there is nothing
height = by_ground(plane_height, relief_height)  # [m] of a ground at x, y
floor_below = by_ground(plane_floor, relief_floor)  # [m] of what bears a body at x, y, z


@njit(error_model="numpy", _nrt=False)
def height_at(ground, x, y):
    """The same for those who are not compiled."""
    return height(ground, x, y)


@njit(error_model="numpy", _nrt=False)
def floor_at(ground, x, y, z):
    """The same as `floor_below`."""
    return floor_below(ground, x, y, z)
