"""The ground of a network, made when there is none in the cache yet."""

from __future__ import annotations

import sys

import numpy as np

from roadcraft.sim import roads
from roadcraft.sim.cache import Arrays, cached, digest, source_digest
from roadcraft.sim.embedded import relief, relief_decks, relief_grid, relief_mesh
from roadcraft.sim.embedded.relief import Ground, Relief, flat
from roadcraft.sim.roads import RoadNetwork

MAKERS = (relief, relief_decks, relief_grid, relief_mesh, roads)
FLAT = 0.02  # [m] up to which heights do not count


def is_flat(network: RoadNetwork) -> bool:
    """Whether a map lies at z = 0."""
    return bool(np.abs(network.z).max(initial=0.0) <= FLAT)


def load_relief(network: RoadNetwork) -> Ground:
    """A plane for a map that lies at z = 0, else its mesh."""
    if is_flat(network):
        return flat()
    key = f"relief-{digest(network.xodr)}-{source_digest(*MAKERS, sys.modules[__name__])}"
    arrays = cached(key, lambda: make(network))
    return Relief(*(arrays[name] for name in Relief._fields))


def make(network: RoadNetwork) -> Arrays:
    """The arrays of a Relief."""
    frame, shape = relief_grid.frame_of(network)
    above = relief_decks.bridges(network, frame, shape)
    low = [at for lane in range(len(network.lanes)) for at in relief_decks.pieces(network, lane, above, False)]
    z, pinned = relief_grid.heights(network, frame, shape, low)
    return relief_mesh.build(frame, z, pinned, relief_decks.decks(network, frame, shape, above))._asdict()
