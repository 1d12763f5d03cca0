"""The baked ground as it lies in memory: tiles of texels at several sizes, and the texel at a place."""

# Kernels take records and named tuples of arrays, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.render.compiled import part

TILE_BITS = 7
TILE = 1 << TILE_BITS  # texels along a tile's edge at level 0
LEVELS = 8
TEXEL = 0.05  # [m] at level 0
FINEST = np.float32(1.0)  # [texels] width of a pixel up to which a level is fine enough
HAZES = 64  # palettes from clear air to nothing but fog, for each of STATES_DAY shadows or night.STATES brightnesses
STATES_DAY = 4


class Ground(NamedTuple):
    """The baked ground: codes into a palette at LEVELS sizes of texel."""

    origin: NDArray[np.float64]  # (2,) [m] lower corner of tile (0, 0)
    tiles: NDArray[np.int32]  # (TY, TX) number of the tile that lies there
    data: NDArray[np.uint8]  # level after level, tile after tile, row after row (y up)
    offset: NDArray[np.int64]  # (LEVELS,) first code of each level


@part
def texel(ground, level, ix, iy):
    """The code at texel (ix, iy) of a level, held at the borders."""
    bits = TILE_BITS - level
    ix = min(max(ix, 0), (ground.tiles.shape[1] << bits) - 1)
    iy = min(max(iy, 0), (ground.tiles.shape[0] << bits) - 1)
    tile, mask = np.int64(ground.tiles[iy >> bits, ix >> bits]), (1 << bits) - 1
    return ground.data[ground.offset[level] + (tile << (2 * bits)) + ((iy & mask) << bits) + (ix & mask)]


@part
def level_for(across):
    """Level of the pyramid for pixels that are `across` [m] wide on the ground."""
    level = 0
    size = across / np.float32(TEXEL)
    while size > FINEST and level < LEVELS - 1:
        size *= np.float32(0.5)
        level += 1
    return level
