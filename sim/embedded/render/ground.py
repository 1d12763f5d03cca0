"""Bakes a town's ground from its road network: what is where at 5 cm, then how it looks, then a pyramid of it.

A label a texel is painted first, lower surfaces before higher ones: grass, sidewalks, roadway, lines. Colour comes
from the label, from noise and from where in its lane a texel lies. The result is one file of codes (see `palette`),
mapped into memory so that all processes of a machine share it.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.cache import cache_dir, digest, source_digest, write_atomically
from roadcraft.sim.embedded import relief_decks
from roadcraft.sim.embedded.render import ground_layers, ground_look, ground_paint, markings, palette
from roadcraft.sim.embedded.render.ground_layers import Layer, on_decks, on_ground, reaches
from roadcraft.sim.embedded.render.ground_look import LEVELS, TEXEL, TILE, Ground
from roadcraft.sim.embedded.render.ground_paint import (
    GRASS,
    PAVEMENT,
    ROADWAY,
    TERRAIN_TILES,
    fill_polygon,
    finish_tiles,
    paint_strip,
    touch_polygon,
)
from roadcraft.sim.embedded.render.markings import Stripe, lane_stripes, turn_arrows
from roadcraft.sim.roads import LaneKind, RoadNetwork

MAKERS = (relief_decks, ground_layers, ground_look, ground_paint, markings, palette)
MARGIN = 60.0  # [m] of grass around the lanes, in tiles of their own pattern
TILE_METRES = TILE * TEXEL


def load_ground(network: RoadNetwork) -> Ground:
    """The baked ground of a network, from the cache when it was baked before."""
    return _load(network, "ground", bake_ground)


def load_decks(network: RoadNetwork) -> Ground:
    """The same for what lies on bridges: where no lane is on one it is nothing but roadway."""
    return _load(network, "decks", bake_decks)


def _load(network: RoadNetwork, name: str, bake: Callable[[RoadNetwork], Ground]) -> Ground:
    key = f"{name}-{digest(network.xodr)}-{source_digest(*MAKERS, sys.modules[__name__])}"
    path = cache_dir() / f"{key}.npy"
    origin, shape = _bounds(network)
    try:
        blob = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, OSError, EOFError):
        write_atomically(path, lambda file: np.save(file, _blob(bake(network)), allow_pickle=False))
        blob = np.load(path, mmap_mode="r", allow_pickle=False)
    count = shape[0] * shape[1]
    tiles = np.frombuffer(blob[: 4 * count].tobytes(), np.int32).reshape(shape)
    return Ground(origin, tiles, np.asarray(blob[4 * count :]), _offsets(tiles)[:-1])


def bake_ground(network: RoadNetwork) -> Ground:
    """Bakes without the cache."""
    return _bake(network, on_ground(network), GRASS)


def bake_decks(network: RoadNetwork) -> Ground:
    """Bakes without the cache what lies on bridges."""
    return _bake(network, on_decks(network), ROADWAY)


def _bake(network: RoadNetwork, layer: Layer, bare: int) -> Ground:
    """Bakes some pieces of lanes; what else there is has the label `bare`."""
    origin, shape = _bounds(network)
    tiles = _tile_map(network, layer, origin, shape)
    count = int(tiles.max()) + 1
    label = np.full((count, TILE, TILE), bare, np.uint8)
    lateral = np.full((count, TILE, TILE), 255, np.uint8)
    _paint(network, layer, origin, tiles, label, lateral)
    offsets = _offsets(tiles)
    data = np.zeros(int(offsets[-1]), np.uint8)
    where = np.zeros((count, 2), np.int32)
    where[tiles.ravel(), 0] = np.tile(np.arange(shape[1]), shape[0])
    where[tiles.ravel(), 1] = np.repeat(np.arange(shape[0]), shape[1])
    finish_tiles(tiles, where, label, lateral, data, offsets, palette.quantiser())
    data.flags.writeable = tiles.flags.writeable = False  # as when mapped from the cache: one compiled kernel for both
    return Ground(origin, tiles, data, offsets[:-1])


def _blob(ground: Ground) -> NDArray[np.uint8]:
    return np.concatenate([np.frombuffer(ground.tiles.astype("<i4").tobytes(), np.uint8), ground.data])


def _offsets(tiles: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where each level begins, and the end."""
    sizes = [(int(tiles.max()) + 1) * (TILE >> level) ** 2 for level in range(LEVELS)]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _bounds(network: RoadNetwork) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Lower corner [m] and (rows, columns) of the tile map."""
    low = np.floor((network.xy.min(0) - MARGIN) / TILE_METRES) * TILE_METRES
    columns, rows = np.ceil((network.xy.max(0) + MARGIN - low) / TILE_METRES).astype(int)
    return low, (int(rows), int(columns))


def strip(network: RoadNetwork, at: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right border (n, 2) [m] of a run of a lane's points."""
    xy, yaw, half = network.xy[at], network.yaw[at], network.width[at, None] / 2
    normal = np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    return xy + normal * half, xy - normal * half


def _tile_map(
    network: RoadNetwork, layer: Layer, origin: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Numbers of tiles: the first TERRAIN_TILES are shared wherever no lane passes."""
    touched = np.zeros(shape, np.bool_)
    for at in (at for runs in layer for at in runs):
        left, right = strip(network, at)
        for i in range(len(left) - 1):
            touch_polygon(
                touched,
                (np.array([left[i], right[i], right[i + 1], left[i + 1]]) - origin) / TILE_METRES,
            )
    mixed = np.random.default_rng(5).integers(0, TERRAIN_TILES, shape).astype(np.int32)
    mixed[touched] = TERRAIN_TILES + np.arange(int(touched.sum()), dtype=np.int32)
    return mixed


SURFACE = {
    LaneKind.SIDEWALK: PAVEMENT,
    LaneKind.DRIVING: ROADWAY,
    LaneKind.PARKING: ROADWAY,
    LaneKind.SHOULDER: ROADWAY,
    LaneKind.BIKING: ROADWAY,
    LaneKind.OTHER: GRASS,
}


def _paint(
    network: RoadNetwork,
    layer: Layer,
    origin: NDArray[np.float64],
    tiles: NDArray[np.int32],
    label: NDArray[np.uint8],
    lateral: NDArray[np.uint8],
) -> None:
    """Labels of some pieces of lanes and of their marks; for lanes how far across a texel lies (0 to 254)."""
    kinds, some = network.lanes["kind"], reaches(network, layer)
    order = [
        LaneKind.SIDEWALK,
        LaneKind.SHOULDER,
        LaneKind.PARKING,
        LaneKind.BIKING,
        LaneKind.DRIVING,
    ]
    for kind in order:
        for at in (at for lane in np.flatnonzero(kinds == kind) for at in layer[lane]):
            left, right = strip(network, at)
            drive = kind == LaneKind.DRIVING
            paint_strip(
                tiles,
                label,
                lateral,
                (left - origin) / TEXEL,
                (right - origin) / TEXEL,
                SURFACE[kind],
                drive,
            )
    stripes = lane_stripes(network, ET.fromstring(network.xodr), some)
    for line in network.stop_lines:
        a, b = line[:2], line[2:]
        stripes.append(Stripe(np.stack([a, b]), 0.4))
    paints = {name: number for number, name in enumerate(palette.PAINTS)}
    for stripe in stripes:
        left, right = stripe.borders()
        code = ground_paint.WHITE + paints.get(stripe.color, 0)
        paint_strip(
            tiles,
            label,
            lateral,
            (left - origin) / TEXEL,
            (right - origin) / TEXEL,
            code,
            False,
        )
    for polygon in markings.zebra(network.crosswalks) + turn_arrows(network, some):
        fill_polygon(tiles, label, (polygon - origin) / TEXEL, ground_paint.WHITE)
