"""The ground of a network, made when there is none in the cache yet."""

from __future__ import annotations

import sys

import numpy as np

from roadcraft.sim import roads
from roadcraft.sim.cache import Arrays, cached, digest, source_digest
from roadcraft.sim.embedded import relief, relief_grid, relief_mesh
from roadcraft.sim.embedded.relief import Ground, Relief, flat
from roadcraft.sim.roads import RoadNetwork

MAKERS = (relief, relief_grid, relief_mesh, roads)
FLAT = 0.02  # [m] up to which heights do not count


def load_relief(network: RoadNetwork) -> Ground:
    """A plane for a map that lies at z = 0, else its mesh."""
    if np.abs(network.z).max(initial=0.0) <= FLAT:
        return flat()
    key = f"relief-{digest(network.xodr)}-{source_digest(*MAKERS, sys.modules[__name__])}"
    arrays = cached(key, lambda: make(network))
    return Relief(*(arrays[name] for name in Relief._fields))


def make(network: RoadNetwork) -> Arrays:
    """The arrays of a Relief."""
    return relief_mesh.build(*relief_grid.heights(network))._asdict()
