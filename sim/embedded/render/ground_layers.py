"""Which pieces of lanes lie on the ground and which on bridges, for each is painted of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief_decks import bridges, pieces
from roadcraft.sim.embedded.relief_grid import frame_of
from roadcraft.sim.embedded.relief_load import is_flat
from roadcraft.sim.roads import RoadNetwork

SHARED = 1.5  # [m] at a bridge's ends that are painted on both, since the one may show through the other there
Layer = list[list[slice]]  # for each lane (L) the runs of its points


def on_ground(network: RoadNetwork) -> Layer:
    """All but bridges."""
    return _split(network, False)


def on_decks(network: RoadNetwork) -> Layer:
    """Bridges alone."""
    return _split(network, True)


def _split(network: RoadNetwork, on: bool) -> Layer:
    above = np.zeros(len(network.xy), bool) if is_flat(network) else bridges(network, *frame_of(network))
    if not above.any():
        return [[] if on else [network.points(lane)] for lane in range(len(network.lanes))]
    every = range(len(network.lanes))
    return [[_longer(network, lane, at) for at in pieces(network, lane, above, on)] for lane in every]


def _longer(network: RoadNetwork, lane: int, at: slice) -> slice:
    """A run of a lane's points, SHARED longer at both ends where the lane is."""
    whole = network.points(lane)
    s = network.s[whole]
    low, high = network.s[at.start] - SHARED, network.s[at.stop - 1] + SHARED
    inside = np.flatnonzero((s >= low) & (s <= high))
    return slice(whole.start + int(inside[0]), whole.start + int(inside[-1]) + 1)


def reaches(network: RoadNetwork, layer: Layer) -> list[NDArray[np.float64]] | None:
    """For each lane (K, 2) where its runs begin and end [m] along it; None if they are the whole lanes."""
    if all(runs == [network.points(lane)] for lane, runs in enumerate(layer)):
        return None
    return [np.array([(network.s[at.start], network.s[at.stop - 1]) for at in runs]).reshape(-1, 2) for runs in layer]
