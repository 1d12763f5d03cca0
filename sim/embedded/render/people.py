"""Meshes of people. Near, a walker is six parts that swing about hips and shoulders; far away, one mesh."""

from __future__ import annotations

from roadcraft.sim.embedded.render.materials import Material as M
from roadcraft.sim.embedded.render.mesh import Mesh

HIP, SHOULDER = 0.50, 0.80  # heights of the joints, unit space


def _limb(
    z_top: float,
    z_bottom: float,
    half: float,
    upper: int,
    lower: int,
    split: float,
    end: int,
    end_z: float,
) -> Mesh:
    """A limb that hangs from its joint at z_top, around the axis x = y = 0: three pieces from top to bottom."""
    mesh = Mesh()

    def ring(r: float, z: float, forward: float = 0.0) -> list[tuple[float, float, float]]:
        return [(-r, -r, z), (r + forward, -r, z), (r + forward, r, z), (-r, r, z)]

    mesh.shell(ring(half * 0.8, split), ring(half, z_top), upper, upper)
    mesh.shell(ring(half * 0.7, end_z), ring(half * 0.8, split), lower, -1)
    mesh.shell(ring(half * 0.75, z_bottom, half), ring(half * 0.72, end_z), end, -1)
    return mesh


def walker_parts() -> list[Mesh]:
    """Torso with head, leg, arm. x and y of the limbs are in units of the half length of a slim walker."""
    torso = Mesh()
    hips = [
        (-0.34, -0.46, HIP - 0.03),
        (0.34, -0.46, HIP - 0.03),
        (0.34, 0.46, HIP - 0.03),
        (-0.34, 0.46, HIP - 0.03),
    ]
    chest = [
        (-0.36, -0.66, 0.81),
        (0.36, -0.66, 0.81),
        (0.36, 0.66, 0.81),
        (-0.36, 0.66, 0.81),
    ]
    torso.shell(hips, chest, M.PAINT, M.PAINT)
    torso.prism([0.17, 0.17], [0.81, 0.86], 5, M.SKIN)
    head = Mesh().prism([0.22, 0.31, 0.31, 0.27], [0.845, 0.885, 0.93, 0.955], 7, M.SKIN, M.SKIN)
    torso.join(head)
    torso.join(Mesh().prism([0.325, 0.34, 0.2], [0.915, 0.96, 1.0], 7, M.HAIR, M.HAIR))
    back = [
        (-0.33, 0.26, 0.87),
        (-0.33, -0.26, 0.87),
        (-0.34, -0.26, 0.95),
        (-0.34, 0.26, 0.95),
    ]
    torso.face(back, M.HAIR)
    leg = _limb(HIP + 0.02, 0.0, 0.24, M.TROUSERS, M.TROUSERS, 0.27, M.SHOES, 0.06)
    arm = _limb(SHOULDER, 0.40, 0.155, M.PAINT, M.PAINT, 0.62, M.SKIN, 0.47)
    return [torso, leg, arm]


def walker_far() -> Mesh:
    """Trousers, coat and head as three boxes."""
    mesh = Mesh()
    mesh.box((-0.5, 0.5), (-0.42, 0.42), (0.0, 0.48), M.TROUSERS)
    mesh.box((-0.42, 0.42), (-0.74, 0.74), (0.46, 0.83), M.PAINT, floor=True)
    mesh.box((-0.3, 0.3), (-0.3, 0.3), (0.83, 0.95), M.SKIN)
    mesh.box((-0.33, 0.3), (-0.32, 0.32), (0.93, 1.0), M.HAIR)
    return mesh
