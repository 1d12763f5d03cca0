"""The binary mesh that the client's walkers steer by: a Recast "MSET" file with one Detour tile.

The client feeds the file to Detour without looking, and a malformed one crashes it. So `check` reads every file back,
in its own words, before it is sent.

Layout (little endian), as Recast's sample writes it: the set's header, its parameters, then for each tile a reference,
a size and Detour's tile: header, corners, polygons, links (room only), detail meshes, detail triangles. Axes: x, up, y
of CARLA. A polygon has at most six corners, turned counter-clockwise in our frame.
"""

from __future__ import annotations

import struct

import numpy as np

from roadcraft.sim.embedded.server.walkways import CROSSWALK, SIDEWALK, Plan, convex, plan
from roadcraft.sim.roads import RoadNetwork

SET_MAGIC, SET_VERSION = 0x4D534554, 1
TILE_MAGIC, TILE_VERSION = 0x444E4156, 7
CORNERS = 6  # room for corners in a polygon
MOST_CORNERS = 0xFFFE  # of a tile
NO_LINK = 0xFFFFFFFF
FLAGS = {SIDEWALK: 2, CROSSWALK: 4}  # Detour flags of CARLA's areas
HEIGHT, RADIUS, CLIMB = 1.8, 0.3, 0.5  # [m] of a walker
BELOW, ABOVE = 1.0, 3.0  # [m] of the box around the ground
_POLYGON = struct.Struct(f"<I{CORNERS}H{CORNERS}HHBB")
_DETAIL = struct.Struct("<IIBBH")
_HEADER = struct.Struct("<15i10f")
_SET = struct.Struct("<3i5f2i")
_TILE = struct.Struct("<Ii")
_LINK_SIZE = 12


class MeshError(Exception):
    """A mesh that would crash a client."""


def build(network: RoadNetwork) -> bytes:
    """The file for a town, yet to be checked; empty where there is nowhere to walk."""
    walkways = plan(network)
    return encode(walkways) if walkways.polygons else b""


def neighbours(walkways: Plan) -> list[list[int]]:
    """For each side of each polygon the polygon beyond it, -1 for none."""
    sides: dict[tuple[int, int], int] = {}
    for k, polygon in enumerate(walkways.polygons):
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            sides[a, b] = k
    return [
        [sides.get((b, a), -1) for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)]
        for polygon in walkways.polygons
    ]


def encode(walkways: Plan) -> bytes:
    """The file of a plan."""
    used = sorted({corner for polygon in walkways.polygons for corner in polygon})
    renumbered = {corner: k for k, corner in enumerate(used)}
    if len(used) > MOST_CORNERS:
        raise MeshError(f"{len(used)} corners are too many for one tile")
    points = np.array([walkways.corners[corner] for corner in used]) * [1.0, -1.0, 1.0]  # CARLA's y
    corners = points[:, [0, 2, 1]].astype("<f4")
    polygons: list[bytes] = []
    details: list[bytes] = []
    triangles: list[bytes] = []
    beyond = neighbours(walkways)
    for k, polygon in enumerate(walkways.polygons):
        count, spare = len(polygon), [0] * (CORNERS - len(polygon))
        area = walkways.areas[k]
        numbers = [renumbered[corner] for corner in polygon]
        sides = [other + 1 for other in beyond[k]]
        polygons.append(_POLYGON.pack(NO_LINK, *numbers, *spare, *sides, *spare, FLAGS[area], count, area))
        details.append(_DETAIL.pack(0, len(triangles), 0, count - 2, 0))
        for corner in range(1, count - 1):
            # Two bits a side: 1 where the triangle's side is the polygon's own.
            own = (corner == 1) << 0 | 1 << 2 | (corner == count - 2) << 4
            triangles.append(bytes([0, corner, corner + 1, own]))
    number = len(polygons)
    low, high = corners.min(0), corners.max(0)
    low[1], high[1] = low[1] - BELOW, high[1] + ABOVE
    links = CORNERS * number
    header = _HEADER.pack(
        TILE_MAGIC, TILE_VERSION, 0, 0, 0, 0, number, len(corners), links, number, 0, len(triangles), 0, 0, number,
        HEIGHT, RADIUS, CLIMB, *map(float, low), *map(float, high), 10.0,
    )  # fmt: skip
    tile = b"".join((header, corners.tobytes(), *polygons, bytes(_LINK_SIZE * links), *details, *triangles))
    bits = max(1, (number - 1).bit_length())
    size = (float(high[0] - low[0]), float(high[2] - low[2]))
    head = _SET.pack(SET_MAGIC, SET_VERSION, 1, *map(float, low), *size, 1, 1 << bits)
    return head + _TILE.pack(1 << bits, len(tile)) + tile


def check(data: bytes) -> None:
    """Reads a file as Detour would and raises MeshError for whatever it would choke on."""
    try:
        magic, version, tiles, *rest = _SET.unpack_from(data)
        reference, size = _TILE.unpack_from(data, _SET.size)
        header = _HEADER.unpack_from(data, _SET.size + _TILE.size)
    except struct.error as error:
        raise MeshError(f"cut short: {error}") from None
    _expect((magic, version, tiles, rest[5]) == (SET_MAGIC, SET_VERSION, 1, 1), "wrong set header")
    at = _SET.size + _TILE.size
    _expect(size == len(data) - at and reference == rest[6] > 0, "wrong tile header")
    number, corner_count, links, detail_count, detail_corners, triangle_count, tree, extra, base = header[6:15]
    _expect(header[:2] == (TILE_MAGIC, TILE_VERSION) and header[2:6] == (0, 0, 0, 0), "wrong tile")
    _expect(0 < number <= rest[6] and detail_count == base == number and tree == extra == detail_corners == 0, "counts")
    at += _HEADER.size
    expected = at + 12 * corner_count + _POLYGON.size * number + _LINK_SIZE * links + _DETAIL.size * number
    _expect(expected + 4 * triangle_count == len(data), "the sizes do not add up")
    corners = np.frombuffer(data, "<f4", 3 * corner_count, at).reshape(-1, 3)
    low, high = np.array(header[18:21], np.float32), np.array(header[21:24], np.float32)
    _expect(bool(np.isfinite(corners).all()), "corners that are no numbers")
    _expect(bool((corners >= low).all() and (corners <= high).all()), "corners outside the box")
    at += 12 * corner_count
    polygons = [_POLYGON.unpack_from(data, at + k * _POLYGON.size) for k in range(number)]
    used = 0
    for k, polygon in enumerate(polygons):
        used += _check_polygon(k, polygon, polygons, corners)
    _expect(used <= links, "too little room for links")
    at += _POLYGON.size * number + _LINK_SIZE * links
    _check_details(data, at, polygons, triangle_count)


def _check_polygon(k: int, polygon: tuple[int, ...], polygons: list[tuple[int, ...]], corners: np.ndarray) -> int:
    """Checks one polygon; the number of its links."""
    count, area, flags = polygon[14], polygon[15] & 63, polygon[13]
    where = f"polygon {k}"
    _expect(3 <= count <= CORNERS and polygon[15] >> 6 == 0, f"{where}: {count} corners")
    numbers, sides = polygon[1 : 1 + count], polygon[7 : 7 + count]
    _expect(max(numbers) < len(corners) and len(set(numbers)) == count, f"{where}: wrong corners")
    _expect(area in FLAGS and flags == FLAGS[area], f"{where}: area {area}, flags {flags}")
    plane = corners[list(numbers)][:, [0, 2]].astype(float) * [1.0, -1.0]
    _expect(convex(plane), f"{where} is not convex, or turned the wrong way")
    for side, other in enumerate(sides):
        if other == 0:
            continue
        _expect(other <= len(polygons) and other != k + 1, f"{where}: neighbour {other}")
        theirs = polygons[other - 1]
        their_numbers, their_sides = theirs[1 : 1 + theirs[14]], theirs[7 : 7 + theirs[14]]
        edge = (numbers[(side + 1) % count], numbers[side])
        back = [j for j, n in enumerate(their_sides) if n == k + 1]
        shared = [(their_numbers[j], their_numbers[(j + 1) % theirs[14]]) for j in back]
        _expect(edge in shared, f"{where} and {other - 1} do not share a side")
    return sum(other > 0 for other in sides)


def _check_details(data: bytes, at: int, polygons: list[tuple[int, ...]], triangle_count: int) -> None:
    """Checks that the detail triangles cover each polygon as a fan, with its own sides marked."""
    first = at + _DETAIL.size * len(polygons)
    begin = 0
    for k, polygon in enumerate(polygons):
        _, base, corners, triangles, _ = _DETAIL.unpack_from(data, at + k * _DETAIL.size)
        count = polygon[14]
        _expect((base, corners, triangles) == (begin, 0, count - 2), f"detail mesh {k}")
        for j in range(triangles):
            a, b, c, own = data[first + 4 * (begin + j) : first + 4 * (begin + j) + 4]
            _expect((a, b, c) == (0, j + 1, j + 2), f"detail triangle {j} of polygon {k}")
            wanted = (j == 0) | 1 << 2 | (j == triangles - 1) << 4
            _expect(own == wanted, f"detail triangle {j} of polygon {k} has sides {own:#x}")
        begin += triangles
    _expect(begin == triangle_count, "detail triangles left over")


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise MeshError(what)
