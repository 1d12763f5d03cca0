"""Built-in drivers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.roads import RoadNetwork

DRIVER = np.dtype([("random", np.uint64)])


def make_graph(network: RoadNetwork) -> Any:
    return network


def make_scratch(capacity: int, graph: Any) -> NDArray[np.void]:
    return np.zeros(capacity, DRIVER)


def engage(graph: Any, bodies: NDArray[np.void], drivers: NDArray[np.void], row: int) -> None:
    pass


def drive(*args: Any) -> None:
    pass
