"""Triangles over a grid of heights: large ones where the ground is even, small ones where it bends, without gaps.

Right triangles are halved at the middle of their longest side as long as the grid's heights there, or at points that
need it, are off by more than they may be (Lindstrom et al., Real-time, continuous level of detail rendering of height
fields, 1996). Two triangles share each longest side, and both are halved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief import SQUARE, Relief
from roadcraft.sim.embedded.relief_grid import BLOCK

NEAR_ROADS, ELSEWHERE = 0.008, 0.06  # [m] by which heights may be off
ROADSIDE = 8  # cells from a lane that count as near
Grid = NDArray[np.float64]
Mask = NDArray[np.bool_]
Points = NDArray[np.int64]  # (T, 2) row, column
Decks = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]


def build(frame: NDArray[np.float64], z: Grid, pinned: Mask, decks: Decks) -> Relief:
    """The mesh of heights (rows, columns); `pinned`: which are those of lanes; `decks`: the last arrays of a Relief."""
    allowed = np.where(_widened(pinned), NEAR_ROADS, ELSEWHERE)
    kept = _needed(z, allowed)
    mesh = _evened(z, kept).astype(np.float32)
    corners = _triangles(kept)
    faces, blocks = _blocks(frame, mesh, corners)
    tops = _tops(mesh)
    return Relief(mesh, frame, tops, faces, blocks, *decks)


def _widened(pinned: Mask) -> Mask:
    """ROADSIDE cells further, by and large."""
    rows, columns = ((n - 1) // ROADSIDE for n in pinned.shape)
    some = pinned[:-1, :-1].reshape(rows, ROADSIDE, columns, ROADSIDE).any((1, 3))
    wide = np.pad(some, 1)
    near = np.zeros_like(some)
    for i in range(3):
        for j in range(3):
            near |= wide[i : i + rows, j : j + columns]
    out = np.zeros_like(pinned)
    out[:-1, :-1] = near.repeat(ROADSIDE, 0).repeat(ROADSIDE, 1)
    return out


def _stages() -> list[int]:
    """Half edges of the squares that are cut, from fine to coarse."""
    return [1 << k for k in range(BLOCK.bit_length() - 1)]


def _even(n: int, m: int) -> Mask:
    """Which squares (n, m) of one size are cut from the lower left to the upper right."""
    return (np.add.outer(np.arange(n), np.arange(m)) & 1) == 0


def _middles(z: Grid, s: int) -> tuple[Grid, Grid, Grid]:
    """Heights that the longest sides have in their middles: of edges along x, along y, of squares' diagonals."""
    corner = z[:: 2 * s, :: 2 * s]
    along, across = (corner[:, 1:] + corner[:, :-1]) / 2, (corner[1:] + corner[:-1]) / 2
    up, down = (corner[1:, 1:] + corner[:-1, :-1]) / 2, (corner[1:, :-1] + corner[:-1, 1:]) / 2
    return along, across, np.where(_even(*up.shape), up, down)


def _needed(z: Grid, allowed: Grid) -> Mask:
    """Which points are corners of the mesh."""
    kept = np.zeros(z.shape, bool)
    kept[::BLOCK, ::BLOCK] = True
    for s in _stages():
        along, across, middle = _middles(z, s)
        edge_x, edge_y, centre = kept[:: 2 * s, s :: 2 * s], kept[s :: 2 * s, :: 2 * s], kept[s :: 2 * s, s :: 2 * s]
        edge_x |= np.abs(z[:: 2 * s, s :: 2 * s] - along) > allowed[:: 2 * s, s :: 2 * s]
        edge_y |= np.abs(z[s :: 2 * s, :: 2 * s] - across) > allowed[s :: 2 * s, :: 2 * s]
        # The middle of an edge needs the centres of the squares on both sides of it.
        centre |= edge_x[:-1] | edge_x[1:] | edge_y[:, :-1] | edge_y[:, 1:]
        centre |= np.abs(z[s :: 2 * s, s :: 2 * s] - middle) > allowed[s :: 2 * s, s :: 2 * s]
        if 2 * s < BLOCK:  # a centre needs the two corners of its square that are not on its diagonal
            even = _even(*centre.shape)
            corner = kept[:: 2 * s, :: 2 * s]
            corner[:-1, 1:] |= centre & even
            corner[1:, :-1] |= centre & even
            corner[:-1, :-1] |= centre & ~even
            corner[1:, 1:] |= centre & ~even
    return kept


def _evened(z: Grid, kept: Mask) -> Grid:
    """Heights of the mesh at all points of the grid."""
    out = z.copy()
    for s in reversed(_stages()):
        # Squares of edge 2 s: the middle of the diagonal, then of the edges, whose triangles are cut after it.
        _, _, middle = _middles(out, s)
        centre = out[s :: 2 * s, s :: 2 * s]
        centre[...] = np.where(kept[s :: 2 * s, s :: 2 * s], centre, middle)
        along, across, _ = _middles(out, s)
        edge = out[:: 2 * s, s :: 2 * s]
        edge[...] = np.where(kept[:: 2 * s, s :: 2 * s], edge, along)
        edge = out[s :: 2 * s, :: 2 * s]
        edge[...] = np.where(kept[s :: 2 * s, :: 2 * s], edge, across)
    return out


def _triangles(kept: Mask) -> tuple[Points, Points, Points]:
    """Corners of all triangles, counter-clockwise seen from above (x to the right, y up): the right angle first."""
    rows, columns = ((n - 1) // BLOCK for n in kept.shape)
    i, j = (grid.ravel() * BLOCK for grid in np.indices((rows, columns)))
    even = ((i + j) // BLOCK & 1) == 0

    def at(di: int, dj: int) -> Points:
        return np.stack([i + di * BLOCK, j + dj * BLOCK], -1)

    both = even[:, None]
    apex = np.concatenate([np.where(both, at(0, 1), at(0, 0)), np.where(both, at(1, 0), at(1, 1))])
    a = np.concatenate([np.where(both, at(1, 1), at(0, 1)), np.where(both, at(0, 0), at(1, 0))])
    b = np.concatenate([np.where(both, at(0, 0), at(1, 0)), np.where(both, at(1, 1), at(0, 1))])
    done: list[tuple[Points, Points, Points]] = []
    for _ in range(2 * (BLOCK.bit_length() - 1)):
        middle = (a + b) // 2
        whole = ((a + b) % 2 == 0).all(1)
        cut = kept[middle[:, 0], middle[:, 1]] & whole
        done.append((apex[~cut], a[~cut], b[~cut]))
        apex, a, b, middle = apex[cut], a[cut], b[cut], middle[cut]
        apex, a, b = np.concatenate([middle, middle]), np.concatenate([apex, b]), np.concatenate([a, apex])
    done.append((apex, a, b))
    parts = [np.concatenate(each) for each in zip(*done, strict=True)]
    return parts[0], parts[1], parts[2]


def _blocks(
    frame: NDArray[np.float64], z: NDArray[np.float32], corners: tuple[Points, Points, Points]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Relief.faces and Relief.blocks; what is part of the plane beyond is left out."""
    xyz = [np.stack([p[:, 1] * frame[2], p[:, 0] * frame[2], z[p[:, 0], p[:, 1]]], -1) for p in corners]
    normal = np.cross(xyz[1] - xyz[0], xyz[2] - xyz[0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    faces = np.concatenate([*xyz, normal], 1)
    faces = faces[faces[:, 2:9:3].max(1) > frame[3] + 1e-4]
    block = np.floor(faces[:, :9].reshape(-1, 3, 3)[..., :2].mean(1) / (BLOCK * frame[2])).astype(int)
    key = block[:, 1] * (z.shape[1] // BLOCK + 1) + block[:, 0]
    order = np.argsort(key, kind="stable")
    faces, key = faces[order], key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    rows = []
    for first, last in zip(starts, [*starts[1:], len(faces)], strict=True):
        places = faces[first:last, :9].reshape(-1, 3) + np.array([frame[0], frame[1], 0.0])
        middle = (places.min(0) + places.max(0)) / 2
        rows.append((*middle, np.linalg.norm(places - middle, axis=1).max(), first, last))
    return np.ascontiguousarray(faces, np.float32), np.array(rows, float).reshape(-1, 6)


def _tops(z: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = ((n - 1) // SQUARE for n in z.shape)
    tops = np.full((rows, columns), -np.inf, np.float32)
    for i in range(SQUARE + 1):
        for j in range(SQUARE + 1):
            np.maximum(tops, z[i : i + rows * SQUARE : SQUARE, j : j + columns * SQUARE : SQUARE], out=tops)
    return tops
