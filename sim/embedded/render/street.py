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


def _blob(center: Point, radius: Point, seed: int, rings: int, corners: int, dark_below: float) -> Mesh:
    """A lumpy closed ball; triangles keep its faces flat."""
    rng = np.random.default_rng(seed)
    mesh = Mesh()
    layers = []
    for k in range(1, rings):
        polar = pi * k / rings
        turn = pi / corners * (k % 2)
        r = 1 + rng.uniform(-0.16, 0.16, corners)
        layers.append(
            [
                (
                    center[0] + radius[0] * r[i] * sin(polar) * cos(2 * pi * i / corners + turn),
                    center[1] + radius[1] * r[i] * sin(polar) * sin(2 * pi * i / corners + turn),
                    center[2] - radius[2] * cos(polar) * (0.9 + 0.1 * r[i]),
                )
                for i in range(corners)
            ]
        )
    bottom = (center[0], center[1], center[2] - radius[2])
    top = (center[0], center[1], center[2] + radius[2])

    def add(*p: Point) -> None:
        low = sum(q[2] for q in p) / 3 < center[2] + radius[2] * dark_below
        mesh.face(p, M.LEAVES_LOW if low else M.LEAVES)

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


def tree(variant: int) -> list[Mesh]:
    """Crown of one tree near, middling and far; the trunk is a post of its own."""
    rng = np.random.default_rng(100 + variant)
    near = _blob((0.0, 0.0, 0.62), (0.78, 0.78, 0.30), 7 * variant + 1, 5, 7, -0.25)
    for i in range(3):
        a = 2 * pi * i / 3 + rng.uniform(0, 1)
        center = (0.45 * cos(a), 0.45 * sin(a), 0.56 + rng.uniform(-0.06, 0.16))
        near.join(_blob(center, (0.5, 0.5, 0.22), 7 * variant + 2 + i, 4, 6, -0.2))
    middle = _blob((0.0, 0.0, 0.62), (0.9, 0.9, 0.34), 7 * variant + 5, 4, 6, -0.2)
    far = Mesh().prism([0.55, 0.95, 0.6], [0.3, 0.6, 0.96], 5, M.LEAVES, M.LEAVES)
    return [near, middle, far]


def bush() -> list[Mesh]:
    near = _blob((0.0, 0.0, 0.45), (0.98, 0.98, 0.5), 77, 4, 7, -0.3)
    return [near, Mesh().prism([0.9, 0.7], [0.0, 0.95], 5, M.LEAVES, M.LEAVES)]


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
