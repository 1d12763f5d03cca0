"""In which order roads are painted that lie above each other: what is below a bridge comes last."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.relief_decks import bridges
from roadcraft.sim.embedded.relief_grid import frame_of
from roadcraft.sim.embedded.relief_load import is_flat
from roadcraft.sim.roads import RoadNetwork

Layer = tuple[NDArray[np.bool_], ET.Element]  # which lanes (L,), and the map with their roads alone


def layers(network: RoadNetwork) -> list[Layer]:
    """All roads at once where none passes over another; else those that do, then the rest."""
    root, every = ET.fromstring(network.xodr), np.ones(len(network.lanes), bool)
    if is_flat(network):
        return [(every, root)]
    above = bridges(network, *frame_of(network))
    upper = set(network.lanes["road"][np.unique(network.lane_of[above])].tolist())
    if not upper:
        return [(every, root)]
    carried = np.isin(network.lanes["road"], list(upper))
    return [(carried, _of_roads(root, upper, True)), (~carried, _of_roads(root, upper, False))]


def _of_roads(root: ET.Element, numbers: set[int], those: bool) -> ET.Element:
    """The map without other roads than those, or without those."""
    out = ET.Element(root.tag)
    out.extend(child for child in root if child.tag != "road" or (int(child.get("id", -1)) in numbers) == those)
    return out
