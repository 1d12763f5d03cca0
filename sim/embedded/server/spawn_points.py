"""The spawn points that clients are told: those on which the largest vehicles can stand side by side and in a row.

Scripts fill all points of a map with vehicles of any kind and expect that none is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.bins import WIDEST_HULL, is_free, make_bins, separation
from roadcraft.sim.embedded.bodies import BODY
from roadcraft.sim.embedded.catalogue import VEHICLES
from roadcraft.sim.embedded.relief import height_at
from roadcraft.sim.embedded.town import Town

LENGTH = max(vehicle.extent[0] for vehicle in VEHICLES)  # [m] half of the longest's
LOW, HIGH = 0.6, 5.0  # [m] above the road: what is between is in the way
GAP = 0.05  # [m] on each side: positions are rounded on the wire


def told_spawns(town: Town) -> NDArray[np.float64]:
    """(M, 3) x, y [m], yaw [rad] of the network's spawn points, without those too close to scenery or one before."""
    spawns, bins, nobody = town.network.spawns, make_bins(town.network.xy, town.scenery), np.zeros(0, BODY)
    half = LENGTH + GAP, WIDEST_HULL + GAP
    kept: list[int] = []
    for k, (x, y, yaw) in enumerate(spawns.tolist()):
        others = spawns[kept]
        near = others[np.hypot(others[:, 0] - x, others[:, 1] - y) < 2.0 * np.hypot(*half)].tolist()
        alone = all(separation(x, y, yaw, *half, *other, *half)[0] < 0.0 for other in near)
        low = height_at(town.relief, x, y) + LOW
        if alone and is_free(nobody, bins.frame, bins.cells, bins.solids, x, y, low, yaw, *half, HIGH) == -1:
            kept.append(k)
    return spawns[kept]
