"""Meshes of what stands beside roads: buildings, trees, posts, lamps, traffic lights, signs, cones."""

from __future__ import annotations

import itertools
from math import cos, pi, sin

import numpy as np

from roadcraft.sim.embedded.render.materials import Material as M
from roadcraft.sim.embedded.render.mesh import Mesh, Point


def box() -> Mesh:
    return Mesh().box((-1, 1), (-1, 1), (0, 1), M.PAINT, floor=True)


def post(corners: int) -> Mesh:
    """A round post."""
    return Mesh().prism(1.0, (0, 1), corners, M.PAINT, M.PAINT)


def building(style: int) -> list[Mesh]:
    """A house, near and far: odd styles have a pitched roof, the others a flat one with a parapet and a cabin on it."""
    near, far = Mesh(), Mesh()
    if style % 2:
        for mesh in (near, far):
            foot = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
            mesh.shell([(*p, 0.0) for p in foot], [(*p, 0.72) for p in foot], M.WALL, -1)
            mesh.face(
                [
                    (-1.03, -1.05, 0.705),
                    (1.03, -1.05, 0.705),
                    (1.03, 0.0, 1.0),
                    (-1.03, 0.0, 1.0),
                ],
                M.ROOF,
            )
            mesh.face(
                [
                    (1.03, 1.05, 0.705),
                    (-1.03, 1.05, 0.705),
                    (-1.03, 0.0, 1.0),
                    (1.03, 0.0, 1.0),
                ],
                M.ROOF,
            )
            mesh.face([(1.0, -1.0, 0.72), (1.0, 1.0, 0.72), (1.0, 0.0, 0.99)], M.PAINT)
            mesh.face([(-1.0, 1.0, 0.72), (-1.0, -1.0, 0.72), (-1.0, 0.0, 0.99)], M.PAINT)
        near.box((0.4, 0.5), (-0.55, -0.35), (0.8, 1.04), M.ROOF)
        return [near, far]
    for mesh in (near, far):
        mesh.box((-1, 1), (-1, 1), (0, 0.97), M.WALL)
        mesh.faces[-1] = (mesh.faces[-1][0], M.ROOF)
    near.box((-1.012, 1.012), (-1.012, 1.012), (0.955, 0.985), M.CONCRETE, floor=True)
    near.box((-0.4, 0.15), (-0.35, 0.3), (0.97, 1.03), M.ROOF)
    return [near, far]


Rings = list[list[Point]]


def _ball(layers: Rings, bottom: Point, top: Point, dark_below: float) -> Mesh:
    """A closed lumpy ball from rings of equal length, every other turned by half a step; triangles keep it flat."""
    mesh = Mesh()

    def add(*p: Point) -> None:
        mesh.face(p, M.LEAVES_LOW if sum(q[2] for q in p) / 3 < dark_below else M.LEAVES)

    corners = len(layers[0])
    for i in range(corners):
        j = (i + 1) % corners
        add(bottom, layers[0][j], layers[0][i])
        add(top, layers[-1][i], layers[-1][j])
    for k, (low, high) in enumerate(itertools.pairwise(layers)):
        for i in range(corners):
            j = (i + 1) % corners
            if k % 2 == 0:  # the lower ring is turned by half a step
                add(low[i], high[j], high[i])
                add(low[i], low[j], high[j])
            else:
                add(low[i], low[j], high[i])
                add(low[j], high[j], high[i])
    return mesh


def _directions(rings: int, corners: int) -> list[list[Point]]:
    """Unit vectors in rings from below to above, without the poles."""
    out = []
    for k in range(1, rings):
        polar, turn = pi * k / rings, pi / corners * (k % 2)
        angles = [2 * pi * i / corners + turn for i in range(corners)]
        out.append([(sin(polar) * cos(a), sin(polar) * sin(a), -cos(polar)) for a in angles])
    return out


def _crown(center: Point, radius: Point, seed: int, rings: int, corners: int) -> Mesh:
    """A ball with a few lobes. However fine it is cut, the same seed gives the same shape."""
    rng = np.random.default_rng(seed)
    lobes = rng.normal(size=(6, 3)) * (1, 1, 0.7)
    lobes /= np.linalg.norm(lobes, axis=1, keepdims=True)
    heights = rng.uniform(0.1, 0.26, len(lobes))
    swell = ((pi / corners) / sin(pi / corners)) ** 1.5  # a polygon's area is less than its circle's

    def place(direction: Point) -> Point:
        near = np.clip(lobes @ np.array(direction), 0, 1)
        r = swell * (0.80 + float((heights * near**4).max()) + 0.3 * float((heights * near**4).mean()))
        x, y, z = (center[k] + radius[k] * r * direction[k] for k in range(3))
        return x, y, max(z, 0.01)

    layers = [[place(d) for d in ring] for ring in _directions(rings, corners)]
    return _ball(layers, place((0.0, 0.0, -1.0)), place((0.0, 0.0, 1.0)), center[2] - 0.25 * radius[2])


def tree(variant: int) -> list[Mesh]:
    """Crown of one tree near, middling and far; the trunk is a mesh of its own."""
    center, radius = (0.0, 0.0, 0.63), (1.0, 1.0, 0.38 - 0.02 * (variant % 3))
    return [_crown(center, radius, 40 + variant, *cut) for cut in ((8, 11), (6, 7), (4, 6))]


def bush() -> list[Mesh]:
    return [_crown((0.0, 0.0, 0.45), (1.05, 1.05, 0.55), 77, *cut) for cut in ((5, 8), (4, 6))]


def trunk() -> Mesh:
    """The trunk below a crown: radius 1, height 0.45."""
    return Mesh().prism([1.0, 0.7], (0.0, 0.45), 5, M.BARK)


def signal_head() -> list[Mesh]:
    """A traffic light's head that faces +x, one unit high: backing plate, housing, hoods, lenses."""
    near, far = Mesh(), Mesh()
    for mesh in (near, far):
        mesh.box((-0.55, -0.35), (-1.35, 1.35), (-0.07, 1.07), M.HOUSING, floor=True)
        if mesh is near:
            mesh.box((-0.35, 0.35), (-0.95, 0.95), (0.0, 1.0), M.HOUSING, floor=True)
        for z, lens in (
            (5 / 6, M.LENS_RED),
            (3 / 6, M.LENS_YELLOW),
            (1 / 6, M.LENS_GREEN),
        ):
            corners = 10 if mesh is near else 6
            x, rim = (0.37, 0.0) if mesh is near else (-0.33, 0.0)
            ring = [(2 * pi * i / corners, 0.8, 0.142) for i in range(corners)]
            mesh.face([(x, ry * cos(a), z + rz * sin(a) + rim) for a, ry, rz in ring], lens)
            if mesh is near:
                y, top = 0.82, z + 0.15
                mesh.face(
                    [(0.35, -y, top), (1.0, -y, top), (1.0, y, top), (0.35, y, top)],
                    M.HOUSING,
                )
                mesh.face(
                    [(0.35, y, top), (1.0, y, top), (1.0, -y, top), (0.35, -y, top)],
                    M.HOUSING,
                )
    return [near, far]


def stop_sign() -> Mesh:
    """An octagon in the plane x = 0 that faces +x, radius 1 around z = 0: red with a white rim and a white bar."""
    mesh = Mesh()
    for x, r, material in ((0.0, 1.0, M.SIGN_WHITE), (0.01, 0.9, M.SIGN_RED)):
        mesh.face(
            [(x, r * cos(pi / 4 * (i + 0.5)), r * sin(pi / 4 * (i + 0.5))) for i in range(8)],
            material,
        )
    for y in (-0.52, -0.18, 0.16, 0.5):  # four letters, seen as four bars
        mesh.face(
            [
                (0.02, y - 0.1, -0.24),
                (0.02, y + 0.1, -0.24),
                (0.02, y + 0.1, 0.24),
                (0.02, y - 0.1, 0.24),
            ],
            M.SIGN_WHITE,
        )
    mesh.face(
        [(-0.01, r, s) for r, s in ((cos(-pi / 4 * (i + 0.5)), sin(-pi / 4 * (i + 0.5))) for i in range(8))],
        M.SIGN_BACK,
    )
    return mesh


def yield_sign() -> Mesh:
    """A triangle on its tip, white with a red rim."""
    mesh = Mesh()
    for x, r, material in ((0.0, 1.0, M.SIGN_RED), (0.01, 0.62, M.SIGN_WHITE)):
        mesh.face(
            [(x, r * cos(a), r * sin(a)) for a in (pi / 6, 5 * pi / 6, 3 * pi / 2)],
            material,
        )
    mesh.face([(-0.01, cos(a), sin(a)) for a in (5 * pi / 6, pi / 6, 3 * pi / 2)], M.SIGN_BACK)
    return mesh


def speed_sign() -> Mesh:
    """A round white plate with a red rim."""
    mesh = Mesh()
    for x, r, material in ((0.0, 1.0, M.SIGN_RED), (0.01, 0.78, M.SIGN_WHITE)):
        mesh.face(
            [(x, r * cos(2 * pi * i / 12), r * sin(2 * pi * i / 12)) for i in range(12)],
            material,
        )
    for y in (-0.3, 0.3):
        mesh.face(
            [
                (0.02, y - 0.18, -0.34),
                (0.02, y + 0.18, -0.34),
                (0.02, y + 0.18, 0.34),
                (0.02, y - 0.18, 0.34),
            ],
            M.TRIM,
        )
    mesh.face(
        [(-0.01, cos(-2 * pi * i / 12), sin(-2 * pi * i / 12)) for i in range(12)],
        M.SIGN_BACK,
    )
    return mesh


def street_lamp_head() -> Mesh:
    """A flat lamp body, its light on the underside."""
    mesh = Mesh().box((-1, 1), (-1, 1), (0, 1), M.METAL)
    return mesh.face(
        [
            (-0.9, 0.9, -0.02),
            (0.9, 0.9, -0.02),
            (0.9, -0.9, -0.02),
            (-0.9, -0.9, -0.02),
        ],
        M.STREET_LAMP,
    )


def cone() -> Mesh:
    mesh = Mesh().box((-1, 1), (-1, 1), (0, 0.06), M.TRIM)
    return (
        mesh.join(Mesh().prism([0.62, 0.42], (0.06, 0.42), 7, M.CONE))
        .join(Mesh().prism([0.42, 0.28], (0.42, 0.66), 7, M.SIGN_WHITE))
        .join(Mesh().prism([0.28, 0.12], (0.66, 1.0), 7, M.CONE, M.CONE))
    )
