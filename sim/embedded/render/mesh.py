"""Meshes of flat convex faces in unit space, packed into plain arrays for the compiled kernels.

Unit space: x and y in [-1, 1] (times the half length and half width), z in [0, 1] (times the full height) from the
foot upwards. Faces may have 3 to MAX_CORNERS corners, counter-clockwise seen from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadcraft.sim.embedded.render.lanes import LANES

MAX_CORNERS = 12
MAX_VERTICES = 512  # of one mesh

Point = tuple[float, float, float]


class Mesh:
    """A mesh in the making."""

    def __init__(self) -> None:
        self.vertices: list[Point] = []
        self.faces: list[tuple[list[int], int]] = []  # corners, material

    def face(self, corners: Sequence[Point], material: int) -> Mesh:
        """Adds one flat convex face."""
        start = len(self.vertices)
        self.vertices += [(float(x), float(y), float(z)) for x, y, z in corners]
        self.faces.append((list(range(start, start + len(corners))), material))
        return self

    def shell(
        self,
        bottom: Sequence[Point],
        top: Sequence[Point],
        sides: int | Sequence[int],
        lid: int,
    ) -> Mesh:
        """Walls between two polygons of equal length (counter-clockwise from above) and a lid; no floor.

        `sides` is one material or one a wall; a negative material leaves the face out.
        """
        n, start = len(bottom), len(self.vertices)
        self.vertices += [(float(x), float(y), float(z)) for x, y, z in (*bottom, *top)]
        walls = [sides] * n if isinstance(sides, int) else list(sides)
        for i, material in enumerate(walls):
            if material >= 0:
                j = (i + 1) % n
                self.faces.append(([start + i, start + j, start + n + j, start + n + i], material))
        if lid >= 0:
            self.faces.append(([start + n + i for i in range(n)], lid))
        return self

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        material: int,
        floor: bool = False,
    ) -> Mesh:
        """An upright box."""
        foot = [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]
        self.shell([(*p, z[0]) for p in foot], [(*p, z[1]) for p in foot], material, material)
        if floor:
            n = len(self.vertices)
            self.faces.append(([n - 5, n - 6, n - 7, n - 8], material))
        return self

    def across(
        self,
        profile: Sequence[tuple[float, float]],
        y: float,
        skin: Sequence[int],
        side: int,
    ) -> Mesh:
        """A side view (x, z), counter-clockwise seen from the right (-y), pulled from -y to y.

        `skin` gives the material of the strip from corner i to i + 1, negative for none.
        """
        n, start = len(profile), len(self.vertices)
        self.vertices += [(x, -y, z) for x, z in profile] + [(x, y, z) for x, z in profile]
        for i, material in enumerate(skin):
            if material >= 0:
                j = (i + 1) % n
                self.faces.append(([start + j, start + i, start + n + i, start + n + j], material))
        self.faces.append(([start + i for i in range(n)], side))
        self.faces.append(([start + n + i for i in reversed(range(n))], side))
        return self

    def disc(
        self,
        x: float,
        y: float,
        z: float,
        rx: float,
        rz: float,
        corners: int,
        material: int,
    ) -> Mesh:
        """An upright disc that faces away from the middle line: to the right when y < 0, else to the left."""
        turn = 1.0 if y < 0 else -1.0
        angles = [turn * 2 * pi * (i + 0.5) / corners for i in range(corners)]
        return self.face([(x + rx * cos(a), y, z + rz * sin(a)) for a in angles], material)

    def prism(
        self,
        radius: ArrayLike,
        z: Sequence[float],
        corners: int,
        material: int,
        lid: int = -1,
    ) -> Mesh:
        """A round column: rings of `corners` points with the given radii (unit space) at the heights z."""
        radii = np.broadcast_to(np.asarray(radius, float), len(z))
        ring = [(cos(2 * pi * i / corners), sin(2 * pi * i / corners)) for i in range(corners)]
        for k in range(len(z) - 1):
            low = [(x * radii[k], y * radii[k], z[k]) for x, y in ring]
            high = [(x * radii[k + 1], y * radii[k + 1], z[k + 1]) for x, y in ring]
            self.shell(low, high, material, lid if k == len(z) - 2 else -1)
        return self

    def scaled(self, scale: Point, shift: Point) -> Mesh:
        """A copy, stretched and then moved."""
        copy = Mesh()
        copy.vertices = [
            (x * scale[0] + shift[0], y * scale[1] + shift[1], z * scale[2] + shift[2]) for x, y, z in self.vertices
        ]
        copy.faces = [(list(corners), material) for corners, material in self.faces]
        return copy

    def join(self, other: Mesh) -> Mesh:
        """Takes in another mesh."""
        start = len(self.vertices)
        self.vertices += other.vertices
        self.faces += [([start + i for i in corners], material) for corners, material in other.faces]
        return self


class Library(NamedTuple):
    """All meshes, for the kernels. M meshes, F faces, I corners, V vertices."""

    mesh: NDArray[np.int32]  # (M, 4) first vertex, vertices, first face, faces
    vertex: NDArray[np.float32]  # (V, 3) unit space
    column: NDArray[np.float32]  # (3, V and more) the same by coordinate
    face: NDArray[np.int32]  # (F, 3) first corner, corners, material
    plane: NDArray[np.float32]  # (F, 4) outward normal n and offset d in unit space: n . p = d
    corner: NDArray[np.int32]  # (I,) vertex of the mesh


def pack(meshes: Sequence[Mesh]) -> Library:
    """Packs meshes in their order; ValueError names a face that is not flat, not convex or too large."""
    table: list[tuple[int, ...]] = []
    vertices: list[NDArray[np.float64]] = []
    faces: list[tuple[int, ...]] = []
    planes: list[tuple[float, ...]] = []
    corners: list[int] = []
    for m, mesh in enumerate(meshes):
        points, remap = np.unique(np.round(np.array(mesh.vertices, float), 6), axis=0, return_inverse=True)
        if len(points) > MAX_VERTICES:
            raise ValueError(f"mesh {m} has {len(points)} vertices, at most {MAX_VERTICES} fit")
        table.append((len(vertices), len(points), len(faces), len(mesh.faces)))
        vertices += list(points)
        for f, (loop, material) in enumerate(mesh.faces):
            index = remap.ravel()[loop]
            planes.append(_plane(points[index], f"mesh {m}, face {f}"))
            faces.append((len(corners), len(index), material))
            corners += list(index)
    vertex = np.array(vertices, np.float32)
    column = np.pad(vertex.T, ((0, 0), (0, LANES)))
    return Library(
        np.array(table, np.int32),
        vertex,
        np.ascontiguousarray(column),
        np.array(faces, np.int32),
        np.array(planes, np.float32),
        np.array(corners, np.int32),
    )


def _plane(loop: NDArray[np.float64], name: str) -> tuple[float, float, float, float]:
    """Unit normal and offset of a face by Newell's method."""
    if not 3 <= len(loop) <= MAX_CORNERS:
        raise ValueError(f"{name} has {len(loop)} corners")
    following = np.roll(loop, -1, 0)
    normal = np.cross(loop, following).sum(0)
    length = np.linalg.norm(normal)
    if length < 1e-9:
        raise ValueError(f"{name} has no area")
    normal /= length
    offset = float((loop @ normal).mean())
    if np.abs(loop @ normal - offset).max() > 0.02:
        raise ValueError(f"{name} is not flat")
    edges = following - loop
    if (np.cross(edges, np.roll(edges, -1, 0)) @ normal).min() < -1e-6:
        raise ValueError(f"{name} is not convex")
    return float(normal[0]), float(normal[1]), float(normal[2]), offset
