"""A town: its OpenDRIVE text, the road network and the scenery read from it."""

from __future__ import annotations

from dataclasses import dataclass

from roadcraft.sim.embedded.scenery import Scenery
from roadcraft.sim.roads import RoadNetwork


@dataclass(frozen=True, slots=True)
class Town:
    name: str
    xodr: str
    network: RoadNetwork
    scenery: Scenery


def load_town(name: str) -> Town:
    """A town by its name, such as "grid" or "suburb-20", or by the path of an OpenDRIVE file. Cached on disk."""
    raise NotImplementedError
