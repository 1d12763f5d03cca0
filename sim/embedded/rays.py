"""Ray casts against what the renderer draws: the same meshes, so that lidar and depth images agree.

Lamps and plates alone are drawn a little outside a vehicle's box; rays meet them on it, as CARLA's do.

A ray is taken into the unit space of each mesh that it may meet and cut with its flat convex faces. Standing things are
found through a grid of cells, each tried at most once a ray, moving ones by their bounding balls. The ground is that of
pictures too, see `relief`.
"""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import cos, floor, sin, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief import CONCRETE, ON_DECK
from roadcraft.sim.embedded.relief_rays import met
from roadcraft.sim.embedded.render import models
from roadcraft.sim.embedded.render.mesh import Library
from roadcraft.sim.embedded.render.models import Model
from roadcraft.sim.embedded.render.parts import build_parts
from roadcraft.sim.embedded.town import Town
from roadcraft.sim.kernels import njit
from roadcraft.sim.messages import Kind
from roadcraft.sim.roads import ANY_KIND, DRIVING, SIDEWALK, LaneKind, lane_point, nearest_lane

CELL = 8.0  # [m] edge of a cell
NEAREST = 1e-3  # [m] before which nothing is hit
_PEDESTRIAN = int(Kind.PEDESTRIAN)
_SIDEWALK, _OTHER = int(LaneKind.SIDEWALK), int(LaneKind.OTHER)
_OTHERS = (DRIVING, ANY_KIND & ~(SIDEWALK | 1 << LaneKind.OTHER), SIDEWALK | DRIVING)  # there is always a road near
ROADS, SIDEWALKS, TERRAIN, BRIDGE = 1, 2, 10, 26  # CARLA's semantic tags of the ground

# A mesh in its place: world = xyz + basis @ unit.
ITEM = np.dtype(
    [
        ("xyz", np.float64, 3),
        ("inverse", np.float64, (3, 3)),  # world to unit space, without the shift
        ("centre", np.float64, 3),  # [m] world, of the bounding ball
        ("radius", np.float64),  # [m]
        ("mesh", np.int32),
        ("tag", np.uint8),
        ("id", np.uint32),  # of the body, 0 for standing things
    ]
)


class Solids(NamedTuple):
    """A town's standing things, sorted into cells row after row."""

    items: NDArray[np.void]  # (P,) ITEM
    origin: NDArray[np.float64]  # (2,) [m] lower corner
    shape: NDArray[np.int64]  # (2,) columns, rows
    start: NDArray[np.int32]  # (columns * rows + 1,)
    entry: NDArray[np.int32]  # items of each cell


@dataclass(frozen=True, slots=True)
class Hits:
    """What N rays met first."""

    distance: NDArray[np.float64]  # (N,) [m], inf for nothing
    id: NDArray[np.uint32]  # (N,) body, 0 for the town
    tag: NDArray[np.uint8]  # (N,) CARLA's semantic tag, 0 for nothing
    cosine: NDArray[np.float64]  # (N,) of the angle between the ray and the face's normal


class Rays:
    """Casts rays in one town."""

    def __init__(self, town: Town) -> None:
        library, self._models, self._walker = models.build()
        self._library = _boxed(library, self._models.mesh)
        self._grid, self._kinds = town.network.grid, np.ascontiguousarray(town.network.lanes["kind"])
        self._widest = float(town.network.width.max(initial=0.0)) / 2
        self._ground = town.relief
        self._solids = _solids(town, self._models.mesh[:, 0])
        self._bodies = np.zeros(16, ITEM)

    def cast(
        self,
        origin: tuple[float, float, float] | NDArray[np.float64],
        directions: NDArray[np.float64],
        reach: float,
        bodies: NDArray[np.void],
        hide: int = 0,
        tags: bool = True,
    ) -> Hits:
        """Casts rays from `origin` (3,) or origins (N, 3) [m] along unit vectors (N, 3), up to `reach` [m].

        `bodies` (B,) BODY; the one with the id `hide` is looked through. Without `tags` all ground is road: faster.
        """
        directions = np.ascontiguousarray(directions, np.float64)
        origins = np.ascontiguousarray(np.broadcast_to(np.asarray(origin, np.float64), directions.shape))
        if len(self._bodies) < len(bodies):
            self._bodies = np.zeros(2 * len(bodies), ITEM)
        middle = origins.mean(0) if len(origins) else np.zeros(3)
        spread = float(np.abs(origins - middle).max()) * 2 if len(origins) else 0.0
        count = _place_bodies(
            bodies, self._bodies, self._models.mesh, models.MODEL_OF, self._walker, TAG_OF, middle, reach + spread, hide
        )
        n = len(directions)
        hits = Hits(np.full(n, np.inf), np.zeros(n, np.uint32), np.zeros(n, np.uint8), np.zeros(n))
        _cast(
            origins, directions, reach, self._library, self._solids, self._bodies[:count], self._ground,
            self._grid, self._kinds, self._widest, tags, np.full(len(self._solids.items), -1, np.int32),
            hits.distance, hits.id, hits.tag, hits.cosine,
        )  # fmt: skip
        return hits


inlined = partial(njit, forceinline=True, error_model="numpy")  # calls would cost more than what they do
TAG_OF = np.array([14, 15, 16, 18, 19, 12, 21, 20], np.uint8)  # CARLA's semantic tag by messages.Kind


def _boxed(library: Library, mesh_of: NDArray[np.int32]) -> Library:
    """Lamps and plates, which pictures draw up to a hundredth before and behind a vehicle, pushed back to its box."""
    vertex, plane = library.vertex.copy(), library.plane.copy()
    for mesh in np.unique(mesh_of[Model.SEDAN : Model.BICYCLE + 1]):
        first, count, face, faces = library.mesh[mesh]
        vertex[first : first + count, 0] = vertex[first : first + count, 0].clip(-1.0, 1.0)
        upright = plane[face : face + faces]
        upright[(np.abs(upright[:, 0]) > 0.9999) & (upright[:, 3] > 1.0), 3] = 1.0
    return library._replace(vertex=vertex, plane=plane)


def _solids(town: Town, mesh_of: NDArray[np.int32]) -> Solids:
    parts, _ = build_parts(town.scenery, town.network, town.relief)
    items = np.zeros(len(parts), ITEM)
    items["xyz"], items["tag"], items["mesh"] = parts["xyz"], parts["tag"], mesh_of[parts["model"]]
    items["centre"], items["radius"] = parts["xyz"] + parts["center"], parts["radius"]
    if len(parts):
        items["inverse"] = np.linalg.inv(parts["basis"].reshape(-1, 3, 3).astype(float))
    xy = np.concatenate([town.network.xy, items["centre"][:, :2]]) if len(parts) else town.network.xy
    origin = xy.min(0) - 2 * CELL
    shape = ((xy.max(0) + 2 * CELL - origin) // CELL).astype(np.int64) + 1
    cells: list[tuple[int, int]] = []
    for k, item in enumerate(items):
        low = np.floor((item["centre"][:2] - item["radius"] - origin) / CELL).astype(int).clip(0, shape - 1)
        high = np.floor((item["centre"][:2] + item["radius"] - origin) / CELL).astype(int).clip(0, shape - 1)
        cells += [(r * int(shape[0]) + c, k) for r in range(low[1], high[1] + 1) for c in range(low[0], high[0] + 1)]
    table = np.array(sorted(cells), np.int32).reshape(-1, 2)
    start = np.searchsorted(table[:, 0], np.arange(shape[0] * shape[1] + 1)).astype(np.int32)
    return Solids(items, origin, shape, start, np.ascontiguousarray(table[:, 1]))


@njit
def _place_bodies(bodies, items, mesh, model_of, walker, tags, middle, reach, hide):
    """Fills `items` with the bodies within reach; their number."""
    count = 0
    for i in range(bodies.shape[0]):
        b = bodies[i]
        if b.id == 0 or b.id == hide:
            continue
        ex, ey, ez = b.extent[0], b.extent[1], 2 * b.extent[2]
        radius = sqrt(ex * ex + ey * ey + ez * ez / 4)
        dx, dy = b.xyz[0] - middle[0], b.xyz[1] - middle[1]
        if dx * dx + dy * dy > (reach + radius) ** 2:
            continue
        cy, sy, cp, sp, cr, sr = cos(b.yaw), sin(b.yaw), cos(b.pitch), sin(b.pitch), cos(b.roll), sin(b.roll)
        item = items[count]
        # Columns of the rotation are the body's axes; rows of the inverse are these over their half sizes.
        item.inverse[0, 0], item.inverse[0, 1], item.inverse[0, 2] = cy * cp / ex, sy * cp / ex, -sp / ex
        item.inverse[1, 0] = (cy * sp * sr - sy * cr) / ey
        item.inverse[1, 1] = (sy * sp * sr + cy * cr) / ey
        item.inverse[1, 2] = cp * sr / ey
        up0, up1, up2 = cy * sp * cr + sy * sr, sy * sp * cr - cy * sr, cp * cr
        item.inverse[2, 0], item.inverse[2, 1], item.inverse[2, 2] = up0 / ez, up1 / ez, up2 / ez
        for k in range(3):
            item.xyz[k] = b.xyz[k]
        item.centre[0], item.centre[1] = b.xyz[0] + up0 * ez / 2, b.xyz[1] + up1 * ez / 2
        item.centre[2] = b.xyz[2] + up2 * ez / 2
        item.radius, item.id, item.tag = radius, b.id, tags[b.kind]
        item.mesh = walker[3] if b.kind == _PEDESTRIAN else mesh[model_of[b.blueprint], 0]
        count += 1
    return count


@inlined
def _meet(library, item, ox, oy, oz, dx, dy, dz, best):
    """(distance, face) of the nearest outer face of an item before `best`; face -1 when there is none."""
    cx, cy, cz = item.centre[0] - ox, item.centre[1] - oy, item.centre[2] - oz
    along = cx * dx + cy * dy + cz * dz
    away = cx * cx + cy * cy + cz * cz - along * along
    r2 = item.radius * item.radius
    if away > r2 or along + item.radius < 0.0 or along - item.radius > best:  # the bounding ball first
        return best, -1
    px, py, pz = ox - item.xyz[0], oy - item.xyz[1], oz - item.xyz[2]
    m = item.inverse
    ux, vx = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz, m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz
    uy, vy = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz, m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz
    uz, vz = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz, m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz
    found = -1
    first, count = library.mesh[item.mesh, 2], library.mesh[item.mesh, 3]
    shift = library.mesh[item.mesh, 0]
    for face in range(first, first + count):
        nx, ny, nz = library.plane[face, 0], library.plane[face, 1], library.plane[face, 2]
        slope = nx * vx + ny * vy + nz * vz
        if slope >= -1e-12:
            continue
        t = (library.plane[face, 3] - (nx * ux + ny * uy + nz * uz)) / slope
        if not NEAREST < t < best:
            continue
        x, y, z = ux + t * vx, uy + t * vy, uz + t * vz
        if _inside(library, face, shift, x, y, z, nx, ny, nz):
            best, found = t, face
    return best, found


@inlined
def _inside(library, face, shift, x, y, z, nx, ny, nz):
    """Whether a point of a face's plane lies within the face, whose corners go counter-clockwise."""
    first, count = library.face[face, 0], library.face[face, 1]
    k = shift + library.corner[first + count - 1]
    ax, ay, az = library.vertex[k, 0], library.vertex[k, 1], library.vertex[k, 2]
    for i in range(count):
        k = shift + library.corner[first + i]
        bx, by, bz = library.vertex[k, 0], library.vertex[k, 1], library.vertex[k, 2]
        ex, ey, ez = bx - ax, by - ay, bz - az
        qx, qy, qz = x - ax, y - ay, z - az
        if nx * (ey * qz - ez * qy) + ny * (ez * qx - ex * qz) + nz * (ex * qy - ey * qx) < -1e-6:
            return False
        ax, ay, az = bx, by, bz
    return True


@njit(error_model="numpy")
def _cast(
    starts, rays, reach, library, solids, bodies, ground, roads, kinds, widest, tags, tried, distance, owner, tag,
    cosine,
):  # fmt: skip
    for i in range(rays.shape[0]):
        ox, oy, oz = starts[i, 0], starts[i, 1], starts[i, 2]
        dx, dy, dz = rays[i, 0], rays[i, 1], rays[i, 2]
        face, which, moving = -1, -1, False
        best, nx, ny, nz, what = met(ground, ox, oy, oz, dx, dy, dz, NEAREST, reach)
        below = best < reach
        for j in range(bodies.shape[0]):
            best, hit = _meet(library, bodies[j], ox, oy, oz, dx, dy, dz, best)
            if hit >= 0:
                face, which, moving, below = hit, j, True, False
        best, hit, item = _walk(library, solids, tried, i, ox, oy, oz, dx, dy, dz, best)
        if hit >= 0:
            face, which, moving, below = hit, item, False, False
        if below:
            distance[i], cosine[i] = best, -(nx * dx + ny * dy + nz * dz)
            tag[i] = np.uint8(BRIDGE) if what == CONCRETE else np.uint8(ROADS)
            if tags and what != CONCRETE:
                tag[i] = _ground_tag(roads, kinds, widest, ox + best * dx, oy + best * dy)
                if what == ON_DECK and tag[i] == TERRAIN:  # by rounding, at the border
                    tag[i] = np.uint8(ROADS)
        elif face >= 0:
            thing = bodies[which] if moving else solids.items[which]
            distance[i], owner[i], tag[i] = best, thing.id, thing.tag
            cosine[i] = _facing(library, thing, face, dx, dy, dz)


@inlined
def _walk(library, solids, tried, ray, ox, oy, oz, dx, dy, dz, best):
    """The nearest standing thing along a ray, cell by cell: (distance, face, item).

    `tried` (P,): the last ray that each item was tried with.
    """
    x, y = (ox - solids.origin[0]) / CELL, (oy - solids.origin[1]) / CELL
    column, row = floor(x), floor(y)
    step_x, step_y = 1 if dx > 0 else -1, 1 if dy > 0 else -1
    delta_x = CELL / abs(dx) if abs(dx) > 1e-12 else 1e30
    delta_y = CELL / abs(dy) if abs(dy) > 1e-12 else 1e30
    next_x = ((column + 1 - x) if dx > 0 else (x - column)) * delta_x
    next_y = ((row + 1 - y) if dy > 0 else (y - row)) * delta_y
    entered, face, found = 0.0, -1, -1
    while entered < best:
        if 0 <= column < solids.shape[0] and 0 <= row < solids.shape[1]:
            cell = row * solids.shape[0] + column
            for k in range(solids.start[cell], solids.start[cell + 1]):
                item = solids.entry[k]
                if tried[item] == ray:
                    continue
                tried[item] = ray
                best, hit = _meet(library, solids.items[item], ox, oy, oz, dx, dy, dz, best)
                if hit >= 0:
                    face, found = hit, item
        if next_x < next_y:
            entered, next_x, column = next_x, next_x + delta_x, column + step_x
        else:
            entered, next_y, row = next_y, next_y + delta_y, row + step_y
        if (column < 0 and step_x < 0) or (column >= solids.shape[0] and step_x > 0):
            break
        if (row < 0 and step_y < 0) or (row >= solids.shape[1] and step_y > 0):
            break
    return best, face, found


@inlined
def _facing(library, item, face, dx, dy, dz):
    """Cosine between the ray, reversed, and the face's outward normal in the world."""
    m, n = item.inverse, library.plane[face]
    wx = m[0, 0] * n[0] + m[1, 0] * n[1] + m[2, 0] * n[2]
    wy = m[0, 1] * n[0] + m[1, 1] * n[1] + m[2, 1] * n[2]
    wz = m[0, 2] * n[0] + m[1, 2] * n[1] + m[2, 2] * n[2]
    return -(wx * dx + wy * dy + wz * dz) / sqrt(wx * wx + wy * wy + wz * wz)


@njit
def _ground_tag(roads, kinds, widest, x, y):
    """What the ground is. The nearest middle of a lane may be that of a narrow one beside the lane that one is on;
    nobody is on a lane whose middle is further away than `widest` [m], half the width of the widest.
    """
    lane, off, half = _beside(roads, x, y, ANY_KIND)
    if half < off < widest:
        for mask in _OTHERS:
            lane, off, half = _beside(roads, x, y, mask)
            if off <= half:
                break
    if off > half or kinds[lane] == _OTHER:
        return np.uint8(TERRAIN)
    return np.uint8(SIDEWALKS if kinds[lane] == _SIDEWALK else ROADS)


@njit
def _beside(roads, x, y, mask):
    """The nearest lane of these kinds, how far [m] its middle is, inf when there is none, and half its width."""
    lane, s, lateral = nearest_lane(roads, x, y, 0.0, False, mask)
    return lane, abs(lateral), lane_point(roads, lane, s)[3] / 2 if lane >= 0 else 0.0
