"""Built-in walkers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.roads import RoadNetwork

STROLLER = np.dtype([("random", np.uint64)])


def make_paths(network: RoadNetwork) -> Any:
    return network


def engage(paths: Any, bodies: NDArray[np.void], strollers: NDArray[np.void], row: int) -> None:
    pass


def stroll(*args: Any) -> None:
    pass
